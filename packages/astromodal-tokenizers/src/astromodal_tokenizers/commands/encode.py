"""``astromodal-tokenizers encode``: hypercubes to tokens."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import (
    DONE,
    FAILED,
    PARTLY_FAILED,
    add_common_options,
    add_unit_options,
    print_json,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "encode",
        help="encode the hypercubes of fields into token files",
        description="Encode fields with all codebooks that have been fitted. Finished fields are "
        "skipped, so that an interrupted run continues when it is started again.",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="F", help="YAML file")
    parser.add_argument(
        "--field",
        nargs="+",
        action="extend",
        default=[],
        metavar="N",
        help="these fields, also such that the codebooks were not fitted on (may be repeated)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="encode also what is there already"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be encoded, and encode nothing"
    )
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Encode; see `add_parser` for the arguments."""
    from astromodal_tokenizers.configuration import load_configuration
    from astromodal_tokenizers.hypercube import chosen_fields

    configuration = load_configuration(arguments.config)
    fields = chosen_fields(configuration, arguments.field)
    if arguments.dry_run:
        return _print(arguments, {"would_encode": fields})
    from astromodal_tokenizers.encode import encode_fields

    outcome = encode_fields(
        configuration,
        fields,
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        overwrite=arguments.overwrite,
    )
    result = {
        "output": str(configuration.output),
        "done": outcome.done,
        "skipped": outcome.skipped,
        "failed": [
            {"field": failure.unit, "file": failure.file, "reason": failure.reason}
            for failure in outcome.failed
        ],
    }
    _print(arguments, result)
    if outcome.failed:
        return PARTLY_FAILED if outcome.done or outcome.skipped else FAILED
    return DONE


def _print(arguments: argparse.Namespace, result: dict[str, Any]) -> int:
    if arguments.json:
        print_json(result)
    elif "would_encode" in result:
        print("\n".join(result["would_encode"]))
    else:
        print(
            f"{len(result['done'])} encoded, {len(result['skipped'])} already there, "
            f"{len(result['failed'])} failed; in {result['output']}"
        )
    return DONE
