"""The few pieces of Markdown that the generated parts of the site are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["definition", "escaped", "literal", "table"]

# What Markdown or MyST would read as markup inside a sentence.
_SPECIAL = re.compile(r"([\\`*_<>\[\]{}$|#])")


def escaped(text: str) -> str:
    """Return a sentence that Markdown shows as it stands, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def literal(text: str) -> str:
    """Return a word in the type of code, also where it holds backquotes; empty stays empty."""
    if not text:
        return ""
    fence = "``" if "`" in text else "`"
    padding = " " if "`" in text else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def definition(term: str, *paragraphs: str) -> str:
    """Return an entry of a list of definitions; what is defined and the text are Markdown."""
    lines = "\n\n  ".join(paragraph for paragraph in paragraphs if paragraph) or "(no more is said)"
    return f"{term}\n: {lines}\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown without line breaks."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    # A bar that is not escaped ends the cell, inside code too.
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))
