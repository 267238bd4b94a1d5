"""The learning curve as a table, one row per entry of the log."""

from __future__ import annotations

import csv
from pathlib import Path

from astro_common.atomic import atomic_path

__all__ = ["METRICS_FILE", "PROGRESS_FILE", "MetricsTable", "read_metrics"]

METRICS_FILE = "metrics.csv"
PROGRESS_FILE = "progress.csv"


class MetricsTable:
    """A CSV file to which rows are added; rows of a later step than that resumed from are dropped.

    Parameters
    ----------
    path : Path
    columns : tuple of str
        The first is ``step``.
    last_step : int
        Rows up to this step are kept.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], last_step: int) -> None:
        self.path = path
        self.columns = columns
        kept = [row for row in read_metrics(path) if 0 < float(row["step"] or 0) <= last_step]
        with atomic_path(path, overwrite=True) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

    def add(self, values: dict[str, float | int | None]) -> None:
        """Add a row; a value that is missing leaves its cell empty."""
        row = ["" if values.get(c) is None else _shown(values[c]) for c in self.columns]
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(row)


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Rows of a table; none if there is no file. A row cut short by a kill is left out."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if row.get("step") and None not in row.values()]


def _shown(value: float | int | None) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"
