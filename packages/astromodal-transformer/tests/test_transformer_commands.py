from __future__ import annotations

import csv
import importlib.machinery
import json
import sys
import types

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from astromodal_transformer.bench import bench_slots, bench_vocabulary
from astromodal_transformer.embed import projected

VERBS = (
    "train", "evaluate", "predict", "generate", "embed", "attribute", "export", "config", "bench",
)  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    from astromodal_transformer.__main__ import main

    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_training_leaves_the_run_folder_as_promised(trained):
    with (trained.run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["step", "train_loss", "validation_loss"]
    assert [int(row["step"]) for row in rows] == [2, 4, 6]
    assert all(np.isfinite(float(row["train_loss"])) for row in rows)
    assert all(np.isfinite(float(row["validation_loss"])) for row in rows)
    names = {path.name for path in (trained.run / "checkpoints").iterdir()}
    assert names == {"best", "last", "step-000002", "step-000004", "step-000006"}
    for name in names:
        files = {path.name for path in (trained.run / "checkpoints" / name).iterdir()}
        assert files == {"model.safetensors", "config.json", "state.safetensors", "state.json"}
    assert not list(trained.run.rglob("*.partial"))
    assert (trained.run / "learning_curve.png").stat().st_size > 1000


def test_at_least_two_steps_are_kept(tokens, run):
    tokens.write_config(
        training={"max_steps": 5, "checkpoint_every_steps": 1, "keep_checkpoints": 2}
    )
    assert run("train", "--config", tokens.config, "-q")[0] == 0
    steps = sorted(path.name for path in (tokens.run / "checkpoints").glob("step-*"))
    assert steps == ["step-000004", "step-000005"]


def test_predict_gives_every_row_its_columns(trained, run, tmp_path):
    out = tmp_path / "p.parquet"
    status, stdout, _ = run(
        "predict", "--config", trained.config, "--checkpoint", trained.checkpoint(),
        "--field", "F1", "--given", "mag_*", "gaiaxp_bp",
        "--target", "gaia_teff_gspphot", "specz_z",
        "--batch-size", 16, "--out", out, "--json",
    )  # fmt: skip
    assert status == 0
    assert json.loads(stdout)["rows"] == trained.rows
    table = pq.read_table(out)
    names = ["id"]
    for column in ("gaia_teff_gspphot", "specz_z"):
        names += [f"{column}_{part}" for part in ("mean", "q16", "q50", "q84")]
    assert table.column_names == names
    assert table["id"].to_pylist() == [f"iDR6_F1_{row:05d}" for row in range(trained.rows)]
    low, middle, high = (table[f"specz_z_{q}"].to_numpy() for q in ("q16", "q50", "q84"))
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert table.schema.field("gaia_teff_gspphot_mean").metadata[b"unit"] == b"K"
    # Teff in kelvin, not in standardised units.
    assert 3000.0 < table["gaia_teff_gspphot_mean"].to_numpy().mean() < 8000.0


def test_quantiles_are_named_by_their_percentage(trained, run, tmp_path):
    out = tmp_path / "p.parquet"
    status, _, _ = run(
        "predict", "--config", trained.config, "--checkpoint", trained.run, "--field", "F2",
        "--target", "specz_z", "--quantiles", "0.025", "50", "0.975", "--out", out,
    )  # fmt: skip
    assert status == 0
    assert pq.read_schema(out).names == [
        "id", "specz_z_mean", "specz_z_q2.5", "specz_z_q50", "specz_z_q97.5",
    ]  # fmt: skip


def test_predict_does_not_replace_a_file(trained, run, tmp_path):
    out = tmp_path / "p.parquet"
    words = ("predict", "--config", trained.config, "--checkpoint", trained.run, "--field", "F1",
             "--target", "specz_z", "--out", out)  # fmt: skip
    assert run(*words)[0] == 0
    status, _, stderr = run(*words)
    assert status == 1
    assert "--overwrite" in stderr
    assert run(*words, "--overwrite")[0] == 0


def test_spectra_curves_and_cutouts_are_predicted_in_their_units(trained, run, tmp_path):
    out = tmp_path / "p.parquet"
    status, _, _ = run(
        "predict", "--config", trained.config, "--checkpoint", trained.run, "--field", "F1",
        "--given", "mag_*", "--target", "gaiaxp_bp", "desi_b", "ztf_g", "image",
        "--samples", 4, "--out", out,
    )  # fmt: skip
    assert status == 0
    table = pq.read_table(out)
    lengths = {"gaiaxp_bp": 40, "desi_b": 30, "ztf_g": 10, "image": 3 * 16 * 16}
    for name, length in lengths.items():
        mean = np.array(table[f"{name}_mean"].to_pylist())
        low, high = (np.array(table[f"{name}_{q}"].to_pylist()) for q in ("q16", "q84"))
        assert mean.shape == (trained.rows, length)
        assert np.isfinite(mean).all()
        assert (low <= high).all()
    assert table.schema.field("gaiaxp_bp_mean").metadata[b"unit"] == b"electron / s"


_FIGURES = {"rmse", "bias", "scatter", "outlier_fraction", "coverage_68", "n"}
_INTERVAL = ("coverage_68_low", "coverage_68", "coverage_68_high")


def test_evaluate_gives_figures_for_every_target_and_subset(trained, run):
    status, stdout, _ = run(
        "evaluate", "--config", trained.config, "--checkpoint", trained.run, "--json", "-q",
        "--set", "evaluation.baselines=[column_mean]",
    )  # fmt: skip
    assert status == 0
    record = json.loads(stdout)
    assert set(record["targets"]) == {"specz_z", "gaia_teff_gspphot"}
    for subsets in record["targets"].values():
        assert set(subsets) == {"photometry", "xp", "photometry_xp"}
        for own in subsets.values():
            assert set(own) >= _FIGURES
            assert set(own["baselines"]) == {"column_mean"}
            low, share, high = (own[name] for name in _INTERVAL)
            assert 0.0 <= low <= share <= high <= 1.0
            assert low < high


def test_evaluate_sets_the_baselines_beside_the_model(trained, run):
    status, stdout, _ = run(
        "evaluate", "--config", trained.config, "--checkpoint", trained.run, "--json", "-q",
        "--target", "specz_z", "--given", "mag_*",
    )  # fmt: skip
    assert status == 0
    own = json.loads(stdout)["targets"]["specz_z"]["given"]
    assert own["given"] == ["mag_pstotal_r", "mag_pstotal_g"]
    assert set(own["baselines"]) == {
        "column_mean",
        "nearest_neighbours",
        "gradient_boosting",
        "mlp",
    }
    for baseline in own["baselines"].values():
        assert set(baseline) >= _FIGURES
        assert baseline["n"] == own["n"]
        assert np.isfinite(baseline["rmse"])


def test_the_report_stands_by_itself(trained, run, tmp_path):
    words = ("evaluate", "--config", trained.config, "--checkpoint", trained.run,
             "--report", tmp_path / "report", "-q",
             "--set", "evaluation.baselines=[column_mean]")  # fmt: skip
    assert run(*words)[0] == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "SYNTHETIC DATA" in page
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page
    status, _, stderr = run(*words)
    assert status == 1
    assert "--overwrite" in stderr


def test_embed_writes_vectors_and_finds_neighbours(trained, run, tmp_path):
    out = tmp_path / "e.parquet"
    status, stdout, _ = run(
        "embed", "--config", trained.config, "--checkpoint", trained.run, "--out", out,
        "--figure", tmp_path / "e.png", "--colour", "gaia_teff_gspphot",
        "--neighbours", "iDR6_F1_00003", "--count", 5, "--json",
    )  # fmt: skip
    assert status == 0
    result = json.loads(stdout)
    table = pq.read_table(out)
    vectors = np.array(table["embedding"].to_pylist())
    assert vectors.shape == (2 * trained.rows, 32)
    assert np.isfinite(vectors).all()
    own = vectors - vectors.mean(axis=0)
    cosine = own @ own[3] / np.linalg.norm(own, axis=1) / np.linalg.norm(own[3])
    cosine[3] = -2.0
    wanted = [table["id"][int(row)].as_py() for row in np.argsort(-cosine)[:5]]
    assert [item["id"] for item in result["neighbours"]] == wanted
    assert (tmp_path / "e.png").exists()


def test_a_map_without_umap_names_the_extra_before_anything_is_written(
    trained, run, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "umap", None)
    words = ("embed", "--config", trained.config, "--checkpoint", trained.run,
             "--out", tmp_path / "e.parquet", "--figure", tmp_path / "e.png")  # fmt: skip
    status, _, stderr = run(*words, "--projection", "umap")
    assert status == 2
    assert len(stderr.splitlines()) == 1
    assert "astromodal-transformer[umap]" in stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [3, 12, 60])
def test_umap_is_asked_for_no_more_neighbours_than_there_are(count, monkeypatch):
    # A stand-in that refuses what umap-learn refuses: importing the real one compiles for a minute.
    class Umap:
        def __init__(self, *, n_neighbors, init, random_state, n_jobs):
            assert init == "random" or count > 16
            assert n_jobs == 1, "umap-learn warns of several with a seed"
            self.neighbours = n_neighbors

        def fit_transform(self, vectors):
            assert 1 < self.neighbours < len(vectors)
            return vectors[:, :2]

    module = types.ModuleType("umap")
    module.UMAP = Umap
    module.__spec__ = importlib.machinery.ModuleSpec("umap", None)
    monkeypatch.setitem(sys.modules, "umap", module)
    points, names = projected(np.ones((count, 4), dtype=np.float32), "umap", 0)
    assert points.shape == (count, 2)
    assert names == ("UMAP 1", "UMAP 2")


def test_generate_draws_spectra_over_the_truth(trained, run, tmp_path):
    out = tmp_path / "g.parquet"
    status, stdout, _ = run(
        "generate", "--config", trained.config, "--checkpoint", trained.run, "--field", "F1",
        "--out", out, "--figure", tmp_path / "g.png", "--count", 2, "--samples", 3, "--json",
    )  # fmt: skip
    assert status == 0
    result = json.loads(stdout)
    assert result["targets"] == ["desi_b"]
    assert result["given"] == ["mag_pstotal_r", "mag_pstotal_g", "gaiaxp_bp"]
    table = pq.read_table(out)
    assert table.num_rows == 6
    assert np.isfinite(np.array(table["desi_b"].to_pylist())).all()
    assert (tmp_path / "g.png").exists()


def test_attribute_names_every_group(trained, run, tmp_path):
    status, stdout, _ = run(
        "attribute", "--config", trained.config, "--checkpoint", trained.run, "--target",
        "gaia_teff_gspphot", "--given", "mag_*", "gaiaxp_*", "image", "--json", "-q",
        "--figure", tmp_path / "a.png",
    )  # fmt: skip
    assert status == 0
    result = json.loads(stdout)
    assert set(result["groups"]) == {"splus", "gaiaxp_bp", "image"}
    for own in result["groups"].values():
        assert own["gain"] == pytest.approx(own["rmse_without"] - result["rmse"])
    assert (tmp_path / "a.png").exists()


def test_an_exported_model_loads_in_three_lines(trained, run, tmp_path):
    out = tmp_path / "export"
    assert run("export", "--checkpoint", trained.checkpoint("last"), "--out", out)[0] == 0
    assert {path.name for path in out.iterdir()} == {"model.safetensors", "config.json"}

    from astromodal_transformer import load_model

    model = load_model(out)
    wanted = load_file(trained.checkpoint("last") / "model.safetensors")
    found = {name: value.numpy() for name, value in model.state_dict().items()}
    assert set(found) == set(wanted)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_predictions_of_an_exported_model_are_those_of_its_checkpoint(trained, run, tmp_path):
    run("export", "--checkpoint", trained.checkpoint(), "--out", tmp_path / "export")
    tables = []
    for place, checkpoint in enumerate((trained.checkpoint(), tmp_path / "export")):
        out = tmp_path / f"{place}.parquet"
        words = ("predict", "--config", trained.config, "--checkpoint", checkpoint, "--field", "F1",
                 "--target", "specz_z", "--out", out)  # fmt: skip
        assert run(*words)[0] == 0
        tables.append(pq.read_table(out))
    assert tables[0].equals(tables[1])


def test_bench_prints_what_it_measured(run):
    status, stdout, _ = run(
        "bench", "--json", "--device", "cpu", "--precision", "fp32", "--threads", 1,
        "--vocabulary-size", 3000, "--d-model", 32, "--layers", 1, "--heads", 2,
        "--sequence-length", 64, "--batch-size", 2, "--steps", 3, "--seed", 1,
    )  # fmt: skip
    assert status == 0
    result = json.loads(stdout)
    assert len(result["losses"]) == 3
    assert np.isfinite(result["losses"]).all()
    for key in ("step_seconds", "tokens_per_second", "peak_rss_bytes", "loss_peak_bytes"):
        assert result[key] > 0
    assert result["parameters"] > 3000 * 32
    assert set(result["loss_terms"]) == {"reconstruction", "cross_entropy"}
    wanted = {"vocabulary_size": 3000, "d_model": 32, "layers": 1, "sequence_length": 64,
              "batch_size": 2, "precision": "fp32", "threads": 1}  # fmt: skip
    assert {key: result[key] for key in wanted} == wanted


def test_a_negative_seed_is_a_usage_error(run):
    with pytest.raises(SystemExit) as stop:
        run("bench", "--seed", "-1")
    assert stop.value.code == 2


@pytest.mark.parametrize("length", [1, 61, 121, 122, 128, 200, 512, 3191])
def test_sequences_of_any_length_are_shared_among_all_codebooks(length):
    vocabulary = bench_vocabulary(68_613)
    block = bench_slots(vocabulary, length)["block"][1:]
    counts = np.bincount(block, minlength=len(vocabulary.blocks))
    assert counts.sum() == length
    assert counts.min() >= (length >= 122)
    if length == 3191:
        usual = {"image": 576, "spectrum": 512, "scalar": 1}
        assert counts.tolist() == [usual[block.kind] for block in vocabulary.blocks]


def test_bench_losses_follow_from_the_seed(run):
    words = ("bench", "--json", "--vocabulary-size", 2000, "--d-model", 16, "--layers", 1,
             "--heads", 1, "--sequence-length", 32, "--batch-size", 2, "--steps", 2)  # fmt: skip
    found = [json.loads(run(*words, "--seed", seed)[1])["losses"] for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_a_dry_run_trains_nothing(tokens, run):
    status, stdout, _ = run("train", "--config", tokens.config, "--dry-run", "--json")
    assert status == 0
    assert json.loads(stdout)["fields"] == ["F1", "F2"]
    assert not tokens.run.exists()
