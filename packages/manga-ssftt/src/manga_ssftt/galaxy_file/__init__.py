"""The HDF5 file of a processed galaxy: cube, errors, labels, coordinates and provenance."""

from __future__ import annotations

from manga_ssftt.galaxy_file.files import SCHEMA_VERSION, Galaxy, GalaxyFile, write_galaxy

__all__ = ["SCHEMA_VERSION", "Galaxy", "GalaxyFile", "write_galaxy"]
