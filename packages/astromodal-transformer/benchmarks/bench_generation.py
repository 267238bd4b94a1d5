"""Generation with a cache against whole passes, and how its time grows with the length."""

from __future__ import annotations

import time

import numpy as np
import torch

from astro_common.benchmarking import (
    Result,
    median_ratio,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from astromodal_transformer.bench import BenchSettings, bench_model

LENGTH = 512


def main() -> None:
    chosen = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    settings = BenchSettings(
        vocabulary_size=8000, d_model=128, layers=4, heads=4, sequence_length=LENGTH
    )
    model = bench_model(settings).eval()
    offsets = [block.offset for block in model.vocabulary.blocks]
    block_of = model.slot_block.tolist()

    def best(hidden: torch.Tensor, slot: int) -> int:
        block = block_of[slot]
        return offsets[block] + int(model.logits(hidden, block).argmax())

    @torch.inference_mode()
    def cached(length: int) -> list[int]:
        tokens, cache = [1], None
        for place in range(length - 1):
            hidden, cache = model.step(
                torch.tensor([[tokens[-1]]]),
                torch.tensor([[place]]),
                torch.tensor([[place + 1]]),
                cache,
            )
            tokens.append(best(hidden[:, 0], place + 1))
        return tokens

    @torch.inference_mode()
    def whole(length: int) -> list[int]:
        tokens = [1]
        for place in range(length - 1):
            slots = torch.arange(place + 1)[None]
            found = model.step(torch.tensor([tokens]), slots, slots + 1, None)[0]
            tokens.append(best(found[:, -1], place + 1))
        return tokens

    require(cached(64) == whole(64), "generated tokens")
    short = LENGTH // 2
    seconds = paired_seconds(
        {"with a cache": lambda: cached(short), "whole passes": lambda: whole(short)},
        chosen.repeats,
    )
    times: dict[int, list[float]] = {LENGTH // 4: [], LENGTH: []}
    for _ in range(chosen.repeats):
        for length, own in times.items():
            start = time.perf_counter()
            cached(length)
            own.append((time.perf_counter() - start) / length)
    result = Result(
        "astromodal-transformer",
        "generation",
        f"{short} tokens, d_model 128, 4 layers, one sequence, one thread",
        versions=peer_versions("torch"),
    )
    for name, values in seconds.items():
        result.measured(name, float(np.min(values)))
    gain = median_ratio(seconds["whole passes"], seconds["with a cache"])
    result.at_least("speed relative to whole passes", gain, 3.0)
    growth = min(times[LENGTH]) / min(times[LENGTH // 4])
    result.at_most(f"time per token of {LENGTH} relative to {LENGTH // 4}", growth, 1.5)
    report(result, chosen.output)


if __name__ == "__main__":
    main()
