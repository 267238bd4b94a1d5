"""Which spectra are of the same star, so that no star is on both sides of a split."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sdss_spectra.metadata import position_deg
from sdss_spectra.spectrum import Spectrum

__all__ = ["StarKeys", "leakage_groups", "star_keys"]

_POSITIVE_IDS: Final = ("THING_ID", "SDSS_ID", "CATALOGID")
_NAMED_IDS: Final = ("MANGAID", "APOGEE_ID")
_NAMES: Final = ("HDNAME", "OBJNAME", "OBJECT")
_HD: Final = re.compile(r"(?<![A-Za-z])HD[\s_]*0*(\d{1,6})(?!\d)", re.IGNORECASE)
_IN_PARENTHESES: Final = re.compile(r"\((?:HD\s*)?([^()]+)\)\s*$")
_OTHER: Final = re.compile(r"^(?:G|BD|HR|HIP|LHS|LTT|GJ|Gl|Feige|ADS)[\s_+-]*\d", re.IGNORECASE)
MATCH_ARCSEC: Final = 2.0


@dataclass(frozen=True)
class StarKeys:
    """What identifies the star of a spectrum.

    Attributes
    ----------
    spec_id : str
        The spectrum.
    names : tuple of str
        Identifiers, such as ``thing-119668152`` and ``hd-95418``.
    position : (float, float) or None
        Right ascension and declination, degrees.
    plate_mjd : str or None
        Plate and night.
    """

    spec_id: str
    names: tuple[str, ...]
    position: tuple[float, float] | None
    plate_mjd: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """What identifies the star, as JSON can hold it (dict)."""
        return {"spec_id": self.spec_id, "names": self.names, "position": self.position}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StarKeys:
        """Make one of what `as_dict` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            Something is missing or of another kind.
        """
        position = values["position"]
        if position is not None:
            ra, dec = position
            position = float(ra), float(dec)
        return cls(str(values["spec_id"]), tuple(map(str, values["names"])), position)


def star_keys(spectrum: Spectrum, spec_id: str) -> StarKeys:
    """Collect the identifiers of a spectrum's star.

    THING_ID of 0 or below means that the photometry has no such object: the position decides.
    """
    cards = spectrum.cards
    names: list[str] = []
    for key in _POSITIVE_IDS:
        number = cards.integer(key)
        if number is not None and number > 0:
            names.append(f"{key.lower()}-{number}")
    for key in _NAMED_IDS:
        text = cards.text(key)
        if text:
            names.append(f"{key.lower()}-{text}")
    for text in (*(cards.text(key) or "" for key in _NAMES), spec_id):
        match = _HD.search(text)
        if match:
            names.append(f"hd-{int(match[1])}")
        elif _OTHER.match(text):
            names.append(re.sub(r"[\s_+-]+", "-", text.lower()))
    # Template stacks give the star after its type: "G8V (101501)".
    match = _IN_PARENTHESES.search(cards.text("SPTYPE") or "")
    if match:
        inside = match[1].strip()
        names.append(
            f"hd-{int(inside)}" if inside.isdecimal() else re.sub(r"[\s_+-]+", "-", inside.lower())
        )
    plate = cards.integer("PLATE")
    if plate is None and cards.origin("PLATEID") == "HDU 0":
        plate = cards.integer("PLATEID")
    field = cards.integer("FIELD") if spectrum.reader == "sdss-v" else None
    mjd = cards.integer("MJD")
    unit = plate if plate is not None else field
    night = None if unit is None or mjd is None else f"{unit}-{mjd}"
    return StarKeys(spec_id, tuple(dict.fromkeys(names)), position_deg(spectrum), night)


class _Union:
    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, item: int) -> int:
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, first: int, second: int) -> None:
        a, b = self.find(first), self.find(second)
        # The smaller number stays the root, so that groups do not depend on the order of joins.
        if a != b:
            self._parent[max(a, b)] = min(a, b)


def leakage_groups(keys: Sequence[StarKeys], *, with_plate_mjd: bool = False) -> list[str]:
    """Group spectra of the same star, and by option those of the same plate and night.

    Two spectra are in one group if they share an identifier, or lie within 2 arcsec, or if a chain
    of such pairs connects them.

    Parameters
    ----------
    keys : sequence of StarKeys
        In any order.
    with_plate_mjd : bool, optional
        Also join all spectra of a plate and night.

    Returns
    -------
    list of str
        Name of the group of each spectrum: an identifier that its first member has.
    """
    union = _Union(len(keys))
    seen: dict[str, int] = {}
    for number, key in enumerate(keys):
        shared = list(key.names)
        if with_plate_mjd and key.plate_mjd is not None:
            shared.append(f"plate-mjd-{key.plate_mjd}")
        for name in shared:
            union.join(number, seen.setdefault(name, number))
    for first, second in _close_pairs(keys):
        union.join(first, second)
    return [_group_name(keys[union.find(number)], with_plate_mjd) for number in range(len(keys))]


def _group_name(key: StarKeys, with_plate_mjd: bool) -> str:
    if with_plate_mjd and key.plate_mjd is not None:
        return f"plate-mjd-{key.plate_mjd}"
    if key.names:
        return key.names[0]
    if key.position is not None:
        return f"position-{key.position[0]:.5f}{key.position[1]:+.5f}"
    return f"file-{key.spec_id}"


def _close_pairs(keys: Sequence[StarKeys]) -> list[tuple[int, int]]:
    located = [number for number, key in enumerate(keys) if key.position is not None]
    if len(located) < 2:
        return []
    from scipy.spatial import cKDTree

    lon, lat = np.radians(np.array([keys[number].position for number in located])).T
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    radius = 2.0 * math.sin(math.radians(MATCH_ARCSEC / 3600.0) / 2.0)
    pairs = cKDTree(points).query_pairs(radius, output_type="ndarray")
    return [(located[int(a)], located[int(b)]) for a, b in pairs[np.lexsort(pairs.T[::-1])]]
