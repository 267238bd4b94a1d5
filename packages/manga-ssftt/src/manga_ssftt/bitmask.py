"""The bit flags of MaNGA's reduction (DRP) and analysis (DAP) products, and what they exclude.

Names and bits are those of the SDSS mask-bit tables of DR17 (MANGA_DAPSPECMASK, MANGA_DAPPIXMASK,
MANGA_DRP3PIXMASK; Law et al. 2016, AJ 152, 83; Westfall et al. 2019, AJ 158, 231).
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["DapCube", "DapMap", "DrpCube", "MapMask", "bad_cube_pixels", "bad_map_pixels"]

MapMask = Literal["donotuse", "any"]


class DapCube(IntFlag):
    """MASK of a DAP model LOGCUBE."""

    IGNORED = 1 << 0
    FORESTAR = 1 << 1
    FLUXINVALID = 1 << 2
    IVARINVALID = 1 << 3
    ARTIFACT = 1 << 4
    FITIGNORED = 1 << 5
    FITFAILED = 1 << 6
    ELIGNORED = 1 << 7
    ELFAILED = 1 << 8
    NOMODEL = 1 << 9


class DapMap(IntFlag):
    """Masks of DAP MAPS."""

    NOCOV = 1 << 0
    LOWCOV = 1 << 1
    DEADFIBER = 1 << 2
    FORESTAR = 1 << 3
    NOVALUE = 1 << 4
    UNRELIABLE = 1 << 5
    MATHERROR = 1 << 6
    FITFAILED = 1 << 7
    NEARBOUND = 1 << 8
    NOCORRECTION = 1 << 9
    MULTICOMP = 1 << 10
    DONOTUSE = 1 << 30


class DrpCube(IntFlag):
    """MASK of a DRP LOGCUBE."""

    NOCOV = 1 << 0
    LOWCOV = 1 << 1
    DEADFIBER = 1 << 2
    FORESTAR = 1 << 3
    DONOTUSE = 1 << 10


# The flags that mark a flux or a variance as wrong. FITIGNORED and those above it concern the
# model; FORESTAR is folded into IGNORED (DAP) and into DONOTUSE (DRP).
_BAD_DAP: Final = DapCube.IGNORED | DapCube.FLUXINVALID | DapCube.IVARINVALID | DapCube.ARTIFACT
_BAD_DRP: Final = DrpCube.DONOTUSE


def bad_cube_pixels(
    mask: npt.NDArray[np.integer], *, product: Literal["dap", "drp"]
) -> npt.NDArray[np.bool_]:
    """Which pixels of a LOGCUBE have no usable flux.

    Parameters
    ----------
    mask : ndarray of integer
        The MASK of the cube.
    product : {"dap", "drp"}
        Whose bits they are.

    Returns
    -------
    ndarray of bool, same shape
        True is bad.
    """
    return _has_any(mask, _BAD_DAP if product == "dap" else _BAD_DRP)


def bad_map_pixels(mask: npt.NDArray[np.integer], rule: MapMask) -> npt.NDArray[np.bool_]:
    """Which spaxels of a map are not to be used.

    Parameters
    ----------
    mask : ndarray of integer
        The mask of the map.
    rule : {"donotuse", "any"}
        Whether only DONOTUSE excludes, or any bit. UNRELIABLE is not folded into DONOTUSE.

    Returns
    -------
    ndarray of bool, same shape
        True is bad.
    """
    if rule == "any":
        return np.asarray(np.not_equal(mask, 0))
    return _has_any(mask, DapMap.DONOTUSE)


def _has_any(mask: npt.NDArray[np.integer], flags: IntFlag) -> npt.NDArray[np.bool_]:
    # A flag beyond the width of the stored type is set nowhere.
    within = int(flags) & int(np.iinfo(mask.dtype).max)
    return np.asarray((mask & mask.dtype.type(within)) != 0)
