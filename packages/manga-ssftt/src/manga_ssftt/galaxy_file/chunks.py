"""Chunks of HDF5 datasets, packed by several threads as HDF5's own filters would pack them.

HDF5 compresses one chunk after the other, in the thread that writes. Most of that time goes into
the search for repeated strings, of which the shuffled bytes of a noisy spectrum hold none. Run
lengths and Huffman codes alone give the same size several times as fast, and any reader of gzip
decodes them.
"""

from __future__ import annotations

import itertools
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

__all__ = ["write_chunked"]

_N_THREADS: Final = 2


def write_chunked(
    file: h5py.File, name: str, values: npt.NDArray[Any], chunks: tuple[int, ...]
) -> h5py.Dataset:
    """Write an array as a dataset of shuffled, gzip-compressed chunks.

    Parameters
    ----------
    file : h5py.File
    name : str
    values : ndarray
    chunks : tuple of int
        Shape of a chunk, as many axes as `values`.

    Returns
    -------
    h5py.Dataset
    """
    dataset = file.create_dataset(
        name, values.shape, values.dtype, chunks=chunks, compression="gzip", shuffle=True
    )
    starts = list(
        itertools.product(
            *(range(0, size, step) for size, step in zip(values.shape, chunks, strict=True))
        )
    )

    def packed(start: tuple[int, ...]) -> bytes:
        part = values[tuple(slice(a, a + step) for a, step in zip(start, chunks, strict=True))]
        if part.shape != chunks:  # HDF5 stores whole chunks, also at the edges
            whole = np.zeros(chunks, values.dtype)
            whole[tuple(slice(size) for size in part.shape)] = part
            part = whole
        return _pack(part)

    with ThreadPoolExecutor(_N_THREADS) as pool:
        for start, stream in zip(starts, pool.map(packed, starts), strict=True):
            dataset.id.write_direct_chunk(start, stream)
    return dataset


def _pack(chunk: npt.NDArray[Any]) -> bytes:
    single = np.ascontiguousarray(chunk).view(np.uint8).reshape(-1, chunk.dtype.itemsize)
    shuffled = single.T.tobytes()  # first bytes of all values, then second ones, ...
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return packer.compress(shuffled) + packer.flush()
