"""Steps of training on made-up sequences: speed and memory for a width, a depth, a vocabulary."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError
from astromodal_transformer.batches import Batch
from astromodal_transformer.memory import peak_tensor_bytes
from astromodal_transformer.model import Transformer
from astromodal_transformer.shape import ModelShape
from astromodal_transformer.training.module import parameter_groups
from astromodal_transformer.vocabulary import Block, Vocabulary

__all__ = ["BenchSettings", "bench", "bench_batch", "bench_model", "bench_vocabulary"]

_SPECIALS = ("PAD", "BOS", "EOS", "SEP", "MISSING")
# As in the published description of such a model: an image, 55 columns, five groups of spectra.
_IMAGE_CODES, _COLUMNS, _BINS, _SPECTRA, _PIXEL_CODES = 2048, 55, 1024, 5, 2048
_LEARNING_RATE = 3e-4
# Dense bf16 matrix rates of cards in operations per second, from NVIDIA's data sheets.
_CARD_RATES = (
    ("H200", 989e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("L4", 121e12),
)


@dataclass(frozen=True)
class BenchSettings:
    """What is measured.

    Attributes
    ----------
    device, precision : str
    threads : int or None
    vocabulary_size, d_model, layers, heads, sequence_length, batch_size, steps, seed : int
    objective : {'causal', 'masked'}
    """

    device: str = "cpu"
    precision: str = "fp32"
    threads: int | None = None
    vocabulary_size: int = 68_613
    d_model: int = 256
    layers: int = 4
    heads: int = 4
    sequence_length: int = 512
    batch_size: int = 4
    steps: int = 5
    seed: int = 0
    objective: str = "causal"


def bench_vocabulary(size: int) -> Vocabulary:
    """A vocabulary of a given size: image, columns and spectra in the usual proportions."""
    wanted = [("image", "image", _IMAGE_CODES)]
    wanted += [(f"column_{i}", "scalar", _BINS) for i in range(_COLUMNS)]
    wanted += [(f"spectrum_{i}", "spectrum", _PIXEL_CODES) for i in range(_SPECTRA)]
    total = sum(codes for _, _, codes in wanted)
    room = size - len(_SPECIALS)
    if room < 2 * len(wanted):
        raise ConfigurationError(
            "--vocabulary-size", str(size), f"at least {len(_SPECIALS) + 2 * len(wanted)}"
        )
    ends = [round(room * end / total) for end in np.cumsum([codes for _, _, codes in wanted])]
    blocks, start = [], 0
    for (name, kind, _), end in zip(wanted, ends, strict=True):
        blocks.append(Block(name, kind, kind, len(_SPECIALS) + start, end - start, ""))
        start = end
    return Vocabulary(size, {n: i for i, n in enumerate(_SPECIALS)}, 65_535, tuple(blocks))


def bench_slots(vocabulary: Vocabulary, length: int) -> dict[str, NDArray[Any]]:
    """Slots of a sequence of a given length, shared among the codebooks as in a full source."""
    usual = {"image": 576, "spectrum": 512}
    share = np.array([usual.get(block.kind, 1) for block in vocabulary.blocks])
    # Every codebook has a token, as in a full source, if there is room.
    first = 1 if length >= 2 * len(share) else 0
    share = share - first
    ends = np.round(np.cumsum(share) * (length - first * len(share)) / share.sum()).astype(int)
    counts = first + np.diff(np.concatenate([[0], ends]))
    block = np.repeat(np.arange(len(share)), counts)
    place = np.concatenate([np.arange(c) for c in counts])
    kinds = {"image": 0, "scalar": 1}
    groups = [kinds.get(b.kind, 2 + i) for i, b in enumerate(vocabulary.blocks)]
    group = np.unique(np.array(groups), return_inverse=True)[1]
    return {
        "block": np.concatenate([[len(share)], block]),
        "group": np.concatenate([[int(group.max()) + 1], group[block]]),
        "position": np.stack([np.concatenate([[0], place]), np.zeros(len(block) + 1)], axis=1),
    }


def bench_model(settings: BenchSettings, embedding: str = "free") -> Transformer:
    """A model with weights of the seed; codes have vectors of their own, as elsewhere."""
    vocabulary = bench_vocabulary(settings.vocabulary_size)
    random = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    centroids = [
        random.standard_normal((b.size, 1 if b.kind == "scalar" else 2)).astype(np.float32)
        for b in vocabulary.blocks
    ]
    shape = ModelShape(
        settings.layers,
        settings.d_model,
        settings.heads,
        4 * settings.d_model,
        objective=settings.objective,
        embedding=embedding,
    )
    try:
        slots = bench_slots(vocabulary, settings.sequence_length)
        return Transformer(shape, vocabulary, slots, centroids)
    except ValueError as error:
        raise ConfigurationError(
            "--d-model and --heads", str(error), "d_model a multiple of 4 * heads"
        ) from error


def bench_batch(settings: BenchSettings, model: Transformer, step: int) -> Batch:
    """Random codes in the order of the slots; the same for the same seed and step."""
    random = np.random.default_rng([settings.seed, step])
    blocks = model.vocabulary.blocks
    offset = np.array([*(b.offset for b in blocks), 1])
    size = np.array([*(b.size for b in blocks), 1])
    block = model.slot_block.cpu().numpy()
    count, length = settings.batch_size, settings.sequence_length
    codes = (random.random((count, length + 1)) * size[block]).astype(np.int64)
    # Half of the codes stand for half of the sources, so that there is something to learn.
    codes = np.where(random.random(codes.shape) < 0.5, codes[:1] % size[block], codes)
    tokens = torch.from_numpy(codes + offset[block])
    slots = torch.arange(length + 1).expand(count, -1).contiguous()
    if settings.objective == "masked":
        hidden = torch.from_numpy(np.sort(random.permutation(length)[: length // 2]) + 1)
        seen = torch.from_numpy(np.setdiff1d(np.arange(length + 1), hidden.numpy()))
        targets = torch.from_numpy(codes)[:, hidden].contiguous()
        return Batch(tokens[:, seen], slots[:, seen], None, slots[:, hidden], targets)
    targets = torch.from_numpy(codes[:, 1:]).contiguous()
    return Batch(
        tokens[:, :-1].contiguous(),
        slots[:, :-1].contiguous(),
        None,
        slots[:, 1:].contiguous(),
        targets,
    )


def bench(settings: BenchSettings) -> dict[str, Any]:
    """Time steps of training.

    Parameters
    ----------
    settings : BenchSettings

    Returns
    -------
    dict
        ``step_seconds`` (the median), ``tokens_per_second``, ``peak_rss_bytes``,
        ``loss_peak_bytes`` (of the loss and its gradient alone), ``losses`` of the steps,
        ``loss_terms``, ``parameters`` and the settings; on a GPU also ``mfu``, the share of the
        card's bf16 matrix rate.

    Raises
    ------
    ConfigurationError
        If the device is not there or a setting is impossible.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    device = _device(settings.device)
    model = bench_model(settings).to(device)
    groups = parameter_groups(model, 0.05)
    optimizer = torch.optim.AdamW(groups, lr=_LEARNING_RATE, betas=(0.9, 0.95))
    weights = torch.ones(len(model.vocabulary.blocks) + 1, device=device)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(settings.precision, torch.float32)
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
    batches = [bench_batch(settings, model, n).to(device) for n in range(settings.steps + 1)]
    losses: list[float] = []
    terms: list[Sequence[float]] = []
    seconds = []
    for number, batch in enumerate(batches):
        _synchronize(device)
        start = time.perf_counter()
        with torch.autocast(device.type, dtype=kind, enabled=kind != torch.float32):
            found = model(batch, weights)
        asked = found.sums[:, 2].sum()
        loss = found.total / asked
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        _synchronize(device)
        if number:  # the first warms up
            seconds.append(time.perf_counter() - start)
            losses.append(float(loss.detach()))
            terms.append((found.sums[:, :2].sum(dim=0) / asked).tolist())
    median = statistics.median(seconds)
    tokens = settings.batch_size * settings.sequence_length
    mean = torch.tensor(terms).mean(dim=0).tolist()
    result: dict[str, Any] = {
        "step_seconds": median,
        "tokens_per_second": tokens / median,
        "peak_rss_bytes": _peak_rss_bytes(),
        "loss_peak_bytes": loss_peak_bytes(model, batches[0], weights, kind),
        "losses": losses,
        "loss_terms": {"reconstruction": mean[0], "cross_entropy": mean[1]},
        "parameters": model.num_parameters,
        "vocabulary_size": settings.vocabulary_size,
        "d_model": settings.d_model,
        "layers": settings.layers,
        "heads": settings.heads,
        "sequence_length": settings.sequence_length,
        "batch_size": settings.batch_size,
        "precision": settings.precision,
        "threads": torch.get_num_threads(),
        "device": settings.device,
        "objective": settings.objective,
        "steps": settings.steps,
        "seed": settings.seed,
    }
    if device.type == "cuda":
        result["device_name"] = torch.cuda.get_device_name(device)
        rate = next((r for name, r in _CARD_RATES if name in result["device_name"]), None)
        if rate is not None:
            result["mfu"] = _operations(model, settings) / median / rate
    return result


def loss_peak_bytes(
    model: Transformer, batch: Batch, weights: torch.Tensor, kind: torch.dtype
) -> int:
    """Bytes that the loss and its gradient by weights and hidden states need at most.

    Parameters
    ----------
    model : Transformer
    batch : Batch
    weights : Tensor
    kind : torch.dtype
        Of the hidden states.
    """
    from astromodal_transformer.loss import token_loss

    asked = (batch.targets >= 0).reshape(-1).nonzero()[:, 0]
    hidden = torch.randn(
        len(asked), model.shape.d_model, device=batch.tokens.device, dtype=kind, requires_grad=True
    )
    block = model.slot_block[batch.query_slots].reshape(-1)[asked]
    target = batch.targets.reshape(-1)[asked]
    tables = model.tables()
    model.zero_grad(set_to_none=True)
    with peak_tensor_bytes(batch.tokens.device) as measured:
        found = token_loss(
            hidden, None, tables, block, target, weights[block],
            reconstruction=1.0, cross_entropy=1.0,
        )  # fmt: skip
        found.total.backward()  # type: ignore[no-untyped-call]
    model.zero_grad(set_to_none=True)
    return measured.peak


def _operations(model: Transformer, settings: BenchSettings) -> float:
    """Floating-point operations of a step: 6 per weight and token, and the attention.

    Chowdhery et al. 2022, arXiv:2204.02311, appendix B; tables of codes count by the codes that are
    compared.
    """
    tokens = settings.batch_size * settings.sequence_length
    weights = sum(p.numel() for p in model.layers.parameters())
    sizes = torch.tensor([*(b.size for b in model.vocabulary.blocks), 0])
    compared = float(sizes[model.slot_block.cpu()[1:]].float().mean())
    attention = 12.0 * settings.layers * settings.d_model * settings.sequence_length
    return tokens * (6.0 * weights + 6.0 * settings.d_model * compared + attention)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError("--device", name, "cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("--device", name, "a GPU that PyTorch can use", "take cpu")
    return device


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_rss_bytes() -> int:
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
