from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from splus_hypercube.bands import BANDS
from splus_hypercube.view.cutout_panels import Stretch, draw_cutouts, signal_to_noise
from splus_hypercube.view.source import Source, read_source
from splus_hypercube.view.theme import LIGHT


def noise(size: int = 48, level: float = 100.0, sigma: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.normal(level, sigma, (size, size)).astype(np.float32)


def panels() -> list[Axes]:
    figure = Figure()
    return [figure.add_subplot(2, 6, number + 1) for number in range(12)]


@pytest.fixture(scope="module")
def source(write_cube: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("cutouts") / "cube.parquet"
    return read_source(write_cube(path, missing_bands=("F395",)), "iDR6_F1_0003")


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_signal_to_noise_of_known_noise() -> None:
    image = noise()
    image[10, 10] = 100.0 + 30.0
    signal = signal_to_noise(image)
    assert abs(np.median(signal)) < 1e-6
    assert np.std(signal[np.abs(signal) < 5]) == pytest.approx(1.0, abs=0.05)
    assert signal[10, 10] == pytest.approx(10.0, rel=0.1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_data_stays_no_data(value: float) -> None:
    image = noise()
    image[0, :5] = value
    shown = Stretch([image])(image)
    assert np.isnan(shown[0, :5]).all()
    assert np.isfinite(shown[1:]).all()
    # The image itself is left as it was.
    assert not np.isfinite(image[0, :5]).any()


def test_the_stretch_rises_from_0_to_1() -> None:
    image = noise()
    image[20, :10] = 100.0 + 3.0 * np.linspace(0.0, 90.0, 10)
    stretch = Stretch([image])
    shown = stretch(image)
    assert shown.min() == 0.0
    assert shown.max() == 1.0
    assert np.all(np.diff(shown[20, :10]) >= 0.0)


def test_the_scale_is_the_same_in_units_of_the_noise() -> None:
    faint = noise()
    stretch = Stretch([faint, 7.0 * faint + 500.0])
    np.testing.assert_allclose(stretch(faint), stretch(7.0 * faint + 500.0), atol=2e-4)


def test_the_source_sets_the_scale_and_not_its_neighbour() -> None:
    image = noise()
    image[22:26, 22:26] = 100.0 + 3.0 * 40.0
    alone = Stretch([image]).brightest_sigma
    assert alone == pytest.approx(40.0, rel=0.1)
    image[2:8, 2:8] = 100.0 + 3.0 * 5000.0
    assert Stretch([image]).brightest_sigma == pytest.approx(alone, rel=0.05)


@pytest.mark.parametrize("image", [np.full((8, 8), 5.0), np.full((8, 8), np.nan)])
def test_images_without_noise_or_data(image: np.ndarray) -> None:
    shown = Stretch([image.astype(np.float32)])(image.astype(np.float32))
    assert np.isnan(shown).all() or np.ptp(shown) == 0.0


def test_bands_are_in_order_of_wavelength_and_named(source: Source) -> None:
    axes = panels()
    draw_cutouts(axes, source, LIGHT)
    titles = [panel.get_title(loc="left") for panel in axes]
    wavelengths = [float(title.split()[1]) for title in titles]
    assert wavelengths == sorted(wavelengths)
    assert [title.split()[0] for title in titles[:3]] == ["U", "F378", "F395"]
    assert len(set(titles)) == len(BANDS)


def test_missing_and_empty_cutouts_say_so(source: Source) -> None:
    axes = panels()
    caption = draw_cutouts(axes, source, LIGHT)
    by_band = {panel.get_title(loc="left").split()[0]: panel for panel in axes}
    assert texts(by_band["F395"]) == ["no image of\nthis band"]
    assert texts(by_band["Z"]) == ["outside the image"]
    assert not by_band["F395"].images
    assert len(by_band["R"].images) == 1
    assert "asinh" in caption


def test_a_cutout_that_was_not_asked_for(source: Source) -> None:
    cutouts = {**source.cutouts, "R": None}
    axes = panels()
    draw_cutouts(axes, Source(source.path, 0, "x", source.metadata, {}, cutouts), LIGHT)
    by_band = {panel.get_title(loc="left").split()[0]: panel for panel in axes}
    assert texts(by_band["R"]) == ["no cutout"]


def test_row_0_is_at_the_bottom_and_the_source_is_marked(source: Source) -> None:
    values = {"splus_cut_dx_px": 0.25, "splus_cut_dy_px": -0.5}
    axes = panels()
    draw_cutouts(axes, Source(source.path, 0, "x", {}, values, source.cutouts), LIGHT)
    panel = next(panel for panel in axes if panel.get_title(loc="left").startswith("R "))
    assert panel.images[0].origin == "lower"
    across, along = panel.lines[:2]
    np.testing.assert_allclose(across.get_ydata(), 12.0 - 0.5)
    np.testing.assert_allclose(along.get_xdata(), 12.0 + 0.25)


def test_one_scale_bar_in_pixels_and_arcsec(source: Source) -> None:
    axes = panels()
    draw_cutouts(axes, source, LIGHT)
    bars = [text for panel in axes for text in texts(panel) if "px" in text]
    assert bars == ["10″ = 18.2 px"]
