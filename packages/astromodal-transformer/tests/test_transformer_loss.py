from __future__ import annotations

import numpy as np
import pytest
import torch

from astromodal_transformer.loss import Tables, token_loss
from astromodal_transformer.memory import peak_tensor_bytes

SIZES, DIMENSIONS = (7, 40, 16), (1, 3, 2)


def make_tables(width=6, features=5, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float32)

    total = 4 + sum(SIZES)
    offsets = [4 + sum(SIZES[:i]) for i in range(len(SIZES))]
    return Tables(
        normal(total, width).requires_grad_(),
        normal(total, features),
        normal(total).requires_grad_(),
        offsets,
        SIZES,
        [normal(size, d) for size, d in zip(SIZES, DIMENSIONS, strict=True)],
    )


def make_queries(count=53, width=6, features=5, seed=1):
    generator = torch.Generator().manual_seed(seed)
    block = torch.randint(0, len(SIZES), (count,), generator=generator)
    size = torch.tensor(SIZES)[block]
    target = (torch.rand(count, generator=generator) * size).long()
    weight = torch.rand(count, generator=generator)
    hidden = torch.randn(count, width, generator=generator).requires_grad_()
    feature_hidden = torch.randn(count, features, generator=generator).requires_grad_()
    return hidden, feature_hidden, block, target, weight


def naive(hidden, feature_hidden, tables, block, target, weight, reconstruction, cross_entropy):
    """Both terms as their definitions say, one query after the other, by autograd."""
    total = 0.0
    for row in range(len(block)):
        number = int(block[row])
        codes = slice(tables.offsets[number], tables.offsets[number] + tables.sizes[number])
        logits = tables.bias[codes] + 0.0
        if hidden is not None:
            logits = logits + tables.free[codes] @ hidden[row]
        if feature_hidden is not None:
            logits = logits + tables.features[codes] @ feature_hidden[row]
        p = torch.softmax(logits, dim=0)
        expected = p @ tables.centroids[number]
        error = ((expected - tables.centroids[number][target[row]]) ** 2).mean()
        entropy = -torch.log(p[target[row]])
        total = total + weight[row] * (reconstruction * error + cross_entropy * entropy)
    return total


@pytest.mark.parametrize("terms", [(1.0, 0.0), (0.0, 1.0), (0.7, 0.3)])
@pytest.mark.parametrize("chunk_elements", [1, 64, 1 << 20])
@pytest.mark.parametrize("kind", ["free", "fixed", "both"])
def test_loss_and_gradient_are_those_of_the_definition(terms, chunk_elements, kind):
    tables = make_tables()
    hidden, feature_hidden, block, target, weight = make_queries()
    hidden = None if kind == "fixed" else hidden
    feature_hidden = None if kind == "free" else feature_hidden
    inputs = [x for x in (hidden, feature_hidden, tables.bias) if x is not None]
    if kind != "fixed":
        inputs.append(tables.free)
    wanted = naive(hidden, feature_hidden, tables, block, target, weight, *terms)
    wanted_gradients = torch.autograd.grad(wanted, inputs)
    used = tables if kind != "fixed" else Tables(
        None, tables.features, tables.bias, tables.offsets, tables.sizes, tables.centroids
    )  # fmt: skip
    found = token_loss(
        hidden, feature_hidden, used, block, target, weight,
        reconstruction=terms[0], cross_entropy=terms[1], chunk_elements=chunk_elements,
    )  # fmt: skip
    torch.testing.assert_close(found.total, wanted)
    gradients = torch.autograd.grad(found.total, inputs)
    for own, other in zip(gradients, wanted_gradients, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5)


def test_the_sums_are_those_of_each_codebook():
    tables = make_tables()
    hidden, _, block, target, weight = make_queries()
    found = token_loss(
        hidden, None, tables, block, target, weight, reconstruction=1.0, cross_entropy=1.0
    )
    for number in range(len(SIZES)):
        own = block == number
        each = [own.nonzero()[:, 0]]
        rows = each[0]
        ones = torch.ones(len(rows))
        error = naive(hidden[rows], None, tables, block[rows], target[rows], ones, 1.0, 0.0)
        entropy = naive(hidden[rows], None, tables, block[rows], target[rows], ones, 0.0, 1.0)
        wanted = torch.stack([error, entropy, torch.tensor(float(len(rows)))])
        torch.testing.assert_close(found.sums[number], wanted.detach())


def test_a_certain_right_answer_costs_nothing():
    tables = make_tables()
    with torch.no_grad():
        tables.bias.zero_()
        tables.bias[tables.offsets[1] + 5] = 100.0
    block, target = torch.tensor([1]), torch.tensor([5])
    found = token_loss(
        torch.zeros(1, 6), None, tables, block, target, torch.ones(1),
        reconstruction=1.0, cross_entropy=1.0,
    )  # fmt: skip
    assert float(found.total.detach()) < 1e-6


def test_the_gradient_passes_gradcheck_in_double_precision():
    # The function works in float32 inside; finite differences are taken of the loss as a whole.
    tables = make_tables()
    hidden, _, block, target, weight = make_queries(count=9)
    found = token_loss(
        hidden, None, tables, block, target, weight, reconstruction=1.0, cross_entropy=1.0
    )
    (gradient,) = torch.autograd.grad(found.total, [hidden])
    random = np.random.default_rng(0)
    for _ in range(5):
        direction = torch.from_numpy(random.normal(size=hidden.shape)).float()
        step = 1e-2
        values = [
            naive(
                (hidden + sign * step * direction).double(), None, _double(tables), block, target,
                weight.double(), 1.0, 1.0,
            )
            for sign in (1.0, -1.0)
        ]  # fmt: skip
        slope = float((values[0] - values[1]).detach()) / (2.0 * step)
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=2e-3, abs=2e-3)


def test_a_second_backward_is_refused():
    # The gradients found in the first pass are scaled in place, so a second pass would be wrong.
    tables = make_tables()
    hidden, _, block, target, weight = make_queries(count=9)
    found = token_loss(
        hidden, None, tables, block, target, weight, reconstruction=1.0, cross_entropy=1.0
    )
    (gradient,) = torch.autograd.grad(3.0 * found.total, [hidden], retain_graph=True)
    kept = gradient.clone()
    with pytest.raises(RuntimeError, match="compute the loss anew"):
        torch.autograd.grad(found.total, [hidden])
    assert torch.equal(gradient, kept)


def _double(tables):
    return Tables(
        tables.free.double(), None, tables.bias.double(), tables.offsets, tables.sizes,
        [c.double() for c in tables.centroids],
    )  # fmt: skip


def test_memory_does_not_grow_with_tokens_times_vocabulary():
    peaks = []
    for count in (256, 2048):
        generator = torch.Generator().manual_seed(0)
        sizes = (4096,) * 4
        free = torch.randn(4 * 4096, 8, generator=generator).requires_grad_()
        tables = Tables(
            free, None, torch.zeros(4 * 4096, requires_grad=True),
            [4096 * i for i in range(4)], sizes,
            [torch.randn(4096, 2, generator=generator) for _ in sizes],
        )  # fmt: skip
        block = torch.randint(0, 4, (count,), generator=generator)
        target = torch.randint(0, 4096, (count,), generator=generator)
        hidden = torch.randn(count, 8, generator=generator).requires_grad_()
        with peak_tensor_bytes(torch.device("cpu")) as measured:
            token_loss(
                hidden, None, tables, block, target, torch.ones(count),
                reconstruction=1.0, cross_entropy=1.0, chunk_elements=1 << 17,
            ).total.backward()  # fmt: skip
        peaks.append(measured.peak)
    # Eight times the tokens: logits alone would be 33 MB in place of 4.
    assert peaks[1] < 1.2 * peaks[0] + 8 * 2048 * 8 * 4
    assert peaks[1] < 2048 * 4096 * 4 / 4


def test_peak_bytes_counts_what_lives_at_the_same_time():
    with peak_tensor_bytes(torch.device("cpu")) as measured:
        a = torch.zeros(1000)
        del a
        b = torch.zeros(500)
        c = b + 1.0
        c.add_(1.0)
    assert measured.peak == 4000
    assert c.sum() == 1000.0
