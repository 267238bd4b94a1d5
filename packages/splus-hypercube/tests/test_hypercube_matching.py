from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import example, given, settings
from hypothesis import strategies as st

from splus_hypercube import matching
from splus_hypercube.astrometry import offset_positions, separation_arcsec
from splus_hypercube.matching import PositionIndex, match_nearest, match_one_to_one

# Centre, radius in arcsec, spread in deg: the wrap, both poles, dense and sparse, huge and zero.
PLACES = [
    (0.0, 0.0, 30.0, 0.1),
    (359.99, -45.0, 100.0, 0.2),
    (100.0, 90.0, 3600.0, 2.0),
    (10.0, -90.0, 5000.0, 2.0),
    (0.0, 89.5, 200.0, 0.5),
    (180.0, 20.0, 324_000.0, 80.0),
    (359.999, 0.0, 0.0, 0.001),
    (123.0, -60.0, 1.0, 0.001),
]


def scattered(rng, ra, dec, spread_deg, count):
    angles = rng.uniform(0, 360, count)
    distances = spread_deg * 3600 * np.sqrt(rng.uniform(0, 1, count))
    moved = [
        offset_positions(np.array([ra]), np.array([dec]), angle, distance)
        for angle, distance in zip(angles, distances, strict=True)
    ]
    return np.array([item[0][0] for item in moved]), np.array([item[1][0] for item in moved])


def all_separations(first, second):
    return separation_arcsec(
        first[0][:, None], first[1][:, None], second[0][None, :], second[1][None, :]
    )


@pytest.mark.parametrize(("ra", "dec", "radius", "spread"), PLACES)
def test_pairs_and_nearest_equal_brute_force(ra, dec, radius, spread):
    rng = np.random.default_rng(11)
    first, second = scattered(rng, ra, dec, spread, 300), scattered(rng, ra, dec, spread, 400)
    for axis in (0, 1):
        second[axis][:5] = first[axis][:5]
    separation = all_separations(first, second)
    expected = set(zip(*np.nonzero(separation <= radius + 1e-9), strict=True))
    pairs = PositionIndex(*second, radius).pairs(*first)
    found = list(zip(pairs.query, pairs.indexed, strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert pairs.separation_arcsec == pytest.approx(separation[pairs.query, pairs.indexed])

    nearest = match_nearest(*first, *second, radius)
    separation[separation > radius + 1e-9] = np.inf
    some = np.isfinite(separation.min(axis=1))
    assert np.array_equal(nearest.indexed, np.where(some, separation.argmin(axis=1), -1))
    assert np.array_equal(np.isnan(nearest.separation_arcsec), ~some)


def test_small_pieces_give_the_same_pairs(monkeypatch):
    rng = np.random.default_rng(5)
    first, second = (scattered(rng, 10.0, 89.9, 0.2, 200) for _ in range(2))
    whole = PositionIndex(*second, 900.0).pairs(*first)
    monkeypatch.setattr(matching, "_MAX_CANDIDATES", 7)
    pieces = PositionIndex(*second, 900.0).pairs(*first)
    assert len(whole.query) > 1000
    assert set(zip(pieces.query, pieces.indexed, strict=True)) == set(
        zip(whole.query, whole.indexed, strict=True)
    )


def test_nearest_equals_astropy():
    rng = np.random.default_rng(8)
    ra, dec = rng.uniform(350, 370, 4000) % 360, rng.uniform(-5, 5, 4000)
    other_ra = (ra[::2] + rng.normal(0, 2e-4, 2000)) % 360
    other_dec = dec[::2] + rng.normal(0, 2e-4, 2000)
    ours = match_nearest(ra, dec, other_ra, other_dec, 1.0)
    index, separation, _ = SkyCoord(ra, dec, unit="deg").match_to_catalog_sky(
        SkyCoord(other_ra, other_dec, unit="deg")
    )
    within = separation.arcsec <= 1.0
    assert np.array_equal(ours.indexed, np.where(within, index, -1))
    assert ours.separation_arcsec[within] == pytest.approx(separation.arcsec[within], abs=1e-8)


@given(
    st.floats(0, 360, exclude_max=True),
    st.floats(-89.9, 89.9),
    st.sampled_from([0.0, 90.0, 180.0, 270.0, 33.0]),
    st.floats(0.01, 50.0),
)
@example(ra=0.0, dec=88.5, angle=180.0, radius=1.0)
@settings(max_examples=200)
def test_the_radius_is_inclusive(ra, dec, angle, radius):
    other = offset_positions(np.array([ra]), np.array([dec]), angle, radius)
    at_radius = match_nearest([ra], [dec], *other, radius)
    assert at_radius.indexed[0] == 0
    assert at_radius.separation_arcsec[0] <= radius
    assert match_nearest([ra], [dec], *other, radius * (1 - 1e-6)).indexed[0] == -1


def test_positions_that_are_not_finite_match_nothing():
    nan = np.nan
    nearest = match_nearest([nan, 1.0, 2.0], [1.0, nan, 2.0], [nan, 1.0, 2.0], [1.0, nan, 2.0], 5.0)
    assert nearest.indexed.tolist() == [-1, -1, 2]


def test_empty_sides_match_nothing():
    assert match_nearest([], [], [1.0], [1.0], 1.0).indexed.tolist() == []
    assert match_nearest([1.0], [1.0], [], [], 1.0).indexed.tolist() == [-1]
    assert len(PositionIndex([], [], 1.0).pairs([1.0], [1.0]).query) == 0


def test_of_equal_separations_the_lower_row_wins():
    nearest = match_nearest([10.0], [0.0], [10.0001, 10.0001, 10.0001], [0.0] * 3, 1.0)
    assert nearest.indexed.tolist() == [0]


def test_many_detections_at_one_place_do_not_multiply_the_work(monkeypatch):
    """A catalogue of epochs repeats each position; no smaller radius tells its rows apart."""
    built = []

    class Counted(PositionIndex):
        def __init__(self, *arguments):
            built.append(arguments[2])
            super().__init__(*arguments)

    monkeypatch.setattr(matching, "PositionIndex", Counted)
    ra = np.linspace(1.0, 2.0, 50)
    other_ra = np.repeat(ra, 200)
    nearest = match_nearest(ra, np.zeros(50), other_ra, np.zeros(10_000), 1.0)
    assert nearest.indexed.tolist() == (200 * np.arange(50)).tolist()
    assert len(built) < 6


def test_one_to_one_takes_the_closest_pairs_first():
    ra, dec = np.array([10.0, 10.0001]), np.zeros(2)
    other_ra, other_dec = np.array([10.00008, 10.0005]), np.zeros(2)
    pairs = match_one_to_one(PositionIndex(other_ra, other_dec, 5.0).pairs(ra, dec))
    assert sorted(zip(pairs.query, pairs.indexed, strict=True)) == [(0, 1), (1, 0)]


def test_a_radius_that_is_not_one_is_refused():
    with pytest.raises(ValueError, match="radius_arcsec is -1"):
        PositionIndex([1.0], [1.0], -1.0)
