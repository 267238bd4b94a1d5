"""The mosaic as the mock sees it: filters, amplifiers, geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "BIAS_ADU",
    "FILTERS",
    "FULL_SCALE_ADU",
    "GAIN_E_PER_ADU",
    "OVERSCAN_PX",
    "PIXEL_SCALE_ARCSEC",
    "READ_NOISE_E",
    "Filter",
]

PIXEL_SCALE_ARCSEC: Final = 0.187
GAIN_E_PER_ADU: Final = 1.62
READ_NOISE_E: Final = 5.0
BIAS_ADU: Final = 1100.0
FULL_SCALE_ADU: Final = 65535
# Columns on either side and rows above the part that sees the sky.
OVERSCAN_PX: Final = 32


@dataclass(frozen=True)
class Filter:
    """A broad band.

    Attributes
    ----------
    sky_e_per_s : float
        Electrons per pixel of MegaCam's size and second from a dark sky.
    zero_point_mag : float
        AB magnitude of one electron per second.
    """

    sky_e_per_s: float
    zero_point_mag: float


FILTERS: Final = {
    "u.MP9301": Filter(0.6, 25.2),
    "g.MP9401": Filter(2.6, 26.5),
    "r.MP9601": Filter(5.5, 26.3),
    "i.MP9702": Filter(8.5, 25.9),
    "z.MP9801": Filter(10.0, 24.8),
}
