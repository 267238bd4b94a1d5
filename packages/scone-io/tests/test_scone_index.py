"""Finding one supernova among many, and never another one."""

from __future__ import annotations

import csv
import gzip
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from sconeevents import make_events, same_event, write_shard

import scone_io
from astro_common.errors import InputError
from scone_io.index import open_index


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    for number, compression in enumerate(("none", "gzip", "none")):
        events = make_events(20, seed=number, first=1000 + 100 * number)
        write_shard(folder / f"{number}.tfrecord", events, compression=compression)
    return folder


@pytest.fixture
def index(folder, run):
    assert run("index", folder)[0] == 0
    return folder / "snid_index.parquet"


def test_index_points_at_every_record(folder, index):
    table = pq.read_table(index)
    names = ["snid", "label", "z", "z_err", "file", "offset", "length"]
    assert table.schema.names == names
    rows = table.to_pylist()
    assert len(rows) == 60
    found = open_index(index)
    for row in rows:
        event = found.find(row["snid"])
        assert event.event.snid == row["snid"]
        assert event.offset == row["offset"]
        assert np.float32(event.event.z) == np.float32(row["z"])
    plain = [row for row in rows if row["file"] == "0.tfrecord"]
    assert sum(row["length"] for row in plain) == (folder / "0.tfrecord").stat().st_size


def test_csv_index_is_that_of_other_tools(folder, index, run):
    with gzip.open(folder / "snid_index.csv.gz", "rt", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["snid", "label", "z", "z_err", "tfrecord_file"]
    assert rows[1] == ["1000", "0", "125.000000", "0.500000", "0.tfrecord"]
    status, out, _ = run("get", "--index", folder / "snid_index.csv.gz", "--snid", 1105, "--json")
    assert status == 0
    assert json.loads(out)["events"][0]["snid"] == 1105


def test_get_keeps_the_order_asked(folder, index, run, tmp_path):
    for source in (["--index", index], [folder]):
        out_file = tmp_path / f"{len(str(source))}.npz"
        words = ["--snid", "1203,1000,1105", "--json", "-o", out_file]
        status, out, _ = run("get", *source, *words)
        assert status == 0
        events = json.loads(out)["events"]
        assert [event["snid"] for event in events] == [1203, 1000, 1105]
        assert set(events[0]) == {"snid", "label", "z", "z_err", "file", "offset"}
        with np.load(out_file, allow_pickle=False) as arrays:
            assert arrays["id"].tolist() == [1203, 1000, 1105]
            expected = scone_io.open(folder).by_snid(1105).image
            assert np.array_equal(arrays["image"][2], expected)


def test_unknown_supernovae_are_named(folder, index, run):
    for source in (["--index", index], [folder]):
        status, out, err = run("get", *source, "--snid", "1000,77")
        assert (status, out) == (1, "")
        assert "77" in err
    assert run("get", "--snid", "1")[0] == 2
    assert run("get", folder, "--snid", "1.5")[0] == 2
    assert run("get", folder, "--snid", str(2**63))[0] == 2


def test_index_moves_with_its_folder(folder, index, tmp_path, run):
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    status, out, _ = run("get", "--index", moved / index.name, "--snid", "1019", "--json")
    assert status == 0
    assert json.loads(out)["events"][0]["file"] == str(moved / "0.tfrecord")


@pytest.mark.parametrize("change", ["reordered", "shortened", "replaced", "removed", "shifted"])
def test_changed_shard_gives_the_right_event_or_says_stale(folder, index, run, change):
    path = folder / "0.tfrecord"
    events = make_events(20, seed=0, first=1000)
    path.unlink()
    if change == "reordered":
        write_shard(path, events[::-1], sidecar=False)
    elif change == "shortened":
        write_shard(path, events[:5], sidecar=False)
    elif change == "replaced":
        write_shard(path, make_events(20, seed=9, first=5000), sidecar=False)
    elif change == "shifted":
        write_shard(path, make_events(1, first=3) + events, sidecar=False)
    for event in events:
        status, out, err = run("get", "--index", index, "--snid", event.snid, "--json")
        if status == 0:
            assert json.loads(out)["events"][0]["snid"] == event.snid
            assert same_event(open_index(index).find(event.snid).event, event)
        else:
            assert status == 1
            assert "stale" in err


def test_index_says_stale_where_a_new_event_is_not_in_it(folder, index, run):
    path = folder / "2.tfrecord"
    path.unlink()
    write_shard(path, make_events(30, first=1200), sidecar=False)
    status, _, err = run("get", "--index", index, "--snid", "1229")
    assert status == 1
    assert "stale" in err


def test_damaged_index_is_one_error(folder, index):
    content = index.read_bytes()
    for data in (b"", content[:-20], content[:100], b"x" * 100):
        index.write_bytes(data)
        with pytest.raises(InputError):
            open_index(index).find(1000)
    broken = folder / "snid_index.csv.gz"
    for data in (b"", broken.read_bytes()[:40], gzip.compress(b"a,b\n1,2\n")):
        broken.write_bytes(data)
        with pytest.raises(InputError):
            open_index(broken).find(1000)


def test_existing_index_is_replaced_only_when_asked(folder, index, run):
    assert run("index", folder)[0] == 1
    assert run("index", folder, "--overwrite")[0] == 0
    assert run("index", folder / "nowhere")[0] == 1
