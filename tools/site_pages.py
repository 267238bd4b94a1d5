"""What is put into the pages of the site while they are read: generated text and figures.

A page asks for text with a line ``<!-- generated: KIND PACKAGE -->`` where KIND is ``commands``,
``python`` or ``formats``, and for a figure with ``scene:NAME/FILE`` as the path of a figure.
Nothing that is generated is kept among the sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from site_commands import render_command
from site_figures import make_scene
from site_formats import render_formats
from site_python import render_python

__all__ = ["fill", "is_filled"]

_MARK = re.compile(r"^<!-- generated: (?P<kind>\S+) (?P<package>\S+) -->$", re.MULTILINE)
_FIGURE = re.compile(
    r"^(?P<start>```\{figure\} )scene:(?P<scene>[\w-]+)/(?P<file>[\w.-]+)$", re.MULTILINE
)

_WRITERS: dict[str, Callable[[Path, str], str]] = {
    "commands": lambda _root, package: render_command(_import_name(package)),
    "formats": render_formats,
    "python": lambda root, package: render_python(root / "packages", _import_name(package)),
}


def is_filled(text: str) -> bool:
    """Tell whether a page asks for anything."""
    return bool(_MARK.search(text) or _FIGURE.search(text))


def fill(root: Path, text: str) -> str:
    """Return a page with everything that it asks for.

    Parameters
    ----------
    root : Path
        The repository.
    text : str
        The page as it is in its file.

    Raises
    ------
    KeyError
        It asks for something that there is not.
    """

    def written(match: re.Match[str]) -> str:
        return _WRITERS[match["kind"]](root, match["package"])

    def drawn(match: re.Match[str]) -> str:
        folder = make_scene(root, match["scene"]).relative_to(root)
        # A path that starts with a slash leads from the folder of the sources, which is docs.
        return f"{match['start']}/../{folder.as_posix()}/{match['file']}"

    return _FIGURE.sub(drawn, _MARK.sub(written, text))


def _import_name(distribution: str) -> str:
    return distribution.replace("-", "_")
