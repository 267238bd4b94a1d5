"""How often verdicts agree with labels, on mock exposures of other seeds than those trained on.

Prints a table per condition: as trained, other exposure times, one filter, other crowding.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from astro_common.benchmarking import note, parser

CONDITIONS: dict[str, list[str]] = {
    "other seeds": [],
    "exposures of 30 s": ["--exptime-s", "30"],
    "exposures of 900 s": ["--exptime-s", "900"],
    "filter u": ["--filters", "u.MP9301"],
    "filter z": ["--filters", "z.MP9801"],
    "half as many sources": ["--sources-per-ccd", "3000"],
}


def iqa(*words: object) -> Any:
    """Run a verb; what it prints as JSON."""
    command = [sys.executable, "-m", "cfht_iqa", *map(str, words), "--json", "-q"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{words[0]} ended with status {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--train-per-class", type=int, default=15, metavar="N", help="(15)")
    options.add_argument("--test-per-class", type=int, default=10, metavar="N", help="(10)")
    options.add_argument("--engine", choices=("sep", "sextractor"), default="sep")
    arguments = options.parse_args()
    size = ["--ccds", 4, "--ccd-size", "512x768"]
    result: dict[str, Any] = {"engine": arguments.engine}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = ["--per-class", arguments.train_per_class, "--seed", arguments.seed]
        paths = iqa("mock", folder / "train", *size, *train)["outputs"]
        iqa("extract", *paths, "--output", folder / "cat", "--engine", arguments.engine)
        catalogues = sorted((folder / "cat").glob("*.cat.fits"))
        iqa("catalogue", *catalogues, "--output", folder / "c.parquet")
        iqa("train-som", folder / "c.parquet", "--output", folder / "som")
        words = ["--catalogue", folder / "c.parquet", "--som", folder / "som"]
        iqa("represent", *paths, *words, "--output", folder / "rep")
        iqa("label", folder / "train" / "labels.txt", "--output", folder / "l.csv")
        words = ["--catalogue", folder / "c.parquet", "--labels", folder / "l.csv"]
        iqa("split", *words, "--output", folder / "s.csv")
        tables = ["--representatives", folder / "rep", "--labels", folder / "l.csv"]
        tables += ["--splits", folder / "s.csv"]
        iqa("train", *tables, "--som", folder / "som", "--output", folder / "model")
        scores = iqa("evaluate", "--model", folder / "model", *tables, "--baselines")
        result["baselines_on_held_out"] = {
            key: value["accuracy"] for key, value in scores["baselines"].items()
        }
        result["network_on_held_out"] = scores["accuracy"]
        for number, (title, words) in enumerate(CONDITIONS.items()):
            seed = ["--seed", arguments.seed + 1000 + number]
            count = ["--per-class", arguments.test_per_class]
            mock = folder / f"test{number}"
            paths = iqa("mock", mock, *size, *count, *seed, *words)["outputs"]
            lines = (mock / "labels.txt").read_text(encoding="utf-8").splitlines()
            truth = dict(line.split() for line in lines)
            found = iqa("predict", *paths, "--model", folder / "model")["exposures"]
            right = sum(truth[item["exposure"]] == item["verdict"] for item in found)
            result[title] = {"right": right, "exposures": len(truth)}
            note(f"{title}: {right} of {len(truth)}")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
