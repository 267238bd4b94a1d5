"""The manifest: which file, with which checksum and wavelength grid, each spectrum is of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from astro_common.errors import InputError
from sdss_spectra.readers.generic import stated_frame
from sdss_spectra.releases import release_of
from sdss_spectra.spectrum import Spectrum
from sdss_spectra.tables import column

__all__ = ["COLUMNS", "ManifestSettings", "manifest_row", "sha256_of"]

COLUMNS: Final = (
    column("spec_id", "string", "identifier of the spectrum"),
    column("survey", "string", "survey, as declared or as HDU 2 says"),
    column("data_release", "string", "data release"),
    column("source_path", "string", "file, below the folder of the data set"),
    column("checksum", "string", "SHA-256 of the file, hexadecimal"),
    column("wavelength_frame", "string", "vacuum or air, where the file tells"),
    column("wavelength_grid", "string", "log10 or linear"),
    column("crval1", "float64", "keyword CRVAL1"),
    column("cd1_1", "float64", "keyword CD1_1"),
    column("coeff0", "float64", "keyword COEFF0: log10 of the first wavelength in angstrom"),
    column("coeff1", "float64", "keyword COEFF1: step of log10 of the wavelength"),
    column("flux_unit", "string", "unit of the flux as the file gives it"),
    column("created_at", "string", "when the manifest was made, ISO 8601, UTC"),
    column("notes", "string", "declared by the user"),
    column("wavelength_method", "string", "what the wavelengths were reconstructed from"),
)


@dataclass(frozen=True)
class ManifestSettings:
    """What holds for all rows."""

    created_at: str
    survey: str | None = None
    data_release: str | None = None
    notes: str | None = None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as bare hexadecimal text.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        state = path.stat()
        return _sha256(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a file") from error


# All rows of a file of many spectra have the same sum.
@lru_cache(maxsize=4)
def _sha256(path: Path, _mtime_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_row(
    spectrum: Spectrum, spec_id: str, source_path: str, settings: ManifestSettings
) -> dict[str, Any]:
    """One row of the manifest; values are None where the file has no such keyword."""
    cards = spectrum.cards
    return {
        "spec_id": spec_id,
        "survey": settings.survey or cards.text("SURVEY"),
        "data_release": settings.data_release or release_of(cards),
        "source_path": source_path,
        "checksum": sha256_of(spectrum.path),
        "wavelength_frame": stated_frame(spectrum),
        "wavelength_grid": spectrum.solution.grid,
        "crval1": cards.number("CRVAL1"),
        "cd1_1": cards.number("CD1_1"),
        "coeff0": cards.number("COEFF0"),
        "coeff1": cards.number("COEFF1"),
        "flux_unit": spectrum.flux_unit,
        "created_at": settings.created_at,
        "notes": settings.notes,
        "wavelength_method": spectrum.solution.method,
    }
