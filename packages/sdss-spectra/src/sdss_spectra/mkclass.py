"""Spectral types as text: MK types, SUBCLASS of the SDSS pipeline, and types from temperatures.

References
----------
Pecaut & Mamajek 2013, ApJS 208, 9, table 5 and its continuation, "A Modern Mean Dwarf Stellar
Color and Effective Temperature Sequence": effective temperatures of dwarfs O3 to T8.
van Belle et al. 1999, AJ 117, 521, table 5: effective temperatures of giants G8 to M7.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["LETTERS", "SpectralType", "parse_type", "type_from_parameters"]

LETTERS: Final = "OBAFGKMLT"

# Folder names are parsed too: a word such as "work" or "chandra" must not begin a class.
_SPECIAL: Final = (
    (re.compile(r"(?i:calcium|carbon)?(?i:wd)|D[ABCOQZX]+\d*(\.\d)?(:?$|\b)"), "WD"),
    (re.compile(r"(?i)cv\b|cataclysmic"), "CV"),
    (re.compile(r"(?i)carbon|c[-_]?[rnjh]d?(?![a-z])|c\d"), "Carbon"),
    (re.compile(r"(?i)w[ncor](?:l|e|ha?)?(?![a-z])"), "WR"),
)
_TYPE: Final = re.compile(
    r"^(?P<dwarf>sd[:\s]*|esd|usd|d(?=[OBAFGKM]\d))?"
    r"(?P<letter>[OBAFGKMLT])"
    r"(?:(?P<low>\d(?:\.\d+)?)(?::)?)?"
    r"(?:\s*[/-]\s*(?P<letter2>[OBAFGKMLT])?(?P<high>\d(?:\.\d+)?))?"
    r"(?P<rest>.*)$"
)
_LUMINOSITY: Final = re.compile(
    r"^[\s:_pmwnhkes.()]*?(?P<lum>Ia-0|Ia\+|Ia-ab|Iab|Ia|Ib/II|Ib|I/II|III/IV|III-IV|II-III|III"
    r"|II|IV-V|IV/V|IV|I|VII|VI|V-VI|V)"
)
_LUMINOSITY_NAMES: Final = {"dwarf": "V", "giant": "III", "supergiant": "I", "subgiant": "IV"}

# Teff of dwarfs by subtype number (O0 = 0, B0 = 10, ... T0 = 80), Pecaut & Mamajek 2013.
_DWARFS: Final = np.array(
    [
        (3, 44900), (4, 42900), (5, 41400), (6, 39500), (7, 37100), (8, 35100), (9, 33300),
        (10, 31400), (11, 26000), (12, 20600), (13, 17000), (14, 16400), (15, 15700), (16, 14500),
        (17, 14000), (18, 12300), (19, 10700), (20, 9700), (21, 9300), (22, 8800), (23, 8600),
        (24, 8250), (25, 8100), (26, 7910), (27, 7760), (28, 7590), (29, 7400), (30, 7220),
        (31, 7020), (32, 6820), (33, 6750), (34, 6670), (35, 6550), (36, 6350), (37, 6280),
        (38, 6180), (39, 6050), (40, 5930), (41, 5860), (42, 5770), (43, 5720), (44, 5680),
        (45, 5660), (46, 5600), (47, 5550), (48, 5480), (49, 5380), (50, 5270), (51, 5170),
        (52, 5100), (53, 4830), (54, 4600), (55, 4440), (56, 4300), (57, 4100), (58, 3990),
        (59, 3930), (60, 3850), (61, 3660), (62, 3560), (63, 3430), (64, 3210), (65, 3060),
        (66, 2810), (67, 2680), (68, 2570), (69, 2380), (70, 2270), (72, 1950), (75, 1590),
        (78, 1410), (80, 1240), (85, 1140), (88, 700),
    ],
    np.float64,
)  # fmt: skip
# Teff of giants, van Belle et al. 1999.
_GIANTS: Final = np.array(
    [
        (48, 4900), (50, 4750), (51, 4650), (52, 4500), (53, 4350), (54, 4150), (55, 3980),
        (57, 3890), (60, 3850), (61, 3770), (62, 3700), (63, 3620), (64, 3530), (65, 3400),
        (66, 3300), (67, 3160),
    ],
    np.float64,
)  # fmt: skip


@dataclass(frozen=True)
class SpectralType:
    """A parsed spectral type.

    Attributes
    ----------
    letter : str
        One of ``O B A F G K M L T``, or ``WD``, ``CV``, ``Carbon``, ``WR``.
    subtype : float or None
        0 up to below 10; the mean of a range such as F3/F5.
    luminosity : str
        ``Ia`` to ``VII``; empty where none is given.
    """

    letter: str
    subtype: float | None
    luminosity: str

    @property
    def code(self) -> float | None:
        """Ten times the place of the letter plus the subtype: O5 is 5, G2 is 42 (float).

        A type without a subtype counts as the middle of its class; None off the sequence.
        """
        if self.letter not in LETTERS:
            return None
        return 10.0 * LETTERS.index(self.letter) + (5.0 if self.subtype is None else self.subtype)

    @property
    def mk(self) -> str:
        """The class as one word, such as ``B9.5III`` (str)."""
        subtype = "" if self.subtype is None else f"{self.subtype:.4g}"
        return f"{self.letter}{subtype}{self.luminosity}"


def parse_type(text: str | None) -> SpectralType | None:
    """Parse an MK type or a SUBCLASS.

    Parameters
    ----------
    text : str or None
        Such as ``G2V``, ``F3/F5V (30743)``, ``K3``, ``M4.5:III (123657)``, ``sdF5``, ``WDhotter``.
        What follows in parentheses, the template's star, is not part of the type.

    Returns
    -------
    SpectralType or None
        None where the text is no type: empty, ``STARFORMING``, ``BROADLINE``, ``INDEF``.
    """
    if text is None:
        return None
    bare = "".join(text.split("(", 1)[0].split()).strip("'\"")
    if not bare:
        return None
    for pattern, name in _SPECIAL:
        if pattern.match(bare):
            return SpectralType(name, None, "")
    if bare.lower() in ("ldwarf", "tdwarf"):
        return SpectralType(bare[0].upper(), None, "V")
    if bare == "OB":
        return SpectralType("O", None, "")
    match = _TYPE.match(bare)
    if match is None:
        return None
    letter, low, high = match["letter"], match["low"], match["high"]
    rest = match["rest"]
    if rest[:1].isdigit():
        return None  # a name with a number, such as M67
    if low is None and re.match(r"[A-Za-z]{2}", rest) and not _LUMINOSITY.match(rest):
        return None  # a word, such as Main or AGN
    subtype = None if low is None else float(low)
    if subtype is not None and high is not None:
        second = match["letter2"] or letter
        shift = 10.0 * (LETTERS.index(second) - LETTERS.index(letter))
        mean = 0.5 * (subtype + float(high) + shift)
        if 0.0 <= mean < 10.0:
            subtype = mean
    found = _LUMINOSITY.match(rest)
    luminosity = "" if found is None else found["lum"]
    if not luminosity:
        word = re.sub(r"[^a-z]", "", rest.lower())
        luminosity = next((v for k, v in _LUMINOSITY_NAMES.items() if word.endswith(k)), "")
    if not luminosity and (match["dwarf"] or "").startswith(("sd", "esd", "usd")):
        luminosity = "VI"
    return SpectralType(letter, subtype, luminosity)


def type_from_parameters(teff_k: float | None, logg_cgs: float | None) -> SpectralType | None:
    """Spectral type of an effective temperature, by interpolation in the cited tables.

    Parameters
    ----------
    teff_k : float or None
        Kelvin.
    logg_cgs : float or None
        log10 of the surface gravity in cm/s^2. Below 1, 2, 3.5, 3.9 and 6 the luminosity class is
        I, II, III, IV and V, and VII above: limits of this package, since no standard ones exist.
        Without a gravity the star counts as a dwarf, and the luminosity class stays empty. The
        scale of giants holds below 3.5 and from 3160 to 5200 K.

    Returns
    -------
    SpectralType or None
        Subtype to a half; None without a temperature between 700 and 60,000 K.
    """
    if teff_k is None or not math.isfinite(teff_k) or not 700.0 <= teff_k <= 60_000.0:
        return None
    has_gravity = logg_cgs is not None and math.isfinite(logg_cgs) and -2.0 < logg_cgs < 9.9
    luminosity = _luminosity_class(float(logg_cgs or 0.0)) if has_gravity else ""
    giant = luminosity in ("I", "II", "III") and _GIANTS[-1, 1] <= teff_k <= 5200.0
    table = _GIANTS if giant else _DWARFS
    # The tables fall with the subtype; interpolation is in log Teff.
    code = float(np.interp(-math.log(teff_k), -np.log(table[:, 1]), table[:, 0]))
    code = round(2.0 * code) / 2.0
    return SpectralType(LETTERS[int(code // 10)], code % 10.0, luminosity)


def _luminosity_class(logg_cgs: float) -> str:
    for limit, name in ((1.0, "I"), (2.0, "II"), (3.5, "III"), (3.9, "IV"), (6.0, "V")):
        if logg_cgs < limit:
            return name
    return "VII"
