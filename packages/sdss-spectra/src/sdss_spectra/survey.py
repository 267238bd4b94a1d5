"""All spectra of a data set, one function on each, in a fixed order and in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from astro_common.errors import AstroError, InputError
from astro_common.jobs import run_units
from astro_common.jobs.attempt import Failure
from astro_common.jobs.failures import FailureFile
from sdss_spectra.files import SpectrumFile, row_id
from sdss_spectra.readers import read_spectra
from sdss_spectra.spectrum import Spectrum

__all__ = ["Account", "each_spectrum"]

logger = logging.getLogger(__name__)

PerSpectrum = Callable[[Spectrum, str, str], Any]


@dataclass
class Account:
    """How a pass over the files went.

    Attributes
    ----------
    num_files, num_spectra : int
        Read without a fault.
    failed : list of Failure
        Files that could not be used, each with its reason.
    """

    num_files: int = 0
    num_spectra: int = 0
    failed: list[Failure] | None = None

    @property
    def num_failed(self) -> int:
        """How many files failed (int)."""
        return len(self.failed or [])


def _apply(function: PerSpectrum, unit: tuple[int, SpectrumFile]) -> tuple[int, Any, str | None]:
    """Run the function on each spectrum of a file; what is wrong with the file is returned."""
    number, file = unit
    try:
        results = [
            function(spectrum, row_id(file.spec_id, spectrum.row), file.table_path)
            for spectrum in read_spectra(file.path)
        ]
    except InputError as error:
        return number, None, error.reason
    except AstroError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError) as error:
        # A file that no check has foreseen is that file's failure, and the run goes on.
        return number, None, f"cannot be read ({type(error).__name__}: {error})"
    return number, results, None


def each_spectrum(
    files: Sequence[SpectrumFile],
    function: PerSpectrum,
    account: Account,
    *,
    failures: Path | None = None,
    workers: int = 1,
    consume: Callable[[Any], None] | None = None,
) -> list[Any]:
    """Apply a function to every spectrum.

    Parameters
    ----------
    files : sequence of SpectrumFile
        In the order of the results.
    function : callable
        Takes spectrum, spec_id and path for tables. With several workers it is a function of a
        module, or a partial of one.
    account : Account
        Is filled.
    failures : Path, optional
        ``failures.jsonl`` with a line for each file that cannot be used.
    workers : int, optional
        Local processes.
    consume : callable, optional
        Takes each result in order; nothing is then kept.

    Returns
    -------
    list
        The results, unless they were consumed.
    """
    kept: list[Any] = []
    take = kept.append if consume is None else consume
    waiting: dict[int, tuple[Any, str | None]] = {}
    failed: list[Failure] = []
    place = 0

    def deliver() -> None:
        nonlocal place
        while place in waiting:
            results, reason = waiting.pop(place)
            if reason is not None:
                failed.append(Failure(files[place].table_path, None, reason))
                logger.error("%s: %s", files[place].path, reason)
            else:
                account.num_files += 1
                for result in results:
                    account.num_spectra += 1
                    take(result)
            place += 1

    def enter(_: str, result: tuple[int, Any, str | None]) -> None:
        number, values, reason = result
        waiting[number] = values, reason
        deliver()

    if workers == 1:
        for unit in enumerate(files):
            enter("", _apply(function, unit))
    else:
        units = {file.table_path: unit for unit in enumerate(files) for file in (unit[1],)}
        outcome = run_units(
            partial(_apply, function),
            units,
            workers=workers,
            describe="file",
            on_done=enter,
            progress=False,
        )
        numbers = {file.table_path: number for number, file in enumerate(files)}
        for failure in outcome.failed:
            waiting[numbers[failure.unit]] = None, failure.reason
        deliver()
    account.failed = failed
    if failures is not None:
        _write_failures(failures, files, failed)
    return kept


def _write_failures(path: Path, files: Sequence[SpectrumFile], failed: Sequence[Failure]) -> None:
    """Enter what failed now, and forget failures of files that have succeeded since."""
    record = FailureFile(path, "path")
    known = set(record.units)
    bad = {failure.unit for failure in failed}
    for file in files:
        if file.table_path in known and file.table_path not in bad:
            record.discard(file.table_path)
    for failure in failed:
        record.add(failure)
