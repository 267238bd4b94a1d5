"""The summary against its definitions, event by event, and its files."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from sconeevents import make_event, make_events, write_shard
from summaryoracle import summary_row

import scone_io
from astro_common.parquet import field_metadata, read_metadata
from scone_io.example import Event
from scone_io.grid import PRESETS, GridSpec
from scone_io.summary import COLUMNS, COMPAT_COLUMNS, half_maximum_days

LEGACY = PRESETS["legacy"]


def read_exactly(path):
    """A CSV table; before version 3 pandas itself rounds some numbers."""
    return csv.read_csv(path).to_pandas()


def awkward_events():
    rng = np.random.default_rng(3)
    events = make_events(6, grid=LEGACY, seed=8)
    image = rng.normal(0.0, 20.0, size=(32, 180, 2))
    events.append(Event(50, 3, None, None, image))
    events.append(Event(51, 1, -9.0, -9.0, -np.abs(image)))
    events.append(Event(52, 0, 0.5, 0.1, np.zeros((32, 180, 2))))
    rising = np.abs(image) * np.linspace(1.0, 50.0, 180)[None, :, None]
    events.append(Event(53, 1, 0.25, 0.125, rising.astype("<f4")))
    return events


@pytest.fixture
def awkward(tmp_path):
    return write_shard(tmp_path / "awkward.tfrecord", awkward_events(), sidecar=False)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_compat_is_the_same_to_the_character(run, awkward, mock_folder, tmp_path):
    files = [awkward, *sorted(mock_folder.glob("*.tfrecord"))]
    out = tmp_path / "out.csv"
    assert run("extract", *files, "-o", out, "--compat")[0] == 0
    events = list(scone_io.open(files, grid="legacy"))
    expected = pd.DataFrame([summary_row(event, -50, 130) for event in events])
    text = expected.to_csv(sep=" ", index=False, float_format="%.3f")
    assert out.read_text().splitlines() == text.splitlines()
    assert len(expected.columns) == 40


@pytest.mark.parametrize("workers", ["1", "2"])
def test_default_table_has_full_precision_on_the_own_grid(run, mock_folder, tmp_path, workers):
    out = tmp_path / "out.csv"
    status, text, _ = run("extract", mock_folder, "-o", out, "--json", "--workers", workers)
    assert status == 0
    assert json.loads(text)["events"] == 60
    table = read_exactly(out)
    assert table.columns.tolist() == [column.name for column in COLUMNS]
    events = list(scone_io.open(mock_folder))
    expected = pd.DataFrame([summary_row(event, -30, 150) for event in events])
    for name in expected.columns:
        if name == "label_name":
            assert table[name].tolist() == expected[name].tolist()
        else:
            same = np.array_equal(
                table[name].to_numpy(float), expected[name].to_numpy(float), equal_nan=True
            )
            narrow = name.startswith("redshift")
            assert same or (narrow and np.allclose(table[name], expected[name], rtol=1e-7)), name


def test_missing_values_are_missing_and_extra_columns_are_right(run, awkward, tmp_path):
    out = tmp_path / "out.parquet"
    assert run("extract", awkward, "-o", out, "--grid", "legacy")[0] == 0
    table = pq.read_table(out)
    rows = {row["snid"]: row for row in table.to_pylist()}
    assert rows[50]["redshift"] is None
    assert rows[51]["redshift"] == -9.0
    assert rows[52]["band_color_ratio"] is None
    assert rows[52]["rise_half_max_days"] is None
    assert rows[50]["label_name"] == "label 3"
    for event in awkward_events():
        flux, error = event.image[:, :, 0], event.image[:, :, 1]
        blue = flux[:9].sum(dtype=float)
        assert rows[event.snid]["blue_band_flux"] == pytest.approx(blue, rel=1e-9)
        share = np.mean(error < 0.5 * error.max())
        assert rows[event.snid]["observed_fraction"] == pytest.approx(share)
    metadata = {field.name: field_metadata(field) for field in table.schema}
    assert metadata["blue_flux"]["unit"] == "FLUXCAL2"
    assert all("description" in entry for entry in metadata.values())
    assert read_metadata(out)["provenance"]["distribution"] == "scone-io"


def test_values_that_are_nan_are_counted_and_harm_no_other_event(run, tmp_path):
    rng = np.random.default_rng(2)
    events = [make_event(number, rng, grid=LEGACY) for number in range(3)]
    events[1].image[3, 4, 0] = np.nan
    events[1].image[5, 6:8, 1] = np.nan
    path = write_shard(tmp_path / "x.tfrecord", events, grid=LEGACY)
    out = tmp_path / "out.parquet"
    assert run("extract", path, "-o", out)[0] == 0
    table = pq.read_table(out)
    assert table["num_nan"].to_pylist() == [0, 3, 0]
    assert table["total_flux"][1].as_py() is None
    assert table["total_flux"][2].as_py() == pytest.approx(events[2].flux.sum())


def test_half_maximum_of_a_triangle_is_exact():
    grid = GridSpec(num_time_bins=101, time_min_days=0.0, time_max_days=100.0)
    days = grid.times
    triangle = np.where(days < 40, days / 40, 1 - (days - 40) / 60)
    two_peaks = np.maximum(triangle, np.where(np.abs(days - 90) < 3, 0.9, 0.0))
    flat = np.ones(101)
    rise, decline = half_maximum_days(np.stack([triangle, two_peaks, flat, -triangle]), grid)
    assert rise[:2] == pytest.approx([20.0, 20.0])
    assert decline[:2] == pytest.approx([30.0, 30.0])
    assert np.isnan(rise[2:]).all()
    assert np.isnan(decline[2:]).all()


@pytest.mark.parametrize("compat", [[], ["--compat"]])
def test_full_curves_and_spectra(run, mock_folder, tmp_path, compat):
    out = tmp_path / "x.csv"
    words = ["--full-lightcurves", "--full-spectra", "--limit", "35", *compat]
    assert run("extract", mock_folder, "-o", out, *words)[0] == 0
    grid = PRESETS["legacy" if compat else "scone"]
    curves = read_exactly(tmp_path / "x_lightcurves.csv")
    spectra = read_exactly(tmp_path / "x_spectra.csv")
    assert (curves.shape, spectra.shape) == ((35, 541), (35, 97))
    assert curves.columns[:4].tolist() == ["snid", "mjd_000", "flux_000", "flux_err_000"]
    assert spectra.columns[-3:].tolist() == ["wavelength_31", "flux_31", "flux_err_31"]
    event = scone_io.open(mock_folder)[33]
    row = curves.iloc[33]
    assert row["snid"] == event.snid
    assert np.array_equal(row[[f"mjd_{i:03d}" for i in range(180)]].to_numpy(float), grid.times)
    assert row["flux_077"] == pytest.approx(event.flux[:, 77].sum(), rel=1e-14)
    assert row["flux_err_077"] == pytest.approx(np.sqrt((event.flux_err[:, 77] ** 2).sum()))
    low, high = grid.time_index(-10), grid.time_index(20)
    row = spectra.iloc[33]
    assert row["flux_11"] == pytest.approx(event.flux[11, low:high].mean(), rel=1e-14)
    rms = np.sqrt((event.flux_err[11, low:high] ** 2).mean())
    assert row["flux_err_11"] == pytest.approx(rms)


def test_wrong_outputs_are_refused_before_any_work(run, mock_folder, tmp_path):
    assert run("extract", mock_folder, "-o", tmp_path / "x.txt")[0] == 2
    assert run("extract", mock_folder, "-o", tmp_path / "x.parquet", "--compat")[0] == 2
    assert run("extract", tmp_path / "none.tfrecord", "-o", tmp_path / "x.csv")[0] == 1
    out = tmp_path / "x.csv"
    assert run("extract", mock_folder, "-o", out)[0] == 0
    before = out.read_bytes()
    status, _, err = run("extract", mock_folder, "-o", out)
    assert status == 1
    assert "--overwrite" in err
    assert run("extract", mock_folder, "-o", out, "--overwrite")[0] == 0
    assert out.read_bytes() == before


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_damaged_shard_leaves_no_table(run, mock_folder, tmp_path, workers):
    data = bytearray((mock_folder / "heatmaps_0000.tfrecord").read_bytes())
    data[300_000] ^= 1
    path = tmp_path / "x.tfrecord"
    path.write_bytes(bytes(data))
    status, _, err = run("extract", path, "-o", tmp_path / "x.csv", "--workers", workers)
    assert status == 1
    assert "offset" in err.splitlines()[-1]
    assert str(path) in err.splitlines()[-1]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["x.tfrecord"]
    words = ["--on-bad", "skip", "--json", "--workers", workers]
    status, out, _ = run("extract", path, "-o", tmp_path / "x.csv", *words)
    report = json.loads(out)
    assert (status, report["events"], report["num_bad"]) == (0, 29, 1)


def test_columns_of_the_existing_tool_come_first():
    assert len(COMPAT_COLUMNS) == 40
    assert COLUMNS[:40] == COMPAT_COLUMNS
