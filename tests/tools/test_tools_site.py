"""What writes the generated pages of the site, piece by piece."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pytest
from pydantic import BaseModel, Field

import site_figures
import site_pages
from astro_common.parquet import described
from site_blocks import (
    Step,
    command_fault,
    option_faults,
    read_steps,
    same_shape,
    shell_commands,
)
from site_commands import render_parser, verbs_of
from site_figures import SCENES, Scene, SceneError, make_scene
from site_formats import FORMATS, render_keys, render_schema
from site_markdown import definition, escaped, literal, table
from site_python import MODULES, public_names, render_python, top_level_names


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    """A command with two verbs."""
    parser = argparse.ArgumentParser(prog="look", description="Looks at <things>.")
    verbs = parser.add_subparsers()
    near = verbs.add_parser("near", description="Looks from near by.")
    near.add_argument("file", metavar="FILE", help="what to look at")
    near.add_argument("--radius", type=float, default=1.5, help="in arcsec (%(default)s)")
    near.add_argument("--mode", choices=("a", "b"), metavar="MODE", help="how")
    near.add_argument("--secret", help=argparse.SUPPRESS)
    group = near.add_argument_group("output")
    group.add_argument("-o", "--output", required=True)
    group.add_argument("--overwrite", action="store_true", help="replace *all*")
    verbs.add_parser("far", description="Looks from far off.")
    return parser


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a*b", r"a\*b"), ("x_1 <y>\n  z", r"x\_1 \<y\> z"), ("[1] {2} $", r"\[1\] \{2\} \$")],
)
def test_markup_in_a_sentence_is_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_literals_may_hold_backquotes() -> None:
    assert [literal("x"), literal("a`b"), literal("")] == ["`x`", "`` a`b ``", ""]


def test_bars_do_not_end_a_cell() -> None:
    assert table(("A",), [("`x|y`",), (r"u\|v",)]).splitlines()[2:] == [r"| `x\|y` |", r"| u\|v |"]


def test_definitions_keep_their_paragraphs_together() -> None:
    assert definition("t", "one", "", "two") == "t\n: one\n\n  two\n"


def test_a_parser_is_written_verb_by_verb(parser: argparse.ArgumentParser) -> None:
    text = render_parser(parser)
    near, _, far = text.partition("## `far`")
    assert r"Looks at \<things\>." in near
    assert "## `near`" in near
    assert "look near [-h] [--radius RADIUS]" in near
    assert "in arcsec (1.5)" in near
    assert "`-o`, `--output` `OUTPUT`\n: Required." in near
    assert "One of `a`, `b`." in near
    assert r"replace \*all\*" in near
    assert "**Output**" in near
    assert "Looks from far off." in far
    assert "secret" not in text
    assert "show this help" not in text
    assert list(verbs_of(parser)) == ["near", "far"]


def test_schemas_are_tables_with_units() -> None:
    fields = [
        described("ra", pa.float64(), unit="deg", description="Right ascension"),
        described("cut", pa.list_(pa.float32(), 4), description="a|b"),
        described("mags", pa.list_(pa.float32())),
    ]
    rows = render_schema(fields).splitlines()[2:]
    assert rows[0] == "| `ra` | `double` | `deg` | Right ascension |"
    assert rows[1] == r"| `cut` | `float[4]` |  | a\|b |"
    assert rows[2] == "| `mags` | `float[]` |  |  |"


class Section(BaseModel):
    """One section.

    Attributes
    ----------
    low, high : float
        Ends of
        the range.
    """

    low: Annotated[float, Field(ge=0.0)] = 0.5
    high: float | None = None


class Whole(BaseModel):
    """All of it.

    Attributes
    ----------
    names : tuple of str
        What to take, such as ``a_b`` or ``c``.
    """

    names: tuple[str, ...] = ("a", "b")
    path: Path
    first: Section = Section()
    second: Section | None = None


def test_keys_of_sections_have_full_names_and_meanings() -> None:
    rows = render_keys(Whole).splitlines()[2:]
    assert rows == [
        "| `names` | `[a, b]` | What to take, such as `a_b` or `c`. |",
        "| `path` | required |  |",
        "| `first` |  | One section. |",
        "| `first.low` | `0.5` | Ends of the range. |",
        "| `first.high` | `null` | Ends of the range. |",
        "| `second` | left out | One section. |",
        "| `second.low` | `0.5` | Ends of the range. |",
        "| `second.high` | `null` | Ends of the range. |",
    ]


def test_every_package_has_its_modules_and_formats(root: Path) -> None:
    names = {path.parent.name for path in root.glob("packages/*/pyproject.toml")}
    assert {name.replace("-", "_") for name in names} == set(MODULES)
    # The shared library writes what its callers describe.
    assert names - {"astro-common"} == set(FORMATS)
    assert {scene.distribution for scene in SCENES.values()} <= names


def test_main_modules_have_public_names(root: Path) -> None:
    for modules in MODULES.values():
        for module in modules:
            assert public_names(root / "packages", module), module


def test_top_level_names_lead_to_their_modules(root: Path) -> None:
    assert top_level_names(root / "packages", "scone_io") == {
        "GridSpec": "scone_io.grid.GridSpec",
        "Shards": "scone_io.shards.Shards",
        "open": "scone_io.shards.open_shards",
    }
    for package in MODULES:
        for origin in top_level_names(root / "packages", package).values():
            assert origin.rpartition(".")[0] in MODULES[package], origin
        assert f".. automodule:: {MODULES[package][0]}" in render_python(root / "packages", package)


def test_commands_and_scripts_are_read_in_order() -> None:
    page = (
        "Text.\n\n```bash\n# a comment\nfirst --a \\\n    b\n\nsecond 'x\ny'\n```\n"
        "```yaml\nno: command\n```\n```python\nprint(1)\n```\n"
        "```console\n$ third\nfound 3\n...\n$ fourth \\\n  -v\n```\n"
    )
    assert read_steps(page) == [
        Step("command", "first --a \\\n    b", 3),
        Step("command", "second 'x\ny'", 3),
        Step("python", "print(1)\n", 14),
        Step("command", "third", 17, ("found 3",)),
        Step("command", "fourth \\\n  -v", 17),
    ]


def test_a_document_on_standard_input_is_one_command() -> None:
    text = "cat > x <<'END'\nit's one\nEND\nnext\n"
    assert shell_commands(text) == ["cat > x <<'END'\nit's one\nEND", "next"]


def test_a_command_without_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not end"):
        shell_commands("echo 'a\n")


def test_printed_lines_may_differ_in_numbers() -> None:
    assert same_shape("found 3 of 1,200 in 2.5e-3 s", "found  4 of 7 in 1.25 s")
    assert not same_shape("found 3", "lost 3")


@pytest.mark.parametrize(
    "command",
    [
        "look near x.fits -o y",
        "look near x.fits --output y --radius 2  # wide",
        "look near x.fits -o y | head",
        "V=1 && look near x -o y > z",
        "cp look near --nonsense",
        "look --help",
        "look near x.fits \\\n    -o y",
    ],
)
def test_commands_that_parse(parser: argparse.ArgumentParser, command: str) -> None:
    assert command_fault(command, {"look": parser}) == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("look nearer x -o y", "invalid choice"),
        ("look near x -o y --wide", "unrecognized"),
        ("look near x", "required"),
        ("true && look near x -o y --mode c", "invalid choice"),
    ],
)
def test_commands_that_do_not_parse(
    parser: argparse.ArgumentParser, command: str, said: str
) -> None:
    assert said in command_fault(command, {"look": parser})


def test_options_in_running_text_belong_to_their_verb(parser: argparse.ArgumentParser) -> None:
    page = (
        "`near --radius 2`, `--overwrite`, `look near --output F` are there.\n"
        "`far --radius 2` and `--wide` are not.\n`benchmarks/bench.py --seed 3` is none of its.\n"
        "```bash\nlook near --no-such\n```\n"
    )
    assert option_faults(page, parser) == ["far --radius 2: --radius", "--wide: --wide"]


def test_a_scene_that_fails_says_which_command(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "packages").symlink_to(root / "packages")
    scenes = {"bad": Scene("scone-io", (("info", "absent.tfrecord"),), {"x.png": "x.png"})}
    monkeypatch.setattr(site_figures, "SCENES", scenes)
    with pytest.raises(SceneError, match="scone-io info absent"):
        make_scene(tmp_path, "bad")
    assert list((tmp_path / "build" / "site").iterdir()) == []


def test_a_scene_is_made_once(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "packages").symlink_to(root / "packages")
    scene = Scene("scone-io", (("mock", "mock", "--events", "2"),), {"t.json": "mock/truth.json"})
    monkeypatch.setattr(site_figures, "SCENES", {"good": scene})
    folder = make_scene(tmp_path, "good")
    assert [path.name for path in folder.iterdir()] == ["t.json"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    monkeypatch.setattr(sys, "executable", "no-such-program")
    assert make_scene(tmp_path, "good") == folder


def test_pages_are_filled(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_pages, "make_scene", lambda root, name: root / "build" / name)
    monkeypatch.setattr(
        site_pages, "_WRITERS", {"commands": lambda root, package: f"written for {package}"}
    )
    page = "Before\n\n<!-- generated: commands scone-io -->\n\n```{figure} scene:map/map.png\n```\n"
    assert site_pages.is_filled(page)
    filled = site_pages.fill(root, page)
    assert "\n\nwritten for scone-io\n\n```{figure} /../build/map/map.png\n" in filled
    assert not site_pages.is_filled("nothing")
