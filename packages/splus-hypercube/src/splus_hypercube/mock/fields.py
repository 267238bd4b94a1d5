"""Where the synthetic fields lie, when they were observed, and their random streams.

The first field is an ordinary one. The second straddles RA 0 h, the third contains the south
celestial pole, the fourth was observed by S-PLUS and Gaia alone. Every field contains a corner of
HEALPix pixels, the pole itself or one within a few arcseconds of the field's centre, so that even a
small field has sources on both sides of a pixel edge. Fields are several degrees apart, so that no
two share a pixel of any survey.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy_healpix import HEALPix

from astro_common.errors import ConfigurationError
from splus_hypercube.mock.sphere import offset, separation_arcsec, unit_vectors

__all__ = ["EPOCH_JYEAR", "EPOCH_MJD", "PIXEL_SCALE_ARCSEC", "MockField", "mock_fields"]

EPOCH_JYEAR = 2019.5
"""Epoch of the S-PLUS observations of every field, Julian years (TCB)."""

EPOCH_MJD = 51544.5 + (EPOCH_JYEAR - 2000.0) * 365.25
PIXEL_SCALE_ARCSEC = 0.55

# The first two and the fourth are S-PLUS pointings; no survey points at the pole.
_FIRST_FIELDS = (
    ("SPLUS-s02s05", 330.11, -1.36),
    ("SPLUS-s23s01", 0.02, -29.58),
    ("SPLUS-s90s01", 45.0, -89.98),
    ("SPLUS-n05s02", 151.36, -5.43),
)
_BARE_FIELD = 3
_ROW_DEG = 1.36  # distance of neighbouring rows of S-PLUS pointings
_STEP_ROWS = 5
_RA_RANGES = ((20.0, 140.0), (165.0, 315.0))
_ROWS = range(9, 44, _STEP_ROWS)
_CORNER_NSIDE = 64
_CORNER_OFFSET_ARCSEC = (7.0, -5.0)


@dataclass(frozen=True, slots=True)
class MockField:
    """One synthetic S-PLUS field.

    Attributes
    ----------
    index : int
        Position in the list of fields, from 0.
    name : str
        For example ``SPLUS-s02s05``.
    ra, dec : float
        Centre of the image, ICRS, degrees.
    size_px : int
        Width and height of the image, pixels of 0.55 arcsec.
    seed : int
        Seed of the whole mock.
    """

    index: int
    name: str
    ra: float
    dec: float
    size_px: int
    seed: int

    @property
    def half_size_arcsec(self) -> float:
        """Half the width of the image."""
        return 0.5 * self.size_px * PIXEL_SCALE_ARCSEC

    @property
    def bare(self) -> bool:
        """Whether only S-PLUS and Gaia have rows in this field; the file of VISTA is empty."""
        return self.index == _BARE_FIELD

    def random(self, stream: str) -> np.random.Generator:
        """The generator of one named stream of random numbers of this field.

        A stream depends on the seed, the field and the name alone: neither the number of fields nor
        a change in one survey alters what is drawn for another.
        """
        return np.random.default_rng([self.seed, self.index, zlib.crc32(stream.encode())])


def mock_fields(count: int, *, size_px: int, seed: int) -> tuple[MockField, ...]:
    """The first ``count`` fields.

    Raises
    ------
    ConfigurationError
        If more fields are asked for than the list has.
    """
    places = list(_FIRST_FIELDS)
    for row in _ROWS:
        dec = -row * _ROW_DEG
        step = _STEP_ROWS * _ROW_DEG / np.cos(np.deg2rad(dec))
        column = 1
        for first, last in _RA_RANGES:
            for ra in np.arange(first, last, step):
                places.append((f"SPLUS-s{row:02d}s{column:02d}", float(ra), dec))
                column += _STEP_ROWS
    if count > len(places):
        raise ConfigurationError(
            "--fields", f"{count}", f"at most {len(places)}", "write the mock with fewer fields"
        )
    fields = []
    for index, (name, ra, dec) in enumerate(places[:count]):
        if index != 2:
            ra, dec = _beside_corner(ra, dec)
        fields.append(MockField(index, name, ra, dec, size_px, seed))
    return tuple(fields)


def _beside_corner(ra: float, dec: float) -> tuple[float, float]:
    """A point a few arcseconds from the pixel corner nearest to a position."""
    healpix = HEALPix(_CORNER_NSIDE, order="nested")
    pixel = healpix.lonlat_to_healpix(ra * u.deg, dec * u.deg)
    longitudes, latitudes = healpix.boundaries_lonlat(np.array([pixel]), step=1)
    corners = unit_vectors(longitudes.to_value(u.deg)[0], latitudes.to_value(u.deg)[0])
    # Near RA 0 h only a corner on the meridian itself makes a small field straddle it.
    across = longitudes.to_value(u.deg)[0]
    distance = separation_arcsec(unit_vectors(ra, dec), corners)
    if min(ra, 360.0 - ra) < 0.1:
        distance = np.where(np.minimum(across, 360.0 - across) < 1e-6, distance, np.inf)
    nearest = int(np.argmin(distance))
    corner_ra = float(longitudes.to_value(u.deg)[0, nearest])
    corner_dec = float(latitudes.to_value(u.deg)[0, nearest])
    moved_ra, moved_dec = offset(corner_ra, corner_dec, *_CORNER_OFFSET_ARCSEC)
    return round(float(moved_ra), 6), round(float(moved_dec), 6)
