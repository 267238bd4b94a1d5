"""How often codes occur, and what follows for an untrained model and its loss."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from astromodal_transformer.model import Transformer
from astromodal_transformer.project import Project
from astromodal_transformer.store import TokenStore

__all__ = ["block_weights", "code_counts", "start_from_frequencies"]

# Sources from which frequencies of codes are counted.
_COUNTED = 8192
_ROWS_AT_A_TIME = 512
_LARGEST_WEIGHT = 10.0


def code_counts(project: Project, store: TokenStore, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each code of the vocabulary occurs among some of the training sources.

    Parameters
    ----------
    project : Project
    store : TokenStore
    rows : ndarray of int64, shape (n,)
        Of the training part.

    Returns
    -------
    ndarray of int64, shape (vocabulary,)
    """
    random = np.random.default_rng(project.configuration.seed)
    some = rows if len(rows) <= _COUNTED else random.choice(rows, _COUNTED, replace=False)
    offsets = np.array([block.offset for block in project.vocabulary.blocks] + [0])
    counts = np.zeros(project.vocabulary.size, dtype=np.int64)
    for part in np.array_split(np.sort(some), -(-len(some) // _ROWS_AT_A_TIME)):
        codes = store.codes(part)
        known = codes != project.vocabulary.missing
        numbers = codes.astype(np.int64) + offsets[project.layout.block]
        counts += np.bincount(numbers[known], minlength=len(counts))
    return counts


def start_from_frequencies(model: Transformer, counts: NDArray[np.int64]) -> None:
    """Let an untrained model answer with the frequencies of the codes."""
    with torch.no_grad():
        for block in model.vocabulary.blocks:
            own = counts[block.offset : block.offset + block.size] + 0.5
            frequency = torch.from_numpy(np.log(own / own.mean())).float()
            model.output_bias[block.offset : block.offset + block.size] = frequency


def block_weights(project: Project, counts: NDArray[np.int64]) -> torch.Tensor:
    """Weight of a query of each codebook in the loss.

    A codebook of which there are few tokens gets a larger one: the power ``loss.balance`` of the
    ratio of the most frequent to its own count per slot, ten at most, times the configured factor.

    Parameters
    ----------
    project : Project
    counts : ndarray of int64, shape (vocabulary,)
        How often each code occurs.

    Returns
    -------
    Tensor of float32, shape (codebooks + 1,)
        The last, of BOS, is 0.
    """
    settings = project.configuration.loss
    blocks = project.vocabulary.blocks
    slots = np.bincount(project.layout.block, minlength=len(blocks) + 1)[: len(blocks)]
    totals = np.array([counts[b.offset : b.offset + b.size].sum() for b in blocks])
    share = totals / np.maximum(slots, 1)
    ratio = share.max() / np.maximum(share, 1.0)
    weights = np.minimum(ratio**settings.balance, _LARGEST_WEIGHT)
    for pattern, factor in settings.weights.items():
        chosen = project.layout.slots(project.layout.matching([pattern], "loss.weights"))
        weights[np.unique(project.layout.block[chosen])] *= factor
    return torch.tensor([*weights.tolist(), 0.0], dtype=torch.float32)
