"""Whether a field shows more than once: the offset that many pairs of sources share.

When guiding is lost and found again, every source is seen again at one and the same offset. The
offsets of all pairs of sources are therefore counted in cells. The offset is the same on all CCDs,
so that the counts of CCDs with few sources can be added up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

__all__ = ["LEAST_PLACES", "N_CELLS", "PairOffsets", "Repetition", "pair_offsets", "repetition"]

# Reach of the search, and the size of its cells, in arcsec.
_REACH_ARCSEC: Final = 10.0
_CELL_ARCSEC: Final = 0.4
_SHAPE: Final = (50, 25)
N_CELLS: Final = _SHAPE[0] * _SHAPE[1]
LEAST_PLACES: Final = 16
# What lies closer is one image that was taken apart, as a trail is.
_LEAST_OFFSET_ARCSEC: Final = 1.2


@dataclass(frozen=True, eq=False)
class PairOffsets:
    """Offsets of the pairs of sources of a CCD, or of several.

    Attributes
    ----------
    n_places : int
        Sources among which the pairs are.
    counts : ndarray of int32, shape (50, 25), or flat
        Pairs by offset, in cells of 0.4 arcsec: along x from -10 to 10, along y from 0 to 10.
        Half of the plane is enough, since each pair has two opposite offsets.
    """

    n_places: int
    counts: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Repetition:
    """The commonest offset.

    Attributes
    ----------
    share : float
        Pairs at that offset beyond what chance makes likely, over the sources; NaN if there are
        fewer than 16 sources.
    offset_arcsec : float
        Its length; NaN if there is no pair.
    """

    share: float = math.nan
    offset_arcsec: float = math.nan


def pair_offsets(
    x_arcsec: npt.NDArray[np.float64], y_arcsec: npt.NDArray[np.float64]
) -> PairOffsets:
    """Count the pairs of sources by their offset.

    Parameters
    ----------
    x_arcsec, y_arcsec : ndarray of float64, shape (n,)
        Positions on one CCD. A CCD may be mounted upside down: the counts stay the same.

    Returns
    -------
    PairOffsets
    """
    places = np.stack([x_arcsec, y_arcsec], axis=1)
    empty = PairOffsets(len(places), np.zeros(_SHAPE, np.int32))
    if len(places) < 2:
        return empty
    pairs = cKDTree(places).query_pairs(_REACH_ARCSEC, output_type="ndarray")
    if not len(pairs):
        return empty
    steps = places[pairs[:, 1]] - places[pairs[:, 0]]
    steps[steps[:, 1] < 0] *= -1.0
    counts, _, _ = np.histogram2d(
        steps[:, 0],
        steps[:, 1],
        bins=_SHAPE,
        range=((-_REACH_ARCSEC, _REACH_ARCSEC), (0.0, _REACH_ARCSEC)),
    )
    return PairOffsets(len(places), counts.astype(np.int32))


def repetition(parts: Iterable[PairOffsets]) -> Repetition:
    """Find the commonest offset.

    Parameters
    ----------
    parts : iterable of PairOffsets
        Of the CCDs of an exposure, or of one CCD.

    Returns
    -------
    Repetition
        Of offsets from 1.2 arcsec on. The chance is that of as many pairs spread evenly over the
        circle; what is called an excess lies two standard deviations of it above it.
    """
    known = list(parts)
    n_places = sum(part.n_places for part in known)
    if n_places < LEAST_PLACES:
        return Repetition()
    counts = np.sum([part.counts.reshape(_SHAPE) for part in known], axis=0)
    total = int(counts.sum())
    if not total:
        return Repetition(0.0)
    # An offset lies on the border of cells as often as not: four cells are taken together.
    smooth = counts.copy()
    smooth[1:] += counts[:-1]
    smooth[:, 1:] += counts[:, :-1]
    smooth[1:, 1:] += counts[:-1, :-1]
    # Where the four cells meet.
    x = np.arange(_SHAPE[0]) * _CELL_ARCSEC - _REACH_ARCSEC
    y = np.arange(_SHAPE[1]) * _CELL_ARCSEC
    offset = np.hypot(x[:, None], y[None, :])
    smooth[offset < _LEAST_OFFSET_ARCSEC] = 0
    place = np.unravel_index(smooth.argmax(), smooth.shape)
    chance = 4.0 * total / (np.pi / 4.0 * counts.size)
    excess = max(0.0, float(smooth[place]) - chance - 2.0 * math.sqrt(chance + 1.0))
    return Repetition(excess / n_places, float(offset[place]))
