"""A multi-modal transformer over the tokens of hypercubes, and the questions it answers."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astromodal_transformer.export import load_model

__all__ = ["__version__", "load_model"]

__version__ = version("astromodal-transformer")


def __getattr__(name: str) -> Any:
    # PyTorch is loaded only by those who load a model: `--help` answers at once.
    if name == "load_model":
        from astromodal_transformer.export import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
