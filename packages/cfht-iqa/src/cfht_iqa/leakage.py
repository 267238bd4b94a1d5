"""Features that tell which exposure a source is from.

Labels belong to exposures. A feature that is constant within each exposure and different in each
lets a model look the label up, and nothing it then reports is about image quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from astro_common.errors import ConfigurationError, InputError
from astro_common.parquet import parquet_errors

__all__ = ["FeatureAudit", "audit_features"]

_BATCH_ROWS = 250_000


@dataclass(frozen=True)
class FeatureAudit:
    """How much a feature says about the exposure.

    Attributes
    ----------
    feature : str
        Column of the catalogue.
    is_constant : bool
        One value within each exposure.
    n_exposures, n_unique : int
        Exposures, and those whose values occur in no other, if it is constant.
    """

    feature: str
    is_constant: bool
    n_exposures: int
    n_unique: int

    @property
    def identifies(self) -> bool:
        """Whether it is constant within exposures and unique to each (bool)."""
        return self.is_constant and self.n_exposures > 1 and self.n_unique == self.n_exposures


def audit_features(catalogue: Path, features: Sequence[str]) -> list[FeatureAudit]:
    """Audit features of a catalogue.

    Parameters
    ----------
    catalogue : Path
        Made by `build_catalogue`.
    features : sequence of str
        Columns that a model or a map is to see.

    Returns
    -------
    list of FeatureAudit
        One per feature. Missing values count as a value of their own.

    Raises
    ------
    ConfigurationError
        If a feature is not a column.
    InputError
        If the catalogue is damaged or empty.
    """
    with parquet_errors(catalogue):
        file = pq.ParquetFile(catalogue)
        names = file.schema_arrow.names
    for name in features:
        if name not in names:
            raise ConfigurationError("--features", repr(name), f"some of {', '.join(names)}")
    # More than one value is enough to know that a feature varies: no more are kept.
    values: dict[str, dict[str, set[Any]]] = {name: {} for name in features}
    with parquet_errors(catalogue):
        wanted = list(dict.fromkeys(["exposure", *features]))
        for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
            table = pa.Table.from_batches([batch])
            for name in features:
                _collect(table, name, values[name])
    audits = []
    for name in features:
        seen = values[name]
        if not seen:
            raise InputError(catalogue, "no source", "at least one exposure")
        constant = all(len(found) == 1 for found in seen.values())
        single = [next(iter(found)) for found in seen.values()] if constant else []
        unique = sum(single.count(value) == 1 for value in single)
        audits.append(FeatureAudit(name, constant, len(seen), unique))
    return audits


def _collect(table: pa.Table, name: str, seen: dict[str, set[Any]]) -> None:
    if name == "exposure":
        for exposure in table["exposure"].unique().to_pylist():
            seen.setdefault(exposure, set()).add(exposure)
        return
    pairs = (
        table.select(["exposure", name])
        .group_by("exposure")
        .aggregate([(name, "distinct", pc.CountOptions(mode="all"))])
    )
    for exposure, found in zip(
        pairs["exposure"].to_pylist(), pairs[f"{name}_distinct"].to_pylist(), strict=True
    ):
        known = seen.setdefault(exposure, set())
        for value in found:
            if len(known) > 1:
                break
            known.add("NaN" if value != value else value)  # NaN differs from itself
