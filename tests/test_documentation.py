"""The site builds without a warning, and what the READMEs promise is there."""

from __future__ import annotations

import argparse
import html
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from isolated_install import Package
from site_commands import verbs_of
from site_python import MODULES, top_level_names


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


def test_costs_are_computed_on_their_page(site: Path) -> None:
    text = (site / "scale.html").read_text(encoding="utf-8")
    assert "computed costs" not in text
    assert text.count("<table") > 1


def test_commands_are_described_with_all_their_options(
    site: Path, commanding_package: Package
) -> None:
    module = importlib.import_module(f"{commanding_package.import_name}.__main__")
    page = site / "packages" / commanding_package.name / "commands.html"
    text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
    verbs = verbs_of(module.build_parser())
    assert len(verbs) > 1
    for verb, parser in verbs.items():
        start = text.index(f"\n{commanding_package.name} {verb} ")
        for action in parser._actions:
            if isinstance(action, argparse._HelpAction):  # every verb has it
                continue
            for option in action.option_strings:
                assert option in text[start:], (verb, option)


def test_python_reference_has_every_public_name(site: Path, package: Package, root: Path) -> None:
    text = (site / "packages" / package.name / "python.html").read_text(encoding="utf-8")
    for origin in top_level_names(root / "packages", package.import_name).values():
        assert f'id="{origin}"' in text
    for module in MODULES[package.import_name]:
        assert f'id="module-{module}"' in text


def test_data_formats_have_the_columns_of_the_schemas(site: Path) -> None:
    from cfht_iqa.catalogue import SCHEMA
    from scone_io.summary.columns import summary_schema
    from sdss_spectra.metadata import COLUMNS

    expected = {
        "cfht-iqa": SCHEMA.names,
        "scone-io": summary_schema().names,
        "sdss-spectra": [column.name for column in COLUMNS],
        "splus-hypercube": ["gaia_source_id", "splus_cut_F378", "desi_flux_b", "ztf_mag_r"],
        "manga-ssftt": ["cube", "ivar", "labels/BPT", "wave"],
        "astromodal-tokenizers": ["MISSING", "scalar.bins"],
        "astromodal-transformer": ["max_minutes"],
    }
    for name, columns in expected.items():
        text = (site / "packages" / name / "formats.html").read_text(encoding="utf-8")
        assert [column for column in columns if f">{column}<" not in text] == [], name


def test_every_figure_is_made_and_says_that_it_is_synthetic(site: Path, root: Path) -> None:
    asked = 0
    for path in (root / "docs").rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        for caption in re.findall(r"^```\{figure\} scene:(.*?)^```$", text, re.S | re.M):
            asked += 1
            assert "synthetic" in caption, path
    pictures = list((site / "_images").glob("*.png"))
    assert len(pictures) == asked >= 5
    assert all(picture.stat().st_size > 10_000 for picture in pictures)


def test_nothing_that_is_generated_lies_among_the_sources(root: Path) -> None:
    suffixes = {path.suffix for path in (root / "docs").rglob("*") if path.is_file()}
    assert suffixes - {".pyc"} <= {".css", ".json", ".md", ".py"}


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


def test_readme_has_the_sections_of_a_package_page(package: Package) -> None:
    text = (package.folder / "README.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    wanted = ["Install", "Citation", "Licence"]
    wanted += ["Three lines", "Input", "Output", "Commands"] if package.commands else []
    assert [name for name in wanted if name not in sections] == []
    assert sections[0] == "Install"
    assert sections[-1] == "Licence"


def test_readme_lists_the_verbs(commanding_package: Package, verbs_of: Callable) -> None:
    readme = (commanding_package.folder / "README.md").read_text(encoding="utf-8")
    # Other tables of the page have names of files and columns in their first column.
    _, _, rest = readme.partition("\n## Commands\n")
    section = rest.partition("\n## ")[0]
    named = set(re.findall(r"^\| `([a-z-]+)[ `]", section, re.MULTILINE))
    for command in commanding_package.commands:
        assert named == set(verbs_of(command))
