"""``manga-ssftt evaluate``: figures of merit of a trained network."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from astro_common.command import DONE, add_common_options, print_json
from astro_common.errors import InputError, OutputError
from manga_ssftt.commands.options import add_root, add_seed

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "evaluate",
        help="evaluate a network on a split, beside the baselines",
        description="Write metrics.json and predictions.csv: figures pooled and per galaxy, with "
        "intervals from a bootstrap over galaxies, and those of the baselines.",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE")
    add_root(parser)
    parser.add_argument("--split-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--no-baselines", action="store_true", help="leave the baselines out")
    parser.add_argument(
        "--occlusion", action="store_true", help="also find which wavelengths the network uses"
    )
    parser.add_argument(
        "--easy",
        type=Path,
        metavar="METRICS.json",
        help="metrics of the easy split: report the gap between easy and hard",
    )
    add_seed(parser, "of the bootstrap and the random forest")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate."""
    metrics = arguments.out / "metrics.json"
    if metrics.exists() and not arguments.overwrite:
        raise OutputError(metrics, "the file exists", action="give --overwrite to replace it")
    from astro_common.atomic import atomic_path
    from astro_common.jsonable import jsonable
    from manga_ssftt.checkpoints import load_checkpoint
    from manga_ssftt.evaluation import easy_hard_gap, evaluate, write_predictions
    from manga_ssftt.layout import Tree
    from manga_ssftt.patch_loader import find_samples
    from manga_ssftt.plots.evaluation import draw_confusion, draw_occlusion
    from manga_ssftt.splits import read_split

    model = load_checkpoint(arguments.checkpoint)
    tree = Tree(arguments.root)
    map_task = model.target.map_task
    test = find_samples(tree, read_split(arguments.split_dir, arguments.split), map_task)
    training = []
    if not arguments.no_baselines:
        training = find_samples(tree, read_split(arguments.split_dir, "train"), map_task)
    easy = _read_metrics(arguments.easy) if arguments.easy is not None else None
    found = evaluate(model, test, training, seed=arguments.seed)
    figures = {
        "checkpoint": str(arguments.checkpoint),
        "split": arguments.split,
        **found.figures,
    }
    if easy is not None:
        figures["gap"] = easy_hard_gap(easy, figures)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.occlusion:
        from manga_ssftt.occlusion import occlusion

        figures["occlusion"] = occlusion(model, test, seed=arguments.seed)
        draw_occlusion(arguments.out / "occlusion.png", figures)
    write_predictions(arguments.out / "predictions.csv", found, model)
    draw_confusion(arguments.out / "confusion.png", figures)
    figures = jsonable(figures)
    # Written last: where it is, the evaluation is complete.
    with atomic_path(metrics, overwrite=True) as partial:
        partial.write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if arguments.json:
        print_json(figures)
    else:
        _print(figures)
    return DONE


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, f"cannot be read ({error})", "a metrics.json") from error
    if not isinstance(found, dict):
        raise InputError(path, "no JSON object", "a metrics.json")
    if not found.get("leaky"):
        raise InputError(path, "figures of a split that does not leak", "those of an easy split")
    return found


def _print(figures: dict[str, Any]) -> None:
    low, high = figures["oa_ci"]
    # Galaxies are drawn anew: of one there is nothing to draw.
    several = figures["n_galaxies"] > 1
    interval = f"95 %: {low:.4f} to {high:.4f}" if several else "no interval: one galaxy"
    agreement = f"AA {figures['aa']:.4f}, kappa {_number(figures['kappa'])}"
    lines = [
        f"{figures['n']} spaxels of {figures['n_galaxies']} {'galaxies' if several else 'galaxy'}",
        f"OA {figures['oa']:.4f} ({interval})",
        f"{agreement}, macro-F1 {figures['macro_f1']:.4f}",
    ]
    if figures.get("mae_dex") is not None:
        lines.append(f"MAE {figures['mae_dex']:.4f} dex, bias {figures['bias_dex']:+.4f} dex")
    for name, found in figures["baselines"].items():
        error = f", MAE {found['mae_dex']:.4f} dex" if found.get("mae_dex") is not None else ""
        lines.append(f"baseline {name}: OA {_number(found['oa'])}{error}")
    if "gap" in figures and "oa" in figures["gap"]:
        gap = figures["gap"]["oa"]
        lines.append(f"easy split: OA {gap['easy']:.4f}, {gap['gap']:+.4f} against this one")
    if figures["leaky"]:
        lines.append("leaky: some galaxies were in the training set too")
    print("\n".join(lines))


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
