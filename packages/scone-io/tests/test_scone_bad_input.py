"""Input that is wrong in one place: one line names the file or option, and no number is wrong."""

from __future__ import annotations

import gzip
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from sconeevents import SMALL, make_event, make_events, same_event, write_shard

import scone_io
from astro_common.errors import ConfigurationError, InputError
from scone_io.convert.npz import NpzSource
from scone_io.convert.parquet import ParquetSource
from scone_io.grid import PRESETS, GridSpec, sidecar_path, write_sidecar
from scone_io.index import open_index
from scone_io.light_curves import LightCurve
from scone_io.making import Recipe, make_heatmap
from scone_io.mock import write_mock_light_curves
from scone_io.snana import phot_path

BANDS = {"g": 4826.85, "r": 6223.24, "i": 7545.98, "z": 8590.90}
OTHER = GridSpec(num_wavelength_bins=6, num_time_bins=8)


def last_line(err):
    return err.strip().splitlines()[-1]


@pytest.fixture
def head(tmp_path):
    return write_mock_light_curves(tmp_path / "lc", num_events=5, seed=3)


def with_column(path, name, kind, values):
    """Rewrite a table with a column of another type."""
    with fits.open(path) as file:
        primary, table = file[0].copy(), file[1].copy()
    columns = [column for column in table.columns if column.name != name]
    columns.append(fits.Column(name, kind, array=values))
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns)]).writeto(path, overwrite=True)


@pytest.mark.parametrize(
    ("file", "name", "kind", "value", "words"),
    [
        ("HEAD", "PEAKMJD", "8A", "soon", ()),
        ("HEAD", "MWEBV", "8A", "dusty", ()),
        ("HEAD", "SIM_TYPE_INDEX", "8A", "SNIa", ()),
        ("HEAD", "PTROBS_MIN", "8A", "first", ()),
        ("HEAD", "PTROBS_MAX", "E", np.nan, ()),
        ("PHOT", "MJD", "8A", "monday", ()),
        ("PHOT", "FLUXCAL", "8A", "bright", ()),
        ("PHOT", "BAND", "J", 3, ()),
    ],
)
def test_columns_of_another_type_are_named(run, head, tmp_path, file, name, kind, value, words):
    path = head if file == "HEAD" else phot_path(head)
    count = len(fits.getdata(path))
    with_column(path, name, kind, np.array([value] * count))
    out = tmp_path / "out.tfrecord"
    status, _, err = run("heatmaps", head, "-o", out, "--no-optimize", "-q", *words)
    assert status == 1
    assert name in last_line(err)
    assert path.name in last_line(err)
    assert not out.exists()


def test_types_in_words_mean_that_nothing_is_known(run, head, tmp_path):
    count = len(fits.getdata(head))
    with fits.open(head) as file:
        primary, table = file[0].copy(), file[1].copy()
    columns = [column for column in table.columns if column.name != "SIM_TYPE_INDEX"]
    columns.append(fits.Column("SNTYPE", "8A", array=["SNIa"] * count))
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns)]).writeto(head, overwrite=True)
    out = tmp_path / "out.tfrecord"
    assert run("heatmaps", head, "-o", out, "--no-optimize", "-q")[0] == 0
    assert {event.label for event in scone_io.open(out)} == {0}
    status, _, err = run(
        "heatmaps", head, "-o", out, "--overwrite", "--no-optimize", "-q", "--ia-types", "1"
    )
    assert status == 1
    assert "SNTYPE" in last_line(err)


def test_csv_types_in_words_mean_that_nothing_is_known(run, tmp_path):
    (tmp_path / "X_HEAD.csv").write_text("SNID,PEAKMJD,SNTYPE\n7,59010,SNIa\n")
    rows = [f"7,{59000 + day},r,{50 + day},3\n" for day in range(9)]
    (tmp_path / "X_PHOT.csv").write_text("SNID,MJD,BAND,FLUXCAL,FLUXCALERR\n" + "".join(rows))
    out = tmp_path / "out.tfrecord"
    words = ("--survey", "LSST", "--no-optimize")
    status, _, err = run("heatmaps", tmp_path / "X_HEAD.csv", "-o", out, *words)
    assert status == 0
    assert "SNTYPE" in err
    assert [event.label for event in scone_io.open(out)] == [0]


def light_curve(mjd, flux, error, **changes):
    values = {"snid": "1", "row": 0, "band": np.array(["r"] * len(mjd))}
    arrays = {"mjd": np.array(mjd, float), "flux": np.array(flux, float)}
    return LightCurve(**{**values, **arrays, "flux_err": np.array(error, float), **changes})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("grid", [PRESETS["scone"], GridSpec(reference="trigger")])
@pytest.mark.parametrize("mark", [0.0, -1.0, np.nan])
def test_observations_marked_as_bad_do_not_move_the_reference(grid, mark):
    mjd = np.arange(0.0, 40.0, 2.0)
    flux, error = np.where(mjd < 10, 0.0, 100.0), np.full(20, 5.0)
    recipe = Recipe(grid, BANDS, optimize=False)
    good = make_heatmap(light_curve(mjd, flux, error), recipe)
    assert np.isfinite(good).all()
    marked = light_curve(
        np.append(mjd, [-50.0, -48.0]),
        np.append(flux, [900.0, 900.0]),
        np.append(error, [mark] * 2),
    )
    assert np.array_equal(make_heatmap(marked, recipe), good)


def test_an_event_that_no_record_can_hold_does_not_take_others_with_it(run, head, tmp_path):
    table = fits.getdata(head)
    redshifts = table["REDSHIFT_FINAL"].astype(float)
    redshifts[2] = 1e300
    with_column(head, "REDSHIFT_FINAL", "D", redshifts)
    out = tmp_path / "out.tfrecord"
    status, text, _ = run("heatmaps", head, "-o", out, "--no-optimize", "-q", "--json")
    report = json.loads(text)
    assert (status, report["records"]) == (3, 4)
    (entry,) = report["failed"]
    assert entry["event"] == str(table["SNID"][2])
    assert "redshift" in entry["reason"]


@pytest.mark.parametrize("name", ["1_000", "\N{FULLWIDTH DIGIT TWO}", " 12", "+5", "1e3"])
def test_only_plain_integers_are_numbers(name):
    from scone_io.making.run import event_number

    curve = light_curve([1.0], [1.0], [1.0], snid=name, row=77)
    expected = {"+5": 5}.get(name, 77)
    assert event_number(curve) == expected


def test_failures_of_another_shard_in_the_folder_stay(run, head, tmp_path):
    with fits.open(head) as first, fits.open(phot_path(head)) as second:
        start, stop = first[1].data["PTROBS_MIN"][1] - 1, first[1].data["PTROBS_MAX"][1]
        first, second = (fits.HDUList([hdu.copy() for hdu in file]) for file in (first, second))
    second[1].data["BAND"][start:stop] = "MOCK-Q"
    broken = head.with_name("OTHER_HEAD.FITS")
    first[1].data["SNID"] += 100_000
    first.writeto(broken)
    second.writeto(phot_path(broken))
    assert run("heatmaps", broken, "-o", tmp_path / "a.tfrecord", "--no-optimize", "-q")[0] == 3
    before = (tmp_path / "failures.jsonl").read_text()
    assert run("heatmaps", head, "-o", tmp_path / "b.tfrecord", "--no-optimize", "-q")[0] == 0
    assert (tmp_path / "failures.jsonl").read_text() == before


def npz(path, **changes):
    rng = np.random.default_rng(1)
    arrays = {
        "id": np.arange(3),
        "label": np.zeros(3, np.int64),
        "z": np.zeros(3, np.float32),
        "z_err": np.zeros(3, np.float32),
        "image": rng.normal(size=(3, *SMALL.shape, 2)),
    }
    np.savez_compressed(path, **{**arrays, **changes})
    return path


@pytest.mark.parametrize("name", ["id", "label"])
def test_identifiers_beyond_64_bits_are_refused(run, tmp_path, name):
    path = npz(tmp_path / "x.npz", **{name: np.array([1, 2, (1 << 63) + 5], dtype=np.uint64)})
    write_sidecar(path, SMALL)
    status, _, err = run("convert", path, "-o", tmp_path / "y.tfrecord")
    assert status == 1
    assert name in last_line(err)
    assert not (tmp_path / "y.tfrecord").exists()


def test_damaged_compressed_npz_files_are_refused(tmp_path):
    path = npz(tmp_path / "x.npz")
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    whole = [batch.image.tobytes() for batch in NpzSource(path, SMALL).batches()]
    for _ in range(150):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = [batch.image.tobytes() for batch in NpzSource(path, SMALL).batches()]
        except InputError:
            continue
        assert found == whole


def test_lists_of_unlike_lengths_are_no_images(tmp_path):
    size = 2 * SMALL.shape[0] * SMALL.shape[1]
    values = np.arange(2.0 * size)
    path = tmp_path / "x.parquet"
    rows = {"id": [1, 2], "label": [0, 1], "z": [0.1, 0.2], "z_err": [0.1, 0.2]}
    rows["image"] = [values[: size - 1].tolist(), values[size - 1 :].tolist()]
    pq.write_table(pa.table(rows), path)
    with pytest.raises(InputError, match="unlike lengths"):
        list(ParquetSource(path, SMALL).batches())


def test_a_zarr_group_that_cannot_be_replaced_stays(run, tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    shard = write_shard(tmp_path / "a.tfrecord", make_events(3))
    group = tmp_path / "b.zarr"
    assert run("convert", shard, "-o", group)[0] == 0
    path_type = type(group)
    rename = path_type.rename

    def refuse(self, target):
        if target == group and "zarr.json" in {item.name for item in self.iterdir()}:
            calls.append(self)
            if len(calls) == 1:
                raise OSError(5, "Input/output error", str(self))
        return rename(self, target)

    calls = []
    monkeypatch.setattr(path_type, "rename", refuse)
    assert run("convert", shard, "-o", group, "--overwrite")[0] == 1
    monkeypatch.undo()
    assert run("convert", group, "-o", tmp_path / "c.tfrecord")[0] == 0
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


def test_a_file_in_place_of_a_zarr_group_stays(run, tmp_path):
    pytest.importorskip("zarr")
    shard = write_shard(tmp_path / "a.tfrecord", make_events(3))
    place = tmp_path / "b.zarr"
    place.write_text("mine")
    assert run("convert", shard, "-o", place, "--overwrite")[0] == 1
    assert place.read_text() == "mine"
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


def test_a_grid_beyond_the_extinction_law_is_refused_before_any_work(run, head, tmp_path):
    grid = write_sidecar(tmp_path / "far", GridSpec(wavelength_max_angstrom=50_000.0))
    out = tmp_path / "out.tfrecord"
    status, _, err = run("heatmaps", head, "-o", out, "--grid", grid, "--no-optimize", "-q")
    assert status == 2
    assert "extinction" in last_line(err)
    assert not out.exists()
    words = ("--no-extinction", "--no-optimize", "-q")
    assert run("heatmaps", head, "-o", out, "--grid", grid, *words)[0] == 0


def test_plot_finds_events_on_the_grid_that_is_named(run, tmp_path):
    shard = write_shard(tmp_path / "a.tfrecord", make_events(3, grid=OTHER), sidecar=False)
    grid = tmp_path / "grid.json"
    sidecar = write_sidecar(tmp_path / "other", OTHER)
    sidecar.rename(grid)
    words = ("--grid", grid, "--snid", 1001)
    assert run("plot", shard, "-o", tmp_path / "f", *words)[0] == 0
    assert (tmp_path / "f" / "snid_1001.png").is_file()
    write_sidecar(shard, OTHER)
    assert run("index", tmp_path)[0] == 0
    sidecar_path(shard).unlink()
    words = ("--index", tmp_path / "snid_index.parquet", *words)
    assert run("plot", "-o", tmp_path / "g", *words)[0] == 0


def test_plot_leaves_damaged_records_out_where_it_is_told_to(run, tmp_path):
    shard = write_shard(tmp_path / "a.tfrecord", make_events(6))
    content = bytearray(shard.read_bytes())
    content[len(content) // 6 + 40] ^= 1
    shard.write_bytes(content)
    words = ("--snid", 1003, "-o", tmp_path / "f")
    assert run("plot", shard, *words)[0] == 1
    assert run("plot", shard, *words, "--on-bad", "skip")[0] == 0


def test_infinite_redshifts_are_drawn_as_unknown(run, tmp_path):
    events = make_events(3, grid=PRESETS["scone"])
    events[1] = make_event(9, np.random.default_rng(1), grid=PRESETS["scone"], z=float("inf"))
    shard = write_shard(tmp_path / "a.tfrecord", events, grid=PRESETS["scone"])
    words = ("--statistics", "--snid", 9, "-o", tmp_path / "f")
    assert run("plot", shard, *words)[0] == 0


def test_records_left_out_are_counted_before_a_limit_too(run, tmp_path):
    shard = write_shard(
        tmp_path / "a.tfrecord", make_events(6, grid=PRESETS["scone"]), grid=PRESETS["scone"]
    )
    content = bytearray(shard.read_bytes())
    content[len(content) // 6 + 40] ^= 1
    shard.write_bytes(content)
    words = ("-o", tmp_path / "x.csv", "--on-bad", "skip", "--limit", 3, "--json")
    report = json.loads(run("extract", shard, *words)[1])
    assert (report["events"], report["num_bad"]) == (3, 1)


@pytest.fixture
def folder(tmp_path, run):
    folder = tmp_path / "shards"
    folder.mkdir()
    write_shard(folder / "a.tfrecord", make_events(30))
    assert run("index", folder)[0] == 0
    return folder


def test_damaged_csv_indices_are_refused(folder):
    path = folder / "snid_index.csv.gz"
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    (expected,) = list(scone_io.open(folder / "a.tfrecord"))[4:5]
    for _ in range(150):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = open_index(path).find(1004)
        except InputError:
            continue
        assert same_event(found.event, expected)


@pytest.mark.parametrize("row", ["99999999999999999999,0,0,0,a.tfrecord", "1004"])
def test_csv_indices_with_impossible_rows_are_refused(folder, row):
    path = folder / "snid_index.csv.gz"
    path.write_bytes(gzip.compress(f"snid,label,z,z_err,tfrecord_file\n{row}\n".encode()))
    with pytest.raises(InputError, match="no index"):
        open_index(path)


@pytest.mark.parametrize("kind", [pa.float64(), pa.string()])
def test_indices_whose_identifiers_are_no_integers_are_refused(folder, kind):
    path = folder / "snid_index.parquet"
    table = pq.read_table(path)
    metadata = table.schema.metadata
    column = table["snid"].cast(kind)
    table = table.set_column(0, "snid", column).replace_schema_metadata(metadata)
    pq.write_table(table, path)
    with pytest.raises(InputError, match="snid"):
        open_index(path)


def test_no_shard_at_all_is_refused():
    with pytest.raises(ConfigurationError):
        scone_io.open([])


def test_mock_leaves_a_folder_with_a_truth_alone(run, tmp_path):
    folder = tmp_path / "m"
    assert run("mock", folder, "--events", 3)[0] == 0
    (folder / "heatmaps_0000.tfrecord").unlink()
    before = sorted(path.name for path in folder.iterdir())
    assert run("mock", folder, "--events", 3)[0] == 1
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("seed", ["-1", str(1 << 64), "x"])
@pytest.mark.parametrize("verb", ["train", "mock"])
def test_seeds_that_no_generator_takes_are_refused(run, mock_folder, tmp_path, capsys, verb, seed):
    words = (mock_folder, "-o", tmp_path / "m") if verb == "train" else (tmp_path / "m",)
    try:
        status = run(verb, *words, "--seed", seed)[0]
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert not (tmp_path / "m").exists()


def test_training_that_diverges_saves_nothing(run, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from scone_io.model import training

    tiny = GridSpec(num_wavelength_bins=8, num_time_bins=12)
    shard = write_shard(tmp_path / "x.tfrecord", make_events(60, grid=tiny), grid=tiny)
    monkeypatch.setattr(training, "_loss", lambda logits, *_rest: logits.sum() * torch.nan)
    status, _, err = run("train", shard, "-o", tmp_path / "m", "--epochs", 3, "-q")
    assert status == 1
    assert "--learning-rate" in last_line(err)
    assert list((tmp_path / "m").iterdir()) == []


def test_a_model_for_another_grid_than_it_says_is_refused(run, tmp_path):
    pytest.importorskip("torch")
    tiny = GridSpec(num_wavelength_bins=8, num_time_bins=12)
    shard = write_shard(tmp_path / "x.tfrecord", make_events(60, grid=tiny), grid=tiny)
    model = tmp_path / "m"
    assert run("train", shard, "-o", model, "--epochs", 1, "-q")[0] == 0
    path = model / "model.json"
    description = json.loads(path.read_text())
    description["grid"]["num_time_bins"] = 13
    path.write_text(json.dumps(description))
    other = shutil.copy(shard, tmp_path / "y.tfrecord")
    status, _, err = run("predict", other, "--model", model, "-o", tmp_path / "p.csv", "-q")
    assert status == 1
    assert "model.json" in last_line(err)
