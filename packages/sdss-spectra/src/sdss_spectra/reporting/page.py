"""The report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FigureEntry", "TableEntry", "page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1080px; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2.2em; }
table { border-collapse: collapse; font-size: 13px; margin: .6em 0; }
th, td { padding: .25em .7em; text-align: left; vertical-align: top;
         border-bottom: 1px solid #ddd; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } img { max-width: 100%; height: auto; }
.note { color: #555; } .synthetic { background: #fdf1e3; padding: .6em 1em; }
"""
_SHOWN_ROWS = 200


@dataclass(frozen=True)
class TableEntry:
    """A table of the page."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    file: str
    note: str = ""


@dataclass(frozen=True)
class FigureEntry:
    """A figure of the page, or why there is none."""

    title: str
    caption: str
    path: Path | None
    reason: str = ""


def page(
    title: str,
    summary: Sequence[str],
    tables: Sequence[TableEntry],
    figures: Sequence[FigureEntry],
    *,
    synthetic: bool,
) -> str:
    """Write the page.

    Parameters
    ----------
    title : str
        Heading.
    summary : sequence of str
        Sentences below it.
    tables, figures
        What is shown; figures are PNG files and go into the page.
    synthetic : bool
        Whether the data are synthetic, which the page then says first.
    """
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        "<p class='synthetic'>These data are synthetic: no star was observed.</p>"
        if synthetic
        else "",
        *(f"<p>{html.escape(text)}</p>" for text in summary),
        *(_figure(entry) for entry in figures),
        *(_table(entry) for entry in tables),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _figure(entry: FigureEntry) -> str:
    heading = f"<h2>{html.escape(entry.title)}</h2>"
    if entry.path is None:
        return f"{heading}<p class='note'>Not drawn: {html.escape(entry.reason)}</p>"
    data = base64.b64encode(entry.path.read_bytes()).decode("ascii")
    return (
        f"{heading}<img alt='{html.escape(entry.title, quote=True)}' "
        f"src='data:image/png;base64,{data}'><p class='note'>{html.escape(entry.caption)}</p>"
    )


def _table(entry: TableEntry) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in entry.columns)
    lines = [
        "<tr>" + "".join(_cell(row.get(name)) for name in entry.columns) + "</tr>"
        for row in entry.rows[:_SHOWN_ROWS]
    ]
    more = len(entry.rows) - _SHOWN_ROWS
    note = " ".join(
        text
        for text in (entry.note, f"{more} more rows are in the file." if more > 0 else "",
                     f"File: {entry.file}." if entry.file else "")
        if text
    )  # fmt: skip
    return (
        f"<h2>{html.escape(entry.title)}</h2><div class='wide'><table><thead><tr>{head}</tr>"
        f"</thead><tbody>{''.join(lines)}</tbody></table></div>"
        f"<p class='note'>{html.escape(note)}</p>"
    )


def _cell(value: Any) -> str:
    if value is None:
        return "<td>-</td>"
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, (int, float)):
        text = f"{value:.5g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"
        if isinstance(value, float) and 1000 <= abs(value) < 1e5:
            text = f"{value:.2f}"
        return f"<td class='number'>{text}</td>"
    return f"<td>{html.escape(str(value))}</td>"
