from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from sdssfiles import rows_of, write_goodspec, write_spec

from sdss_spectra import survey
from sdss_spectra.files import find_files


@pytest.fixture
def data(tmp_path):
    """A file of three rows between two spec files, in the order of their paths."""
    write_spec(tmp_path / "data" / "a.fits")
    write_goodspec(tmp_path / "data" / "b.fits")
    write_spec(tmp_path / "data" / "c.fits", seed=2)
    return tmp_path / "data"


@pytest.fixture
def large_from(monkeypatch):
    """Sets the size in bytes above which a file is read row by row."""
    return lambda size: monkeypatch.setattr(survey, "LARGE_BYTES", size)


def spec_ids(path):
    return [row["spec_id"] for row in rows_of(path)]


def test_rows_of_a_large_file_are_handed_on_before_the_next_is_read(data, large_from):
    large_from(0)
    events = []

    def function(spectrum, spec_id, path):
        events.append(("read", spec_id))
        return spec_id

    account = survey.Account()
    survey.each_spectrum(
        find_files(data),
        function,
        account,
        consume=lambda spec_id: events.append(("used", spec_id)),
    )
    order = ["a", "b-00000", "b-00001", "b-00002", "c"]
    assert events == [(what, name) for name in order for what in ("read", "used")]
    assert (account.num_files, account.num_spectra) == (3, 5)


@pytest.mark.parametrize("workers", [1, 2])
def test_streaming_writes_the_same_tables(data, large_from, tmp_path, run, workers):
    run("preprocess", data, "-o", tmp_path / "whole.parquet")
    run("manifest", data, "-o", tmp_path / "whole.csv", "--created-at", "2024-01-15")
    large_from((data / "a.fits").stat().st_size)  # b.fits is larger: rows; the others: whole
    assert (data / "b.fits").stat().st_size > (data / "a.fits").stat().st_size
    words = ("--workers", workers)
    run("preprocess", data, "-o", tmp_path / "rows.parquet", *words)
    run("manifest", data, "-o", tmp_path / "rows.csv", "--created-at", "2024-01-15", *words)
    assert (tmp_path / "rows.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    whole, rows = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "rows"))
    assert whole.equals(rows)


def test_rows_before_a_damaged_one_stay_and_the_failure_says_so(data, large_from, tmp_path, run):
    with fits.open(data / "b.fits", mode="update") as file:
        file[1].data["WAVE"][2, 5] = 1.0
    large_from((data / "a.fits").stat().st_size)
    status, _, _ = run("metadata", data, "-o", tmp_path / "m.csv")
    assert status == 3
    assert spec_ids(tmp_path / "m.csv") == ["a", "b-00000", "b-00001", "c"]
    (line,) = (tmp_path / "failures.jsonl").read_text().splitlines()
    failure = json.loads(line)
    assert failure["path"].endswith("b.fits")
    assert "row 2: WAVE does not increase; 2 spectra before that were used" in failure["reason"]


def test_a_small_file_with_a_damaged_row_is_skipped_as_a_whole(data, tmp_path, run):
    with fits.open(data / "b.fits", mode="update") as file:
        file[1].data["WAVE"][2, 5] = 1.0
    status, _, _ = run("metadata", data, "-o", tmp_path / "m.csv")
    assert status == 3
    assert spec_ids(tmp_path / "m.csv") == ["a", "c"]
