"""``astromodal-tokenizers fit``: learn codebooks from hypercubes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "fit",
        help="learn the codebooks of scalars, spectra, images or all",
        description="Learn codebooks from the training part of the sky and write them, with the "
        "vocabulary, into the output folder.",
    )
    parser.add_argument("family", choices=("scalar", "spectrum", "image", "all"))
    parser.add_argument("--config", type=Path, required=True, metavar="F", help="YAML file")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace codebooks; tokens made with them are refused from then on",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be learned, and learn nothing"
    )
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fit."""
    from astromodal_tokenizers.configuration import load_configuration

    configuration = load_configuration(arguments.config)
    if arguments.dry_run:
        return _dry_run(arguments, configuration)
    from astromodal_tokenizers.train.run import fit

    result = fit(configuration, arguments.family, overwrite=arguments.overwrite)
    if not result:
        return DONE  # the first of several processes says it
    if arguments.json:
        print_json(result)
    else:
        for name, codebook in result["codebooks"].items():
            print(f"{name}: {codebook['path']}")
    return DONE


def _dry_run(arguments: argparse.Namespace, configuration: Any) -> int:
    from astromodal_tokenizers.hypercube import open_cubes
    from astromodal_tokenizers.modalities import modality_table

    table = modality_table(configuration, open_cubes(configuration))
    wanted = [m for m in table if arguments.family in ("all", m.family)]
    if arguments.json:
        print_json({"would_fit": [{"name": m.name, "kind": m.kind} for m in wanted]})
    else:
        print("\n".join(f"{m.kind:12} {m.name}" for m in wanted))
    return DONE
