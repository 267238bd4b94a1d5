from __future__ import annotations

import numpy as np
import pytest
from astropy import units
from astropy_healpix import HEALPix

from splus_hypercube.astrometry import offset_positions
from splus_hypercube.region import SkyRegion

CENTRES = [(10.0, -30.0), (0.0, 0.0), (359.9, 41.8), (45.0, 90.0), (200.0, -89.99)]


@pytest.mark.parametrize(("ra", "dec"), CENTRES)
@pytest.mark.parametrize("margin", [2.0, 60.0, 500.0, 4000.0])
def test_every_point_within_the_margin_is_in_the_pixels_and_in_the_cap(ra, dec, margin):
    rng = np.random.default_rng(4)
    steps = [
        offset_positions(np.array([ra]), np.array([dec]), angle, distance)
        for angle, distance in zip(rng.uniform(0, 360, 40), rng.uniform(0, 5000, 40), strict=True)
    ]
    sources = np.array([s[0][0] for s in steps]), np.array([s[1][0] for s in steps])
    region = SkyRegion(*sources, margin)
    for order in (0, 5, 6, 8, region.order):
        grid = HEALPix(nside=2**order, order="nested")
        pixels = set(region.pixels_of_order(order).tolist())
        for angle in np.arange(0, 360, 15.0):
            near = offset_positions(*sources, angle, margin)
            held = grid.lonlat_to_healpix(near[0] * units.deg, near[1] * units.deg)
            assert set(np.asarray(held).tolist()) <= pixels
            assert region.contains(*near).all()


def test_partitions_of_mixed_orders_are_found():
    ra, dec = np.array([10.0]), np.array([-30.0])
    region = SkyRegion(ra, dec, 5.0)
    grids = {order: HEALPix(nside=2**order, order="nested") for order in (0, 3, 8, 13)}
    own = [
        (order, int(grid.lonlat_to_healpix(ra * units.deg, dec * units.deg)[0]))
        for order, grid in grids.items()
    ]
    far = [
        (order, int(grid.lonlat_to_healpix((ra + 180) * units.deg, -dec * units.deg)[0]))
        for order, grid in grids.items()
    ]
    assert region.overlapping([*own, *far]) == own


def test_a_region_without_sources_holds_nothing():
    region = SkyRegion(np.array([np.nan]), np.array([np.nan]), 5.0)
    assert region.overlapping([(0, 0), (5, 100)]) == []
    assert not region.contains(np.array([10.0]), np.array([10.0])).any()
    assert region.pixels_of_order(8).tolist() == []


def test_positions_that_are_not_finite_are_outside():
    region = SkyRegion(np.array([10.0]), np.array([10.0]), 5.0)
    assert region.contains(np.array([np.nan, 10.0]), np.array([10.0, 10.0])).tolist() == [
        False,
        True,
    ]
