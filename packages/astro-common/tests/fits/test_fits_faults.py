"""Hundreds of damaged files: each is refused in one line or read in the shape that it claims."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

COUNT = 120


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    rng = np.random.default_rng(1)
    columns = [
        fits.Column("id", "K", array=rng.integers(1 << 60, 1 << 62, 20), null=-1),
        fits.Column("name", "6A", array=[f"s{i}" for i in range(20)]),
        fits.Column("names", "12A", dim="(4,3)", array=np.full((20, 3), "ab")),
        fits.Column("flux", "3E", array=rng.normal(size=(20, 3)), unit="Jy"),
        fits.Column("good", "L", array=rng.random(20) < 0.5),
        fits.Column("bits", "11X", array=rng.random((20, 11)) < 0.5),
        fits.Column("count", "J", array=rng.integers(0, 99, 20).astype("u4"), bzero=1 << 31),
        fits.Column("scaled", "E", array=rng.normal(size=20), bscale=0.01, bzero=1.5),
        fits.Column("phase", "C", array=rng.normal(size=20) + 1j),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="STARS")
    table.writeto(folder / "table.fits")
    image = fits.ImageHDU(rng.normal(size=(9, 11)).astype("f4"), name="SCI")
    fits.HDUList([fits.PrimaryHDU(), table, image]).writeto(folder / "both.fits")
    (folder / "both.fits.gz").write_bytes(gzip.compress((folder / "both.fits").read_bytes()))
    arrays = np.array([rng.normal(size=n % 7) for n in range(20)], dtype=object)
    text = np.array([f"name {'x' * n}" for n in range(20)], dtype=object)
    lists = [fits.Column("curve", "PD()", array=arrays), fits.Column("text", "QA()", array=text)]
    fits.BinTableHDU.from_columns(lists).writeto(folder / "lists.fits")
    words = [
        fits.Column("n", "I6", ascii=True, array=np.arange(12)),
        fits.Column("x", "E12.4", ascii=True, array=rng.normal(size=12)),
        fits.Column("s", "A4", ascii=True, array=["abc"] * 12),
    ]
    fits.TableHDU.from_columns(words).writeto(folder / "ascii.fits")
    sky = rng.normal(100, 5, (40, 48)).astype("f4")
    sky[5:9] = np.nan
    counts = rng.integers(0, 200, (40, 48)).astype("i2")
    for name, pixels, algorithm, tile in [
        ("rice", sky, "RICE_1", (1, 48)),
        ("rice_short", counts, "RICE_1", (10, 24)),
        ("gzip", sky, "GZIP_2", (10, 24)),
        ("hcompress", counts, "HCOMPRESS_1", (10, 24)),
        ("plio", np.where(counts < 150, 0, counts), "PLIO_1", (10, 24)),
    ]:
        hdu = fits.CompImageHDU(
            pixels, compression_type=algorithm, tile_shape=tile, quantize_method=1, dither_seed=3
        )
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(folder / f"{name}.fits.fz")
    return folder


@pytest.mark.parametrize("seed", [1])
def test_damaged_files_are_refused_or_read(originals: Path, seed: int) -> None:
    # In a process of its own, whose memory is limited, and which a crash would end.
    script = Path(__file__).with_name("read_mutants.py")
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(script), str(originals), str(seed), str(COUNT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    report = json.loads(run.stdout)
    assert report["wrong"] == []
    assert len(report["read"]) == 10
    for name, read in report["read"].items():
        assert read + report["refused"][name] == COUNT
        # The mutations bite, and not every one: otherwise this tests one path alone.
        assert COUNT / 10 < read < COUNT * 9 / 10, name
