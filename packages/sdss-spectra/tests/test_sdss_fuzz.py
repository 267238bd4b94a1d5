"""Hundreds of damaged spectra: each is read as what it says, or listed and skipped."""

from __future__ import annotations

import csv
import gzip
import json

import numpy as np
import pytest
from sdssfiles import write_goodspec, write_image, write_spec, write_spspec

from astro_common.testing import damaged

TRIALS = 80
LINEAR = {"CRVAL1": 4000.0, "CD1_1": 1.5, "CRPIX1": 1.0, "DC-FLAG": 0}


def packed(path):
    target = path.with_name(path.name + ".gz")
    target.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()
    return target


def spec(folder):
    return write_spec(folder / "spec-0266-51602-0001.fits")


def compressed_spec(folder):
    return packed(write_spec(folder / "spec-0266-51602-0001.fits"))


def spspec(folder):
    return write_spspec(folder / "spSpec-51602-0266-001.fit")


def goodspec(folder):
    path = folder / "mastar-goodspec.fits"
    write_goodspec(path)
    return path


def image(folder):
    return write_image(folder / "star.fits", LINEAR)


@pytest.mark.parametrize("verb", ["metadata", "preprocess"])
@pytest.mark.parametrize("write", [spec, compressed_spec, spspec, goodspec, image])
def test_damaged_spectra_are_listed_or_read(write, verb, run, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    path = write(data)
    content = path.read_bytes()
    output, failures = tmp_path / "out.csv", tmp_path / "failures.jsonl"
    if verb == "preprocess":
        output = output.with_suffix(".parquet")
    rng = np.random.default_rng([len(content), len(verb)])
    refused = 0
    for _ in range(TRIALS // 2):
        path.write_bytes(damaged(content, rng))
        status, _, err = run(verb, data, "-o", output, "--overwrite", "-q")
        assert status in (0, 3), err
        if status == 3:
            refused += 1
            (failure,) = map(json.loads, failures.read_text().splitlines())
            assert failure["path"].endswith(path.name)
            assert "\n" not in failure["reason"]
        elif verb == "metadata":
            with output.open(newline="") as table:
                assert list(csv.DictReader(table))
    assert 5 < refused < TRIALS // 2
