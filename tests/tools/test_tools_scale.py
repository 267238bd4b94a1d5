from __future__ import annotations

from pathlib import Path

import pytest

import scale_costs
from benchmark_report import ReportError, read_results
from scale_costs import Assumptions, render, seconds


@pytest.fixture(scope="module")
def results(root: Path) -> list[dict]:
    return read_results(root / "docs" / "benchmarks" / "results")


def table(text: str) -> dict[str, str]:
    """The first two columns of all tables."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in rows}


def test_tables_follow_from_the_records(results):
    found = table(render(results))
    build = seconds(results, "A whole field", "25,000 sources", "splus-hypercube build") / 25_000
    sources = 15e12 / (12 * 96 * 96 * 4)
    assert found["sources"] == "34 million"
    assert found["one machine of 2 cores"] == f"{build * sources / 3600:.0f} h"
    assert found["store 1e9 rows with cutouts"] == "442 TB"


def test_cost_follows_the_assumptions(results):
    dear = table(render(results, Assumptions(disk_tb_month=200.0, gpu_tflops=198.0)))
    cheap = table(render(results, Assumptions(disk_tb_month=20.0, gpu_tflops=396.0)))
    assert (cheap["disk"], dear["disk"]) == ("15 TB, 300 a month", "15 TB, 3000 a month")
    hours = [float(found["one pass on GPUs"].split()[0]) for found in (dear, cheap)]
    assert hours[0] == pytest.approx(2.0 * hours[1], rel=0.05)


def test_record_of_other_work_is_refused(results):
    changed = [dict(result) for result in results]
    for result in changed:
        result["work"] = result["work"].replace("25,000 sources", "9 sources")
    with pytest.raises(ReportError, match="its work is no longer '25,000 sources'"):
        render(changed)


def test_missing_record_is_named():
    with pytest.raises(ReportError, match="no record of 'A whole field'"):
        render([])


def test_command_takes_prices(capsys):
    assert scale_costs.main(["--disk-tb-month", "1"]) == 0
    assert "15 TB, 15 a month" in capsys.readouterr().out
