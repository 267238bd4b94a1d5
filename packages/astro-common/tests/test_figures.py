from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from astro_common.figures import INK, drawing, mark_synthetic, saved


def draw(kind: str) -> bytes:
    with drawing():
        figure = Figure(figsize=(2.0, 1.5))
        axes = figure.subplots()
        axes.plot([0.0, 1.0], [1.0, 0.0], clip_on=True)
        axes.set_xlabel("wavelength (Angstrom)")
        mark_synthetic(figure)
        return saved(figure, kind)


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_same_content_gives_the_same_bytes_without_program_or_date(kind, start):
    content = draw(kind)
    assert content.startswith(start)
    assert content == draw(kind)
    assert b"Software" not in content
    assert b"CreationDate" not in content
    assert b"<dc:date>" not in content


def test_text_in_an_svg_stays_text():
    assert b"wavelength (Angstrom)" in draw("svg")
    assert b"SYNTHETIC DATA" in draw("svg")


def test_users_settings_neither_reach_the_figure_nor_change():
    plain = draw("png")
    with mpl.rc_context({"axes.facecolor": "#ff0000", "font.size": 30.0}):
        assert draw("png") == plain
        assert mpl.rcParams["font.size"] == 30.0


def test_settings_of_one_figure_replace_ours():
    with drawing({"text.color": "#123456"}):
        assert mpl.rcParams["text.color"] == "#123456"
        assert mpl.rcParams["axes.labelcolor"] == INK


def test_other_kinds_are_refused_by_name():
    with pytest.raises(ValueError, match=r"'gif'; the kinds are png, pdf, svg"):
        saved(Figure(), "gif")
