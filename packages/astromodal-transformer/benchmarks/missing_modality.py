"""Whether a modality that is missing makes a model worse than one that never knew it.

Two models are trained alike, one of them without some modalities (`--without`). Both then predict
the same held-out sources from what remains. The ratio of their RMSE is printed with the interval
that resampled sources give: it should not be above 1 beyond chance.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from astro_common.benchmarking import Result, note, parser, peer_versions, report, require
from astromodal_transformer.configuration import load_configuration
from astromodal_transformer.evaluate import Comparison, evaluate
from astromodal_transformer.training.run import train

DRAWS = 2000


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
        found = {}
        weights = load_configuration(chosen.config).loss.weights
        left = ", ".join(f"'{k}': {v}" for k, v in weights.items() if k != chosen.without)
        never = [f"data.exclude=['{chosen.without}']", f"loss.weights={{{left}}}"]
        for name, changes in (("with", []), ("without", never)):
            patterns = ", ".join(f"'{pattern}'" for pattern in chosen.given)
            own = [*steps, *changes, f"output={folder}/{name}", "evaluation.baselines=[]"]
            own.append(f"evaluation.subsets={{given: [{patterns}]}}")
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
    note(f"{'target':20} {'withheld':>9} {'unknown':>9} {'ratio':>6}  95 % interval")
    for known, other in zip(found["with"], found["without"], strict=True):
        require(known.target == other.target, "targets")
        require(np.array_equal(known.truth, other.truth), f"sources of {known.target}")
        ratio, low, high = compared(known, other, chosen.seed)
        note(
            f"{known.target:20} {known.figures.rmse:9.4g} {other.figures.rmse:9.4g} {ratio:6.3f}"
            f"  {low:.3f} to {high:.3f}"
        )
        label = f"{known.target}: RMSE withheld / never known"
        result.at_most(f"{label}, lower end of 95 %", low, 1.0)
    report(result, chosen.output)


def compared(known: Comparison, never: Comparison, seed: int) -> tuple[float, float, float]:
    """Ratio of the errors with the interval that holds 95 per cent of resampled ones."""
    squares = np.stack([(c.prediction.mean - c.truth) ** 2 for c in (known, never)])
    random = np.random.default_rng(seed)
    rows = random.integers(0, squares.shape[1], (DRAWS, squares.shape[1]))
    drawn = np.sqrt(squares[0][rows].mean(axis=1) / squares[1][rows].mean(axis=1))
    low, high = np.percentile(drawn, [2.5, 97.5])
    ratio = np.sqrt(squares[0].mean() / squares[1].mean())
    return float(ratio), float(low), float(high)


if __name__ == "__main__":
    main()
