from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from splus_hypercube.view.source import Source, read_source
from splus_hypercube.view.spectral_lines import lines_of
from splus_hypercube.view.spectrum import desi_arms, draw_coefficients, draw_spectrum, smoothed
from splus_hypercube.view.theme import LIGHT


@pytest.fixture(scope="module")
def source(write_cube: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("spectrum") / "cube.parquet"
    return read_source(write_cube(path), "iDR6_F1_0000")


def changed(source: Source, **values: Any) -> Source:
    return Source(
        source.path,
        source.row,
        source.identifier,
        source.metadata,
        {**source.values, **values},
        source.cutouts,
    )


def brute_force(flux: np.ndarray, ivar: np.ndarray, sigma: float) -> np.ndarray:
    reach = int(np.ceil(3.0 * sigma))
    result = np.full(len(flux), np.nan)
    for place in range(len(flux)):
        total = weight = 0.0
        for other in range(max(place - reach, 0), min(place + reach + 1, len(flux))):
            if ivar[other] > 0.0 and np.isfinite(flux[other]):
                w = ivar[other] * np.exp(-0.5 * ((other - place) / sigma) ** 2)
                total, weight = total + w * flux[other], weight + w
        if weight > 0.0:
            result[place] = total / weight
    return result


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0.4, 6.0))
def test_smoothing_agrees_with_the_sum_written_out(seed: int, size: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    flux = rng.normal(5.0, 2.0, size)
    ivar = rng.uniform(0.5, 2.0, size) * (rng.uniform(size=size) > 0.4)
    flux[rng.uniform(size=size) < 0.05] = np.nan
    np.testing.assert_allclose(
        smoothed(flux, ivar, sigma), brute_force(flux, ivar, sigma), rtol=1e-9, atol=1e-9
    )


def test_smoothing_keeps_a_constant_and_ignores_the_masked() -> None:
    flux = np.full(50, 4.0)
    ivar = np.ones(50)
    flux[20], ivar[20] = 1e9, 0.0
    np.testing.assert_allclose(smoothed(flux, ivar, 3.0), 4.0)


def test_arms_without_a_valid_pixel_are_left_out(source: Source) -> None:
    assert [arm.name for arm in desi_arms(source)] == ["b", "r", "z"]
    dead = changed(source, desi_ivar_r=np.zeros(len(source.array("desi_wave_r"))))
    assert [arm.name for arm in desi_arms(dead)] == ["b", "z"]
    assert desi_arms(changed(source, desi_wave_b=None, desi_wave_r=None, desi_wave_z=None)) == []


def test_lines_stand_where_the_redshift_puts_them(source: Source) -> None:
    axes = Figure().add_subplot()
    assert draw_spectrum(axes, source, LIGHT)
    marks = [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]
    # The fixture has an emission line at H alpha for z = 0.1.
    assert min(abs(mark - 6564.61 * 1.1) for mark in marks) < 1e-6
    raw = axes.lines[2].get_xdata()[np.nanargmax(axes.lines[2].get_ydata())]
    assert abs(raw - 6564.61 * 1.1) < 25.0
    assert all(axes.get_xlim()[0] < mark < axes.get_xlim()[1] for mark in marks)
    names = [text.get_text() for text in axes.texts]
    assert len(names) == len(marks)
    assert "H\N{GREEK SMALL LETTER ALPHA}" in names


def test_masked_pixels_are_not_drawn(source: Source) -> None:
    axes = Figure().add_subplot()
    draw_spectrum(axes, source, LIGHT)
    assert np.isnan(axes.lines[0].get_ydata()[5:9]).all()


def test_units_and_identity_are_given(source: Source) -> None:
    axes = Figure().add_subplot()
    draw_spectrum(axes, source, LIGHT)
    assert "Å" in axes.get_xlabel()
    assert "erg" in axes.get_ylabel()
    title = axes.get_title(loc="left")
    assert "39627000000000123" in title
    assert "z = 0.10000 ± 0.00010" in title
    assert "ZWARN" not in title


def test_a_doubtful_redshift_is_said(source: Source) -> None:
    axes = Figure().add_subplot()
    draw_spectrum(axes, changed(source, desi_ZWARN=4), LIGHT)
    assert "ZWARN 4: redshift not certain" in axes.get_title(loc="left")


def test_without_a_redshift_no_line_is_marked(source: Source) -> None:
    axes = Figure().add_subplot()
    assert draw_spectrum(axes, changed(source, desi_Z=None), LIGHT)
    assert "no redshift, no lines marked" in axes.get_title(loc="left")
    assert not axes.texts


def test_a_redshift_that_moves_all_lines_out(source: Source) -> None:
    axes = Figure().add_subplot()
    assert draw_spectrum(axes, changed(source, desi_Z=30.0), LIGHT)
    assert "no common line in range" in axes.get_title(loc="left")


def test_lines_of_each_class() -> None:
    names = {kind: [line.name for line in lines_of(kind)] for kind in ("STAR", "GALAXY", "QSO")}
    assert "C IV" in names["QSO"]
    assert "C IV" not in names["GALAXY"]
    assert "[O III]" not in names["STAR"]
    assert lines_of(None) == lines_of("GALAXY") == lines_of(" galaxy ")
    for kind in names:
        wavelengths = [line.wavelength_angstrom for line in lines_of(kind)]
        assert wavelengths == sorted(wavelengths)


def test_coefficients_are_not_called_a_flux(source: Source) -> None:
    axes = Figure().add_subplot()
    assert draw_coefficients(axes, source, "bp", LIGHT)
    assert "not a flux" in axes.get_title(loc="left")
    assert [text.get_text() for text in axes.texts] == ["20 relevant"]
    low, high = axes.get_ylim()
    values = source.array("gaiaxp_bp_coefficients")
    assert low < values.min() < values.max() < high
    assert not draw_coefficients(axes, changed(source, gaiaxp_rp_coefficients=None), "rp", LIGHT)


@pytest.mark.parametrize("values", [[0.0, 0.0], [np.nan, 1.0], [-5.0, -3.0]])
def test_odd_coefficients_are_drawn(source: Source, values: list[float]) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    odd = changed(
        source,
        gaiaxp_bp_coefficients=np.array(values),
        gaiaxp_bp_coefficient_errors=np.array([np.nan, np.nan]),
    )
    assert draw_coefficients(axes, odd, "bp", LIGHT)
    figure.canvas.draw_idle()
    assert np.isfinite(axes.get_ylim()).all()
