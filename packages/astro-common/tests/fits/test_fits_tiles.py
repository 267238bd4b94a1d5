from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from astro_common.errors import InputError
from astro_common.fits import open_fits, read_image
from astro_common.fits.content import Content
from astro_common.fits.heap import Heap

WriteRaw = Callable[..., Path]

SHAPE = (50, 60)


def pixels(dtype: str, *, nan: bool = False, mask: bool = False) -> np.ndarray:
    rng = np.random.default_rng(11)
    values = rng.normal(100, 10, SHAPE)
    if mask:
        values[rng.random(SHAPE) < 0.7] = 0
    values[30] = 0
    image = values.astype(dtype)
    if nan:
        image[3:9, 5:40] = np.nan
        image[20] = np.nan
    return image


def compress(path: Path, image: np.ndarray, algorithm: str, **options: Any) -> Path:
    hdu = fits.CompImageHDU(image, compression_type=algorithm, **options)
    with warnings.catch_warnings(action="ignore"):  # of 64-bit integers stored in 32 bits
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)
    return path


def assert_reads_as(path: Path, expected: np.ndarray) -> None:
    with open_fits(path) as file:
        image = file.image()
        assert image.shape == expected.shape
        assert image.dtype == expected.dtype.newbyteorder("=")
        height = expected.shape[0]
        for rows in (slice(None), slice(7, 31), slice(height - 3, None), slice(40, 2, -5),
                     [height - 1, 0, 17, 17], []):  # fmt: skip
            found = image.read(rows)
            assert found.dtype.isnative
            assert found.flags.c_contiguous
            wanted = expected[rows] if rows != [] else expected[:0]
            np.testing.assert_array_equal(found, wanted)


def oracle(path: Path) -> np.ndarray:
    with fits.open(path) as hdus:
        return np.array(hdus[1].data)


@pytest.mark.parametrize("tile", [None, (10, 12), (7, 60), (13, 17), SHAPE])
@pytest.mark.parametrize("algorithm", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"])
def test_integers_of_every_algorithm(
    tmp_path: Path, algorithm: str, tile: tuple[int, int] | None
) -> None:
    if algorithm == "HCOMPRESS_1" and tile in (None, (7, 60), (13, 17)):
        tile = (10, 30)  # its tiles have at least 4 pixels in each direction
    options = {} if tile is None else {"tile_shape": tile}
    dtypes = ["u1", "i2", "i4", "u2", "u4"] + ["i8"] * algorithm.startswith("GZIP")
    for dtype in dtypes[:3] if algorithm == "PLIO_1" else dtypes:
        image = pixels(dtype, mask=algorithm == "PLIO_1")
        path = compress(tmp_path / "image.fits.fz", image, algorithm, **options)
        assert_reads_as(path, image)


@pytest.mark.parametrize("algorithm", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1"])
def test_quantized_floats(tmp_path: Path, algorithm: str) -> None:
    for method, dtype, nan in itertools.product((-1, 1, 2), ("f4", "f8"), (False, True)):
        image = pixels(dtype, nan=nan)
        path = compress(
            tmp_path / "image.fits.fz", image, algorithm,
            tile_shape=(10, 30), quantize_level=16, quantize_method=method, dither_seed=9999,
        )  # fmt: skip
        expected = oracle(path)
        np.testing.assert_array_equal(np.isnan(expected), np.isnan(image))
        np.testing.assert_allclose(expected, image, atol=2)
        assert_reads_as(path, expected)
        if method == 2:
            assert not expected[30].any()


@pytest.mark.parametrize("algorithm", ["GZIP_1", "GZIP_2"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_without_loss(tmp_path: Path, algorithm: str, dtype: str) -> None:
    image = pixels(dtype, nan=True)
    path = compress(tmp_path / "image.fits.fz", image, algorithm, quantize_level=0.0)
    assert_reads_as(path, image)


def test_tiles_that_did_not_quantize(tmp_path: Path) -> None:
    # Noise of enormous range is kept as gzip beside the Rice tiles.
    image = pixels("f4")
    image[10:20] = np.random.default_rng(1).normal(size=(10, 60)) * 10.0 ** np.arange(-30, 30)
    path = compress(tmp_path / "image.fits.fz", image, "RICE_1", tile_shape=(5, 60))
    with fits.open(path, disable_image_compression=True) as hdus:
        assert hdus[1].data["COMPRESSED_DATA"][2].size == 0
    assert_reads_as(path, oracle(path))


@pytest.mark.parametrize("shape", [(40,), (6, 20, 30), (3, 2, 10, 12)])
def test_other_numbers_of_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(5).integers(0, 999, shape).astype("i4")
    path = compress(tmp_path / "cube.fits.fz", image, "RICE_1")
    np.testing.assert_array_equal(read_image(path), image)
    with open_fits(path) as file:
        np.testing.assert_array_equal(file.image().read(slice(1, 3)), image[1:3])


@pytest.mark.parametrize("algorithm", ["RICE", "GZIP", "GZIP_2", "HCOMPRESS", "PLIO"])
@pytest.mark.parametrize("dtype", ["i2", "i4", "f4"])
def test_what_cfitsio_writes(tmp_path: Path, algorithm: str, dtype: str) -> None:
    if dtype == "f4" and algorithm == "PLIO":
        dtype = "u1"
    image = pixels(dtype, mask=algorithm == "PLIO")
    path = tmp_path / "cfitsio.fits.fz"
    dims = [10, 30]
    quantize = {"qlevel": 4, "qmethod": "SUBTRACTIVE_DITHER_1", "dither_seed": 5}
    with fitsio.FITS(str(path), "rw") as file:
        file.write(image, compress=algorithm, tile_dims=dims, **quantize if dtype == "f4" else {})
    with fitsio.FITS(str(path)) as file:
        expected = file[1].read()
    assert_reads_as(path, expected)


@pytest.mark.parametrize("smooth", [False, True])
def test_lossy_hcompress(tmp_path: Path, smooth: bool) -> None:
    y, x = np.mgrid[:50, :60]
    image = (5000 * np.exp(-((x - 30) ** 2 + (y - 20) ** 2) / 200)).astype("i4")
    path = compress(
        tmp_path / "lossy.fits.fz", image, "HCOMPRESS_1",
        tile_shape=(25, 30), hcomp_scale=20, hcomp_smooth=int(smooth),
    )  # fmt: skip
    expected = oracle(path)
    assert 0 < np.abs(expected - image).max() < 100
    assert_reads_as(path, expected)


def test_tiles_that_are_not_compressed(tmp_path: Path) -> None:
    for dtype in ("u1", "i2", "i4"):
        path = compress(tmp_path / "plain.fits.fz", pixels(dtype), "NOCOMPRESS")
        assert_reads_as(path, pixels(dtype))
    path = compress(tmp_path / "plain.fits.fz", pixels("f4"), "NOCOMPRESS", quantize_level=0.0)
    assert_reads_as(path, pixels("f4"))


def test_blank_integers_become_nan(tmp_path: Path) -> None:
    image = pixels("i2")
    image[4, 7] = -32768
    hdu = fits.CompImageHDU(image, compression_type="RICE_1")
    hdu.header["BLANK"] = -32768
    path = tmp_path / "blank.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    expected = image.astype("f4")
    expected[4, 7] = np.nan
    assert_reads_as(path, expected)


def test_scaled_integers(tmp_path: Path) -> None:
    hdu = fits.CompImageHDU(pixels("i2"), compression_type="GZIP_1")
    hdu.header["BSCALE"] = 0.5
    hdu.header["BZERO"] = 3.0
    path = tmp_path / "scaled.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    expected = pixels("i2").astype("f4") * 0.5 + 3
    np.testing.assert_array_equal(oracle(path), expected)
    assert_reads_as(path, expected)


def test_the_header_is_that_of_the_image(tmp_path: Path) -> None:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [10.0, -30.0]
    wcs.wcs.cdelt = [-1.5e-4, 1.5e-4]
    header = wcs.to_header()
    header["OBJECT"] = ("field", "what was observed")
    header["HISTORY"] = "stacked"
    hdu = fits.CompImageHDU(pixels("f4"), header, compression_type="RICE_1", name="SCI")
    path = tmp_path / "image.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    with open_fits(path) as file:
        assert file.hdus[1].header["ZCMPTYPE"] == "RICE_1"
        for read in (file.header("sci"), file.image().header):
            assert (read["BITPIX"], read["NAXIS1"], read["NAXIS2"]) == (-32, 60, 50)
            assert read.comments["OBJECT"] == "what was observed"
            assert list(read["HISTORY"]) == ["stacked"]
            assert not [key for key in read if key.startswith(("Z", "TFORM", "TFIELDS"))]
            assert WCS(read).wcs == WCS(header).wcs


def test_a_strip_reads_the_bytes_of_its_tiles_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(1).integers(0, 99999, (2000, 300)).astype("i4")
    path = compress(tmp_path / "image.fits.fz", image, "RICE_1", tile_shape=(100, 100))
    wanted: list[int] = []
    decoded: list[int] = []
    original = Content.read_into
    gather = Heap.gather

    def read_into(self: Content, offset: int, buffer: memoryview) -> None:
        wanted.append(len(buffer))
        original(self, offset, buffer)

    def count(self: Heap, sizes: Any, offsets: Any, guard: int = 0) -> Any:
        decoded.append(len(sizes))
        return gather(self, sizes, offsets, guard)

    with open_fits(path) as file:
        reader = file.image()
        assert reader.strip_rows == 100
        monkeypatch.setattr(Content, "read_into", read_into)
        monkeypatch.setattr(Heap, "gather", count)
        np.testing.assert_array_equal(reader.read(slice(950, 1010)), image[950:1010])
    assert decoded == [6]
    assert sum(wanted) < path.stat().st_size / 8


@pytest.fixture
def tiled(tmp_path: Path) -> Path:
    options = {"tile_shape": (10, 30), "quantize_method": 1, "dither_seed": 5}
    return compress(tmp_path / "tiled.fits.fz", pixels("f4", nan=True), "RICE_1", **options)


def edit(path: Path, **keywords: Any) -> Path:
    """Change cards in the second header without touching anything else."""
    content = bytearray(path.read_bytes())
    for keyword, value in keywords.items():
        start = content.index(keyword.ljust(8).encode() + b"=", 2880)
        text = f"'{value:8}'" if isinstance(value, str) else str(value).rjust(20)
        content[start : start + 80] = f"{keyword:8}= {text}".ljust(80).encode()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"ZNAXIS1": 1 << 60}, "10 tiles in the table; expected"),
        ({"ZNAXIS2": 1 << 60}, "10 tiles in the table; expected"),
        ({"ZNAXIS2": 0}, "ZNAXIS2 = 0; expected at least 1"),
        ({"ZNAXIS1": -60}, "ZNAXIS1 = -60"),
        ({"ZTILE1": 0}, "ZTILE1 = 0"),
        ({"ZTILE1": 1}, "10 tiles in the table; expected 300 tiles"),
        ({"ZNAXIS1": 1 << 20, "ZTILE1": 1 << 19, "ZNAXIS2": 5 << 20, "ZTILE2": 1 << 20},
         "pixels; expected at most 134217728"),
        ({"ZNAXIS1": 20_000, "ZTILE1": 10_000, "ZNAXIS2": 50_000, "ZTILE2": 10_000},
         "bytes for 1000000000 pixels; expected at most"),
        ({"ZNAXIS": 0}, "ZNAXIS = 0"),
        ({"ZNAXIS": 10}, "ZNAXIS = 10; expected at most 9"),
        ({"ZNAXIS": 3}, "no keyword ZNAXIS3"),
        ({"ZBITPIX": 7}, "ZBITPIX = 7; expected one of"),
        ({"ZCMPTYPE": "ZIP"}, "ZCMPTYPE = 'ZIP'; expected one of"),
        ({"ZQUANTIZ": "MAYBE"}, "ZQUANTIZ = 'MAYBE'; expected one of"),
        ({"ZDITHER0": 0}, "ZDITHER0 = 0; expected at least 1"),
        ({"ZVAL1": 0}, "BLOCKSIZE 0 of Rice"),
        ({"ZVAL1": -5}, "BLOCKSIZE -5 of Rice"),
        ({"ZVAL1": 1 << 40}, "BLOCKSIZE"),
        ({"ZVAL2": 8}, "BYTEPIX 8 of Rice; expected 1, 2 or 4"),
        ({"ZVAL2": "x"}, "ZVAL2 = 'x"),
        ({"ZBLANK": 1.5}, "ZBLANK = 1.5; expected an integer"),
        ({"TTYPE1": "DATA"}, "expected a column COMPRESSED_DATA"),
        ({"TTYPE1": "NULL_PIXEL_MASK"}, "expected a column COMPRESSED_DATA"),
        ({"TFORM1": "PB(9)", "TTYPE3": "ZSCALE", "TFORM3": "8B"}, "column 'ZSCALE' of type B"),
        ({"ZCMPTYPE": "HCOMPRESS_1"}, "tile 1: no H-compress stream"),
        ({"ZCMPTYPE": "GZIP_1"}, "tile 1: damaged gzip stream"),
        ({"ZCMPTYPE": "PLIO_1"}, "tile 1: line list"),
        ({"ZCMPTYPE": "NOCOMPRESS"}, "tile 1: .* bytes for 300 pixels|at most"),
        ({"ZNAXIS1": 31}, "tile 2: "),
    ],
)  # fmt: skip
def test_keywords_that_are_wrong(tiled: Path, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"tiled.fits.fz: HDU 1: .*({message})"):
        read_image(edit(tiled, **keywords))


def heap_start(path: Path) -> tuple[int, int]:
    with open_fits(path) as file:
        info = file.hdus[1]
        return info.data_offset, info.header["NAXIS1"] * info.header["NAXIS2"]


def test_a_damaged_tile_is_named_and_the_others_are_read(tiled: Path) -> None:
    # The descriptor of tile 6 (rows 20 to 29, right half) is cut to a third of its bytes.
    expected = oracle(tiled)
    offset, _ = heap_start(tiled)
    content = bytearray(tiled.read_bytes())
    with open_fits(tiled) as file:
        row_bytes = file.hdus[1].header["NAXIS1"]
    place = offset + 5 * row_bytes
    count = int.from_bytes(content[place : place + 4], "big")
    content[place : place + 4] = (count // 3).to_bytes(4, "big")
    tiled.write_bytes(content)
    with open_fits(tiled) as file:
        image = file.image()
        np.testing.assert_array_equal(image.read(slice(0, 20)), expected[:20])
        np.testing.assert_array_equal(image.read(slice(30, None)), expected[30:])
        with pytest.raises(InputError, match=r"HDU 1: tile 6: .*; expected an intact tile"):
            image.read(slice(19, 21))


def test_a_tile_outside_the_heap(tiled: Path) -> None:
    offset, _ = heap_start(tiled)
    content = bytearray(tiled.read_bytes())
    content[offset : offset + 8] = (1 << 30).to_bytes(4, "big") + bytes(4)
    tiled.write_bytes(content)
    with pytest.raises(InputError, match=f"row 0 of column 'COMPRESSED_DATA' claims {1 << 30}"):
        read_image(tiled)


def test_a_tile_of_nothing(tiled: Path) -> None:
    offset, size = heap_start(tiled)
    content = bytearray(tiled.read_bytes())
    content[offset : offset + size] = bytes(size)
    tiled.write_bytes(content)
    with pytest.raises(InputError, match="tile 1: no data"):
        read_image(tiled)


def test_a_truncated_file(tiled: Path) -> None:
    content = tiled.read_bytes()
    for size in (2880 * 2 + 5, len(content) // 2, len(content) - 2880):
        tiled.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"the file ends|the file is cut short"):
            read_image(tiled)
