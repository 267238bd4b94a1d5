from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import run_benchmarks
from benchmark_report import ReportError, holds, read_results, render, validated


def result(**changes: Any) -> dict[str, Any]:
    base = {
        "title": "Nearest match",
        "work": "1,000 sources to 5,000.",
        "measurements": [
            {"name": "ours", "seconds": 0.5, "peak_memory_mb": 120.0},
            {"name": "a | peer", "seconds": 2.0},
        ],
        "ratios": [
            {"statement": "peer / ours", "measured": 4.0, "required": 3.0, "sense": "at least"},
            {"statement": "ours / copy", "measured": 2.5, "required": 2.0, "sense": "at most"},
        ],
    }
    return base | changes


def record(**changes: Any) -> dict[str, Any]:
    added = {
        "distribution": "some-dist",
        "recorded": "2026-01-02 03:04 UTC",
        "machine": {"processor": "Some CPU", "cores": "2"},
        "versions": {"some-dist": "0.1.0"},
    }
    return result() | added | changes


def write_script(root: Path, text: str, topic: str = "topic") -> Path:
    package = root / "packages" / "some-dist"
    script = package / "benchmarks" / f"bench_{topic}.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(text, encoding="utf-8")
    (package / "pyproject.toml").write_text(
        '[project]\nname = "some-dist"\ndependencies = ["numpy>=2", "pytest"]\n', encoding="utf-8"
    )
    return script


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": ""}, "title: expected a text"),
        ({"measurements": []}, "measurements: found none"),
        ({"measurements": {}}, "measurements: expected a list"),
        ({"measurements": [{"name": "ours"}]}, r"measurements\[0\]: seconds: found None"),
        ({"measurements": [{"name": "ours", "seconds": -1}]}, "at least 0"),
        ({"measurements": [{"name": "ours", "seconds": float("nan")}]}, "finite"),
        ({"measurements": [{"name": "ours", "seconds": True}]}, "finite"),
        ({"ratios": None}, "ratios: expected a list"),
        (
            {"ratios": [{"statement": "x", "measured": 1, "required": 1, "sense": "about"}]},
            r"ratios\[0\]: sense",
        ),
    ],
)
def test_a_result_in_another_format_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ReportError, match=message):
        validated(result(**changes), "source")


def test_a_result_must_be_an_object() -> None:
    with pytest.raises(ReportError, match="found list"):
        validated([result()], "source")


@pytest.mark.parametrize(
    ("sense", "measured", "expected"),
    [
        ("at least", 3.0, True),
        ("at least", 2.9, False),
        ("at most", 3.0, True),
        ("at most", 3.1, False),
    ],
)
def test_holds(sense: str, measured: float, expected: bool) -> None:
    assert holds({"sense": sense, "measured": measured, "required": 3.0}) is expected


def test_page_names_what_was_not_reached() -> None:
    page = render([record()])
    assert "## Nearest match" in page
    assert "| ours | 0.5 | 120 |" in page
    assert "| a \\| peer | 2 |  |" in page
    assert "| peer / ours | 4 | at least 3 | yes |" in page
    assert "| ours / copy | 2.5 | at most 2 | **no** |" in page
    assert "processor Some CPU, cores 2" in page
    assert "some-dist 0.1.0" in page


def test_page_without_results_says_so() -> None:
    assert "No results have been recorded" in render([])


def test_records_are_read_in_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        text = json.dumps(record(title=f"Title {name}"))
        (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
    assert [found["title"] for found in read_results(tmp_path)] == ["Title a", "Title b"]


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(ReportError, match=r"broken\.json: not JSON"):
        read_results(tmp_path)
    (tmp_path / "broken.json").write_text(json.dumps(result()), encoding="utf-8")
    with pytest.raises(ReportError, match=r"broken\.json: distribution: missing"):
        read_results(tmp_path)


def test_a_script_is_run_and_its_record_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(result(versions={"peer": "9.9"}))
    script = write_script(tmp_path, f"print({text!r})\n")
    installed = {"some-dist": "0.1.0", "numpy": "2.0", "pytest": "9.0"}
    monkeypatch.setattr(run_benchmarks.importlib.metadata, "version", installed.__getitem__)
    found = run_benchmarks.run(script, tmp_path)
    assert found["distribution"] == "some-dist"
    assert found["versions"] == installed | {"peer": "9.9"}
    assert int(found["machine"]["cores"]) >= 1
    assert found["measurements"] == result()["measurements"]
    assert run_benchmarks.record_name(script) == "some-dist-topic.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise SystemExit(4)", "ended with status 4"),
        ("print('done')", "stdout is not one JSON object"),
        ("print('{}')", "title: expected a text"),
    ],
)
def test_a_script_that_fails_is_named(tmp_path: Path, text: str, message: str) -> None:
    script = write_script(tmp_path, text)
    with pytest.raises(ReportError, match=f"bench_topic.py: {message}"):
        run_benchmarks.run(script, tmp_path)


def test_one_failure_leaves_the_other_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_script(tmp_path, "raise SystemExit(1)", "bad")
    write_script(tmp_path, f"print({json.dumps(result())!r})", "good")
    monkeypatch.setattr(run_benchmarks, "ROOT", tmp_path)
    monkeypatch.setattr(run_benchmarks, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(run_benchmarks, "versions", lambda root, name: {name: "0.1.0"})
    assert run_benchmarks.main([]) == 1
    assert [found["title"] for found in read_results(tmp_path / "results")] == ["Nearest match"]
    assert "bench_bad.py: ended with status 1" in capsys.readouterr().err
    assert run_benchmarks.main(["good"]) == 0
    assert "ours / copy: 2.5 (at most 2: NOT REACHED)" in capsys.readouterr().out
    assert run_benchmarks.main(["absent"]) == 1
