"""The network, in one file, to be read from the bottom up.

A sequence is a set of tokens, each with its slot: the codebook it comes from, the group it belongs
to and its place there. The masked model lets all tokens that are seen look at one another, and lets
each query look at all of them; the causal model lets each token look at those before it and answers
for the slot that comes next. Both need no mask in the attention: queries are rows without a key,
and the causal order is a flag.

Codes are no mere names. A token's vector is made of what its code stands for (bin centre, centroid)
through a few fixed functions, shared by all columns and scaled for each, with or without a vector
of its own; the same functions turn the answer into logits, so that neighbouring bins begin as
neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from astromodal_transformer.batches import Batch
from astromodal_transformer.code_features import code_features
from astromodal_transformer.layout import Layout
from astromodal_transformer.loss import LossTerms, Tables, token_loss
from astromodal_transformer.shape import ModelShape
from astromodal_transformer.vocabulary import Vocabulary

__all__ = ["Cache", "Transformer"]

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, shape (B, heads, N, head)."""


# Width of the digest, in units of the model's.
_DIGEST_FACTOR = 3
# Share of the digest's channels that begin as differences within a group, and how much larger
# these begin: colours vary far less than magnitudes.
_DIFFERENCES, _DIFFERENCE_GAIN = 0.75, 8.0
# What fixed functions other than the value itself contribute to the digest at first.
_CURVED_SHARE = 0.3
# Logits have a steep scale, so that weights of order one can give narrow distributions.
_LOGIT_SCALE, _FIRST_OUTPUT_GAIN = 6.0, 0.4


class RMSNorm(nn.Module):
    """Division by the root mean square (Zhang & Sennrich 2019, NeurIPS 32)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (..., width) is kept."""
        return functional.rms_norm(x, (x.shape[-1],), self.weight, 1e-6)


def _norm(kind: str, width: int) -> nn.Module:
    return RMSNorm(width) if kind == "rms" else nn.LayerNorm(width, bias=False)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn pairs of channels by the angles of a position (Su et al. 2021, arXiv:2104.09864).

    Parameters
    ----------
    x : Tensor, shape (B, heads, N, head)
    angles : Tensor, shape (B, 1, N, head / 2)
    """
    a, b = x.float().chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


class Layer(nn.Module):
    """Attention and a feed-forward network, each after a norm and beside an identity."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        d = shape.d_model
        self.heads = shape.heads
        self.dropout = shape.dropout
        self.causal = shape.objective == "causal"
        self.attention_norm = _norm(shape.norm, d)
        self.attention_in = nn.Linear(d, 3 * d, bias=False)
        self.attention_out = nn.Linear(d, d, bias=False)
        self.feed_norm = _norm(shape.norm, d)
        self.feed_in = nn.Linear(d, shape.feed_forward, bias=False)
        self.feed_out = nn.Linear(shape.feed_forward, d, bias=False)

    def forward(
        self,
        x: Tensor,  # (B, L, d)
        seen: int,
        mask: Tensor | None,  # (B, 1, 1, seen)
        angles: tuple[Tensor, Tensor] | None,
        cache: tuple[Tensor, Tensor] | None = None,
        first: int = 0,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The first `seen` rows have keys; the others only look at them, and at the cache.

        Rows before `first` give their keys and values, and nothing else is asked of them: what is
        returned, shape (B, L - first, d), begins after them.
        """
        B, L, d = x.shape
        normed = self.attention_norm(x)
        weight = self.attention_in.weight.to(normed.dtype)
        q = self._heads(normed[:, first:] @ weight[:d].T)
        k, v = (
            self._heads(own) for own in (normed[:, :seen] @ weight[d:].T).split(d, dim=2)
        )  # (B, heads, seen, head)
        x = x[:, first:]
        L = L - first
        if angles is not None:
            q, k = rotate(q, angles[0][:, :, first:]), rotate(k, angles[1][:, :, :seen])
        if cache is not None:
            k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
        mixed = functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal and cache is None,
        )
        x = x + self._dropped(self.attention_out(mixed.transpose(1, 2).reshape(B, L, d)))
        inner = functional.gelu(self.feed_in(self.feed_norm(x)), approximate="tanh")
        return x + self._dropped(self.feed_out(inner)), (k, v)

    def _heads(self, x: Tensor) -> Tensor:
        B, L, d = x.shape
        return x.reshape(B, L, self.heads, d // self.heads).transpose(1, 2)

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x


class Digest(nn.Module):
    """What is seen in a few vectors: of each group, and of all together.

    Small differences of many large numbers, as colours are of magnitudes, take attention long to
    learn; here most channels begin as such differences. Tokens are summed, weighted by slot, then
    three layers follow. A sum over a set hangs on no order (Zaheer et al. 2017, NeurIPS 30); what a
    token adds to it does not depend on which others are there. What a group tells by itself stands
    beside what all tell together, so that one more measurement does not blur what was known
    without it.

    Parameters
    ----------
    block, group : Tensor of int64, shape (slots,)
    single : Tensor of bool, shape (kinds,)
        Kinds of codes that stand for one number.
    features : int
        Fixed functions of a code.
    width, out : int
        Of the sum, and of the vectors.
    """

    def __init__(
        self, block: Tensor, group: Tensor, single: Tensor, features: int, width: int, out: int
    ) -> None:
        super().__init__()
        self.slot_scale: Tensor
        self.register_buffer("slot_scale", _digest_scale(block, group), persistent=False)
        self.slot_group: Tensor
        self.register_buffer("slot_group", group, persistent=False)
        self.groups = int(group.max()) + 1
        self.slot_gain = nn.Parameter(_digest_gain(block, group, width))
        self.slot_embedding = nn.Parameter(torch.randn(len(block), width) * 0.1)
        projection = torch.randn(len(single), features, width) / math.sqrt(features)
        projection[single] *= _CURVED_SHARE
        projection[single, 0] = 1.0
        self.projection = nn.Parameter(projection)
        self.of_all, self.of_group = (_three_layers(width, out) for _ in range(2))

    def forward(
        self,
        codes: Tensor,  # (B, N, features), functions of the tokens
        kinds: Tensor,  # (B, N)
        slots: Tensor,  # (B, N)
        lengths: Tensor | None,  # (B,)
    ) -> Tensor:
        """What is added to the tokens, shape (B, N, out).

        The first token of each group gets what its group tells, BOS what all groups tell, one by
        one and together; the other tokens get nothing.
        """
        content = _projected(codes.flatten(0, 1), self.projection, kinds.flatten())
        scale = self.slot_scale[:, None]
        gain = functional.embedding(slots, scale * self.slot_gain)
        each = content.view(*slots.shape, -1) * gain.to(content.dtype)
        each = each + functional.embedding(slots, scale * self.slot_embedding)
        member = functional.one_hot(self.slot_group[slots], self.groups)  # (B, N, groups)
        if lengths is not None:
            inside = torch.arange(slots.shape[1], device=slots.device) < lengths[:, None]
            member = member * inside[:, :, None]
        sums = member.to(each.dtype).transpose(1, 2) @ each  # (B, groups, width)
        # By its slot, not by its place: the order of the tokens does not matter.
        absent = len(self.slot_group)
        lowest = torch.where(member > 0, slots[:, :, None], absent).amin(dim=1, keepdim=True)
        at_bos = member.amax(dim=1, keepdim=True)
        heard = torch.cat([at_bos, member[:, 1:] * (slots[:, 1:, None] == lowest)], dim=1)
        # A source has few of the groups.
        present = at_bos.flatten().nonzero()[:, 0]
        told = self.of_group(sums.flatten(0, 1)[present])
        own = told.new_zeros(at_bos.numel(), told.shape[1]).index_copy(0, present, told)
        own = own.view(*sums.shape[:2], -1)
        whole = self.of_all(sums.sum(dim=1))[:, None]
        added = heard.to(own.dtype) @ own
        return torch.cat([added[:, :1] + whole, added[:, 1:]], dim=1)


def _three_layers(width: int, out: int) -> nn.Sequential:
    bend = nn.GELU(approximate="tanh")
    first, second = nn.Linear(width, width), nn.Linear(width, width)
    return nn.Sequential(first, bend, second, bend, nn.Linear(width, out))


def _digest_scale(block: Tensor, group: Tensor) -> Tensor:
    """Weight of each slot: codebooks of a group add up, tokens of one codebook are averaged."""
    slots = torch.bincount(block)[block]
    pairs = torch.unique(torch.stack([group, block]), dim=1)
    blocks = torch.bincount(pairs[0])[group]
    return 1.0 / (slots * blocks.sqrt())


def _digest_gain(block: Tensor, group: Tensor, width: int) -> Tensor:
    """First weights of the slots: for most channels those of a survey's columns add up to zero."""
    gain = torch.randn(len(group), width)
    column = torch.bincount(block)[block] == 1
    count = torch.bincount(group[column], minlength=int(group.max()) + 1)
    total = torch.zeros(len(count), width).index_add_(0, group[column], gain[column])
    channels = int(_DIFFERENCES * width)
    apart = (column & (count[group] > 1))[:, None] & (torch.arange(width) < channels)
    mean = (total / count.clamp(min=1)[:, None])[group]
    return torch.where(apart, _DIFFERENCE_GAIN * (gain - mean), gain)


class Transformer(nn.Module):
    """The model: tokens with their slots in, logits of queried slots out.

    Parameters
    ----------
    shape : ModelShape
    vocabulary : Vocabulary
    slots : dict of str to ndarray
        ``block``, ``group`` and ``position`` of each slot, as in `Layout`.
    centroids : sequence of ndarray of float32, shape (size, dimensions)
        Of each block in standardised units.
    """

    def __init__(
        self,
        shape: ModelShape,
        vocabulary: Vocabulary,
        slots: dict[str, NDArray[Any]],
        centroids: Sequence[NDArray[np.float32]],
    ) -> None:
        super().__init__()
        if shape.d_model % shape.heads or (shape.d_model // shape.heads) % 4:
            raise ValueError("d_model is no multiple of 4 * heads")
        self.shape = shape
        self.vocabulary = vocabulary
        self.gradient_checkpointing = False
        self._add_slots(slots)
        self._add_codes(centroids)
        d, blocks = shape.d_model, len(vocabulary.blocks)
        self.block_embedding = nn.Parameter(torch.randn(blocks + 1, d) * 0.5)
        self.group_embedding = nn.Parameter(torch.randn(int(self.slot_group.max()) + 1, d) * 0.2)
        learned = shape.positions == "learned"
        self.slot_embedding = (
            nn.Parameter(torch.randn(len(self.slot_block), d) * 0.1) if learned else None
        )
        # Small, so that what a query hears from the source soon outweighs what it is.
        self.query_embedding = nn.Parameter(torch.randn(blocks + 1, d) * 0.1)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.final_norm = _norm(shape.norm, d)
        self.digest = self._new_digest() if shape.digest else None
        self._initialise()

    @classmethod
    def for_layout(
        cls,
        shape: ModelShape,
        vocabulary: Vocabulary,
        layout: Layout,
        centroids: Sequence[NDArray[np.float32]],
    ) -> Transformer:
        """The model for the slots of a layout."""
        slots: dict[str, NDArray[Any]] = {
            "block": layout.block,
            "group": layout.group,
            "position": layout.position,
        }
        return cls(shape, vocabulary, slots, centroids)

    def _add_slots(self, slots: dict[str, NDArray[Any]]) -> None:
        self.slot_block: Tensor
        self.slot_group: Tensor
        self.slot_position: Tensor
        for name in ("block", "group"):
            self.register_buffer(f"slot_{name}", torch.from_numpy(slots[name].astype(np.int64)))
        position = torch.from_numpy(slots["position"].astype(np.float32))
        self.register_buffer("slot_position", position)
        self.slot_angles: Tensor
        self.register_buffer("slot_angles", self._angles_of_slots(), persistent=False)

    def _angles_of_slots(self) -> Tensor:
        """Shape (slots, head / 2): two coordinates share the channels of a head."""
        pairs = self.shape.d_model // self.shape.heads // 4
        position = self.slot_position
        rates = 100.0 ** (-torch.arange(pairs, dtype=torch.float32, device=position.device) / pairs)
        return torch.cat([position[:, :1] * rates, position[:, 1:] * rates], dim=1)

    def _add_codes(self, centroids: Sequence[NDArray[np.float32]]) -> None:
        """Centroids, features, and what projects them."""
        shape, vocabulary = self.shape, self.vocabulary
        d, blocks = shape.d_model, len(vocabulary.blocks)
        self.dimensions = [c.shape[1] for c in centroids]
        table = torch.zeros(vocabulary.size, max(self.dimensions))
        for block, own in zip(vocabulary.blocks, centroids, strict=True):
            table[block.offset : block.offset + block.size, : own.shape[1]] = torch.from_numpy(own)
        self.centroids: Tensor
        self.register_buffer("centroids", table)
        self.free = None
        self.projection = None
        if shape.embedding in ("free", "both"):
            self.free = nn.Parameter(torch.randn(vocabulary.size, d) * 0.02)
        # All columns share a projection; a spectrum's pixels, levels and so on have their own.
        shared = {"scalar": 0}
        self.projector: Tensor
        numbers = [
            0 if b.kind == "scalar" else shared.setdefault(b.name, len(shared))
            for b in vocabulary.blocks
        ]
        self.register_buffer("projector", torch.tensor([*numbers, 0]), persistent=False)
        self.projectors = len(shared)
        self.features: Tensor | None
        self.register_buffer("features", None, persistent=False)
        if shape.embedding in ("codebook", "both"):
            features = self._features()
            width = features.shape[1]
            self.register_buffer("features", features, persistent=False)
            self.projection = nn.Parameter(torch.randn(self.projectors, width, d) / width**0.5)
            if not shape.tie_weights:
                self.output_projection = nn.Parameter(self.projection.detach().clone())
            self.gain = nn.Parameter(1.0 + 0.5 * torch.randn(blocks + 1, d))
            self.output_gain = nn.Parameter(_FIRST_OUTPUT_GAIN * self.gain.detach())
        if self.free is not None and not shape.tie_weights:
            self.output_free = nn.Parameter(torch.randn(vocabulary.size, d) * 0.02)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary.size))

    def _new_digest(self) -> Digest:
        single = torch.zeros(self.projectors, dtype=torch.bool)
        for number, dimensions in zip(self.projector.tolist(), self.dimensions, strict=False):
            single[number] = dimensions == 1 and self.features is not None
        return Digest(
            self.slot_block,
            self.slot_group,
            single,
            self.shape.d_model if self.features is None else self.features.shape[1],
            _DIGEST_FACTOR * self.shape.d_model,
            self.shape.d_model,
        )

    def _features(self) -> Tensor:
        own = []
        for block, dimensions in zip(self.vocabulary.blocks, self.dimensions, strict=True):
            rows = self.centroids[block.offset : block.offset + block.size, :dimensions]
            own.append(code_features(rows, ordered=dimensions == 1))
        width = max(part.shape[1] for part in own)
        result = torch.zeros(self.vocabulary.size, width, device=self.centroids.device)
        for block, part in zip(self.vocabulary.blocks, own, strict=True):
            result[block.offset : block.offset + block.size, : part.shape[1]] = part
        return result

    def refresh(self) -> None:
        """Derive anew what follows from centroids and positions, once these have been loaded."""
        if self.features is not None:
            self.features = self._features()
        self.slot_angles = self._angles_of_slots()

    def _initialise(self) -> None:
        # Depth-scaled as in GPT-2 (Radford et al. 2019), so that the sum of all layers stays small.
        deep = 1.0 / math.sqrt(2.0 * self.shape.layers)
        for layer in self.layers:
            for module in layer.modules():
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=1.0 / math.sqrt(module.in_features))
            for last in (layer.attention_out, layer.feed_out):
                assert isinstance(last, nn.Linear)  # noqa: S101 - for the type checker
                with torch.no_grad():
                    last.weight.mul_(deep)

    def embedded(self, tokens: Tensor, slots: Tensor) -> Tensor:
        """Vectors of tokens in their slots, shape (B, N, d)."""
        block = self.slot_block[slots]
        x = self.block_embedding[block] + self.group_embedding[self.slot_group[slots]]
        if self.slot_embedding is not None:
            x = x + functional.embedding(slots, self.slot_embedding)
        if self.free is not None:
            x = x + functional.embedding(tokens, self.free) * math.sqrt(self.shape.d_model)
        if self.projection is not None and self.features is not None:
            flat = functional.embedding(tokens.flatten(), self.features)
            fixed = _projected(flat, self.projection, self.projector[block.flatten()])
            x = x + fixed.view(*tokens.shape, -1) * self.gain[block]
        return x

    def _begun(self, batch: Batch) -> Tensor:
        """Vectors of the tokens of a batch, with the digest in the first ones of the groups."""
        x = self.embedded(batch.tokens, batch.slots)
        if self.digest is None:
            return x
        table = self.free if self.features is None else self.features
        assert table is not None  # noqa: S101 - for the type checker
        codes = functional.embedding(batch.tokens, table)
        kinds = self.projector[self.slot_block[batch.slots]]
        added: Tensor = self.digest(codes, kinds, batch.slots, batch.lengths)
        return x + added

    def _asking(self, slots: Tensor) -> Tensor:
        x = self.query_embedding[self.slot_block[slots]]
        if self.slot_embedding is not None:
            x = x + functional.embedding(slots, self.slot_embedding)
        return x

    def _angles(self, slots: Tensor) -> Tensor | None:
        if self.slot_embedding is not None:
            return None
        return self.slot_angles[slots][:, None]  # (B, 1, N, head / 2)

    def run(
        self,
        x: Tensor,
        seen: int,
        mask: Tensor | None,
        angles: tuple[Tensor, Tensor] | None,
        cache: Cache | None = None,
        first: int = 0,
    ) -> tuple[Tensor, Cache]:
        """All layers.

        Parameters
        ----------
        x : Tensor, shape (B, L, d)
        seen : int
            Rows that have keys; the first ones.
        mask : Tensor of bool, or None
            Keys that are no filling.
        angles : pair of Tensor, or None
            Of queries and keys.
        cache : Cache, optional
            Keys and values of what came before.
        first : int
            Rows before this one are not returned, which saves their share of the last layer.

        Returns
        -------
        Tensor, shape (B, L - first, d)
        Cache
            Keys and values, those of the given cache included.
        """
        found: Cache = []
        for number, layer in enumerate(self.layers):
            before = None if cache is None else cache[number]
            start = first if number == len(self.layers) - 1 else 0
            if self.gradient_checkpointing and self.training:
                x, own = checkpoint(
                    layer, x, seen, mask, angles, before, start, use_reentrant=False
                )
            else:
                x, own = layer(x, seen, mask, angles, before, start)
            found.append(own)
        return cast("Tensor", self.final_norm(x)), found

    def hidden(self, batch: Batch) -> Tensor:
        """Answers to the queries of a batch, shape (B, M, d)."""
        x = self._begun(batch)
        asked = self._asking(batch.query_slots)
        own, other = self._angles(batch.slots), self._angles(batch.query_slots)
        seen = x.shape[1]
        if self.shape.objective == "causal":
            # A token also knows which slot it is asked for: the next one.
            angles = None if own is None or other is None else (other, own)
            return self.run(x + asked, seen, None, angles)[0]
        angles = None
        if own is not None and other is not None:
            both = torch.cat([own, other], dim=2)
            angles = (both, both)
        x = torch.cat([x, asked], dim=1)
        return self.run(x, seen, _key_mask(batch, seen), angles, first=seen)[0]

    def encode(self, batch: Batch) -> tuple[Tensor, Cache]:
        """What is seen, without queries: hidden states (B, N, d), keys and values (masked model).

        The causal model takes the queries of the batch as the slots that follow.
        """
        x = self._begun(batch)
        own = self._angles(batch.slots)
        if self.shape.objective == "causal":
            x = x + self._asking(batch.query_slots)
            other = self._angles(batch.query_slots)
            angles = None if own is None or other is None else (other, own)
            return self.run(x, x.shape[1], None, angles)
        return self.run(
            x, x.shape[1], _key_mask(batch, x.shape[1]), None if own is None else (own, own)
        )

    def answer(self, cache: Cache, query_slots: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Answers of the masked model from what `encode` has seen, shape (B, M, d)."""
        x = self._asking(query_slots)
        angles = self._angles(query_slots)
        mask = None
        if lengths is not None:
            mask = _within(lengths, cache[0][0].shape[2])
        both = None if angles is None else (angles, angles)
        return self.run(x, 0, mask, both, cache)[0]

    def step(
        self, tokens: Tensor, slots: Tensor, next_slots: Tensor, cache: Cache | None
    ) -> tuple[Tensor, Cache]:
        """One more token of the causal model, shape (B, 1) each; its answer for the next slot."""
        x = self.embedded(tokens, slots) + self._asking(next_slots)
        own, other = self._angles(slots), self._angles(next_slots)
        angles = None if own is None or other is None else (other, own)
        return self.run(x, x.shape[1], None, angles, cache)

    def _asked(self, hidden: Tensor, block: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """What is multiplied with learned and with fixed vectors, shapes (n, d) and (n, f)."""
        free = None if self.free is None else hidden
        if self.projection is None:
            return free, None
        projection = self.projection if self.shape.tie_weights else self.output_projection
        scaled = hidden * self.output_gain[block].to(hidden.dtype)
        turned = projection.transpose(1, 2) * (_LOGIT_SCALE / math.sqrt(self.shape.d_model))
        return free, _projected(scaled, turned, self.projector[block])

    def tables(self) -> Tables:
        """What turns answers into logits."""
        blocks = self.vocabulary.blocks
        free = self.free
        if free is not None and not self.shape.tie_weights:
            free = self.output_free
        return Tables(
            free,
            self.features,
            self.output_bias,
            [block.offset for block in blocks],
            [block.size for block in blocks],
            [
                self.centroids[block.offset : block.offset + block.size, :dimensions]
                for block, dimensions in zip(blocks, self.dimensions, strict=True)
            ],
        )

    def logits(self, hidden: Tensor, block: int) -> Tensor:
        """Logits of all codes of one codebook, shape (n, size), float32.

        Parameters
        ----------
        hidden : Tensor, shape (n, d)
            Answers.
        block : int
            Index of the codebook.
        """
        tables = self.tables()
        codes = slice(tables.offsets[block], tables.offsets[block] + tables.sizes[block])
        which = torch.full((len(hidden),), block, dtype=torch.int64, device=hidden.device)
        free, fixed = self._asked(hidden, which)
        result = tables.bias[codes].float().expand(len(hidden), -1)
        if free is not None and tables.free is not None:
            result = result + (free @ tables.free[codes].T).float()
        if fixed is not None and tables.features is not None:
            result = result + (fixed.float() @ tables.features[codes].T)
        return result

    def forward(
        self,
        batch: Batch,
        weights: Tensor,
        *,
        reconstruction: float = 1.0,
        cross_entropy: float = 1.0,
        chunk_elements: int = 1 << 20,
    ) -> LossTerms:
        """Loss of a batch: the sum over its queries, each with the weight of its codebook.

        Parameters
        ----------
        batch : Batch
        weights : Tensor of float32, shape (codebooks + 1,)
        reconstruction, cross_entropy : float
        chunk_elements : int

        Returns
        -------
        LossTerms
        """
        hidden = self.hidden(batch)
        asked = (batch.targets >= 0).reshape(-1).nonzero()[:, 0]
        hidden = hidden.reshape(-1, hidden.shape[-1]).index_select(0, asked)
        block = self.slot_block[batch.query_slots].reshape(-1).index_select(0, asked)
        target = batch.targets.reshape(-1).index_select(0, asked)
        free, fixed = self._asked(hidden, block)
        return token_loss(
            free,
            fixed,
            self.tables(),
            block,
            target,
            weights[block],
            reconstruction=reconstruction,
            cross_entropy=cross_entropy,
            chunk_elements=chunk_elements,
        )

    @property
    def num_parameters(self) -> int:
        """Learned numbers (int)."""
        return sum(parameter.numel() for parameter in self.parameters())


def _projected(x: Tensor, projection: Tensor, which: Tensor) -> Tensor:
    """Each row of x (n, a) times its own of the matrices (P, a, b)."""
    if len(projection) == 1:
        return x @ projection[0].to(x.dtype)
    order = torch.argsort(which, stable=True)
    counts = torch.bincount(which, minlength=len(projection)).tolist()
    parts = torch.split(x.index_select(0, order), counts)
    done = [
        part @ own.to(x.dtype) for part, own in zip(parts, projection, strict=True) if len(part)
    ]
    if not done:
        return x.new_zeros((0, projection.shape[2]))
    return torch.cat(done).index_select(0, torch.argsort(order))


def _key_mask(batch: Batch, seen: int) -> Tensor | None:
    return None if batch.lengths is None else _within(batch.lengths, seen)


def _within(lengths: Tensor, width: int) -> Tensor:
    inside = torch.arange(width, device=lengths.device) < lengths[:, None]
    return inside[:, None, None]
