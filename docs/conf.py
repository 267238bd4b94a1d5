"""Sphinx configuration of the site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from benchmark_report import read_results, render  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "From surveys to machine learning"
author = "the authors"
copyright = "2026, the authors"  # noqa: A001
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = project
exclude_patterns = ["benchmarks/results/*"]
# A reference that leads nowhere is a warning, and warnings are errors.
nitpicky = True

BENCHMARK_PAGE = "benchmarks/index"
BENCHMARK_MARK = "<!-- recorded results -->"


def insert_benchmarks(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the recorded benchmark results where their page has its mark."""
    if docname != BENCHMARK_PAGE:
        return
    if BENCHMARK_MARK not in source[0]:
        raise ValueError(f"{docname}: no line {BENCHMARK_MARK}")
    results = ROOT / "docs" / "benchmarks" / "results"
    source[0] = source[0].replace(BENCHMARK_MARK, render(read_results(results)))


def always_rebuild(app: Sphinx, env: object, *changes: set[str]) -> list[str]:
    """Name the page whose source does not show that its results have changed."""
    return [BENCHMARK_PAGE]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the insertion of the benchmark results."""
    app.connect("source-read", insert_benchmarks)
    app.connect("env-get-outdated", always_rebuild)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
