"""Which tokens of a source the model sees, and which it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astromodal_transformer.configuration import MaskingSettings
from astromodal_transformer.counter_random import uniform
from astromodal_transformer.layout import Layout

__all__ = ["Choice", "choose_masked", "choose_order", "limited", "listed", "slot_weights"]

Bool = NDArray[np.bool_]

# Streams of random numbers.
_WHOLE, _SHARE, _GROUP, _TOKEN, _QUERY, _ORDER, _INSIDE, _QUESTION, _PART = range(9)
# Above all random numbers, which are below 1.
_ALL = 2.0


@dataclass(frozen=True)
class Choice:
    """Slots of some sources.

    Attributes
    ----------
    slots : ndarray of int64, shape (n, width)
        Rising (or in the order of the sequence); 0 fills rows that are shorter.
    lengths : ndarray of int64, shape (n,)
    """

    slots: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def part(self, rows: NDArray[np.int64]) -> Choice:
        """Some of the rows, no wider than they need."""
        lengths = self.lengths[rows]
        return Choice(self.slots[rows, : int(lengths.max(initial=0))], lengths)


def slot_weights(layout: Layout) -> NDArray[np.float64]:
    """How readily a slot is chosen when there are too many (ndarray of float64, shape (slots,)).

    One over the root of the number of slots of its codebook: without it, the hundreds of pixels of
    a spectrum would leave no room for columns with one token each.
    """
    counts = np.bincount(layout.block)
    return np.asarray(1.0 / np.sqrt(counts[layout.block]))


def choose_masked(
    layout: Layout,
    known: Bool,
    rows: NDArray[np.int64],
    settings: MaskingSettings,
    seed: int,
    turn: int,
    most_visible: int,
    most_queries: int,
    query_weights: NDArray[np.float64] | None = None,
    questions: Bool | None = None,
) -> tuple[Choice, Choice]:
    """Draw what is shown and what is asked for in training.

    Of some sources whole groups (a spectrum, the cutouts, the columns of a survey) are hidden, but
    never all of them; of the other groups single tokens, each group by a share of its own. Some
    sources are shown just as they will be when the model is used, or so and with more besides, for
    who has one more measurement must not be told less. Queries are drawn from what is hidden; at
    least one token is.

    Parameters
    ----------
    layout : Layout
    known : ndarray of bool, shape (n, slots)
        Tokens that are there.
    rows : ndarray of int64, shape (n,)
        Number of each source, on which the draw depends together with `seed` and `turn`.
    settings : MaskingSettings
    seed, turn : int
    most_visible, most_queries : int
        Tokens per source.
    query_weights : ndarray of float64, shape (slots,), optional
        How readily a slot is asked for, in addition to `slot_weights`.
    questions : ndarray of bool, shape (q, slots), optional
        What is shown of ``masking.questions`` of the sources: one of the rows, all of it; of
        ``masking.besides`` of these some of the other tokens as well.

    Returns
    -------
    visible, queries : Choice
    """

    def drawn(stream: int, number: int) -> NDArray[np.float32]:
        return uniform(seed, stream, turn, rows, number)

    # Groups by themselves: of a source, one may be whole, one damaged and one gone.
    groups = len(layout.groups) + 1
    whole = drawn(_WHOLE, 1)[:, 0] < settings.whole_modality
    share = drawn(_SHARE, 1)
    group_draw, part_draw = drawn(_GROUP, groups), drawn(_PART, 2 * groups)
    low, high = settings.fewest_visible, settings.most_visible
    token_share = low + (high - low) * part_draw[:, :groups]
    # Where whole groups are hidden, half of the others are shown in full.
    token_share[whole[:, None] & (part_draw[:, groups:] < 0.5)] = _ALL
    token_share[whole[:, None] & (group_draw >= share)] = 0.0
    token_draw = drawn(_TOKEN, layout.size)
    kept = token_draw < token_share[:, layout.group]
    asked_with = np.zeros_like(kept)
    if questions is not None and len(questions) and settings.questions > 0.0:
        draw = drawn(_QUESTION, 3)
        like = np.flatnonzero(draw[:, 0] < settings.questions)
        asked_with[like] = questions[(draw[like, 1] * len(questions)).astype(np.int64)]
        besides = draw[like, 2] < settings.besides
        kept[like] = asked_with[like] | (kept[like] & besides[:, None])
    blind = np.flatnonzero(~(known & kept).any(axis=1))
    if len(blind):
        # From nothing, only the frequencies of codes can be learned: one group is shown.
        draw = np.where(known[blind], group_draw[blind][:, layout.group], _ALL)
        kept[blind] = draw == draw.min(axis=1, keepdims=True)
    visible = known & kept
    hidden = known & ~kept
    none = np.flatnonzero(~hidden.any(axis=1) & known.any(axis=1))
    if len(none):
        # Of all that is there one token is hidden, if possible none of the question.
        last = np.where(known[none], token_draw[none] - asked_with[none], -_ALL).argmax(axis=1)
        hidden[none, last] = True
        visible[none, last] = False
    weight = 1.0 / slot_weights(layout)
    order = drawn(_QUERY, layout.size)
    seen = _drawn(visible, order, weight, most_visible)
    if query_weights is not None:
        weight = weight / np.maximum(query_weights, 1e-6)
    asked = _drawn(hidden, order, weight, most_queries)
    return listed(seen), listed(asked)


def choose_order(
    layout: Layout,
    known: Bool,
    rows: NDArray[np.int64],
    seed: int,
    turn: int,
    most: int,
    *,
    shuffle: bool,
) -> Choice:
    """Draw the order of tokens for the causal model.

    Groups follow one another at random, so that any may be predicted from any; within a spectrum or
    an image the order is fixed, the columns of a survey are shuffled.

    Parameters
    ----------
    layout : Layout
    known : ndarray of bool, shape (n, slots)
    rows : ndarray of int64, shape (n,)
    seed, turn : int
    most : int
        Tokens per source.
    shuffle : bool
        False keeps the order of the slots.

    Returns
    -------
    Choice
    """
    weight = 1.0 / slot_weights(layout)
    kept = _drawn(known, uniform(seed, _QUERY, turn, rows, layout.size), weight, most)
    if not shuffle:
        return listed(kept)
    groups = uniform(seed, _GROUP, turn, rows, len(layout.groups) + 1)
    inside = uniform(seed, _INSIDE, turn, rows, layout.size)
    single = layout.single
    slots = np.arange(layout.size) / layout.size
    rank = groups.argsort(axis=1).argsort(axis=1)[:, layout.group]
    key = rank + np.where(single, inside, slots)
    key[~kept] = np.inf
    lengths = kept.sum(axis=1)
    width = int(lengths.max(initial=0))
    order = np.argsort(key, axis=1, kind="stable")[:, :width]
    order[np.arange(width) >= lengths[:, None]] = 0
    return Choice(order.astype(np.int64), lengths)


def limited(layout: Layout, chosen: Bool, most: int) -> Bool:
    """Keep so many tokens of a row at most, evenly from all codebooks, the same in every row."""
    if int(chosen.sum(axis=1).max(initial=0)) <= most:
        return chosen
    draw = uniform(0, _QUERY, 0, np.zeros(1, dtype=np.int64), layout.size)
    return _drawn(chosen, np.repeat(draw, len(chosen), axis=0), 1.0 / slot_weights(layout), most)


def _drawn(
    candidates: Bool, draw: NDArray[np.float32], weight: NDArray[np.float64], most: int
) -> Bool:
    """Keep so many of a row, with probabilities by weight (Efraimidis & Spirakis 2006, IPL 97)."""
    if int(candidates.sum(axis=1).max(initial=0)) <= most:
        return candidates
    # The largest u^(1/w) are kept: the smallest -ln(u) / w.
    key = -np.log(draw) * weight
    key[~candidates] = np.inf
    limit = np.partition(key, most, axis=1)[:, most]
    return np.asarray(candidates & (key < limit[:, None]))


def listed(chosen: Bool) -> Choice:
    """Slots that are chosen, in their order.

    Parameters
    ----------
    chosen : ndarray of bool, shape (n, slots)

    Returns
    -------
    Choice
    """
    lengths = chosen.sum(axis=1)
    width = int(lengths.max(initial=0))
    slots = np.zeros((len(chosen), width), dtype=np.int64)
    row, slot = np.nonzero(chosen)
    first = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    slots[row, np.arange(len(row)) - first[row]] = slot
    return Choice(slots, lengths)
