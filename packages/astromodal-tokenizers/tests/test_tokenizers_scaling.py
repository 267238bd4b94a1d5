"""On a cluster, in several processes, at half precision; and the store in another library."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from astromodal_tokenizers.__main__ import main


def files_of(run):
    return {
        str(path.relative_to(run.output)): path.read_bytes()
        for path in sorted(run.output.rglob("datacube_*"))
    }


def test_a_dask_cluster_gives_the_same_bytes(own_run):
    distributed = pytest.importorskip("distributed")
    whole = files_of(own_run)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        words = ["encode", "--config", str(own_run.config), "--overwrite", "-q"]
        assert main([*words, "--scheduler", cluster.scheduler_address]) == 0
    assert files_of(own_run) == whole


def image_settings(run, **settings):
    run.settings["image"] = {**run.settings["image"], **settings}
    run.write_config()


def test_two_processes_train_the_autoencoder(make_run):
    run = make_run().write(count=200)
    image_settings(run, strategy="ddp", devices=2, accelerator="cpu")
    command = [sys.executable, "-m", "astromodal_tokenizers", "fit", "all", "--json"]
    done = subprocess.run(
        [*command, "--config", str(run.config)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["codebooks"]) == {"scalar", "spectrum", "image"}
    assert not list(run.root.rglob("*.partial"))
    two = load_file(run.output / "codebooks" / "image.safetensors")
    assert all(np.isfinite(array).all() for array in two.values())
    assert main(["encode", "--config", str(run.config), "-q"]) == 0


def test_half_precision_trains_too(make_run):
    run = make_run().write(count=200)
    books = []
    for precision in ("32-true", "bf16-mixed"):
        image_settings(run, precision=precision)
        assert main(["fit", "image", "--config", str(run.config), "--overwrite", "-q"]) == 0
        books.append(load_file(run.output / "codebooks" / "image.safetensors"))
    full, half = books
    name = "network.encoder.0.weight"
    assert half[name].dtype == np.float32
    assert not np.array_equal(full[name], half[name])
    np.testing.assert_allclose(half[name], full[name], atol=0.05)


def test_the_store_opens_in_hugging_face_datasets(fitted_run, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for family, name in (("scalar", "tokens"), ("image", "tokens_flat")):
        path = fitted_run.output / "store" / family / "datacube_F1.arrow"
        opened = datasets.load_dataset(
            "arrow", data_files=str(path), split="train", cache_dir=str(tmp_path)
        )
        with np.load(fitted_run.tokens(family), allow_pickle=False) as arrays:
            assert list(opened["id"]) == arrays["ids"].tolist()
            assert np.array_equal(opened.with_format("numpy")["tokens"][:], arrays[name])
