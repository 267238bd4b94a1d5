from __future__ import annotations

import os
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "tutorial.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_tutorial_runs(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("MANGA_TUTORIAL_DIR", str(tmp_path))
    monkeypatch.setenv("MANGA_TUTORIAL_EPOCHS", "2")
    monkeypatch.setenv("MANGA_TUTORIAL_SIZE", "10")
    source = Path(__file__).parents[1] / "src"
    monkeypatch.setenv("PYTHONPATH", f"{source}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # clean in the repository
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    assert (tmp_path / "evaluation" / "metrics.json").is_file()
    assert (tmp_path / "map.fits").is_file()
    images = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(images) == 6
    text = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
    assert "noise of the labels" in text
