from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.time import Time

from cfht_iqa.labels import read_labels
from cfht_iqa.ldac.nights import night_of
from cfht_iqa.leakage import audit_features
from cfht_iqa.splits import assign_splits


def read_csv(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_text(run, tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("# comment\n1625632p GOOD\n\n1778985p RBT, BT\n1013974p\tBGP\n")
    assert run("label", path, "--output", tmp_path / "l.csv")[0] == 0
    assert read_csv(tmp_path / "l.csv") == [
        {"exposure": "1625632p", "label": "GOOD", "labels": "GOOD"},
        {"exposure": "1778985p", "label": "RBT", "labels": "RBT;BT"},
        {"exposure": "1013974p", "label": "BGP", "labels": "BGP"},
    ]
    again = tmp_path / "again.csv"
    assert run("label", tmp_path / "l.csv", "--output", again)[0] == 0
    assert again.read_text() == (tmp_path / "l.csv").read_text()


@pytest.mark.parametrize(
    "annotations",
    [
        {"1": "RBT, BT", "2": "GOOD"},
        [
            {"image_id": 1, "category_id": 5},
            {"image_id": 1, "category_id": 4},
            {"image_id": 2, "category_id": 1},
        ],
    ],
)
def test_coco(tmp_path, annotations):
    names = ["GOOD", "B_SEEING", "BGP", "BT", "RBT"]
    content = {
        "info": {},
        "images": [{"id": 1, "file_name": "10p.fits.fz"}, {"id": 2, "file_name": "20p.fits"}],
        "categories": [{"id": k, "name": name} for k, name in enumerate(names, start=1)],
        "annotations": annotations,
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    assert read_labels([path]) == {"10p": ("RBT", "BT"), "20p": ("GOOD",)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1p GREAT\n", "line 1: label 'GREAT'"),
        ("1p GOOD\n1p BT\n", "1p is BT, and GOOD before"),
        ("1p\n", "line 1: no label"),
        ("", "no label"),
        ("{broken", "no labels"),
        ('{"annotations": 5}', "no labels"),
        ("exposure,label\n,GOOD\n", "line 2: no exposure"),
    ],
)
def test_bad_labels_are_one_line(run, tmp_path, text, said):
    path = tmp_path / "labels.txt"
    path.write_text(text)
    status, _, err = run("label", path, "--output", tmp_path / "l.csv")
    assert status == 1
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "l.csv").exists()


def make_catalogue(path, exposures, **columns):
    n = len(exposures)
    table = {
        "exposure": exposures,
        "ccd": ["ccd00"] * n,
        "iso0": list(range(n)),
        "runid": ["r"] * n,
    }
    pq.write_table(pa.table(table | columns), path)
    return path


def test_leaking_feature_ends_the_run(run, tmp_path):
    exposures = [name for name in "abcdef" for _ in range(10)]
    times = [60.0 + ord(name) for name in exposures]
    catalogue = make_catalogue(tmp_path / "c.parquet", exposures, exptime_s=times)
    (tmp_path / "l.txt").write_text("".join(f"{name} GOOD\n" for name in "abcdef"))
    words = ["--catalogue", catalogue, "--labels", tmp_path / "l.txt", "--output"]
    out = tmp_path / "s.csv"
    status, _, err = run("split", *words, out, "--features", "iso0,exptime_s")
    assert status == 1
    assert "exptime_s" in err
    assert not out.exists()
    assert run("split", *words, out, "--features", "iso0")[0] == 0
    assert {row["split"] for row in read_csv(out)} == {"train", "validation", "test"}
    # Shared by two exposures, it does not tell which.
    shared = [60.0 if name in "ab" else value for name, value in zip(exposures, times, strict=True)]
    make_catalogue(catalogue, exposures, exptime_s=shared)
    status, _, err = run("split", *words, out, "--features", "iso0,exptime_s", "--overwrite")
    assert status == 0
    assert "unique to 4 of 6" in err


def test_audit_sees_missing_values_and_late_changes(tmp_path):
    exposures = ["a"] * 4 + ["b"] * 4
    path = make_catalogue(
        tmp_path / "c.parquet",
        exposures,
        nulls=[None] * 4 + [1.0] * 4,
        late=[1.0] * 4 + [2.0, 2.0, 2.0, 3.0],
    )
    nulls, late, name = audit_features(path, ["nulls", "late", "exposure"])
    assert nulls.identifies
    assert not late.identifies
    assert name.identifies


def test_labels_of_unknown_exposures(run, run_json, tmp_path):
    catalogue = make_catalogue(tmp_path / "c.parquet", ["a", "b", "b", "c", "d"])
    (tmp_path / "l.txt").write_text("a GOOD\nb GOOD\nc BT\nzzz BT\n")
    words = ["--catalogue", catalogue, "--labels", tmp_path / "l.txt", "--features", "iso0"]
    status, result = run_json("split", *words, "--output", tmp_path / "s.csv")
    assert status == 3
    assert (result["unknown"], result["unlabelled"]) == (["zzz"], ["d"])
    assert {row["exposure"] for row in read_csv(tmp_path / "s.csv")} == {"a", "b", "c"}
    assert json.loads((tmp_path / "failures.jsonl").read_text())["exposure"] == "zzz"


def test_splits_are_by_exposure_and_class():
    classes = {f"{name}{k}": name for name in ("GOOD", "BT", "RBT") for k in range(10)}
    splits = assign_splits(classes, {name: name for name in classes}, seed=3)
    counts = Counter((classes[name], split) for name, split in splits.items())
    for name in ("GOOD", "BT", "RBT"):
        shares = [counts[name, split] for split in ("train", "validation", "test")]
        assert shares == [6, 2, 2]
    other = assign_splits(classes, {name: name for name in classes}, seed=4)
    assert other != splits
    assert assign_splits(classes, {name: name for name in classes}, seed=3) == splits


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_few_exposures_are_spread(count, expected):
    classes = {str(k): "BT" for k in range(count)}
    splits = assign_splits(classes, {name: name for name in classes})
    assert len(set(splits.values())) == expected
    assert "train" in splits.values()


def test_runs_stay_together(run, tmp_path):
    exposures = [f"e{k}" for k in range(40)]
    runs = [f"run{k % 8}" for k in range(40)]
    catalogue = make_catalogue(tmp_path / "c.parquet", exposures * 2, runid=runs * 2)
    (tmp_path / "l.txt").write_text("".join(f"{name} GOOD\n" for name in exposures))
    words = ["--catalogue", catalogue, "--labels", tmp_path / "l.txt", "--features", "iso0"]
    assert run("split", *words, "--output", tmp_path / "s.csv", "--group", "run")[0] == 0
    where = {}
    for row in read_csv(tmp_path / "s.csv"):
        where.setdefault(runs[exposures.index(row["exposure"])], set()).add(row["split"])
    assert all(len(found) == 1 for found in where.values())
    assert len(set.union(*where.values())) == 3


@pytest.mark.parametrize(
    ("header", "night"),
    [
        # 8 h UTC is 22 h of the day before in Hawaii; noon there is 22 h UTC.
        ({"MJD-OBS": 52935.333}, "2003-10-22"),
        ({"MJD-OBS": 52935.92}, "2003-10-23"),
        ({"DATE-OBS": "2003-10-23", "UTC-OBS": "08:00:00.00"}, "2003-10-22"),
        ({"DATE-OBS": "2003-10-23T23:30:00"}, "2003-10-23"),
        # A date alone is of either of two nights.
        ({"DATE-OBS": "2003-10-23"}, None),
        ({"DATE-OBS": "2003-13-23", "UTC-OBS": "08:00:00"}, None),
        ({"MJD-OBS": True}, None),
        ({}, None),
    ],
)
def test_night(header, night):
    assert night_of(header) == night


def test_night_is_that_of_astropy():
    rng = np.random.default_rng(2)
    for mjd in rng.uniform(50000.0, 60000.0, 50):
        local_noon = Time(mjd - (10.0 + 12.0) / 24.0, format="mjd")
        assert night_of({"MJD-OBS": float(mjd)}) == local_noon.isot[:10]


@pytest.mark.parametrize("layout", ["fits-ldac", "fits-1.0"])
def test_nights_stay_together(run, chain, tmp_path, layout):
    words = ["--output", tmp_path / "cat", "--format", layout]
    assert run("extract", *chain.exposures, *words)[0] == 0
    out, splits = tmp_path / "c.parquet", tmp_path / "s.csv"
    assert run("catalogue", *sorted((tmp_path / "cat").glob("*.fits")), "--output", out)[0] == 0
    words = ["--catalogue", out, "--labels", chain.labels, "--output", splits]
    assert run("split", *words, "--group", "night")[0] == 0
    where = {}
    for row in read_csv(splits):
        with fits.open(chain.folder / "mock" / f"{row['exposure']}.fits") as file:
            where.setdefault(int(file[0].header["MJD-OBS"]), set()).add(row["split"])
    assert len(where) == 4
    assert all(len(found) == 1 for found in where.values())
    assert set.union(*where.values()) == {"train", "validation", "test"}


def test_unknown_nights_are_not_made_up(run, tmp_path):
    catalogue = make_catalogue(tmp_path / "c.parquet", ["a", "b", "c"] * 5)
    (tmp_path / "l.txt").write_text("a GOOD\nb GOOD\nc BT\n")
    words = ["--catalogue", catalogue, "--labels", tmp_path / "l.txt", "--features", "iso0"]
    status, _, err = run("split", *words, "--output", tmp_path / "s.csv", "--group", "night")
    assert status == 1
    assert "MJD-OBS" in err
    assert not (tmp_path / "s.csv").exists()
