from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from astro_common.errors import InputError
from cfht_iqa.classes import CLASSES
from cfht_iqa.model.augmentation import forgotten
from cfht_iqa.model.comparison import compare
from cfht_iqa.model.cross_validation import folds_of
from cfht_iqa.model.encoding import PiecewiseLinear
from cfht_iqa.model.evaluation import score, wilson_interval
from cfht_iqa.model.files import load_model
from cfht_iqa.model.inputs import read_inputs
from cfht_iqa.model.network import IqaNetwork, NetworkConfiguration
from cfht_iqa.model.statistics import (
    CCD_SHAPES,
    EXPOSURE_SHAPES,
    N_STATISTICS,
    background_numbers,
    exposure_numbers,
    source_numbers,
)
from cfht_iqa.model.training import Training, class_weights, fit_network, log_probabilities
from cfht_iqa.model.verdict import fit_temperature, pooled_probabilities
from cfht_iqa.quality import CcdQuality


@pytest.fixture(scope="module")
def inputs(chain):
    return read_inputs(chain.rep)[0]


@pytest.fixture(scope="module")
def truth(chain):
    lines = (chain.folder / "mock" / "labels.txt").read_text().splitlines()
    return dict(line.split() for line in lines)


def test_a_table_of_representatives_that_is_none_is_named(chain, tmp_path):
    with pytest.raises(InputError, match="nothere: no such file or folder"):
        read_inputs(tmp_path / "nothere")
    path = next(chain.rep.glob("representatives.parquet"))
    table = pq.read_table(path)
    images = table["image"].combine_chunks()
    listed = images.cast(pa.list_(images.type.value_type))
    changed = table.set_column(table.column_names.index("image"), "image", listed)
    pq.write_table(changed, tmp_path / "representatives.parquet")
    with pytest.raises(InputError, match="column image of type list"):
        read_inputs(tmp_path)


def test_network_learns_what_it_is_shown(inputs, truth):
    """With nothing held out, the loss falls until nearly every CCD is right."""
    splits = dict.fromkeys(truth, "train")
    fitted = fit_network(inputs, truth, splits, 20, Training(epochs=40, patience=40))
    logs = log_probabilities(fitted.network, inputs)
    classes = [CLASSES.index(truth[name]) for name in inputs.exposures]
    assert (logs.argmax(axis=1) == classes).mean() > 0.9
    losses = [row["train_loss"] for row in fitted.record["history"]]
    assert losses[-1] < 0.5 * losses[0]


def test_batch_of_one_is_batch_of_many(inputs, model):
    network = load_model(model).network
    many = log_probabilities(network, inputs)
    one = log_probabilities(network, inputs.take([3]))
    assert one[0] == pytest.approx(many[3], abs=1e-5)


def test_brightness_is_of_no_matter(inputs, model):
    """Twice the exposure time: twice the counts in every tile, and the same verdict."""
    network = load_model(model).network
    twice = type(inputs)(
        inputs.exposures, inputs.ccds, inputs.images * 2, inputs.hits, inputs.statistics
    )
    assert log_probabilities(network, twice) == pytest.approx(
        log_probabilities(network, inputs), abs=1e-4
    )


def test_empty_tiles_and_nan_pixels_give_numbers():
    network = IqaNetwork(NetworkConfiguration(3, 4)).eval()
    image = torch.full((2, 25, 75), float("nan"))
    image[0] = 0.0
    logits = network(image, torch.zeros(2, 7), torch.zeros(2, N_STATISTICS))
    assert torch.isfinite(logits).all()


def test_background_numbers_see_a_gradient_and_a_step():
    rng = np.random.default_rng(0)
    image = rng.normal(0, 5, (25, 500)).astype(np.float32)
    x, y = rng.uniform(0, 500, 20), rng.uniform(0, 500, 20)
    flat = background_numbers(image, x, y, np.full(20, 1500.0))
    tilted = background_numbers(image, x, y, 1500.0 + 0.2 * x)
    stepped = background_numbers(image, x, y, 1500.0 + 60.0 * (x > 250))
    assert flat == pytest.approx(0.0, abs=0.01)
    assert tilted[1] > 2.0
    assert tilted[2] < 0.1
    assert stepped[0] > 2.0
    assert stepped[2] > 1.0
    assert background_numbers(image, [np.nan] * 20, y, y).tolist() == [0.0] * 5


def test_exposure_numbers_see_what_is_common():
    rng = np.random.default_rng(1)

    def ccds(e1, e2):
        return [
            CcdQuality(
                20,
                10,
                fwhm_arcsec=0.7,
                fwhm_error_arcsec=0.01,
                ellipticity=0.2,
                mean_e1=a,
                mean_e2=b,
                coherence=0.5,
                stretch_1_arcsec2=a,
                stretch_2_arcsec2=b,
                stretch_error_arcsec2=0.0,
                background_range=0.1,
            )
            for a, b in zip(e1, e2, strict=True)
        ]

    alike = exposure_numbers(ccds([0.1] * 36, [0.0] * 36))
    trail = np.log1p(np.sqrt(1.2))
    wanted = [0.0, 0.2, 0.1, 0.5, trail, trail, 0.0, 0.0, np.log(2.0), 1.0]
    assert alike.tolist() == pytest.approx(wanted, abs=1e-6)
    angle = rng.uniform(0, 2 * np.pi, 36)
    any_way = exposure_numbers(ccds(0.1 * np.cos(angle), 0.1 * np.sin(angle)))
    assert any_way[3] < 0.25
    assert exposure_numbers([CcdQuality(0)]).tolist() == [0.0] * 10


def test_forgotten_shapes_are_as_those_that_were_never_measured():
    """What training takes away is what `source_numbers` leaves at 0 for want of sources."""
    known = CcdQuality(9, **dict.fromkeys(CcdQuality(0).as_json().keys() - {"n_sources"}, 0.5))
    few = CcdQuality(9, background_range=0.5, background_sigma=0.5)
    rows = [
        np.concatenate([np.ones(5), source_numbers(item), exposure_numbers([item])])
        for item in (known, few)
    ]
    lost = [*CCD_SHAPES, *EXPOSURE_SHAPES]
    assert np.flatnonzero(rows[1] == 0.0).tolist() == sorted({*lost, 9, 19})
    torch.manual_seed(1)
    changed = forgotten(torch.tensor(np.array([rows[0]] * 2000), dtype=torch.float32)).numpy()
    own, whole = ((changed[:, places] == 0.0).all(axis=1) for places in (CCD_SHAPES, lost))
    assert own.mean() == pytest.approx(0.2, abs=0.03)
    assert whole.mean() == pytest.approx(0.06, abs=0.02)
    kept = np.setdiff1d(np.arange(N_STATISTICS), lost)
    assert (changed[:, kept] == rows[0][kept].astype(np.float32)).all()


def test_tiles_that_are_not_looked_at_do_not_matter(inputs, model):
    network = load_model(model).network
    some = inputs.take([0, 1])
    image, hits, numbers = map(torch.from_numpy, (some.images, some.hits, some.statistics))
    other = image.clone().reshape(2, 25, 20, 25)
    other[:, :, 10:] = 7.0
    tiles = torch.arange(10)
    with torch.no_grad():
        first = network(image, hits, numbers, tiles)
        second = network(other.reshape(image.shape), hits, numbers, tiles)
        whole = network(image, hits, numbers)
    assert torch.equal(first, second)
    assert not torch.equal(first, whole)
    assert torch.allclose(network(image, hits, numbers, torch.arange(20)), whole, atol=1e-6)


def test_bins_hold_even_shares_and_fill_in_order():
    rng = np.random.default_rng(4)
    # One number is spread, one is mostly zero, one does not vary.
    numbers = np.stack([rng.normal(size=800), rng.exponential(size=800), np.full(800, 3.0)], axis=1)
    numbers[:600, 1] = 0.0
    numbers = torch.from_numpy(numbers.astype(np.float32))
    encoding = PiecewiseLinear(3, 4)
    encoding.fit(numbers)
    encoding.eval()
    found = encoding(numbers)
    assert found.shape == (800, encoding.n_out) == (800, 15)
    assert torch.isfinite(found).all()
    filled = found[:, 3:].reshape(800, 3, 4).detach().numpy()
    edges = np.quantile(numbers[:, 0].numpy(), np.linspace(0, 1, 5))
    expected = np.clip((numbers[:, :1].numpy() - edges[:-1]) / np.diff(edges), 0, 1)
    assert filled[:, 0] == pytest.approx(expected, abs=1e-4)
    assert (filled[:, 0] > 0).sum(axis=0) == pytest.approx([800, 600, 400, 200], abs=2)
    # A bin is filled before the next; zeros are below all of theirs.
    assert (np.diff(filled[:, 0], axis=1) <= 1e-6).all()
    assert filled[:600, 1].max() == 0.0
    assert PiecewiseLinear(3, 0).eval()(numbers).shape == (800, 3)


def test_model_without_bins_is_still_read(model, inputs, tmp_path):
    """A model of the version before: its description names no bins, its weights lie elsewhere."""
    for name in ("som.json", "som.safetensors"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    torch.manual_seed(3)
    sizes = load_model(model).network.configuration
    network = IqaNetwork(replace(sizes, bins=0)).eval()
    names = {
        "statistics_encoding.scale.0.": "statistics_mlp.0.",
        "statistics_mlp.0.": "statistics_mlp.2.",
        "statistics_mlp.2.": "statistics_mlp.4.",
    }
    state = {}
    for name, value in network.state_dict().items():
        old = next((key for key in names if name.startswith(key)), "")
        state[names.get(old, "") + name.removeprefix(old)] = value
    save_file(state, tmp_path / "model.safetensors")
    description = json.loads((model / "model.json").read_text()) | {"schema_version": "1.1"}
    del description["network"]["bins"]
    (tmp_path / "model.json").write_text(json.dumps(description))
    read = load_model(tmp_path).network
    assert log_probabilities(read, inputs) == pytest.approx(log_probabilities(network, inputs))


def test_class_weights_are_inverse_frequencies():
    weights = class_weights([0, 0, 0, 1]).numpy()
    assert weights[1] == pytest.approx(3 * weights[0])
    assert weights[2:].tolist() == [0.0] * 3
    assert weights[[0, 0, 0, 1]].mean() == pytest.approx(1.0)


def test_pooling_and_temperature():
    logs = np.log(np.array([[0.7, 0.1, 0.1, 0.05, 0.05], [0.5, 0.2, 0.1, 0.1, 0.1]]))
    pooled = pooled_probabilities(logs, 1.0)
    assert pooled.sum() == pytest.approx(1.0)
    expected = np.sqrt(np.exp(logs[0]) * np.exp(logs[1]))
    assert pooled == pytest.approx(expected / expected.sum())
    # A model that is sure and half wrong is made less sure.
    sure = np.log(np.array([[0.96, 0.01, 0.01, 0.01, 0.01]]))
    assert fit_temperature([sure] * 10, [0] * 5 + [1] * 5) > 1.5
    assert fit_temperature([sure] * 10, [0] * 10) <= 1.0


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 5, 60)
    probabilities = rng.dirichlet(np.ones(5), 60)
    record = score([str(k) for k in range(60)], truth, probabilities).record
    said = probabilities.argmax(axis=1)
    assert np.array_equal(record["confusion"], confusion_matrix(truth, said))
    assert record["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, said))
    assert record["accuracy"] == pytest.approx((truth == said).mean())
    low, high = record["accuracy_interval_95"]
    assert low < record["accuracy"] < high


def judged(names, right):
    """Scores of a judge who is right on some exposures."""
    truth = np.zeros(len(names), np.intp)
    probabilities = np.where(np.array(right)[:, None], np.eye(5)[0], np.eye(5)[1])
    return score(list(names), truth, probabilities)


def test_judges_are_compared_by_exposure():
    first = judged("abcdefgh", [1, 1, 1, 1, 1, 1, 1, 0])
    # The same exposures backwards: wrong on a to d, right on h.
    found = compare(first, judged("hgfedcba", [1, 1, 1, 1, 0, 0, 0, 0]))
    assert (found["first_alone_right"], found["second_alone_right"]) == (4, 1)
    assert found["difference"] == pytest.approx(3 / 8)
    low, high = found["interval_95"]
    assert low < 3 / 8 < high
    # Of five disagreements, four or more or one or fewer: 2 (5 + 1) / 32.
    assert found["p_value"] == pytest.approx(12 / 32)
    same = compare(first, first)
    assert (same["difference"], same["interval_95"], same["p_value"]) == (0.0, [0.0, 0.0], 1.0)
    with pytest.raises(ValueError, match="different exposures"):
        compare(first, judged("abc", [1, 1, 1]))


def test_wilson_interval():
    # Wilson 1927; figures of Newcombe 1998, Statistics in Medicine 17, 857, table I.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_folds_keep_classes_even():
    classes = {f"{name}{k}": name for name in CLASSES for k in range(7)}
    folds = folds_of(classes, 5, 1)
    sizes = np.bincount(list(folds.values()))
    assert sizes.tolist() == [7] * 5
    for name in CLASSES:
        own = np.bincount([folds[key] for key in classes if classes[key] == name], minlength=5)
        assert np.ptp(own) <= 1


def test_evaluate_says_what_was_promised(run_json, model, tables, chain):
    status, result = run_json("evaluate", "--model", model, *tables, "--split", "test")
    assert status == 0
    assert result["classes"] == list(CLASSES)
    confusion = np.array(result["confusion"])
    assert confusion.shape == (5, 5)
    assert confusion.sum() == len(result["exposures"])
    assert result["accuracy"] == pytest.approx(np.trace(confusion) / confusion.sum())
    with chain.splits.open() as file:
        held = {line.split(",")[0] for line in file if line.strip().endswith("test")}
    assert set(result["exposures"]) == held


def test_baselines_and_cross_validation(run_json, model, tables):
    words = ["--split", "train", "--baselines", "--cross-validate", 2]
    status, result = run_json("evaluate", "--model", model, *tables, *words)
    assert status == 0
    assert set(result["baselines"]) == {
        *("majority", "exptime", "thresholds", "gradient_boosting"),
        *("pixels_only", "hits_only", "pixels_and_hits"),
        *("gradient_boosting_exposure", "gradient_boosting_statistics"),
    }
    gain = result["baselines"]["majority"]["network_against_it"]
    majority = result["baselines"]["majority"]["accuracy"]
    assert gain["difference"] == pytest.approx(result["accuracy"] - majority)
    # One class of five, evenly filled.
    assert result["baselines"]["majority"]["accuracy"] <= 0.4
    crossed = result["cross_validation"]
    assert crossed["folds"] == len(crossed["fold_accuracies"]) == 2
    assert np.sum(crossed["confusion"]) == 20


def test_predict_from_fits_and_model_alone(run_json, chain, model, inputs, tmp_path):
    status, result = run_json("predict", *chain.exposures[:5], "--model", model)
    assert status == 0
    trained = load_model(model)
    logs = log_probabilities(trained.network, inputs)
    for item in result["exposures"]:
        assert item["verdict"] in CLASSES
        assert sum(item["probabilities"].values()) == pytest.approx(1.0)
        assert item["reasons"]
        assert item["synthetic"] is True
        assert [ccd["ccd"] for ccd in item["ccds"]] == ["ccd00", "ccd01"]
        # The same numbers as by way of all the tables.
        rows = [row for row, name in enumerate(inputs.exposures) if name == item["exposure"]]
        expected = pooled_probabilities(logs[rows], trained.temperature)
        assert list(item["probabilities"].values()) == pytest.approx(expected, abs=1e-4)


def test_predict_goes_on_after_a_bad_exposure(run_json, run, chain, model, tmp_path):
    bad = tmp_path / "bad.fits"
    bad.write_bytes(chain.exposures[0].read_bytes()[:100_000])
    status, result = run_json("predict", bad, chain.exposures[0], "--model", model)
    assert status == 3
    assert result["failed"][0]["exposure"] == "bad"
    assert len(result["exposures"]) == 1
    assert run("predict", bad, "--model", model)[0] == 1
    status, out, _ = run("predict", chain.exposures[0], "--model", model, "--csv", "-q")
    assert status == 0
    assert out.splitlines()[0].startswith("exposure,verdict,rejected,GOOD")
    assert out.splitlines()[0].endswith("RBT,support,reasons")


def test_damaged_model_is_one_line(run, chain, model, tmp_path):
    for name in ("model.json", "model.safetensors", "som.json", "som.safetensors"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 100)
    status, _, err = run("predict", chain.exposures[0], "--model", tmp_path)
    assert status == 1
    assert "model.safetensors" in err
    assert len(err.splitlines()) == 1
    status, _, err = run("predict", chain.exposures[0], "--model", tmp_path / "none")
    assert (status, "model.json" in err) == (1, True)


def test_map_of_another_size_is_refused(run, chain, tables, tmp_path):
    words = ["--height", 5, "--width", 5, "--epochs", 1]
    assert run("train-som", chain.catalogue, "--output", tmp_path / "som", *words)[0] == 0
    words = ["--som", tmp_path / "som", "--output", tmp_path / "model"]
    status, _, err = run("train", *tables, *words)
    assert status == 1
    assert "make them with this map" in err


def test_report_is_one_page(run, chain, model, tables, tmp_path):
    _, out, _ = run("evaluate", "--model", model, *tables, "--json", "-q")
    (tmp_path / "e.json").write_text(out)
    words = ["--model", model, "--output", tmp_path / "page", "--evaluation", tmp_path / "e.json"]
    assert run("report", *chain.exposures[:2], *words)[0] == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert "SYNTHETIC DATA" in page
    assert page.count("data:image/png;base64,") == 2 * 2 + 2
    assert "<script" not in page
    assert "Agreement with labels" in page
    status, _, err = run("report", chain.exposures[0], *words)
    assert (status, "--overwrite" in err) == (1, True)


def test_som_report(run, chain, tmp_path):
    words = ["--output", tmp_path, "--minisom-weights", tmp_path / "w.npy"]
    assert run("som-report", chain.som, *words)[0] == 0
    assert np.load(tmp_path / "w.npy").shape == (6, 7, 4)
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "components.png").exists()


def test_training_is_reproducible(run, chain, tables, tmp_path):
    words = ["--som", chain.som, "--epochs", 2, "--seed", 7]
    for name in "ab":
        assert run("train", *tables, *words, "--output", tmp_path / name)[0] == 0
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert first == second


def test_light_verbs_need_no_torch(chain, tmp_path):
    """extract, catalogue and --help import none of the heavy packages."""
    code = (
        "import sys; from cfht_iqa.__main__ import main; status = main(sys.argv[1:]);"
        "heavy = {'torch', 'lightning', 'sklearn', 'numba', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'{status} {heavy}' if status or heavy else 0)"
    )
    for words in (
        ["extract", chain.exposures[0], "--output", tmp_path],
        ["catalogue", chain.catalogues[0], "--output", tmp_path / "c.parquet"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_run_does_the_chain(run_json, chain, tmp_path):
    lines = [
        f"exposures: ['{chain.folder}/mock/*.fits']",
        f"labels: ['{chain.folder}/mock/labels.txt']",
        "output: out",
        "som: {height: 5, width: 5, epochs: 3}",
        "train: {epochs: 2}",
    ]
    path = tmp_path / "run.yaml"
    path.write_text("\n".join(lines) + "\n")
    assert run_json("run", path, "--dry-run")[0] == 0
    assert not (tmp_path / "out").exists()
    status, result = run_json("run", path)
    assert status == 0
    assert 0.0 <= result["accuracy"] <= 1.0
    out = tmp_path / "out"
    assert (out / "report" / "index.html").exists()
    assert len(json.loads((out / "verdicts.json").read_text())["exposures"]) == 5
