"""Galaxies processed elsewhere: by local processes and on a Dask cluster."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from manga_ssftt.mock.tree import DAPALL_NAME


def contents(root):
    """Every dataset and label file of a tree."""
    found = {}
    for path in sorted((root / "processed" / "cubes").glob("*/*.h5")):
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item, stem=path.stem: found.update(
                    {(stem, name): item[()]} if isinstance(item, h5py.Dataset) else {}
                )
            )
    for path in sorted((root / "processed" / "labels").glob("*/*.npy")):
        found[(path.parent.name, path.stem)] = np.load(path, allow_pickle=False)
    return found


def assert_same(first, second):
    assert first.keys() == second.keys()
    for key, values in first.items():
        np.testing.assert_array_equal(values, second[key])


def test_two_workers_make_what_one_makes(own_tree, tree, plateifus):
    words = ["process", "--root", own_tree, "--catalog", own_tree / DAPALL_NAME]
    command = [sys.executable, "-m", "manga_ssftt", *map(str, words), "--workers", "2", "--json"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sorted(json.loads(finished.stdout)["done"]) == plateifus[:2]
    wanted = {key: value for key, value in contents(tree).items() if set(key) & set(plateifus[:2])}
    assert_same(contents(own_tree), wanted)


def test_a_cluster_makes_the_same_files_and_isolates_a_failure(own_tree, run, plateifus, tmp_path):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    there = tmp_path / "there"
    shutil.copytree(own_tree, there)
    broken = next((there / "raw").glob(f"*/*/manga-{plateifus[0]}-LOGCUBE-*"))
    good = broken.read_bytes()
    broken.write_bytes(good[: len(good) // 2])
    words = ("process", "--root", there, "--catalog", there / DAPALL_NAME, "-q")
    cluster = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    )
    with cluster:
        words += ("--scheduler", cluster.scheduler_address)
        status, out, err = run(*words)
        assert (status, "1 done, 0 skipped, 1 failed" in out) == (3, True)
        # The cluster of this test talks in the same process.
        errors = [line for line in err.splitlines() if "ERROR" in line]
        assert len(errors) == 1
        assert "cut short" in errors[0]
        broken.write_bytes(good)
        status, out, _ = run(*words)
        assert (status, "1 done, 1 skipped, 0 failed" in out) == (0, True)
    assert run("process", "--root", own_tree, "--catalog", own_tree / DAPALL_NAME, "-q")[0] == 0
    assert_same(contents(own_tree), contents(there))
