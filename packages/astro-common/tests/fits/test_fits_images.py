from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from astro_common.errors import InputError
from astro_common.fits import open_fits, read_image

WriteRaw = Callable[..., Path]

DTYPES = ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def stored(values: list[int] | list[float], bitpix: int, **keywords: Any) -> Any:
    dtype = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}[bitpix]
    header = {"SIMPLE": True, "BITPIX": bitpix, "NAXIS": 1, "NAXIS1": len(values)} | keywords
    return header, np.array(values, dtype).tobytes()


@pytest.mark.parametrize(
    ("image", "expected", "dtype"),
    [
        (stored([0, 255], 8), [0, 255], "u1"),
        (stored([0, 128, 255], 8, BZERO=-128), [-128, 0, 127], "i1"),
        (stored([-1, 5], 16), [-1, 5], "i2"),
        (stored([-32768, 32767], 16, BZERO=32768), [0, 65535], "u2"),
        (stored([-(1 << 31), 0], 32, BZERO=2147483648.0), [0, 1 << 31], "u4"),
        (stored([-(1 << 63), -1], 64, BZERO=1 << 63), [0, (1 << 63) - 1], "u8"),
        (stored([(1 << 62) + 1], 64), [(1 << 62) + 1], "i8"),
        (stored([1, 2], 16, BSCALE=0.5, BZERO=10), [10.5, 11], "f4"),
        (stored([1, 2], 32, BSCALE=0.5), [0.5, 1], "f8"),
        (stored([1, -9], 16, BLANK=-9), [1, np.nan], "f4"),
        (stored([1, -9], 16, BLANK=-9, BZERO=32768), [32769, np.nan], "f4"),
        (stored([1, 7], 8, BLANK=7, BSCALE=2), [2, np.nan], "f4"),
        (stored([1, 7], 32, BLANK=7, BZERO=1 << 31), [(1 << 31) + 1, np.nan], "f8"),
        (stored([1, 2], 16, BLANK=99_999), [1, 2], "f4"),
        (stored([1.5, np.nan], -32), [1.5, np.nan], "f4"),
        (stored([1.5, np.nan], -32, BLANK=1), [1.5, np.nan], "f4"),
        (stored([1.5, 2], -32, BSCALE=2, BZERO=1), [4, 5], "f4"),
        (stored([1e300], -64, BSCALE=1e300), [np.inf], "f8"),
    ],
)
def test_stored_pixels_become_physical_values(
    write_raw: WriteRaw, image: Any, expected: list[float], dtype: str
) -> None:
    pixels = read_image(write_raw(image))
    assert pixels.dtype == np.dtype(dtype)
    assert pixels.dtype.isnative
    np.testing.assert_array_equal(pixels, np.array(expected, dtype))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_astropy_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=6))
    values = data.draw(hnp.arrays(data.draw(st.sampled_from(DTYPES)), shape))
    path = tmp_path_factory.mktemp("image") / "image.fits"
    fits.PrimaryHDU(values).writeto(path)
    rows = data.draw(st.lists(st.integers(0, shape[0] - 1), max_size=9))
    with open_fits(path) as file:
        image = file.image()
        assert image.shape == shape
        assert image.dtype == values.dtype
        for chosen in (slice(None), slice(1, 4), slice(None, None, -2), rows):
            found = image.read(chosen)
            assert found.flags.c_contiguous
            assert found.dtype == values.dtype
            np.testing.assert_array_equal(found, values[chosen] if chosen != [] else values[:0])
    path.unlink()


def test_rows_of_a_large_image(tmp_path: Path) -> None:
    # Wider than a block of scattered rows, and longer than a block of consecutive ones.
    values = np.arange(1500 * 2000, dtype=np.int32).reshape(1500, 2000)
    path = tmp_path / "large.fits"
    fits.PrimaryHDU(values).writeto(path)
    rows = np.random.default_rng(5).integers(0, 1500, 700)
    with open_fits(path) as file:
        image = file.image()
        assert image.strip_rows == 1
        np.testing.assert_array_equal(image.read(), values)
        np.testing.assert_array_equal(image.read(rows), values[rows])
        np.testing.assert_array_equal(image.read(slice(1490, 1495)), values[1490:1495])
        with pytest.raises(IndexError, match="row 1500 of 1500"):
            image.read([1500])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"BSCALE": "x"}, "HDU 0: BSCALE = 'x"),
        ({"BZERO": True}, "HDU 0: BZERO = True; expected a number"),
        ({"BLANK": 1.5}, "HDU 0: BLANK = 1.5; expected an integer"),
        ({"BZERO": b"= 1E999"}, "HDU 0: BZERO = inf; expected a number"),
    ],
)
def test_scale_keywords_are_checked(
    write_raw: WriteRaw, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_image(write_raw(stored([1], 16, **keywords)))


def test_an_image_beyond_memory_is_refused(tmp_path: Path) -> None:
    # A sparse file, as a hostile one may be: all its pixels exist and none is stored.
    path = tmp_path / "sparse.fits"
    header = fits.Header()
    header["SIMPLE"] = True
    header["BITPIX"] = 8
    header["NAXIS"] = 2
    header["NAXIS1"] = 1 << 20
    header["NAXIS2"] = 1 << 22
    path.write_bytes(header.tostring().encode())
    with path.open("r+b") as file:
        file.truncate(2880 + (1 << 42))
    with open_fits(path) as opened:
        image = opened.image()
        assert image.read(slice((1 << 22) - 2, None)).shape == (2, 1 << 20)
        with pytest.raises(InputError, match="image of 4398046511104 bytes, which memory cannot"):
            image.read()
