from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from splus_hypercube.view.photometry import draw_photometry, splus_magnitudes, vista_magnitudes
from splus_hypercube.view.source import Source
from splus_hypercube.view.theme import LIGHT


def source(**values: Any) -> Source:
    return Source(
        path=Path("cube.parquet"),
        row=0,
        identifier="x",
        metadata={},
        values=values,
        cutouts={},
    )


def test_splus_magnitudes_by_wavelength() -> None:
    kind, measured, missing = splus_magnitudes(
        source(
            mag_pstotal_z=18.0,
            err_mag_pstotal_z=0.1,
            mag_pstotal_u=19.0,
            mag_pstotal_r=99.0,
            mag_pstotal_g=None,
            mag_auto_i=15.0,
        )
    )
    assert kind == "pstotal"
    assert [(m.band, m.mag, m.error_mag) for m in measured] == [("U", 19.0, None), ("Z", 18.0, 0.1)]
    assert missing == ["G", "R"]


def test_the_next_kind_where_the_first_is_absent() -> None:
    kind, measured, _ = splus_magnitudes(source(MAG_auto_j0378=15.0, e_mag_auto_j0378=0.02))
    assert kind == "auto"
    assert (measured[0].band, measured[0].error_mag) == ("F378", 0.02)


def test_no_magnitude_at_all() -> None:
    assert splus_magnitudes(source(ra=1.0)) == ("", [], [])
    axes = Figure().add_subplot()
    assert not draw_photometry(axes, source(ra=1.0), LIGHT)
    assert not axes.lines


@pytest.mark.parametrize("mag", [99.0, -99.0, -999.0, float("nan"), None])
def test_a_magnitude_that_is_none(mag: float | None) -> None:
    _, measured, missing = splus_magnitudes(source(mag_pstotal_r=mag))
    assert (measured, missing) == ([], ["R"])


def test_an_error_that_is_none() -> None:
    _, measured, _ = splus_magnitudes(source(mag_pstotal_r=20.0, err_mag_pstotal_r=99.0))
    assert measured[0].error_mag is None


def test_vista_is_turned_from_vega_to_ab() -> None:
    # A source of the same flux density per hertz everywhere is of one AB magnitude; its Vega
    # magnitudes are smaller by what Vega is fainter in AB, the more so towards the infrared.
    measured = vista_magnitudes(source(vista_japermag3=16.0, vista_ksapermag3=15.089))
    assert [m.band for m in measured] == ["J", "Ks"]
    np.testing.assert_allclose([m.mag for m in measured], [16.916, 16.916])


def test_bright_is_up_and_the_axes_say_what_they_show() -> None:
    axes = Figure().add_subplot()
    values = {"mag_pstotal_u": 19.0, "mag_pstotal_r": 17.0, "mag_pstotal_i": 99.0}
    assert draw_photometry(axes, source(**values, vista_japermag3=16.0), LIGHT)
    bottom, top = axes.get_ylim()
    # J = 16.0 in Vega is 16.916 in AB, the brightest of the three.
    assert bottom > 19.0 > 16.916 > top
    assert "AB" in axes.get_ylabel()
    assert "Å" in axes.get_xlabel()
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["U", "R", "J", "not measured: I"]


def test_a_large_error_does_not_flatten_the_others() -> None:
    axes = Figure().add_subplot()
    values = {"mag_pstotal_u": 22.0, "err_mag_pstotal_u": 9.0, "mag_pstotal_r": 20.0}
    assert draw_photometry(axes, source(**values), LIGHT)
    bottom, top = axes.get_ylim()
    assert bottom - top < 6.0
