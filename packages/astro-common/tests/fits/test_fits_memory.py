"""Reading part of a file costs memory for that part, whatever the size of the file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WriteRaw = Callable[..., Path]

# Peak resident memory before and after the reading, in a process that does nothing else.
MEASURE = """
import json, resource, sys
import numpy as np
from astro_common.fits import open_fits

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

path, what = sys.argv[1:]
with open_fits(path) as file:
    if what == "image":
        image = file.image()
        image.read(slice(0, 1))
        before = peak()
        for first in range(0, image.shape[0], 64):
            image.read(slice(first, first + 64))
        count = image.shape[0]
    elif what == "texts":
        table = file.table()
        table.read(rows=[0])
        before = peak()
        count = table.read().num_rows
    else:
        table = file.table()
        columns = ["c2", "c5"]
        table.read(columns, [0])
        before = peak()
        rows = None
        if what == "scattered":
            rows = np.random.default_rng(1).integers(0, table.num_rows, 100_000)
        count = table.read(columns, rows).num_rows
print(json.dumps({"count": count, "grown": peak() - before}))
"""


def grown_bytes(path: Path, what: str) -> tuple[int, int]:
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), what],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(run.stdout)
    return report["grown"], report["count"]


@pytest.fixture
def large_table(write_raw: WriteRaw, primary: dict[str, Any]) -> Path:
    """A sparse table of 410 MB: 100,000 rows of 4,097 bytes, as allStar has."""
    row_bytes, n_rows = 4097, 100_000
    forms = ["2000B", "K", "900B", "1180B", "E", "B"]
    keywords = {
        "XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": row_bytes, "NAXIS2": 1,
        "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": len(forms),
    }  # fmt: skip
    for number, form in enumerate(forms, 1):
        keywords |= {f"TTYPE{number}": f"c{number}", f"TFORM{number}": form}
    keywords["TFORM4"] = f"{row_bytes - 2000 - 8 - 900 - 4 - 1}B"
    path = write_raw((primary, b""), (keywords | {"NAXIS2": n_rows}, b""))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size + -(-row_bytes * n_rows // 2880) * 2880)
    return path


@pytest.mark.parametrize(("what", "n_rows"), [("whole", 100_000), ("scattered", 100_000)])
def test_two_columns_of_a_large_table(large_table: Path, what: str, n_rows: int) -> None:
    assert large_table.stat().st_size > 400_000_000
    grown, count = grown_bytes(large_table, what)
    assert count == n_rows
    # The result is 12 bytes per row; beside it stand a block of 8 MiB and a few arrays of rows.
    assert grown < 40 << 20


def test_a_column_of_texts_padded_with_nul(write_raw: WriteRaw, primary: dict[str, Any]) -> None:
    # As astropy pads them. The column takes 40 MB, of which every byte is padding.
    row_bytes, n_rows = 20, 2_000_000
    keywords = {
        "XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": row_bytes, "NAXIS2": n_rows,
        "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": 1, "TTYPE1": "name", "TFORM1": f"{row_bytes}A",
    }  # fmt: skip
    path = write_raw((primary, b""), (keywords, b""))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size + row_bytes * n_rows)
    grown, count = grown_bytes(path, "texts")
    assert count == n_rows
    # Beside the column stand lengths and offsets of 20 bytes per row, and one slice of the texts.
    assert grown < 220 << 20


def test_strips_of_a_large_image(write_raw: WriteRaw) -> None:
    header = {"SIMPLE": True, "BITPIX": 16, "NAXIS": 2, "NAXIS1": 12_000, "NAXIS2": 12_000}
    path = write_raw((header | {"BZERO": 32768, "BSCALE": 1}, b""))
    with path.open("r+b") as file:
        file.truncate(2880 + 288_000_000)
    grown, count = grown_bytes(path, "image")
    assert count == 12_000
    assert grown < 40 << 20
