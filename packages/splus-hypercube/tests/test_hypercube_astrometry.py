from __future__ import annotations

import erfa
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import Distance, SkyCoord
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from splus_hypercube.astrometry import (
    normalise_positions,
    offset_positions,
    propagate_epoch,
    separation_arcsec,
)

ra_values = st.floats(0.0, 360.0, exclude_max=True)
dec_values = st.floats(-90.0, 90.0)


@given(ra_values, dec_values, ra_values, dec_values)
def test_separation_equals_astropys(ra1, dec1, ra2, dec2):
    first = SkyCoord(ra1, dec1, unit="deg")
    expected = first.separation(SkyCoord(ra2, dec2, unit="deg")).arcsec
    # Near the antipode the haversine loses digits; a match never gets there.
    tolerance = 1e-7 if expected < 600_000 else 0.01
    assert separation_arcsec(ra1, dec1, ra2, dec2) == pytest.approx(expected, abs=tolerance)


def test_separation_resolves_a_microarcsecond():
    step = 1e-6 / 3600.0
    assert separation_arcsec(10.0, 20.0, 10.0, 20.0 + step) == pytest.approx(1e-6, rel=1e-4)


def test_positions_are_normalised_and_unusable_ones_marked():
    ra, dec, usable = normalise_positions(
        [-1.0, 360.0, 725.0, np.nan, 5.0, 5.0, -1e-18], [0.0, 1.0, 2.0, 3.0, 91.0, np.inf, 0.0]
    )
    assert usable.tolist() == [True, True, True, False, False, False, True]
    assert ra[usable].tolist() == [359.0, 0.0, 5.0, 0.0]
    assert np.isnan(ra[~usable]).all()
    assert np.isnan(dec[~usable]).all()


@given(ra_values, st.floats(-89.999, 89.999), st.floats(0, 360), st.floats(0.01, 3600.0))
def test_an_offset_has_the_distance_asked_for(ra, dec, angle, distance):
    moved = offset_positions(np.array([ra]), np.array([dec]), angle, distance)
    assert separation_arcsec(ra, dec, *moved)[0] == pytest.approx(distance, abs=1e-7)


def test_propagation_agrees_with_erfa_to_50_microarcsec():
    rng = np.random.default_rng(3)
    count = 3000
    ra, dec = rng.uniform(0, 360, count), np.rad2deg(np.arcsin(rng.uniform(-1, 1, count)))
    pmra, pmdec = rng.normal(0, 3000, (2, count))
    # Near enough that ERFA sees no motion close to the speed of light.
    parallax, velocity = rng.uniform(50, 700, count), rng.normal(0, 100, count)
    cos_dec = np.cos(np.deg2rad(dec))
    start = 2457389.0
    for years in (3.5, -16.0):
        expected = erfa.pmsafe(
            np.deg2rad(ra),
            np.deg2rad(dec),
            np.deg2rad(pmra / 3.6e6) / cos_dec,
            np.deg2rad(pmdec / 3.6e6),
            parallax / 1e3,
            velocity,
            start,
            0.0,
            start + years * 365.25,
            0.0,
        )
        ours = propagate_epoch(ra, dec, pmra, pmdec, parallax, velocity, years)
        difference = separation_arcsec(*ours, *np.rad2deg(expected[:2]))
        # ERFA also follows the light-time, which moves the fastest stars by tens of microarcsec.
        limit = 5e-5 if years > 0 else 3e-4
        assert difference.max() < limit


def test_propagation_of_barnards_star_agrees_with_astropy():
    # Gaia DR3 4472832130942575872.
    star = {
        "ra": 269.44850252543836,
        "dec": 4.739420051112412,
        "pmra": -801.551,
        "pmdec": 10362.394,
        "parallax": 546.976,
        "radial_velocity": -110.468,
    }
    coordinate = SkyCoord(
        star["ra"] * units.deg,
        star["dec"] * units.deg,
        pm_ra_cosdec=star["pmra"] * units.mas / units.yr,
        pm_dec=star["pmdec"] * units.mas / units.yr,
        distance=Distance(parallax=star["parallax"] * units.mas),
        radial_velocity=star["radial_velocity"] * units.km / units.s,
        obstime=Time(2016.0, format="jyear"),
    )
    expected = coordinate.apply_space_motion(new_obstime=Time(2019.5, format="jyear"))
    ra, dec = propagate_epoch(*([value] for value in star.values()), 3.5)
    assert separation_arcsec(ra, dec, expected.ra.deg, expected.dec.deg)[0] < 1e-4
    assert separation_arcsec(ra, dec, star["ra"], star["dec"])[0] == pytest.approx(36.38, abs=0.02)


def test_null_motion_leaves_the_position_as_it_is():
    nan = np.nan
    ra, dec = propagate_epoch(
        [10.1, 20.2, 30.3],
        [-5.5, 5.5, 89.99],
        [nan, 3.0, nan],
        [1.0, nan, nan],
        [5.0, 5.0, 5.0],
        [9.0, 9.0, 9.0],
        3.5,
    )
    assert ra.tolist() == [10.1, 20.2, 30.3]
    assert dec.tolist() == [-5.5, 5.5, 89.99]


def test_negative_parallax_and_null_velocity_mean_no_perspective():
    plain = propagate_epoch([10.0], [50.0], [1e4], [1e4], [np.nan], [np.nan], 10.0)
    for parallax, velocity in ((-3.0, 100.0), (5.0, np.nan), (0.0, 100.0)):
        other = propagate_epoch([10.0], [50.0], [1e4], [1e4], [parallax], [velocity], 10.0)
        assert np.array_equal(plain, other)


def test_propagation_across_the_wrap_and_over_the_pole():
    ra, dec = propagate_epoch([0.0001], [0.0], [-1e4], [0.0], [np.nan], [np.nan], 1.0)
    assert 359.99 < ra[0] < 360.0
    ra, dec = propagate_epoch([30.0], [89.999], [0.0], [1e4], [np.nan], [np.nan], 1.0)
    assert ra[0] == pytest.approx(210.0)
    assert dec[0] < 90.0
