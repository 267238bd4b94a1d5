"""Whether a modality that is missing makes a model worse than one that never knew it.

Two models are trained alike, one of them without some modalities (`--without`). Both then predict
the same held-out sources from what remains. The ratio of their RMSE is printed with the interval
that resampled sources and repeated trainings give: it should not be above 1 beyond chance. One
training of each does not tell, since two that differ in nothing but their seeds differ as well.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from astro_common.benchmarking import Result, note, parser, peer_versions, report, require
from astromodal_transformer.configuration import Configuration, load_configuration
from astromodal_transformer.evaluate import evaluate
from astromodal_transformer.resampling import error_ratio
from astromodal_transformer.training.run import train

Float = NDArray[np.float64]


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--config", type=Path, required=True, metavar="F")
    options.add_argument("--without", default="gaiaxp_*", metavar="PATTERN")
    options.add_argument("--given", nargs="+", default=["mag_*"], metavar="NAME")
    options.add_argument("--steps", type=int, default=2000, metavar="N", help="of each (2000)")
    options.add_argument("--trainings", type=int, default=4, metavar="N", help="of each (4)")
    chosen = options.parse_args()
    if chosen.trainings < 2:
        options.error("--trainings: at least 2, since one does not tell how much they differ")
    # The clock may not decide: all see the same number of sources.
    steps = ["training.max_minutes=null", f"training.max_steps={chosen.steps}"]
    steps += [f"training.schedule_steps={chosen.steps}", "evaluation.baselines=[]"]
    models = {"with": [], "without": without(load_configuration(chosen.config), chosen.without)}
    first_seed = load_configuration(chosen.config).seed
    predicted: dict[str, dict[str, list[Float]]] = {name: {} for name in models}
    truth: dict[str, Float] = {}
    for seed in range(first_seed, first_seed + chosen.trainings):
        for name, changes in models.items():
            note(f"training {name} {chosen.without}, seed {seed}")
            with tempfile.TemporaryDirectory() as folder:
                own = [*steps, *changes, f"seed={seed}", f"output={folder}/run"]
                configuration = load_configuration(chosen.config, own)
                train(configuration)
                _, found, _ = evaluate(configuration, configuration.output, given=chosen.given)
            for target in found:
                expected = truth.setdefault(target.target, target.truth)
                require(np.array_equal(expected, target.truth), f"sources of {target.target}")
                predicted[name].setdefault(target.target, []).append(target.prediction.mean)
    result = Result(
        "astromodal-transformer",
        "a modality that is missing",
        f"{chosen.without} withheld, and never known; {chosen.steps} steps, "
        f"{chosen.trainings} trainings of each",
        versions=peer_versions("torch"),
    )
    note(f"{'target':20} {'withheld':>9} {'unknown':>9} ratio (95 % interval)")
    for target, known in predicted["with"].items():
        unknown = predicted["without"][target]
        ratio, low, high = ratio_of_trainings(known, unknown, truth[target], chosen.seed)
        errors = [np.sqrt(np.mean((np.stack(p) - truth[target]) ** 2)) for p in (known, unknown)]
        note(f"{target:20} {errors[0]:9.4g} {errors[1]:9.4g} {ratio:.3f} ({low:.3f} to {high:.3f})")
        label = f"{target}: RMSE withheld / never known"
        result.at_most(label, ratio, 1.0)
        result.at_most(f"{label}, lower end of 95 %", low, 1.0)
    report(result, chosen.output)


def ratio_of_trainings(
    known: list[Float], unknown: list[Float], truth: Float, seed: int
) -> tuple[float, float, float]:
    """Geometric mean over trainings of the ratio of two RMSE, with its 95 per cent interval.

    The variance of its logarithm is that among trainings over their number plus that of resampled
    sources, and the interval is Student's with as many degrees of freedom as the first has.
    """
    pairs = [error_ratio(p, q, truth, seed) for p, q in zip(known, unknown, strict=True)]
    logarithms = np.log([pair.value for pair in pairs])
    half_widths = [np.log(pair.high / pair.low) / 2 for pair in pairs]
    of_sources = float(np.mean(half_widths)) / stats.norm.ppf(0.975)
    variance = np.var(logarithms, ddof=1) / len(pairs) + of_sources**2
    reach = stats.t.ppf(0.975, len(pairs) - 1) * np.sqrt(variance)
    value = logarithms.mean()
    return float(np.exp(value)), float(np.exp(value - reach)), float(np.exp(value + reach))


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
