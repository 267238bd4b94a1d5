from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import demo
from astro_common.parquet import ParquetWriter, read_metadata
from splus_hypercube.truth import SurveyComparison

SMALL = ("--fields", "1", "--sources", "40", "--image-size", "160", "--workers", "1")
# So few sources make no tokens of every kind: the models have tests of their own.
HYPERCUBES = ("--only-hypercubes",)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A small demo, run as a user runs it."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, demo.__file__, *SMALL, *HYPERCUBES],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "demo", done


def test_the_commands_are_shown_in_order(finished: tuple[Path, Any]) -> None:
    _, done = finished
    shown = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert shown == ["mock", "validate", "build", "check"]


def test_the_report_is_there_and_its_path_comes_last(finished: tuple[Path, Any]) -> None:
    folder, done = finished
    report = folder / "report.html"
    assert done.stdout.splitlines()[-1] == f"  {report.resolve()}"
    text = report.read_text(encoding="utf-8")
    assert "SYNTHETIC DATA" in text
    assert "Every counterpart is the one that the simulated sky prescribes" in text


def test_the_comparison_is_printed(finished: tuple[Path, Any]) -> None:
    _, done = finished
    rows = [
        line.split() for line in done.stdout.splitlines() if line.startswith(("gaia ", "splus "))
    ]
    assert rows[0] == ["splus", "40", "40", "0"]
    assert rows[1][1] == rows[1][2] != "0"


def test_a_difference_from_the_truth_fails(
    finished: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, _ = finished
    (cube,) = (folder / "cubes").glob("datacube_*.parquet")
    table = pq.read_table(cube)
    place = table.schema.get_field_index("gaia_source_id")
    ids = [None if value is None else value ^ 1 for value in table["gaia_source_id"].to_pylist()]
    table = table.set_column(place, table.schema.field(place), pa.array(ids, pa.int64()))
    broken = tmp_path / "broken.parquet"
    metadata = {"splus_hypercube": read_metadata(cube)["splus_hypercube"]}
    with ParquetWriter(broken, table.schema.remove_metadata(), metadata=metadata) as writer:
        writer.write(table.replace_schema_metadata(None))
    report = tmp_path / "report.html"
    assert demo.conclude([broken], folder / "mock" / "truth.parquet", report) == 1
    assert capsys.readouterr().err == "demo: not as in the truth: gaia\n"
    # The report shows what is wrong.
    assert "Some counterparts are not those" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "row", [SurveyComparison("gaia", 5, 5, 1), SurveyComparison("gaia", 5, 4, 0)]
)
def test_any_disagreement_counts(
    row: SurveyComparison, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("splus_hypercube.truth.compare_with_truth", lambda *_: [row])
    monkeypatch.setattr("splus_hypercube.view.report.write_report", lambda *_, **__: None)
    assert demo.conclude([], tmp_path / "truth.parquet", tmp_path / "report.html") == 1


def test_a_folder_of_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo.fresh_folder(folder)
    (folder / "old").touch()
    demo.fresh_folder(folder)
    assert [item.name for item in folder.iterdir()] == [demo.MARKER]


def test_a_folder_of_somebody_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert demo.main(["--directory", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "found something that is no demo" in said
    assert len(said.splitlines()) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_failing_command_ends_the_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # So many sources do not fit into so small an image.
    words = ["--directory", str(tmp_path / "demo"), "--sources", "100000", "--image-size", "100"]
    assert demo.main(words) == 1
    assert capsys.readouterr().err == "demo: splus-hypercube mock ended with status 2\n"


def test_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupt)
    assert demo.main(["--directory", str(tmp_path / "demo")]) == 130
