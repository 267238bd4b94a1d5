"""A report of one or more hypercubes: one HTML file that needs nothing else."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from splus_hypercube.truth import SurveyComparison
from splus_hypercube.view.cube import open_cube
from splus_hypercube.view.examples import Example, best_covered
from splus_hypercube.view.html import image, page, paragraph
from splus_hypercube.view.matches import SURVEY_TITLES, source_matches
from splus_hypercube.view.plots import source_png
from splus_hypercube.view.report_sections import (
    counted,
    field_table,
    fill_rate_section,
    match_section,
    provenance_section,
    sized,
    truth_section,
)
from splus_hypercube.view.source import read_row
from splus_hypercube.view.statistics import (
    CubeStatistics,
    cube_statistics,
    pooled,
)
from splus_hypercube.view.theme import DARK, LIGHT

__all__ = ["write_report"]

logger = logging.getLogger(__name__)

_EXAMPLES = 4
_EXAMPLE_DOTS_PER_INCH = 110
_SECTIONS = (
    ("fields", "Fields"),
    ("notes", "Notes and warnings"),
    ("truth", "Comparison with the truth"),
    ("matches", "Matches"),
    ("fill-rates", "Fill rates"),
    ("sources", "Example sources"),
    ("provenance", "Provenance"),
)


def write_report(
    cubes: Sequence[Path],
    path: Path,
    *,
    truth: Sequence[SurveyComparison] | None = None,
    title: str = "S-PLUS hypercubes",
    overwrite: bool = False,
) -> None:
    """Write a report.

    Parameters
    ----------
    cubes : sequence of Path
        Hypercubes; at least one.
    path : Path
        The HTML file.
    truth : sequence of SurveyComparison, optional
        What `splus_hypercube.truth.compare_with_truth` found.
    title : str
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InputError
        If a file is missing, damaged or no hypercube, or none is given.
    OutputError
        If the report exists or cannot be written.
    """
    if not cubes:
        raise InputError(path, "no hypercube to report on", "at least one")
    with atomic_path(path, overwrite=overwrite) as partial:
        partial.write_text(_report(cubes, truth, title), encoding="utf-8")


def _report(cubes: Sequence[Path], truth: Sequence[SurveyComparison] | None, title: str) -> str:
    statistics = [cube_statistics(cube) for cube in cubes]
    surveys = pooled(statistics)
    synthetic = [cube for cube in statistics if cube.synthetic]
    contents = {
        "fields": field_table(statistics),
        "notes": _notes(statistics),
        "truth": "" if truth is None else truth_section(truth),
        "matches": match_section(statistics, surveys, synthetic=bool(synthetic)),
        "fill-rates": fill_rate_section(statistics, surveys),
        "sources": _sources(cubes),
        "provenance": provenance_section(statistics),
    }
    shown = [(name, heading) for name, heading in _SECTIONS if contents[name]]
    links = "".join(f'<li><a href="#{name}">{heading}</a></li>' for name, heading in shown)
    parts = [f"<header><h1>{escape(title)}</h1>", paragraph(_summary(statistics), "muted")]
    if synthetic:
        which = "All data" if len(synthetic) == len(statistics) else _names(synthetic)
        parts.append(
            '<p class="synthetic" role="note">SYNTHETIC DATA: '
            f"{escape(which)} in this report were simulated; none of the sources exist.</p>"
        )
    parts.append(f"<nav><ul>{links}</ul></nav></header>\n<main>")
    for name, heading in shown:
        parts.append(f'<section id="{name}">\n<h2>{heading}</h2>\n{contents[name]}\n</section>')
    parts.append("</main>")
    style_sheet = files("splus_hypercube.view").joinpath("report.css").read_text(encoding="utf-8")
    return page(title, style_sheet, "\n".join(parts))


def _names(statistics: Sequence[CubeStatistics]) -> str:
    return ", ".join(cube.field for cube in statistics)


def _summary(statistics: Sequence[CubeStatistics]) -> str:
    rows = sum(cube.rows for cube in statistics)
    size = sum(int(cube.report["size_bytes"]) for cube in statistics)
    fields = "1 field" if len(statistics) == 1 else f"{len(statistics)} fields"
    return f"{fields}, {counted(rows)} sources, {sized(size)}."


def _notes(statistics: Sequence[CubeStatistics]) -> str:
    notes = [note for cube in statistics for note in _notes_of(cube)]
    folders = dict.fromkeys(cube.path.resolve().parent for cube in statistics)
    for folder in folders:
        notes.extend(_failures(folder / "failures.jsonl"))
    if not notes:
        return paragraph("None: no band is missing, and every survey that was asked for was read.")
    return "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _notes_of(cube: CubeStatistics) -> Iterator[str]:
    missing = cube.report.get("provenance", {}).get("missing_bands", [])
    if missing:
        yield f"{cube.field}: no image in {', '.join(missing)}; these cutouts are null."
    if not cube.rows:
        yield f"{cube.field}: the catalogue has no source."
    known = {survey.survey for survey in cube.surveys}
    absent = [title for survey, title in SURVEY_TITLES.items() if survey not in known]
    if absent:
        yield f"{cube.field}: not configured: {', '.join(absent)}."
    for survey in cube.surveys:
        if cube.rows and not survey.matches:
            yield f"{cube.field}: no counterpart in {survey.title}."
        if survey.recorded_matches not in (None, survey.matches):
            yield (
                f"{cube.field}: {survey.title} has {survey.matches} matches in its columns, but "
                f"{survey.recorded_matches} in the footer."
            )
    gaia = cube.report.get("surveys", {}).get("gaia", {})
    if gaia.get("pixels_without_file"):
        yield (
            f"{cube.field}: {gaia['pixels_without_file']} HEALPix pixels of level 8 around the "
            "field lie in no Gaia file; sources there have no Gaia counterpart."
        )


def _failures(path: Path) -> Iterator[str]:
    """Fields of the same run that have no hypercube."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
            yield f"{entry['field']}: failed: {entry['file']}: {entry['reason']}"
        except (ValueError, TypeError, KeyError):
            yield f"{path.name}: a line that cannot be read."


def _sources(cubes: Sequence[Path]) -> str:
    examples = best_covered(cubes, _EXAMPLES)
    if not examples:
        return paragraph("There is no source.")
    parts = [
        paragraph(
            "The sources with counterparts in most surveys, one of each spectral class in turn."
        )
    ]
    parts.extend(_example(example) for example in examples)
    return "\n".join(parts)


def _example(example: Example) -> str:
    with open_cube(example.path) as cube:
        source = read_row(cube, example.row)
    logger.debug("drawing %s", source.identifier)
    light, dark = (
        source_png(source, theme, dots_per_inch=_EXAMPLE_DOTS_PER_INCH) for theme in (LIGHT, DARK)
    )
    found = [match.title for match in source_matches(source) if match.found]
    caption = f"{source.identifier}: counterparts in {', '.join(found) or 'no survey'}."
    kind = "Simulated source" if source.synthetic else "Source"
    description = (
        f"{kind} {source.identifier}: cutouts in twelve bands, magnitudes, counterparts, "
        "and light curve and spectra where there are any"
    )
    return image(light, dark, description, caption)
