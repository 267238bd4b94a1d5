"""Other containers, and shards made of shards."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from sconeevents import SMALL, make_event, make_events, same_event, write_shard

import scone_io
from scone_io.grid import PRESETS, read_grid, sidecar_path


@pytest.fixture
def events():
    made = make_events(9)
    rng = np.random.default_rng(5)
    return [*made, make_event(-4, rng, z=None), make_event(2**60 + 1, rng, z=None, z_err=None)]


@pytest.mark.parametrize("ending", ["npz", "parquet", "h5", "zarr"])
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_there_and_back_is_the_same(run, tmp_path, events, ending, dtype):
    if ending == "zarr":
        pytest.importorskip("zarr")
    first = write_shard(tmp_path / "a.tfrecord", events)
    middle, back = tmp_path / f"b.{ending}", tmp_path / "c.tfrecord"
    words = [] if dtype is None else ["--dtype", dtype]
    assert run("convert", first, "-o", middle, *words)[0] == 0
    assert run("convert", middle, "-o", back)[0] == 0
    assert read_grid(sidecar_path(back)) == SMALL
    if dtype is None:
        assert back.read_bytes() == first.read_bytes()
        assert run("diff", first, back)[0] == 0
    else:
        for ours, event in zip(scone_io.open(back), events, strict=True):
            assert np.array_equal(ours.image, event.image.astype("<f4"))
        assert run("diff", first, back)[0] == 1
    assert run("convert", first, "-o", middle)[0] == 1  # it exists
    assert run("convert", first, "-o", middle, "--overwrite")[0] == 0


def test_containers_hold_what_is_promised(run, tmp_path):
    made = [*make_events(3, grid=PRESETS["scone"]), *make_events(1, grid=PRESETS["scone"], z=None)]
    path = write_shard(tmp_path / "a.tfrecord", made, grid=PRESETS["scone"])
    for ending in ("npz", "parquet", "h5"):
        assert run("convert", path, "-o", tmp_path / f"b.{ending}")[0] == 0
    with np.load(tmp_path / "b.npz", allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["id", "image", "label", "z", "z_err"]
        assert arrays["image"].shape == (4, 32, 180, 2)
        assert np.isnan(arrays["z"][3])
    table = pq.read_table(tmp_path / "b.parquet")
    assert table.schema.names == ["id", "label", "z", "z_err", "image"]
    assert table["z"].null_count == 1
    assert np.array_equal(table["image"][2].as_py(), made[2].image.ravel())
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "b.h5") as file:
        assert file["image"].shape == (4, 32, 180, 2)
        assert file["id"].dtype == np.int64


def test_damaged_containers_are_one_error(run, tmp_path, events):
    path = write_shard(tmp_path / "a.tfrecord", events)
    for ending in ("npz", "parquet", "h5"):
        middle = tmp_path / f"b.{ending}"
        assert run("convert", path, "-o", middle)[0] == 0
        content = middle.read_bytes()
        for data in (b"", content[: len(content) // 2], b"noise" * 50):
            middle.write_bytes(data)
            status, _, err = run("convert", middle, "-o", tmp_path / "c.tfrecord")
            assert status == 1, ending
            assert str(middle) in err.splitlines()[-1]
            assert not (tmp_path / "c.tfrecord").exists()


def test_npz_with_objects_is_refused(run, tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("id", "label", "z", "z_err", "image"):
            with archive.open(f"{name}.npy", "w") as file:
                header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
                np.lib.format.write_array_header_1_0(file, header)
    status, _, err = run("convert", path, "-o", tmp_path / "y.tfrecord")
    assert status == 1
    assert "numbers" in err


def test_wrong_names_are_usage_errors(run, tmp_path, shard):
    assert run("convert", shard, "-o", tmp_path / "x.txt")[0] == 2
    assert run("convert", shard, "-o", shard, "--overwrite")[0] == 2
    assert run("convert", tmp_path / "nothing.npz", "-o", tmp_path / "x.tfrecord")[0] == 1


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
def test_records_pass_byte_for_byte(run, tmp_path, compression):
    first = write_shard(tmp_path / "a.tfrecord", make_events(7), compression=compression)
    second = write_shard(tmp_path / "b.tfrecord", make_events(5, first=2000))
    plain = tmp_path / "plain.tfrecord"
    write_shard(plain, make_events(7))
    whole = tmp_path / "whole.tfrecord"
    assert run("merge", first, second, "-o", whole)[0] == 0
    assert whole.read_bytes() == plain.read_bytes() + second.read_bytes()
    assert read_grid(sidecar_path(whole)) == SMALL
    part = tmp_path / "part.tfrecord"
    assert run("subset", first, second, "-o", part, "--snid", "2001,1003")[0] == 0
    assert [event.snid for event in scone_io.open(part)] == [1003, 2001]
    assert run("subset", first, "-o", tmp_path / "no.tfrecord", "--snid", "9")[0] == 1
    assert not (tmp_path / "no.tfrecord").exists()
    mixed = tmp_path / "mixed.tfrecord"
    assert run("shuffle", first, "-o", mixed, "--seed", "3")[0] == 0
    order = [event.snid for event in scone_io.open(mixed)]
    assert sorted(order) == list(range(1000, 1007))
    assert order != sorted(order)
    assert run("diff", first, mixed)[0] == 0
    assert mixed.stat().st_size == plain.stat().st_size
    again = tmp_path / "again.tfrecord"
    assert run("shuffle", first, "-o", again, "--seed", "3")[0] == 0
    assert again.read_bytes() == mixed.read_bytes()
    folder = tmp_path / "parts"
    assert run("split", whole, "-o", folder, "--shards", "5")[0] == 0
    pieces = sorted(folder.glob("*.tfrecord"))
    assert b"".join(piece.read_bytes() for piece in pieces) == whole.read_bytes()
    assert len(pieces) == 5


def test_diff_names_what_differs(run, tmp_path):
    made = make_events(6)
    first = write_shard(tmp_path / "a.tfrecord", made)
    changed = make_events(6)
    changed[2].image[0, 0, 0] += 1.0
    second = write_shard(tmp_path / "b.tfrecord", [*changed[1:], *make_events(1, first=7)])
    status, out, _ = run("diff", first, second, "--json")
    report = json.loads(out)
    assert status == 1
    assert report["only_first"] == [1000]
    assert report["only_second"] == [7]
    assert report["changed"] == [1002]
    assert not report["same"]


def test_unlike_grids_are_not_merged(run, tmp_path):
    first = write_shard(tmp_path / "a.tfrecord", make_events(2, grid=PRESETS["scone"]))
    second = tmp_path / "b.tfrecord"
    write_shard(second, make_events(2, grid=PRESETS["scone"]), grid=PRESETS["legacy"])
    (tmp_path / "a.tfrecord.grid.json").unlink()
    assert run("merge", first, second, "-o", tmp_path / "c.tfrecord")[0] == 2
    assert run("merge", first, second, "-o", tmp_path / "c.tfrecord", "--grid", "legacy")[0] == 0
    assert read_grid(sidecar_path(tmp_path / "c.tfrecord")) == PRESETS["legacy"]


def test_an_assumed_grid_stays_known_as_assumed(run, tmp_path):
    path = write_shard(
        tmp_path / "a.tfrecord", make_events(1, grid=PRESETS["scone"]), sidecar=False
    )
    assert run("merge", path, "-o", tmp_path / "b.tfrecord")[0] == 0
    assert read_grid(tmp_path / "b.tfrecord.grid.json").notes == {"grid_source": "assumed"}


def test_mock_is_the_same_for_the_same_seed_and_says_that_it_is_synthetic(run, tmp_path):
    for name in ("a", "b"):
        assert run("mock", tmp_path / name, "--events", "3", "--seed", "9")[0] == 0
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["heatmaps_0000.tfrecord", "heatmaps_0000.tfrecord.grid.json", "truth.json"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert read_grid(tmp_path / "a" / files[1]).notes["synthetic"] is True
    assert run("mock", tmp_path / "a", "--events", "3")[0] == 1
    (first,) = list(scone_io.open(tmp_path / "a"))[:1]
    assert same_event(first, scone_io.open(tmp_path / "b")[0])
