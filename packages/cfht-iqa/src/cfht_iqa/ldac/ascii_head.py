"""SExtractor's ASCII_HEAD: a commented line per column, then one line per source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from astro_common.errors import InputError

__all__ = ["is_ascii_head", "read_ascii_head"]

_COLUMN: Final = re.compile(r"#\s+(\d+)\s+([A-Z][A-Z0-9_]*)\b")
_EXTENSION: Final = "EXT_NUMBER"
_MAX_BYTES: Final = 4 << 30


def is_ascii_head(path: Path) -> bool:
    """Whether a file starts as ASCII_HEAD does; `InputError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(200)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a catalogue") from error
    return bool(_COLUMN.match(start.decode("ascii", "replace")))


def read_ascii_head(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Read the sources of each image.

    Parameters
    ----------
    path : Path
        The catalogue.
    columns : sequence of str
        Which columns; those that the file lacks are left out.

    Yields
    ------
    str
        ``PRIMARY``, or ``HDU<n>`` by EXT_NUMBER.
    pyarrow.Table
        The columns in double precision.

    Raises
    ------
    InputError
        If a line does not have a number in each column, or the file is too large for text.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(path, "more than 4 GiB of text", action="write FITS_LDAC instead")
    places: dict[str, int] = {}
    values: dict[str, list[float]] = {}
    wanted: list[tuple[str, int]] = []
    with path.open(encoding="ascii", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.startswith("#"):
                match = _COLUMN.match(line)
                if match:
                    places[match[2]] = int(match[1]) - 1
                continue
            if not wanted:
                names = dict.fromkeys([*columns, _EXTENSION])
                wanted = [(name, places[name]) for name in names if name in places]
                values = {name: [] for name, _ in wanted}
            words = line.split()
            try:
                for name, place in wanted:
                    values[name].append(float(words[place]))
            except (IndexError, ValueError) as error:
                raise InputError(
                    path, f"line {number}: {len(words)} words", f"{len(places)} numbers"
                ) from error
    yield from _by_extension(columns, places, values)


def _by_extension(
    columns: Sequence[str], places: dict[str, int], values: dict[str, list[float]]
) -> Iterator[tuple[str, pa.Table]]:
    present = [name for name in columns if name in places]
    arrays = {name: np.array(values.get(name, []), np.float64) for name in present}
    if _EXTENSION not in values:
        yield "PRIMARY", pa.table(arrays)
        return
    extension = np.array(values[_EXTENSION]).astype(np.int64)
    for number in np.unique(extension):
        chosen = extension == number
        name = "PRIMARY" if number == 0 else f"HDU{number}"
        yield name, pa.table({key: array[chosen] for key, array in arrays.items()})
