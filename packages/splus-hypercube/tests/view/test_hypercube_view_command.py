from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from splus_hypercube.__main__ import main


@pytest.fixture(scope="module")
def cube_path(write_cube: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cube(tmp_path_factory.mktemp("command") / "datacube_F1.parquet")


def plot(cube: Path, identifier: str, output: Path, *more: str) -> int:
    return main(["plot", str(cube), "--id", identifier, "-o", str(output), *more])


def test_a_figure_of_a_source(
    cube_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "source.png"
    assert plot(cube_path, "iDR6_F1_0001", output) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"{output}\n"


def test_as_json(cube_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "source.png"
    assert plot(cube_path, "iDR6_F1_0001", output, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["output"] == str(output)
    assert (result["id"], result["field"], result["row"]) == ("iDR6_F1_0001", "F1", 1)
    assert result["synthetic"] is True
    assert not any(result["matches"].values())


def test_unknown_identifier(
    cube_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot(cube_path, "nobody", tmp_path / "source.png") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "no source 'nobody'" in said.err
    assert list(tmp_path.iterdir()) == []


def test_existing_output(
    cube_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "source.png"
    output.write_text("mine")
    assert plot(cube_path, "iDR6_F1_0001", output) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert plot(cube_path, "iDR6_F1_0001", output, "--overwrite") == 0
    assert output.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"not parquet at all, but long enough"])
def test_a_file_that_is_no_hypercube(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    cube = tmp_path / "cube.parquet"
    if content is not None:
        cube.write_bytes(content)
    assert plot(cube, "x", tmp_path / "source.png") == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "cube.parquet" in said


def test_a_folder_that_is_not_there(
    cube_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot(cube_path, "iDR6_F1_0001", tmp_path / "no" / "source.png") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
