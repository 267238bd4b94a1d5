"""Diagnostic diagrams of emission lines: what ionises the gas of a spaxel.

Axes are decimal logarithms: y = [OIII]5008/H-beta; x = [NII]6585/H-alpha,
([SII]6718 + [SII]6732)/H-alpha or [OI]6302/H-alpha. Every demarcation is a hyperbola or a straight
line; a hyperbola separates only to the left of its pole, which each rule guards.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "DIAGRAM_LINES",
    "Bpt",
    "Diagram",
    "classify",
    "kauffmann03_nii",
    "kewley01_nii",
    "kewley01_oi",
    "kewley01_sii",
    "kewley06_oi_liner",
    "kewley06_sii_liner",
    "schawinski07_nii_liner",
]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Diagram = Literal["nii", "sii", "oi", "kewley06", "schawinski07"]


class Bpt(IntEnum):
    """Class of a spaxel."""

    INVALID = 0
    SF = 1
    COMPOSITE = 2
    AGN = 3  # of diagrams that tell AGN apart: Seyfert
    LINER = 4
    AMBIGUOUS = 5


# The lines, by the names of `maps.CHANNELS`, that each diagram needs.
_COMMON = ("Ha", "Hb", "OIII")
_SII = ("SII-6718", "SII-6732")
DIAGRAM_LINES: Final[Mapping[str, tuple[str, ...]]] = {
    "nii": (*_COMMON, "NII"),
    "sii": (*_COMMON, *_SII),
    "oi": (*_COMMON, "OI"),
    "kewley06": (*_COMMON, "NII", *_SII, "OI"),
    "schawinski07": (*_COMMON, "NII"),
}

# Left of these x the hyperbolae may be used.
_K03_NII_LIMIT, _K01_NII_LIMIT = 0.05, 0.47
_K01_SII_LIMIT, _K01_OI_LIMIT = 0.32, -0.59
# Kewley 2006 stops short of the pole of the NII curve.
_K06_NII_LIMIT = 0.465


def kauffmann03_nii(x: Floats) -> Floats:
    """Star formation lies below (Kauffmann et al. 2003, MNRAS 346, 1055, eq. 1), x < 0.05."""
    return _hyperbola(x, 0.61, 0.05, 1.30)


def kewley01_nii(x: Floats) -> Floats:
    """AGN lie above (Kewley et al. 2001, ApJ 556, 121, eq. 5), x < 0.47."""
    return _hyperbola(x, 0.61, 0.47, 1.19)


def kewley01_sii(x: Floats) -> Floats:
    """AGN lie above (Kewley et al. 2001, eq. 6), x < 0.32."""
    return _hyperbola(x, 0.72, 0.32, 1.30)


def kewley01_oi(x: Floats) -> Floats:
    """AGN lie above (Kewley et al. 2001, eq. 7), x < -0.59."""
    return _hyperbola(x, 0.73, -0.59, 1.33)


def kewley06_sii_liner(x: Floats) -> Floats:
    """Seyferts lie above, LINERs below (Kewley et al. 2006, MNRAS 372, 961, eq. 12)."""
    return 1.89 * x + 0.76


def kewley06_oi_liner(x: Floats) -> Floats:
    """Seyferts lie above, LINERs below (Kewley et al. 2006, eq. 13)."""
    return 1.18 * x + 1.30


def schawinski07_nii_liner(x: Floats) -> Floats:
    """Seyferts lie above, LINERs below (Schawinski et al. 2007, MNRAS 382, 1415)."""
    return 1.05 * x + 0.45


def _hyperbola(x: Floats, numerator: float, pole: float, offset: float) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(numerator / (x - pole) + offset)


def classify(ratios: Mapping[str, Floats], valid: Flags, diagram: Diagram) -> npt.NDArray[np.uint8]:
    """Class of each spaxel.

    Parameters
    ----------
    ratios : mapping of str to ndarray of float64
        Decimal logarithms: ``OIII`` (the y axis) and, as the diagram needs them, ``NII``, ``SII``
        and ``OI`` (the x axes), all of one shape; finite where valid.
    valid : ndarray of bool
        Where all lines that the diagram needs pass their cuts; all else is `Bpt.INVALID`.
    diagram : {"nii", "sii", "oi", "kewley06", "schawinski07"}
        ``nii``: star-forming, composite or AGN. ``schawinski07``: the same with AGN divided.
        ``sii`` and ``oi``: star-forming, Seyfert or LINER. ``kewley06``: all three diagrams have
        to agree, as in Kewley et al. (2006); what they do not agree on is ambiguous.

    Returns
    -------
    ndarray of uint8
        Values of `Bpt`.
    """
    # A ratio that is not valid is put where no comparison warns; its class is set at the end.
    at = {name: np.where(valid, values, 0.0) for name, values in ratios.items()}
    if diagram in ("nii", "schawinski07"):
        found = _nii(at["NII"], at["OIII"])
        if diagram == "schawinski07":
            is_liner = at["OIII"] < schawinski07_nii_liner(at["NII"])
            found[(found == Bpt.AGN) & is_liner] = Bpt.LINER
    elif diagram == "sii":
        y = at["OIII"]
        found = _two_classes(
            _below(at["SII"], y, kewley01_sii(at["SII"]), _K01_SII_LIMIT),
            y < kewley06_sii_liner(at["SII"]),
        )
    elif diagram == "oi":
        y = at["OIII"]
        found = _two_classes(
            _below(at["OI"], y, kewley01_oi(at["OI"]), _K01_OI_LIMIT),
            y < kewley06_oi_liner(at["OI"]),
        )
    else:
        found = _kewley06(at["NII"], at["SII"], at["OI"], at["OIII"])
    found[~valid] = Bpt.INVALID
    return found


def _below(x: Floats, y: Floats, curve: Floats, limit: float) -> Flags:
    return (x < limit) & (y < curve)


def _nii(x: Floats, y: Floats) -> npt.NDArray[np.uint8]:
    found = np.full(x.shape, Bpt.COMPOSITE, dtype=np.uint8)
    found[_below(x, y, kauffmann03_nii(x), _K03_NII_LIMIT)] = Bpt.SF
    found[(x >= _K01_NII_LIMIT) | (y > kewley01_nii(x))] = Bpt.AGN
    return found


def _two_classes(star_forming: Flags, is_liner: Flags) -> npt.NDArray[np.uint8]:
    found = np.where(is_liner, Bpt.LINER, Bpt.AGN).astype(np.uint8)
    found[star_forming] = Bpt.SF
    return found


def _kewley06(nii: Floats, sii: Floats, oi: Floats, y: Floats) -> npt.NDArray[np.uint8]:
    below_sii = _below(sii, y, kewley01_sii(sii), _K01_SII_LIMIT)
    below_oi = _below(oi, y, kewley01_oi(oi), _K01_OI_LIMIT)
    sf_nii = _below(nii, y, kauffmann03_nii(nii), _K03_NII_LIMIT)
    below_k01 = _below(nii, y, kewley01_nii(nii), _K06_NII_LIMIT)
    star_forming = sf_nii & below_sii & below_oi
    composite = below_k01 & ~sf_nii & below_sii & below_oi
    agn = (
        ((nii > _K06_NII_LIMIT) | (y > kewley01_nii(nii)))
        & ((sii > _K01_SII_LIMIT) | (y > kewley01_sii(sii)))
        & ((oi > _K01_OI_LIMIT) | (y > kewley01_oi(oi)))
    )
    seyfert = agn & (y > kewley06_sii_liner(sii)) & (y > kewley06_oi_liner(oi))
    liner = agn & (y < kewley06_sii_liner(sii)) & (y < kewley06_oi_liner(oi))
    found = np.full(y.shape, Bpt.AMBIGUOUS, dtype=np.uint8)
    for flags, label in (
        (star_forming, Bpt.SF),
        (composite, Bpt.COMPOSITE),
        (seyfert, Bpt.AGN),
        (liner, Bpt.LINER),
    ):
        found[flags] = label
    return found
