"""Load a tokenizer that has been fitted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astro_common.errors import InputError
from astromodal_tokenizers.artifacts import codebook_path, file_checksum, load_artifact
from astromodal_tokenizers.tokenizers.image import ImageTokenizer
from astromodal_tokenizers.tokenizers.scalar import ScalarTokenizer
from astromodal_tokenizers.tokenizers.spectrum import SpectrumTokenizer

__all__ = ["Fitted", "Tokenizer", "load_tokenizer"]

Tokenizer = ScalarTokenizer | SpectrumTokenizer | ImageTokenizer

_CLASSES: dict[str, Any] = {
    "scalar": ScalarTokenizer,
    "spectrum": SpectrumTokenizer,
    "image": ImageTokenizer,
}


@dataclass(frozen=True)
class Fitted:
    """A tokenizer and where it comes from.

    Attributes
    ----------
    tokenizer : Tokenizer
    checksum : str
        SHA-256 of its file.
    record : dict
        JSON of its file.
    """

    tokenizer: Tokenizer
    checksum: str
    record: dict[str, Any]


def load_tokenizer(output: Path, family: str) -> Fitted:
    """Load a tokenizer.

    Parameters
    ----------
    output : Path
        The run's folder.
    family : {'scalar', 'spectrum', 'image'}

    Returns
    -------
    Fitted

    Raises
    ------
    InputError
        If its file is missing or damaged.
    """
    path = codebook_path(output, family)
    arrays, record = load_artifact(path, family)
    try:
        tokenizer = _CLASSES[family].from_state(arrays, record)
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError, AttributeError) as error:
        raise InputError(
            path, f"not complete ({error})", f"{family} codebooks", "run fit again"
        ) from error
    return Fitted(tokenizer, file_checksum(path), record)
