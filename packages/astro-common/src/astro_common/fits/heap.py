"""Variable-length arrays: descriptors in the rows of a table, elements in the heap after them.

A descriptor is a count and an offset into the heap (FITS Standard 4.0, section 7.3.5). It is
checked against the size of the heap before it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from astro_common.fits.columns import Column
from astro_common.fits.content import Content
from astro_common.fits.headers import HduInfo, hdu_error, header_integer

__all__ = ["Heap"]

# Ranges of the heap that are this close are read together, up to this many bytes and pieces.
_GAP_BYTES: Final = 4096
_READ_BYTES: Final = 1 << 20
_READ_PIECES: Final = 1 << 16

# Rows may share an array, so the arrays of a column may add up to more than the heap, but a small
# file must not claim unbounded memory.
_MAX_SHARING: Final = 16

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


class Heap:
    """The heap of one binary table.

    Raises
    ------
    InputError
        THEAP lies outside the data.
    """

    def __init__(self, content: Content, info: HduInfo) -> None:
        self._content = content
        self._info = info
        path, header = content.path, info.header
        table_bytes = header_integer(path, info.index, header, "NAXIS1") * header_integer(
            path, info.index, header, "NAXIS2"
        )
        theap = header_integer(path, info.index, header, "THEAP", default=table_bytes)
        if not table_bytes <= theap <= info.data_bytes:
            raise hdu_error(
                path,
                info.index,
                f"THEAP = {theap}",
                f"between {table_bytes}, the end of the table, and {info.data_bytes}, the end of "
                "the data",
            )
        self._offset = info.data_offset + theap
        self.size = info.data_bytes - theap

    @property
    def _path(self) -> Path:
        return self._content.path

    def check(self, column: Column, counts: Integers, offsets: Integers, rows: Integers) -> None:
        """Refuse descriptors that point outside the heap, or whose sizes add up to too much.

        Parameters
        ----------
        column : Column
            For its element size, and for the error.
        counts, offsets : ndarray of int64, shape (n,)
            Number of elements, and offset in bytes from the start of the heap.
        rows : ndarray of int64, shape (n,)
            The row of each descriptor, for the error.

        Raises
        ------
        InputError
            A descriptor points outside the heap, or they claim many times its size.
        """
        sizes = self.sizes(column, np.clip(counts, 0, self.size * 8 + 1))
        bad = (counts < 0) | (counts > self.size * 8)
        bad |= (counts > 0) & ((offsets < 0) | (offsets > self.size - sizes))
        if bad.any():
            first = int(np.argmax(bad))
            raise hdu_error(
                self._path,
                self._info.index,
                f"row {int(rows[first])} of column {column.name!r} claims {int(counts[first])} "
                f"elements at byte {int(offsets[first])} of the heap",
                f"an array inside its {self.size} bytes",
            )
        total = int(sizes.sum(dtype=np.float64))
        if total > self.size * _MAX_SHARING:
            raise hdu_error(
                self._path,
                self._info.index,
                f"the arrays of column {column.name!r} add up to {total} bytes",
                f"at most {_MAX_SHARING} times the {self.size} bytes of the heap",
            )

    @staticmethod
    def sizes(column: Column, counts: Integers) -> Integers:
        """The size in bytes of arrays with these numbers of elements (int64, shape (n,))."""
        if column.code == "X":
            return (counts + 7) // 8
        return counts * column.stored.itemsize

    def gather(self, sizes: Integers, offsets: Integers, guard: int = 0) -> Bytes:
        """Read ranges of the heap into one array.

        Parameters
        ----------
        sizes, offsets : ndarray of int64, shape (n,)
            Length of each range and its offset in the heap, in bytes; already checked.
        guard : int
            How many bytes of value 255 to append.

        Returns
        -------
        ndarray of uint8
            ``sizes.sum() + guard`` bytes, in the order of the descriptors.
        """
        total = int(sizes.sum())
        gathered = np.empty(total + guard, np.uint8)
        gathered[total:] = 255
        filled = np.flatnonzero(sizes)
        sizes, sources = sizes[filled], offsets[filled]
        targets = np.cumsum(sizes) - sizes
        # Arrays that are neighbours both in the heap and in the result are one piece.
        new = np.ones(len(sizes), np.bool_)
        new[1:] = sources[1:] != sources[:-1] + sizes[:-1]
        first = np.flatnonzero(new)
        sizes = np.add.reduceat(sizes, first) if len(first) else sizes
        sources, targets = sources[first], targets[first]
        order = np.argsort(sources, kind="stable")
        sizes, sources, targets = sizes[order], sources[order], targets[order]
        start = 0
        while start < len(sizes):
            stop = self._group(sources, sizes, start)
            self._copy(gathered, sizes[start:stop], sources[start:stop], targets[start:stop])
            start = stop
        return gathered

    @staticmethod
    def _group(sources: Integers, sizes: Integers, first: int) -> int:
        # As many pieces as lie close together and fit into one read. Pieces may share bytes, so
        # their sum is limited too.
        limit = int(np.searchsorted(sources, sources[first] + _READ_BYTES, side="left"))
        window = slice(first, min(limit, first + _READ_PIECES))
        starts, reach = sources[window], np.maximum.accumulate(sources[window] + sizes[window])
        outside = reach > starts[0] + _READ_BYTES
        outside |= np.cumsum(sizes[window]) > 2 * _READ_BYTES
        outside[1:] |= starts[1:] > reach[:-1] + _GAP_BYTES
        outside[0] = False
        return first + (int(np.argmax(outside)) if outside.any() else len(reach))

    def _copy(self, gathered: Bytes, sizes: Integers, sources: Integers, targets: Integers) -> None:
        start = int(sources[0])
        if len(sizes) == 1:
            target = int(targets[0])
            part = gathered[target : target + int(sizes[0])]
            self._content.read_into(self._offset + start, part.data)
            return
        end = int((sources + sizes).max())
        block = np.frombuffer(self._content.read_at(self._offset + start, end - start), np.uint8)
        # One index per byte: the pieces are many and short here.
        before = np.cumsum(sizes) - sizes
        step = np.arange(int(sizes.sum()))
        gathered[np.repeat(targets - before, sizes) + step] = block[
            np.repeat(sources - start - before, sizes) + step
        ]
