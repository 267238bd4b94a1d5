"""SCONE heatmap shards: supernova light curves as images, in TFRecord files, without TensorFlow."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scone_io.grid import GridSpec
    from scone_io.shards import Shards, open_shards

    open = open_shards  # noqa: A001 - scone_io.open, as gzip.open

__all__ = ["GridSpec", "Shards", "__version__", "open"]

__version__ = version("scone-io")


def __getattr__(name: str) -> Any:
    # NumPy and Arrow are imported when they are needed, so that `scone-io --help` is fast.
    if name == "open":
        from scone_io.shards import open_shards

        return open_shards
    if name == "Shards":
        from scone_io.shards import Shards

        return Shards
    if name == "GridSpec":
        from scone_io.grid import GridSpec

        return GridSpec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
