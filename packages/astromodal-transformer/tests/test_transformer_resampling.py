from __future__ import annotations

import numpy as np
import pytest

from astromodal_transformer.resampling import error_ratio


def test_the_ratio_is_that_of_the_errors():
    truth = np.array([0.0, 1.0, 2.0, 3.0])
    found = error_ratio(truth + np.array([1.0, -1.0, 1.0, -1.0]), truth + 2.0, truth, 0)
    assert found.value == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5)
    assert found.high == pytest.approx(0.5)


def test_an_error_that_both_share_does_not_widen_the_interval():
    random = np.random.default_rng(1)
    shared = random.standard_t(3, 400)
    one, other = shared + 0.05 * random.normal(size=(2, 400))
    truth = np.zeros(400)
    paired = error_ratio(one, other, truth, 0)
    unpaired = error_ratio(one, random.permutation(other), truth, 0)
    assert paired.low < 1.0 < paired.high
    assert paired.high - paired.low < 0.1 * (unpaired.high - unpaired.low)


def test_the_interval_holds_the_true_ratio_of_most_skies():
    random = np.random.default_rng(2)
    held = []
    for seed in range(60):
        errors = random.normal(size=(2, 150)) * [[0.8], [1.0]]
        found = error_ratio(errors[0], errors[1], np.zeros(150), seed)
        held.append(found.low <= 0.8 <= found.high)
    # 95 per cent, less what chance takes off the mean of 60.
    assert np.mean(held) > 0.86
