"""S-PLUS hypercubes: one Parquet row per source with everything nine surveys know about it."""

from __future__ import annotations

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("splus-hypercube")
