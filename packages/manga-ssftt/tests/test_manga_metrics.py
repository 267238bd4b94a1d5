from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from manga_ssftt.evaluation import easy_hard_gap
from manga_ssftt.metrics import (
    bootstrap_interval,
    calibration,
    classification_figures,
    figures_of_confusion,
    regression_figures,
)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 200), n_class=st.integers(2, 6), seed=st.integers(0, 10_000))
def test_figures_are_those_of_scikit_learn(n, n_class, seed):
    random = np.random.default_rng(seed)
    truth = random.integers(0, n_class, n)
    predicted = np.where(random.random(n) < 0.5, truth, random.integers(0, n_class, n))
    found = classification_figures(truth, predicted, range(n_class))
    assert found["oa"] == pytest.approx(reference.accuracy_score(truth, predicted))
    recall = reference.recall_score(truth, predicted, average=None, labels=np.unique(truth),
                                    zero_division=0)  # fmt: skip
    assert found["aa"] == pytest.approx(recall.mean())
    assert found["macro_f1"] == pytest.approx(
        reference.f1_score(truth, predicted, average="macro", zero_division=0)
    )
    if len(np.unique(np.concatenate([truth, predicted]))) > 1:
        assert found["kappa"] == pytest.approx(reference.cohen_kappa_score(truth, predicted))
    labels = np.unique(np.concatenate([truth, predicted]))
    jaccard = reference.jaccard_score(truth, predicted, average=None, labels=labels)
    np.testing.assert_allclose([found["iou"][label] for label in labels], jaccard)
    np.testing.assert_array_equal(
        found["confusion_matrix"],
        reference.confusion_matrix(truth, predicted, labels=range(n_class)),
    )


def test_classes_need_not_begin_at_nought():
    found = classification_figures(np.asarray([1, 3, 5]), np.asarray([1, 5, 5]), [1, 3, 5])
    assert found["confusion_matrix"] == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_nothing_gives_no_figures():
    found = figures_of_confusion(np.zeros((2, 2), np.int64))
    assert found["n"] == 0
    assert found["oa"] is None


def test_errors_of_abundances():
    truth = np.asarray([8.4, 8.5, np.nan, 8.6])
    found = regression_figures(truth, np.asarray([8.5, 8.5, 8.5, np.nan]))
    assert found["n_abundance"] == 2
    assert found["mae_dex"] == pytest.approx(0.05)
    assert found["bias_dex"] == pytest.approx(0.05)
    assert found["mape_linear"] == pytest.approx((10**0.1 - 1) / 2)
    assert regression_figures(truth[2:3], truth[2:3])["mae_dex"] is None


def test_calibrated_predictions_have_no_calibration_error():
    random = np.random.default_rng(1)
    chance = random.uniform(0.5, 1.0, 200_000)
    probability = np.stack([chance, 1 - chance], axis=1)
    truth = (random.random(200_000) > chance).astype(np.int64)
    assert calibration(probability, truth)["ece"] < 0.005
    sure = np.tile([0.99, 0.01], (1000, 1))
    half = np.arange(1000) % 2
    assert calibration(sure, half)["ece"] == pytest.approx(0.49)


def test_intervals_over_galaxies_are_wider_than_over_spaxels():
    random = np.random.default_rng(2)
    galaxies = [random.random(300) < share for share in random.uniform(0.3, 0.9, 20)]
    figure = lambda drawn: float(np.mean(np.concatenate(drawn)))  # noqa: E731
    low, high = bootstrap_interval(galaxies, figure, n_draws=300)
    spaxels = [np.atleast_1d(value) for value in np.concatenate(galaxies)]
    near, far = bootstrap_interval(spaxels, figure, n_draws=50)
    assert low < figure(galaxies) < high
    assert high - low > 4 * (far - near)


def test_draws_without_a_figure_do_not_count():
    def figure(drawn):
        return float(np.mean(drawn)) if all(value > 0 for value in drawn) else float("nan")

    low, high = bootstrap_interval([0.0, 1.0, 1.0], figure)
    assert (low, high) == (1.0, 1.0)
    assert np.isnan(bootstrap_interval([0.0], figure)).all()


def test_the_gap_is_easy_minus_hard():
    gap = easy_hard_gap({"oa": 0.9, "mae_dex": 0.01}, {"oa": 0.6, "mae_dex": 0.03, "kappa": 0.5})
    assert gap["oa"]["gap"] == pytest.approx(0.3)
    assert gap["mae_dex"]["gap"] == pytest.approx(-0.02)
    assert set(gap) == {"oa", "mae_dex"}
    assert easy_hard_gap({"oa": "high", "aa": None}, {"oa": 0.5, "aa": 0.5}) == {}
