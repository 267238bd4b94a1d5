"""Whether a modality that is missing makes a model worse than one that never knew it.

Two models are trained alike, one of them without some modalities (`--without`). Both then predict
the same held-out sources from what remains. The ratio of their RMSE is printed with the interval
that resampled sources give: it should not be above 1 beyond chance.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from astro_common.benchmarking import Result, note, parser, peer_versions, report, require
from astromodal_transformer.configuration import Configuration, load_configuration
from astromodal_transformer.evaluate import evaluate
from astromodal_transformer.resampling import error_ratio
from astromodal_transformer.training.run import train


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--config", type=Path, required=True, metavar="F")
    options.add_argument("--without", default="gaiaxp_*", metavar="PATTERN")
    options.add_argument("--given", nargs="+", default=["mag_*"], metavar="NAME")
    options.add_argument("--steps", type=int, default=2000, metavar="N", help="of each (2000)")
    options.add_argument(
        "--checkpoint", type=Path, metavar="D", help="of the model with all, if it is trained"
    )
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # The clock may not decide: both see the same number of sources.
        steps = ["training.max_minutes=null", f"training.max_steps={chosen.steps}"]
        steps.append(f"training.schedule_steps={chosen.steps}")
        whole = load_configuration(chosen.config)
        found = {}
        for name, changes in (("with", []), ("without", without(whole, chosen.without))):
            own = [*steps, *changes, f"output={folder}/{name}", "evaluation.baselines=[]"]
            configuration = load_configuration(chosen.config, own)
            checkpoint = chosen.checkpoint if name == "with" else None
            if checkpoint is None:
                note(f"training {name} {chosen.without}")
                train(configuration)
                checkpoint = configuration.output
            _, found[name], _ = evaluate(configuration, checkpoint, given=chosen.given)
    result = Result(
        "astromodal-transformer",
        "a modality that is missing",
        f"{chosen.without} withheld, and never known; {chosen.steps} steps",
        versions=peer_versions("torch"),
    )
    note(f"{'target':20} {'withheld':>9} {'unknown':>9} ratio (95 % interval)")
    for known, other in zip(found["with"], found["without"], strict=True):
        require(known.target == other.target, "targets")
        require(np.array_equal(known.truth, other.truth), f"sources of {known.target}")
        ratio = error_ratio(known.prediction.mean, other.prediction.mean, known.truth, chosen.seed)
        note(f"{known.target:20} {known.figures.rmse:9.4g} {other.figures.rmse:9.4g} {ratio}")
        label = f"{known.target}: RMSE withheld / never known"
        result.at_most(label, ratio.value, 1.0)
        result.at_most(f"{label}, lower end of 95 %", ratio.low, 1.0)
    report(result, chosen.output)


def without(configuration: Configuration, pattern: str) -> list[str]:
    """Changes that take modalities out of a configuration."""
    weights = {k: v for k, v in configuration.loss.weights.items() if k != pattern}
    changes = [f"data.exclude=['{pattern}']", f"loss.weights={json.dumps(weights)}"]
    if configuration.evaluation.subsets is not None:
        kept = {
            name: left
            for name, patterns in configuration.evaluation.subsets.items()
            if (left := [p for p in patterns if p != pattern])
        }
        changes.append(f"evaluation.subsets={json.dumps(kept)}")
    return changes


if __name__ == "__main__":
    main()
