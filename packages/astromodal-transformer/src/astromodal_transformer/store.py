"""Tokens of many sources, mapped into memory from the shards of the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError, InputError
from astromodal_transformer.layout import Layout, thinned
from astromodal_transformer.vocabulary import SCHEMA_VERSION, Vocabulary

__all__ = ["Codes", "TokenStore", "fields_with_tokens"]

Codes = NDArray[np.uint16]

_HEADER_KEY = b"astromodal_tokenizers"


def fields_with_tokens(folder: Path) -> list[str]:
    """Fields of which there is a shard of any family, in alphabetical order."""
    paths = folder.glob("store/*/datacube_*.arrow")
    return sorted({path.stem.removeprefix("datacube_") for path in paths})


class TokenStore:
    """Rows of some fields, one after the other; nothing is read before it is asked for.

    Parameters
    ----------
    folder : Path
        Folder of tokens.
    vocabulary : Vocabulary
    layout : Layout
    fields : sequence of str, optional
        All that have tokens by default.

    Attributes
    ----------
    fields : tuple of str
    synthetic : bool

    Raises
    ------
    InputError
        If there are no tokens, or a shard is damaged, of another codebook or of other sources than
        its neighbours.
    ConfigurationError
        If a field has no tokens.
    """

    def __init__(
        self,
        folder: Path,
        vocabulary: Vocabulary,
        layout: Layout,
        fields: Sequence[str] | None = None,
    ) -> None:
        self.folder = folder
        self.vocabulary = vocabulary
        self.layout = layout
        known = fields_with_tokens(folder)
        if not known:
            raise InputError(
                folder / "store", "no shards", "tokens", "run `astromodal-tokenizers encode` first"
            )
        self.fields = tuple(known if fields is None else dict.fromkeys(fields))
        for field in self.fields:
            if field not in known:
                raise ConfigurationError(
                    "fields", f"no tokens of {field}", f"one of {', '.join(known[:20])}"
                )
        self._open()

    def __getstate__(self) -> dict[str, Any]:
        # A worker process maps the files anew.
        return {
            "folder": self.folder,
            "vocabulary": self.vocabulary,
            "layout": self.layout,
            "fields": self.fields,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def _open(self) -> None:
        families = dict.fromkeys(part.family for part in self.layout.parts)
        self.synthetic = False
        self._shards: list[dict[str, _Shard]] = []
        starts = [0]
        for field in self.fields:
            shards = {}
            for family in families:
                path = self.folder / "store" / family / f"datacube_{field}.arrow"
                # A field that was encoded without a tokenizer has all of its tokens missing.
                if path.exists():
                    shards[family] = _Shard(path, family, self.vocabulary)
            if not shards:
                raise InputError(
                    self.folder / "store", f"no tokens of {field}", "a modality that is used"
                )
            counts = {shard.rows for shard in shards.values()}
            if len(counts) != 1:
                paths = ", ".join(f"{s.path.parent.name}: {s.rows}" for s in shards.values())
                raise InputError(
                    self.folder / "store",
                    f"numbers of rows of {field} that differ ({paths})",
                    "the same sources in all families",
                    "encode again",
                )
            self.synthetic = self.synthetic or any(s.synthetic for s in shards.values())
            self._shards.append(shards)
            starts.append(starts[-1] + counts.pop())
        self.starts = np.array(starts, dtype=np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def splits(self) -> NDArray[np.uint8]:
        """Part of the sky of each row (ndarray of uint8, shape (rows,))."""
        parts = [next(iter(shards.values())).column("split") for shards in self._shards]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint8)

    @cached_property
    def ids(self) -> list[str]:
        """Identifier of each row (list of str)."""
        return [text for shards in self._shards for text in next(iter(shards.values())).ids()]

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of a part of the sky; ``all`` for all.

        Parameters
        ----------
        split : str

        Returns
        -------
        ndarray of int64
        """
        if split == "all":
            return np.arange(len(self), dtype=np.int64)
        number = self.vocabulary.splits.index(split)
        return np.flatnonzero(self.splits == number)

    def codes(self, rows: NDArray[np.integer[Any]]) -> Codes:
        """Codes of rows.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)

        Returns
        -------
        ndarray of uint16, shape (n, slots)
            The vocabulary's mark where a token is missing, and for BOS.
        """
        rows = np.asarray(rows, dtype=np.int64)
        result = np.full((len(rows), self.layout.size), self.vocabulary.missing, dtype=np.uint16)
        shard_of = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(shard_of):
            chosen = np.flatnonzero(shard_of == number)
            local = rows[chosen] - self.starts[number]
            for part in self.layout.parts:
                shard = self._shards[number].get(part.family)
                if shard is None:
                    continue
                stop = part.start + part.count
                result[chosen, part.start : stop] = shard.codes(part.column, local, part)
        self._check(result)
        return result

    @cached_property
    def _sizes(self) -> Codes:
        sizes = [block.size for block in self.vocabulary.blocks]
        return np.array([*sizes, 0], dtype=np.uint16)[self.layout.block]

    def _check(self, codes: Codes) -> None:
        """A code that no codebook has would be taken for one of the next codebook."""
        wrong = (codes >= self._sizes) & (codes != self.vocabulary.missing)
        if wrong.any():
            row, slot = np.argwhere(wrong)[0]
            block = self.vocabulary.blocks[int(self.layout.block[slot])]
            raise InputError(
                self.folder / "store",
                f"the code {codes[row, slot]} of {block.name}",
                f"codes below {block.size}",
                "encode the fields again",
            )


class _Shard:
    """One file of the store."""

    def __init__(self, path: Path, family: str, vocabulary: Vocabulary) -> None:
        self.path = path
        self._missing = vocabulary.missing
        try:
            self._map = pa.memory_map(str(path))
            self._file = pa.ipc.open_file(self._map)
            header = dict(json.loads((self._file.schema.metadata or {})[_HEADER_KEY]))
            self._batches = [self._file.get_batch(i) for i in range(self._file.num_record_batches)]
            for batch in self._batches:
                # Whether the buffers are long enough; it touches none of the tokens.
                batch.validate()
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
            raise InputError(
                path, f"cannot be read ({error})", "a shard of tokens", "encode the field again"
            ) from error
        if header.get("schema_version") != SCHEMA_VERSION:
            raise InputError(
                path, f"version {header.get('schema_version')}", f"version {SCHEMA_VERSION}"
            )
        wanted = {b.codebook_sha256 for b in vocabulary.blocks if b.family == family}
        found = header.get("codebook_sha256")
        if found not in wanted:
            raise InputError(
                path,
                f"tokens of another vocabulary (codebook {str(found)[:12]})",
                f"{', '.join(item[:12] for item in wanted)} as in vocabulary.json",
                "encode the field again, or use its own vocabulary",
            )
        self.synthetic = bool(header.get("synthetic"))
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])
        self._views: dict[tuple[int, str], Any] = {}

    @property
    def rows(self) -> int:
        """Number of rows (int)."""
        return int(self._starts[-1])

    def column(self, name: str) -> NDArray[Any]:
        """A column of numbers as a whole."""
        columns = [self._sound(batch, name) for batch in self._batches]
        parts = [column.to_numpy(zero_copy_only=False) for column in columns]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint8)

    def ids(self) -> list[str]:
        """Identifiers of all rows."""
        return [text for batch in self._batches for text in self._sound(batch, "id").to_pylist()]

    def _sound(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        """A column whose offsets stay within the file; checking them reads no token."""
        try:
            column = batch.column(name)
            column.validate(full=True)
        except KeyError as error:
            raise InputError(
                self.path, f"no column {name}", "it", "encode the field again"
            ) from error
        except pa.ArrowException as error:
            raise InputError(
                self.path,
                f"column {name} is damaged ({error})",
                "a shard of tokens",
                "encode the field again",
            ) from error
        return column

    def codes(self, name: str, rows: NDArray[np.int64], part: Any) -> Codes:
        """Codes of a part of some rows (ndarray of uint16, shape (n, part.count))."""
        result = np.empty((len(rows), part.count), dtype=np.uint16)
        batch_of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(batch_of):
            chosen = batch_of == number
            local = rows[chosen] - self._starts[number]
            view = self._view(int(number), name)
            if part.places is None:
                result[chosen] = self._ragged(view, local, part.count)
            else:
                matrix, places = view, self._columns(name, part, view)
                result[chosen] = matrix[local[:, None], places]
        return result

    def _columns(self, name: str, part: Any, matrix: NDArray[Any]) -> Any:
        places = np.asarray(part.places)
        if places.max() >= matrix.shape[1]:
            raise InputError(
                self.path,
                f"lists of {matrix.shape[1]} tokens in {name}",
                f"at least {int(places.max()) + 1}",
                "encode the field again",
            )
        return places

    def _ragged(self, view: Any, rows: NDArray[np.int64], count: int) -> Codes:
        offsets, values = view
        result = np.full((len(rows), count), self._missing, dtype=np.uint16)
        for place, row in enumerate(rows):
            own = values[offsets[row] : offsets[row + 1]]
            kept = own[thinned(len(own), count)]
            result[place, : len(kept)] = kept
        return result

    def _view(self, number: int, name: str) -> Any:
        """The values of a list column, without a copy."""
        key = (number, name)
        if key not in self._views:
            column = self._sound(self._batches[number], name)
            if isinstance(column, pa.FixedSizeListArray):
                values = column.values.to_numpy(zero_copy_only=True)
                start = column.offset * column.type.list_size
                stop = start + len(column) * column.type.list_size
                self._views[key] = values[start:stop].reshape(len(column), column.type.list_size)
            else:
                self._views[key] = (
                    column.offsets.to_numpy(zero_copy_only=True),
                    column.values.to_numpy(zero_copy_only=True),
                )
        return self._views[key]
