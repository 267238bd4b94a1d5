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
from astromodal_tokenizers.normalization import Transform
from astromodal_tokenizers.tokenizers.bins import MISSING, Bins

__all__ = ["ScalarColumn", "ScalarTokenizer"]


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

    def blocks(self) -> list[tuple[str, str, int]]:
        """Name, kind and number of codes of each codebook (list of tuple)."""
        return [(column.name, "scalar", column.bins.size) for column in self.columns]

    def encode(self, table: pa.Table) -> NDArray[np.uint16]:
        """Codes of rows (ndarray of uint16, shape (n, columns)); `MISSING` where null or NaN."""
        result = np.empty((table.num_rows, len(self.columns)), dtype=np.uint16)
        for place, column in enumerate(self.columns):
            values = number_column(table[column.name])
            # Infinity is no measurement.
            if not np.isfinite(values.sum()):
                values = np.where(np.isfinite(values), values, np.nan)
            result[:, place] = column.bins.encode(values)
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
        for place, column in enumerate(self.columns):
            arrays[f"{place:05d}.edges"] = column.bins.edges
            arrays[f"{place:05d}.values"] = column.bins.values
            records.append(
                {
                    "field": field_record(column.field),
                    "transform": column.bins.transform.record(),
                    "spread": column.bins.spread,
                }
            )
        return arrays, {"columns": records}

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray[Any]], record: dict[str, Any]) -> ScalarTokenizer:
        """Make the tokenizer that `state` described."""
        columns = []
        for place, item in enumerate(record["columns"]):
            bins = Bins(
                arrays[f"{place:05d}.edges"],
                arrays[f"{place:05d}.values"],
                Transform.from_record(item["transform"]),
                float(item["spread"]),
            )
            columns.append(ScalarColumn(field_from_record(item["field"]), bins))
        return cls(columns)
