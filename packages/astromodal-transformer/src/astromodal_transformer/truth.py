"""True values of columns: measured, where the hypercubes are at hand, else what their codes say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from astro_common.errors import InputError
from astromodal_transformer.project import Project
from astromodal_transformer.store import TokenStore

__all__ = ["read_hypercube", "true_columns"]


def true_columns(
    project: Project, store: TokenStore, columns: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Values of columns for all rows of a store.

    Parameters
    ----------
    project : Project
    store : TokenStore
    columns : sequence of str

    Returns
    -------
    dict of str to ndarray of float64, shape (rows,)
        In the units of the hypercube; NaN where missing.

    Raises
    ------
    InputError
        If a hypercube is named and cannot be read, or has other rows than the tokens.
    """
    if project.configuration.hypercube is not None:
        tables = [
            _field_table(project, store, number, columns) for number in range(len(store.fields))
        ]
        return {
            name: np.concatenate([_numbers(table[name]) for table in tables]) for name in columns
        }
    slots = [int(project.layout.slots([name])[0]) for name in columns]
    codes = np.concatenate(
        [
            store.codes(np.arange(start, min(start + 8192, len(store))))[:, slots]
            for start in range(0, len(store), 8192)
        ]
    )
    missing = project.vocabulary.missing
    return {
        name: project.books.columns[name].bins.decode(codes[:, place], missing)
        for place, name in enumerate(columns)
    }


def read_hypercube(path: Path, columns: Sequence[str]) -> pa.Table:
    """Columns of a hypercube.

    Raises
    ------
    InputError
        If it is missing, damaged or lacks a column.
    """
    try:
        names = pq.read_schema(path).names
        lacking = [name for name in columns if name not in names]
        if lacking:
            raise InputError(
                path, f"no column {lacking[0]}", "it", "use the hypercube of the tokens"
            )
        return pq.read_table(path, columns=list(dict.fromkeys(columns)))
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            path,
            f"cannot be read ({error})",
            "a hypercube",
            "correct `hypercube` in the configuration",
        ) from error


def _field_table(
    project: Project, store: TokenStore, number: int, columns: Sequence[str]
) -> pa.Table:
    template = str(project.configuration.hypercube)
    path = Path(template.replace("{field}", store.fields[number]))
    table = read_hypercube(path, ["id", *columns])
    rows = int(store.starts[number + 1] - store.starts[number])
    ids = store.ids[int(store.starts[number]) : int(store.starts[number + 1])]
    if table.num_rows != rows or table["id"].cast(pa.string()).fill_null("").to_pylist() != ids:
        raise InputError(
            path, "other sources", f"those of the tokens of {store.fields[number]}", "encode again"
        )
    return table


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(values), values, np.nan)
