"""Read hypercube files: what they say of themselves, and their rows, a row group at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError, InputError
from astro_common.parquet import check_parquet, parquet_errors
from astromodal_tokenizers.configuration import Configuration
from astromodal_tokenizers.split import sky_split

__all__ = [
    "Cube",
    "Ragged",
    "Rows",
    "chosen_fields",
    "error_column",
    "iter_rows",
    "number_column",
    "open_cube",
    "open_cubes",
    "ragged_column",
]

METADATA_KEY = "splus_hypercube"
KNOWN_SCHEMA_VERSIONS = (1,)
ID, RA, DEC = "id", "ra", "dec"
# How the error of a column is named.
_ERROR_NAMES = (
    *("err_{0}", "{0}_error", "{0}err", "{0}_err", "{0}_ERR", "{0}ERR"),
    *("e_{0}", "{survey}_e_{rest}"),
)


@dataclass(frozen=True)
class Cube:
    """A hypercube whose footer has been read.

    Attributes
    ----------
    path : Path
    field : str
    schema : pyarrow.Schema
    num_rows, num_row_groups : int
    metadata : dict
        What the footer holds under ``splus_hypercube``.
    """

    path: Path
    field: str
    schema: pa.Schema
    num_rows: int
    num_row_groups: int
    metadata: dict[str, Any]

    @property
    def synthetic(self) -> bool:
        """Whether the sources were simulated (bool)."""
        return bool(self.metadata.get("synthetic", False))


@dataclass(frozen=True)
class Rows:
    """Some consecutive rows.

    Attributes
    ----------
    start : int
        Index of the first row in its file.
    table : pyarrow.Table
    """

    start: int
    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)


@dataclass(frozen=True)
class Ragged:
    """A column of lists.

    Attributes
    ----------
    values : ndarray of float64, shape (indptr[-1],)
        NaN where a value is missing.
    indptr : ndarray of int64, shape (n + 1,)
        Row i holds ``values[indptr[i]:indptr[i + 1]]``; rows that are null are empty.
    """

    values: NDArray[np.float64]
    indptr: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Values per row (ndarray of int64)."""
        return np.diff(self.indptr)

    def matrix(self, length: int) -> NDArray[np.float64]:
        """The rows of a given length side by side, shape (n, length); NaN for the others."""
        full = self.lengths == length
        result = np.full((len(full), length), np.nan)
        if full.all():
            return self.values.reshape(len(full), length)
        keep = np.repeat(full, self.lengths)
        result[full] = self.values[keep].reshape(-1, length)
        return result


def open_cube(path: Path) -> Cube:
    """Read the footer of a hypercube.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Cube

    Raises
    ------
    InputError
        If the file is missing, damaged, no hypercube, or of an unknown version.
    """
    metadata = check_parquet(path).get(METADATA_KEY)
    if not isinstance(metadata, dict):
        raise InputError(path, f"no {METADATA_KEY} in the footer", "a hypercube")
    version = metadata.get("schema_version")
    if version not in KNOWN_SCHEMA_VERSIONS:
        known = ", ".join(map(str, KNOWN_SCHEMA_VERSIONS))
        raise InputError(path, f"hypercube schema version {version}", known, "update this package")
    with parquet_errors(path), pq.ParquetFile(path) as file:
        schema, footer = file.schema_arrow, file.metadata
        cube = Cube(
            path,
            str(metadata.get("field", path.stem)),
            schema,
            footer.num_rows,
            footer.num_row_groups,
            metadata,
        )
    for name in (ID, RA, DEC):
        if name not in cube.schema.names:
            raise InputError(path, f"no column {name}", "a hypercube's id, ra and dec")
    return cube


def chosen_fields(configuration: Configuration, names: Sequence[str] = ()) -> list[str]:
    """Decide which fields a command works on.

    Parameters
    ----------
    configuration : Configuration
    names : sequence of str
        What the user asks for; empty for all of the configuration.

    Returns
    -------
    list of str
        Without repetition.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    if names:
        return list(dict.fromkeys(names))
    if configuration.fields is not None:
        found = list(dict.fromkeys(configuration.fields))
    else:
        found = _existing_fields(configuration.hypercube)
    if not found:
        raise ConfigurationError(
            "fields",
            f"no field, and no file matches {configuration.hypercube}",
            "a hypercube",
            "build it or correct the key hypercube",
        )
    return found


def _existing_fields(template: str) -> list[str]:
    before, after = template.split("{field}")
    folder = Path(before + "x").parent
    pattern = re.compile(re.escape(before) + r"([^/]+?)" + re.escape(after))
    rest = after.split("/")
    if len(rest) > 1:
        # The field names a folder: its files lie at a fixed place below.
        candidates = (item / "/".join(rest[1:]) for item in folder.glob("*") if item.is_dir())
    else:
        candidates = iter(folder.glob("*"))
    matches = (pattern.fullmatch(str(path)) for path in candidates if path.is_file())
    return sorted(match[1] for match in matches if match and not match[1].startswith("."))


def open_cubes(configuration: Configuration, names: Sequence[str] = ()) -> list[Cube]:
    """Open the hypercubes of the fields that are chosen; see `chosen_fields` and `open_cube`."""
    cubes = []
    for name in chosen_fields(configuration, names):
        path = configuration.cube_path(name)
        if not path.exists():
            raise InputError(path, "no such file", f"the hypercube of {name}", "build it")
        cubes.append(open_cube(path))
    return cubes


def iter_rows(
    cube: Cube,
    columns: Sequence[str],
    configuration: Configuration | None = None,
    split: int | None = None,
    groups: Sequence[int] | None = None,
) -> Iterator[Rows]:
    """Read a hypercube row group by row group.

    Parameters
    ----------
    cube : Cube
    columns : sequence of str
    configuration : Configuration, optional
        With the rule of the split.
    split : int, optional
        Only rows of this split; groups without any are not read.
    groups : sequence of int, optional
        Row groups in the order in which they are read; all by default.

    Yields
    ------
    Rows
        ``start`` counts the rows of the file, those of other splits too.

    Raises
    ------
    InputError
        If a column is missing or the file damaged.
    """
    for name in columns:
        if name not in cube.schema.names:
            raise InputError(
                cube.path, f"no column {name}", "it", "encode hypercubes with the columns fitted"
            )
    with parquet_errors(cube.path), pq.ParquetFile(cube.path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        for group in range(len(sizes)) if groups is None else groups:
            start = sum(sizes[:group])
            keep: NDArray[np.bool_] | None = None
            if split is not None and configuration is not None:
                position = file.read_row_group(group, columns=[RA, DEC])
                keep = row_splits(position, configuration) == split
            if keep is None or keep.any():
                table = file.read_row_group(group, columns=list(dict.fromkeys(columns)))
                if keep is not None and not keep.all():
                    table = table.filter(pa.array(keep))
                yield Rows(start, table)


def error_column(cubes: Sequence[Cube], name: str) -> str | None:
    """Find the column with the standard errors of another one.

    Parameters
    ----------
    cubes : sequence of Cube
    name : str
        Such as ``mag_pstotal_r`` or ``specz_z``.

    Returns
    -------
    str or None
        A column of numbers that all hypercubes have; None if there is none.
    """
    survey, _, rest = name.partition("_")
    for template in _ERROR_NAMES:
        candidate = template.format(name, survey=survey, rest=rest)
        if all(
            candidate in cube.schema.names
            and pa.types.is_floating(cube.schema.field(candidate).type)
            for cube in cubes
        ):
            return candidate
    return None


def row_splits(table: pa.Table, configuration: Configuration) -> NDArray[np.uint8]:
    """The split of each row of a table with ``ra`` and ``dec``."""
    ra, dec = (number_column(table[name]) for name in (RA, DEC))
    return sky_split(ra, dec, configuration.split, configuration.seed)


def number_column(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column of numbers, NaN where a value is missing (ndarray of float64, shape (n,))."""
    values = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not pa.types.is_floating(values.type):
        values = values.cast(pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def ragged_column(column: pa.ChunkedArray) -> Ragged:
    """A column of lists of numbers; see `Ragged`."""
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(array, pa.ChunkedArray):  # without any chunk
        array = pa.array([], type=array.type)
    size = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    indptr = np.zeros(len(array) + 1, dtype=np.int64)
    np.cumsum(size, out=indptr[1:])
    values = array.flatten()
    if not pa.types.is_float64(values.type):
        values = values.cast(pa.float64())
    return Ragged(np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64), indptr)
