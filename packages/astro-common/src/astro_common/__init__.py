"""What the packages for astronomical surveys share: file formats, provenance, running units.

``fits`` and ``ecsv`` read survey files into Arrow tables and NumPy arrays, ``parquet`` writes
self-describing tables, ``provenance`` records where they come from, and ``jobs`` runs independent
units in parallel. ``errors`` and ``command`` give all programs the same messages and exit statuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["__version__"]

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    # Looking up the version takes longer than importing the light modules of this package.
    if name == "__version__":
        from importlib.metadata import version

        return version("astro-common")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
