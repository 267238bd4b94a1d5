"""Ask a trained model for slots of sources, given some of their modalities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from astromodal_transformer.batches import Batch, causal_batch, masked_batch
from astromodal_transformer.layout import Layout
from astromodal_transformer.masking import Choice, limited, listed
from astromodal_transformer.model import Cache, Transformer

__all__ = ["Answerer", "Answers"]

Codes = NDArray[np.uint16]


@dataclass(frozen=True)
class Answers:
    """Hidden states that answer queries of some rows.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Places in the array of codes.
    hidden : Tensor, shape (n, slots, d)
    """

    rows: NDArray[np.int64]
    hidden: Tensor


class Answerer:
    """A model with the slots that it knows.

    Parameters
    ----------
    model : Transformer
        Ready to answer.
    layout : Layout
    batch_size : int
    max_tokens : int
        Of a sequence.
    """

    def __init__(
        self, model: Transformer, layout: Layout, *, batch_size: int = 64, max_tokens: int = 4096
    ) -> None:
        self.model = model
        self.layout = layout
        self.batch_size = batch_size
        self.max_tokens = max_tokens
        self._device = next(model.parameters()).device

    def visible(
        self, codes: Codes, given: Sequence[str], hidden: Sequence[str] = ()
    ) -> NDArray[np.bool_]:
        """Which tokens may be seen: those of the given modalities that are there.

        Parameters
        ----------
        codes : ndarray of uint16, shape (n, slots)
        given, hidden : sequence of str
            Modalities; what is hidden is not seen, even if it is given.

        Returns
        -------
        ndarray of bool, shape (n, slots)
        """
        slots = np.zeros(self.layout.size, dtype=bool)
        slots[self.layout.slots(given)] = True
        slots[self.layout.slots(hidden)] = False
        seen = (codes != self.model.vocabulary.missing) & slots
        return limited(self.layout, seen, self.max_tokens - 1)

    def answers(
        self, codes: Codes, visible: NDArray[np.bool_], slots: NDArray[np.int64]
    ) -> Iterator[Answers]:
        """Answers for slots, batch by batch; rows of like length go together.

        Parameters
        ----------
        codes : ndarray of uint16, shape (n, slots of the layout)
        visible : ndarray of bool, same shape
        slots : ndarray of int64, shape (m,)
            Asked of every row. No answer depends on which others are asked.
        """
        choice = listed(visible)
        order = np.argsort(choice.lengths, kind="stable")
        for rows in self._parts(order, choice.lengths):
            with torch.inference_mode():
                yield Answers(rows, self._answered(codes[rows], choice.part(rows), slots))

    def probabilities(self, answers: Answers, place: int, slot: int) -> NDArray[np.float32]:
        """Probabilities of all codes of the codebook of a slot.

        Parameters
        ----------
        answers : Answers
        place : int
            Of the slot among those that were asked.
        slot : int

        Returns
        -------
        ndarray of float32, shape (n, size of the codebook)
        """
        with torch.inference_mode():
            block = int(self.layout.block[slot])
            logits = self.model.logits(answers.hidden[:, place], block)
            return np.asarray(torch.softmax(logits, dim=1).float().cpu().numpy())

    def embeddings(self, codes: Codes, visible: NDArray[np.bool_]) -> NDArray[np.float32]:
        """One vector per row: the mean of the final states of what is seen, BOS included.

        Parameters
        ----------
        codes : ndarray of uint16, shape (n, slots)
        visible : ndarray of bool, same shape

        Returns
        -------
        ndarray of float32, shape (n, d)
        """
        choice = listed(visible)
        order = np.argsort(choice.lengths, kind="stable")
        result = np.zeros((len(codes), self.model.shape.d_model), dtype=np.float32)
        for rows in self._parts(order, choice.lengths):
            own = choice.part(rows)
            with torch.inference_mode():
                batch = self._batch(codes[rows], own, np.empty(0, dtype=np.int64))
                hidden, _ = self.model.encode(batch)
                inside = torch.arange(hidden.shape[1]) <= torch.from_numpy(own.lengths)[:, None]
                weight = inside.to(hidden)[:, :, None]
                mean = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
                result[rows] = mean.float().cpu().numpy()
        return result

    def _parts(
        self, order: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> Iterator[NDArray[np.int64]]:
        if self.model.shape.objective == "masked":
            for start in range(0, len(order), self.batch_size):
                yield order[start : start + self.batch_size]
            return
        # The causal model answers after the last token, which must stand in the same place.
        for length in np.unique(lengths):
            same = order[lengths[order] == length]
            for start in range(0, len(same), self.batch_size):
                yield same[start : start + self.batch_size]

    def _batch(self, codes: Codes, choice: Choice, slots: NDArray[np.int64]) -> Batch:
        vocabulary = self.model.vocabulary
        if self.model.shape.objective == "causal":
            return causal_batch(self.layout, vocabulary, codes, choice).to(self._device)
        asked = np.broadcast_to(slots, (len(codes), len(slots))).copy()
        queries = Choice(asked, np.full(len(codes), len(slots)))
        return masked_batch(self.layout, vocabulary, codes, choice, queries).to(self._device)

    def _answered(self, codes: Codes, choice: Choice, slots: NDArray[np.int64]) -> Tensor:
        batch = self._batch(codes, choice, slots)
        if self.model.shape.objective == "masked":
            seen = self.model.encode(batch)[1]
            return self.model.answer(seen, batch.query_slots, batch.lengths)
        before = Batch(
            batch.tokens[:, :-1],
            batch.slots[:, :-1],
            None,
            batch.query_slots[:, :-1],
            batch.targets[:, :-1],
        )
        cache: Cache | None = None
        if before.tokens.shape[1]:
            cache = self.model.encode(before)[1]
        last_token, last_slot = batch.tokens[:, -1:], batch.slots[:, -1:]
        found = []
        for slot in slots.tolist():
            following = torch.full_like(last_slot, slot)
            found.append(self.model.step(last_token, last_slot, following, cache)[0])
        return torch.cat(found, dim=1)
