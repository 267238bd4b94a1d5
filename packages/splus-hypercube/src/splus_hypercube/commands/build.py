"""``splus-hypercube build``: one hypercube per field."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import (
    DONE,
    PARTLY_FAILED,
    add_common_options,
    add_unit_options,
    print_json,
)

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "build",
        help="build the hypercubes of the configured fields",
        description="Build one hypercube per field. Finished fields are skipped, so that an "
        "interrupted run continues when it is started again.",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="F", help="YAML file")
    parser.add_argument(
        "--field",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="only these fields (may be repeated)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="output folder, in place of that of the YAML file"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="build also fields whose file is up to date"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only list the chosen fields, and build nothing"
    )
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Build; the exit status is 3 if a field failed."""
    from splus_hypercube.configuration import load_configuration
    from splus_hypercube.expressions import check_rows
    from splus_hypercube.fields import read_fields, select_fields
    from splus_hypercube.pipeline import Run, build_fields
    from splus_hypercube.schema import plan_schema

    configuration = load_configuration(arguments.config, output=arguments.out)
    check_rows(configuration.cutouts.rows)
    fields = read_fields(configuration.fields, configuration.exclude_fields)
    chosen = select_fields(fields, arguments.field, configuration.fields)
    if arguments.dry_run:
        _print(arguments, {"would_build": [field.name for field in chosen]})
        return DONE
    schema = plan_schema(configuration, fields)
    outcome = build_fields(
        Run(configuration, schema),
        chosen,
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
    return PARTLY_FAILED if outcome.failed else DONE


def _print(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    if arguments.json:
        print_json(result)
    elif "would_build" in result:
        print("\n".join(result["would_build"]))
    else:
        print(
            f"{len(result['done'])} built, {len(result['skipped'])} already there, "
            f"{len(result['failed'])} failed; in {result['output']}"
        )
