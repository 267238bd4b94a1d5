"""How near a model comes to what the noise of a synthetic sky allows.

The error of a prediction is measured against catalogue values, which have noise of their own. The
limit has two parts. The first, the difference of the catalogue from the truth table of the sky, is
known source by source. The second is the spread of the truth among sources that look alike; it is
estimated from above by regressions that no survey could make: they see the magnitudes with their
errors and the coefficients of the XP spectra themselves in place of tokens, and learn from the true
values of all sources of the training part of the sky, with or without spectroscopy. Of these
regressions the one is taken that does best on the validation part.

It needs a folder that `tools/demo.py` of the repository has made, or one like it; the truth table
is read as a file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from astro_common.benchmarking import Result, note, parser, peer_versions, report
from astromodal_transformer.configuration import load_configuration
from astromodal_transformer.evaluate import evaluate
from astromodal_transformer.predict import load_for_use
from astromodal_transformer.truth import read_hypercube, true_columns

# Column of the truth table behind a target, and the class of source that has it.
TRUE_COLUMNS = {
    "gaia_teff_gspphot": ("teff", "star"),
    "gaia_logg_gspphot": ("logg", "star"),
    "gaia_mh_gspphot": ("feh", "star"),
    "apogee_TEFF": ("teff", "star"),
    "apogee_LOGG": ("logg", "star"),
    "apogee_FE_H": ("feh", "star"),
    "desi_Z": ("redshift", None),
    "specz_z": ("redshift", None),
}
GIVEN = ("mag_*", "gaiaxp_*")
ARMS = ("bp", "rp")
PARTS = ("train", "validation", "test")


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--config", type=Path, required=True, metavar="F")
    options.add_argument("--checkpoint", type=Path, required=True, metavar="D")
    options.add_argument("--truth", type=Path, required=True, metavar="P", help="truth.parquet")
    chosen = options.parse_args()
    configuration = load_configuration(chosen.config, ["evaluation.baselines=[gradient_boosting]"])
    if configuration.hypercube is None:
        sys.exit(f"{chosen.config}: no key hypercube; expected datacube_{{field}}.parquet")
    record, _, _ = evaluate(configuration, chosen.checkpoint, given=GIVEN)
    loaded = load_for_use(configuration, chosen.checkpoint)
    store = loaded.project.store()
    targets = [name for name in record["targets"] if name in TRUE_COLUMNS]
    catalogue = true_columns(loaded.project, store, targets)
    truth = ordered_truth(chosen.truth, store.ids)
    inputs = raw_inputs(configuration.hypercube, store.fields)
    result = Result(
        "astromodal-transformer",
        "information limit",
        f"{record['sources']} held-out sources, from {' and '.join(GIVEN)}",
        versions=peer_versions("scikit-learn", "torch"),
    )
    parts = {name: np.isin(np.arange(len(store)), store.rows(name)) for name in PARTS}
    note(f"{'target':20} {'model':>9} {'limit':>9} {'ratio':>6} {'labels':>9} {'boosting':>9}")
    for name in targets:
        column, kind = TRUE_COLUMNS[name]
        true = truth[column]
        of_kind = np.isfinite(true) & ((truth["class"] == kind) if kind else True)
        # Redshifts of all kinds: those that spectroscopy would choose.
        if kind is None:
            of_kind &= np.isfinite(catalogue[name])
        known = np.isfinite(catalogue[name]) & np.isfinite(true)
        test = known & parts["test"]
        spread = reference_error(inputs, true, of_kind, known, parts, chosen.seed)
        labels = float(np.sqrt(np.mean((catalogue[name] - true)[test] ** 2)))
        limit = float(np.hypot(spread, labels))
        own = record["targets"][name]["given"]
        boosting = own["baselines"]["gradient_boosting"]["rmse"]
        ratio = own["rmse"] / limit
        note(
            f"{name:20} {own['rmse']:9.4g} {limit:9.4g} {ratio:6.2f} {labels:9.4g} {boosting:9.4g}"
            f"  coverage {own['coverage_68']:.3f} of {own['n']}"
        )
        result.at_most(f"{name}: RMSE of the model / information limit", ratio, 1.5)
        result.at_most(
            f"{name}: RMSE of the model / gradient boosting", own["rmse"] / boosting, 1.0
        )
        distance = abs(own["coverage_68"] - 0.68)
        result.at_most(f"{name}: coverage of 68 % intervals, distance from 0.68", distance, 0.03)
    report(result, chosen.output)


def ordered_truth(path: Path, ids: list[str]) -> dict[str, np.ndarray]:
    """Columns of the truth table in the order of the tokens."""
    table = pq.read_table(path, columns=["id", "class", "teff", "logg", "feh", "redshift"])
    place = {text: row for row, text in enumerate(table["id"].to_pylist())}
    rows = pa.array([place[text] for text in ids])
    table = table.take(rows)
    result = {n: table[n].to_numpy().astype(float) for n in ("teff", "logg", "feh", "redshift")}
    result["class"] = np.array(table["class"].to_pylist())
    return result


def raw_inputs(template: str, fields: tuple[str, ...]) -> np.ndarray:
    """Magnitudes, their errors and the coefficients of XP relative to the first; NaN if missing."""
    blocks = []
    for field in fields:
        path = Path(template.replace("{field}", field))
        names = [n for n in pq.read_schema(path).names if n.startswith(("mag_ps", "err_mag_ps"))]
        spectra = [f"gaiaxp_{arm}_coefficients" for arm in ARMS]
        table = read_hypercube(path, [*names, *spectra])
        columns = [table[n].to_numpy(zero_copy_only=False).astype(float) for n in names]
        photometry = np.stack(columns, axis=1)
        photometry[np.abs(photometry) > 90.0] = np.nan
        parts = [photometry]
        for name in spectra:
            rows = table[name].to_pylist()
            width = max((len(row) for row in rows if row is not None), default=1)
            empty = [np.nan] * width
            values = np.array([empty if row is None else row for row in rows], dtype=float)
            norm = np.abs(values[:, :1])
            parts += [np.log(norm), values / norm]
        blocks.append(np.concatenate(parts, axis=1))
    return np.concatenate(blocks)


def reference_error(
    inputs: np.ndarray,
    true: np.ndarray,
    of_kind: np.ndarray,
    known: np.ndarray,
    parts: dict[str, np.ndarray],
    seed: int,
) -> float:
    """Error against the truth of the best of some regressions, on test sources with a label."""
    teach, judge, test = (
        of_kind & parts["train"],
        of_kind & known & parts["validation"],
        known & parts["test"],
    )
    middle, scale = true[teach].mean(), true[teach].std()
    y = (true[teach] - middle) / scale
    fill = np.nanmedian(inputs[teach], axis=0)
    spread = np.nanstd(inputs[teach], axis=0)
    spread[~(spread > 0.0)] = 1.0

    def dense(rows: np.ndarray) -> np.ndarray:
        missing = np.isnan(inputs[rows])
        values = (np.where(missing, fill, inputs[rows]) - fill) / spread
        return np.concatenate([np.clip(values, -8, 8), missing[:, ::12]], axis=1)

    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    with threadpool_limits(1):
        trees = HistGradientBoostingRegressor(
            max_iter=400, learning_rate=0.05, random_state=seed, early_stopping=True
        ).fit(inputs[teach], y)
        found["boosting"] = trees.predict(inputs[judge]), trees.predict(inputs[test])
        nets = [
            MLPRegressor(
                hidden_layer_sizes=(128, 128), alpha=1e-3, early_stopping=True, random_state=number
            )
            for number in range(seed, seed + 3)
        ]
        for net in nets:
            net.fit(dense(teach), y)
        found["networks"] = (
            np.mean([net.predict(dense(judge)) for net in nets], axis=0),
            np.mean([net.predict(dense(test)) for net in nets], axis=0),
        )
    found["both"] = tuple(  # type: ignore[assignment]
        (a + b) / 2.0 for a, b in zip(found["boosting"], found["networks"], strict=True)
    )

    def error(predicted: np.ndarray, rows: np.ndarray) -> float:
        return float(np.sqrt(np.mean((middle + scale * predicted - true[rows]) ** 2)))

    best = min(found, key=lambda name: error(found[name][0], judge))
    return error(found[best][1], test)


if __name__ == "__main__":
    main()
