"""Where each CCD sits in the mosaic.

CCD 00 is at the top left (north-east), numbers run along rows from the top down. Until 2014 there
were four rows of nine; since then rows of 9, 11, 11 and 9. The upper two rows are mounted upside
down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MosaicPlace", "ccd_number", "ccd_place", "rows_of"]

_ROWS: Final = {36: (9, 9, 9, 9), 40: (9, 11, 11, 9)}


@dataclass(frozen=True)
class MosaicPlace:
    """Place of a CCD.

    Attributes
    ----------
    row, column : int
        Row from the top, and column, where the outermost columns are those of the ears if there
        are any.
    x, y : float
        Middle of the CCD, from 0 to 1, y upwards.
    is_rotated : bool
        Mounted upside down.
    """

    row: int
    column: int
    x: float
    y: float
    is_rotated: bool


def rows_of(n_ccds: int) -> tuple[int, ...]:
    """Number of CCDs in each row; as square as may be for other cameras."""
    if n_ccds in _ROWS:
        return _ROWS[n_ccds]
    if n_ccds > 40:
        width = 11
        return (width,) * (n_ccds // width) + ((n_ccds % width,) if n_ccds % width else ())
    if n_ccds > 4:
        return (9,) * (n_ccds // 9) + ((n_ccds % 9,) if n_ccds % 9 else ())
    return (n_ccds,)


def ccd_place(number: int, n_ccds: int) -> MosaicPlace:
    """Place a CCD.

    Parameters
    ----------
    number : int
        From 0 on.
    n_ccds : int
        In the mosaic: 36 or 40, or any number of another camera.

    Returns
    -------
    MosaicPlace
    """
    rows = rows_of(n_ccds)
    width = max(rows)
    left = number
    for row, count in enumerate(rows):
        if left < count:
            column = left + (width - count) // 2
            x = (column + 0.5) / width
            y = 1.0 - (row + 0.5) / len(rows)
            return MosaicPlace(row, column, x, y, len(rows) == 4 and row < 2)
        left -= count
    raise ValueError(f"CCD {number} of {n_ccds}")


def ccd_number(name: str, place: int) -> int:
    """Number of a CCD by a name such as ``ccd07``; its place in the file if the name has none."""
    digits = name[3:]
    return int(digits) if name[:3].lower() == "ccd" and digits.isdecimal() else place
