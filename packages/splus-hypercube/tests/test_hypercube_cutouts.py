from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from astropy.io.fits import Header
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from astro_common.errors import InputError, OutputError
from splus_hypercube import cutouts
from splus_hypercube.assemble import rows_per_group
from splus_hypercube.bands import BAND_NAMES
from splus_hypercube.cutouts import ImageStrips, SourcePixels, cut, source_pixels
from splus_hypercube.schema import RunSchema
from splus_hypercube.scratch import Scratch

SIZE = 96


def expected_cutout(image, x, y, size=SIZE):
    """The same cutout by astropy, NaN where it lies wholly outside."""
    column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    try:
        return Cutout2D(image, (column, row), size, mode="partial", fill_value=np.nan).data
    except ValueError:
        return np.full((size, size), np.nan, np.float32)


def positions(rng, n_x, n_y, count):
    """Anywhere on the image, across its edges and beyond them."""
    return rng.uniform(-80, n_x + 80, count), rng.uniform(-80, n_y + 80, count)


@pytest.mark.parametrize("size", [1, 7, 96])
def test_cutouts_equal_astropys_inside_at_the_edges_and_outside(size):
    rng = np.random.default_rng(2)
    image = rng.normal(size=(300, 250)).astype(np.float32)
    x, y = positions(rng, 250, 300, 300)
    pixels = SourcePixels(x, y)
    out = np.full((300, size, size), np.nan, np.float32)
    cut(image, pixels.x, pixels.y, out)
    for k in range(300):
        if size % 2 == 0:
            np.testing.assert_array_equal(out[k], expected_cutout(image, x[k], y[k], size))
        column, row = int(np.floor(x[k] + 0.5)), int(np.floor(y[k] + 0.5))
        if 0 <= column < 250 and 0 <= row < 300:
            assert out[k, size // 2, size // 2] == image[row, column]


def test_the_source_lands_at_index_48_and_the_offset_is_what_is_left():
    image = np.zeros((200, 200), np.float32)
    image[70, 90] = 5.0
    pixels = SourcePixels(np.array([90.0, 90.49, 89.5, 90.5]), np.array([70.0, 69.5, 70.2, 70.0]))
    assert pixels.x.tolist() == [90, 90, 90, 91]
    assert pixels.y.tolist() == [70, 70, 70, 70]
    assert pixels.dx == pytest.approx([0.0, 0.49, -0.5, -0.5])
    out = np.empty((4, SIZE, SIZE), np.float32)
    cut(image, pixels.x, pixels.y, out)
    assert out[0, 48, 48] == out[1, 48, 48] == out[2, 48, 48] == 5.0
    assert out[3, 48, 47] == 5.0


def test_an_unknown_position_has_a_cutout_of_nan_and_no_offset(tmp_path):
    pixels = SourcePixels(np.array([np.nan, np.inf, 1e300]), np.array([5.0, 5.0, 5.0]))
    assert np.isnan(pixels.dx).all()
    out = strips_cut(np.zeros((100, 100), np.float32), pixels.x, pixels.y, tmp_path)[0]
    assert np.isnan(out).all()


def strips_cut(image, x, y, tmp_path, *, memory_bytes=1 << 30, group=17):
    """Cut through strips, some sources at a time; also which strips were decompressed."""
    read = []

    def rows(start, stop):
        read.append(start)
        return image[start:stop].copy()

    out = np.empty((len(x), SIZE, SIZE), np.float32)
    with Scratch(tmp_path) as scratch:
        strips = ImageStrips(rows, image.shape, y, SIZE, scratch, memory_bytes)
        for start in range(0, len(x), group):
            run = slice(start, start + group)
            strips.cut(start, x[run], y[run], out[run])
        return out, read, len(strips._strips)


@pytest.mark.parametrize("order", ["along y", "random", "backwards"])
@pytest.mark.parametrize("memory_bytes", [1 << 30, 1])
def test_strips_give_the_cutouts_of_the_whole_image(tmp_path, order, memory_bytes):
    rng = np.random.default_rng(6)
    image = rng.normal(size=(1900, 210)).astype(np.float32)
    x, y = positions(rng, 210, 1900, 200)
    if order != "random":
        y = np.sort(y)[:: 1 if order == "along y" else -1]
    pixels = SourcePixels(x, y)
    whole = np.full((200, SIZE, SIZE), np.nan, np.float32)
    cut(image, pixels.x, pixels.y, whole)
    out, read, alive = strips_cut(image, pixels.x, pixels.y, tmp_path, memory_bytes=memory_bytes)
    np.testing.assert_array_equal(out, whole)
    assert len(read) == len(set(read))  # each strip is decompressed once
    assert alive == 0  # and dropped after its last use
    assert list(tmp_path.iterdir()) == []


def test_strips_without_sources_are_not_read(tmp_path):
    image = np.zeros((2000, 200), np.float32)
    pixels = SourcePixels(np.array([100.0]), np.array([1000.0]))
    _, read, _ = strips_cut(image, pixels.x, pixels.y, tmp_path)
    assert read == [768, 1024]


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(_file, _image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cutouts, "write_all", full)
    rng = np.random.default_rng(6)
    pixels = SourcePixels(*positions(rng, 210, 1900, 200))
    with pytest.raises(OutputError, match=r"(?i)no space left on device"):
        strips_cut(np.zeros((1900, 210), np.float32), pixels.x, pixels.y, tmp_path, memory_bytes=1)


@pytest.mark.parametrize("size_px", [1, 96, 400, 1024])
def test_a_row_group_has_a_moderate_size_whatever_that_of_the_cutouts(size_px):
    kind = pa.list_(pa.float32(), size_px**2)
    images = pa.schema([pa.field(f"splus_cut_{band}", kind) for band in BAND_NAMES])
    rows = rows_per_group(RunSchema(pa.schema([]), images, {}, False, {}))
    assert rows >= 1
    assert rows * 12 * 4 * size_px**2 < 120_000_000


def tan_header(ra=10.0, dec=-30.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [500.5, 400.5]
    wcs.wcs.cdelt = [-0.55 / 3600, 0.55 / 3600]
    return wcs.to_header()


def test_pixels_come_from_the_bands_own_wcs(tmp_path):
    header = tan_header()
    ra, dec = WCS(header).all_pix2world([0.0, 10.3, 499.6], [0.0, 20.7, 399.6], 0)
    pixels = source_pixels(header, ra, dec, tmp_path)
    assert pixels.x.tolist() == [0, 10, 500]
    assert pixels.y.tolist() == [0, 21, 400]
    assert pixels.dx == pytest.approx([0.0, 0.3, -0.4], abs=1e-6)


def test_the_far_side_of_the_sky_is_outside_the_image(tmp_path):
    # A tangent projection sends the antipode to the middle of the image.
    pixels = source_pixels(tan_header(), np.array([190.0, np.nan]), np.array([30.0, 5.0]), tmp_path)
    assert (pixels.x < -1000).all()
    assert np.isnan(pixels.dx).all()


@pytest.mark.parametrize("cards", [{}, {"CTYPE1": "RA---XXX", "CTYPE2": "DEC--XXX"}])
def test_a_header_without_a_usable_wcs_is_refused(tmp_path, cards):
    header = Header()
    header.update(cards)
    with pytest.raises(InputError, match=r"image\.fits"):
        source_pixels(header, np.array([1.0]), np.array([1.0]), tmp_path / "image.fits")


@pytest.mark.parametrize("frame", ["ICRS", "FK5", None])
@pytest.mark.parametrize("swapped", [False, True])
def test_pixels_are_astropys_in_any_frame_and_order_of_axes(tmp_path, frame, swapped):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["DEC--TAN", "RA---TAN"] if swapped else ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [-30.0, 10.0] if swapped else [10.0, -30.0]
    wcs.wcs.crpix = [500.5, 400.5]
    wcs.wcs.cdelt = [0.55 / 3600, 0.55 / 3600]
    header = wcs.to_header()
    del header["RADESYS"]
    header["EQUINOX"] = 2000.0
    if frame is not None:
        header["RADESYS"] = frame
    rng = np.random.default_rng(1)
    sky = SkyCoord(10 + rng.normal(0, 0.02, 50), -30 + rng.normal(0, 0.02, 50), unit="deg")
    x, y = WCS(header).world_to_pixel(sky)
    pixels = source_pixels(header, sky.ra.deg, sky.dec.deg, tmp_path)
    assert pixels.x + pixels.dx == pytest.approx(x, abs=1e-6)
    assert pixels.y + pixels.dy == pytest.approx(y, abs=1e-6)


def test_strips_hold_whole_tiles(tmp_path):
    image = np.zeros((1000, 200), np.float32)
    read = []

    def rows(start, stop):
        read.append((start, stop))
        return image[start:stop]

    y = np.array([150, 500, 900])
    with Scratch(tmp_path) as scratch:
        strips = ImageStrips(rows, image.shape, y, SIZE, scratch, 1 << 30, tile_rows=100)
        strips.cut(0, np.full(3, 100), y, np.empty((3, SIZE, SIZE), np.float32))
    assert read == [(0, 300), (300, 600), (600, 900), (900, 1000)]
