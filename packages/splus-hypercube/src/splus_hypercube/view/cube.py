"""An open hypercube: its footer, single columns, single rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from astro_common.errors import InputError
from astro_common.parquet import field_metadata, parquet_errors
from splus_hypercube.catalogues import find_column, float_column
from splus_hypercube.inspection import cube_metadata

__all__ = ["Cube", "open_cube"]


class Cube:
    """An open hypercube; made by `open_cube`.

    Parameters
    ----------
    path : Path
    file : pyarrow.parquet.ParquetFile
    metadata : mapping
        The hypercube's own JSON of the footer.

    Attributes
    ----------
    path, metadata
        As given.
    schema : pyarrow.Schema
    num_rows : int
    """

    def __init__(self, path: Path, file: pq.ParquetFile, metadata: Mapping[str, Any]) -> None:
        self.path = path
        self.metadata = metadata
        self.schema: pa.Schema = file.schema_arrow
        self.num_rows: int = file.metadata.num_rows
        self._file = file
        groups = range(file.metadata.num_row_groups)
        rows = [file.metadata.row_group(group).num_rows for group in groups]
        self._starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        self._by_lower_name = {name.lower(): name for name in reversed(self.schema.names)}

    @property
    def field(self) -> str:
        """Name of the S-PLUS field (str)."""
        return str(self.metadata.get("field", self.path.stem))

    @property
    def synthetic(self) -> bool:
        """Whether the file says that its data are simulated (bool)."""
        return bool(self.metadata.get("synthetic", False))

    @property
    def identifier_name(self) -> str:
        """The column with the S-PLUS identifier (str).

        Raises
        ------
        InputError
            If there is none.
        """
        named = [
            field.name
            for field in self.schema
            if (own := field_metadata(field)).get("survey") == "splus"
            and own.get("modality") == "id"
        ]
        preferred: list[str] = [name for name in named if name.lower() == "id"] or named
        if not preferred:
            raise InputError(
                self.path,
                "no column with the modality 'id' of the survey 'splus'",
                "the S-PLUS identifier",
            )
        return preferred[0]

    def column_name(self, name: str) -> str | None:
        """The name of a column in the file, whatever its case; None if there is no such column."""
        return name if name in self.schema.names else self._by_lower_name.get(name.lower())

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Whole columns by their exact names; cutouts would fill the memory."""
        with parquet_errors(self.path):
            return self._file.read(columns=list(names))

    def positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Right ascension and declination of all rows, degrees; NaN where missing."""
        names = [find_column(self.schema, [name], self.path) for name in ("ra", "dec")]
        table = self.columns(names)
        ra, dec = (float_column(table, name, self.path) for name in names)
        return ra, dec

    def find_row(self, identifier: str) -> int:
        """The row of a source.

        Parameters
        ----------
        identifier : str
            S-PLUS identifier; a number is compared by its decimal digits.

        Returns
        -------
        int
            Its first row.

        Raises
        ------
        InputError
            If no row has this identifier.
        """
        name = self.identifier_name
        example = ""
        for group in range(len(self._starts) - 1):
            with parquet_errors(self.path):
                values = self._file.read_row_group(group, columns=[name])[name].cast(pa.string())
            place = pc.index(values, pa.scalar(identifier)).as_py()
            if place >= 0:
                return int(self._starts[group]) + int(place)
            if not example and len(values) and values[0].is_valid:
                example = f"such as {values[0].as_py()}"
        raise InputError(
            self.path,
            f"no source {identifier!r} in column {name}",
            f"one of its {self.num_rows} identifiers {example}".rstrip(),
        )

    def row(self, row: int, names: Sequence[str]) -> pa.Table:
        """Some columns of one row; only its row group is read.

        Parameters
        ----------
        row : int
            From 0 to ``num_rows - 1``.
        names : sequence of str
            Columns by their exact names. Cutouts are best read one by one: the whole row group
            of every column is in memory meanwhile.

        Returns
        -------
        pyarrow.Table
            One row.
        """
        if not 0 <= row < self.num_rows:
            raise IndexError(f"row {row} of a file with {self.num_rows} rows")
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        with parquet_errors(self.path):
            table = self._file.read_row_group(group, columns=list(names))
            # A copy: a slice would keep the whole row group alive.
            return table.take(pa.array([row - int(self._starts[group])]))


@contextmanager
def open_cube(path: Path) -> Iterator[Cube]:
    """Open a hypercube.

    Parameters
    ----------
    path : Path

    Yields
    ------
    Cube

    Raises
    ------
    InputError
        If the file is missing, damaged or no hypercube.
    """
    metadata = cube_metadata(path)
    with parquet_errors(path):
        file = pq.ParquetFile(path)
    with file:
        yield Cube(path, file, metadata)
