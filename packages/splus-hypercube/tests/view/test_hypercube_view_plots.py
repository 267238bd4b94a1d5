from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from astro_common.errors import OutputError
from splus_hypercube.view.plots import draw_source, source_png, write_source_png
from splus_hypercube.view.source import Source, read_source
from splus_hypercube.view.theme import DARK, LIGHT


@pytest.fixture(scope="module")
def cube_path(write_cube: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cube(tmp_path_factory.mktemp("plots") / "cube.parquet")


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.findobj(Text)]
    return [text for text in found if text]


def titles(figure: Figure) -> list[str]:
    return [title for axes in figure.axes if (title := axes.get_title(loc="left"))]


def chunks(png: bytes) -> dict[bytes, bytes]:
    found, place = {}, 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        found[png[place + 4 : place + 8]] = png[place + 8 : place + 8 + length]
        place += 12 + length
    return found


def test_the_same_bytes_whatever_the_users_settings(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0000")
    first = source_png(source, dots_per_inch=40)
    with mpl.rc_context({"font.size": 20.0, "axes.facecolor": "red", "savefig.dpi": 17}):
        assert source_png(source, dots_per_inch=40) == first
        assert mpl.rcParams["font.size"] == 20.0
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    # No date, no program: nothing beyond size, resolution and pixels.
    assert set(chunks(first)) == {b"IHDR", b"pHYs", b"IDAT", b"IEND"}


def test_dark_ground(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0000")
    light, dark = (source_png(source, theme, dots_per_inch=40) for theme in (LIGHT, DARK))
    assert light != dark
    assert chunks(light)[b"IHDR"] == chunks(dark)[b"IHDR"]


def test_everything_a_source_has_is_drawn(cube_path: Path) -> None:
    figure = draw_source(read_source(cube_path, "iDR6_F1_0000"))
    shown = titles(figure)
    for part in ("Photometry", "Counterparts", "ZTF light curve", "DESI spectrum", "Gaia XP BP"):
        assert any(title.startswith(part) for title in shown), part
    assert sum("Å" in title for title in shown) == 12
    assert "iDR6_F1_0000" in texts(figure)


def test_every_axis_with_ticks_has_a_label(cube_path: Path) -> None:
    figure = draw_source(read_source(cube_path, "iDR6_F1_0000"))
    plots = [axes for axes in figure.axes if axes.axison and len(axes.get_xticks())]
    assert len(plots) == 6
    assert all(axes.get_ylabel() for axes in plots)
    unlabelled = [axes.get_ylabel() for axes in plots if not axes.get_xlabel()]
    # The upper of two light curves shares the axis of time of the lower one.
    assert unlabelled == ["ZTF g\n(AB mag)"]


def test_what_is_missing_is_said_and_not_drawn(cube_path: Path) -> None:
    figure = draw_source(read_source(cube_path, "iDR6_F1_0001"))
    shown = titles(figure)
    assert [title for title in shown if "Å" not in title] == ["Photometry", "Counterparts"]
    said = texts(figure)
    assert said.count("no match within 1″") == 5
    assert "not in this hypercube" in said
    full = draw_source(read_source(cube_path, "iDR6_F1_0000"))
    assert figure.get_figheight() < 0.7 * full.get_figheight()


def test_synthetic_data_say_so(
    cube_path: Path, write_cube: Callable[..., Path], tmp_path: Path
) -> None:
    synthetic = texts(draw_source(read_source(cube_path, "iDR6_F1_0000")))
    assert "SYNTHETIC DATA" in synthetic
    real = write_cube(tmp_path / "real.parquet", synthetic=False, rows=1)
    said = texts(draw_source(read_source(real, "iDR6_F1_0000")))
    assert not any("synthetic" in text.lower() for text in said)


def test_a_hypercube_of_the_catalogue_alone() -> None:
    values = {"id": "a", "ra": 1.0, "dec": -2.0, "mag_pstotal_r": None}
    metadata = {"field": "F", "surveys": {"splus": {"epoch_jyear": 2019.5}}}
    source = Source(Path("c.parquet"), 0, "a", metadata, values, {})
    figure = draw_source(source)
    assert titles(figure) == ["Counterparts"]
    assert "This hypercube holds no cutout of this source." in texts(figure)


@pytest.mark.parametrize("row", [0, 1, 2, 3])
def test_no_text_leaves_the_figure_or_covers_another(
    cube_path: Path, row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = draw_source(read_source(cube_path, f"iDR6_F1_{row:04d}"))
    drawn: list[Text] = []
    original = Text.draw

    def spy(self: Text, renderer: Any) -> None:
        drawn.append(self)
        original(self, renderer)

    # Axes keep texts that they do not draw, such as labels of ticks beyond their limits.
    monkeypatch.setattr(Text, "draw", spy)
    figure.canvas.draw()
    boxes: list[tuple[str, Bbox]] = []
    for text in drawn:
        if not text.get_text().strip() or not text.get_visible():
            continue
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1, text
        # Boxes hold room for accents and descenders that most texts lack.
        boxes.append((text.get_text(), box.shrunk(0.95, 0.7).translated(0.0, 0.15 * box.height)))
    assert len(boxes) > 60
    for number, (text, box) in enumerate(boxes):
        for other, other_box in boxes[:number]:
            assert not box.overlaps(other_box), (text, other)


def test_a_file_is_not_replaced_unless_asked(cube_path: Path, tmp_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0001")
    target = tmp_path / "source.png"
    write_source_png(source, target)
    first = target.read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        write_source_png(source, target)
    write_source_png(source, target, overwrite=True)
    assert target.read_bytes() == first
    assert [item.name for item in tmp_path.iterdir()] == ["source.png"]


def test_pyplot_is_never_loaded() -> None:
    code = (
        "import sys, splus_hypercube.view.plots, splus_hypercube.view.report\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
