"""What the benchmarks of all packages share: paired timing, peak memory and a common record.

A benchmark times our code and its peers in one run, checks with `require` that they give the same
result, and ends with `report`, whose JSON object feeds the benchmark page of the site.
This module needs psutil, which the extra ``benchmarking`` brings.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

__all__ = [
    "Finished",
    "PeakMemory",
    "Result",
    "command_words",
    "machine",
    "median_ratio",
    "note",
    "paired_seconds",
    "parser",
    "peer_versions",
    "report",
    "require",
    "run_process",
]

_MEGABYTE = 1e6
_SAMPLING_SECONDS = 0.02


@dataclass
class Result:
    """The result of a benchmark.

    Attributes
    ----------
    distribution : str
        The package that is measured.
    title, work : str
        What was done, and with how much data.
    measurements : list of dict
        ``name``, ``seconds`` and, where measured, ``peak_memory_mb`` of each program.
    ratios : list of dict
        ``statement``, ``measured``, ``required`` and ``sense`` ("at least" or "at most").
    versions : dict of str to str
        Versions of the peers, by name.
    """

    distribution: str
    title: str
    work: str
    measurements: list[dict[str, Any]] = field(default_factory=list)
    ratios: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    def measured(self, name: str, seconds: float, peak_memory_mb: float | None = None) -> None:
        """Add the measurement of a program, in seconds and in MB (10^6 bytes)."""
        row: dict[str, Any] = {"name": name, "seconds": seconds}
        if peak_memory_mb is not None:
            row["peak_memory_mb"] = peak_memory_mb
        self.measurements.append(row)

    def at_least(self, statement: str, measured: float, required: float) -> None:
        """Add a ratio that should be large."""
        self._ratio(statement, measured, required, "at least")

    def at_most(self, statement: str, measured: float, required: float) -> None:
        """Add a ratio that should be small."""
        self._ratio(statement, measured, required, "at most")

    def _ratio(self, statement: str, measured: float, required: float, sense: str) -> None:
        self.ratios.append(
            {"statement": statement, "measured": measured, "required": required, "sense": sense}
        )


def note(text: str) -> None:
    """Print a message on stderr while the benchmark runs."""
    print(text, file=sys.stderr, flush=True)


def require(holds: bool, statement: str) -> None:
    """End the benchmark if two programs do not give the same result."""
    if not holds:
        raise SystemExit(f"results differ: {statement}")


def parser(description: str) -> argparse.ArgumentParser:
    """Make a parser with the options of every benchmark (argparse.ArgumentParser)."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--output", type=Path, metavar="FILE", help="also write the JSON here")
    options.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds of timing (3)")
    options.add_argument("--seed", type=int, default=1, metavar="S", help="of the input (1)")
    return options


def paired_seconds(
    programs: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, list[float]]:
    """Time programs in turn, so that a disturbance of the machine affects them all.

    Parameters
    ----------
    programs : mapping of str to callable
        Each does the same work once.
    repeats : int
        Number of rounds; each starts with a different program.

    Returns
    -------
    dict of str to list of float
        Seconds of each round, by name.
    """
    names = list(programs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        for place in range(len(names)):
            name = names[(place + turn) % len(names)]
            start = time.perf_counter()
            programs[name]()
            seconds[name].append(time.perf_counter() - start)
            note(f"  {name}: {seconds[name][-1]:.3f} s")
    return seconds


def median_ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Return the median, over the rounds, of the ratio of two programs' times (float)."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


class PeakMemory:
    """The largest resident memory of a process and all its children together, by sampling.

    Parameters
    ----------
    pid : int, optional
        By default this process.

    Attributes
    ----------
    megabytes : float
        The largest sum so far, in MB (10^6 bytes).
    """

    def __init__(self, pid: int | None = None) -> None:
        self.megabytes = 0.0
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakMemory:
        """Start sampling."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop sampling."""
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            total = 0
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for process in family:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.megabytes = max(self.megabytes, total / _MEGABYTE)
            if self._stop.wait(_SAMPLING_SECONDS):
                return


@dataclass(frozen=True)
class Finished:
    """A process that has succeeded.

    Attributes
    ----------
    seconds : float
        Wall-clock time from start to end.
    peak_memory_mb : float
        Of the process and its children, in MB (10^6 bytes).
    stdout : str
        What it printed.
    """

    seconds: float
    peak_memory_mb: float
    stdout: str


def run_process(words: Sequence[str | Path]) -> Finished:
    """Run a program to its end, and measure its time and peak memory.

    Parameters
    ----------
    words : sequence of str or Path
        The program and its arguments.

    Returns
    -------
    Finished

    Raises
    ------
    SystemExit
        If the program fails; the message holds the end of its stderr.
    """
    program = [str(word) for word in words]
    start = time.perf_counter()
    # The words come from a benchmark script and do not pass through a shell.
    process = subprocess.Popen(  # noqa: S603
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with PeakMemory(process.pid) as memory:
        stdout, stderr = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{program[0]} ended with status {process.returncode}: {stderr[-2000:]}")
    return Finished(seconds, memory.megabytes, stdout)


def command_words(module: str, *words: str | Path) -> list[str | Path]:
    """Return the words that run one of our commands with this Python (list), for `run_process`."""
    return [sys.executable, "-m", module, *words]


def machine() -> dict[str, str]:
    """Describe the machine (dict of str to str) without anything that identifies it."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        processor = named[1] if named else processor
    return {
        "processor": " ".join(processor.split()),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.system(),
        "Python": platform.python_version(),
    }


def peer_versions(*names: str) -> dict[str, str]:
    """Return the installed versions of some distributions (dict of str to str)."""
    return {name: importlib.metadata.version(name) for name in names}


def report(result: Result, output: Path | None) -> None:
    """Print a readable table on stderr and the record as JSON on stdout.

    Parameters
    ----------
    result : Result
        What was measured.
    output : Path or None
        If given, the JSON is also written to this file.
    """
    record: dict[str, Any] = {
        "title": result.title,
        "work": result.work,
        "machine": machine(),
        "versions": peer_versions(result.distribution) | result.versions,
        "measurements": result.measurements,
        "ratios": result.ratios,
    }
    note(f"\n{result.title}\n{result.work}")
    for key in ("machine", "versions"):
        note(f"{key}: " + ", ".join(f"{name} {value}" for name, value in record[key].items()))
    note(f"\n{'program':58} {'seconds':>10} {'peak MB':>9}")
    for row in result.measurements:
        memory = row.get("peak_memory_mb")
        shown = "" if memory is None else f"{memory:9.0f}"
        note(f"{row['name']:58} {row['seconds']:10.3f} {shown}")
    note(f"\n{'ratio':58} {'measured':>10}  goal")
    for row in result.ratios:
        reached = row["measured"] - row["required"]
        well = reached >= 0 if row["sense"] == "at least" else reached <= 0
        goal = f"{row['sense']} {row['required']:g}"
        note(f"{row['statement']:58} {row['measured']:10.3g}  {goal}: {_verdict(well)}")
    text = json.dumps(record, indent=2)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")
    print(text)


def _verdict(reached: bool) -> str:
    return "reached" if reached else "NOT REACHED"
