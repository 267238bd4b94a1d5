"""MegaCam exposures to an image-quality verdict."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("cfht-iqa")
except PackageNotFoundError:  # run from the source tree, without having been installed
    __version__ = "0.1.0"
