"""Writing a table in the format that its file's name asks for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, OutputError
from astro_common.parquet import ParquetWriter

__all__ = ["SUFFIXES", "check_suffix", "open_table"]

_ASTROPY_FORMATS: Final = {
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
    ".fit": "fits",
    ".fits": "fits",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
}
SUFFIXES: Final = (".parquet", *_ASTROPY_FORMATS)
# TABLEDATA, astropy's default, is written beyond the end of a buffer where the text of a row has an
# unlucky length (astropy 8.0).
_VOTABLE_DATA: Final = "binary2"
# Integer types that VOTable lacks, and that FITS holds only by an offset, for which astropy's marks
# of missing values are not those of the standard.
_SIGNED: Final = {
    pa.int8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.int64(),
}


def check_suffix(path: Path) -> None:
    """Raise `ConfigurationError` unless a file's name ends in one of `SUFFIXES`."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(
            path, f"the ending {path.suffix or 'nothing'!r}", f"one of {', '.join(SUFFIXES)}"
        )


@contextmanager
def open_table(
    path: Path, schema: pa.Schema, *, metadata: Mapping[str, Any], overwrite: bool = False
) -> Iterator[Callable[[pa.Table], None]]:
    """Open a table for writing; the file appears when the block ends, if it does not raise.

    Parameters
    ----------
    path : Path
        Its ending is one of `SUFFIXES`. Parquet is written piece by piece; astropy writes the
        other formats, and needs the whole table in memory.
    schema : pyarrow.Schema
    metadata : mapping
        Provenance; only Parquet keeps it.
    overwrite : bool
        Replace a file that exists.

    Yields
    ------
    callable
        Appends a table with the columns of the schema.

    Raises
    ------
    OutputError
        If the file exists or cannot be written, or its format cannot hold a column.

    Notes
    -----
    In FITS and VOTable, integers other than unsigned bytes are signed, of at least 16 bits. In
    FITS, logical values become the integers 0 and 1 where any is missing: astropy writes no
    logical null.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        with ParquetWriter(path, schema, metadata=metadata, overwrite=overwrite) as writer:
            yield writer.write
        return
    style = _ASTROPY_FORMATS[suffix]
    for field in schema:
        _check_type(path, field)
    with atomic_path(path, overwrite=overwrite) as partial:
        pieces = [schema.empty_table()]
        yield pieces.append
        table = _astropy_table(pa.concat_tables(pieces), path)
        options = {"tabledata_format": _VOTABLE_DATA} if style == "votable" else {}
        with warnings.catch_warnings():
            _ignore_odd_units()
            table.write(partial, format=style, overwrite=True, **options)


def _ignore_odd_units() -> None:
    """Silence astropy about units that are no standard's, such as some of Gaia's; they are kept."""
    from astropy.io.votable.exceptions import W50
    from astropy.units import UnitsWarning

    warnings.simplefilter("ignore", UnitsWarning)
    warnings.simplefilter("ignore", W50)


def _check_type(path: Path, field: pa.Field) -> None:
    kind = field.type
    if pa.types.is_fixed_size_list(kind) and path.suffix.lower() != ".csv":
        kind = kind.value_type
    expected = ""
    if pa.types.is_nested(kind):
        expected = "single values"
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        expected = "numbers, logical values or text"
    if expected:
        found = f"column {field.name} of type {field.type}"
        raise OutputError(path, found, expected, "write Parquet")


def _astropy_table(table: pa.Table, path: Path) -> Any:
    """The same columns with masks, units and descriptions (astropy.table.Table)."""
    from astropy.table import MaskedColumn, Table

    style = _ASTROPY_FORMATS[path.suffix.lower()]
    made = Table()
    for field, column in zip(table.schema, table.columns, strict=True):
        notes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        try:
            values, missing = _values(column.combine_chunks(), style)
        except pa.ArrowInvalid as error:
            found = f"column {field.name} ({error})"
            expected = f"what a {path.suffix} file can hold"
            raise OutputError(path, found, expected, "write Parquet") from error
        if values.dtype.kind == "U" and style == "fits":
            _check_ascii(values, field.name, path)
        made[field.name] = MaskedColumn(
            values,
            mask=missing if missing.any() else False,
            unit=notes.get("unit") or None,
            description=notes.get("description"),
            # astropy puts its fill value where a format has no other mark for "missing".
            fill_value=np.iinfo(values.dtype).min if values.dtype.kind == "i" else None,
        )
        if notes.get("ucd"):
            made[field.name].meta["ucd"] = notes["ucd"]
    return made


def _check_ascii(texts: NDArray[np.str_], name: str, path: Path) -> None:
    for text in texts.ravel().tolist():
        if not text.isascii():
            raise OutputError(
                path,
                f"column {name} holds {text!r}",
                "ASCII, which is all that FITS holds",
                "write Parquet, ECSV or VOTable",
            )


def _values(column: pa.Array, style: str) -> tuple[Any, Any]:
    """Values of the types of an astropy format, arbitrary where missing; where they are missing."""
    missing = np.asarray(column.is_null())
    if pa.types.is_fixed_size_list(column.type):
        size = column.type.list_size
        filled = pa.array(column.to_pylist(), column.type) if column.offset else column
        inner, inner_missing = _values(filled.values, style)
        return inner.reshape(-1, size), inner_missing.reshape(-1, size) | missing[:, None]
    if pa.types.is_boolean(column.type):
        if style != "fits" or not column.null_count:
            return column.fill_null(False).to_numpy(zero_copy_only=False), missing
        column = column.cast(pa.int16())
    if style in ("fits", "votable"):
        column = column.cast(_SIGNED.get(column.type, column.type))
    if pa.types.is_float16(column.type):  # which no format has
        column = column.cast(pa.float32())
    if pa.types.is_floating(column.type):
        return column.to_numpy(zero_copy_only=False), missing
    if pa.types.is_integer(column.type):
        return column.fill_null(0).to_numpy(zero_copy_only=False), missing
    texts = column.cast(pa.string()).fill_null("")
    return np.array(texts.to_pylist(), dtype=np.str_), missing
