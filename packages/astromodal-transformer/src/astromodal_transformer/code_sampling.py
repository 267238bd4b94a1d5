"""Draw the codes of whole spectra or cutouts, so that their parts fit one another."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from astromodal_transformer.answering import Answerer
from astromodal_transformer.batches import causal_batch
from astromodal_transformer.counter_random import uniform
from astromodal_transformer.distributions import sample_codes
from astromodal_transformer.masking import listed

__all__ = ["generate_codes"]

Codes = NDArray[np.uint16]

_STREAM, _ORDER = 200, 201


def generate_codes(
    answerer: Answerer,
    codes: Codes,
    visible: NDArray[np.bool_],
    slots: NDArray[np.int64],
    *,
    samples: int,
    seed: int,
    rounds: int = 8,
) -> Codes:
    """Draw the codes of slots of one source, each with regard to those drawn before.

    The causal model draws one after the other and keeps keys and values of what it has seen. The
    masked model draws the scale of a spectrum first, then its pixels in rounds, several at a time
    (Chang et al. 2022, CVPR, 11315).

    Parameters
    ----------
    answerer : Answerer
    codes : ndarray of uint16, shape (slots of the layout,)
    visible : ndarray of bool, same shape
    slots : ndarray of int64
        Wanted.
    samples : int
    seed : int
    rounds : int
        For the pixels, masked model.

    Returns
    -------
    ndarray of uint16, shape (samples, slots of the layout)
        The given codes with those that were drawn.
    """
    many = np.repeat(codes[None], samples, axis=0)
    numbers = np.arange(samples)
    draws = uniform(seed, _STREAM, 0, numbers, len(codes))
    if answerer.model.shape.objective == "causal":
        return _one_by_one(answerer, many, visible, slots, draws)
    seen = np.repeat(visible[None], samples, axis=0)
    for some in _rounds(answerer, slots, rounds, seed):
        for answers in answerer.answers(many, seen, some):
            for place, slot in enumerate(some.tolist()):
                p = answerer.probabilities(answers, place, slot)
                own = answers.rows
                many[own, slot] = sample_codes(p, draws[own, slot, None])[:, 0]
        seen[:, some] = True
    return many


def _rounds(
    answerer: Answerer, slots: NDArray[np.int64], rounds: int, seed: int
) -> list[NDArray[np.int64]]:
    """Slots of codebooks with few tokens first, coarse to fine; the rest spread at random."""
    layout = answerer.layout
    blocks = layout.block[slots]
    counts = np.bincount(blocks)
    few = np.array([counts[b] <= 64 for b in blocks], dtype=bool)
    result = [slots[few][start::4] for start in range(4)]
    draw = uniform(seed, _ORDER, 0, np.zeros(1, dtype=np.int64), layout.size)[0]
    rest = slots[~few]
    rest = rest[np.argsort(draw[rest], kind="stable")]
    result += list(np.array_split(rest, rounds))
    return [part for part in result if len(part)]


def _one_by_one(
    answerer: Answerer,
    many: Codes,
    visible: NDArray[np.bool_],
    slots: NDArray[np.int64],
    draws: NDArray[np.float32],
) -> Codes:
    model, layout = answerer.model, answerer.layout
    device = next(model.parameters()).device
    choice = listed(np.repeat(visible[None], len(many), axis=0))
    batch = causal_batch(layout, model.vocabulary, many, choice).to(device)
    offsets = [block.offset for block in model.vocabulary.blocks]
    with torch.inference_mode():
        following = torch.cat(
            [batch.slots[:, 1:], torch.full_like(batch.slots[:, :1], int(slots[0]))], dim=1
        )
        batch.query_slots = following
        hidden, cache = model.encode(batch)
        hidden = hidden[:, -1:]
        for place, slot in enumerate(slots.tolist()):
            block = int(layout.block[slot])
            p = torch.softmax(model.logits(hidden[:, 0], block), dim=1).cpu().numpy()
            many[:, slot] = sample_codes(p, draws[:, slot, None])[:, 0]
            if place + 1 == len(slots):
                break
            token = torch.from_numpy(many[:, slot].astype(np.int64) + offsets[block])
            own = torch.full((len(many), 1), slot, device=device)
            following = torch.full_like(own, int(slots[place + 1]))
            hidden, cache = model.step(token[:, None].to(device), own, following, cache)
    return many
