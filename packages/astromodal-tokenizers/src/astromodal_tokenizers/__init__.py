"""Tokens for S-PLUS hypercubes: images, spectra, light curves and columns to codes, and back."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astromodal_tokenizers.xp import sample_xp

__all__ = ["__version__", "sample_xp"]

__version__ = version("astromodal-tokenizers")


def __getattr__(name: str) -> Any:
    # NumPy is loaded only by those who sample spectra: `--help` answers at once.
    if name == "sample_xp":
        from astromodal_tokenizers.xp import sample_xp

        return sample_xp
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
