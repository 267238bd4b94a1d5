from __future__ import annotations

import gzip
import zlib

import numpy as np
import pytest
from astropy.io.fits.hdu.compressed._codecs import PLIO1, HCompress1, Rice1
from astropy.io.fits.hdu.compressed._quantization import Quantize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from astro_common.fits.codecs import (
    GUARD_BYTES,
    TileError,
    decode_gzip,
    decode_hcompress,
    decode_plio,
    decode_rice,
)
from astro_common.fits.quantization import dequantize


def guarded(stream: bytes) -> np.ndarray:
    whole = np.frombuffer(stream + b"\xff" * GUARD_BYTES, np.uint8)
    return whole[: len(stream)]


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("block", [16, 32])
def test_rice_round_trip(width: int, block: int) -> None:
    rng = np.random.default_rng(width * block)
    for n_pixels in (1, 31, 32, 33, 1000):
        for spread in (0, 1, 5, 100):
            pixels = rng.integers(-spread, spread + 1, n_pixels).astype(f"i{width}")
            encoded = Rice1(blocksize=block, bytepix=width, tilesize=n_pixels).encode(pixels)
            decoded = decode_rice(guarded(encoded), n_pixels, block, width)
            np.testing.assert_array_equal(decoded.view(f"i{width}"), pixels)
            assert decoded.dtype == ("u1" if width == 1 else f"i{width}")


def test_a_rice_stream_cut_short() -> None:
    pixels = np.random.default_rng(1).integers(0, 1000, 3000).astype("i4")
    encoded = Rice1(blocksize=32, bytepix=4, tilesize=3000).encode(pixels)
    for size in (0, 3, 4, 100, len(encoded) // 2, len(encoded) - 4):
        with pytest.raises(TileError):
            decode_rice(guarded(encoded[:size]), 3000, 32, 4)
    with pytest.raises(TileError, match="100 bytes of Rice code cannot hold 1000000 pixels"):
        decode_rice(guarded(encoded[:100]), 1_000_000, 32, 4)


def test_the_densest_rice_stream_is_not_refused() -> None:
    for width in (1, 2, 4):
        pixels = np.full(100_000, 7, f"i{width}")
        encoded = Rice1(blocksize=32, bytepix=width, tilesize=pixels.size).encode(pixels)
        np.testing.assert_array_equal(decode_rice(guarded(encoded), 100_000, 32, width), 7)


def test_gzip_is_bounded() -> None:
    content = bytes(range(200))
    for stream in (gzip.compress(content), zlib.compress(content)):
        assert decode_gzip(np.frombuffer(stream, np.uint8), 200).tobytes() == content
        with pytest.raises(TileError, match="more than 199 bytes"):
            decode_gzip(np.frombuffer(stream, np.uint8), 199)
        with pytest.raises(TileError, match="cut short"):
            decode_gzip(np.frombuffer(stream[:-1], np.uint8), 200)
        with pytest.raises(TileError, match="damaged"):
            decode_gzip(np.frombuffer(b"xx" + stream[2:], np.uint8), 200)
    bomb = gzip.compress(bytes(64 << 20))
    with pytest.raises(TileError, match="more than 1000 bytes"):
        decode_gzip(np.frombuffer(bomb, np.uint8), 1000)


MASK_VALUES = st.sampled_from([0, 0, 0, 1, 2, 5, 4096, 70_000])
MASKS = hnp.arrays(np.int32, st.integers(1, 300), elements=MASK_VALUES)


@settings(max_examples=150, deadline=None)
@given(pixels=MASKS)
def test_plio_decodes_what_iraf_encodes(pixels: np.ndarray) -> None:
    # The encoder is IRAF's own, as CFITSIO carries it; it writes native words, files big-endian.
    encoded = PLIO1(tilesize=pixels.size).encode(pixels)
    words = np.frombuffer(encoded, "i2").astype(">i2").view(np.uint8)
    np.testing.assert_array_equal(decode_plio(words, pixels.size), pixels)


def line_list(*words: int) -> np.ndarray:
    header = [0, 7, -100, 7 + len(words), 0, 0, 0]
    return np.array(header + list(words), ">u2" if max(words) > 32767 else ">i2").view(np.uint8)


def test_plio_operations_by_hand() -> None:
    # 5 zeros; 3 of the initial high value 1; raise by 4; 2 of 5; a zero and one of 5.
    words = [0x0005, 0x4003, 0x2004, 0x4002, 0x5002]
    pixels = decode_plio(line_list(*words), 14)
    assert pixels.tolist() == [0] * 5 + [1] * 3 + [5] * 2 + [0, 5] + [0, 0]
    # Set to 2 + 3 * 4096, where the operand 3 is not a run; lower by 2 and one pixel.
    pixels = decode_plio(line_list(0x1002, 0x0003, 0x7002), 3)
    assert pixels.tolist() == [3 * 4096, 0, 0]
    # An operand that looks like another "set".
    pixels = decode_plio(line_list(0x1001, 0x1000, 0x4001), 1)
    assert pixels.tolist() == [1 + 0x1000 * 4096]


@pytest.mark.parametrize(
    "words",
    [
        [0, 7, -100],
        [0, 7, -100, 9, 0, 0, 0, 5],
        [0, 7, -100, 6, 0, 0, 0, 5],
        [0, -1, -100, 8, 0, 0, 0, 5],
        [0, 7, -100, 8, 0, 0, 0, 0x4006],
        [0, 7, -100, 8, 0, 0, 0, 0x1001],
        [0, 7, -100, 9, 0, 0, 0, 0x0005, 0x1001],
        [0, 7, -100, 0, 30000, 0, 0, 5],
    ],
)
def test_line_lists_that_are_damaged(words: list[int]) -> None:
    with pytest.raises(TileError, match="line list"):
        decode_plio(np.array(words, ">i2").view(np.uint8), 5)


@pytest.mark.parametrize("shape", [(8, 8), (16, 40), (5, 33), (101, 7)])
def test_hcompress_round_trip(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(2).integers(-500, 500, shape).astype("i8")
    codec = HCompress1(scale=0, smooth=False, bytepix=8, nx=shape[0], ny=shape[1])
    encoded = np.frombuffer(codec.encode(pixels), np.uint8)
    np.testing.assert_array_equal(decode_hcompress(encoded, shape, 0, False), pixels.reshape(-1))
    with pytest.raises(TileError, match=f"stream of {shape[0]} x {shape[1]} pixels in a tile of"):
        decode_hcompress(encoded, (shape[0] + 1, shape[1]), 0, False)
    with pytest.raises(TileError, match="no H-compress stream"):
        decode_hcompress(encoded[:24], shape, 0, False)
    damaged = encoded.copy()
    damaged[23] = 200
    with pytest.raises(TileError, match="200 bit planes"):
        decode_hcompress(damaged, shape, 0, False)


@pytest.mark.parametrize("dither", [0, 1, 2])
@pytest.mark.parametrize("bitpix", [-32, -64])
def test_dequantization_is_that_of_cfitsio(dither: int, bitpix: int) -> None:
    # Long enough to run through the random numbers more than once.
    rng = np.random.default_rng(3)
    quantized = rng.integers(-(10**6), 10**6, 25_000).astype(np.int32)
    quantized[[5, 9000]] = -2147483646
    for row in (1, 9999, 10_000, 10_001, 123_456):
        method = dither if dither else -1
        oracle = Quantize(row=row, dither_method=method, quantize_level=None, bitpix=bitpix)
        expected = np.asarray(oracle.decode_quantized(quantized, 0.37, 12.5))
        found = dequantize(quantized, 0.37, 12.5, dither=dither, seed=row, blank=None)
        np.testing.assert_array_equal(found.astype(expected.dtype), expected)


def test_blank_becomes_nan_and_exact_zero_zero() -> None:
    quantized = np.array([-2147483648, -2147483646, 5], np.int32)
    found = dequantize(quantized, 2.0, 1.0, dither=2, seed=1, blank=-2147483648)
    assert np.isnan(found[0])
    assert found[1] == 0.0
    assert dequantize(quantized[2:], 2.0, 1.0, dither=0, seed=1, blank=None).tolist() == [11.0]


def test_the_random_numbers_end_where_the_standard_says() -> None:
    # FITS Standard 4.0, appendix I: the 10000th seed is 1043618065.
    seed = 1
    for _ in range(10_000):
        seed = seed * 16807 % 2147483647
    assert seed == 1043618065
    last = dequantize(np.zeros(10_000, np.int32), -1.0, 0.5, dither=1, seed=1, blank=None)
    # Tile 1 begins int(r[0] * 500) = 0 numbers into the list, so the 10000th pixel has the last.
    assert last[-1] == np.float32(1043618065 / 2147483647)
