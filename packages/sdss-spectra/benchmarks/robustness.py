"""Accuracy of a model on its own test stars, as they are, moved by up to 500 km/s, and cut.

Each change is beside its difference from the spectra as they are, with an interval over stars.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.jsonable import jsonable
from sdss_spectra.dataset import load_dataset
from sdss_spectra.evaluation import paired_difference
from sdss_spectra.model.files import load_model
from sdss_spectra.model.run_folder import split_of_model
from sdss_spectra.preprocessing.resample import LogGrid
from sdss_spectra.wavelength import C_KMS

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]
AS_THEY_ARE = "as they are"


def changes(grid: LogGrid) -> dict[str, Callable[[Arrays], Arrays]]:
    """What is done to flux, ivar and mask of spectra, by name."""
    pixel = np.arange(grid.n_pixels)

    def moved(velocity: float, arrays: Arrays) -> Arrays:
        flux, ivar, mask = arrays
        start = pixel - np.log10(1.0 + velocity / C_KMS) / grid.loglam_step
        outside = (start < 0) | (start > grid.n_pixels - 1)
        new = np.stack([np.interp(start, pixel, row) for row in flux])
        gone = np.stack([np.interp(start, pixel, row.astype(float)) > 0 for row in mask])
        return new, ivar, gone | outside

    def without(hidden: np.ndarray, arrays: Arrays) -> Arrays:
        flux, ivar, mask = arrays
        return flux, ivar, mask | hidden

    tenth = grid.n_pixels // 10
    found: dict[str, Callable[[Arrays], Arrays]] = {AS_THEY_ARE: lambda arrays: arrays}
    for velocity in (-500.0, -250.0, 250.0, 500.0):
        found[f"{velocity:+.0f} km/s"] = partial(moved, velocity)
    found["without the bluest tenth"] = partial(without, pixel < tenth)
    found["without the reddest tenth"] = partial(without, pixel >= grid.n_pixels - tenth)
    return found


def compared(right: dict[str, np.ndarray], groups: Any, seed: int) -> dict[str, Any]:
    """Accuracy under each change, and how much it is above that of spectra as they are."""
    found: dict[str, Any] = {}
    for name, correct in right.items():
        found[name] = {"accuracy": float(correct.mean())}
        if name != AS_THEY_ARE:
            found[name] |= paired_difference(correct, right[AS_THEY_ARE], groups, seed=seed)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path, help="the data set of the training")
    options.add_argument("model", type=Path, help="made by train")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="(1)")
    arguments = options.parse_args()
    model = load_model(arguments.model)
    dataset = load_dataset(arguments.data, model.preprocessing)
    parts = split_of_model(arguments.model)
    tested = [n for n, i in enumerate(dataset.items) if parts.get(i.spec_id, ("",))[0] == "test"]
    chosen = dataset.subset(tested)
    truth = np.array(chosen.names)
    groups = [parts[item.spec_id][1] for item in chosen.items]
    right = {}
    for name, change in changes(model.preprocessing.grid).items():
        shares, _ = model.predict(*change(chosen.arrays()))
        right[name] = np.asarray(model.bins.classes)[shares.argmax(axis=1)] == truth
    found = {"spectra": len(chosen), **compared(right, groups, arguments.seed)}
    print(json.dumps(jsonable(found), indent=1, allow_nan=False))


if __name__ == "__main__":
    main()
