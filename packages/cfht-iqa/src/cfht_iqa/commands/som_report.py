"""``cfht-iqa som-report``: figures of a map."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from cfht_iqa.commands.options import add_output

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "som-report",
        help="draw U-matrix, hits, groups and component planes of a map",
        description="Write DIR/map.png and DIR/components.png.",
    )
    parser.add_argument("som", type=Path, metavar="SOM", help="folder of the map")
    add_output(parser, "DIR", "folder of the figures")
    parser.add_argument(
        "--minisom-weights",
        type=Path,
        metavar="FILE.npy",
        help="also write the weights as MiniSom and SOMPY users save them",
    )
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw the figures."""
    from astro_common.atomic import atomic_path
    from astro_common.figures import drawing, saved
    from cfht_iqa.report.som_figures import component_planes, describe, map_overview
    from cfht_iqa.som.files import load_map
    from cfht_iqa.som.minisom_engine import write_weights

    trained = load_map(arguments.som)
    arguments.output.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in (("map.png", map_overview), ("components.png", component_planes)):
        path = arguments.output / name
        with drawing(), atomic_path(path, overwrite=arguments.overwrite) as partial:
            partial.write_bytes(saved(draw(trained)))
        written.append(str(path))
    if arguments.minisom_weights is not None:
        write_weights(trained.som, arguments.minisom_weights, overwrite=arguments.overwrite)
        written.append(str(arguments.minisom_weights))
    if arguments.json:
        keys = ("quantisation_error", "topographic_error", "n_samples", "n_presented")
        print_json({"outputs": written, **{key: trained.record.get(key) for key in keys}})
    else:
        print("\n".join([*written, describe(trained.record)]))
    return DONE
