"""The sections of a report that are tables: fields, truth, matches, fill rates, provenance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from splus_hypercube.truth import SurveyComparison
from splus_hypercube.view.html import Cell, bad, good, meter, number, paragraph, table
from splus_hypercube.view.matches import SURVEY_TITLES
from splus_hypercube.view.separation_figure import separation_svg
from splus_hypercube.view.statistics import CubeStatistics, SurveyStatistics

__all__ = [
    "counted",
    "field_table",
    "fill_rate_section",
    "match_section",
    "provenance_section",
    "sized",
    "truth_section",
]


def counted(value: int) -> str:
    """A count with a comma at the thousands."""
    return f"{value:,}"


def sized(size_bytes: float) -> str:
    """A size in bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000.0:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000.0
    return f"{size_bytes:.1f} TB"


def field_table(statistics: Sequence[CubeStatistics]) -> str:
    """One line per field."""
    rows: list[list[str | Cell]] = []
    for cube in statistics:
        epoch = cube.report.get("surveys", {}).get("splus", {}).get("epoch_jyear")
        size = cube.report.get("cutout_size_px")
        rows.append(
            [
                cube.field,
                number(counted(cube.rows)),
                number(counted(int(cube.report["row_groups"]))),
                number(sized(int(cube.report["size_bytes"]))),
                number("" if epoch is None else f"{epoch:.3f}"),
                number(counted(len(cube.report["columns"]))),
                "none" if size is None else f"{len(cube.report['bands'])} bands, {size} px",
                Cell(escape(cube.path.name), "path"),
            ]
        )
    headings: list[str | Cell] = [
        "Field",
        number("Sources"),
        number("Row groups"),
        number("File size"),
        number("Epoch (Julian year)"),
        number("Columns"),
        "Cutouts",
        "File",
    ]
    return table(headings, rows)


def truth_section(rows: Sequence[SurveyComparison]) -> str:
    """How the counterparts agree with the simulated sky."""
    right = all(not row.wrong for row in rows)
    text = (
        "Every counterpart is the one that the simulated sky prescribes, by its exact identifier, "
        "and no source without one was given any."
        if right
        else "Some counterparts are not those that the simulated sky prescribes."
    )
    body: list[list[str | Cell]] = []
    for row in rows:
        state = bad(f"{row.wrong} wrong") if row.wrong else good("all right")
        body.append(
            [
                SURVEY_TITLES.get(row.survey, "S-PLUS sources"),
                number(counted(row.expected)),
                number(counted(row.found)),
                number(counted(row.wrong)),
                state,
                ", ".join(row.wrong_sources),
            ]
        )
    headings: list[str | Cell] = [
        "Survey",
        number("Expected"),
        number("Found"),
        number("Wrong"),
        "Outcome",
        "" if right else "For example",
    ]
    return paragraph(text) + table(headings, body)


def match_section(
    statistics: Sequence[CubeStatistics], surveys: Sequence[SurveyStatistics], *, synthetic: bool
) -> str:
    """Match statistics as tables and histograms."""
    if not surveys:
        return paragraph("These hypercubes hold no survey but S-PLUS.")
    parts = [
        paragraph(
            "The nearest object within the radius is the counterpart. The false-match rate is the "
            "number of sources with a counterpart after the survey's objects were shifted, a mean "
            "over four directions, divided by the number of matches."
        ),
        _match_table(surveys),
    ]
    svg = separation_svg(surveys, synthetic=synthetic)
    if svg:
        parts.append(
            f"<figure>{svg}<figcaption>Separations of the counterparts from the S-PLUS positions, "
            "up to the radius of the match. Solid line: median. Dashed: expected number of chance "
            "matches. In brackets: number of matches.</figcaption></figure>"
        )
    if len(statistics) > 1:
        parts.append("<h3>By field</h3>")
        parts.append(_matches_by_field(statistics, surveys))
    return "\n".join(parts)


def _match_table(surveys: Sequence[SurveyStatistics]) -> str:
    headings: list[str | Cell] = [
        "Survey",
        number("Radius (″)"),
        number("Matches"),
        number("Share of sources"),
        number("Median separation (″)"),
        number("Several candidates"),
        number("Most candidates"),
        number("By chance, expected"),
        number("False-match rate"),
    ]
    rows: list[list[str | Cell]] = []
    for survey in surveys:
        median, rate = survey.median_separation_arcsec, survey.false_match_rate
        chance, radius = survey.chance_matches, survey.radius_arcsec
        several, most = "", ""
        if len(survey.n_candidates):
            count = int((survey.n_candidates > 1).sum())
            several = f"{counted(count)} ({count / len(survey.n_candidates):.1%})"
            most = counted(int(survey.n_candidates.max()))
        rows.append(
            [
                survey.title,
                number("by source_id" if radius is None else f"{radius:g}"),
                number(counted(survey.matches)),
                meter(survey.fraction),
                number("" if median is None else f"{median:.3f}"),
                number(several),
                number(most),
                number("" if chance is None else f"{chance:.2f}"),
                number("" if rate is None else f"{rate:.3%}"),
            ]
        )
    return table(headings, rows)


def _matches_by_field(
    statistics: Sequence[CubeStatistics], surveys: Sequence[SurveyStatistics]
) -> str:
    headings: list[str | Cell] = ["Field", number("Sources")]
    headings.extend(number(survey.title) for survey in surveys)
    rows: list[list[str | Cell]] = []
    for cube in statistics:
        by_name = {survey.survey: survey.matches for survey in cube.surveys}
        row: list[str | Cell] = [cube.field, number(counted(cube.rows))]
        for survey in surveys:
            matches = by_name.get(survey.survey)
            row.append(number("not configured" if matches is None else counted(matches)))
        rows.append(row)
    return table(headings, rows)


def fill_rate_section(
    statistics: Sequence[CubeStatistics], surveys: Sequence[SurveyStatistics]
) -> str:
    """The share of rows in which the columns have values, by survey and one by one."""
    columns = _pooled_columns(statistics)
    matched = {survey.survey: survey.fraction for survey in surveys}
    names = [name for name in ("splus", *SURVEY_TITLES) if name in {c["survey"] for c in columns}]
    headings: list[str | Cell] = [
        "Survey",
        number("Columns"),
        number("Empty columns"),
        number("Median fill rate"),
        number("Median fill rate of matched rows"),
    ]
    rows: list[list[str | Cell]] = []
    details = []
    for name in names:
        own = [column for column in columns if column["survey"] == name]
        filled = [column["filled"] for column in own if column["filled"] is not None]
        title = SURVEY_TITLES.get(name, "S-PLUS")
        median = sorted(filled)[len(filled) // 2] if filled else None
        share = matched.get(name) if name != "splus" else 1.0
        of_matched = min(median / share, 1.0) if median is not None and share else None
        empty = sum(value == 0.0 for value in filled)
        rows.append(
            [
                title,
                number(counted(len(own))),
                number(counted(empty)),
                meter(median),
                meter(of_matched),
            ]
        )
        details.append(_column_details(title, own))
    return "\n".join(
        [
            paragraph(
                "The fill rate of a column is the share of rows in which it is not null. The "
                "second median is relative to the rows with a counterpart in that survey."
            ),
            table(headings, rows),
            *details,
        ]
    )


def _pooled_columns(statistics: Sequence[CubeStatistics]) -> list[dict[str, Any]]:
    """Columns of all files with their fill rates over all rows."""
    columns: dict[str, dict[str, Any]] = {}
    filled: dict[str, float] = {}
    rows: dict[str, int] = {}
    for cube in statistics:
        for column in cube.report["columns"]:
            name = column["name"]
            columns.setdefault(name, column)
            filled[name] = filled.get(name, 0.0) + (column["filled"] or 0.0) * cube.rows
            rows[name] = rows.get(name, 0) + cube.rows
    return [
        {**column, "filled": filled[name] / rows[name] if rows[name] else None}
        for name, column in columns.items()
    ]


def _column_details(title: str, columns: Sequence[dict[str, Any]]) -> str:
    headings: list[str | Cell] = ["Column", number("Filled"), "Unit", "Modality", "Type", "Meaning"]
    rows: list[list[str | Cell]] = [
        [
            Cell(escape(column["name"]), "path"),
            number("" if column["filled"] is None else f"{column['filled']:.1%}"),
            column["unit"],
            column["modality"],
            column["type"],
            column["description"],
        ]
        for column in columns
    ]
    return (
        f"<details><summary>All {len(columns)} columns of {escape(title)}</summary>\n"
        f"{table(headings, rows)}</details>"
    )


def provenance_section(statistics: Sequence[CubeStatistics]) -> str:
    """What each file was made by and from."""
    return "\n".join(_provenance_of(cube) for cube in statistics)


def _provenance_of(cube: CubeStatistics) -> str:
    record = cube.report.get("provenance", {})
    maker = str(record.get("distribution", ""))
    versions = record.get("versions", {})
    made = [f"{maker} {versions.get(maker, '')}".strip() or "unknown program"]
    if record.get("created"):
        made.append(str(record["created"]))
    if record.get("python"):
        made.append(f"Python {record['python']}")
    made.extend(f"{name} {version}" for name, version in versions.items() if name != maker)
    made.append(f"schema version {cube.report.get('schema_version')}")
    settings = json.dumps(record.get("configuration", {}), indent=2, ensure_ascii=False)
    inputs = record.get("inputs", [])
    headings: list[str | Cell] = ["File", number("Size"), "Fingerprint (SHA-256 of samples)"]
    rows: list[list[str | Cell]] = [
        [
            Cell(escape(str(item.get("path", ""))), "path"),
            number(sized(int(item.get("size", 0)))),
            Cell(escape(str(item.get("sample_sha256", ""))[:16]), "path"),
        ]
        for item in inputs
    ]
    return (
        f"<h3>{escape(cube.field)}</h3>\n{paragraph(', '.join(made) + '.')}"
        f"<details><summary>{len(inputs)} input files</summary>\n{table(headings, rows)}</details>"
        f"<details><summary>Configuration</summary><pre>{escape(settings)}</pre></details>"
    )
