from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from manga_ssftt.heads import interpret, loss
from manga_ssftt.model import SSFTT, SimpleNet, SpectralNet
from manga_ssftt.model.ssftt import SpectralStem
from manga_ssftt.targets import Target, make_target


class Transcription(nn.Module):
    """The published layers, one after the other, without regard to speed."""

    def __init__(self, bands, patch, classes):
        super().__init__()
        self.conv3d = nn.Sequential(nn.Conv3d(1, 8, 3), nn.BatchNorm3d(8), nn.ReLU())
        self.conv2d = nn.Sequential(
            nn.Conv2d(8 * (bands - 2), 64, 3), nn.BatchNorm2d(64), nn.ReLU()
        )
        self.token_wa, self.token_wv = (
            nn.Parameter(torch.zeros(1, 4, 64)),
            nn.Parameter(torch.zeros(1, 64, 64)),
        )
        self.cls, self.pos = (
            nn.Parameter(torch.zeros(1, 1, 64)),
            nn.Parameter(torch.zeros(1, 5, 64)),
        )
        self.norm1, self.norm2 = nn.LayerNorm(64), nn.LayerNorm(64)
        self.qkv, self.out = nn.Linear(64, 192), nn.Linear(64, 64)
        self.up, self.down = nn.Linear(64, 8), nn.Linear(8, 64)
        self.head = nn.Linear(64, classes)

    def forward(self, x):
        x = self.conv3d(x)
        x = self.conv2d(x.reshape(x.shape[0], -1, *x.shape[3:]))
        x = x.flatten(2).transpose(1, 2)
        a = (x @ self.token_wa.transpose(1, 2)).transpose(1, 2).softmax(dim=-1)
        tokens = a @ (x @ self.token_wv)
        x = torch.cat([self.cls.expand(len(x), 1, 64), tokens], dim=1) + self.pos
        h = self.norm1(x)
        q, k, v = (
            part.reshape(len(x), 5, 8, 8).transpose(1, 2) for part in self.qkv(h).chunk(3, dim=-1)
        )
        scores = (q @ k.transpose(2, 3)) * 64**-0.5
        mixed = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(len(x), 5, 64)
        x = x + self.out(mixed)
        x = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return self.head(x[:, 0])


PAIRS = (
    ("conv3d", "conv3d.0"), ("norm3d", "conv3d.1"), ("conv2d", "conv2d.0"), ("norm2d", "conv2d.1"),
    ("tokenizer.attend", "token_wa"), ("tokenizer.value", "token_wv"), ("cls_token", "cls"),
    ("pos_embedding", "pos"), ("encoder.norm_attention", "norm1"), ("encoder.norm_mlp", "norm2"),
    ("encoder.to_qkv", "qkv"), ("encoder.project", "out"), ("encoder.widen", "up"),
    ("encoder.narrow", "down"), ("head", "head"),
)  # fmt: skip


def transcribed(network, bands, patch, classes):
    """The transcription with the weights of a network."""
    other = Transcription(bands, patch, classes)
    state = {}
    for name, value in network.state_dict().items():
        for ours, theirs in PAIRS:
            if name == ours or name.startswith(f"{ours}."):
                state[theirs + name[len(ours) :]] = value
    other.load_state_dict(state)
    return other


@pytest.mark.parametrize(("bands", "patch", "classes"), [(30, 13, 16), (12, 7, 4), (5, 5, 3)])
def test_ssftt_is_the_published_network(bands, patch, classes):
    torch.manual_seed(0)
    network = SSFTT(bands, patch, classes)
    with torch.no_grad():
        network.cls_token.normal_()
    other = transcribed(network, bands, patch, classes)
    batch = torch.randn(6, 1, bands, patch, patch)
    for module in (network, other):
        module.eval()
    torch.testing.assert_close(network(batch), other(batch), rtol=1e-4, atol=1e-5)
    for module in (network, other):
        module.train()
        module.zero_grad()
    network.dropout.p = network.encoder.dropout.p = 0.0
    for module in (network, other):
        module(batch).square().sum().backward()
    torch.testing.assert_close(network.conv3d.weight.grad, other.conv3d[0].weight.grad, rtol=1e-3,
                               atol=1e-4)  # fmt: skip


def test_published_number_of_parameters():
    counted = sum(p.numel() for p in SSFTT(30, 13, 16).parameters())
    assert counted == 153_224
    assert counted == sum(p.numel() for p in Transcription(30, 13, 16).parameters())


@pytest.mark.parametrize("network", [SSFTT, SpectralNet, SimpleNet])
@pytest.mark.parametrize(("bands", "patch"), [(30, 7), (2040, 7), (400, 1), (64, 3), (65, 5)])
def test_networks_take_any_length_and_patch(network, bands, patch):
    made = network(bands, patch, 4)
    assert made(torch.zeros(2, 1, bands, patch, patch)).shape == (2, 4)
    assert sum(p.numel() for p in made.parameters()) < 1_000_000


@pytest.mark.parametrize(("bands", "patch", "classes"), [(2, 7, 4), (30, 6, 4), (30, 7, 0)])
def test_networks_that_cannot_be_are_refused(bands, patch, classes):
    with pytest.raises(ValueError, match="expected"):
        SSFTT(bands, patch, classes)


def test_a_batch_of_one_is_as_one_of_many():
    torch.manual_seed(1)
    network = SSFTT(100, 7, 5).eval()
    batch = torch.randn(9, 1, 100, 7, 7)
    together = network(batch)
    alone = torch.cat([network(batch[i : i + 1]) for i in range(9)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_stem_starts_from_principal_components():
    from sklearn.decomposition import PCA

    random = np.random.default_rng(2)
    shapes = random.normal(size=(40, 90)) * 2.0 ** -np.arange(40)[:, None]
    spectra = random.normal(size=(500, 40)) @ shapes * 3 + 7
    stem = SpectralStem(90, 8)
    stem.initialise(torch.from_numpy(spectra).float())
    patches = torch.from_numpy(spectra[:50]).float()[:, None, :, None, None]
    found = stem(patches)[:, 0, :, 0, 0].detach().numpy()
    standard = (spectra - spectra.mean(axis=0)) / spectra.std(axis=0, ddof=1)
    wanted = PCA(8, whiten=True, svd_solver="full").fit(standard).transform(standard[:50])
    for number in range(5):
        assert abs(np.corrcoef(found[:, number], wanted[:, number])[0, 1]) > 0.999
    assert np.std(found) == pytest.approx(1.0, abs=0.15)


def test_a_stem_of_few_spectra_is_left_as_it_is():
    stem = SpectralStem(90, 8)
    before = stem.project.weight.clone()
    stem.initialise(torch.randn(15, 90))
    assert torch.equal(before, stem.project.weight)


@pytest.mark.parametrize("network", [SSFTT, SpectralNet, SimpleNet])
def test_networks_learn_one_batch_by_heart(network):
    torch.manual_seed(3)
    made = network(80, 5, 3, dropout=0.0)
    batch, wanted = torch.randn(24, 1, 80, 5, 5), torch.arange(24) % 3
    optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        found = nn.functional.cross_entropy(made(batch), wanted)
        found.backward()
        optimizer.step()
    assert found.item() < 0.05


BINNED = Target("logOH", "classification", tuple(range(6)), (8.40, 8.44, 8.48, 8.52, 8.56))


def test_probabilities_of_every_head_sum_to_one():
    torch.manual_seed(4)
    edges = BINNED.edges
    for target in (
        BINNED,
        Target("logOH", "ordinal", tuple(range(6)), edges),
        Target("logOH", "regression", tuple(range(6)), edges, 8.48, 0.05),
        Target("joint", "classification", (1, 2, 3), edges, 8.48, 0.05),
        Target("BPT", "classification", (1, 2, 3)),
    ):
        found = interpret(torch.randn(20, target.n_outputs) * 3, target)
        assert found.probability.shape == (20, len(target.class_ids))
        assert (found.probability >= 0).all()
        torch.testing.assert_close(found.probability.sum(dim=1), torch.ones(20).double())
        assert (found.log_oh is None) == (target.task == "BPT")


def test_regression_probabilities_are_those_of_the_normal_distribution():
    from scipy.stats import norm

    target = Target("logOH", "regression", tuple(range(6)), BINNED.edges, 8.5, 0.1)
    found = interpret(torch.tensor([[0.3, -1.0]]), target)
    mean, sigma = 8.5 + 0.03, 0.1 * np.exp(-0.5)
    bounds = [-np.inf, *target.edges, np.inf]
    wanted = np.diff(norm.cdf(bounds, mean, sigma))
    np.testing.assert_allclose(found.probability[0], wanted, atol=1e-7)
    assert found.log_oh_err.item() == pytest.approx(sigma)


def test_spaxels_without_an_abundance_do_not_count():
    target = Target("joint", "classification", (1, 2), BINNED.edges, 8.5, 0.1)
    outputs = torch.randn(4, 4)
    index = torch.tensor([0, 1, 0, 1])
    some = torch.tensor([8.4, float("nan"), 8.6, float("nan")])
    found = loss(outputs, index, some, target)
    classes = nn.functional.cross_entropy(outputs[:, :2], index)
    known = loss(outputs[[0, 2], 2:], index[:2], some[[0, 2]],
                 Target("logOH", "regression", (0,), (8.5,), 8.5, 0.1))  # fmt: skip
    torch.testing.assert_close(found, classes + known)
    assert torch.isfinite(loss(outputs, index, torch.full((4,), float("nan")), target))


@pytest.mark.parametrize("task", ["BPT", "joint"])
def test_a_batch_of_classes_that_training_did_not_know_has_no_loss(task):
    target = Target(task, "classification", (1, 2), BINNED.edges, 8.5, 0.1)
    outputs = torch.randn(3, target.n_outputs, requires_grad=True)
    unknown, absent = torch.full((3,), -1), torch.full((3,), float("nan"))
    found = loss(outputs, unknown, absent, target)
    assert found.item() == 0.0
    found.backward()
    assert torch.equal(outputs.grad, torch.zeros_like(outputs))


def test_ordinal_loss_is_least_for_the_right_order():
    target = Target("logOH", "ordinal", tuple(range(4)), (8.4, 8.5, 8.6))
    index = torch.tensor([0, 1, 2, 3])
    levels = torch.arange(3)
    right = (index[:, None] > levels).float() * 20 - 10
    value = torch.zeros(4)
    assert loss(right, index, value, target) < loss(-right, index, value, target)
    assert interpret(right, target).probability.argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_targets_of_training_labels():
    bpt = make_target("BPT", "classification", "default", np.asarray([1, 3, 3, 1], np.uint8),
                      np.empty(0))  # fmt: skip
    assert bpt.class_ids == (1, 3)
    assert bpt.indices(np.asarray([3, 1, 2, 5], np.uint8)).tolist() == [1, 0, -1, -1]
    bins = make_target("logOH", "ordinal", "extra", np.asarray([8.3, 8.6]), np.empty(0))
    assert bins.n_outputs == 7
    assert bins.classes(np.asarray([8.2, 8.34, 8.9])).tolist() == [0, 1, 7]
    assert Target.from_json(bins.as_json()) == bins
