"""Whether a model that is told more knows less.

A trained model predicts each target from some modalities (`--given`), then from these and one more,
and from all there are, each time the held-out sources that have what is added. The ratio of the two
RMSE is printed with the interval that resampled sources give: it should not be above 1 beyond
chance. Of so many ratios about one in forty is, by chance alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from astro_common.benchmarking import Result, note, parser, peer_versions, report
from astromodal_transformer.configuration import load_configuration
from astromodal_transformer.predict import load_for_use, predict_scalars
from astromodal_transformer.questions import default_targets
from astromodal_transformer.resampling import error_ratio
from astromodal_transformer.truth import true_columns

# Fewer sources tell nothing.
FEWEST = 50


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--config", type=Path, required=True, metavar="F")
    options.add_argument("--checkpoint", type=Path, required=True, metavar="D")
    options.add_argument("--given", nargs="+", default=["mag_*", "gaiaxp_*"], metavar="NAME")
    chosen = options.parse_args()
    configuration = load_configuration(chosen.config)
    loaded = load_for_use(configuration, chosen.checkpoint)
    project, layout = loaded.project, loaded.project.layout
    names = configuration.evaluation.targets or default_targets(layout)
    targets = layout.matching(names, "evaluation.targets")
    store = project.store()
    rows = store.rows(configuration.evaluation.split)
    catalogue = true_columns(project, store, targets)
    codes = store.codes(rows)
    known = codes != project.vocabulary.missing
    result = Result(
        "astromodal-transformer",
        "more inputs",
        f"{len(rows)} held-out sources, from {' and '.join(chosen.given)} and more",
        versions=peer_versions("torch"),
    )
    worse = count = 0
    note(f"{'target':20} {'and':20} {'sources':>7} {'RMSE':>9} ratio (95 % interval)")
    for target in targets:
        given = [n for n in layout.matching(chosen.given, "--given") if n != target]
        others = [n for n in layout.modalities if n not in given and n != target]
        truth = catalogue[target][rows]
        for name, more in [*((n, [n]) for n in others), ("all", others)]:
            has = known[:, layout.slots(more)].any(axis=1)
            own = np.flatnonzero(np.isfinite(truth) & has)
            if len(own) < FEWEST:
                continue
            before, after = (
                predict_scalars(loaded, codes[own], seen, [target], [0.5]).mean[:, 0]
                for seen in (given, [*given, *more])
            )
            ratio = error_ratio(after, before, truth[own], chosen.seed)
            error = np.sqrt(np.mean((after - truth[own]) ** 2))
            note(f"{target:20} {name:20} {len(own):7} {error:9.4g} {ratio}")
            count, worse = count + 1, worse + (ratio.low > 1.0)
            if name == "all":
                label = f"{target}: RMSE from all / from {' and '.join(chosen.given)}"
                result.at_most(label, ratio.value, 1.0)
                result.at_most(f"{label}, lower end of 95 %", ratio.low, 1.0)
    note(f"{worse} of {count} ratios are above 1 with the whole interval")
    report(result, chosen.output)


if __name__ == "__main__":
    main()
