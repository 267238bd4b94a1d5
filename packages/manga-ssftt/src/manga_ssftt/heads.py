"""Losses of the heads, and what their outputs mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from manga_ssftt.targets import Target

__all__ = ["Interpretation", "interpret", "loss"]

_SQRT2 = math.sqrt(2.0)
# Bounds of the logarithm of a standardised variance, so that one outlier does not end a training.
_LOG_VARIANCE_RANGE = (-8.0, 4.0)


@dataclass(frozen=True, eq=False)
class Interpretation:
    """What a network says about spaxels.

    Attributes
    ----------
    probability : tensor of float64, shape (B, n_class)
        In the order of the target's ``class_ids``.
    log_oh : tensor of float64, shape (B,), or None
        12 + log(O/H); of binned heads the mean over the bins.
    log_oh_err : tensor of float64, shape (B,), or None
        Standard deviation, of the regression head and of joint models.
    """

    probability: torch.Tensor
    log_oh: torch.Tensor | None = None
    log_oh_err: torch.Tensor | None = None


def loss(
    outputs: torch.Tensor,
    index: torch.Tensor,
    value: torch.Tensor,
    target: Target,
    class_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean loss of a batch.

    Parameters
    ----------
    outputs : tensor of float, shape (B, n_outputs)
    index : tensor of int64, shape (B,)
        Places in ``class_ids``; -1, a class that is not among them, does not count.
    value : tensor of float32, shape (B,)
        12 + log(O/H), NaN where there is none; such spaxels do not count in a regression.
    target : Target
    class_weights : tensor of float32, shape (n_class,), optional

    Returns
    -------
    tensor of float, a scalar
        0 if no spaxel counts.
    """
    outputs = outputs.float()
    if target.task == "joint":
        n_class = len(target.class_ids)
        total = _cross_entropy(outputs[:, :n_class], index, class_weights)
        return total + _gaussian(outputs[:, n_class:], value, target)
    if target.head == "regression":
        return _gaussian(outputs, value, target)
    if target.head == "ordinal":
        # Cumulative logits: each output tells whether the class lies above a threshold.
        levels = torch.arange(outputs.shape[1], device=outputs.device)
        above = (index[:, None] > levels).float()
        weight = None if class_weights is None else class_weights[index][:, None]
        return functional.binary_cross_entropy_with_logits(outputs, above, weight=weight)
    return _cross_entropy(outputs, index, class_weights)


def _cross_entropy(
    logits: torch.Tensor, index: torch.Tensor, class_weights: torch.Tensor | None
) -> torch.Tensor:
    if bool((index < 0).all()):  # the mean over nothing would be NaN
        return 0.0 * logits.sum()
    return functional.cross_entropy(logits, index, weight=class_weights, ignore_index=-1)


def _gaussian(outputs: torch.Tensor, value: torch.Tensor, target: Target) -> torch.Tensor:
    """Negative logarithm of the likelihood of a normal distribution, without its constant."""
    known = torch.isfinite(value)
    wanted = (torch.where(known, value, target.mean) - target.mean) / target.scale
    log_variance = outputs[:, 1].clamp(*_LOG_VARIANCE_RANGE)
    each = 0.5 * (log_variance + (outputs[:, 0] - wanted) ** 2 * torch.exp(-log_variance))
    return torch.sum(each * known) / known.sum().clamp(min=1)


def interpret(outputs: torch.Tensor, target: Target) -> Interpretation:
    """Probabilities and abundances of a network's outputs.

    Parameters
    ----------
    outputs : tensor of float, shape (B, n_outputs)
    target : Target

    Returns
    -------
    Interpretation
    """
    outputs = outputs.double()
    if target.task == "joint":
        n_class = len(target.class_ids)
        mean, sigma = _mean_and_sigma(outputs[:, n_class:], target)
        return Interpretation(torch.softmax(outputs[:, :n_class], dim=1), mean, sigma)
    if target.head == "regression":
        mean, sigma = _mean_and_sigma(outputs, target)
        edges = torch.tensor(target.edges, dtype=torch.float64, device=outputs.device)
        below = 0.5 * (1.0 + torch.erf((edges - mean[:, None]) / (_SQRT2 * sigma[:, None])))
        return Interpretation(_differences(below), mean, sigma)
    if target.head == "ordinal":
        # Thresholds that cross would give negative probabilities.
        below = torch.cummax(1.0 - torch.sigmoid(outputs), dim=1).values
        probability = _differences(below)
    else:
        probability = torch.softmax(outputs, dim=1)
    if target.task == "BPT":
        return Interpretation(probability)
    centres = torch.as_tensor(target.centres, device=outputs.device)
    return Interpretation(probability, probability @ centres)


def _mean_and_sigma(outputs: torch.Tensor, target: Target) -> tuple[torch.Tensor, torch.Tensor]:
    mean = target.mean + target.scale * outputs[:, 0]
    sigma = target.scale * torch.exp(0.5 * outputs[:, 1].clamp(*_LOG_VARIANCE_RANGE))
    return mean, sigma


def _differences(below: torch.Tensor) -> torch.Tensor:
    """Probability of each class, from the cumulative probabilities at the edges."""
    zero, one = torch.zeros_like(below[:, :1]), torch.ones_like(below[:, :1])
    return torch.diff(torch.cat([zero, below, one], dim=1), dim=1)
