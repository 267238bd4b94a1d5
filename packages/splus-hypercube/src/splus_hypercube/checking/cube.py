"""The hypercube to check, and the choice of its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from astro_common.errors import InputError
from splus_hypercube.checking.comparison import cells
from splus_hypercube.checking.tables import reading

__all__ = ["Cube", "choose_rows"]

Int = NDArray[np.int64]
Mask = NDArray[np.bool_]

# The footer's key as the file format defines it, not as the build has it.
_KEY = b"splus_hypercube"


class Cube:
    """A hypercube that is read row group by row group.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    field : str
        Name of the S-PLUS field, from the footer.
    kinds : dict of str to pyarrow.DataType
        Type of each column.
    num_rows : int

    Raises
    ------
    InputError
        If the file is missing, damaged or no hypercube.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InputError(path, "no such file", "a hypercube")
        with reading(path):
            self._file = pq.ParquetFile(path)
            schema = self._file.schema_arrow
            footer = (self._file.metadata.metadata or {}).get(_KEY)
            text = json.loads(footer) if footer is not None else None
        if not isinstance(text, dict) or not isinstance(text.get("field"), str):
            raise InputError(path, "no description of a hypercube in its footer", "a hypercube")
        self.field: str = text["field"]
        self.kinds: dict[str, pa.DataType] = {field.name: field.type for field in schema}
        self.num_rows: int = self._file.metadata.num_rows

    def column(self, name: str) -> pa.ChunkedArray:
        """A whole column."""
        with reading(self.path):
            return self._file.read(columns=[name])[name]

    def rows(self, numbers: Int) -> list[dict[str, Any]]:
        """All cells of some rows, given in increasing order."""
        found: list[dict[str, Any]] = []
        start = 0
        for group in range(self._file.metadata.num_row_groups):
            stop = start + self._file.metadata.row_group(group).num_rows
            wanted = numbers[(numbers >= start) & (numbers < stop)] - start
            if len(wanted):
                found.extend(self._group_rows(group, wanted))
            start = stop
        return found

    def _group_rows(self, group: int, wanted: Int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [{} for _ in wanted]
        # Cutouts one band after the other: a row group with all of them is large.
        wide = [name for name, kind in self.kinds.items() if pa.types.is_fixed_size_list(kind)]
        narrow = [name for name in self.kinds if name not in wide]
        for names in (narrow, *([name] for name in wide)):
            with reading(self.path):
                table = self._file.read_row_group(group, columns=names).take(pa.array(wanted))
                for name in names:
                    for row, value in zip(rows, cells(table[name]), strict=True):
                        row[name] = value
        return rows

    def strata(self) -> dict[str, Mask]:
        """Rows of each kind that a check must see: matched, not matched, several candidates."""
        strata: dict[str, Mask] = {}
        for name in self.kinds:
            if name.endswith("_n_candidates"):
                survey = name.removesuffix("_n_candidates")
                count = np.nan_to_num(self.column(name).to_numpy().astype(np.float64))
                strata[f"{survey}: matched"] = count > 0
                strata[f"{survey}: not matched"] = count == 0
                strata[f"{survey}: several candidates"] = count > 1
        for name, label in (("gaiaxp_source_id", "gaiaxp"), ("splus_cut_dx_px", "cutouts")):
            if name in self.kinds:
                known = np.asarray(self.column(name).is_valid())
                strata[f"{label}: present"] = known
                strata[f"{label}: absent"] = ~known
        return strata


def choose_rows(num_rows: int, wanted: int, strata: Mapping[str, Mask], seed: int) -> Int:
    """A random sample that has a row of every kind.

    Parameters
    ----------
    num_rows : int
        Of the hypercube.
    wanted : int
        Size of the sample; larger if one row of every kind needs more.
    strata : mapping of str to ndarray of bool, shape (num_rows,)
        Rows of each kind.
    seed : int

    Returns
    -------
    ndarray of int64
        In increasing order.
    """
    random = np.random.default_rng(seed)
    chosen: dict[int, None] = {}
    for mask in strata.values():
        rows = np.flatnonzero(mask)
        if len(rows):
            chosen[int(random.choice(rows))] = None
    for row in random.permutation(num_rows).tolist():
        if len(chosen) >= min(wanted, num_rows):
            break
        chosen[row] = None
    return np.array(sorted(chosen), dtype=np.int64)


def kinds_present(strata: Mapping[str, Mask], rows: Sequence[int] | Int) -> dict[str, int]:
    """How many of some rows are of each kind."""
    return {name: int(mask[np.asarray(rows, np.int64)].sum()) for name, mask in strata.items()}
