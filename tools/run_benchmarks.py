#!/usr/bin/env python
"""Run the benchmarks of all packages and record their results in docs/benchmarks/results.

Each script runs alone, in a process of its own, so that none measures another's memory. A benchmark
that fails keeps its former record; the others still run.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from astro_common.benchmarking import machine
from benchmark_report import ReportError, holds, validated

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "benchmarks" / "results"


def find_benchmarks(root: Path, only: list[str]) -> list[Path]:
    """List the benchmark scripts, or those whose path contains one of the given texts."""
    scripts = sorted(root.glob("packages/*/benchmarks/bench_*.py"))
    if not only:
        return scripts
    return [script for script in scripts if any(text in script.as_posix() for text in only)]


def record_name(script: Path) -> str:
    """Name the record of a script: ``<dist>-<topic>.json``."""
    return f"{script.parents[1].name}-{script.stem.removeprefix('bench_')}.json"


def versions(root: Path, distribution: str) -> dict[str, str]:
    """Return the installed versions of a distribution and of what it directly depends on."""
    path = root / "packages" / distribution / "pyproject.toml"
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    needed = [re.split(r"[\s<>=!~;\[]", text)[0] for text in project.get("dependencies", [])]
    return {name: importlib.metadata.version(name) for name in [distribution, *needed]}


def run(script: Path, root: Path) -> dict[str, Any]:
    """Run one benchmark and return its record.

    Raises
    ------
    ReportError
        The script failed, or printed something that is not a result.
    """
    done = subprocess.run(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=False, cwd=root
    )
    if done.returncode:
        raise ReportError(f"{script.name}: ended with status {done.returncode}")
    try:
        result = validated(json.loads(done.stdout), script.name)
    except json.JSONDecodeError as error:
        raise ReportError(f"{script.name}: stdout is not one JSON object: {error}") from error
    distribution = script.parents[1].name
    return {
        "distribution": distribution,
        "recorded": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        # A script names the versions of its peers itself.
        "versions": versions(root, distribution) | result.pop("versions", {}),
        **result,
    }


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "only", nargs="*", metavar="TEXT", help="only scripts whose path contains one of these"
    )
    arguments = parser.parse_args(argv)
    scripts = find_benchmarks(ROOT, arguments.only)
    if not scripts:
        print("run_benchmarks: no benchmark found", file=sys.stderr)
        return 1
    failed = 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    for script in scripts:
        print(f"{script.relative_to(ROOT)} ...", file=sys.stderr)
        try:
            record = run(script, ROOT)
        except ReportError as error:
            print(f"run_benchmarks: {error}", file=sys.stderr)
            failed += 1
            continue
        target = RESULTS / record_name(script)
        target.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        for ratio in record["ratios"]:
            verdict = "reached" if holds(ratio) else "NOT REACHED"
            print(
                f"  {ratio['statement']}: {ratio['measured']:.3g}"
                f" ({ratio['sense']} {ratio['required']:g}: {verdict})"
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
