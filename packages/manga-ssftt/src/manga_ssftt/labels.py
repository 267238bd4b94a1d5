"""Label maps of a galaxy: BPT class and oxygen abundance of each spaxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from manga_ssftt.abundances import CALIBRATIONS, INDEX_TERMS, Calibration, abundance
from manga_ssftt.bitmask import MapMask
from manga_ssftt.diagnostics import DIAGRAM_LINES, Bpt, Diagram, classify
from manga_ssftt.maps import Line, Maps

__all__ = [
    "ABUNDANCE_BINS",
    "BPT_DESCRIPTION",
    "LabelMaps",
    "LabelRecipe",
    "bin_centres",
    "make_labels",
]

# Edges of 12 + log(O/H) between classes; the first and the last class are open.
ABUNDANCE_BINS: Final[dict[str, tuple[float, ...]]] = {
    "default": (8.40, 8.44, 8.48, 8.52, 8.56),
    "extra": (8.34, 8.40, 8.44, 8.47, 8.50, 8.52, 8.55),
}

BPT_DESCRIPTION: Final = "0 invalid, 1 SF, 2 composite, 3 AGN/Seyfert, 4 LINER, 5 ambiguous"

_LN10 = np.log(10.0)


@dataclass(frozen=True)
class LabelRecipe:
    """How labels are made.

    Attributes
    ----------
    bpt : str
        The diagram, see `diagnostics.classify`.
    map_mask : {"donotuse", "any"}
        Which mask bits exclude a spaxel.
    snr_min : float
        Least signal-to-noise ratio of each line.
    min_ew_ha : float or None
        Least equivalent width of H-alpha, angstrom; gas below it is retired (Cid Fernandes et al.
        2011, MNRAS 413, 1687) and gets no label. No cut by default.
    calibration : Calibration
        Of the abundance.
    """

    bpt: Diagram = "nii"
    map_mask: MapMask = "donotuse"
    snr_min: float = 3.0
    min_ew_ha: float | None = None
    calibration: Calibration = CALIBRATIONS["marino13-o3n2"]

    @property
    def lines(self) -> list[str]:
        """Names of `maps.CHANNELS` that the labels need, each once (list of str)."""
        needed = list(DIAGRAM_LINES[self.bpt])
        for term in INDEX_TERMS[self.calibration.index]:
            needed += ["SII-6718", "SII-6732"] if term == "SII" else [term]
        return list(dict.fromkeys(needed))

    def as_json(self) -> dict[str, Any]:
        """The recipe as JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """Labels of a galaxy.

    Attributes
    ----------
    bpt : ndarray of uint8, shape (n_y, n_x)
        Values of `diagnostics.Bpt`.
    log_oh, log_oh_err : ndarray of float64, shape (n_y, n_x)
        12 + log(O/H) and its error from the line fluxes, dex; NaN where there is none.
    n2 : ndarray of float64, shape (n_y, n_x)
        log10 of [NII]6585/H-alpha, which every calibration needs; NaN where either line fails.
    """

    bpt: npt.NDArray[np.uint8]
    log_oh: npt.NDArray[np.float64]
    log_oh_err: npt.NDArray[np.float64]
    n2: npt.NDArray[np.float64]

    def counts(self) -> dict[str, int]:
        """Spaxels by class name in lower case, and ``logOH``: those with an abundance."""
        found = {label.name.lower(): int(np.sum(self.bpt == label)) for label in Bpt}
        return found | {"logOH": int(np.sum(np.isfinite(self.log_oh)))}

    @property
    def n_labelled(self) -> int:
        """Spaxels that have a class or an abundance (int)."""
        return int(np.sum((self.bpt != Bpt.INVALID) | np.isfinite(self.log_oh)))


def make_labels(maps: Maps, recipe: LabelRecipe) -> LabelMaps:
    """Classify the spaxels of a galaxy and measure their abundance.

    A ratio is invalid where any of its lines is: masked, not positive, or below the
    signal-to-noise ratio. Abundances are given to star-forming spaxels alone, within the range of
    the calibration.

    Parameters
    ----------
    maps : Maps
        With `recipe.lines`, and with `ew_ha` if the recipe cuts on it.
    recipe : LabelRecipe

    Returns
    -------
    LabelMaps
    """
    passes = {name: line.passes(recipe.snr_min) for name, line in maps.lines.items()}
    alive = np.ones(maps.shape, dtype=np.bool_)
    if recipe.min_ew_ha is not None:
        if maps.ew_ha is None:
            raise ValueError("a cut on EW(H-alpha) needs maps that were read with it")
        alive = maps.ew_ha >= recipe.min_ew_ha  # NaN is not
    logs, errors = _logarithms(maps.lines, passes)
    valid = alive & _all_pass(passes, DIAGRAM_LINES[recipe.bpt])
    ratios = {"OIII": logs["OIII"] - logs["Hb"]}
    for name in ("NII", "SII", "OI"):
        if name in logs:
            ratios[name] = logs[name] - logs["Ha"]
    bpt = classify(ratios, valid, recipe.bpt)
    value, error = abundance(recipe.calibration, logs, errors)
    absent = bpt != Bpt.SF
    value[absent], error[absent] = np.nan, np.nan
    return LabelMaps(bpt, value, error, logs["NII"] - logs["Ha"])


def _all_pass(
    passes: dict[str, npt.NDArray[np.bool_]], lines: Sequence[str]
) -> npt.NDArray[np.bool_]:
    return np.asarray(np.all([passes[line] for line in lines], axis=0))


def _logarithms(
    lines: dict[str, Line], passes: dict[str, npt.NDArray[np.bool_]]
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, npt.NDArray[np.float64]]]:
    """log10 flux of each line and its error, NaN where the line does not pass."""
    fluxes = {name: np.where(passes[name], line.flux, np.nan) for name, line in lines.items()}
    variances = {
        name: 1.0 / np.where(passes[name], line.ivar, np.nan) for name, line in lines.items()
    }
    doublet = ("SII-6718", "SII-6732")
    if all(name in lines for name in doublet):
        fluxes["SII"] = fluxes[doublet[0]] + fluxes[doublet[1]]
        variances["SII"] = variances[doublet[0]] + variances[doublet[1]]
    logs = {name: np.log10(flux) for name, flux in fluxes.items()}
    errors = {name: np.sqrt(variances[name]) / (flux * _LN10) for name, flux in fluxes.items()}
    return logs, errors


def bin_centres(edges: Sequence[float]) -> npt.NDArray[np.float64]:
    """A value of 12 + log(O/H) for each class between edges.

    The open classes at both ends are taken as wide as their neighbours.

    Returns
    -------
    ndarray of float64, shape (len(edges) + 1,)
    """
    inner = np.asarray(edges, dtype=np.float64)
    outer = np.concatenate([[2 * inner[0] - inner[1]], inner, [2 * inner[-1] - inner[-2]]])
    return np.asarray((outer[1:] + outer[:-1]) / 2)
