"""Catalogue columns: one code per value, a codebook of its own for each column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astromodal_tokenizers.artifacts import field_from_record, field_record
from astromodal_tokenizers.hypercube import number_column
from astromodal_tokenizers.threads import each_part
from astromodal_tokenizers.tokenizers.bins import MISSING, Bins
from astromodal_tokenizers.tokenizers.blocks import CodeBlock

__all__ = ["ScalarColumn", "ScalarTokenizer"]

# Rows of a part: many, since each column's table of cells has to come into the cache anew.
_PART_ROWS = 1 << 18


@dataclass(frozen=True)
class ScalarColumn:
    """A column that has codes.

    Attributes
    ----------
    field : pyarrow.Field
        Name, type, unit and the like, as in the hypercube.
    bins : Bins
    """

    field: pa.Field
    bins: Bins

    @property
    def name(self) -> str:
        """Name of the column (str)."""
        return str(self.field.name)

    def decode(self, codes: NDArray[np.uint16]) -> pa.Array:
        """Values of codes, of the column's type; null for MISSING."""
        missing = codes == MISSING
        values = self.bins.decode(codes)
        if pa.types.is_integer(self.field.type):
            whole = np.rint(np.where(missing, 0.0, values)).astype(np.int64)
            return pa.array(whole, mask=missing).cast(self.field.type)
        return pa.array(values, mask=missing).cast(self.field.type)


class ScalarTokenizer:
    """All columns of a run.

    Parameters
    ----------
    columns : sequence of ScalarColumn
    """

    family = "scalar"

    def __init__(self, columns: Sequence[ScalarColumn]) -> None:
        self.columns = list(columns)

    @property
    def column_names(self) -> list[str]:
        """Columns of the hypercube that are read (list of str)."""
        return [column.name for column in self.columns]

    def blocks(self) -> list[CodeBlock]:
        """The codebooks (list of CodeBlock)."""
        return [
            CodeBlock.of_bins(column.name, "scalar", column.bins, "tokens", place, ())
            for place, column in enumerate(self.columns)
        ]

    def encode(self, table: pa.Table) -> NDArray[np.uint16]:
        """Codes of rows (ndarray of uint16, shape (n, columns)); `MISSING` where null or NaN."""
        result = np.empty((table.num_rows, len(self.columns)), dtype=np.uint16)
        columns = [number_column(table[column.name]) for column in self.columns]

        def encode(part: slice) -> None:
            # Turned at the end, in one go: columns of a row-major array are far apart in memory.
            codes = np.empty((len(columns), part.stop - part.start), dtype=np.uint16)
            for place, (column, values) in enumerate(zip(self.columns, columns, strict=True)):
                some = values[part]
                # Infinity is no measurement.
                if not np.isfinite(some.sum()):
                    some = np.where(np.isfinite(some), some, np.nan)
                codes[place] = column.bins.encode(some)
            result[part] = codes.T

        each_part(encode, table.num_rows, _PART_ROWS)
        return result

    def decode(self, tokens: NDArray[np.uint16]) -> list[tuple[pa.Field, pa.Array]]:
        """Columns of the hypercube from codes of shape (n, columns)."""
        return [
            (column.field, column.decode(tokens[:, place]))
            for place, column in enumerate(self.columns)
        ]

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON from which `from_state` makes the tokenizer anew."""
        arrays: dict[str, NDArray[Any]] = {}
        records = []
        for column in self.columns:
            arrays.update(column.bins.arrays(column.name))
            records.append({"field": field_record(column.field), **column.bins.record()})
        return arrays, {"columns": records}

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray[Any]], record: dict[str, Any]) -> ScalarTokenizer:
        """Make the tokenizer that `state` described."""
        columns = []
        for item in record["columns"]:
            column = field_from_record(item["field"])
            columns.append(ScalarColumn(column, Bins.from_state(arrays, str(column.name), item)))
        return cls(columns)
