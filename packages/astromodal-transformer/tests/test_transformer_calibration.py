from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm

from astromodal_transformer.__main__ import main
from astromodal_transformer.calibration import (
    FEWEST,
    interval_scale,
    pooled_scales,
    scale_of,
    widened,
)
from astromodal_transformer.checkpoints import amend_record, check_checkpoint, read_checkpoint
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


def test_few_sources_and_empty_widths_are_left_alone():
    few = np.zeros((FEWEST - 1, 3))
    assert interval_scale(np.ones(FEWEST - 1), few) == 1.0
    assert np.isfinite(interval_scale(np.ones(50), np.zeros((50, 3))))


def factors(scales, count, random):
    """What `interval_scale` finds of normal residuals, by target."""
    result = {}
    for name, scale in scales.items():
        truth = scale * random.normal(size=count)
        result[name] = interval_scale(truth, np.tile(NORMAL, (count, 1))), count
    return result


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_pooling_steadies_the_factors_and_bends_none_that_differs(spread):
    random = np.random.default_rng(8)
    errors = {"pooled": [], "own": []}
    for _ in range(60):
        taught = dict(zip("abcdefgh", np.exp(0.3 * random.normal(size=8)), strict=True))
        excess = 0.2 + spread * random.normal(size=8)
        true = {n: s * np.exp(e) for (n, s), e in zip(taught.items(), excess, strict=True)}
        held = factors(true, 100, random)
        pooled = pooled_scales(held, factors(taught, 2000, random))
        errors["pooled"] += [np.log(pooled[n] / true[n]) for n in true]
        errors["own"] += [np.log(held[n][0] / true[n]) for n in true]
    pooled, own = (np.std(errors[kind]) for kind in ("pooled", "own"))
    # 0.096 is expected of 100 sources, and 0.04 of all of them with 2000 that were taught.
    assert pooled < (0.6 if spread == 0.0 else 1.02) * own
    assert abs(np.mean(errors["pooled"])) < 0.02


def test_few_targets_keep_their_own_factors():
    held = {"a": (1.5, 100), "b": (0.5, 100), "c": (2.0, 30)}
    assert pooled_scales(held, {"a": (1.0, 999), "b": (1.0, 999)}) == {"a": 1.5, "b": 0.5, "c": 2.0}
    assert pooled_scales(held, dict.fromkeys(held, (0.0, 999))) == {"a": 1.5, "b": 0.5, "c": 2.0}


def test_a_target_without_held_out_sources_is_enlarged_like_the_others():
    taught = {"a": (1.0, 1000), "b": (0.5, 1000), "c": (2.0, 1000), "rare": (0.8, 50)}
    held = {name: (1.5 * taught[name][0], 100) for name in "abc"}
    pooled = pooled_scales(held, taught)
    assert pooled == pytest.approx({"a": 1.5, "b": 0.75, "c": 3.0, "rare": 1.2})
    del held["c"]
    assert "rare" not in pooled_scales(held, taught)


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


def test_training_stores_the_factors_and_predictions_apply_them(tokens, run, tmp_path):
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
