"""Bits of SPPIXMASK, which ``and_mask`` and ``or_mask`` of SDSS spectra hold.

Names and numbers are those of the SDSS bitmask documentation
(https://www.sdss4.org/dr17/algorithms/bitmasks/#SPPIXMASK).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError

__all__ = ["DEFAULT_BITS", "SPPIXMASK", "bit_names", "bits_value", "has_bits"]

SPPIXMASK: Final[dict[str, int]] = {
    "NOPLUG": 0,
    "BADTRACE": 1,
    "BADFLAT": 2,
    "BADARC": 3,
    "MANYBADCOLUMNS": 4,
    "MANYREJECTED": 5,
    "LARGESHIFT": 6,
    "BADSKYFIBER": 7,
    "NEARWHOPPER": 8,
    "WHOPPER": 9,
    "SMEARIMAGE": 10,
    "SMEARHIGHSN": 11,
    "SMEARMEDSN": 12,
    "NEARBADPIXEL": 16,
    "LOWFLAT": 17,
    "FULLREJECT": 18,
    "PARTIALREJECT": 19,
    "SCATTEREDLIGHT": 20,
    "CROSSTALK": 21,
    "NOSKY": 22,
    "BRIGHTSKY": 23,
    "NODATA": 24,
    "COMBINEREJ": 25,
    "BADFLUXFACTOR": 26,
    "BADSKYCHI": 27,
    "REDMONSTER": 28,
}

# Pixels whose flux means nothing. BADFLAT and its like are set for whole fibres whose spectra are
# sound, and BRIGHTSKY or NEARBADPIXEL mark pixels that are only noisier, which ivar says already.
DEFAULT_BITS: Final = (
    "FULLREJECT",
    "NOSKY",
    "NODATA",
    "COMBINEREJ",
    "BADFLUXFACTOR",
    "BADSKYCHI",
)


def bits_value(names: Iterable[str]) -> int:
    """Return the mask with the bits of these names.

    Raises
    ------
    ConfigurationError
        If a name is no bit of SPPIXMASK.
    """
    value = 0
    for name in names:
        bit = SPPIXMASK.get(name.strip().upper())
        if bit is None:
            raise ConfigurationError("mask bits", repr(name), f"one of {', '.join(SPPIXMASK)}")
        value |= 1 << bit
    return value


def bit_names(value: int) -> list[str]:
    """Names of the bits that are set; a bit without a name is ``BIT<number>``."""
    by_bit = {bit: name for name, bit in SPPIXMASK.items()}
    return [by_bit.get(bit, f"BIT{bit}") for bit in range(32) if value >> bit & 1]


def has_bits(mask: npt.NDArray[np.uint32], value: int) -> npt.NDArray[np.bool_]:
    """Whether each pixel has any bit of `value` set."""
    return np.asarray((mask & np.uint32(value)) != 0)
