"""Data releases by the version of the reduction (RUN2D).

From the SDSS pages "Optical spectra: per-release reductions" of DR8 to DR19. A reduction belongs
to the release that published it first; the legacy ones (26, 103, 104) have been in every release
since DR8.
"""

from __future__ import annotations

from typing import Final

from sdss_spectra.spectrum import Cards

__all__ = ["RELEASES", "release_of"]

RELEASES: Final[dict[str, str]] = {
    "26": "DR8",
    "103": "DR8",
    "104": "DR8",
    "v5_4_45": "DR9",
    "v5_5_12": "DR10",
    "v5_6_5": "DR11",
    "v5_7_0": "DR12",
    "v5_7_2": "DR12",
    "v5_9_0": "DR13",
    "v5_10_0": "DR14",
    "v5_10_4": "DR15",
    "v5_13_0": "DR16",
    "v5_13_2": "DR17",
    "v6_0_4": "DR18",
    "v6_1_3": "DR19",
}


def release_of(cards: Cards) -> str | None:
    """The release that RUN2D, or the keyword DR, implies; None where neither does."""
    for name in ("RUN2D", "DR"):
        value = cards.get(name)
        if value is None:
            continue
        text = str(value).strip()
        if text in RELEASES:
            return RELEASES[text]
        if name == "DR" and text.upper().removeprefix("DR").isdecimal():
            return f"DR{text.upper().removeprefix('DR')}"
    return None
