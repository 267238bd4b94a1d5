"""``astromodal-transformer bench``: speed and memory of a step of training."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from astromodal_transformer.commands.options import seed

__all__ = ["add_parser"]

_SIZES = (
    ("vocabulary-size", 68_613),
    ("d-model", 256),
    ("layers", 4),
    ("heads", 4),
    ("sequence-length", 512),
    ("batch-size", 4),
    ("steps", 5),
)


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "bench",
        help="time steps of training on made-up sequences, and measure their memory",
        description="Train on random codes and print the time of a step, tokens per second, peak "
        "memory of the process and of the loss, and the losses.",
    )
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu or cuda (cpu)")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16", "fp16"), default="fp32", help="(fp32)"
    )
    parser.add_argument("--threads", type=positive_int, metavar="N", help="of PyTorch on a CPU")
    for name, default in _SIZES:
        parser.add_argument(
            f"--{name}", type=positive_int, default=default, metavar="N", help=f"({default})"
        )
    parser.add_argument("--objective", choices=("causal", "masked"), default="causal")
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="(0)")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure."""
    from astromodal_transformer.bench import BenchSettings, bench

    names = BenchSettings.__dataclass_fields__
    result = bench(BenchSettings(**{name: getattr(arguments, name) for name in names}))
    if arguments.json:
        print_json(result)
    else:
        print(
            f"{result['step_seconds']:.3f} s per step, {result['tokens_per_second']:.0f} tokens/s, "
            f"{result['peak_rss_bytes'] / 2**20:.0f} MiB in all, "
            f"{result['loss_peak_bytes'] / 2**20:.0f} MiB for the loss"
        )
    return DONE
