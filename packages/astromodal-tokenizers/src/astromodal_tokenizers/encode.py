"""Rows of hypercubes to token files, field by field.

For each field and tokenizer there is an npz file, for people, and a shard of a store in Arrow's
file format, which training maps into memory. Both hold the codes of the codebook that they name;
``vocabulary.json`` says how to number them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.atomic import atomic_path
from astro_common.errors import AstroError, InputError
from astro_common.jobs import Outcome, run_units
from astro_common.provenance import fingerprint
from astromodal_tokenizers.artifacts import FAMILIES, SCHEMA_VERSION, codebook_path
from astromodal_tokenizers.configuration import Configuration
from astromodal_tokenizers.hypercube import (
    DEC,
    ID,
    RA,
    Cube,
    Rows,
    iter_rows,
    open_cube,
    row_splits,
)
from astromodal_tokenizers.npz import NpzWriter, read_npz_scalar
from astromodal_tokenizers.prefetching import Prefetch
from astromodal_tokenizers.split import SPLITS
from astromodal_tokenizers.tokenizers.bins import MISSING
from astromodal_tokenizers.tokenizers.image import ImageTokenizer
from astromodal_tokenizers.tokenizers.loading import Fitted, load_tokenizer
from astromodal_tokenizers.tokenizers.scalar import ScalarTokenizer
from astromodal_tokenizers.tokenizers.spectrum import SpectrumTokenizer

__all__ = ["Parts", "encode_field", "encode_fields", "fitted_families", "store_path", "token_path"]

logger = logging.getLogger(__name__)

Parts = dict[str, NDArray[Any]]

_FOLDERS = {"image": "image_tokens", "scalar": "scalar_tokens", "spectrum": "spectrum_tokens"}
_SUFFIXES = {"image": "tokens", "scalar": "scalar_tokens", "spectrum": "spectrum_tokens"}


@dataclass(frozen=True)
class _Unit:
    configuration: Configuration
    field: str
    families: tuple[str, ...]


def token_path(output: Path, family: str, field: str) -> Path:
    """The npz file with the tokens of a field."""
    return output / _FOLDERS[family] / f"datacube_{field}_{_SUFFIXES[family]}.npz"


def latent_path(output: Path, field: str) -> Path:
    """The npz file with the latent images of a field."""
    return output / "image_latents" / f"datacube_{field}_latents.npz"


def store_path(output: Path, family: str, field: str) -> Path:
    """The shard of the store with the tokens of a field."""
    return output / "store" / family / f"datacube_{field}.arrow"


def fitted_families(output: Path) -> list[str]:
    """Tokenizers of which there are codebooks.

    Raises
    ------
    InputError
        If there are none.
    """
    found = [family for family in FAMILIES if codebook_path(output, family).exists()]
    if not found:
        raise InputError(
            output / "codebooks", "no codebooks", "those of one tokenizer", "run fit first"
        )
    return found


def encode_fields(
    configuration: Configuration,
    fields: Sequence[str],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    overwrite: bool = False,
) -> Outcome:
    """Encode some fields, each by itself.

    Parameters
    ----------
    configuration : Configuration
    fields : sequence of str
        They need not be among those that taught the codebooks.
    workers : int
        Local processes.
    scheduler : str, optional
        Address of a Dask scheduler that takes the place of local processes.
    overwrite : bool
        Encode also what is there already.

    Returns
    -------
    Outcome
        Fields done, skipped (their files are whole and of these codebooks and inputs) and failed.
    """
    output = configuration.output
    families = tuple(fitted_families(output))
    for family in families:
        load_tokenizer(output, family)  # a damaged codebook ends the run, not each field
    units = {field: _Unit(configuration, field, families) for field in fields}

    def is_done(field: str) -> bool:
        return not overwrite and _is_current(units[field])

    return run_units(
        _encode_unit,
        units,
        workers=workers,
        scheduler=scheduler,
        failures=output / "failures.jsonl",
        describe="field",
        is_done=is_done,
    )


def _encode_unit(unit: _Unit) -> None:
    encode_field(unit.configuration, unit.field, unit.families)


def encode_field(configuration: Configuration, field: str, families: Sequence[str]) -> None:
    """Encode one field and put its files in their places.

    Parameters
    ----------
    configuration : Configuration
    field : str
    families : sequence of str
        Tokenizers to use.

    Raises
    ------
    InputError
        If the hypercube or a codebook is missing or damaged, or lacks a column.
    OutputError
        If a file cannot be written.
    """
    path = configuration.cube_path(field)
    if not path.exists():
        raise InputError(path, "no such file", f"the hypercube of {field}", "build it")
    cube = open_cube(path)
    mark = _input_mark(cube.path)
    for family in families:
        fitted = load_tokenizer(configuration.output, family)
        _encode_family(configuration, cube, field, family, fitted, mark)


def _encode_family(
    configuration: Configuration, cube: Cube, field: str, family: str, fitted: Fitted, mark: str
) -> None:
    output = configuration.output
    paths = [token_path(output, family, field), store_path(output, family, field)]
    if family == "image":
        paths.append(latent_path(output, field))
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = fitted.tokenizer
    encode = _encoder(tokenizer)
    columns = [ID, RA, DEC, *tokenizer.column_names]
    header = {
        "schema_version": SCHEMA_VERSION,
        "field": field,
        "family": family,
        "synthetic": cube.synthetic,
        "codebook_sha256": fitted.checksum,
        "missing": MISSING,
        "splits": list(SPLITS),
        "input": json.loads(mark),
    }
    with ExitStack() as stack:
        tokens = stack.enter_context(NpzWriter(paths[0]))
        latents = stack.enter_context(NpzWriter(paths[2])) if family == "image" else None
        store = stack.enter_context(_Store(paths[1], header))
        ids: list[str] = []
        for rows in _row_groups(cube, columns):
            parts = encode(rows.table)
            ids.extend(rows.table[ID].cast(pa.string()).fill_null("").to_pylist())
            index = np.arange(rows.start, rows.start + len(rows), dtype=np.int64)
            for writer in (tokens, latents):
                if writer is not None:
                    writer.append("row_index", index)
            for name, array in _npz_arrays(parts).items():
                target = latents if name == "latents" else tokens
                if target is not None:
                    target.append(name, array)
            store.append(ids[-len(rows) :], index, row_splits(rows.table, configuration), parts)
        tokens.put("missing", np.array(MISSING, dtype=np.uint16))
        if isinstance(tokenizer, ScalarTokenizer):
            tokens.put("columns", np.array(tokenizer.column_names, dtype=np.str_))
        for writer in (tokens, latents):
            if writer is not None:
                writer.put("ids", np.array(ids, dtype=np.str_))
                writer.put("codebook_sha256", np.array(fitted.checksum))
                writer.put("input", np.array(mark))
        store.finish()
        _complete_ragged(tokens)


def _row_groups(cube: Cube, columns: Sequence[str]) -> Iterator[Rows]:
    read = False
    for rows in Prefetch(iter_rows(cube, columns)):
        read = True
        yield rows
    if not read:
        # A field without sources has files too, with arrays of the right shape.
        yield Rows(0, cube.schema.empty_table().select(list(dict.fromkeys(columns))))


def _encoder(tokenizer: Any) -> Callable[[pa.Table], Parts]:
    if isinstance(tokenizer, ScalarTokenizer):
        return lambda table: {"tokens": tokenizer.encode(table)}
    if isinstance(tokenizer, ImageTokenizer):
        return lambda table: _encode_images(tokenizer, table)
    return lambda table: _encode_spectra(tokenizer, table)


def _encode_images(tokenizer: ImageTokenizer, table: pa.Table) -> Parts:
    codes, latents = tokenizer.encode(tokenizer.images(table))
    return {
        "tokens_2d": codes.tokens,
        "tokens_flat": codes.tokens.reshape(len(codes.tokens), tokenizer.side**2),
        "flux": codes.flux.reshape(len(codes.flux), codes.flux.shape[1] * codes.flux.shape[2]),
        "latents": latents,
    }


def _encode_spectra(tokenizer: SpectrumTokenizer, table: pa.Table) -> Parts:
    parts: Parts = {}
    for group in tokenizer.groups:
        codes = group.encode(table)
        parts[f"scale_{group.name}"] = codes.scale
        if group.tokens is not None:
            parts[f"tokens_{group.name}"] = codes.pixels
            continue
        # A curve of which nothing is valid is empty, like one that is not there.
        lengths = np.where(codes.scale[:, 0] == MISSING, 0, codes.lengths)
        inside = np.arange(codes.pixels.shape[1]) < lengths[:, None]
        parts[f"tokens_{group.name}_flat"] = codes.pixels[inside]
        parts[f"tokens_{group.name}_lengths"] = lengths
        if codes.time is not None:
            parts[f"time_{group.name}_flat"] = codes.time[inside]
    return parts


def _npz_arrays(parts: Parts) -> Parts:
    """The arrays of the npz files, whose names they have but for the ring fluxes."""
    return {"scale_image" if name == "flux" else name: array for name, array in parts.items()}


class _Store:
    """A shard: one record batch per row group, written at once and renamed."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self._path = path
        self._header = header
        self._stack = ExitStack()
        self._writer: Any = None
        self._partial = path

    def __enter__(self) -> _Store:
        self._partial = self._stack.enter_context(atomic_path(self._path, overwrite=True))
        return self

    def append(
        self, ids: list[str], index: NDArray[np.int64], splits: NDArray[np.uint8], parts: Parts
    ) -> None:
        """Add the rows of a row group."""
        columns: dict[str, pa.Array] = {
            "id": pa.array(ids, pa.string()),
            "row_index": pa.array(index),
            "split": pa.array(splits),
        }
        lengths = {
            name.removeprefix("tokens_").removesuffix("_lengths"): array
            for name, array in parts.items()
            if name.endswith("_lengths")
        }
        for name, array in parts.items():
            if name.endswith("_lengths") or name in ("tokens_2d", "latents"):
                continue
            if name.endswith("_flat") and name != "tokens_flat":
                group = name.split("_", 1)[1].removesuffix("_flat")
                offsets = np.concatenate([[0], np.cumsum(lengths[group])]).astype(np.int32)
                stem = name.removesuffix("_flat")
                columns[stem] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(array))
                continue
            stem = {"tokens_flat": "tokens", "flux": "scale"}.get(name, name)
            columns[stem] = pa.FixedSizeListArray.from_arrays(
                pa.array(np.ascontiguousarray(array).reshape(-1)), array.shape[1]
            )
        batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
        if self._writer is None:
            schema = batch.schema.with_metadata({"astromodal_tokenizers": json.dumps(self._header)})
            sink = self._stack.enter_context(pa.OSFile(str(self._partial), "wb"))
            self._writer = pa.ipc.new_file(sink, schema)
            self._stack.callback(self._writer.close)
        self._writer.write_batch(batch)

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)


def _complete_ragged(writer: NpzWriter) -> None:
    """Turn the collected lengths of ragged groups into row pointers."""
    for name in writer.names("_lengths"):
        lengths = writer.take(name)
        pointers = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        writer.put(name.removesuffix("_lengths") + "_indptr", pointers)


def _input_mark(path: Path) -> str:
    found = fingerprint(path)
    return json.dumps({"size": found["size"], "sample_sha256": found["sample_sha256"]})


def _is_current(unit: _Unit) -> bool:
    """Whether the files of a field are whole, of these codebooks and of this hypercube."""
    output = unit.configuration.output
    cube = unit.configuration.cube_path(unit.field)
    if not cube.exists():
        return False
    try:
        mark = _input_mark(cube)
        for family in unit.families:
            path = token_path(output, family, unit.field)
            paths = [path, latent_path(output, unit.field)] if family == "image" else [path]
            store = store_path(output, family, unit.field)
            if not all(item.exists() for item in (*paths, store)):
                return False
            checksum = load_tokenizer(output, family).checksum
            for item in paths:
                if read_npz_scalar(item, "codebook_sha256") != checksum:
                    logger.info("%s is encoded again: it is of another codebook", item)
                    return False
                if read_npz_scalar(item, "input") != mark:
                    logger.info("%s is encoded again: the hypercube has changed", item)
                    return False
            if _store_header(store) != (checksum, json.loads(mark)):
                return False
    except AstroError as error:
        logger.warning("field %s is encoded again: %s", unit.field, error)
        return False
    return True


def _store_header(path: Path) -> tuple[str, Any]:
    try:
        with pa.memory_map(str(path)) as source:
            metadata = pa.ipc.open_file(source).schema.metadata or {}
            header = json.loads(metadata[b"astromodal_tokenizers"])
            return str(header["codebook_sha256"]), header["input"]
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(path, f"cannot be read ({error})", "a store of tokens") from error
