"""A Dask cluster makes the bytes that this machine makes alone."""

from __future__ import annotations

import logging

import pytest

from cfht_iqa.mock import MockPlan, write_mock


@pytest.fixture(scope="module")
def scheduler():
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster.scheduler_address


def contents(folder, pattern):
    return {path.name: path.read_bytes() for path in folder.glob(pattern)}


def test_mock_by_a_cluster(scheduler, chain, tmp_path):
    plan = MockPlan(per_class=1, n_ccds=1, shape=(256, 256), classes=("GOOD", "RBT"), seed=8)
    write_mock(tmp_path / "here", plan, progress=False)
    write_mock(tmp_path / "there", plan, scheduler=scheduler, progress=False)
    here = contents(tmp_path / "here", "*")
    assert len(here) == 4
    assert contents(tmp_path / "there", "*") == here


def test_extract_by_a_cluster_isolates_a_failure(scheduler, run, chain, tmp_path):
    broken = tmp_path / "broken.fits"
    broken.write_bytes(chain.exposures[0].read_bytes()[:600_000])
    words = ("--output", tmp_path / "cat", "--scheduler", scheduler, "-q")
    assert run("extract", *chain.exposures[:2], broken, *words)[0] == 3
    here = contents(chain.folder / "cat", "*.cat.fits")
    found = contents(tmp_path / "cat", "*.cat.fits")
    assert len(found) == 2
    assert found == {name: here[name] for name in found}
    assert "broken" in (tmp_path / "cat" / "failures.jsonl").read_text()


def test_represent_by_a_cluster(scheduler, run, chain, tmp_path, monkeypatch):
    # The files say when they were made.
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    words = ("represent", *chain.exposures[:6], "--catalogue", chain.catalogue, "-q")
    words += ("--som", chain.som, "--output")
    assert run(*words, tmp_path / "here")[0] == 0
    assert run(*words, tmp_path / "there", "--scheduler", scheduler)[0] == 0
    here = contents(tmp_path / "here", "*.parquet")
    assert len(here) == 2
    assert contents(tmp_path / "there", "*.parquet") == here


def test_predict_by_a_cluster(scheduler, run, chain, model):
    words = ("predict", *chain.exposures[:3], "--model", model, "--json", "-q")
    status, here, _ = run(*words)
    assert status == 0
    assert run(*words, "--scheduler", scheduler) == (0, here, "")


def test_no_scheduler_there_is_one_line(run, chain, tmp_path):
    words = ("--output", tmp_path / "cat", "--scheduler", "tcp://127.0.0.1:9", "-q")
    status, _, err = run("extract", chain.exposures[0], *words)
    assert status == 2
    assert "127.0.0.1:9" in err
    assert len(err.splitlines()) == 1
