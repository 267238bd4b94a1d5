"""What the packages for astronomical surveys share: file formats, provenance and running units.

``fits`` and ``ecsv`` read survey files into Arrow tables and NumPy arrays, ``parquet`` writes
tables that describe themselves, ``provenance`` records where they came from, and ``jobs`` runs
independent units side by side. ``errors`` and ``command`` give every program the same messages and
exit statuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["__version__"]

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    # Looking a version up takes longer than all of this package's light modules together.
    if name == "__version__":
        from importlib.metadata import version

        return version("astro-common")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
