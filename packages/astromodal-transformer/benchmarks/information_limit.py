"""How near a model comes to what the noise of a synthetic sky allows.

The error of a prediction is measured against catalogue values, which have noise of their own. The
limit has two parts. The first, the difference of the catalogue from the truth table of the sky, is
known source by source. The second is the spread of the truth among sources that look alike; it is
estimated from above by regressions that no survey could make: they see the magnitudes with their
errors, with and without the coefficients of the XP spectra, in place of tokens, and learn from true
values: of all sources of the training part of the sky, with or without spectroscopy, of those that
any survey has measured, and of those that have the target. Networks often do better with the
fewer, brighter sources. Of these regressions the one is taken that does best on the sources of the
validation part that have the target.

Few sources have spectroscopy, so that each figure comes with its chance: the ratio to gradient
boosting with the interval that resampled sources give, the share of intervals that hold the truth
with its confidence interval.

It needs a folder that `tools/demo.py` of the repository has made, or one like it; the truth table
is read as a file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from astro_common.benchmarking import Result, note, parser, peer_versions, report, require
from astromodal_transformer.configuration import load_configuration
from astromodal_transformer.evaluate import evaluate
from astromodal_transformer.predict import load_for_use
from astromodal_transformer.resampling import error_ratio
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
# Magnitudes and errors of twelve bands: the first of the inputs.
PHOTOMETRY = 24
PARTS = ("train", "validation", "test")
COVERAGE, TOLERANCE = 0.68, 0.03


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--config", type=Path, required=True, metavar="F")
    options.add_argument("--checkpoint", type=Path, required=True, metavar="D")
    options.add_argument("--truth", type=Path, required=True, metavar="P", help="truth.parquet")
    chosen = options.parse_args()
    configuration = load_configuration(chosen.config, ["evaluation.baselines=[gradient_boosting]"])
    if configuration.hypercube is None:
        sys.exit(f"{chosen.config}: no key hypercube; expected datacube_{{field}}.parquet")
    record, comparisons, _ = evaluate(configuration, chosen.checkpoint, given=GIVEN)
    loaded = load_for_use(configuration, chosen.checkpoint)
    store = loaded.project.store()
    found = {own.target: own for own in comparisons if own.target in TRUE_COLUMNS}
    catalogue = true_columns(loaded.project, store, list(found))
    truth = ordered_truth(chosen.truth, store.ids)
    inputs = raw_inputs(configuration.hypercube, store.fields)
    result = Result(
        "astromodal-transformer",
        "information limit",
        f"{record['sources']} held-out sources, from {' and '.join(GIVEN)}",
        versions=peer_versions("scikit-learn", "torch"),
    )
    parts = {name: np.isin(np.arange(len(store)), store.rows(name)) for name in PARTS}
    note(f"{'target':20} {'model':>9} {'limit':>9} {'labels':>9} {'boosting':>9} {'n':>5}")
    measured: dict[str, np.ndarray] = {}
    for name in found:
        column = TRUE_COLUMNS[name][0]
        before = measured.get(column, np.zeros(len(store), dtype=bool))
        measured[column] = before | np.isfinite(catalogue[name])
    references: dict[tuple[str, bytes], list[np.ndarray]] = {}
    for name, own in found.items():
        column, kind = TRUE_COLUMNS[name]
        true = truth[column]
        of_kind = np.isfinite(true) & ((truth["class"] == kind) if kind else True)
        known = np.isfinite(catalogue[name]) & np.isfinite(true)
        test = known & parts["test"]
        pupils = [of_kind & measured[column], of_kind & known]
        # Redshifts of all kinds: those that spectroscopy would choose.
        if kind is not None:
            pupils.insert(0, of_kind)
        values = []
        for taught in pupils:
            teach = taught & parts["train"]
            # Two surveys may measure the same truth: its regressions are made once.
            key = (column, teach.tobytes())
            if key not in references:
                everything = taught is pupils[0]
                references[key] = reference_values(inputs, true, teach, chosen.seed, everything)
            values += references[key]
        judge = of_kind & known & parts["validation"]
        spread = best_error(values, true, judge, test)
        labels = float(np.sqrt(np.mean((catalogue[name] - true)[test] ** 2)))
        limit = float(np.hypot(spread, labels))
        # A galaxy that a survey took for a star has no true temperature: it is left out of both.
        with_value = np.isfinite(catalogue[name]) & parts["test"]
        require(np.array_equal(own.truth, catalogue[name][with_value]), f"sources of {name}")
        off = (own.prediction.mean - own.truth)[test[with_value]]
        rmse = float(np.sqrt(np.mean(off**2)))
        figures, boosting = own.figures, own.baseline_predictions["gradient_boosting"]
        gain = error_ratio(own.prediction.mean, boosting.mean, own.truth, chosen.seed)
        note(
            f"{name:20} {figures.rmse:9.4g} {limit:9.4g} {labels:9.4g} "
            f"{own.baselines['gradient_boosting'].rmse:9.4g} {figures.n:5d}"
            f"  / limit {rmse / limit:.2f} of {len(off)}, / boosting {gain}, coverage "
            f"{figures.coverage_68:.3f} ({figures.coverage_68_low:.3f} to "
            f"{figures.coverage_68_high:.3f})"
        )
        result.at_most(f"{name}: RMSE of the model / information limit", rmse / limit, 1.5)
        label = f"{name}: RMSE of the model / gradient boosting"
        result.at_most(label, gain.value, 1.0)
        result.at_most(f"{label}, upper end of 95 %", gain.high, 1.0)
        label = f"{name}: coverage of 68 % intervals, distance from {COVERAGE}"
        result.at_most(label, abs(figures.coverage_68 - COVERAGE), TOLERANCE)
        # The nearest share that chance may have turned into the one that was found.
        nearest = min(max(COVERAGE, figures.coverage_68_low), figures.coverage_68_high)
        result.at_most(f"{label}, lower end of 95 %", abs(nearest - COVERAGE), TOLERANCE)
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


def reference_values(
    inputs: np.ndarray, true: np.ndarray, teach: np.ndarray, seed: int, everything: bool
) -> list[np.ndarray]:
    """What regressions taught by the truth of some sources say of all.

    Networks from the photometry, of which the principal components are taken in units of their
    scatter: colours vary far less than magnitudes. From everything also trees, networks and the
    mean of both.
    """
    middle, scale = true[teach].mean(), true[teach].std()
    y = (true[teach] - middle) / scale
    with threadpool_limits(1):
        dense = _dense(inputs[:, :PHOTOMETRY], teach)
        components = PCA(whiten=True).fit(dense[teach]).transform(dense)
        found = [_networks(np.clip(components, -8, 8), y, teach, seed)]
        if everything:
            trees = HistGradientBoostingRegressor(
                max_iter=400, learning_rate=0.05, random_state=seed, early_stopping=True
            )
            boosted = trees.fit(inputs[teach], y).predict(inputs)
            averaged = _networks(_dense(inputs, teach), y, teach, seed)
            found += [boosted, averaged, (boosted + averaged) / 2.0]
    return [middle + scale * own for own in found]


def _dense(inputs: np.ndarray, teach: np.ndarray) -> np.ndarray:
    """Standardised inputs with the median where they are missing, and what is missing."""
    fill = np.nanmedian(inputs[teach], axis=0)
    spread = np.nanstd(inputs[teach], axis=0)
    spread[~(spread > 0.0)] = 1.0
    missing = np.isnan(inputs)
    dense = np.clip((np.where(missing, fill, inputs) - fill) / spread, -8, 8)
    return np.asarray(np.concatenate([dense, missing[:, ::12]], axis=1))


def _networks(dense: np.ndarray, y: np.ndarray, teach: np.ndarray, seed: int) -> np.ndarray:
    """The mean of three networks."""
    nets = [
        MLPRegressor(
            hidden_layer_sizes=(128, 128), alpha=1e-3, early_stopping=True, random_state=number
        )
        for number in range(seed, seed + 3)
    ]
    return np.asarray(np.mean([net.fit(dense[teach], y).predict(dense) for net in nets], axis=0))


def best_error(
    values: list[np.ndarray], true: np.ndarray, judge: np.ndarray, test: np.ndarray
) -> float:
    """Error on test sources of what does best on those that judge."""

    def error(own: np.ndarray, rows: np.ndarray) -> float:
        return float(np.sqrt(np.mean((own - true)[rows] ** 2)))

    return error(min(values, key=lambda own: error(own, judge)), test)


if __name__ == "__main__":
    main()
