"""``manga-ssftt hsi-benchmark``: the published hyperspectral protocol."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_common.command import DONE, add_common_options, positive_int, print_json
from astro_common.errors import ConfigurationError, InputError, OutputError
from manga_ssftt.commands.options import add_seed, odd_int

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "hsi-benchmark",
        help="run the published hyperspectral protocol on a scene (.mat files)",
        description="Train SSFTT on pixels of a hyperspectral scene: with a random split, which "
        "leaks since patches overlap, and with disjoint blocks, of which no patch joins training "
        "and test pixels.",
    )
    image = parser.add_mutually_exclusive_group(required=True)
    image.add_argument("--image", type=Path, metavar="F.mat", help="the scene (n_y, n_x, n_bands)")
    image.add_argument(
        "--mock-image",
        action="store_true",
        help="make a synthetic scene for the ground truth; the report says so",
    )
    parser.add_argument("--ground-truth", type=Path, required=True, metavar="F.mat")
    parser.add_argument("--split", choices=("random", "disjoint", "both"), default="both")
    parser.add_argument("--train-fraction", type=float, default=0.1, metavar="F", help="(0.1)")
    parser.add_argument("--patch-size", type=odd_int, default=13, metavar="P", help="odd (13)")
    parser.add_argument("--n-components", type=positive_int, default=30, metavar="K", help="(30)")
    parser.add_argument(
        "--pca-on",
        choices=("all", "train"),
        default="all",
        help="pixels that the components are fitted on (all, as in published runs)",
    )
    parser.add_argument("--epochs", type=positive_int, default=100, metavar="N", help="(100)")
    parser.add_argument("--batch-size", type=positive_int, default=64, metavar="N", help="(64)")
    parser.add_argument(
        "--model",
        choices=("published", "ssftt", "best"),
        default="ssftt",
        help="SSFTT trained as published; at a falling rate on patches that fade away from their "
        "centre (default); and also turned, mirrored and averaged",
    )
    parser.add_argument(
        "--mock-noise", type=float, default=0.08, metavar="S", help="of --mock-image (0.08)"
    )
    add_seed(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the protocol with each split."""
    from manga_ssftt.hsi.benchmark import Protocol, run_protocol, svm_figures
    from manga_ssftt.hsi.scene import Scene, mock_image, read_ground_truth, read_scene
    from manga_ssftt.hsi.splitting import TEST, TRAIN, disjoint_split, random_split

    if not 0 < arguments.train_fraction < 1:
        raise ConfigurationError(
            "--train-fraction", str(arguments.train_fraction), "between 0 and 1"
        )
    if arguments.n_components < 3:
        raise ConfigurationError("--n-components", str(arguments.n_components), "at least 3")
    if not 0 <= arguments.mock_noise < math.inf:
        raise ConfigurationError("--mock-noise", str(arguments.mock_noise), "0 or more")
    report = arguments.out / "report.json"
    if report.exists() and not arguments.overwrite:
        raise OutputError(report, "the file exists", action="give --overwrite to replace it")
    if arguments.mock_image:
        truth = read_ground_truth(arguments.ground_truth)
        image = mock_image(truth, noise=arguments.mock_noise, seed=arguments.seed)
        scene = Scene(image, truth)
    else:
        scene = read_scene(arguments.image, arguments.ground_truth)
    names = ("random", "disjoint") if arguments.split == "both" else (arguments.split,)
    protocol = Protocol(
        model=arguments.model,
        patch_size=arguments.patch_size,
        n_components=arguments.n_components,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        train_only_pca=arguments.pca_on == "train",
        seed=arguments.seed,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "synthetic_image": bool(arguments.mock_image),
        "protocol": vars(protocol),
        "train_fraction": arguments.train_fraction,
    }
    for name in names:
        if name == "random":
            split = random_split(scene.truth, arguments.train_fraction, arguments.seed)
        else:
            split = disjoint_split(
                scene.truth, arguments.train_fraction, arguments.patch_size, arguments.seed
            )
        if not (split == TRAIN).any() or not (split == TEST).any():
            raise InputError(
                arguments.ground_truth,
                f"no test pixel is left by the {name} split",
                "room between training and test pixels",
                "give a smaller --train-fraction or --patch-size",
            )
        figures, prediction = run_protocol(scene, split, protocol)
        figures["svm"] = svm_figures(scene, split)
        found[name] = {**figures, "leaky": name == "random"}
        _save(arguments.out / f"{name}_split.npy", split)
        _save(arguments.out / f"{name}_prediction.npy", prediction)
    if len(names) == 2:
        found["gap_oa"] = found["random"]["oa"] - found["disjoint"]["oa"]
    _write_report(report, found)
    if arguments.json:
        print_json(found)
    else:
        for name in names:
            _print(name, found[name], synthetic=arguments.mock_image)
    return DONE


def _save(path: Path, values: npt.NDArray[np.integer]) -> None:
    import numpy as np

    from astro_common.atomic import atomic_path

    with atomic_path(path, overwrite=True) as partial, partial.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def _write_report(path: Path, found: dict[str, Any]) -> None:
    from astro_common.atomic import atomic_path
    from astro_common.jsonable import jsonable

    with atomic_path(path, overwrite=True) as partial:
        partial.write_text(json.dumps(jsonable(found), indent=1) + "\n", encoding="utf-8")


def _print(name: str, figures: dict[str, Any], *, synthetic: bool) -> None:
    notes = [
        note for note, holds in (("leaky", figures["leaky"]), ("synthetic", synthetic)) if holds
    ]
    remark = f" ({', '.join(notes)})" if notes else ""
    print(
        f"{name}{remark}: OA {figures['oa']:.4f}, AA {figures['aa']:.4f}, kappa "
        f"{figures['kappa']:.4f}; SVM of single spectra: OA {figures['svm']['oa']:.4f}; "
        f"{figures['n_train']} training, {figures['n_test']} test pixels"
    )
