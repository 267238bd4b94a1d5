"""The vocabulary that astromodal-tokenizers writes: which number stands for which code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from astro_common.errors import InputError

__all__ = ["SCHEMA_VERSION", "Block", "Vocabulary", "load_vocabulary"]

SCHEMA_VERSION = 1
"""Version of the vocabulary and token files that this package reads."""


@dataclass(frozen=True)
class Block:
    """The codes of one codebook.

    Attributes
    ----------
    name, kind, family : str
    offset, size : int
        Code ``c`` has the number ``offset + c``, c < size.
    codebook_sha256 : str
        Of the file that holds the codebook.
    """

    name: str
    kind: str
    family: str
    offset: int
    size: int
    codebook_sha256: str


@dataclass(frozen=True)
class Vocabulary:
    """All numbers that may stand in a sequence.

    Attributes
    ----------
    size : int
    specials : dict of str to int
    missing : int
        Mark of a missing value in token files.
    blocks : tuple of Block
    splits : tuple of str
        Names of the parts of the sky by their number in the token files.
    """

    size: int
    specials: Mapping[str, int]
    missing: int
    blocks: tuple[Block, ...]
    splits: tuple[str, ...] = ("train", "validation", "test")

    def block(self, name: str) -> int:
        """Index of a block by its name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for index, block in enumerate(self.blocks):
            if block.name == name:
                return index
        raise KeyError(name)

    @property
    def digest(self) -> str:
        """SHA-256 of what decides whether two vocabularies number alike (str)."""
        record = self.record()
        del record["splits"]
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

    def record(self) -> dict[str, Any]:
        """The vocabulary as JSON can hold it."""
        return {
            "size": self.size,
            "specials": dict(self.specials),
            "missing": self.missing,
            "blocks": [asdict(block) for block in self.blocks],
            "splits": list(self.splits),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Vocabulary:
        """Make the vocabulary that `record` described.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the record is not complete or blocks overlap.
        """
        blocks = tuple(
            Block(
                str(item["name"]),
                str(item["kind"]),
                str(item["family"]),
                int(item["offset"]),
                int(item["size"]),
                str(item["codebook_sha256"]),
            )
            for item in record["blocks"]
        )
        specials = {str(name): int(number) for name, number in record["specials"].items()}
        size, missing = int(record["size"]), int(record["missing"])
        end = max(specials.values(), default=-1) + 1
        for block in sorted(blocks, key=lambda block: block.offset):
            if block.size < 1 or block.offset < end:
                raise ValueError(f"block {block.name} overlaps the one before it")
            end = block.offset + block.size
        if end > size:
            raise ValueError(f"numbers up to {end} in a vocabulary of {size}")
        if "BOS" not in specials:
            raise ValueError("no special BOS")
        if len({block.name for block in blocks}) != len(blocks):
            raise ValueError("two blocks have the same name")
        splits = record.get("splits") or record.get("split", {}).get("names", ())
        return cls(
            size,
            specials,
            missing,
            blocks,
            tuple(splits) or ("train", "validation", "test"),
        )


def load_vocabulary(folder: Path) -> Vocabulary:
    """Read ``vocabulary.json`` of a folder of tokens.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Vocabulary

    Raises
    ------
    InputError
        If it is missing, damaged or of another version.
    """
    path = folder / "vocabulary.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            path, "no such file", "a vocabulary", "run `astromodal-tokenizers fit` first"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, f"cannot be read ({error})", "a vocabulary in JSON") from error
    if not isinstance(record, dict) or record.get("schema_version") != SCHEMA_VERSION:
        version = record.get("schema_version") if isinstance(record, dict) else None
        raise InputError(path, f"version {version}", f"a vocabulary of version {SCHEMA_VERSION}")
    try:
        return Vocabulary.from_record(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            path, f"not complete ({error})", "a vocabulary", "run `fit` again"
        ) from error
