"""All spectra of a data set, one function on each, in a fixed order and in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from astro_common.errors import AstroError, InputError
from astro_common.jobs import run_units
from astro_common.jobs.attempt import Failure
from astro_common.jobs.failures import FailureFile
from sdss_spectra.files import SpectrumFile, row_id
from sdss_spectra.readers import read_spectra
from sdss_spectra.spectrum import Spectrum

__all__ = ["Account", "each_spectrum"]

logger = logging.getLogger(__name__)

# Such a file holds thousands of spectra: its results are not kept until it ends.
LARGE_BYTES: Final = 64 << 20
# What reading a damaged file may raise.
_FAULTS: Final = (
    AstroError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError,
)  # fmt: skip
PerSpectrum = Callable[[Spectrum, str, str], Any]


@dataclass
class Account:
    """What came of a pass over the files.

    Attributes
    ----------
    num_files, num_spectra : int
        Read without a fault.
    failed : list of Failure
        Files that could not be used, each with its reason.
    """

    num_files: int = 0
    num_spectra: int = 0
    failed: list[Failure] = field(default_factory=list)

    @property
    def num_failed(self) -> int:
        """How many files failed (int)."""
        return len(self.failed)


def _results(function: PerSpectrum, file: SpectrumFile) -> Iterator[Any]:
    for spectrum in read_spectra(file.path):
        yield function(spectrum, row_id(file.spec_id, spectrum.row), file.table_path)


def _fault(error: Exception) -> str:
    """Say why a file cannot be used; raise the error again if it is not the file's fault."""
    if isinstance(error, InputError):
        return error.reason
    if isinstance(error, AstroError):
        raise error
    # A file that no check has foreseen is that file's failure, and the run goes on.
    return f"cannot be read ({type(error).__name__}: {error})"


def _apply(function: PerSpectrum, unit: tuple[int, SpectrumFile]) -> tuple[int, Any, str | None]:
    """Run the function on each spectrum of a file; a fault of the file is returned as text."""
    number, file = unit
    try:
        return number, list(_results(function, file)), None
    except _FAULTS as error:
        return number, None, _fault(error)


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

    A file of more than 64 MiB, such as those of MaStar with a star in each row, is read row by row
    in this process; if it turns out to be damaged, the rows before that have been used.

    Parameters
    ----------
    files : sequence of SpectrumFile
        In the order of the results.
    function : callable
        Takes spectrum, spec_id and path for tables. With several workers it is a function of a
        module, or a partial of one.
    account : Account
        Counts are added to it.
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
    account.failed = []

    def fail(file: SpectrumFile, reason: str) -> None:
        account.failed.append(Failure(file.table_path, None, reason))
        logger.error("%s: %s", file.path, reason)

    def enter(file: SpectrumFile, results: Sequence[Any] | None, reason: str | None) -> None:
        if results is None:
            fail(file, reason or "")
            return
        account.num_files += 1
        for result in results:
            account.num_spectra += 1
            take(result)

    for is_large, group in groupby(files, key=_is_large):
        if is_large:
            for file in group:
                _stream(file, function, account, take, fail)
        else:
            _each_small(list(group), function, enter, workers)
    if failures is not None:
        _write_failures(failures, files, account.failed)
    return kept


def _is_large(file: SpectrumFile) -> bool:
    try:
        return file.path.stat().st_size > LARGE_BYTES
    except OSError:
        return False  # the reader says what is wrong with it


def _stream(
    file: SpectrumFile,
    function: PerSpectrum,
    account: Account,
    take: Callable[[Any], None],
    fail: Callable[[SpectrumFile, str], None],
) -> None:
    """Hand on each result of a file as it comes."""
    results = _results(function, file)
    used = 0
    while True:
        try:
            result = next(results)
        except StopIteration:
            account.num_files += 1
            return
        except _FAULTS as error:
            reason = _fault(error)
            fail(file, f"{reason}; {used} spectra before that were used" if used else reason)
            return
        used += 1
        account.num_spectra += 1
        take(result)


def _each_small(
    files: Sequence[SpectrumFile],
    function: PerSpectrum,
    enter: Callable[[SpectrumFile, Sequence[Any] | None, str | None], None],
    workers: int,
) -> None:
    """Hand on the results of each file as a whole, in the order of the files."""
    if workers == 1:
        for unit in enumerate(files):
            _, results, reason = _apply(function, unit)
            enter(unit[1], results, reason)
        return
    waiting: dict[int, tuple[Sequence[Any] | None, str | None]] = {}
    place = 0

    def deliver() -> None:
        nonlocal place
        while place in waiting:
            enter(files[place], *waiting.pop(place))
            place += 1

    def on_done(_: str, result: tuple[int, Any, str | None]) -> None:
        number, results, reason = result
        waiting[number] = results, reason
        deliver()

    outcome = run_units(
        partial(_apply, function),
        {file.table_path: (number, file) for number, file in enumerate(files)},
        workers=workers,
        describe="file",
        on_done=on_done,
        progress=False,
    )
    numbers = {file.table_path: number for number, file in enumerate(files)}
    for failure in outcome.failed:
        waiting[numbers[failure.unit]] = None, failure.reason
    deliver()


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
