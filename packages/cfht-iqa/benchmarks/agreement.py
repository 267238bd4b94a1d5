"""How often verdicts agree with labels, on mock exposures of other seeds than those trained on.

One network, and every baseline, is trained on mock exposures whose classes come up to the limits
between them, and judges the same exposures of other seeds, exposure times, filters and fields.
Prints how many each had right, with Wilson's intervals, and the paired difference of the network
and each baseline (exact test of McNemar). As it stands, 1200 exposures of two CCDs, it takes some
15 minutes and 3 GB of disk on one quiet core. With --folder, what a run before left there is not
made again.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from astro_common.benchmarking import note, parser

#: By condition: options of `cfht-iqa mock`, and its exposures as a share of --test-per-class. There
#: are more of those that are hard, which tell judges apart.
CONDITIONS: Final[dict[str, tuple[list[str], float]]] = {
    "other seeds": ([], 0.5),
    "30 s": (["--exptime-s", "30"], 1.0),
    "900 s": (["--exptime-s", "900"], 1.0),
    "filter u": (["--filters", "u.MP9301"], 0.5),
    "filter z": (["--filters", "z.MP9801"], 0.5),
    "sparse, galaxies": (["--sources-per-ccd", "3000", "--star-share", "0.3"], 1.0),
    "crowded, stars": (["--sources-per-ccd", "15000", "--star-share", "0.9"], 0.5),
}

#: So that glibc keeps the memory of one CCD for the next; else half of the time goes into it.
_MEMORY: Final = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}


def iqa(*words: object) -> Any:
    """Run a verb; what it prints as JSON."""
    command = [sys.executable, "-m", "cfht_iqa", *map(str, words), "--json", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **_MEMORY})
    if done.returncode:
        raise SystemExit(f"{words[0]} ended with status {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def exposures_of(folder: Path, *words: object) -> dict[str, str]:
    """Make a mock unless it is there; label by exposure."""
    labels = folder / "labels.txt"
    if not labels.exists():
        iqa("mock", folder, "--ccd-size", "512x768", "--overwrite", *words)
    return dict(line.split() for line in labels.read_text(encoding="utf-8").splitlines())


def tally(
    verdicts: Mapping[str, str], truth: Mapping[str, str], pools: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Count who was right, by condition and in all."""
    # The package's own module needs PyTorch, as does everything that is measured here.
    from cfht_iqa.model.evaluation import wilson_interval

    right = {
        title: sum(verdicts.get(name) == truth[name] for name in names)
        for title, names in pools.items()
    }
    total, count = sum(right.values()), sum(map(len, pools.values()))
    low, high = wilson_interval(total, count)
    text = ", ".join(f"{title} {right[title]}/{len(names)}" for title, names in pools.items())
    return {"right": total, "of": count, "interval_95": [low, high], "by_condition": text}


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--train-per-class", type=int, default=60, metavar="N", help="(60)")
    options.add_argument("--test-per-class", type=int, default=36, metavar="N", help="(36)")
    options.add_argument("--ccds", type=int, default=2, metavar="N", help="of an exposure (2)")
    options.add_argument("--networks", type=int, default=1, metavar="N", help="of other seeds (1)")
    options.add_argument("--margin", choices=("clear", "narrow"), default="narrow")
    options.add_argument("--engine", choices=("sep", "sextractor"), default="sep")
    options.add_argument("--folder", type=Path, metavar="DIR", help="for the files in between")
    arguments = options.parse_args()
    own_way = ["--margin", arguments.margin, "--ccds", arguments.ccds]
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seed = arguments.seed
        words = ["--per-class", arguments.train_per_class, "--seed", seed, *own_way]
        trained = exposures_of(folder / "train", *words)
        truth, pools = dict(trained), {}
        for number, (title, (own, share)) in enumerate(CONDITIONS.items(), start=1):
            count = max(1, round(arguments.test_per_class * share))
            words = ["--per-class", count, "--seed", seed + 100 + number, *own, *own_way]
            found = exposures_of(folder / f"test{number}", *words)
            # The names of a mock are those of its seed; only an old folder can hold them twice.
            if found.keys() & truth.keys():
                raise SystemExit(f"{title}: two exposures of one name in {folder}; empty it")
            pools[title] = list(found)
            truth |= found
            note(f"{title}: {len(found)} exposures")
        paths = [*sorted(folder.glob("train/*.fits")), *sorted(folder.glob("test*/*.fits"))]
        iqa("extract", *paths, "--output", folder / "cat", "--engine", arguments.engine)
        catalogues = {path: folder / "cat" / f"{path.stem}.cat.fits" for path in paths}
        seen = [item for path, item in catalogues.items() if path.stem in trained]
        # The map is of the exposures that train alone.
        replaced = "--overwrite"
        iqa("catalogue", *seen, "--output", folder / "seen.parquet", replaced)
        iqa("catalogue", *catalogues.values(), "--output", folder / "all.parquet", replaced)
        iqa("train-som", folder / "seen.parquet", "--output", folder / "som", replaced)
        words = ["--catalogue", folder / "all.parquet", "--som", folder / "som"]
        iqa("represent", *paths, *words, "--output", folder / "rep", replaced)
        note("representative images made")
        lines = "".join(f"{name} {label}\n" for name, label in truth.items())
        (folder / "labels.txt").write_text(lines, encoding="utf-8")
        iqa("label", folder / "labels.txt", "--output", folder / "labels.csv", replaced)
        words = ["--catalogue", folder / "seen.parquet", "--labels", folder / "train.csv"]
        iqa("label", folder / "train" / "labels.txt", "--output", folder / "train.csv", replaced)
        iqa("split", *words, "--output", folder / "dealt.csv", replaced)
        dealt = (folder / "dealt.csv").read_text(encoding="utf-8").replace(",test", ",train")
        rest = "".join(f"{name},test\n" for names in pools.values() for name in names)
        (folder / "splits.csv").write_text(dealt + rest, encoding="utf-8")
        result = judge(folder, truth, pools, arguments)
    result["seconds"] = round(time.monotonic() - started)
    print(json.dumps(result, indent=2))


def judge(
    folder: Path, truth: Mapping[str, str], pools: Mapping[str, list[str]], arguments: Any
) -> dict[str, Any]:
    """Train, and score the network and the baselines."""
    tables = ["--representatives", folder / "rep", "--labels", folder / "labels.csv"]
    tables += ["--splits", folder / "splits.csv"]
    settings = ("seed", "engine", "margin", "ccds", "train_per_class", "test_per_class")
    result: dict[str, Any] = {name: getattr(arguments, name) for name in settings}
    for number in range(arguments.networks):
        model = folder / f"model{number}"
        words = ["--seed", arguments.seed + number, "--overwrite"]
        iqa("train", *tables, "--som", folder / "som", "--output", model, *words)
        note(f"network {number + 1} of {arguments.networks} trained")
        options = ["--baselines"] if number == 0 else []
        scores = iqa("evaluate", "--model", model, *tables, *options)
        own = {item["exposure"]: item["verdict"] for item in scores["verdicts"]}
        title = "network" if number == 0 else f"network of seed {arguments.seed + number}"
        result[title] = tally(own, truth, pools)
        note(f"{title}: {result[title]}")
        for name, baseline in scores.get("baselines", {}).items():
            own = {item["exposure"]: item["verdict"] for item in baseline["verdicts"]}
            against = {"network_against_it": baseline["network_against_it"]}
            result[name] = {**tally(own, truth, pools), **against}
            note(f"{name}: {result[name]}")
    return result


if __name__ == "__main__":
    main()
