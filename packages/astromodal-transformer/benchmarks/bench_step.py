"""A step of training against a plain GPT step with logits over the whole vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from astro_common.benchmarking import (
    Result,
    median_ratio,
    note,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from astromodal_transformer.bench import BenchSettings, bench_batch, bench_model, loss_peak_bytes
from astromodal_transformer.memory import peak_tensor_bytes
from astromodal_transformer.training.module import parameter_groups


class PlainLayer(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(d, bias=False), nn.LayerNorm(d, bias=False)])
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.out = nn.Linear(d, d, bias=False)
        self.feed = nn.Sequential(
            nn.Linear(d, 4 * d, bias=False), nn.GELU(), nn.Linear(4 * d, d, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        rows, length, d = x.shape
        q, k, v = (
            part.view(rows, length, self.heads, d // self.heads).transpose(1, 2)
            for part in self.qkv(self.norms[0](x)).split(d, dim=2)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, d))
        return x + self.feed(self.norms[1](x))


class PlainGPT(nn.Module):
    """Tokens and positions in, logits of all numbers of the vocabulary out; weights tied."""

    def __init__(self, settings: BenchSettings) -> None:
        super().__init__()
        d = settings.d_model
        self.tokens = nn.Embedding(settings.vocabulary_size, d)
        self.places = nn.Embedding(settings.sequence_length, d)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.places.weight, std=0.02)
        self.layers = nn.ModuleList(PlainLayer(d, settings.heads) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(d, bias=False)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return plain_loss(self.norm(x).flatten(0, 1), self.tokens.weight, targets.flatten())


def plain_loss(hidden: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(hidden @ table.T, targets)


def main() -> None:
    options = parser(__doc__)
    for name, default in (("d-model", 256), ("layers", 4), ("sequence-length", 512)):
        options.add_argument(f"--{name}", type=int, default=default)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    settings = BenchSettings(
        d_model=chosen.d_model,
        layers=chosen.layers,
        sequence_length=chosen.sequence_length,
        seed=chosen.seed,
    )
    model = bench_model(settings)
    batch = bench_batch(settings, model, 0)
    blocks = model.vocabulary.blocks
    offsets = torch.tensor([*(block.offset for block in blocks), 0])
    numbers = batch.targets + offsets[model.slot_block[batch.query_slots]]
    weights = torch.ones(len(blocks) + 1)

    # The same loss, where the peer can give it: cross-entropy over the codes of each codebook.
    with torch.no_grad():
        found = model(batch, weights, reconstruction=0.0, cross_entropy=1.0)
        hidden = model.hidden(batch).flatten(0, 1)
        block = model.slot_block[batch.query_slots].flatten()
        wanted = torch.stack(
            [
                functional.cross_entropy(
                    model.logits(hidden[block == number], number),
                    batch.targets.flatten()[block == number],
                    reduction="sum",
                )
                for number in block.unique().tolist()
            ]
        ).sum()
    require(bool(torch.isclose(found.total, wanted, rtol=1e-4)), "cross-entropy")

    peer = PlainGPT(settings)
    optimizers = [torch.optim.AdamW(parameter_groups(own, 0.05), lr=3e-4) for own in (model, peer)]

    def ours() -> None:
        terms = model(batch, weights)
        (terms.total / terms.sums[:, 2].sum()).backward()
        _advance(model, optimizers[0])

    def plain() -> None:
        peer.loss(batch.tokens, numbers).backward()
        _advance(peer, optimizers[1])

    ours()
    plain()
    seconds = paired_seconds({"ours": ours, "plain GPT": plain}, chosen.repeats)
    note("memory of the losses")
    own_bytes = loss_peak_bytes(model, batch, weights, torch.float32)
    states = torch.randn(numbers.numel(), settings.d_model, requires_grad=True)
    table = torch.randn(settings.vocabulary_size, settings.d_model).mul_(0.02).requires_grad_()
    with peak_tensor_bytes(torch.device("cpu")) as measured:
        plain_loss(states, table, numbers.flatten()).backward()
    losses = paired_seconds(
        {
            "ours": lambda: loss_peak_bytes(model, batch, weights, torch.float32),
            "plain GPT": lambda: plain_loss(states, table, numbers.flatten()).backward(),
        },
        1,
    )
    work = (
        f"vocabulary {settings.vocabulary_size}, d_model {settings.d_model}, {settings.layers} "
        f"layers, {settings.batch_size} sequences of {settings.sequence_length} tokens, fp32, one "
        "thread; ours with both loss terms"
    )
    result = Result(
        "astromodal-transformer", "training step", work, versions=peer_versions("torch")
    )
    for name, values in seconds.items():
        result.measured(f"step, {name}", min(values))
    for name, peak in (("ours", own_bytes), ("plain GPT", measured.peak)):
        result.measured(f"loss and its gradient, {name}", min(losses[name]), peak / 1e6)
    gain = median_ratio(seconds["plain GPT"], seconds["ours"])
    result.at_least("tokens/s relative to plain GPT", gain, 1.3)
    result.at_least("peak memory of the loss, plain GPT over ours", measured.peak / own_bytes, 5.0)
    report(result, chosen.output)


def _advance(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


if __name__ == "__main__":
    main()
