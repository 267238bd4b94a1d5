"""How well SCONE's network classifies: mock supernovae, and real ones whose classes are known.

The real ones were seen by the Zwicky Transient Facility: thirty that ALeRCE lists with their
spectroscopic classes, and SNe Ia of the Bright Transient Survey. Two networks judge them. One has
learned from mock supernovae seen in the same two bands and has met no real one. The other has
learned from real ones, in ten parts by supernova, each part judged by the network that has not seen
it. The figures are of ALeRCE's thirty alone, since elsewhere survey and class go together.
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

import numpy as np

from scone_io.evaluation import Prediction, evaluate, read_predictions
from scone_io.shards import Shards, open_shards

# Mean wavelengths of ZTF's g and R (Bellm et al. 2019, PASP 131, 018002, through the SVO).
BANDS = "g=4746.48,r=6366.38"
ZERO_POINT_MAG = 27.5
SN_IA, OTHER = 1, 20
_FOLDS = 10


def scone(*words: object) -> None:
    """Run the command as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "scone_io", *map(str, words)],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    # 3: some events have no heatmap; they are counted below.
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr)


def flux_of(magnitude: float, error: float, sign: float = 1.0) -> tuple[float, float]:
    """FLUXCAL and its error of a magnitude."""
    flux = 10.0 ** (-0.4 * (magnitude - ZERO_POINT_MAG))
    return sign * flux, 0.4 * np.log(10.0) * flux * error


def alerce(folder: Path) -> dict[str, dict[str, Any]]:
    """Light curves of the thirty supernovae, by name."""
    found: dict[str, dict[str, Any]] = {}
    with (folder / "30_sne_labels.csv").open() as file:
        for row in csv.DictReader(file):
            kind = SN_IA if row["classALeRCE"] == "SNIa" else OTHER
            found[row["objectId"]] = {"kind": kind, "rows": [], "mwebv": ""}
    with (folder / "30_sne_detections_corr.csv").open() as file:
        for row in csv.DictReader(file):
            band = {"1": "g", "2": "r"}.get(row["fid"])
            if band is None or row["objectId"] not in found:
                continue
            sign = 1.0 if row["isdiffpos"] in ("1", "1.0", "t") else -1.0
            flux = flux_of(float(row["magpsf"]), float(row["sigmapsf"]), sign)
            found[row["objectId"]]["rows"].append((float(row["mjd"]), band, *flux))
    return found


def bright_transients(folder: Path) -> dict[str, dict[str, Any]]:
    """Light curves of the SNe Ia of the Bright Transient Survey, by name."""
    with (folder / "bts.csv").open() as file:
        next(file)  # the file begins with an empty line
        dust = {row["ZTFID"]: row["A_V"] for row in csv.DictReader(file)}
    found = {}
    for path in sorted((folder / "light-curves").glob("*.csv")):
        rows = []
        with path.open() as file:
            for row in csv.DictReader(file):
                flux = flux_of(float(row["mag"]), float(row["magerr"]))
                rows.append((float(row["time"]), {"R": "r"}.get(row["band"], row["band"]), *flux))
        extinction = dust.get(path.stem, "")
        mwebv = float(extinction) / 3.1 if extinction not in ("", "-") else ""
        found[path.stem] = {"kind": SN_IA, "rows": rows, "mwebv": mwebv}
    return found


def write_tables(folder: Path, supernovae: dict[str, dict[str, Any]]) -> Path:
    """Write the pair of CSV tables that ``scone-io heatmaps`` reads."""
    head = folder / "ztf_HEAD.csv"
    with head.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("SNID", "MWEBV", "SNTYPE"))
        for name, one in supernovae.items():
            lines.writerow((name, one["mwebv"], one["kind"]))
    with (folder / "ztf_PHOT.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("SNID", "MJD", "BAND", "FLUXCAL", "FLUXCALERR"))
        for name, one in supernovae.items():
            lines.writerows((name, *row) for row in one["rows"])
    return head


def summary(shards: Shards, prediction: Prediction) -> dict[str, Any]:
    """The figures that count."""
    result = evaluate(shards, prediction)
    names = ("num_matched", "accuracy", "accuracy_interval_95", "roc_auc", "confusion_matrix")
    return {name: result[name] for name in names}


def chosen(prediction: Prediction, snids: set[int]) -> Prediction:
    """The predictions of some supernovae."""
    rows = np.array([snid in snids for snid in prediction.snid.tolist()])
    return Prediction(prediction.snid[rows], prediction.probability[rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with alerce_30_sne and ztf_bts_snia")
    parser.add_argument("--mock-events", type=int, default=1000, metavar="N", help="(1000)")
    parser.add_argument("--epochs", type=int, default=30, metavar="N", help="(30)")
    parser.add_argument("--learning-rate", type=float, default=5e-4, metavar="X", help="(5e-4)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="(1)")
    arguments = parser.parse_args()
    learning = ("--epochs", arguments.epochs, "--learning-rate", arguments.learning_rate)
    learning += ("--seed", arguments.seed)
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mock = ("mock", folder, "--light-curves", "--events", arguments.mock_events)
        scone(*mock, "--seed", arguments.seed)
        head = folder / "MOCK_HEAD.FITS"
        for bands, words in (("griz", ()), ("gr", ("--band-wavelengths", BANDS))):
            shard = folder / f"{bands}.tfrecord"
            scone("heatmaps", head, "-o", shard, *words)
            scone("train", shard, "-o", folder / bands, *learning)
            held_out = read_predictions(folder / bands / "held_out_predictions.csv")
            report[f"mock {bands}, held out"] = summary(open_shards(shard), held_out)

        thirty = alerce(arguments.data / "alerce_30_sne")
        supernovae = thirty | bright_transients(arguments.data / "ztf_bts_snia")
        real = folder / "real.tfrecord"
        types = ("--ia-types", SN_IA, "--band-wavelengths", BANDS)
        scone("heatmaps", write_tables(folder, supernovae), "-o", real, *types)
        shards = open_shards(real)
        with (folder / "real.tfrecord.snids.csv").open() as file:
            names = {int(row["id"]): row["snid"] for row in csv.DictReader(file)}
        ours = {number for number, name in names.items() if name in thirty}
        labels = np.array([event.label for event in shards if event.snid in ours])
        report["ALeRCE's supernovae"] = {
            "events": len(thirty),
            "with a heatmap": len(labels),
            "SNe Ia among them": int(labels.sum()),
            "accuracy of always the commoner class": float(max(labels.mean(), 1.0 - labels.mean())),
        }
        scone("predict", real, "--model", folder / "gr", "-o", folder / "by_mock.csv")
        judged = chosen(read_predictions(folder / "by_mock.csv"), ours)
        report["real, learned from the mock alone"] = summary(shards, judged)

        parts = []
        for fold in range(1, _FOLDS + 1):
            output = folder / f"fold_{fold}"
            scone("train", real, "-o", output, *learning, "--fold", f"{fold}/{_FOLDS}")
            parts.append(read_predictions(output / "held_out_predictions.csv"))
        joined = Prediction(
            np.concatenate([part.snid for part in parts]),
            np.concatenate([part.probability for part in parts]),
        )
        report["real, learned from other real ones"] = summary(shards, chosen(joined, ours))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
