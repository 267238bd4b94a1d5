"""The two losses of a token, codebook by codebook and a few rows at a time.

For a query whose answer comes from a codebook with K codes and centroids c_k, the network gives K
logits and with them probabilities p_k. The reconstruction loss is the squared distance of the
expected centroid sum_k p_k c_k from the true one, averaged over its dimensions (for a column: of
the expected bin centre from the true one); the cross-entropy is -ln p of the true code. Both and
their gradients are computed together, so that logits of no more than a few rows exist at any time:
memory does not grow with the number of tokens times the size of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["LossTerms", "Tables", "token_loss"]


@dataclass(frozen=True)
class Tables:
    """What turns hidden states into logits: the vectors of all codes.

    Attributes
    ----------
    free : Tensor, shape (V, d), or None
        Learned vectors.
    features : Tensor, shape (V, f), or None
        Fixed vectors.
    bias : Tensor, shape (V,)
    offsets, sizes : sequence of int
        Codes of each codebook.
    centroids : sequence of Tensor, shape (size, dimensions)
    """

    free: Tensor | None
    features: Tensor | None
    bias: Tensor
    offsets: Sequence[int]
    sizes: Sequence[int]
    centroids: Sequence[Tensor]


@dataclass(frozen=True)
class LossTerms:
    """A loss and what it consists of.

    Attributes
    ----------
    total : Tensor, scalar
        Weighted sum over the tokens; has a gradient.
    sums : Tensor, shape (codebooks, 3)
        Per codebook: sums of reconstruction loss and cross-entropy, number of tokens.
    """

    total: Tensor
    sums: Tensor


def token_loss(
    hidden: Tensor | None,
    feature_hidden: Tensor | None,
    tables: Tables,
    block: Tensor,
    target: Tensor,
    weight: Tensor,
    *,
    reconstruction: float,
    cross_entropy: float,
    chunk_elements: int = 1 << 20,
) -> LossTerms:
    """Loss of queries.

    Parameters
    ----------
    hidden : Tensor, shape (n, d), or None
        Multiplied with the learned vectors.
    feature_hidden : Tensor, shape (n, f), or None
        Multiplied with the fixed vectors.
    tables : Tables
    block : Tensor of int64, shape (n,)
        Codebook of each query.
    target : Tensor of int64, shape (n,)
        True code within it.
    weight : Tensor of float32, shape (n,)
        Of each query in the sum.
    reconstruction, cross_entropy : float
        Weights of the two terms.
    chunk_elements : int
        Logits that may exist at a time.

    Returns
    -------
    LossTerms
    """
    order = torch.argsort(block, stable=True)
    counts = torch.bincount(block, minlength=len(tables.sizes)).tolist()
    settings = (tables, counts, reconstruction, cross_entropy, chunk_elements)
    total, sums = _ChunkedLoss.apply(  # type: ignore[no-untyped-call]
        None if hidden is None else hidden.index_select(0, order),
        None if feature_hidden is None else feature_hidden.index_select(0, order),
        tables.free,
        tables.bias,
        target.index_select(0, order),
        weight.index_select(0, order).float(),
        settings,
    )
    return LossTerms(total, sums)


class _ChunkedLoss(torch.autograd.Function):
    """Loss and gradient in one pass; `backward` only scales what `forward` found."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor | None,
        feature_hidden: Tensor | None,
        free: Tensor | None,
        bias: Tensor,
        target: Tensor,
        weight: Tensor,
        settings: tuple[Tables, list[int], float, float, int],
    ) -> tuple[Tensor, Tensor]:
        tables, counts, w_rec, w_ce, chunk_elements = settings
        grad_hidden = _zeros_like(hidden)
        grad_feature = _zeros_like(feature_hidden)
        grad_free = _zeros_like(free)
        grad_bias = torch.zeros_like(bias, dtype=torch.float32)
        total = torch.zeros((), dtype=torch.float32, device=bias.device)
        sums = torch.zeros((len(counts), 3), dtype=torch.float32, device=bias.device)
        start = 0
        with torch.autocast(bias.device.type, enabled=False):
            for index, count in enumerate(counts):
                if not count:
                    continue
                codes = slice(tables.offsets[index], tables.offsets[index] + tables.sizes[index])
                rows = max(1, chunk_elements // tables.sizes[index])
                for first in range(start, start + count, rows):
                    part = slice(first, min(first + rows, start + count))
                    total += _chunk(
                        part,
                        codes,
                        (hidden, feature_hidden, free, tables.features, bias),
                        (grad_hidden, grad_feature, grad_free, grad_bias),
                        target[part],
                        weight[part],
                        tables.centroids[index],
                        (w_rec, w_ce),
                        sums[index],
                    )
                start += count
        ctx.save_for_backward(grad_hidden, grad_feature, grad_free, grad_bias)
        ctx.kinds = [None if x is None else x.dtype for x in (hidden, feature_hidden, free, bias)]
        ctx.spent = False
        ctx.mark_non_differentiable(sums)
        return total, sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        # The gradients are scaled where they are: a copy of that of the learned vectors would be
        # the largest tensor of the step.
        if ctx.spent:
            raise RuntimeError(
                "the gradient of this token loss has been taken already: compute the loss anew"
            )
        ctx.spent = True
        scale = grads[0]
        found = [
            None if grad is None else grad.mul_(scale).to(kind)
            for grad, kind in zip(ctx.saved_tensors, ctx.kinds, strict=True)
        ]
        return (*found, None, None, None)


def _zeros_like(value: Tensor | None) -> Tensor | None:
    return None if value is None else torch.zeros_like(value, dtype=torch.float32)


def _chunk(
    part: slice,
    codes: slice,
    inputs: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None, Tensor],
    grads: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor],
    target: Tensor,
    weight: Tensor,
    centroids: Tensor,
    weights: tuple[float, float],
    sums: Tensor,
) -> Tensor:
    """Loss of some rows of one codebook; adds to gradients and sums."""
    hidden, feature_hidden, free, features, bias = inputs
    grad_hidden, grad_feature, grad_free, grad_bias = grads
    w_rec, w_ce = weights
    logits = bias[codes].float().expand(len(target), -1)
    if hidden is not None and free is not None:
        logits = logits + _product(hidden[part], free[codes].T)
    if feature_hidden is not None and features is not None:
        logits = logits + _product(feature_hidden[part], features[codes].T)
    log_p = torch.log_softmax(logits, dim=1)
    del logits
    entropy = -log_p.gather(1, target[:, None])[:, 0]
    p = log_p.exp_()
    distance = p @ centroids - centroids[target]
    error = distance.square().mean(dim=1)
    sums += torch.stack([error.sum(), entropy.sum(), torch.ones_like(error).sum()])
    # Derivative by the logits: p_k (g . c_k - sum_j p_j g . c_j) with g that by the expected
    # centroid, and p_k - [k is true].
    slope = distance * ((2.0 * w_rec / distance.shape[1]) * weight)[:, None]
    own = slope @ centroids.T
    own -= (p * own).sum(dim=1, keepdim=True)
    own += (w_ce * weight)[:, None]
    own *= p
    own.scatter_add_(1, target[:, None], -(w_ce * weight)[:, None])
    grad_bias[codes] += own.sum(dim=0)
    if hidden is not None and free is not None and grad_hidden is not None:
        grad_hidden[part] += _product(own, free[codes], hidden.dtype)
        if grad_free is not None:
            grad_free[codes] += _product(own.T, hidden[part], hidden.dtype)
    if feature_hidden is not None and features is not None and grad_feature is not None:
        grad_feature[part] += _product(own, features[codes], feature_hidden.dtype)
    return (weight * (w_rec * error + w_ce * entropy)).sum()


def _product(a: Tensor, b: Tensor, kind: torch.dtype | None = None) -> Tensor:
    """Matrix product in the precision of the network, as float32.

    Gradients of a network in float16 are too small for its range before they are scaled.
    """
    kind = a.dtype if kind is None else torch.float32 if kind == torch.float16 else kind
    return (a.to(kind) @ b.to(kind)).float()
