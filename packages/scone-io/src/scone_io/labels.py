"""What the label of an event means.

A shard holds numbers. In SCONE's binary files 1 is SN Ia and 0 is everything else; in its older
categorical files a label is the place of the class in alphabetical order; in files that were made
of real data every label is 0, which says nothing: such events are not known to be no SN Ia.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "BINARY",
    "CATEGORICAL",
    "LABEL_MAPS",
    "SN_IA_TYPES",
    "UNKNOWN",
    "binary_label",
    "categorical",
    "label_name",
]

BINARY: Mapping[int, str] = {0: "Non-Ia", 1: "SNIa"}
UNKNOWN: Mapping[int, str] = {}

# SNANA's codes of SIM_GENTYPE and SIM_TYPE_INDEX that SCONE counts as SN Ia.
SN_IA_TYPES = frozenset({1, 90, 101})


def categorical(names: Iterable[str]) -> dict[int, str]:
    """The label map of classes: their places in alphabetical order.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    dict of int to str
    """
    return dict(enumerate(sorted(names)))


CATEGORICAL: Mapping[int, str] = categorical(
    ["SNIa", "SNIa-91bg", "SNIax", "SNIbc", "SNII", "SLSN-1", "KN"]
)

LABEL_MAPS: Mapping[str, Mapping[int, str]] = {
    "binary": BINARY,
    "categorical": CATEGORICAL,
    "unknown": UNKNOWN,
}


def label_name(label: int, names: Mapping[int, str] = BINARY) -> str:
    """Name of a label; of one that the map does not know, ``label N``."""
    return names.get(label, f"label {label}")


def binary_label(type_code: int, sn_ia_types: Sequence[int] | frozenset[int] = SN_IA_TYPES) -> int:
    """1 if a simulated type is SN Ia, else 0."""
    return int(type_code in sn_ia_types)
