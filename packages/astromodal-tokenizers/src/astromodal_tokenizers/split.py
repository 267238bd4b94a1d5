"""Which sources teach, check and test: decided by the sky alone, the same in every package.

All sources of a HEALPix pixel go together, so that close neighbours, whose cutouts overlap, never
stand on both sides. The share of a pixel follows from a hash of its number and the seed.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from astropy_healpix import healpy
from numpy.typing import NDArray

from astromodal_tokenizers.configuration import SplitSettings

__all__ = ["SPLITS", "TEST", "TRAIN", "UNPLACED", "VALIDATION", "sky_split", "split_record"]

TRAIN, VALIDATION, TEST = 0, 1, 2
UNPLACED = 255
"""Sources without a position are in no split."""
SPLITS = ("train", "validation", "test")
"""Names of the splits in the order of their numbers."""


def sky_split(
    ra: NDArray[np.float64], dec: NDArray[np.float64], settings: SplitSettings, seed: int
) -> NDArray[np.uint8]:
    """Assign sources to training, validation and test.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Degrees, ICRS; NaN for a source without a position.
    settings : SplitSettings
    seed : int

    Returns
    -------
    ndarray of uint8, shape (n,)
        0 train, 1 validation, 2 test, 255 without a position.
    """
    result = np.full(len(ra), UNPLACED, dtype=np.uint8)
    placed = np.isfinite(ra) & (np.abs(dec) <= 90.0)
    if not placed.any():
        return result
    pixel = healpy.ang2pix(settings.nside, ra[placed], dec[placed], nest=True, lonlat=True)
    distinct, where = np.unique(pixel, return_inverse=True)
    limits = np.cumsum(settings.fractions)[:2]
    shares = np.array([_share(int(number), seed) for number in distinct])
    result[placed] = np.searchsorted(limits, shares, side="right")[where]
    return result


def _share(pixel: int, seed: int) -> float:
    """A number in [0, 1) that looks random and is the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{pixel}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2.0**56


def split_record(settings: SplitSettings, seed: int) -> dict[str, Any]:
    """Describe the split, for those who read the tokens.

    Parameters
    ----------
    settings : SplitSettings
    seed : int

    Returns
    -------
    dict
        As JSON can hold it.
    """
    return {
        "names": list(SPLITS),
        "nside": settings.nside,
        "order": "nested",
        "fractions": list(settings.fractions),
        "seed": seed,
        "rule": "the first 7 bytes of SHA-256 of '<seed>:<pixel>' as a fraction of 2^56, compared "
        "with the cumulative fractions",
    }
