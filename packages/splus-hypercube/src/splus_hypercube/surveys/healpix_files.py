"""Files of the Gaia archive, named by their range of HEALPix pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astro_common.errors import InputError

__all__ = ["HealpixFile", "list_healpix_files"]


@dataclass(frozen=True, slots=True)
class HealpixFile:
    """One file.

    Attributes
    ----------
    path : Path
    first, last : int
        Inclusive range of nested pixels of level 8.
    """

    path: Path
    first: int
    last: int

    def holds_any(self, pixels: NDArray[np.int64]) -> bool:
        """Whether any of some sorted pixels is in the range."""
        place = int(np.searchsorted(pixels, self.first))
        return place < len(pixels) and bool(pixels[place] <= self.last)


def list_healpix_files(directory: Path, stem: str) -> list[HealpixFile]:
    """The files ``<stem>_<first>-<last>.csv.gz`` of a folder, by first pixel.

    Parameters
    ----------
    directory : Path
    stem : str
        ``GaiaSource`` or ``XpContinuousMeanSpectrum``.

    Raises
    ------
    InputError
        If the folder cannot be read or holds no such file.
    """
    pattern = re.compile(rf"{stem}_(\d+)-(\d+)\.(csv|ecsv)(\.gz)?")
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except OSError as error:
        raise InputError(directory, f"cannot be listed ({error.strerror})", "a folder") from error
    files = [
        HealpixFile(directory / name, int(match[1]), int(match[2]))
        for name in names
        if (match := pattern.fullmatch(name))
    ]
    if not files:
        raise InputError(directory, "no matching file", f"files named {stem}_<first>-<last>.csv.gz")
    return sorted(files, key=lambda file: (file.first, file.path.name))
