from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from splus_hypercube.view.labels import label_above, measured, spread, with_minus_signs
from splus_hypercube.view.theme import LIGHT

POSITIONS = st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=30).map(sorted)


@given(POSITIONS, st.floats(0.001, 2.0))
def test_spread_keeps_the_gap_the_order_and_the_mean(positions: list[float], gap: float) -> None:
    moved = spread(positions, gap)
    assert np.all(np.diff(moved) >= gap - 1e-9)
    assert np.mean(moved) == pytest.approx(np.mean(positions), abs=1e-9)


@given(POSITIONS, st.floats(0.001, 2.0), st.integers(0, 2**32 - 1))
def test_no_other_arrangement_is_closer(positions: list[float], gap: float, seed: int) -> None:
    moved = spread(positions, gap)
    rng = np.random.default_rng(seed)
    cost = np.sum((moved - positions) ** 2)
    for scale in (1e-3, 0.1, 3.0):
        # Any arrangement that keeps the gap, near the solution and far from it.
        other = np.maximum.accumulate(
            moved - gap * np.arange(len(moved)) + scale * rng.standard_normal(len(moved))
        ) + gap * np.arange(len(moved))
        assert np.sum((other - positions) ** 2) >= cost - 1e-9


def test_positions_far_apart_stay() -> None:
    np.testing.assert_array_equal(spread([0.0, 1.0, 5.0], 0.5), [0.0, 1.0, 5.0])


def test_equal_positions_move_apart_evenly() -> None:
    np.testing.assert_allclose(spread([2.0, 2.0, 2.0], 1.0), [1.0, 2.0, 3.0])


def test_nothing_is_spread_to_nothing() -> None:
    assert len(spread([], 1.0)) == 0


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_labels_stand_at_their_places(scale: str) -> None:
    axes = Figure().add_subplot()
    axes.set_xscale(scale)
    axes.set_xlim(1.0, 100.0)
    label_above(axes, [2.0, 50.0], ["a", "b"], LIGHT, gap=0.01)
    texts = axes.texts
    assert [text.get_text() for text in texts] == ["a", "b"]
    to_axes = axes.transData + axes.transAxes.inverted()
    expected = [to_axes.transform((x, 0.5))[0] for x in (2.0, 50.0)]
    np.testing.assert_allclose([text.get_position()[0] for text in texts], expected)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.368744, 0.0000031, "0.3687440 ± 0.0000031"),
        (0.1, 0.0001, "0.10000 ± 0.00010"),
        (2.5, 0.3, "2.50000 ± 0.30000"),
        (-1.5, None, "\N{MINUS SIGN}1.50000"),
        (1.0, 0.0, "1.00000"),
        (1.0, float("nan"), "1.00000"),
        (1.0, 1e-30, "1.000000000 ± 0.000000000"),
    ],
)
def test_a_value_with_its_error(value: float, error: float | None, text: str) -> None:
    assert measured(value, error, 5) == text


def test_minus_signs() -> None:
    assert with_minus_signs("-1.5") == "\N{MINUS SIGN}1.5"
