"""The figures of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sdss_spectra.reporting.page import FigureEntry

__all__ = ["FigureSet"]

_FORMATS: Final = ("svg", "png")


class FigureSet:
    """Figures as they are drawn, each as SVG and PNG, and why others are not.

    Attributes
    ----------
    entries : list of FigureEntry
        For the page.
    written : list of Path
        The files.
    """

    def __init__(self, folder: Path, synthetic: bool) -> None:
        self.folder = folder / "figures"
        self._synthetic = synthetic
        self.entries: list[FigureEntry] = []
        self.written: list[Path] = []

    def draw(self, name: str, title: str, caption: str, function: Any, **options: Any) -> None:
        """Draw one in all formats."""
        given = options or {"overwrite": True, "synthetic": self._synthetic}
        for kind in _FORMATS:
            path = self.folder / f"{name}.{kind}"
            function(path, **given)
            self.written.append(path)
        self.entries.append(FigureEntry(title, caption, self.folder / f"{name}.png"))

    def skip(self, title: str, reason: str) -> None:
        """Say why one is not drawn."""
        self.entries.append(FigureEntry(title, "", None, reason))
