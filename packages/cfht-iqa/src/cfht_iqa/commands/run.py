"""``cfht-iqa run``: the whole chain by a configuration."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import (
    DONE,
    PARTLY_FAILED,
    add_common_options,
    add_unit_options,
    positive_int,
    print_json,
)
from cfht_iqa.commands.train import require_model_extra

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "run",
        help="do everything, from exposures and labels to a report (needs cfht-iqa[model])",
        description="Extract, build catalogue and map, represent, split, train, evaluate, report.",
    )
    parser.add_argument("configuration", type=Path, metavar="CONFIG", help="YAML file")
    parser.add_argument(
        "--dry-run", action="store_true", help="check the configuration, and do nothing"
    )
    parser.add_argument(
        "--threads", type=positive_int, default=1, metavar="N", help="of the network (1)"
    )
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the chain; exit status 3 if some exposures failed."""
    from cfht_iqa.configuration import load_configuration

    configuration = load_configuration(arguments.configuration)
    if arguments.dry_run:
        if arguments.json:
            print_json({"configuration": configuration.model_dump()})
        else:
            print(f"{arguments.configuration}: in order")
        return DONE
    require_model_extra()
    import torch

    from cfht_iqa.pipeline import run_chain

    torch.set_num_threads(arguments.threads)
    result, failed = run_chain(
        configuration,
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        progress=not arguments.quiet,
    )
    if arguments.json:
        reasons = [
            {"exposure": item.unit, "file": item.file, "reason": item.reason} for item in failed
        ]
        print_json({**result, "failed": reasons})
    else:
        print(
            f"{result['report']}: accuracy {result['accuracy']:.3f} on "
            f"{result['n_test_exposures']} exposures that were not trained on"
        )
    return PARTLY_FAILED if failed else DONE
