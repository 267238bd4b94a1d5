"""The site builds without a warning, and what the READMEs promise is there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from isolated_install import Package


@pytest.fixture(scope="module")
def site(root: Path, finish: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    trees = folder / "trees"
    done = finish(
        *(sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html"),
        *("-d", trees, root / "docs", folder / "html"),
    )
    assert done.status == 0, done.stderr
    return folder / "html"


def test_every_page_is_built(site: Path, root: Path) -> None:
    pages = [path.relative_to(root / "docs") for path in (root / "docs").rglob("*.md")]
    assert Path("index.md") in pages
    assert [page for page in pages if not (site / page.with_suffix(".html")).exists()] == []


def test_benchmark_page_shows_the_recorded_results(site: Path, root: Path) -> None:
    text = (site / "benchmarks" / "index.html").read_text(encoding="utf-8")
    recorded = list((root / "docs" / "benchmarks" / "results").glob("*.json"))
    assert ("No results have been recorded" in text) == (not recorded)
    assert text.count("recorded 20") == len(recorded)


@pytest.mark.parametrize("name", ["README.md", "docs/development.md", "docs/getting-started.md"])
def test_every_target_that_is_named_exists(root: Path, name: str) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    targets |= {f"test-{path.parent.name}" for path in root.glob("packages/*/pyproject.toml")}
    text = (root / name).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) - {"test-"}
    assert named
    assert named - targets == set()


@pytest.mark.parametrize("readme", ["README.md", "packages/*/README.md"])
def test_links_between_files_lead_somewhere(root: Path, readme: str) -> None:
    paths = list(root.glob(readme))
    assert paths
    for path in paths:
        links = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
        local = [link for link in links if "://" not in link]
        assert [link for link in local if not (path.parent / link).exists()] == [], path


def test_root_readme_names_every_package(package: Package, root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    assert f"(packages/{package.name}/README.md)" in text
    for command in package.commands:
        assert f"`{command}`" in text


def test_readme_lists_the_verbs(commanding_package: Package, verbs_of: Callable) -> None:
    readme = (commanding_package.folder / "README.md").read_text(encoding="utf-8")
    # Other tables of the page have names of files and columns in their first column.
    _, _, rest = readme.partition("\n## Commands\n")
    section = rest.partition("\n## ")[0]
    named = set(re.findall(r"^\| `([a-z-]+)[ `]", section, re.MULTILINE))
    for command in commanding_package.commands:
        assert named == set(verbs_of(command))
