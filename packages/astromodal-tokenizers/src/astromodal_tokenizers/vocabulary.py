"""One numbering for the codes of all codebooks, for models that see them in one sequence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from astro_common.atomic import atomic_path
from astromodal_tokenizers.artifacts import FAMILIES, SCHEMA_VERSION, codebook_path, file_checksum
from astromodal_tokenizers.tokenizers.bins import MISSING
from astromodal_tokenizers.tokenizers.loading import load_tokenizer

__all__ = ["SPECIALS", "build_vocabulary", "vocabulary_path", "write_vocabulary"]

SPECIALS = ("PAD", "BOS", "EOS", "SEP", "MISSING", "MASK")
"""Tokens that stand for no code, numbered from 0."""


def vocabulary_path(output: Path) -> Path:
    """Where the vocabulary lies."""
    return output / "vocabulary.json"


def build_vocabulary(output: Path, split: dict[str, Any]) -> dict[str, Any]:
    """Number all codes of the codebooks that have been fitted.

    Parameters
    ----------
    output : Path
        The run's folder.
    split : dict
        Which part of the sky taught.

    Returns
    -------
    dict
        ``size``; ``specials``, number by name; ``blocks``, a list with ``name``, ``kind``,
        ``offset``, ``size`` and ``codebook_sha256`` (of the file that holds the codebook): a code
        has the number ``offset`` + code; ``family``, ``column``, ``first`` and ``shape`` of a block
        say where its tokens are in the store, ``codebook`` where its vectors are; ``missing``, the
        mark in token files that stands for the special ``MISSING``.
    """
    blocks = []
    offset = len(SPECIALS)
    for family in FAMILIES:
        path = codebook_path(output, family)
        if not path.exists():
            continue
        checksum = file_checksum(path)
        for block in load_tokenizer(output, family).tokenizer.blocks():
            blocks.append(
                {
                    "name": block.name,
                    "kind": block.kind,
                    "family": family,
                    "offset": offset,
                    "size": block.size,
                    "shape": list(block.shape),
                    "column": block.column,
                    "first": block.first,
                    "codebook": f"{block.name}.codebook",
                    "codebook_sha256": checksum,
                }
            )
            offset += block.size
    return {
        "schema_version": SCHEMA_VERSION,
        "size": offset,
        "specials": {name: number for number, name in enumerate(SPECIALS)},
        "missing": MISSING,
        "blocks": blocks,
        "split": split,
    }


def write_vocabulary(output: Path, split: dict[str, Any]) -> dict[str, Any]:
    """Build the vocabulary and write it; see `build_vocabulary`."""
    vocabulary = build_vocabulary(output, split)
    with atomic_path(vocabulary_path(output), overwrite=True) as partial:
        partial.write_text(json.dumps(vocabulary, indent=2) + "\n", encoding="utf-8")
    return vocabulary
