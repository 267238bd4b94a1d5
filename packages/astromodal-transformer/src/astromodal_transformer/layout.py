"""Slots: one fixed place for each token that a source may have.

A slot says which codebook its token belongs to, which group of tokens (a survey's columns, a
spectrum, the cutouts) and where in it. What the model learns about a place hangs on the slot alone,
never on which other tokens a source happens to have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError
from astromodal_transformer.codebooks import Codebooks
from astromodal_transformer.vocabulary import Vocabulary

__all__ = ["BOS_SLOT", "Layout", "Part", "make_layout", "thinned"]

BOS_SLOT = 0
"""Every sequence begins with the special BOS, which has the first slot."""

# Positions run from 0 to this along a spectrum, whatever its number of tokens.
_LENGTH = 512.0


@dataclass(frozen=True)
class Part:
    """Slots that are filled from one column of a shard.

    Attributes
    ----------
    family, column : str
    start, count : int
        Slots.
    places : tuple of int or None
        Which values of the shard's list; None for a list of varying length, which is thinned.
    """

    family: str
    column: str
    start: int
    count: int
    places: tuple[int, ...] | None


@dataclass(frozen=True)
class Layout:
    """The slots of a vocabulary.

    Attributes
    ----------
    block : ndarray of int64, shape (slots,)
        Index of the vocabulary's block; the number of blocks for BOS.
    group : ndarray of int64, shape (slots,)
    place : ndarray of int64, shape (slots,)
        Number among the slots of its block.
    position : ndarray of float32, shape (slots, 2)
        Along a spectrum, or row and column of an image.
    names : tuple of str
        Modality of each slot: the column, spectrum or ``image``.
    groups : tuple of str
    parts : tuple of Part
    aliases : dict of str to tuple of str
        Further names of a modality: its columns in the hypercube.
    """

    block: NDArray[np.int64]
    group: NDArray[np.int64]
    place: NDArray[np.int64]
    position: NDArray[np.float32]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    parts: tuple[Part, ...]
    aliases: Mapping[str, tuple[str, ...]]

    @property
    def size(self) -> int:
        """Number of slots (int)."""
        return len(self.block)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names in order, each once, without BOS (tuple of str)."""
        return tuple(dict.fromkeys(self.names[1:]))

    @cached_property
    def single(self) -> NDArray[np.bool_]:
        """Slots that are all that their modality has: columns (ndarray of bool)."""
        counts = Counter(self.names)
        return np.array([counts[name] == 1 for name in self.names])

    def matching(self, patterns: Sequence[str], source: str) -> list[str]:
        """Modalities that some of the patterns name.

        Parameters
        ----------
        patterns : sequence of str
            Names of columns, spectra or ``image``, of columns of the hypercube, or patterns with
            ``*``, ``?`` and ``[]``.
        source : str
            What gave them, for the error.

        Returns
        -------
        list of str

        Raises
        ------
        ConfigurationError
            If a pattern matches nothing.
        """
        found: set[str] = set()
        for pattern in patterns:
            own = {
                name
                for name in self.modalities
                if any(fnmatchcase(n, pattern) for n in (name, *self.aliases.get(name, ())))
            }
            if not own:
                raise ConfigurationError(
                    source,
                    f"{pattern!r} matches no modality that the model knows",
                    f"names or patterns of {_some(self.modalities)}",
                )
            found |= own
        return [name for name in self.modalities if name in found]

    def slots(self, modalities: Sequence[str]) -> NDArray[np.int64]:
        """Slots of modalities (ndarray of int64, rising)."""
        wanted = set(modalities)
        chosen = [index for index, name in enumerate(self.names) if index and name in wanted]
        return np.array(chosen, dtype=np.int64)

    def record(self) -> dict[str, Any]:
        """What decides whether two layouts are the same, as JSON can hold it."""
        return {
            "groups": list(self.groups),
            "parts": [
                [part.family, part.column, part.start, part.count, _places(part)]
                for part in self.parts
            ],
            "names": list(dict.fromkeys(self.names)),
            "blocks": self.block.tolist(),
        }


def make_layout(
    vocabulary: Vocabulary,
    books: Codebooks,
    sequences: Mapping[str, Any],
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
) -> Layout:
    """Give each token that a source may have its slot.

    Parameters
    ----------
    vocabulary : Vocabulary
    books : Codebooks
    sequences : mapping
        ``image_tokens``, ``spectrum_tokens`` and ``light_curve_tokens``: how many of a source at
        most.
    include, exclude : sequence of str
        Modalities by name or pattern.

    Returns
    -------
    Layout

    Raises
    ------
    ConfigurationError
        If nothing is left, or a pattern of `include` matches nothing.
    """
    whole = _Builder(vocabulary)
    for place, (name, column) in enumerate(books.columns.items()):
        survey = column.metadata.get("survey") or name.split("_", 1)[0]
        whole.add(name, survey, name, "scalar", "tokens", (place,), np.zeros((1, 2)))
    for name, spectra in books.spectra.items():
        _add_spectra(whole, name, spectra, sequences)
    if books.image is not None:
        image = books.image
        side = min(image.side, int(np.sqrt(int(sequences["image_tokens"]))))
        start = (image.side - side + 1) // 2
        row, column_ = np.mgrid[start : start + side, start : start + side].reshape(2, -1)
        whole.aliases["image"] = image.bands
        flux = np.arange(len(image.bands) * image.rings)
        zeros = np.zeros((len(flux), 2))
        whole.add("image", "image", "image_flux", "image", "scale", tuple(flux.tolist()), zeros)
        places = tuple((row * image.side + column_).tolist())
        whole.add("image", "image", "image", "image", "tokens", places, np.stack([row, column_], 1))
    everything = whole.layout()
    kept = set(everything.matching(include, "data.include"))
    for pattern in exclude:
        kept -= {
            name
            for name in everything.modalities
            if any(fnmatchcase(n, pattern) for n in (name, *everything.aliases.get(name, ())))
        }
    if not kept:
        raise ConfigurationError(
            "data.include and data.exclude", "no modality left", "at least one"
        )
    return whole.layout(kept)


def thinned(length: int, count: int) -> NDArray[np.int64]:
    """Evenly spaced places, `count` of them at most, among `length` (ndarray of int64)."""
    if length <= count:
        return np.arange(length)
    return np.asarray((np.arange(count) * length + length // 2) // count)


def _add_spectra(whole: _Builder, name: str, spectra: Any, sequences: Mapping[str, Any]) -> None:
    whole.aliases[name] = tuple(c for names in spectra.columns.values() for c in names)
    levels = _line((np.arange(spectra.levels) + 0.5) / spectra.levels)
    whole.add(name, name, f"{name}_noise", "spectrum", f"scale_{name}", (0,), np.zeros((1, 2)))
    places = tuple(range(1, 1 + spectra.levels))
    whole.add(name, name, f"{name}_level", "spectrum", f"scale_{name}", places, levels)
    curve = spectra.kind == "light_curve"
    most = int(sequences["light_curve_tokens" if curve else "spectrum_tokens"])
    if not most:
        return
    if spectra.tokens is not None:
        chosen = thinned(spectra.tokens, most)
        position = _line((chosen + 0.5) / spectra.tokens)
        whole.add(name, name, name, "spectrum", f"tokens_{name}", tuple(chosen.tolist()), position)
        return
    position = _line((np.arange(most) + 0.5) / most)
    if spectra.time is not None:
        whole.add(name, name, f"{name}_time", "spectrum", f"time_{name}", None, position)
    whole.add(name, name, name, "spectrum", f"tokens_{name}", None, position)


class _Builder:
    """Collects parts; `layout` numbers the slots of those that are wanted."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.aliases: dict[str, tuple[str, ...]] = {}
        self._parts: list[tuple[str, str, int, str, str, Any, NDArray[Any]]] = []

    def add(
        self,
        name: str,
        group: str,
        block: str,
        family: str,
        column: str,
        places: tuple[int, ...] | None,
        position: NDArray[Any],
    ) -> None:
        if len(position):
            index = self.vocabulary.block(block)
            self._parts.append((name, group, index, family, column, places, position))

    def layout(self, wanted: set[str] | None = None) -> Layout:
        parts = [part for part in self._parts if wanted is None or part[0] in wanted]
        groups = tuple(dict.fromkeys(part[1] for part in parts))
        block = [np.array([len(self.vocabulary.blocks)])]
        group, place, position = [np.array([len(groups)])], [np.array([0])], [np.zeros((1, 2))]
        names, made, start = ["BOS"], [], 1
        for name, own, index, family, column, places, where in parts:
            count = len(where)
            block.append(np.full(count, index))
            group.append(np.full(count, groups.index(own)))
            place.append(np.arange(count))
            position.append(where)
            names.extend([name] * count)
            made.append(Part(family, column, start, count, places))
            start += count
        return Layout(
            np.concatenate(block),
            np.concatenate(group),
            np.concatenate(place),
            np.concatenate(position).astype(np.float32),
            tuple(names),
            groups,
            tuple(made),
            self.aliases,
        )


def _line(share: NDArray[Any]) -> NDArray[np.float64]:
    return np.stack([_LENGTH * share, np.zeros(len(share))], axis=1)


def _places(part: Part) -> list[int] | None:
    return None if part.places is None else list(part.places)


def _some(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
