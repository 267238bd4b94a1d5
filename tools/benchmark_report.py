"""The format of benchmark results, and the page that is made of them.

A benchmark is a script ``packages/<dist>/benchmarks/bench_<topic>.py`` that prints one JSON object:

``title``, ``work``
    What was done, and on how much.
``measurements``
    A list of ``{"name", "seconds", "peak_memory_mb"}``, one per program; memory is optional.
``ratios``
    A list of ``{"statement", "measured", "required", "sense"}``, where ``sense`` is ``at least`` or
    ``at most``.

tools/run_benchmarks.py adds the machine and the versions and keeps one file per benchmark in
docs/benchmarks/results. The site renders those files whenever it is built.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SENSES = ("at least", "at most")


class ReportError(ValueError):
    """A benchmark's result is not in the format that this module describes."""


def validated(result: Any, source: str) -> dict[str, Any]:
    """Return a benchmark's result after checking that it has the format described above.

    Parameters
    ----------
    result : object
        The parsed JSON.
    source : str
        The script or file that it came from, for the message.

    Raises
    ------
    ReportError
        A key is missing or holds the wrong kind of value.
    """
    if not isinstance(result, dict):
        raise ReportError(f"{source}: found {type(result).__name__}; expected one JSON object")
    for key in ("title", "work"):
        if not isinstance(result.get(key), str) or not result[key].strip():
            raise ReportError(f"{source}: {key}: expected a text")
    measurements = _objects(result, "measurements", source)
    if not measurements:
        raise ReportError(f"{source}: measurements: found none")
    for index, row in enumerate(measurements):
        where = f"{source}: measurements[{index}]"
        _text(row, "name", where)
        _number(row, "seconds", where)
        if row.get("peak_memory_mb") is not None:
            _number(row, "peak_memory_mb", where)
    for index, row in enumerate(_objects(result, "ratios", source)):
        where = f"{source}: ratios[{index}]"
        _text(row, "statement", where)
        _number(row, "measured", where)
        _number(row, "required", where)
        if row.get("sense") not in _SENSES:
            raise ReportError(f"{where}: sense: expected one of {', '.join(_SENSES)}")
    return result


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Read and check all recorded results in a folder, sorted by file name."""
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            parsed = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ReportError(f"{path.name}: not JSON: {error}") from error
        result = validated(parsed, path.name)
        for key in ("distribution", "recorded", "machine", "versions"):
            if key not in result:
                raise ReportError(f"{path.name}: {key}: missing")
        results.append(result)
    return results


def holds(ratio: Mapping[str, Any]) -> bool:
    """Tell whether a measured ratio reaches what was required of it."""
    measured, required = float(ratio["measured"]), float(ratio["required"])
    return measured >= required if ratio["sense"] == "at least" else measured <= required


def render(results: Sequence[Mapping[str, Any]]) -> str:
    """Write recorded results as Markdown, one section per benchmark.

    Returns
    -------
    str
        Markdown whose headings start at the second level. Without results it says so.
    """
    if not results:
        return "No results have been recorded yet; `make bench` records them.\n"
    return "\n".join(_section(result) for result in results)


def _section(result: Mapping[str, Any]) -> str:
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines = [f"## {result['title']}", "", result["work"], ""]
    lines += ["| Program | Seconds | Peak memory (MB) |", "|---|---:|---:|"]
    for row in result["measurements"]:
        memory = row.get("peak_memory_mb")
        shown = "" if memory is None else f"{memory:.0f}"
        lines.append(f"| {_cell(row['name'])} | {row['seconds']:.3g} | {shown} |")
    if result["ratios"]:
        lines += ["", "| Ratio | Measured | Required | Reached |", "|---|---:|---:|---|"]
    for row in result["ratios"]:
        reached = "yes" if holds(row) else "**no**"
        lines.append(
            f"| {_cell(row['statement'])} | {row['measured']:.3g} "
            f"| {row['sense']} {row['required']:g} | {reached} |"
        )
    lines += ["", f"{result['distribution']}, recorded {result['recorded']}."]
    lines += [f"Machine: {machine}.", f"Versions: {versions}.", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _objects(result: Mapping[str, Any], key: str, source: str) -> list[dict[str, Any]]:
    rows = result.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ReportError(f"{source}: {key}: expected a list of objects")
    return rows


def _text(row: Mapping[str, Any], key: str, where: str) -> None:
    if not isinstance(row.get(key), str) or not row[key].strip():
        raise ReportError(f"{where}: {key}: expected a text")


def _number(row: Mapping[str, Any], key: str, where: str) -> None:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ReportError(f"{where}: {key}: found {value!r}; expected a finite number")
    if value < 0:
        raise ReportError(f"{where}: {key}: found {value!r}; expected a number of at least 0")
