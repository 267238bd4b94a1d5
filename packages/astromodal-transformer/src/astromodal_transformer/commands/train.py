"""``astromodal-transformer train``: from tokens to a model."""

from __future__ import annotations

import argparse
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from astromodal_transformer.commands.options import add_configuration_options

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "train",
        help="train a model on the tokens of the training part of the sky",
        description="Train a model. Ctrl-C saves the state after the current step; --resume "
        "continues from the newest whole checkpoint as if nothing had happened.",
    )
    add_configuration_options(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--resume", action="store_true", help="continue the run, if there is one")
    how.add_argument(
        "--overwrite", action="store_true", help="begin anew in a folder that holds a run"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="check configuration and tokens, and train nothing"
    )
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train; see `add_parser` for the arguments."""
    from astromodal_transformer.configuration import load_configuration

    configuration = load_configuration(arguments.config, arguments.set)
    if arguments.dry_run:
        from astromodal_transformer.project import Project

        project = Project.open(configuration)
        store = project.store(configuration.training.fields)
        result: dict[str, Any] = {
            "fields": list(store.fields),
            "sources": len(store.rows("train")),
            "vocabulary_size": project.vocabulary.size,
            "modalities": list(project.layout.modalities),
        }
        text = f"{result['sources']} sources, {len(result['modalities'])} modalities"
    else:
        from astromodal_transformer.calibrating import calibrate_run
        from astromodal_transformer.training.run import train

        result = train(configuration, resume=arguments.resume, overwrite=arguments.overwrite)
        calibrate_run(configuration)
        shown = result["validation_loss"]
        validation = "" if shown is None else f", validation loss {shown:.4f}"
        text = f"{result['steps']} steps{validation}: {result['output']}"
    if arguments.json:
        print_json(result)
    else:
        print(text)
    return DONE
