from __future__ import annotations

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.wcs import WCS

from astro_common.errors import InputError
from astro_common.fits.celestial import celestial_wcs


@pytest.fixture
def header():
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN", "WAVE"]
    wcs.wcs.crval = [10.0, -30.0, 5e-7]
    wcs.wcs.crpix = [50.0, 40.0, 1.0]
    wcs.wcs.cdelt = [-1e-4, 1e-4, 1e-10]
    wcs.wcs.cunit = ["deg", "deg", "m"]
    return wcs.to_header()


def test_the_celestial_axes_alone(header):
    wcs = celestial_wcs(header, "image.fits")
    assert wcs.naxis == 2
    np.testing.assert_allclose(wcs.all_world2pix([[10.0, -30.0]], 0), [[49.0, 39.0]], atol=1e-9)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("WCSAXES", 65536),
        ("WCSAXES", -1),
        ("WCSAXES", True),
        ("WCSAXES", "2"),
        ("WCSAXESA", 1 << 31),
        ("NAXIS", 65536),
    ],
)
def test_numbers_of_axes_that_would_end_the_process(header, key, value):
    header[key] = value
    with pytest.raises(InputError, match=key) as caught:
        celestial_wcs(header, "image.fits")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["CRVAL1", "CRPIX2", "CDELT2", "PC1_1"])
@pytest.mark.parametrize("value", ["text", True])
def test_values_of_another_type_are_not_ignored(header, key, value):
    header[key] = value
    with pytest.raises(InputError, match=f"{key} = .*expected a number"):
        celestial_wcs(header, "image.fits")


def test_what_wcslib_refuses_is_one_error(header):
    header["CTYPE1"] = "RA---XYZ"
    with pytest.raises(InputError, match=r"image\.fits: a WCS that cannot be used"):
        celestial_wcs(header, "image.fits")


def test_no_celestial_axes():
    with pytest.raises(InputError, match="no celestial WCS"):
        celestial_wcs(Header(), "image.fits")
