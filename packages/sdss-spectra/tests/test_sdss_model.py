from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdssfiles import rows_of, write_classes

from sdss_spectra.baselines import BASELINES
from sdss_spectra.baselines.tuning import best_setting
from sdss_spectra.evaluation import evaluate_predictions, expected_calibration_error
from sdss_spectra.mock import write_mock
from sdss_spectra.model.architecture import Network, forward, softmax
from sdss_spectra.model.augmentation import Augmentation, augment
from sdss_spectra.model.bins import Bins
from sdss_spectra.model.inputs import InputSettings, channels
from sdss_spectra.model.templates import Templates, combined, fit_templates, log_flux
from sdss_spectra.preprocessing.resample import LogGrid
from sdss_spectra.splits import split_spectra
from sdss_spectra.stars import StarKeys, leakage_groups

TINY = [
    "--epochs", "3", "--members", "1", "--width", "4", "--depth", "3", "--n-pixels", "512",
    "--loglam-step", "0.0008", "--validation-fraction", "0.2", "--test-fraction", "0.3",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set of four easy classes, and a tiny model of it."""
    from sdss_spectra.__main__ import main

    folder = tmp_path_factory.mktemp("trained")
    write_classes(folder / "data", per_class=6)
    status = main(["train", str(folder / "data"), "-o", str(folder / "m"), "--seed", "1", *TINY])
    assert status == 0
    return folder


def test_training_writes_a_model_and_its_splits(trained):
    model = json.loads((trained / "m" / "model.json").read_text())
    assert model["label_map"] == {"B": 0, "A": 1, "F": 2, "K": 3}
    parts = {
        part: {row["leakage_group"] for row in rows_of(trained / "m" / f"{part}_split.csv")}
        for part in ("train", "validation", "test")
    }
    assert not parts["train"] & parts["test"]
    assert not parts["train"] & parts["validation"]
    assert len(rows_of(trained / "m" / "history.csv")) == 3


def test_predictions_need_no_tensorflow_and_sum_to_one(trained, tmp_path, run):
    status, _, _ = run(
        "predict", trained / "data", "--model", trained / "m", "-o", tmp_path / "p.csv"
    )
    assert status == 0
    rows = rows_of(tmp_path / "p.csv")
    assert list(rows[0]) == ["spec_id", "class_pred", "p_B", "p_A", "p_F", "p_K"]
    assert len(rows) == 24
    for row in rows:
        shares = [float(row[f"p_{name}"]) for name in "BAFK"]
        assert sum(shares) == pytest.approx(1.0)
        assert "BAFK"[int(np.argmax(shares))] == row["class_pred"]


def test_a_batch_of_one_is_a_batch_of_many(trained, tmp_path, run):
    run("predict", trained / "data", "--model", trained / "m", "-o", tmp_path / "all.csv")
    one = sorted((trained / "data" / "F").glob("*.fits"))[0]
    run("predict", one, "--model", trained / "m", "-o", tmp_path / "one.csv")
    (single,) = rows_of(tmp_path / "one.csv")
    (same,) = [r for r in rows_of(tmp_path / "all.csv") if r["spec_id"] == single["spec_id"]]
    assert single["class_pred"] == same["class_pred"]
    assert float(single["p_F"]) == pytest.approx(float(same["p_F"]), abs=1e-5)


def test_evaluate_leaves_out_the_stars_of_the_training(trained, run):
    status, out, _ = run("evaluate", trained / "data", "--model", trained / "m", "--json")
    assert status == 0
    result = json.loads(out)
    assert result["spectra"] == len(rows_of(trained / "m" / "test_split.csv"))
    assert 0 <= result["accuracy"] <= 1
    assert {"macro_f1", "confusion", "curves", "per_class", "accuracy_by_snr"} <= set(result)


def test_baselines_are_judged_on_the_same_spectra(trained, run):
    status, out, _ = run(
        "evaluate", trained / "data", "--model", trained / "m", "--json", "--baselines"
    )
    assert status == 0
    result = json.loads(out)
    assert set(result["baselines"]) == set(BASELINES)
    assert all(b["spectra"] == result["spectra"] for b in result["baselines"].values())
    # Lines of 18,000 to 4,300 K: any sound baseline tells most.
    assert result["baselines"]["PCA + logistic regression"]["accuracy"] > 0.5


@pytest.mark.slow
def test_the_same_seed_gives_the_same_predictions(trained, tmp_path, run):
    run("train", trained / "data", "-o", tmp_path / "again", "--seed", "1", *TINY)
    for name in ("model.json", "weights.npz", "history.csv", "train_split.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (trained / "m" / name).read_bytes(), name


def test_numpy_and_keras_compute_the_same():
    from sdss_spectra.model.keras_network import build, load_tensorflow, ordered_weights

    tf = load_tensorflow()
    random = np.random.default_rng(0)
    values = random.normal(size=(5, 250, 2)).astype(np.float32)
    for architecture in ("cnn", "resnet"):
        network = Network(architecture=architecture, depth=3, width=6, dense_units=8)
        model = build(tf, network, (250, 2), 20)
        for layer in model.layers:
            # Batch normalisation at its start is the identity, which would hide a mistake.
            if "batch_normalization" in layer.name:
                layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        peer = model.predict(values, verbose=0)
        ours = forward(network, ordered_weights(model), values)
        assert np.allclose(ours, peer, atol=1e-4), architecture


def test_a_network_learns_one_batch_by_heart():
    from sdss_spectra.model.training import Labelled, TrainingSettings, train_network

    random = np.random.default_rng(1)
    grid = LogGrid(3.55, 8e-4, 256)
    classes = np.arange(12) % 3
    flux = np.ones((12, 256), np.float32) + random.normal(0, 0.01, (12, 256)).astype(np.float32)
    for row, number in enumerate(classes):
        flux[row, 60 * (number + 1) : 60 * (number + 1) + 8] *= 0.3
    data = Labelled(
        flux, np.ones_like(flux), np.zeros((12, 256), bool), classes, np.full(12, np.nan)
    )
    empty = Labelled(flux[:0], flux[:0], data.mask[:0], classes[:0], np.zeros(0))
    bins = Bins(("A", "F", "G"))
    network = Network(depth=3, width=8, dense_units=16, dropout=0.0, l2=0.0)
    weights, history = train_network(
        data, empty, loglam=grid.loglam, network=network, inputs=InputSettings(), bins=bins,
        augmentation=None, seed=3,
        settings=TrainingSettings(epochs=40, batch_size=12, members=1, views=1, learning_rate=0.01),
    )  # fmt: skip
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]
    logits = forward(network, weights[0], channels(flux, flux, data.mask, 8e-4, InputSettings()))
    told = bins.class_probabilities(softmax(logits)).argmax(axis=1)
    assert (told == classes).all()


def sloped_spectra(count, seed, n_pixels=512):
    """Fluxes of three subtypes, told apart by continuum and by the place of a line."""
    random = np.random.default_rng(seed)
    kind = np.arange(count) % 3
    x = np.linspace(-1.0, 1.0, n_pixels)
    flux = np.exp(0.5 * (kind[:, None] - 1) * x) + random.normal(0, 0.02, (count, n_pixels))
    flux[np.arange(n_pixels)[None] // 40 == 2 + 4 * kind[:, None]] *= 0.8
    # The unit is of no matter.
    return flux * 10.0 ** random.uniform(-15, 2, (count, 1)), kind


@pytest.mark.parametrize("side", ["all", "blue", "red"])
def test_templates_hold_for_missing_wavelengths(side):
    flux, kind = sloped_spectra(60, 1)
    fitted = fit_templates(*log_flux(flux, np.zeros(flux.shape, bool)), kind, kind + 40.0)
    fresh, truth = sloped_spectra(30, 2)
    mask = np.zeros(fresh.shape, bool)
    mask[:, {"all": slice(0, 0), "blue": slice(0, 250), "red": slice(260, 512)}[side]] = True
    told = fitted.probabilities(*log_flux(np.where(mask, 1e9, fresh), mask), 3)
    assert told.sum(axis=1) == pytest.approx(1.0)
    assert (told.argmax(axis=1) == truth).all()
    assert list(fitted.codes) == [40.0, 41.0, 42.0]


def test_chi_square_agrees_with_a_loop():
    flux, kind = sloped_spectra(12, 3, n_pixels=60)
    mask = np.random.default_rng(3).random(flux.shape) < 0.3
    values, known = log_flux(flux, mask)
    fitted = fit_templates(values, known, kind, np.full(12, np.nan))
    found = fitted.chi_square(values, known)
    for row in range(12):
        for place in range(3):
            both = known[row] & fitted.known[place]
            difference = (values[row] - fitted.values[place])[both]
            assert found[row, place] == pytest.approx(difference.var(), rel=1e-3, abs=1e-6)


def test_the_scale_is_that_of_spectra_without_a_part_in_their_template():
    flux, kind = sloped_spectra(30, 5)
    values, known = log_flux(flux, np.zeros(flux.shape, bool))
    fitted = fit_templates(values, known, kind, kind + 40.0)
    alone = []
    for row in range(30):
        rest = np.arange(30) != row
        others = fit_templates(values[rest], known[rest], kind[rest], kind[rest] + 40.0)
        alone.append(others.chi_square(values[row : row + 1], known[row : row + 1]).min())
    assert fitted.scale[0] == pytest.approx(np.median(alone), rel=1e-3)


def test_templates_keep_through_a_file_and_a_class_may_be_absent():
    flux, kind = sloped_spectra(30, 4)
    kind = np.where(kind == 2, 3, kind)
    values, known = log_flux(flux, np.zeros(flux.shape, bool))
    fitted = fit_templates(values, known, kind, np.full(30, np.nan))
    again = Templates.from_arrays(fitted.arrays(), 4)
    told = again.probabilities(values, known, 4)
    assert np.array_equal(told, fitted.probabilities(values, known, 4))
    assert told[:, 2].max() < 1e-6
    with pytest.raises(ValueError, match="unlike shapes"):
        Templates.from_arrays({**fitted.arrays(), "known": fitted.known[:-1]}, 4)
    with pytest.raises(ValueError, match="unlike shapes"):
        Templates.from_arrays(fitted.arrays(), 3)


def test_classes_are_averaged_and_bins_keep_their_proportions():
    bins = Bins(("F", "G"))
    share = np.full((1, 20), 0.05)
    share[0, :2] = 0.04, 0.06
    found = combined(share, bins.membership, np.array([[0.9, 0.1]]))
    assert bins.class_probabilities(found)[0] == pytest.approx([0.7, 0.3])
    assert found[0, 0] / found[0, 1] == pytest.approx(0.04 / 0.06)


def test_the_temperature_changes_no_class(trained):
    from sdss_spectra.dataset import load_dataset
    from sdss_spectra.model.files import load_model

    model = load_model(trained / "m")
    arrays = load_dataset(trained / "data", model.preprocessing).arrays()
    told = []
    for model.temperature in (0.5, 1.0, 3.0):
        shares, codes = model.predict(*arrays)
        assert shares.sum(axis=1) == pytest.approx(1.0)
        told.append((shares.argmax(axis=1), shares.max(axis=1).mean(), codes))
    assert np.array_equal(told[0][0], told[1][0])
    assert np.array_equal(told[1][0], told[2][0])
    assert told[0][1] > told[1][1] > told[2][1]


def test_bins_hold_the_subtype():
    bins = Bins(("F", "G", "WD"))
    target = bins.targets(np.array([1, 2, 0]), np.array([42.0, np.nan, np.nan]), 1.0)
    assert target.sum(axis=1) == pytest.approx(1.0)
    assert bins.class_probabilities(target.astype(float))[0, 1] > 0.95
    assert bins.median_code(target.astype(float))[0] == pytest.approx(42.0, abs=0.05)
    assert target[1, 20] == 1.0
    assert np.allclose(target[2, :10], 0.1)


@given(st.lists(st.floats(0.0, 1.0), min_size=30, max_size=30).filter(lambda v: sum(v) > 0.1))
def test_the_subtype_is_the_median_of_its_distribution(share):
    bins = Bins(("F", "G", "K"))
    share = np.array(share) / np.sum(share)
    place = bins.median_code(share[None])[0] + 0.5
    edges = 30.0 + np.arange(31)
    below = np.interp(place, edges, np.concatenate([[0.0], np.cumsum(share)]))
    assert 30.0 <= place <= 60.0
    assert below == pytest.approx(0.5, abs=1e-6)


def test_a_second_type_far_off_does_not_draw_the_subtype():
    bins = Bins(("A", "F", "M", "WD"))
    share = np.full(31, 1e-9)
    share[[4, 25, 30]] = 0.5, 0.3, 0.2
    # A4 has more than half of what the sequence has; the mean would be a K star.
    assert bins.median_code(share[None])[0] == pytest.approx(24.0, abs=0.5)
    assert np.isnan(Bins(("WD", "CV")).median_code(np.array([[0.5, 0.5]])))


def test_channels_tell_lines_and_continuum_apart():
    x = np.arange(2048)
    line = 1 - 0.4 * np.exp(-0.5 * ((x - 900) / 5.0) ** 2)
    slope = 0.8 * (x / 2048 - 0.5)
    # The second is redder and a million times fainter.
    flux = np.stack([line, 1e-6 * line * np.exp(slope)]).astype(np.float32)
    mask = np.zeros(flux.shape, bool)
    found = channels(flux, np.ones_like(flux), mask, 2e-4, InputSettings(with_shape=True))
    assert found.shape == (2, 2048, 3)
    inside = slice(200, -200)
    lines, shape, present = np.moveaxis(found, -1, 0)
    assert lines[1, inside] == pytest.approx(
        lines[0, inside], abs=0.02 * float(np.abs(lines).max())
    )
    assert (shape[1] - shape[0])[inside] == pytest.approx(slope[inside], abs=0.01)
    assert (present == 1).all()
    alone = channels(flux, flux, mask, 2e-4, InputSettings(with_mask=False))
    assert np.array_equal(alone[..., 0], lines)


def test_channels_are_empty_where_there_are_no_data():
    flux = np.random.default_rng(2).uniform(0.5, 1.5, (3, 500)).astype(np.float32)
    mask = np.zeros(flux.shape, bool)
    mask[:, 300:] = True
    settings = InputSettings(with_ivar=True, with_shape=True)
    found = channels(flux, np.ones_like(flux), mask, 2e-4, settings)
    changed = np.where(mask, 1e9, flux)
    assert np.array_equal(found, channels(changed, np.ones_like(flux), mask, 2e-4, settings))
    assert (found[mask] == 0).all()


def test_augmentation_shifts_a_line_by_its_velocity():
    grid = LogGrid(3.55, 2e-4, 2048)
    x = np.arange(2048)
    flux = np.tile(1 - 0.6 * np.exp(-0.5 * ((x - 1000) / 6.0) ** 2), (200, 1)).astype(np.float32)
    settings = Augmentation(
        velocity_kms=500, max_ebv=0, max_blur_pixels=0, min_snr=300, max_cut=0, deep_cut=0,
        gap_fraction=0, mix_range=0,
    )  # fmt: skip
    new, mask, code = augment(
        flux, np.zeros(flux.shape, bool), np.full(200, 42.0), np.zeros(200, np.int64), grid.loglam,
        settings, np.random.default_rng(4),
    )  # fmt: skip
    places = np.where(mask, np.inf, new).argmin(axis=1)
    limit = np.log10(1 + 500 / 299792.458) / 2e-4
    assert np.abs(places - 1000).max() <= np.ceil(limit) + 2
    assert np.abs(places - 1000).max() > 1
    assert (code == 42.0).all()
    assert mask.mean() < 0.01


def test_augmentation_hides_up_to_half_of_some_spectra():
    flux = np.ones((400, 500), np.float32)
    settings = Augmentation(max_ebv=0, max_blur_pixels=0, max_cut=0, gap_fraction=0, mix_range=0)
    _, mask, _ = augment(
        flux, np.zeros(flux.shape, bool), np.full(400, 42.0), np.zeros(400, np.int64),
        LogGrid(3.55, 8e-4, 500).loglam, settings, np.random.default_rng(6),
    )  # fmt: skip
    hidden = mask.mean(axis=1)
    assert 0.5 < hidden.max() <= 0.61
    assert 0.1 < (hidden > 0.05).mean() < 0.25
    assert mask[:, 0].any()
    assert mask[:, -1].any()


def test_augmentation_is_reproducible():
    flux = np.random.default_rng(0).uniform(0.5, 1.5, (20, 300)).astype(np.float32)
    arguments = (
        flux, np.zeros(flux.shape, bool), np.linspace(20, 40, 20), np.zeros(20, np.int64),
        LogGrid(3.55, 1e-3, 300).loglam, Augmentation(),
    )  # fmt: skip
    first = augment(*arguments, np.random.default_rng(9))
    second = augment(*arguments, np.random.default_rng(9))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert np.isfinite(first[0]).all()


def test_augmentation_does_not_know_the_unit_of_the_flux():
    flux = np.random.default_rng(0).uniform(0.5, 1.5, (20, 300)).astype(np.float32)
    rest = (
        np.zeros(flux.shape, bool), np.linspace(20, 40, 20), np.zeros(20, np.int64),
        LogGrid(3.55, 1e-3, 300).loglam, Augmentation(),
    )  # fmt: skip
    one = augment(flux, *rest, np.random.default_rng(9))
    other = augment(flux * np.float32(2.0**-46), *rest, np.random.default_rng(9))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_spectra_of_a_star_are_one_group():
    keys = [
        StarKeys("a", ("thing_id-5",), (10.0, 0.0), "1-55000"),
        StarKeys("b", (), (10.0 + 1.0 / 3600, 0.0), "2-55000"),
        StarKeys("c", ("hd-7",), None, None),
        StarKeys("d", ("hd-7", "thing_id-9"), (200.0, 5.0), "2-55000"),
        StarKeys("e", (), None, None),
        StarKeys("f", (), (359.9999, 0.0), None),
        StarKeys("g", (), (0.0001, 0.0), None),
    ]
    found = leakage_groups(keys)
    assert found[0] == found[1]
    assert found[2] == found[3] != found[0]
    assert found[4] == "file-e"
    assert found[5] == found[6]
    with_plates = leakage_groups(keys, with_plate_mjd=True)
    assert len(set(with_plates[:4])) == 1


@pytest.mark.parametrize("seed", range(5))
def test_splits_share_no_star_and_guard_rare_classes(seed):
    random = np.random.default_rng(seed)
    classes = ["A"] * 60 + ["F"] * 40 + ["O"] * 3 + ["WD"] + ["L"] * 2
    groups = [f"star-{random.integers(0, 35)}" for _ in range(60)]
    groups += [f"f-{n // 2}" for n in range(40)] + ["o1", "o2", "o3", "w", "l1", "l2"]
    parts = split_spectra(classes, groups, validation_fraction=0.15, test_fraction=0.2, seed=seed)
    for group in set(groups):
        assert len({p for p, g in zip(parts, groups, strict=True) if g == group}) == 1
    by_class = {n: [p for p, c in zip(parts, classes, strict=True) if c == n] for n in set(classes)}
    assert by_class["WD"] == ["train"]
    assert sorted(by_class["O"]) == ["test", "train", "validation"]
    assert sorted(by_class["L"]) == ["test", "train"]
    assert 0.1 < parts.count("test") / len(parts) < 0.35
    again = split_spectra(classes, groups, validation_fraction=0.15, test_fraction=0.2, seed=seed)
    assert parts == again


def test_scores_agree_with_scikit_learn():
    from sklearn.metrics import f1_score

    random = np.random.default_rng(7)
    classes = ["A", "F", "G"]
    truth = [classes[k] for k in random.integers(0, 3, 80)]
    told = random.dirichlet([1, 1, 1], 80)
    result = evaluate_predictions(
        truth, np.full(80, np.nan), told, np.full(80, np.nan), classes,
        [f"s{n // 2}" for n in range(80)], signal_to_noise=[None] * 80, coverage=[1.0] * 80, seed=1,
    )  # fmt: skip
    names = [classes[k] for k in told.argmax(axis=1)]
    assert result["accuracy"] == np.mean([a == b for a, b in zip(truth, names, strict=True)])
    assert result["macro_f1"] == pytest.approx(f1_score(truth, names, average="macro"))
    low, high = result["accuracy_interval_95"]
    assert low < result["accuracy"] < high
    assert result["stars"] == 40
    assert result["mean_absolute_subtype_error"] is None
    assert np.array(result["confusion"]["counts"]).sum() == 80


def test_a_calibrated_forecast_has_no_calibration_error():
    told = np.array([[0.75, 0.25]] * 400)
    correct = np.array(([True] * 3 + [False]) * 100)
    assert expected_calibration_error(told, correct) == pytest.approx(0.0)
    assert expected_calibration_error(told, ~correct) == pytest.approx(0.5)


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_tell_clear_classes(name):
    random = np.random.default_rng(8)
    grid = LogGrid(3.55, 2e-4, 2048)
    lines = ((4103.0, 4342.0, 4863.0), (3935.0, 5175.0, 5893.0), (6832.0, 7132.0, 7450.0))
    flux, names = [], []
    for row in range(60):
        spectrum = 1 + random.normal(0, 0.01, 2048)
        for centre in lines[row % 3]:
            spectrum -= 0.5 * np.exp(-0.5 * ((grid.wavelength - centre) / 8) ** 2)
        # Units and dust differ from star to star, and some lack half of the wavelengths.
        level = 10.0 ** random.uniform(-15, 2)
        flux.append(level * spectrum * (grid.wavelength / 6000.0) ** random.uniform(-0.2, 0.2))
        names.append("AKM"[row % 3])
    flux, mask = np.array(flux), np.zeros((60, 2048), bool)
    mask[::15, 1800:] = True
    baseline = BASELINES[name](grid, ["A", "K", "M"], 0)
    groups = [f"star {row // 2}" for row in range(30)]
    baseline.fit(flux[:30], mask[:30], names[:30], np.full(30, np.nan), groups)
    told, _ = baseline.predict(flux[30:], mask[30:])
    assert told.sum(axis=1) == pytest.approx(1.0)
    right = [["A", "K", "M"][k] == name for k, name in zip(told.argmax(1), names[30:], strict=True)]
    assert np.mean(right) > 0.9


def test_the_best_setting_is_chosen_on_other_stars():
    names = np.array(["A", "B"] * 40)
    groups = [f"star {row // 4}" for row in range(80)]
    seen = []

    def told_by(fitted, told, settings):
        seen.append((fitted, told))
        wrong = np.where(names[told] == "A", "B", "A")
        half = np.where(np.arange(len(told)) % 4 < 2, names[told], wrong)
        return [{"right": names[told], "half": half, "wrong": wrong}[name] for name in settings]

    settings = ["wrong", "half", "right", "half"]
    assert best_setting(settings, told_by, names, groups, 1) == "right"
    stars = np.asarray(groups)
    assert all(not set(stars[fitted]) & set(stars[told]) for fitted, told in seen)
    assert sorted(np.concatenate([told for _, told in seen])) == list(range(80))


def test_commands_that_do_not_train_never_import_tensorflow(trained, tmp_path):
    mock = tmp_path / "mock"
    write_mock(mock, per_class=1, seed=1, classes="AG")
    one = next(mock.rglob("*.fits"))
    script = f"""
import sys
from sdss_spectra.__main__ import main
data, model, out = {str(trained / "data")!r}, {str(trained / "m")!r}, {str(tmp_path)!r}
one = {str(one)!r}
for words in (
    ["metadata", data, "-o", out + "/a.csv"],
    ["manifest", data, "-o", out + "/b.csv"],
    ["labels", data, "-o", out + "/c.csv"],
    ["preprocess", data, "-o", out + "/d.parquet"],
    ["lines", one, "-o", out + "/e.csv"],
    ["plot", one, "-o", out + "/f.png"],
    ["split", data, "-o", out + "/g", "--seed", "1"],
    ["predict", data, "--model", model, "-o", out + "/h.csv"],
    ["evaluate", data, "--model", model, "--json"],
    ["report", data, "-o", out + "/i", "--model", model],
    ["mock", out + "/j", "--per-class", "1", "--classes", "A"],
):
    status = main(words)
    assert status == 0, (words, status)
    assert "tensorflow" not in sys.modules, words
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    evaluation = json.loads((tmp_path / "i" / "evaluation.json").read_text())
    assert 0 <= evaluation["data"]["accuracy"] <= 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.json", b"{}", "schema_version"),
        ("model.json", b"not json", "not JSON"),
        ("weights.npz", b"PK broken", "damaged"),
        ("weights.npz", b"", "damaged"),
    ],
)
def test_a_damaged_model_is_one_clear_line(trained, tmp_path, run, name, content, said):
    import shutil

    shutil.copytree(trained / "m", tmp_path / "m")
    (tmp_path / "m" / name).write_bytes(content)
    status, _, err = run(
        "predict", trained / "data", "--model", tmp_path / "m", "-o", tmp_path / "p.csv"
    )
    assert status == 1
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "p.csv").exists()


def test_no_model_is_one_clear_line(trained, tmp_path, run):
    status, _, err = run("predict", trained / "data", "--model", tmp_path, "-o", tmp_path / "p.csv")
    assert status == 1
    assert "sdss-spectra train" in err
