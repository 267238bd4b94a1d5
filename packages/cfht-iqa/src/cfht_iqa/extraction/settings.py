"""How sources are found, and the columns that both engines fill."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "BLENDED",
    "COLUMNS",
    "NEIGHBOURS",
    "OVERFLOW",
    "SATURATED",
    "TRUNCATED",
    "ColumnFormat",
    "ExtractionSettings",
    "Sources",
    "no_sources",
]

# SExtractor's bits of FLAGS that isophotal measurements can set.
NEIGHBOURS, BLENDED, SATURATED, TRUNCATED, OVERFLOW = 1, 2, 4, 8, 64

# Columns of one CCD by name, all of one length.
Sources = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class ColumnFormat:
    """A column of a source table.

    Attributes
    ----------
    tform : str
        FITS format code.
    unit, description : str
        As they stand in the header.
    """

    tform: str
    unit: str
    description: str


COLUMNS: Final[dict[str, ColumnFormat]] = {
    "X_IMAGE": ColumnFormat("D", "pixel", "Object position along x, 1-based, in DATASEC"),
    "Y_IMAGE": ColumnFormat("D", "pixel", "Object position along y, 1-based, in DATASEC"),
    "ISO0": ColumnFormat("J", "pixel**2", "Isophotal area above the threshold"),
    "ELONGATION": ColumnFormat("E", "", "A_IMAGE / B_IMAGE"),
    "ELLIPTICITY": ColumnFormat("E", "", "1 - B_IMAGE / A_IMAGE"),
    "CLASS_STAR": ColumnFormat("E", "", "Stellarity, 0 extended, 1 point-like"),
    "BACKGROUND": ColumnFormat("E", "count", "Background at the centroid"),
    "FLAGS": ColumnFormat("I", "", "Extraction flags"),
    "THETA_IMAGE": ColumnFormat("E", "deg", "Position angle, counter-clockwise from x"),
    "A_IMAGE": ColumnFormat("E", "pixel", "RMS along the major axis"),
    "FWHM_IMAGE": ColumnFormat("E", "pixel", "FWHM of a Gaussian core"),
    "FLUX_MAX": ColumnFormat("E", "count", "Peak above the background"),
}


@dataclass(frozen=True)
class ExtractionSettings:
    """How sources are found.

    Attributes
    ----------
    engine : str
        ``sep`` or ``sextractor``.
    threshold_sigma : float
        Detection threshold over the background, in units of its noise.
    min_area_px : int
        Least number of pixels above the threshold.
    mesh_px : int
        Side of a cell of the background mesh.
    mesh_filter : int
        Cells over which the median smooths the mesh.
    deblend_levels : int
        Levels between threshold and peak at which blends are looked for.
    deblend_contrast : float
        Least share of the flux that parts a blend.
    seeing_arcsec : float
        Nominal seeing, with which point-like sources are told.
    subtract_bias : bool
        Take off the median of the overscan first.
    """

    engine: str = "sep"
    threshold_sigma: float = 5.0
    min_area_px: int = 5
    mesh_px: int = 64
    mesh_filter: int = 3
    deblend_levels: int = 32
    deblend_contrast: float = 0.005
    seeing_arcsec: float = 0.7
    subtract_bias: bool = False

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON can hold them (dict)."""
        return asdict(self)


_DTYPES: Final = {"D": np.float64, "E": np.float32, "J": np.int32, "I": np.int16}


def no_sources() -> Sources:
    """Return the columns of a CCD on which nothing was found."""
    return {name: np.empty(0, _DTYPES[column.tform]) for name, column in COLUMNS.items()}
