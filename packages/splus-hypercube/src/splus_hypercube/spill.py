"""Rows kept on disk by buckets of output rows, so that memory does not grow with the field.

A survey's rows arrive file by file, in the survey's order; the hypercube needs them in the order of
its own rows. Each piece that arrives is split by bucket (a run of consecutive output rows) and
appended to one temporary file.
"""

from __future__ import annotations

import os
from collections import defaultdict

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.atomic import output_error
from splus_hypercube.scratch import Scratch, write_all

__all__ = ["Spill"]


class Spill:
    """Tables of one schema, appended in any order and read back by bucket.

    Parameters
    ----------
    scratch : Scratch
        Gives the file.
    bucket_rows : int
        Number of consecutive output rows in a bucket.
    """

    def __init__(self, scratch: Scratch, bucket_rows: int) -> None:
        self.bucket_rows = bucket_rows
        self._folder = scratch.folder
        self._file = scratch.open()
        self._pieces: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._size = 0

    def append(self, output_rows: NDArray[np.int64], table: pa.Table) -> None:
        """Add rows.

        Parameters
        ----------
        output_rows : ndarray of int64, shape (n,)
            The output row that each row of the table belongs to.
        table : pyarrow.Table
            n rows.

        Raises
        ------
        OutputError
            If the disk is full.
        """
        if not len(output_rows):
            return
        buckets = output_rows // self.bucket_rows
        order = np.argsort(buckets, kind="stable")
        buckets = buckets[order]
        table = table.take(pa.array(order))
        starts = np.flatnonzero(np.r_[True, buckets[1:] != buckets[:-1]])
        for start, stop in zip(starts, np.r_[starts[1:], len(buckets)], strict=True):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table.slice(start, stop - start))
            data = sink.getvalue()
            try:
                write_all(self._file.fileno(), data)
            except OSError as error:
                raise output_error(self._folder, error) from error
            self._pieces[int(buckets[start])].append((self._size, len(data)))
            self._size += len(data)

    def read(self, bucket: int) -> pa.Table | None:
        """The rows of a bucket in the order in which they were added; None if there are none."""
        pieces = [
            pa.ipc.open_stream(os.pread(self._file.fileno(), length, offset)).read_all()
            for offset, length in self._pieces.get(bucket, [])
        ]
        return pa.concat_tables(pieces).combine_chunks() if pieces else None
