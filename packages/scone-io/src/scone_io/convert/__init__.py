"""The same events in other containers: npz, Parquet, HDF5, Zarr; and back."""

from __future__ import annotations

from scone_io.convert.conversion import convert, write_found

__all__ = ["convert", "write_found"]
