#!/usr/bin/env python
"""What a whole survey costs, computed from the recorded benchmarks and a few stated assumptions.

The site's page on scale shows the tables that `render` makes. Run as a script, it prints them with
other prices or sizes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchmark_report import ReportError, read_results

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "benchmarks" / "results"
SECONDS_PER_HOUR = 3600.0
CUTOUT_BYTES = 12 * 96 * 96 * 4


@dataclass(frozen=True)
class Assumptions:
    """What no benchmark of ours can know; each can be given on the command line.

    Attributes
    ----------
    fields, cutouts_tb : float
        Size of the survey.
    core_hour, disk_tb_month, gpu_hour : float
        Prices, in any one currency.
    gpu_tflops : float
        Rate that training reaches on one GPU: 40 % of 989 TFLOP/s, the bf16 rate without sparsity
        that NVIDIA states for the H100 SXM.
    tokens_per_source : float
    """

    fields: float = 3000.0
    cutouts_tb: float = 15.0
    core_hour: float = 0.04
    disk_tb_month: float = 20.0
    gpu_hour: float = 2.5
    gpu_tflops: float = 396.0
    tokens_per_source: float = 3200.0


def seconds(results: Sequence[Mapping[str, Any]], title: str, work: str, name: str) -> float:
    """Seconds of one program in the record of one benchmark.

    Parameters
    ----------
    results : sequence of mapping
        The records.
    title : str
        Of the benchmark.
    work : str
        Words that its description must hold: this module's arithmetic is about that work.
    name : str
        How the program's name begins.

    Raises
    ------
    ReportError
        There is no such record or program, or it did other work.
    """
    for result in results:
        if result["title"] != title:
            continue
        if work not in result["work"]:
            raise ReportError(f"{title}: its work is no longer {work!r}: {result['work']}")
        for row in result["measurements"]:
            if row["name"].startswith(name):
                return float(row["seconds"])
        raise ReportError(f"{title}: no program {name!r}")
    raise ReportError(f"no record of {title!r}; make bench makes it")


def render(results: Sequence[Mapping[str, Any]], given: Assumptions | None = None) -> str:
    """Write the tables as Markdown.

    Parameters
    ----------
    results : sequence of mapping
        The records of docs/benchmarks/results.
    given : Assumptions, optional

    Returns
    -------
    str
        Three tables: the survey, 1e9 rows and 3 million sources, a base-size model.

    Raises
    ------
    ReportError
        A record is missing or is about other work.
    """
    given = given or Assumptions()
    parts = [_survey(results, given), _tables(results, given), _model(results, given)]
    return "\n".join(parts)


def _survey(results: Sequence[Mapping[str, Any]], given: Assumptions) -> str:
    # The benchmark's field has 25,000 sources; time and bytes grow with the number of sources.
    build = seconds(results, "A whole field", "25,000 sources", "splus-hypercube build") / 25_000
    sources = given.cutouts_tb * 1e12 / CUTOUT_BYTES
    hours = build * sources / SECONDS_PER_HOUR
    rows = [
        ("sources", f"{sources / 1e6:.0f} million", f"{given.cutouts_tb:g} TB of cutouts"),
        ("sources per field", f"{sources / given.fields:,.0f}", f"{given.fields:,.0f} fields"),
        ("one machine of 2 cores", f"{hours:.0f} h", f"{build * 1e3:.2f} ms a source, measured"),
        ("its price", f"{2 * hours * given.core_hour:.1f}", f"{given.core_hour:g} a core-hour"),
        (
            "16 such machines",
            f"{hours / 16:.1f} h",
            "if each has a disk of its own",
        ),
        (
            "disk",
            f"{given.cutouts_tb:g} TB, {given.cutouts_tb * given.disk_tb_month:.0f} a month",
            f"{given.disk_tb_month:g} a TB and month",
        ),
    ]
    return "## Hypercubes of a whole survey\n\n" + _table(rows)


def _tables(results: Sequence[Mapping[str, Any]], given: Assumptions) -> str:
    match = seconds(
        results,
        "Nearest match within 1 arcsec",
        "200,000 sources to 1,000,000",
        "splus_hypercube.matching.match_nearest",
    )
    per_row = match / 200_000
    som = seconds(results, "Self-organising map", "3,000,000 x 7, 20 passes", "ours, 15 x 15")
    extract = seconds(
        results, "Extract features", "47,000 events", "scone-io extract, per 1000 events"
    )
    events = 1_900_000
    rows = [
        (
            "match 1e9 rows with a survey five times as dense",
            f"{per_row * 1e9 / SECONDS_PER_HOUR:.1f} h on one core",
            f"{per_row * 1e6:.2f} us a row, in memory, field by field",
        ),
        (
            "store 1e9 rows with cutouts",
            f"{CUTOUT_BYTES * 1e9 / 1e12:.0f} TB",
            f"{CUTOUT_BYTES * 1e9 / 1e12 * given.disk_tb_month:,.0f} a month",
        ),
        ("a map of 15 x 15 nodes on 3 million sources", f"{som:.1f} s", "20 passes, 2 cores"),
        (
            "features of 1.9 million heatmaps",
            f"{extract * events / 1000 / SECONDS_PER_HOUR:.2f} h on one core",
            "40 shards",
        ),
    ]
    return "## A billion rows, a map, a set of heatmaps\n\n" + _table(rows)


def _model(results: Sequence[Mapping[str, Any]], given: Assumptions) -> str:
    work = "vocabulary 68613, d_model 256, 4 layers, 4 sequences of 512 tokens"
    step = seconds(results, "training step", work, "step, ours")
    # 12 d^2 parameters a layer do the work; the loss touches the slices that it needs.
    small = 4 * 12 * 256**2
    rate = 6.0 * small * 4 * 512 / step
    base = 12 * 12 * 768**2
    sources = given.cutouts_tb * 1e12 / CUTOUT_BYTES
    tokens = sources * given.tokens_per_source
    operations = 6.0 * base * tokens
    gpu_hours = operations / (given.gpu_tflops * 1e12) / SECONDS_PER_HOUR
    core_years = operations / rate / SECONDS_PER_HOUR / 8766.0
    rows = [
        (
            "tokens of the survey",
            f"{tokens:.1e}",
            f"{given.tokens_per_source:,.0f} a source",
        ),
        ("parameters of the base preset's layers", f"{base / 1e6:.0f} million", "12 layers, d 768"),
        (
            "one pass on cores like ours",
            f"{core_years:,.0f} core-years",
            f"{rate / 1e9:.0f} GFLOP/s measured for a small model on one core",
        ),
        (
            "one pass on GPUs",
            f"{gpu_hours:.0f} GPU-hours, {gpu_hours * given.gpu_hour:.0f}",
            f"if {given.gpu_tflops:.0f} TFLOP/s are reached; not measured by us",
        ),
    ]
    return "## A base-size model\n\n" + _table(rows)


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    lines = ["| What | Cost | From |", "|---|---:|---|"]
    lines += [f"| {what} | {cost} | {source} |" for what, cost, source in rows]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 1 if a record is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for item in fields(Assumptions):
        option = "--" + item.name.replace("_", "-")
        parser.add_argument(option, type=float, default=item.default, metavar="X")
    try:
        print(render(read_results(RESULTS), Assumptions(**vars(parser.parse_args(argv)))))
    except ReportError as error:
        print(f"scale_costs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
