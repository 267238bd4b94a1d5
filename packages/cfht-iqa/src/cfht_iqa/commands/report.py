"""``cfht-iqa report``: a page that shows verdicts and their reasons."""

from __future__ import annotations

import argparse
import json
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
from cfht_iqa.commands.options import add_exposures, add_header_values, add_output
from cfht_iqa.commands.train import require_model_extra

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "report",
        help="judge exposures and show the verdicts on a page (needs cfht-iqa[model])",
        description="Write DIR/index.html: focal planes, reasons, representative images, the map.",
    )
    add_exposures(parser)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    add_output(parser, "DIR", "folder of the page")
    parser.add_argument(
        "--evaluation", type=Path, metavar="F.json", help="also show what evaluate --json printed"
    )
    add_header_values(parser)
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the page; exit status 3 if some exposures failed, 1 if all did."""
    require_model_extra()
    import torch

    from astro_common.errors import OutputError
    from cfht_iqa.model.files import load_model
    from cfht_iqa.model.prediction import Predicting, predict_exposures
    from cfht_iqa.report.page import write_report

    torch.set_num_threads(1)
    path = arguments.output / "index.html"
    if path.exists() and not arguments.overwrite:
        raise OutputError(path, "the file exists", action="give --overwrite to replace it")
    evaluation = None if arguments.evaluation is None else _evaluation(arguments.evaluation)
    model = load_model(arguments.model)
    arguments.output.mkdir(parents=True, exist_ok=True)
    verdicts, outcome = predict_exposures(
        Predicting(
            exposures=arguments.exposures,
            model=arguments.model,
            exptime_s=arguments.exptime_s,
            pixel_scale_arcsec=arguments.pixel_scale_arcsec,
            workers=arguments.workers,
            scheduler=arguments.scheduler,
            progress=not arguments.quiet,
            failures=arguments.output / "failures.jsonl",
        )
    )
    failed = [(failure.unit, failure.reason) for failure in outcome.failed]
    write_report(
        verdicts, failed, model, path, evaluation=evaluation, overwrite=arguments.overwrite
    )
    if arguments.json:
        verdict = {item.exposure: item.verdict for item in verdicts}
        print_json({"output": str(path), "verdicts": verdict, "failed": dict(failed)})
    else:
        print(f"{path}: {len(verdicts)} exposures, {len(failed)} failed")
    if not failed:
        return DONE
    return PARTLY_FAILED if verdicts else FAILED


def _evaluation(path: Path) -> dict[str, Any]:
    from astro_common.errors import InputError

    try:
        found = json.loads(path.read_bytes())
        if not {"confusion", "classes", "accuracy", "accuracy_interval_95"} <= set(found):
            raise ValueError("keys are missing")
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "an evaluation") from error
    except (ValueError, TypeError) as error:
        raise InputError(path, f"no evaluation ({error})", "what evaluate --json prints") from error
    return dict(found)
