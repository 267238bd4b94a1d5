"""The five classes of image quality and how they look in figures."""

from __future__ import annotations

from typing import Final

__all__ = ["CLASSES", "CLASS_COLOURS", "CLASS_MEANINGS"]

# Teimoorinia et al. 2020, AJ 159, 170.
CLASSES: Final = ("GOOD", "B_SEEING", "BGP", "BT", "RBT")

CLASS_MEANINGS: Final = {
    "GOOD": "good",
    "B_SEEING": "bad seeing",
    "BGP": "background problem",
    "BT": "bad tracking",
    "RBT": "really bad tracking",
}

# Okabe & Ito 2008, Color Universal Design.
CLASS_COLOURS: Final = {
    "GOOD": "#009E73",
    "B_SEEING": "#E69F00",
    "BGP": "#56B4E9",
    "BT": "#CC79A7",
    "RBT": "#D55E00",
}
