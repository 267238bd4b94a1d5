"""MaNGA datacubes to BPT and oxygen-abundance maps with a spectral-spatial transformer."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("manga-ssftt")
except PackageNotFoundError:  # run from a source folder that is not installed
    __version__ = "0.1.0"
