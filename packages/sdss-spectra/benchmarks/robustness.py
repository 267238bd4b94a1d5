"""Accuracy of a model on its own test stars, as they are, moved by 500 km/s, and cut by a tenth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from sdss_spectra.comparison import split_of_model
from sdss_spectra.dataset import load_dataset
from sdss_spectra.model.files import load_model

C_KMS = 299792.458


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path, help="the data set of the training")
    options.add_argument("model", type=Path, help="made by train")
    arguments = options.parse_args()
    model = load_model(arguments.model)
    dataset = load_dataset(arguments.data, model.preprocessing)
    parts = split_of_model(arguments.model)
    tested = [n for n, i in enumerate(dataset.items) if parts.get(i.spec_id, ("",))[0] == "test"]
    chosen = dataset.subset(tested)
    flux, ivar, mask = chosen.arrays()
    truth = np.array(chosen.names)
    grid = model.preprocessing.grid
    pixel = np.arange(grid.n_pixels)

    def accuracy(values: np.ndarray, hidden: np.ndarray) -> float:
        shares, _ = model.predict(values, ivar, hidden)
        told = np.asarray(model.bins.classes)[shares.argmax(axis=1)]
        return float((told == truth).mean())

    found = {"spectra": len(chosen), "as they are": accuracy(flux, mask)}
    for velocity in (-500.0, 500.0):
        shift = np.log10(1.0 + velocity / C_KMS) / grid.loglam_step
        moved = np.stack([np.interp(pixel - shift, pixel, row) for row in flux])
        gone = np.stack([np.interp(pixel - shift, pixel, row.astype(float)) > 0 for row in mask])
        found[f"{velocity:+.0f} km/s"] = accuracy(moved, gone)
    tenth = grid.n_pixels // 10
    found["without the bluest tenth"] = accuracy(flux, mask | (pixel < tenth))
    found["without the reddest tenth"] = accuracy(flux, mask | (pixel >= grid.n_pixels - tenth))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
