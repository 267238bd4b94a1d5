"""Tables with rows for each spectrum of a data set, written as the spectra are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sdss_spectra.files import SpectrumFile
from sdss_spectra.survey import Account, PerSpectrum, each_spectrum
from sdss_spectra.tables import Column, open_table

__all__ = ["write_survey_table"]

Row = Mapping[str, Any]


def _itself(row: Row) -> Iterable[Row]:
    return (row,)


def write_survey_table(
    files: Sequence[SpectrumFile],
    output: Path,
    columns: Sequence[Column],
    function: PerSpectrum,
    *,
    rows_of: Callable[[Any], Iterable[Row]] = _itself,
    overwrite: bool,
    file_format: str | None = None,
    failures: Path | None = None,
    workers: int = 1,
) -> Account:
    """Write a table of a data set.

    Parameters
    ----------
    files : sequence of SpectrumFile
        The data set.
    output : Path
        The table.
    columns : sequence of Column
        Its columns.
    function : callable
        Takes spectrum, spec_id and path for tables; see `each_spectrum`.
    rows_of : callable, optional
        Makes the rows of a result, in this process; by default a result is a row.
    overwrite : bool
        Replace a table that exists.
    file_format : str, optional
        ``csv`` or ``parquet``; by the extension otherwise.
    failures : Path, optional
        ``failures.jsonl``.
    workers : int, optional
        Local processes.

    Returns
    -------
    Account
        How reading went.

    Raises
    ------
    OutputError
        The table exists or cannot be written.
    """
    account = Account()
    with open_table(output, columns, overwrite=overwrite, file_format=file_format) as write:

        def consume(result: Any) -> None:
            for row in rows_of(result):
                write(row)

        each_spectrum(files, function, account, failures=failures, workers=workers, consume=consume)
    return account
