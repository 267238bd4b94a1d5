from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from astro_common.errors import InputError
from manga_ssftt.hsi.benchmark import Protocol, run_protocol
from manga_ssftt.hsi.recipe import RECIPES
from manga_ssftt.hsi.scene import Scene, read_ground_truth, read_scene
from manga_ssftt.hsi.splitting import disjoint_split, random_split, touches_training
from manga_ssftt.hsi.training import centre_weights, class_probabilities
from manga_ssftt.model import SSFTT


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


def test_weights_fade_away_from_the_centre():
    weights = centre_weights(13)
    assert weights[6, 6] == 1
    assert weights[0, 12].item() == pytest.approx(math.exp(-(6**2 + 6**2) / (2 * (13 / 6) ** 2)))
    assert torch.equal(weights, weights.T)
    assert torch.equal(weights, weights.flip(0))
    assert centre_weights(1).item() == 1


def test_averaged_predictions_do_not_depend_on_the_orientation():
    torch.manual_seed(2)
    network, patches = SSFTT(4, 5, 3).eval(), torch.randn(6, 1, 4, 5, 5)
    turned = torch.rot90(patches, 1, (3, 4)).flip(3)
    found = class_probabilities(network, patches, RECIPES["best"])
    assert torch.allclose(found, class_probabilities(network, turned, RECIPES["best"]), atol=1e-6)
    plain = class_probabilities(network, patches, RECIPES["ssftt"])
    assert not torch.allclose(plain, class_probabilities(network, turned, RECIPES["ssftt"]))
    assert torch.allclose(found.sum(dim=1), torch.ones(6))


@pytest.mark.parametrize("model", sorted(RECIPES))
def test_every_recipe_learns(model):
    truth = np.kron([[1, 2, 3], [2, 3, 1]], np.ones((8, 8), np.int64))
    noise = np.random.default_rng(1).normal(0, 0.2, (*truth.shape, 6))
    scene = Scene((np.eye(6)[truth] + noise).astype(np.float32), truth)
    split = random_split(truth, 0.3, 1)
    protocol = Protocol(model, patch_size=5, n_components=6, epochs=8, batch_size=16, seed=1)
    figures, prediction = run_protocol(scene, split, protocol)
    assert figures["oa"] > 0.8
    assert figures["n_train"] + figures["n_test"] == truth.size
    assert np.mean((prediction == truth)[split == 2]) == figures["oa"]


@pytest.mark.real
@pytest.mark.parametrize("name", ["Indian_pines_gt", "Salinas_gt"])
def test_real_ground_truths_can_be_divided(real_data, name):
    truth = read_ground_truth(real_data / "hyperspectral" / f"{name}.mat")
    assert len(np.unique(truth)) == 17
    split = disjoint_split(truth, 0.1, 13, 1)
    assert set(np.unique(truth[split == 1])) == set(range(1, 17))
    assert (split == 2).sum() > 4000
    assert not (touches_training(split == 1, 13) & (split == 2)).any()
