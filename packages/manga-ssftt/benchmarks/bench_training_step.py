"""A training step of SSFTT, against a plain transcription of the published layers."""

from __future__ import annotations

import torch
from published_layers import PublishedSSFTT
from torch.nn import functional

from astro_common.benchmarking import (
    Result,
    median_ratio,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from manga_ssftt.model import SSFTT


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--steps", type=int, default=15, metavar="N", help="per round (15)")
    options.add_argument("--threads", type=int, default=2, metavar="N", help="(2)")
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    batch, target = torch.randn(64, 1, 30, 13, 13), torch.randint(0, 16, (64,))
    networks = {"ours": SSFTT(30, 13, 16), "transcription": PublishedSSFTT(30, 16)}
    sizes = {sum(p.numel() for p in network.parameters()) for network in networks.values()}
    require(sizes == {153_224}, f"numbers of parameters {sizes}")
    optimizers = {
        name: torch.optim.Adam(network.parameters(), lr=1e-3) for name, network in networks.items()
    }

    def steps(name: str) -> None:
        for _ in range(arguments.steps):
            optimizers[name].zero_grad(set_to_none=True)
            functional.cross_entropy(networks[name](batch), target).backward()
            optimizers[name].step()

    for name in networks:
        steps(name)
    seconds = paired_seconds(
        {name: lambda name=name: steps(name) for name in networks}, max(arguments.repeats, 5)
    )
    result = Result(
        "manga-ssftt",
        "Training step of SSFTT",
        f"batches of 64 patches, 30 x 13 x 13, 16 classes, on {arguments.threads} threads",
        versions=peer_versions("torch"),
    )
    for name, values in seconds.items():
        result.measured(f"{name}, per step", min(values) / arguments.steps)
    ratio = median_ratio(seconds["ours"], seconds["transcription"])
    result.at_most("ours / transcription, median of the rounds", ratio, 1.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
