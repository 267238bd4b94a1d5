"""What the benchmarks share: paired timing, one table for people, one JSON object."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DISTRIBUTION = "astromodal-tokenizers"


@dataclass
class Result:
    """What a benchmark found: seconds by program, and ratios with what they should be."""

    title: str
    work: str
    measurements: list[dict[str, Any]] = field(default_factory=list)
    ratios: list[dict[str, Any]] = field(default_factory=list)
    peers: tuple[str, ...] = ()

    def measured(self, name: str, seconds: float) -> None:
        self.measurements.append({"name": name, "seconds": seconds})

    def ratio(self, statement: str, measured: float, sense: str, required: float) -> None:
        self.ratios.append(
            {"statement": statement, "measured": measured, "required": required, "sense": sense}
        )


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def require(holds: bool, statement: str) -> None:
    """End the benchmark if two programs do not give the same result."""
    if not holds:
        raise SystemExit(f"results differ: {statement}")


def parser(description: str) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--output", type=Path, metavar="FILE", help="also write the JSON here")
    options.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds of timing (3)")
    options.add_argument("--seed", type=int, default=1, metavar="S", help="of the input (1)")
    options.add_argument(
        "--scale", type=float, default=1.0, metavar="X", help="part of the full number of rows (1)"
    )
    return options


def paired_seconds(
    programs: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, list[float]]:
    """Time programs in turns, so that a disturbance of the machine meets them all."""
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
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def report(result: Result, output: Path | None) -> None:
    """Print the table for people on stderr and the JSON on stdout; write the JSON if asked to."""
    names = (DISTRIBUTION, "numpy", "torch", *result.peers)
    record = {
        "title": result.title,
        "work": result.work,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": str(os.cpu_count()),
            "system": platform.system(),
            "Python": platform.python_version(),
        },
        "versions": {name: importlib.metadata.version(name) for name in names},
        "measurements": result.measurements,
        "ratios": result.ratios,
    }
    note(f"\n{result.title}\n{result.work}")
    for row in result.measurements:
        note(f"{row['name']:64} {row['seconds']:10.3f} s")
    for row in result.ratios:
        gap = row["measured"] - row["required"]
        reached = gap >= 0 if row["sense"] == "at least" else gap <= 0
        verdict = "reached" if reached else "NOT REACHED"
        goal = f"{row['sense']} {row['required']:g}: {verdict}"
        note(f"{row['statement']:64} {row['measured']:10.3g}    {goal}")
    text = json.dumps(record, indent=2)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")
    print(text)
