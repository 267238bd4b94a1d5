"""Which columns are asked for, and from which inputs, in training and in evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.layout import Layout

__all__ = ["asked_subsets", "default_subsets", "default_targets", "question_slots"]

_TARGETS = (
    *("specz_z", "desi_Z", "apogee_TEFF", "apogee_LOGG", "apogee_FE_H"),
    *("gaia_teff_gspphot", "gaia_logg_gspphot", "gaia_mh_gspphot"),
)
_PHOTOMETRY = "mag_*"
_XP = "gaiaxp_*"


def default_targets(layout: Layout) -> list[str]:
    """Redshifts and stellar parameters among the columns; else the first five columns."""
    found = [name for name in _TARGETS if name in layout.modalities]
    columns = [n for n in layout.modalities if len(layout.slots([n])) == 1]
    return found or columns[:5]


def default_subsets(layout: Layout, targets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Photometry, XP and both, as far as there are any, and everything but the targets."""
    known = {
        name: tuple(layout.matching([pattern], name)) if _matches(layout, pattern) else ()
        for name, pattern in (("photometry", _PHOTOMETRY), ("xp", _XP))
    }
    subsets = {name: own for name, own in known.items() if own}
    if len(subsets) == 2:
        subsets["photometry_xp"] = known["photometry"] + known["xp"]
    if not subsets:
        subsets["all"] = tuple(name for name in layout.modalities if name not in targets)
    return subsets


def asked_subsets(
    configuration: Configuration,
    layout: Layout,
    targets: Sequence[str],
    given: Sequence[str] | None = None,
) -> dict[str, list[str]]:
    """Inputs by the name of their subset; none of them is a target.

    Parameters
    ----------
    configuration : Configuration
    layout : Layout
    targets : sequence of str
        Modalities that are asked for.
    given : sequence of str, optional
        Names or patterns in the place of the configured subsets.

    Raises
    ------
    ConfigurationError
        If a pattern matches nothing.
    """
    if given:
        chosen: Mapping[str, Sequence[str]] = {"given": given}
    elif configuration.evaluation.subsets is not None:
        chosen = configuration.evaluation.subsets
    else:
        chosen = default_subsets(layout, targets)
    result = {}
    for name, patterns in chosen.items():
        found = layout.matching(patterns, f"evaluation.subsets.{name}") if patterns else []
        result[name] = [own for own in found if own not in targets]
    return result


def question_slots(configuration: Configuration, layout: Layout) -> NDArray[np.bool_]:
    """Slots that are shown for each of the questions of an evaluation.

    Parameters
    ----------
    configuration : Configuration
    layout : Layout

    Returns
    -------
    ndarray of bool, shape (questions, slots)
    """
    names = list(configuration.evaluation.targets or default_targets(layout))
    targets = layout.matching(names, "evaluation.targets")
    subsets = [own for own in asked_subsets(configuration, layout, targets).values() if own]
    shown = np.zeros((len(subsets), layout.size), dtype=bool)
    for row, own in zip(shown, subsets, strict=True):
        row[layout.slots(own)] = True
    return shown


def _matches(layout: Layout, pattern: str) -> bool:
    try:
        return bool(layout.matching([pattern], pattern))
    except ConfigurationError:
        return False
