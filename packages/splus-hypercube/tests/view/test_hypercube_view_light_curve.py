from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from splus_hypercube.view.light_curve import LightCurve, draw_light_curve, light_curves
from splus_hypercube.view.source import Source, read_source
from splus_hypercube.view.theme import LIGHT


@pytest.fixture(scope="module")
def source(write_cube: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("light_curve") / "cube.parquet"
    return read_source(write_cube(path), "iDR6_F1_0000")


def curve(mag: list[float], magerr: list[float] | None = None) -> LightCurve:
    times = 58000.0 + np.arange(len(mag))
    return LightCurve("r", times, np.array(mag), np.array(magerr or [0.02] * len(mag)))


def test_bands_with_epochs_alone(source: Source) -> None:
    curves = light_curves(source)
    assert [item.band for item in curves] == ["g", "r"]
    assert [len(item.hmjd) for item in curves] == [30, 30]
    np.testing.assert_array_equal(curves[0].hmjd, source.get("ztf_hmjd_g"))


def test_no_light_curve() -> None:
    assert light_curves(Source(Path("c"), 0, "x", {}, {}, {})) == []


def test_bright_is_up_and_the_band_is_named() -> None:
    axes = Figure().add_subplot()
    draw_light_curve(axes, curve([18.0, 17.0, 17.5]), LIGHT)
    bottom, top = axes.get_ylim()
    assert bottom > 18.0 > 17.0 > top
    assert axes.get_ylabel() == "ZTF r\n(AB mag)"
    assert axes.get_legend_handles_labels()[1] == ["3 epochs"]


def test_noise_does_not_fill_the_panel() -> None:
    axes = Figure().add_subplot()
    draw_light_curve(axes, curve([17.0, 17.001], [0.001, 0.001]), LIGHT)
    bottom, top = axes.get_ylim()
    assert bottom - top >= 0.2


def test_one_bad_epoch_does_not_flatten_the_others() -> None:
    axes = Figure().add_subplot()
    draw_light_curve(axes, curve([17.0, 17.3, 17.1], [0.02, 0.02, 9.0]), LIGHT)
    bottom, top = axes.get_ylim()
    assert bottom - top < 2.0


def test_one_epoch() -> None:
    axes = Figure().add_subplot()
    draw_light_curve(axes, curve([17.0]), LIGHT)
    assert axes.get_legend_handles_labels()[1] == ["1 epoch"]
    assert np.isfinite(axes.get_ylim()).all()
