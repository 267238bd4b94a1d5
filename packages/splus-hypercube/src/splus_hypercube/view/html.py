"""The pieces of HTML that a report is made of; all text is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Cell", "bad", "good", "image", "meter", "number", "page", "paragraph", "table"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    html : str
        Its content, escaped already.
    style : str
        A class of the style sheet, such as ``number``.
    """

    html: str
    style: str = ""


def number(text: str) -> Cell:
    """A cell that is aligned on the right."""
    return Cell(escape(text), "number")


def good(text: str) -> Cell:
    """A cell that says that all is well."""
    return Cell(escape(text), "good")


def bad(text: str) -> Cell:
    """A cell that says that something is wrong."""
    return Cell(escape(text), "bad")


def meter(fraction: float | None) -> Cell:
    """A cell with a share as a bar and in per cent; empty for None."""
    if fraction is None:
        return Cell("", "number")
    width = 100.0 * min(max(fraction, 0.0), 1.0)
    bar = f'<span class="bar"><span style="width:{width:.1f}%"></span></span>'
    return Cell(f"{fraction:.1%} {bar}", "number")


def table(headings: Sequence[str | Cell], rows: Sequence[Sequence[str | Cell]]) -> str:
    """A table; a column whose heading is a number cell is aligned on the right."""
    head = "".join(_cell("th", heading, ' scope="col"') for heading in headings)
    body = "\n".join(
        "<tr>" + "".join(_cell("td", value) for value in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(tag: str, value: str | Cell, attributes: str = "") -> str:
    cell = value if isinstance(value, Cell) else Cell(escape(value))
    style = f' class="{cell.style}"' if cell.style else ""
    return f"<{tag}{attributes}{style}>{cell.html}</{tag}>"


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of plain text."""
    named = f' class="{style}"' if style else ""
    return f"<p{named}>{escape(text)}</p>"


def image(light_png: bytes, dark_png: bytes, description: str, caption: str) -> str:
    """A figure embedded in the page, in one version for a light and one for a dark ground."""
    light, dark = (
        f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
        for png in (light_png, dark_png)
    )
    return (
        '<figure class="source"><picture>'
        f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(description)}"></picture>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def page(title: str, style_sheet: str, body: str) -> str:
    """A whole page that needs no other file."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style_sheet}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
