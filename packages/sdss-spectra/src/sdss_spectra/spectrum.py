"""One spectrum as read from a file, and the header values that came with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sdss_spectra.wavelength import WavelengthSolution

__all__ = ["Cards", "Spectrum"]

Floats = npt.NDArray[np.float64]

_INTEGER: Final = re.compile(r"[+-]?\d+")


class Cards(Mapping[str, Any]):
    """Header values and table cells by upper-case name, each with the place that it came from.

    The place added first wins: a reader adds the primary header before the tables.
    """

    def __init__(self) -> None:
        self._values: dict[str, tuple[Any, str]] = {}

    def add(self, values: Mapping[str, Any], origin: str) -> None:
        """Add values that are not there yet; empty text and None count as missing."""
        for name, value in values.items():
            key = name.upper()
            if value is None or (isinstance(value, str) and not value.strip()):
                continue
            if key not in self._values:
                self._values[key] = (value.strip() if isinstance(value, str) else value, origin)

    def __getitem__(self, name: str) -> Any:
        return self._values[name.upper()][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def origin(self, name: str) -> str | None:
        """Where a value came from, such as ``HDU 2`` (str), or None."""
        found = self._values.get(name.upper())
        return None if found is None else found[1]

    def text(self, *names: str) -> str | None:
        """The first of these that is text (str), or None."""
        for name in names:
            value = self.get(name)
            if isinstance(value, str):
                return value
        return None

    def number(self, *names: str) -> float | None:
        """The first of these that is one finite number (float), or None."""
        for name in names:
            value = self.get(name)
            if isinstance(value, (bool, np.bool_)) or not isinstance(
                value, (int, float, np.integer, np.floating)
            ):
                continue
            if np.isfinite(value):
                return float(value)
        return None

    def integer(self, *names: str) -> int | None:
        """The first of these that is a whole number, never by way of a float (int), or None."""
        for name in names:
            value = self.get(name)
            if isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_)):
                return int(value)
            if isinstance(value, str) and _INTEGER.fullmatch(value):
                return int(value)
        return None


@dataclass(frozen=True)
class Spectrum:
    """A spectrum in the units and on the pixels of its file.

    Attributes
    ----------
    path : Path
        The file.
    row : int or None
        Its place in a file of many spectra; None in a file of one.
    reader : str
        Which reader read it, such as ``spec`` or ``spspec``.
    solution : WavelengthSolution
        Wavelengths of the pixels.
    flux : ndarray of float64, shape (n_pixel,)
        In `flux_unit`; NaN where the file has none.
    ivar : ndarray of float64, shape (n_pixel,), or None
        Inverse variance of `flux`; 0 where the pixel is of no use. None: the file gives no errors.
    and_mask, or_mask : ndarray of uint32, shape (n_pixel,), or None
        SPPIXMASK bits set in all, and in any, of the exposures.
    resolution : ndarray of float64, shape (n_pixel,), or None
        Resolving power of each pixel, lambda / FWHM.
    cards : Cards
        Header values and table cells.
    flux_unit : str or None
        As the file says.
    is_rest_frame : bool
        Whether the file's wavelengths are at rest already.
    is_heliocentric : bool or None
        Whether the heliocentric correction is in the wavelengths.
    """

    path: Path
    row: int | None
    reader: str
    solution: WavelengthSolution
    flux: Floats
    ivar: Floats | None
    and_mask: npt.NDArray[np.uint32] | None = None
    or_mask: npt.NDArray[np.uint32] | None = None
    resolution: Floats | None = None
    cards: Cards = field(default_factory=Cards)
    flux_unit: str | None = None
    is_rest_frame: bool = False
    is_heliocentric: bool | None = None

    @property
    def wavelength(self) -> Floats:
        """Wavelengths as in the file, angstrom (ndarray of float64)."""
        return self.solution.wavelength

    @property
    def name(self) -> str:
        """File, and row where the file has many (str)."""
        return self.path.name if self.row is None else f"{self.path.name}[{self.row}]"

    @property
    def is_synthetic(self) -> bool:
        """Whether the file says that no star was observed (bool)."""
        return self.cards.get("SYNTHET") is True

    def signal_to_noise(self) -> float | None:
        """Median of flux times sqrt(ivar) over the pixels with ivar > 0 (float), or None."""
        if self.ivar is None:
            return None
        good = (self.ivar > 0) & np.isfinite(self.flux)
        if not good.any():
            return None
        return float(np.median(self.flux[good] * np.sqrt(self.ivar[good])))

    def to_specutils(self) -> Any:
        """Make a `specutils.Spectrum` with vacuum wavelengths (extra ``specutils``)."""
        from sdss_spectra.conversion import to_specutils

        return to_specutils(self)
