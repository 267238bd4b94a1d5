"""How well maps of galaxies that were never seen are predicted, beside the noise of their labels.

Mock galaxies are processed and divided by MANGAID. A network learns oxygen abundances from the
labels, which carry the noise of the line fluxes. The noise floor is the mean absolute difference
between the labels of the test galaxies and the truth that the mock keeps: no method that is given
the true abundances can come nearer to these labels. Beside it stand the baselines of ``evaluate``.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from astropy.io import fits

CATALOG = "dapall-v3_1_1-3.1.0.fits"


def manga(*words: object) -> None:
    """Run the command as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "manga_ssftt", *map(str, words), "--quiet"],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr)


def truth_and_label(root: Path, plateifu: str) -> tuple[Any, Any]:
    """The true abundance of each spaxel of a galaxy and the label that the line fluxes give."""
    with h5py.File(
        root / "processed" / "cubes" / plateifu.split("-")[0] / f"{plateifu}.h5"
    ) as file:
        label = file["labels/logOH"][()]
    return fits.getdata(root / "truth" / f"{plateifu}.fits", "LOGOH"), label


def errors(root: Path, predictions: Path) -> dict[str, float]:
    """Mean absolute differences between truth, labels and predictions, dex."""
    rows: dict[str, list[tuple[int, int, float]]] = {}
    with predictions.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            value = float(row["predicted_logOH"])
            rows.setdefault(row["plateifu"], []).append((int(row["y"]), int(row["x"]), value))
    columns: list[list[Any]] = [[], [], []]
    for plateifu, found in rows.items():
        truth, label = truth_and_label(root, plateifu)
        y, x, predicted = (np.array(column) for column in zip(*found, strict=True))
        for column, values in zip(columns, (truth[y, x], label[y, x], predicted), strict=True):
            column.append(values)
    truth, label, predicted = (np.concatenate(column) for column in columns)
    return {
        "network_to_label": float(np.abs(predicted - label).mean()),
        "truth_to_label": float(np.abs(truth - label).mean()),
        "network_to_truth": float(np.abs(predicted - truth).mean()),
    }


def measure(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Make galaxies, learn from some and judge the others."""
    root, split, model = work / "tree", work / "split", work / "model"
    manga("mock", "--root", root, "--n-galaxies", arguments.galaxies, "--size", arguments.size)
    manga("process", "--root", root, "--catalog", root / CATALOG, "--workers", arguments.workers)
    fractions = ("--fractions", 0.6, 0.2, 0.2)
    manga("split", "--root", root, "--catalog", root / CATALOG, *fractions, "--out", split)
    manga(
        *("train", "--root", root, "--split-dir", split, "--label-task", "logOH"),
        *("--epochs", arguments.epochs, "--seed", arguments.seed, "--out", model),
    )
    manga(
        *("evaluate", "--checkpoint", model / "best.ckpt", "--root", root),
        *("--split-dir", split, "--out", work / "evaluation"),
    )
    figures = json.loads((work / "evaluation" / "metrics.json").read_text())
    found = errors(root, work / "evaluation" / "predictions.csv")
    return {
        "galaxies": figures["n_galaxies"],
        "spaxels": figures["n"],
        "mae_dex": figures["mae_dex"],
        "baselines": {
            name: one["mae_dex"]
            for name, one in figures["baselines"].items()
            if one.get("mae_dex") is not None
        },
        **found,
        "ratio": found["network_to_label"] / found["truth_to_label"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--galaxies", type=int, default=60)
    parser.add_argument("--size", type=int, default=20, help="spaxels on a side")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = measure(Path(work), arguments)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{found['spaxels']} spaxels of {found['galaxies']} galaxies never seen; MAE in dex")
    print(f"network to label   {found['network_to_label']:.4f}")
    print(f"truth to label     {found['truth_to_label']:.4f}  (noise floor)")
    print(f"network to truth   {found['network_to_truth']:.4f}")
    for name, value in found["baselines"].items():
        print(f"{name} to label   {value:.4f}")
    print(f"network / noise floor {found['ratio']:.2f}")


if __name__ == "__main__":
    main()
