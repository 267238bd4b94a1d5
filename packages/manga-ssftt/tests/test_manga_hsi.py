from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from astro_common.errors import InputError
from manga_ssftt.hsi.scene import read_ground_truth, read_scene
from manga_ssftt.hsi.splitting import disjoint_split, random_split, touches_training


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), half=st.integers(0, 5), fraction=st.floats(0.02, 0.6))
def test_disjoint_patches_never_meet(seed, half, fraction):
    random = np.random.default_rng(seed)
    truth = np.kron(random.integers(0, 4, (5, 6)), np.ones((9, 8), int))
    if len(np.unique(truth[truth > 0])) < 2:
        return
    size = 2 * half + 1
    split = disjoint_split(truth, fraction, size, seed)
    for y, x in np.argwhere(split == 2):
        around = split[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1]
        assert not (around == 1).any()
    for label in np.unique(truth[truth > 0]):
        count = ((truth == label) & (split == 1)).sum()
        assert count == max(1, round(fraction * (truth == label).sum()))
    assert np.all(split[truth == 0] == 0)


def test_random_splits_hold_their_share_of_each_class():
    truth = np.repeat(np.arange(4), 100).reshape(20, 20)
    split = random_split(truth, 0.1, 3)
    for label in (1, 2, 3):
        assert ((truth == label) & (split == 1)).sum() == 10
    assert (split == 0).sum() == 100
    assert np.array_equal(split, random_split(truth, 0.1, 3))
    assert not np.array_equal(split, random_split(truth, 0.1, 4))


def test_touching_agrees_with_a_loop():
    random = np.random.default_rng(1)
    train = random.random((12, 15)) < 0.05
    found = touches_training(train, 5)
    for y in range(12):
        for x in range(15):
            around = train[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            assert found[y, x] == around.any()


def test_files_that_are_no_scenes_are_refused(tmp_path):
    truth = np.repeat(np.arange(3), 12).reshape(6, 6)
    savemat(tmp_path / "gt.mat", {"gt": truth})
    savemat(tmp_path / "small.mat", {"cube": np.zeros((5, 6, 4))})
    savemat(tmp_path / "nan.mat", {"cube": np.full((6, 6, 4), np.nan)})
    savemat(tmp_path / "two.mat", {"a": np.zeros((6, 6, 4)), "b": np.zeros((6, 6, 4))})
    savemat(tmp_path / "half.mat", {"gt": truth + 0.5})
    (tmp_path / "text.mat").write_text("nothing of the kind")
    for name in ("small", "nan", "two", "text", "missing"):
        with pytest.raises(InputError, match=name):
            read_scene(tmp_path / f"{name}.mat", tmp_path / "gt.mat")
    with pytest.raises(InputError, match="no classes"):
        read_ground_truth(tmp_path / "half.mat")


@pytest.mark.real
@pytest.mark.parametrize("name", ["Indian_pines_gt", "Salinas_gt"])
def test_real_ground_truths_can_be_divided(real_data, name):
    truth = read_ground_truth(real_data / "hyperspectral" / f"{name}.mat")
    assert len(np.unique(truth)) == 17
    split = disjoint_split(truth, 0.1, 13, 1)
    assert set(np.unique(truth[split == 1])) == set(range(1, 17))
    assert (split == 2).sum() > 4000
    assert not (touches_training(split == 1, 13) & (split == 2)).any()
