"""Codes of sources to the tensors that the network takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from astromodal_transformer.configuration import Configuration
from astromodal_transformer.layout import BOS_SLOT, Layout
from astromodal_transformer.masking import Choice, choose_masked, choose_order
from astromodal_transformer.store import TokenStore
from astromodal_transformer.vocabulary import Vocabulary

__all__ = ["Batch", "Batcher", "Drawn", "causal_batch", "masked_batch"]

Codes = NDArray[np.uint16]


@dataclass
class Batch:
    """Sequences side by side.

    Attributes
    ----------
    tokens : Tensor of int64, shape (B, N)
        Numbers of the vocabulary, BOS first.
    slots : Tensor of int64, shape (B, N)
    lengths : Tensor of int64, shape (B,), or None
        Tokens of each row; None if all have N.
    query_slots : Tensor of int64, shape (B, M)
        What is asked for. In the causal model M = N, and each query is answered by what has been
        seen up to its place.
    targets : Tensor of int64, shape (B, M)
        Codes of the queries within their codebook; -1 where nothing is asked.
    """

    tokens: Tensor
    slots: Tensor
    lengths: Tensor | None
    query_slots: Tensor
    targets: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The batch on another device."""
        return self._each(lambda value: value.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch where a GPU can fetch it."""
        return self._each(lambda value: value.pin_memory())

    def _each(self, done: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            done(self.tokens),
            done(self.slots),
            None if self.lengths is None else done(self.lengths),
            done(self.query_slots),
            done(self.targets),
        )

    @property
    def num_tokens(self) -> int:
        """Tokens that are seen or asked for, without filling (int)."""
        seen = self.tokens.numel() if self.lengths is None else int(self.lengths.sum())
        return seen + int((self.targets >= 0).sum())

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name, for a file."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: value.cpu().contiguous() for name, value in named.items() if value is not None
        }


def masked_batch(
    layout: Layout, vocabulary: Vocabulary, codes: Codes, visible: Choice, queries: Choice
) -> Batch:
    """Sequences of the masked model: what is seen, and what is asked for.

    Parameters
    ----------
    layout : Layout
    vocabulary : Vocabulary
    codes : ndarray of uint16, shape (n, slots)
    visible, queries : Choice

    Returns
    -------
    Batch
    """
    tokens, slots = _sequence(layout, vocabulary, codes, visible)
    lengths = None
    if (visible.lengths != visible.slots.shape[1]).any():
        lengths = torch.from_numpy(visible.lengths + 1)
    targets = np.take_along_axis(codes, queries.slots, axis=1).astype(np.int64)
    targets[np.arange(queries.slots.shape[1]) >= queries.lengths[:, None]] = -1
    targets[targets == vocabulary.missing] = -1
    return Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(slots),
        lengths,
        torch.from_numpy(queries.slots),
        torch.from_numpy(targets),
    )


def causal_batch(layout: Layout, vocabulary: Vocabulary, codes: Codes, order: Choice) -> Batch:
    """Sequences of the causal model: each token is asked for from those before it.

    Parameters
    ----------
    layout : Layout
    vocabulary : Vocabulary
    codes : ndarray of uint16, shape (n, slots)
    order : Choice

    Returns
    -------
    Batch
    """
    tokens, slots = _sequence(layout, vocabulary, codes, order)
    following = np.concatenate([slots[:, 1:], np.zeros((len(slots), 1), dtype=np.int64)], axis=1)
    targets = np.full(slots.shape, -1, dtype=np.int64)
    own = np.take_along_axis(codes, order.slots, axis=1).astype(np.int64)
    own[np.arange(order.slots.shape[1]) >= order.lengths[:, None]] = -1
    targets[:, :-1] = own
    # The filling stands after the tokens, which therefore never see it: no lengths are needed.
    return Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(slots),
        None,
        torch.from_numpy(following),
        torch.from_numpy(targets),
    )


def _sequence(
    layout: Layout, vocabulary: Vocabulary, codes: Codes, choice: Choice
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    offsets = np.array([block.offset for block in vocabulary.blocks] + [0], dtype=np.int64)
    count, width = choice.slots.shape
    slots = np.full((count, 1 + width), BOS_SLOT, dtype=np.int64)
    slots[:, 1:] = choice.slots
    tokens = np.full((count, 1 + width), vocabulary.specials["BOS"], dtype=np.int64)
    own = np.take_along_axis(codes, choice.slots, axis=1).astype(np.int64)
    inside = np.arange(width) < choice.lengths[:, None]
    number = own + offsets[layout.block[choice.slots]]
    tokens[:, 1:] = np.where(inside, number, vocabulary.specials.get("PAD", 0))
    return tokens, slots


@dataclass(frozen=True)
class Drawn:
    """Sources with what is seen of them and asked for; queries are None in the causal model."""

    codes: Codes
    visible: Choice
    queries: Choice | None


class Batcher:
    """Makes the batches of training and validation.

    Parameters
    ----------
    store : TokenStore
    configuration : Configuration
    visible_tokens, query_tokens : int
        Per source at most.
    query_weights : ndarray of float64, shape (slots,), optional
        How readily slots are asked for, see `choose_masked`.
    questions : ndarray of bool, shape (q, slots), optional
        What is shown of some sources, see `choose_masked`.
    """

    def __init__(
        self,
        store: TokenStore,
        configuration: Configuration,
        visible_tokens: int,
        query_tokens: int,
        query_weights: NDArray[np.float64] | None = None,
        questions: NDArray[np.bool_] | None = None,
    ) -> None:
        self.store = store
        self.configuration = configuration
        most = configuration.sequences.max_tokens - 1
        self.visible_tokens = min(visible_tokens, most)
        self.query_tokens = query_tokens
        self.query_weights = query_weights
        self.questions = questions

    def batch(self, rows: NDArray[np.int64], turn: int) -> Batch:
        """A batch of rows as they are drawn in a pass over the data.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
        turn : int

        Returns
        -------
        Batch
        """
        return self.assembled(self.drawn(rows, turn), np.arange(len(rows)))

    def drawn(self, rows: NDArray[np.int64], turn: int) -> Drawn:
        """Draw what is seen and asked for of rows in a pass over the data.

        A row beyond the end of the store is a further view of a source: the same tokens, of which
        others are hidden.
        """
        layout, configuration = self.store.layout, self.configuration
        codes = self.store.codes(rows % len(self.store))
        known = codes != self.store.vocabulary.missing
        seed = configuration.seed
        if configuration.model.objective == "causal":
            shuffle = configuration.sequences.shuffle
            most = self.visible_tokens
            order = choose_order(layout, known, rows, seed, turn, most, shuffle=shuffle)
            return Drawn(codes, order, None)
        visible, queries = choose_masked(
            layout,
            known,
            rows,
            configuration.masking,
            seed,
            turn,
            self.visible_tokens,
            self.query_tokens,
            self.query_weights,
            self.questions,
        )
        return Drawn(codes, visible, queries)

    def assembled(self, drawn: Drawn, places: NDArray[np.int64]) -> Batch:
        """Put some of the rows that were drawn into a batch."""
        layout, vocabulary = self.store.layout, self.store.vocabulary
        codes, visible = drawn.codes[places], drawn.visible.part(places)
        if drawn.queries is None:
            return causal_batch(layout, vocabulary, codes, visible)
        return masked_batch(layout, vocabulary, codes, visible, drawn.queries.part(places))
