"""SDSS 1-D spectra: real files read and recorded, cleaned, and classified by stellar type."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdss_spectra.readers import read_spectra, read_spectrum
    from sdss_spectra.spectrum import Spectrum

__all__ = ["Spectrum", "__version__", "read_spectra", "read_spectrum"]

try:
    __version__ = version("sdss-spectra")
except PackageNotFoundError:  # a checkout on the path that nobody has installed
    __version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # NumPy and Arrow are imported when they are needed, so that `sdss-spectra --help` is fast.
    if name == "Spectrum":
        from sdss_spectra.spectrum import Spectrum

        return Spectrum
    if name in ("read_spectra", "read_spectrum"):
        from sdss_spectra import readers

        return getattr(readers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
