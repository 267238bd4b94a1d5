from __future__ import annotations

import json
import sys
import time

import pytest

from astro_common.benchmarking import (
    PeakMemory,
    Result,
    command_words,
    machine,
    median_ratio,
    paired_seconds,
    parser,
    report,
    require,
    run_process,
)


def test_programs_take_turns_at_being_first():
    order: list[str] = []
    seconds = paired_seconds(
        {"ours": lambda: order.append("ours"), "theirs": lambda: order.append("theirs")}, 3
    )
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert {name: len(values) for name, values in seconds.items()} == {"ours": 3, "theirs": 3}


def test_ratio_is_the_median_of_the_rounds_ratios():
    assert median_ratio([2.0, 30.0, 8.0], [1.0, 10.0, 2.0]) == 3.0


def test_memory_of_a_child_counts():
    before = PeakMemory()
    with before:
        time.sleep(0.1)
    code = "data = bytearray(200_000_000); import time; time.sleep(0.3)"
    with PeakMemory() as memory:
        run_process([sys.executable, "-c", code])
    assert memory.megabytes > before.megabytes + 190.0


def test_process_gives_its_output_and_its_own_memory():
    finished = run_process([sys.executable, "-c", "print('result')"])
    assert finished.stdout == "result\n"
    assert finished.seconds > 0.0
    assert finished.peak_memory_mb < 200.0


def test_failed_process_ends_the_benchmark_with_its_words():
    with pytest.raises(SystemExit, match=r"(?s)status 1.*no such thing"):
        run_process([sys.executable, "-c", "raise ValueError('no such thing')"])


def test_results_that_differ_end_the_benchmark():
    require(True, "alike")
    with pytest.raises(SystemExit, match="results differ: row 3"):
        require(False, "row 3")


def test_report_prints_one_object_and_says_what_was_missed(capsys, tmp_path):
    result = Result("astro-common", "Read", "one file", versions={"peer": "1.0"})
    result.measured("ours", 0.5, 12.0)
    result.measured("theirs", 1.0)
    result.at_least("theirs / ours", 2.0, 1.5)
    result.at_most("ours / a copy", 4.0, 3.0)
    report(result, tmp_path / "result.json")
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record == json.loads((tmp_path / "result.json").read_text())
    assert record["measurements"] == [
        {"name": "ours", "seconds": 0.5, "peak_memory_mb": 12.0},
        {"name": "theirs", "seconds": 1.0},
    ]
    assert [ratio["sense"] for ratio in record["ratios"]] == ["at least", "at most"]
    assert record["versions"]["peer"] == "1.0"
    assert record["versions"]["astro-common"]
    lines = {line.split("  ")[0]: line for line in printed.err.splitlines()}
    assert lines["theirs / ours"].endswith("at least 1.5: reached")
    assert lines["ours / a copy"].endswith("at most 3: NOT REACHED")


def test_machine_is_described_without_naming_it():
    import platform

    described = machine()
    assert set(described) == {"processor", "cores", "memory", "system", "Python"}
    assert platform.node() not in " ".join(described.values())


def test_common_options_and_words_of_a_command():
    assert parser("what").parse_args(["--seed", "5"]).seed == 5
    assert command_words("scone_io", "info", "x") == [sys.executable, "-m", "scone_io", "info", "x"]
