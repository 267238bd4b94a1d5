from __future__ import annotations

import numpy as np
import pytest
from astropy_healpix import healpy

from astromodal_tokenizers.configuration import SplitSettings
from astromodal_tokenizers.split import UNPLACED, sky_split


def sky(count=20_000, seed=0):
    random = np.random.default_rng(seed)
    return random.uniform(0.0, 360.0, count), np.rad2deg(np.arcsin(random.uniform(-1, 1, count)))


def test_shares_are_those_that_were_asked_for():
    ra, dec = sky()
    split = sky_split(ra, dec, SplitSettings(nside=256, fractions=(0.7, 0.1, 0.2)), seed=3)
    assert np.allclose(np.bincount(split) / len(split), (0.7, 0.1, 0.2), atol=0.02)


def test_a_pixel_is_never_divided():
    ra, dec = sky()
    split = sky_split(ra, dec, SplitSettings(nside=8), seed=1)
    pixel = healpy.ang2pix(8, ra, dec, nest=True, lonlat=True)
    for number in np.unique(pixel):
        assert len(set(split[pixel == number])) == 1


def test_the_split_of_a_source_does_not_depend_on_the_others():
    ra, dec = sky(500)
    whole = sky_split(ra, dec, SplitSettings(), seed=1)
    alone = [sky_split(ra[n : n + 1], dec[n : n + 1], SplitSettings(), 1)[0] for n in range(50)]
    assert alone == whole[:50].tolist()
    assert not np.array_equal(whole, sky_split(ra, dec, SplitSettings(), seed=2))


def test_known_values_never_change():
    # The transformer's split, and every published figure, rests on them.
    ra = np.array([10.0, 150.1, 359.99, 200.0, 42.0, 77.0])
    dec = np.array([-30.0, 2.2, 89.0, -89.0, 10.0, -45.0])
    assert sky_split(ra, dec, SplitSettings(), seed=1).tolist() == [2, 1, 0, 0, 0, 2]


@pytest.mark.parametrize(("ra", "dec"), [(np.nan, 0.0), (1.0, np.nan), (1.0, 91.0)])
def test_sources_without_a_position_are_in_no_split(ra, dec):
    found = sky_split(np.array([ra, 5.0]), np.array([dec, 5.0]), SplitSettings(), seed=0)
    assert found[0] == UNPLACED
    assert found[1] != UNPLACED
