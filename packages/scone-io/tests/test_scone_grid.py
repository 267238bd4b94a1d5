"""Axes: presets, sidecars, and what happens without them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sconeevents import make_events, write_shard

from astro_common.errors import ConfigurationError, InputError
from scone_io import GridSpec
from scone_io.grid import PRESETS, read_grid, resolve_grid, sidecar_path, write_sidecar


def test_presets_have_the_known_bins():
    legacy, scone = PRESETS["legacy"], PRESETS["scone"]
    assert legacy.wavelengths[15] == pytest.approx(6435.48, abs=0.01)
    assert legacy.times[49] == pytest.approx(-0.7263, abs=1e-4)
    assert legacy.times[50] == pytest.approx(0.2793, abs=1e-4)
    assert [legacy.time_index(day) for day in (-10, 10, 20, 0)] == [40, 60, 70, 50]
    assert [legacy.wavelength_index(a) for a in (5500, 6000, 6150)] == [11, 13, 14]
    assert scone.time_index(0) == 30
    assert scone.times[50] == pytest.approx(20.28, abs=0.01)
    assert scone.time_step_days == pytest.approx(180 / 179)


def test_edges_lie_half_a_bin_beyond_the_centres():
    low, high, blue, red = PRESETS["legacy"].edges
    assert (low, high) == pytest.approx((-50 - 90 / 179, 130 + 90 / 179))
    assert (blue, red) == pytest.approx((3000 - 3550 / 31, 10100 + 3550 / 31))


def test_sidecar_round_trip_keeps_further_keys(tmp_path):
    grid = GridSpec(num_time_bins=90, time_min_days=-20.0, reference="trigger")
    path = write_sidecar(tmp_path / "x.tfrecord", grid.with_notes(made="by hand"))
    assert path.name == "x.tfrecord.grid.json"
    found = read_grid(path)
    assert found == grid
    assert found.notes == {"made": "by hand"}


def test_option_outranks_sidecar_which_outranks_the_assumption(tmp_path, caplog):
    shard = tmp_path / "x.tfrecord"
    found = resolve_grid(shard)
    assert (found.grid, found.source) == (PRESETS["scone"], "assumed")
    assert "assuming" in caplog.text
    write_sidecar(shard, PRESETS["legacy"])
    assert resolve_grid(shard).source == "sidecar"
    found = resolve_grid(shard, "scone")
    assert (found.grid, found.source) == (PRESETS["scone"], "option")
    assert resolve_grid(shard, str(sidecar_path(shard))).grid == PRESETS["legacy"]


@pytest.mark.parametrize(
    "change",
    [
        {"num_time_bins": 1},
        {"num_time_bins": 1.5},
        {"num_time_bins": True},
        {"num_wavelength_bins": 10**9},
        {"time_max_days": -31.0},
        {"time_min_days": "early"},
        {"wavelength_min_angstrom": None},
        {"reference": "explosion"},
        {"frame": "rest"},
        {"flux_unit": "Jy"},
        {"zero_point_mag": float("inf")},
    ],
)
def test_wrong_values_are_one_error_that_names_the_key(tmp_path, change):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps({**PRESETS["scone"].as_json(), **change}))
    with pytest.raises(ConfigurationError) as caught:
        read_grid(path)
    assert str(path) in str(caught.value)
    assert next(iter(change)) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"num_time_bins": 180}'])
def test_what_describes_no_grid_is_refused(tmp_path, text):
    path = tmp_path / "grid.json"
    path.write_text(text)
    with pytest.raises((InputError, ConfigurationError)):
        read_grid(path)


def test_wrong_window_and_lone_label_are_said(run, mock_folder, tmp_path):
    status, out, _ = run("info", mock_folder, "--json", "--grid", "legacy")
    report = json.loads(out)
    assert status == 0
    assert sum("window" in text for text in report["warnings"]) == 2
    report = json.loads(run("info", mock_folder, "--json")[1])
    assert report["warnings"] == []
    path = write_shard(tmp_path / "x.tfrecord", make_events(4, label=0, z=-9.0))
    report = json.loads(run("info", path, "--json")[1])
    assert any("label" in text for text in report["warnings"])
    (entry,) = report["files"]
    assert (entry["z_min"], entry["z_max"], entry["num_without_z"]) == (None, None, 4)


def test_info_of_an_empty_file(run, tmp_path):
    path = tmp_path / "empty.tfrecord"
    path.touch()
    status, out, err = run("info", path, "--json")
    report = json.loads(out)
    assert (status, report["records"], report["classes"]) == (0, 0, {})
    assert report["files"][0]["grid_source"] == "assumed"
    assert "assuming" in err


def test_info_tells_shape_and_type_from_the_record(run, tmp_path):
    for dtype, name in (("f4", "float32"), ("f8", "float64")):
        path = write_shard(
            tmp_path / f"{name}.tfrecord",
            make_events(2, grid=PRESETS["scone"], dtype=dtype),
            sidecar=False,
        )
        (entry,) = json.loads(run("info", path, "--json")[1])["files"]
        assert (entry["image_shape"], entry["image_dtype"]) == ([32, 180, 2], name)
    status, _, err = run("info", path, "--grid", "nonsense")
    assert status == 2
    assert "nonsense" in err


def test_info_of_unfit_shapes_is_one_error(run, tmp_path):
    path = write_shard(tmp_path / "x.tfrecord", make_events(2), sidecar=False)
    status, _, err = run("info", path)
    assert status == 1
    assert "offset 0" in err.splitlines()[-1]
    assert "92160" in err.splitlines()[-1]


def test_indices_and_values_are_inverse():
    grid = PRESETS["scone"]
    assert [grid.time_index(day) for day in grid.times] == list(range(180))
    assert np.all(np.diff(grid.wavelengths) > 0)
