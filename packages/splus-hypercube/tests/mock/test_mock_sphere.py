from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time

from splus_hypercube.mock.sphere import (
    angles,
    neighbours,
    offset,
    proper_motion_then,
    separation_arcsec,
    space_motion,
    unit_vectors,
)

PLACES = [(12.0, -30.0), (0.0005, 0.0), (359.9995, 60.0), (45.0, -89.9999), (200.0, 89.5)]


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_offsets_are_those_of_astropy(ra, dec):
    east, north = np.array([3.0, -40.0, 0.0]), np.array([-1.0, 25.0, 60.0])
    moved = offset(np.full(3, ra), np.full(3, dec), east, north)
    start = SkyCoord(ra, dec, unit="deg")
    expected = start.directional_offset_by(
        np.arctan2(east, north) * u.rad, np.hypot(east, north) * u.arcsec
    )
    error = SkyCoord(*moved, unit="deg").separation(expected).to_value(u.arcsec)
    assert error.max() < 1e-5


def test_right_ascensions_stay_below_360():
    ra, dec = angles(unit_vectors([360.0, -1e-15, 0.0], [0.0, 0.0, -90.0]))
    assert (ra >= 0).all()
    assert (ra < 360).all()
    assert dec[2] == pytest.approx(-90.0)


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_space_motion_is_that_of_astropy(ra, dec):
    motion = {
        "pmra": np.array([10_300.0, -350.0, 5.0]),
        "pmdec": np.array([-800.0, 1_200.0, 2.0]),
        "parallax": np.array([540.0, 40.0, 1.0]),
        "velocity": np.array([-110.0, 250.0, 0.0]),
    }
    start = SkyCoord(
        np.full(3, ra) * u.deg,
        np.full(3, dec) * u.deg,
        distance=1000.0 / motion["parallax"] * u.pc,
        pm_ra_cosdec=motion["pmra"] * u.mas / u.yr,
        pm_dec=motion["pmdec"] * u.mas / u.yr,
        radial_velocity=motion["velocity"] * u.km / u.s,
        obstime=Time(2016.0, format="jyear", scale="tcb"),
    )
    then = start.apply_space_motion(new_obstime=Time(2019.5, format="jyear", scale="tcb"))
    arguments = (np.full(3, ra), np.full(3, dec), *motion.values(), 3.5)
    found = SkyCoord(*space_motion(*arguments), unit="deg")
    # astropy also follows the light, which is some hundred microarcseconds for the fastest star.
    assert found.separation(then).to_value(u.mas).max() < 2.0
    pmra, pmdec = proper_motion_then(*arguments)
    np.testing.assert_allclose(pmra, then.pm_ra_cosdec.to_value(u.mas / u.yr), atol=3.0)
    np.testing.assert_allclose(pmdec, then.pm_dec.to_value(u.mas / u.yr), atol=3.0)


def test_motion_there_and_back_ends_where_it_began():
    ra, dec = np.array([45.0]), np.array([-89.99])
    motion = (np.array([9_000.0]), np.array([4_000.0]), np.array([300.0]), np.array([80.0]))
    there = space_motion(ra, dec, *motion, 20.0)
    pmra, pmdec = proper_motion_then(ra, dec, *motion, 20.0)
    assert abs(pmra[0] - 9_000.0) > 1_000.0  # the axes turn fast near the pole
    back = space_motion(*there, pmra, pmdec, motion[2], np.zeros(1), -20.0)
    gap = separation_arcsec(unit_vectors(ra, dec), unit_vectors(*back))
    assert gap[0] < 0.5  # what is left is the change of distance, taken as zero on the way back


def test_without_proper_motion_a_position_stays():
    nothing = np.array([np.nan])
    ra, dec = space_motion(np.array([1.0]), np.array([2.0]), nothing, nothing, nothing, nothing, 9)
    assert (ra[0], dec[0]) == (1.0, 2.0)


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_neighbours_are_all_pairs_within_the_radius(ra, dec):
    rng = np.random.default_rng(5)
    left = offset(np.full(300, ra), np.full(300, dec), *rng.uniform(-60, 60, (2, 300)))
    right = offset(np.full(400, ra), np.full(400, dec), *rng.uniform(-60, 60, (2, 400)))
    right[0][7] = np.nan
    rows, columns, separation = neighbours(*left, *right, 4.0)
    all_pairs = separation_arcsec(unit_vectors(*left)[:, None, :], unit_vectors(*right)[None, :, :])
    expected = np.argwhere(all_pairs <= 4.0)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == sorted(
        map(tuple, expected.tolist())
    )
    np.testing.assert_array_equal(separation, all_pairs[rows, columns])
    assert (np.diff(rows) >= 0).all()
    same = np.diff(rows) == 0
    assert (np.diff(separation)[same] >= 0).all()


def test_no_neighbours_of_nothing():
    empty = np.zeros(0)
    for left, right in ((empty, np.ones(2)), (np.ones(2), empty), (np.ones(2), np.full(2, np.nan))):
        assert len(neighbours(left, left, right, right, 1.0)[0]) == 0
