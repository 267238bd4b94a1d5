"""A page that shows figures; it needs nothing but the files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Picture", "gallery_page"]

_STYLE = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 100rem; padding: 1rem; }
h1 { font-size: 1.4rem; }
p.note { background: #b34700; color: #fff; display: inline-block; padding: 0.2rem 0.6rem; }
main { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 44rem), 1fr)); }
figure { margin: 0; }
img { border: 1px solid #8888; height: auto; width: 100%; }
figcaption { font-size: 0.9rem; }
"""


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Attributes
    ----------
    name : str
        Of the file, beside the page.
    title, caption : str
    """

    name: str
    title: str
    caption: str


def gallery_page(pictures: Sequence[Picture], title: str, *, synthetic: bool = False) -> str:
    """The page.

    Parameters
    ----------
    pictures : sequence of Picture
    title : str
    synthetic : bool
        Say that the data are synthetic.

    Returns
    -------
    str
        HTML; without any date.
    """
    note = '<p class="note">Synthetic data</p>\n' if synthetic else ""
    figures = "\n".join(_figure(picture) for picture in pictures)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{note}<main>\n{figures}\n</main>\n</body>\n</html>\n"
    )


def _figure(picture: Picture) -> str:
    name, title = escape(picture.name), escape(picture.title)
    shown = title
    if picture.name.endswith(".png"):
        shown = f'<img src="{name}" alt="{title}" loading="lazy">'
    caption = f"<strong>{title}</strong> {escape(picture.caption)}"
    return f'<figure><a href="{name}">{shown}</a><figcaption>{caption}</figcaption></figure>'
