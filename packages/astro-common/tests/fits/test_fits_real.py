"""Real survey files, read whole and compared with astropy, column by column."""

from __future__ import annotations

import gzip
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from astro_common.fits import FitsTable, open_fits

pytestmark = pytest.mark.real

FOLDERS = ("surveys", "gaia", "sdss", "manga", "ccd")


@pytest.fixture(scope="module")
def real_data() -> Path:
    default = Path(__file__).parents[5] / "shared" / "data"
    folder = Path(os.environ.get("ASTRO_REAL_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real survey files at {folder}; set ASTRO_REAL_DATA to their folder")
    return folder


def is_fits(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(6) == b"SIMPLE" or ".fits.gz" in path.name.lower()


def fits_files(folder: Path) -> list[Path]:
    paths = (path for name in FOLDERS for path in sorted((folder / name).rglob("*")))
    return [path for path in paths if is_fits(path)]


def content(path: Path) -> io.BytesIO:
    # astropy decompresses a gzip file anew for every HDU; here it does not matter how it is read.
    data = path.read_bytes()
    return io.BytesIO(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


def expected_tables(path: Path) -> Iterator[tuple[int, Table, fits.ColDefs]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd units and cards
        # tsObj writes TZERO as a float, which astropy cannot add to unsigned integers.
        unsigned = "tsObj" not in path.name
        with fits.open(content(path), uint=unsigned, disable_image_compression=True) as hdus:
            for index, hdu in enumerate(hdus):
                if isinstance(hdu, fits.BinTableHDU) and not hdu.header.get("ZIMAGE", False):
                    yield index, Table.read(hdu, mask_invalid=False), hdu.columns


def assert_same_column(ours: pa.ChunkedArray, theirs: Any, label: str) -> None:
    if isinstance(theirs, np.ndarray) and theirs.dtype == object:
        assert len(ours) == len(theirs), label
        for row, values in enumerate(theirs):
            np.testing.assert_array_equal(np.asarray(ours[row].as_py()), values, err_msg=label)
        return
    mask = np.ma.getmaskarray(np.ma.asarray(theirs)).reshape(-1)
    values = np.ma.getdata(np.ma.asarray(theirs)).reshape(-1)
    flat = ours.combine_chunks()
    while pa.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    if values.dtype.kind in "SU":
        text = np.char.rstrip(values.astype("U") if values.dtype.kind == "U" else
                              np.char.decode(values, "latin-1"))  # fmt: skip
        found = flat.to_pylist()
        if len(found) != len(text):
            # LDAC keeps the cards of an image in one cell; astropy leaves them unsplit in some.
            found = ["".join(card.ljust(80) for card in found).rstrip()]
        assert found == text.tolist(), label
        return
    if values.dtype.kind == "c":
        values = values.view(values.real.dtype)
    np.testing.assert_array_equal(pc.is_null(flat).to_numpy(zero_copy_only=False), mask, label)
    kept = ~mask
    found = flat.drop_null().to_numpy(zero_copy_only=False)
    np.testing.assert_array_equal(found, values[kept], label)
    # astropy makes float64 of bytes with TZERO = -128, and of unsigned integers in tsObj.
    if values.dtype.kind != "f" or found.dtype.kind == "f":
        assert found.dtype == values.dtype.newbyteorder("="), label


def test_every_table_reads_as_astropy_reads_it(real_data: Path) -> None:
    compared = 0
    for path in fits_files(real_data):
        with open_fits(path) as file:
            for index, expected, definitions in expected_tables(path):
                table = file.table(index)
                assert isinstance(table, FitsTable)
                ours = table.read()
                assert ours.num_rows == len(expected)
                assert ours.column_names == definitions.names
                for name, definition in zip(definitions.names, definitions, strict=True):
                    label = f"{path.name}[{index}] {name}"
                    assert_same_column(ours.column(name), expected[name].data, label)
                    metadata = ours.schema.field(name).metadata or {}
                    assert metadata.get(b"unit", b"").decode() == (definition.unit or ""), label
                    compared += 1
    assert compared > 2000


def assert_same_pixels(ours: np.ndarray, theirs: np.ndarray, rtol: float, label: str) -> None:
    if rtol:
        np.testing.assert_allclose(ours, theirs, rtol, 0, err_msg=label)
    else:
        assert np.array_equal(ours, theirs, equal_nan=theirs.dtype.kind == "f"), label


def test_every_image_reads_as_astropy_reads_it(real_data: Path) -> None:
    compared = 0
    for path in fits_files(real_data):
        with (
            warnings.catch_warnings(action="ignore"),
            fits.open(content(path)) as hdus,
            open_fits(path) as file,
        ):
            for info in file.hdus:
                if info.kind not in ("image", "compressed_image"):
                    continue
                image = file.image(info.index)
                expected = hdus[info.index].data
                assert image.shape == expected.shape
                assert image.dtype == expected.dtype.newbyteorder("=")
                # astropy scales 16-bit integers in single precision, we do in double.
                rtol = 1e-6 if info.header.get("BSCALE", 1) != 1 else 0
                label = f"{path.name}[{info.index}]"
                assert_same_pixels(image.read(), expected, rtol, label)
                middle = slice(image.shape[0] // 3, image.shape[0] // 3 + 2)
                assert_same_pixels(image.read(middle), expected[middle], rtol, label)
                compared += 1
    assert compared > 300


def test_the_header_of_a_compressed_brick_gives_its_world_coordinates(real_data: Path) -> None:
    path = real_data / "surveys/image/legacysurvey-0959p805-image-g.fits.fz"
    with open_fits(path) as file:
        header = file.header(1)
        image = file.image()
    assert (header["NAXIS1"], header["NAXIS2"]) == image.shape[::-1] == (3600, 3600)
    # The name of a Legacy Survey brick is the right ascension and declination of its centre.
    ra_deg, dec_deg = WCS(header).all_pix2world(1799.5, 1799.5, 0)
    assert ra_deg == pytest.approx(95.9, abs=0.1)
    assert dec_deg == pytest.approx(80.5, abs=0.05)
