from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from astromodal_transformer.__main__ import main
from astromodal_transformer.calibrating import _some_with_a_target
from astromodal_transformer.calibration import (
    interval_scale,
    pooled_scales,
    scale_of,
    share_interval,
    widened,
)
from astromodal_transformer.checkpoints import amend_record, check_checkpoint, read_checkpoint
from astromodal_transformer.configuration import load_configuration
from astromodal_transformer.training.balance import balanced_rows

NORMAL = norm.ppf([0.16, 0.5, 0.84])


@pytest.mark.parametrize("claimed", [0.5, 1.0, 2.0])
def test_the_factor_is_the_ratio_of_true_to_claimed_width(claimed):
    random = np.random.default_rng(3)
    middle = random.normal(size=40_000)
    truth = middle + random.normal(size=middle.size)
    scale = interval_scale(truth, middle[:, None] + claimed * NORMAL)
    # 68 per cent of a normal distribution lie within 0.9945 sigma, the quantiles likewise.
    assert scale == pytest.approx(1.0 / claimed, rel=0.02)


def test_intervals_hold_what_they_promise_on_sources_that_were_not_fitted():
    # Splitting must give at least the nominal share on average, however skew the truth is.
    random = np.random.default_rng(5)
    shares = []
    for _ in range(300):
        middle = random.normal(size=160)
        width = np.exp(random.normal(size=160))
        truth = middle + 3.0 * width * (random.exponential(size=160) - 0.7)
        quantiles = middle[:, None] + width[:, None] * NORMAL
        scale = interval_scale(truth[:60], quantiles[:60])
        wide = widened(quantiles[60:], middle[60:], scale)
        shares.append(np.mean((truth[60:] >= wide[:, 0]) & (truth[60:] <= wide[:, 2])))
    assert 0.68 - 0.01 < np.mean(shares) < 0.68 + 0.03


@pytest.mark.parametrize("count", [5, 9, 40])
def test_the_factor_holds_its_share_of_what_comes_next_on_average(count):
    random = np.random.default_rng(6)
    scales = [
        interval_scale(random.normal(size=count), np.tile(NORMAL, (count, 1))) for _ in range(4000)
    ]
    shares = 1.0 - 2.0 * norm.sf(np.multiply(scales, NORMAL[2]))
    assert np.mean(shares) == pytest.approx(0.68, abs=0.01)


def test_empty_widths_give_a_number():
    assert np.isfinite(interval_scale(np.ones(50), np.zeros((50, 3))))


def factors(scales, count, random):
    """What `interval_scale` finds of normal residuals, by target."""
    result = {}
    for name, scale in scales.items():
        truth = scale * random.normal(size=count)
        result[name] = interval_scale(truth, np.tile(NORMAL, (count, 1))), count
    return result


@pytest.mark.parametrize(
    ("spread", "count", "most"),
    [(0.0, 12, 0.6), (0.0, 100, 0.6), (0.1, 12, 0.6), (0.1, 100, 0.85), (0.5, 100, 1.05)],
)
def test_pooling_steadies_the_factors_and_bends_none_that_differs(spread, count, most):
    random = np.random.default_rng(8)
    errors = {"pooled": [], "own": []}
    for _ in range(60):
        taught = dict(zip("abcdefgh", np.exp(0.3 * random.normal(size=8)), strict=True))
        excess = 0.2 + spread * random.normal(size=8)
        true = {n: s * np.exp(e) for (n, s), e in zip(taught.items(), excess, strict=True)}
        held = factors(true, count, random)
        pooled = pooled_scales(held, factors(taught, 2000, random))
        errors["pooled"] += [np.log(pooled[n] / true[n]) for n in true]
        errors["own"] += [np.log(held[n][0] / true[n]) for n in true]
    pooled, own = (np.std(errors[kind]) for kind in ("pooled", "own"))
    # 0.96 over the root of the number is expected of a target's own sources.
    assert pooled < most * own
    assert abs(np.mean(errors["pooled"])) < 0.02 + 0.1 / np.sqrt(count)


def integrated(values, variance):
    """Posterior means by brute force on a grid of spread and of what is shared."""
    spread = np.linspace(0.0, 0.5, 251)[:, None, None]
    shared = np.linspace(-1.5, 1.5, 1201)[None, :, None]
    total = variance + spread**2
    log = -0.5 * (np.log(total) + (values - shared) ** 2 / total).sum(axis=2)
    log -= 0.5 * (shared[..., 0] / 0.3) ** 2 + 0.5 * (spread[..., 0] / 0.1) ** 2
    weight = np.exp(log - log.max())[..., None]
    kept = spread**2 / total
    means = (weight * (shared + kept * (values - shared))).sum(axis=(0, 1)) / weight.sum()
    return means, float((weight * shared).sum() / weight.sum())


def test_factors_are_posterior_means():
    excess, count = np.array([0.1, 0.6, 0.15, -0.1]), np.array([40, 80, 10, 300])
    held = {n: (float(np.exp(e)), int(c)) for n, e, c in zip("abcd", excess, count, strict=True)}
    taught = dict.fromkeys("abcde", (1.0, 10**9))
    pooled = pooled_scales(held, taught)
    means, shared = integrated(excess, 0.964**2 / count)
    expected = dict(zip("abcde", np.exp([*means, shared]), strict=True))
    assert pooled == pytest.approx(expected, rel=2e-3)


def test_many_sources_decide_alone():
    many = 10**7
    pooled = pooled_scales({"a": (3.0, many), "b": (0.5, many)}, {"a": (1.0, many), "b": (1.0, 99)})
    assert pooled == pytest.approx({"a": 3.0, "b": 0.5}, rel=0.1)
    assert pooled["a"] == pytest.approx(3.0, rel=1e-3)


def test_a_target_without_held_out_sources_is_enlarged_like_the_others():
    taught = {"a": (1.0, 10**6), "b": (0.5, 10**6), "c": (2.0, 10**6), "rare": (0.8, 50)}
    held = {name: (1.5 * taught[name][0], 10**5) for name in "abc"}
    pooled = pooled_scales(held, taught)
    assert pooled == pytest.approx({"a": 1.5, "b": 0.75, "c": 3.0, "rare": 1.2}, rel=0.01)


def test_without_anything_in_common_nothing_is_said():
    assert pooled_scales({}, {"a": (0.5, 100)}) == {}
    assert pooled_scales({"a": (0.5, 100)}, {}) == {}
    assert pooled_scales({"a": (0.0, 100)}, {"a": (0.5, 100)}) == {}
    assert pooled_scales({"a": (2.0, 100)}, {"a": (0.0, 100)}) == {}


@pytest.mark.parametrize(("inside", "count"), [(0, 1), (1, 1), (3, 7), (68, 100), (700, 1000)])
def test_the_interval_of_a_share_is_that_of_scipy(inside, count):
    found = binomtest(inside, count).proportion_ci(0.95, method="wilson")
    assert share_interval(inside, count) == pytest.approx((found.low, found.high), abs=1e-6)


@pytest.mark.parametrize("count", [1, 3, 41, 977])
def test_the_interval_of_a_share_contains_it(count):
    assert share_interval(0, count)[0] == 0.0
    assert share_interval(count, count)[1] == 1.0


def test_sources_with_rare_targets_are_all_taken(written_tokens, monkeypatch):
    from astromodal_transformer import calibrating

    store = written_tokens.open().store()
    rows = store.rows("all")
    names = ["gaia_teff_gspphot", "specz_z"]
    slots = [int(store.layout.slots([name])[0]) for name in names]
    missing = store.vocabulary.missing
    known = (store.codes(rows)[:, slots] != missing).sum(axis=0)
    rarer = int(np.argmin(known))
    assert known.min() > 5
    monkeypatch.setattr(calibrating, "_ROWS_AT_A_TIME", 16)
    monkeypatch.setattr(calibrating, "_MOST_SOURCES", int(known[rarer]))
    found = (_some_with_a_target(store, rows, slots, 0)[:, slots] != missing).sum(axis=0)
    assert found[rarer] == known[rarer]
    assert (found >= known[rarer]).all()
    monkeypatch.setattr(calibrating, "_MOST_SOURCES", 4)
    few = _some_with_a_target(store, rows, slots, 0)
    assert ((few[:, slots] != missing).sum(axis=0) >= 4).all()
    assert len(few) < known.max()


def test_inputs_choose_their_factor():
    entries = [{"given": ["a", "b"], "scale": 2.0}, {"given": None, "scale": 3.0}]
    record = {"calibration": {"t": entries}}
    assert scale_of(record, "t", ["b", "a", "t"]) == 2.0
    assert scale_of(record, "t", ["a"]) == 3.0
    assert scale_of(record, "other", ["a"]) == 1.0
    assert scale_of({}, "t", ["a"]) == 1.0


def test_the_median_stays_and_the_others_move():
    found = widened(np.array([[1.0, 2.0, 5.0]]), np.array([2.0]), 2.0)
    assert found.tolist() == [[0.0, 2.0, 8.0]]


def test_training_stores_the_factors_and_predictions_apply_them(tokens, run, tmp_path, monkeypatch):
    tokens.write_config(training={"max_steps": 4, "checkpoint_every_steps": 100})
    assert main(["train", "--config", str(tokens.config), "-q"]) == 0
    best = tokens.run / "checkpoints" / "best"
    check_checkpoint(best)
    scales = json.loads((best / "config.json").read_text())["calibration"]
    assert scales
    name, entries = next(iter(scales.items()))
    assert entries[-1]["given"] is None
    assert all(entry["scale"] > 0.0 for entry in entries)

    def interval(where):
        import pyarrow.parquet as pq

        out = tmp_path / f"{where}.parquet"
        words = ["predict", "--config", tokens.config, "--checkpoint", best, "--field", "F1"]
        assert run(*words, "--target", name, "--out", out)[0] == 0
        table = pq.read_table(out)
        return [table[f"{name}_{q}"].to_numpy() for q in ("q16", "q50", "q84")]

    before = interval("before")
    amend_record(best, {"calibration": {name: [{"given": None, "scale": 1.0, "n": 1}]}})
    plain = interval("plain")
    amend_record(best, {"calibration": {name: [{"given": None, "scale": 2.0, "n": 1}]}})
    wide = interval("wide")
    np.testing.assert_allclose(wide[2] - wide[0], 2.0 * (plain[2] - plain[0]), rtol=1e-9)
    np.testing.assert_allclose(wide[1], before[1])
    assert read_checkpoint(best).record["calibration"][name][0]["scale"] == 2.0

    from astromodal_transformer import calibrating

    monkeypatch.setattr(calibrating, "FEWEST_TAUGHT", 3)
    monkeypatch.setattr(calibrating, "_MOST_SOURCES", 6)
    few = calibrating.fitted_scales(load_configuration(tokens.config), best)
    assert {entry["n"] for entries in few.values() for entry in entries} == {6}


def test_a_finished_run_without_factors_gets_them(tokens, run):
    tokens.write_config(training={"max_steps": 4, "checkpoint_every_steps": 100})
    assert main(["train", "--config", str(tokens.config), "-q"]) == 0
    last = tokens.run / "checkpoints" / "last"
    record = read_checkpoint(last).record
    amended = {key: value for key, value in record.items() if key != "calibration"}
    folder = json.loads((last / "state.json").read_text())
    text = json.dumps(amended, indent=2) + "\n"
    (last / "config.json").write_text(text)
    import hashlib

    folder["files"]["config.json"] = {
        "size": len(text.encode()),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    (last / "state.json").write_text(json.dumps(folder))
    assert "calibration" not in read_checkpoint(last).record
    assert run("train", "--config", tokens.config, "--resume", "-q")[0] == 0
    assert read_checkpoint(last).record["calibration"] == record["calibration"]


def test_sources_with_rare_modalities_are_seen_oftener(written_tokens):
    store = written_tokens.open().store()
    slot = int(store.layout.slots(["specz_z"])[0])
    every = np.arange(len(store))
    has_redshift = store.codes(every)[:, slot] != store.vocabulary.missing
    rows = np.sort(np.concatenate([every[~has_redshift], every[has_redshift][:3]]))
    assert np.array_equal(balanced_rows(store, rows, 0.0), rows)
    found = balanced_rows(store, rows, 1.0)
    views = np.bincount(found % len(store), minlength=len(store))
    assert set(np.flatnonzero(views)) == set(rows)
    assert len(np.unique(found)) == len(found)
    known = store.codes(rows) != store.vocabulary.missing
    names = store.layout.modalities
    has = np.stack([known[:, store.layout.slots([n])].any(axis=1) for n in names], axis=1)
    rarest = np.where(has, has.sum(axis=0), len(rows) + 1).min(axis=1)
    order = np.argsort(rarest, kind="stable")
    assert np.all(np.diff(views[rows][order]) <= 0)
    assert views[every[~has_redshift]].min() == 1
    assert views.max() > 1
    # Every stretch of a pass holds the same mixture.
    rare = has_redshift[found % len(store)]
    halves = np.array_split(rare, 2)
    assert abs(int(halves[0].sum()) - int(halves[1].sum())) <= np.count_nonzero(has_redshift[rows])
    assert halves[0].any()
