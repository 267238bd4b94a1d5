from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from astro_common.errors import InputError, OutputError
from splus_hypercube.truth import SurveyComparison
from splus_hypercube.view.html import Cell, meter, number, page, paragraph, table
from splus_hypercube.view.report import write_report

WriteCube = Callable[..., Path]
VOID = {"br", "img", "link", "meta", "source", "path", "use", "rect"}


class Outline(HTMLParser):
    """Checks that tags close, and keeps headings, links and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data.strip())


def read(path: Path) -> tuple[str, Outline]:
    text = path.read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    return text, outline


@pytest.fixture(scope="module")
def cubes(write_cube: WriteCube, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("report")
    return [
        write_cube(folder / "datacube_F1.parquet"),
        write_cube(
            folder / "datacube_F2.parquet",
            rows=5,
            field="F2",
            missing_bands=("U", "F395"),
            without=("vista",),
            seed=2,
        ),
    ]


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes nearly all the time, for tests of the rest."""
    monkeypatch.setattr("splus_hypercube.view.report.best_covered", lambda *_: [])


@pytest.fixture(scope="module")
def report(cubes: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Outline]:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(
        cubes,
        path,
        truth=[
            SurveyComparison("splus", 15, 15, 0),
            SurveyComparison("gaia", 10, 9, 1, ("iDR6_F1_0003",)),
        ],
        title="Fields <1> & 2",
    )
    return read(path)


def test_the_page_needs_no_other_file_and_runs_nothing(report: tuple[str, Outline]) -> None:
    text, outline = report
    for tag, attributes in outline.attributes:
        assert tag not in {"script", "iframe", "object", "embed", "link", "form"}
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "srcset", "href", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/png;base64,", "#")), value
    assert "@import" not in text
    assert re.search(r"url\((?!#)", text) is None


def test_titles_are_text(report: tuple[str, Outline]) -> None:
    text, outline = report
    assert "<title>Fields &lt;1&gt; &amp; 2</title>" in text
    assert "Fields <1> & 2" in outline.text


def test_links_lead_to_sections(report: tuple[str, Outline]) -> None:
    _, outline = report
    links = {a["href"] for tag, a in outline.attributes if tag == "a"}
    sections = {f"#{a['id']}" for tag, a in outline.attributes if tag == "section"}
    assert links == sections
    assert len(links) == 7


def test_what_it_says(report: tuple[str, Outline]) -> None:
    _, outline = report
    said = " ".join(outline.text)
    for text in (
        "2 fields, 15 sources",
        "SYNTHETIC DATA: All data in this report were simulated",
        "F2: no image in U, F395; these cutouts are null.",
        "F2: not configured: APOGEE, VISTA.",
        "not configured",
        "1 wrong",
        "iDR6_F1_0003",
        "Some counterparts are not those that the simulated sky prescribes.",
        "splus-hypercube 0.1.0",
        "2026-01-02T03:04:05Z",
        "F1_dual.fits",
        "schema version 1",
        "gaia_separation_arcsec",
    ):
        assert text in said, text


def test_pictures_are_png_with_a_description(report: tuple[str, Outline]) -> None:
    _, outline = report
    images = [attributes for tag, attributes in outline.attributes if tag == "img"]
    assert len(images) == 4
    for attributes in images:
        source, described = attributes["src"], attributes["alt"]
        assert source is not None
        assert described is not None
        data = base64.b64decode(source.partition("base64,")[2], validate=True)
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        assert described.startswith("Simulated source iDR6_F1_")
    dark = [a for tag, a in outline.attributes if tag == "source"]
    assert [a["media"] for a in dark] == ["(prefers-color-scheme: dark)"] * 4


@pytest.mark.usefixtures("without_pictures")
def test_real_data_are_not_called_synthetic(write_cube: WriteCube, tmp_path: Path) -> None:
    cube = write_cube(tmp_path / "cube.parquet", synthetic=False, rows=2)
    write_report([cube], tmp_path / "report.html")
    text, outline = read(tmp_path / "report.html")
    assert "SYNTHETIC" not in text
    assert "simulated" not in text
    assert "Comparison with the truth" not in outline.text
    assert "By field" not in outline.text


@pytest.mark.usefixtures("without_pictures")
def test_some_fields_are_synthetic(write_cube: WriteCube, tmp_path: Path) -> None:
    real = write_cube(tmp_path / "real.parquet", synthetic=False, rows=2)
    mock = write_cube(tmp_path / "mock.parquet", rows=2, field="F9")
    write_report([real, mock], tmp_path / "report.html")
    said = " ".join(read(tmp_path / "report.html")[1].text)
    assert "SYNTHETIC DATA: F9 in this report were simulated" in said


@pytest.mark.usefixtures("without_pictures")
def test_all_is_as_in_the_truth(cubes: list[Path], tmp_path: Path) -> None:
    truth = [SurveyComparison("gaia", 10, 10, 0)]
    write_report(cubes[1:], tmp_path / "report.html", truth=truth)
    said = " ".join(read(tmp_path / "report.html")[1].text)
    assert "Every counterpart is the one that the simulated sky prescribes" in said
    assert "wrong" not in said.replace("Wrong", "")


@pytest.mark.usefixtures("without_pictures")
def test_failed_fields_of_the_run_are_named(write_cube: WriteCube, tmp_path: Path) -> None:
    cube = write_cube(tmp_path / "cube.parquet", rows=2)
    (tmp_path / "failures.jsonl").write_text(
        '{"field": "F7", "file": "g.csv.gz", "reason": "it is <truncated>"}\nnot json\n'
    )
    write_report([cube], tmp_path / "report.html")
    outline = read(tmp_path / "report.html")[1]
    assert "F7: failed: g.csv.gz: it is <truncated>" in outline.text
    assert "failures.jsonl: a line that cannot be read." in outline.text


def test_a_field_without_sources(write_cube: WriteCube, tmp_path: Path) -> None:
    write_report([write_cube(tmp_path / "cube.parquet", rows=0)], tmp_path / "report.html")
    said = read(tmp_path / "report.html")[1].text
    assert "F1: the catalogue has no source." in said
    assert "There is no source." in said


def test_the_same_file_gives_the_same_report(write_cube: WriteCube, tmp_path: Path) -> None:
    cube = write_cube(tmp_path / "cube.parquet", rows=1)
    for name in ("first.html", "second.html"):
        write_report([cube], tmp_path / name)
    assert (tmp_path / "first.html").read_bytes() == (tmp_path / "second.html").read_bytes()


@pytest.mark.usefixtures("without_pictures")
def test_a_report_is_not_replaced_unless_asked(cubes: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_report(cubes, path)
    assert path.read_text() == "mine"
    write_report(cubes[1:], path, overwrite=True)
    assert path.read_text() != "mine"


def test_a_damaged_file_leaves_no_report(cubes: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(cubes[0].read_bytes()[:-20])
    with pytest.raises(InputError, match=r"broken\.parquet"):
        write_report([cubes[0], broken], tmp_path / "report.html")
    assert [item.name for item in tmp_path.iterdir()] == ["broken.parquet"]


def test_no_hypercube_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no hypercube to report on"):
        write_report([], tmp_path / "report.html")


def test_pieces_escape_their_text() -> None:
    assert paragraph("a < b & c") == "<p>a &lt; b &amp; c</p>"
    assert "<td>x &lt; y</td>" in table(["a"], [["x < y"]])
    assert number("1 < 2") == Cell("1 &lt; 2", "number")
    assert "<title>&lt;b&gt;</title>" in page("<b>", "", "")


@pytest.mark.parametrize(("share", "width"), [(0.5, "50.0%"), (1.2, "100.0%"), (-0.1, "0.0%")])
def test_bars_stay_in_their_frame(share: float, width: str) -> None:
    assert f"width:{width}" in meter(share).html
    assert meter(None).html == ""
