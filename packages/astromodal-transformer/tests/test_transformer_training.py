from __future__ import annotations

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from astromodal_transformer.checkpoints import newest_checkpoint
from astromodal_transformer.configuration import load_configuration
from astromodal_transformer.training.module import TrainingModule
from astromodal_transformer.training.order import BatchLoader, Order
from astromodal_transformer.training.run import _batcher, train
from astromodal_transformer.training.schedule import Schedule


def weights_of(folder, name="last"):
    return load_file(folder.checkpoint(name) / "model.safetensors")


def assert_same_weights(one, other):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def rows_of(folder):
    with (folder.run / "metrics.csv").open() as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("objective", ["masked", "causal"])
@pytest.mark.parametrize("stop", [3, 4])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tokens, tmp_path, objective, stop):
    settings = {
        "model": {"objective": objective, "dropout": 0.1},
        "training": {"max_steps": 7, "accumulate": 2, "checkpoint_every_steps": 100},
    }
    tokens.write_config(**settings)
    train(load_configuration(tokens.config))
    whole, whole_rows = weights_of(tokens), rows_of(tokens)
    state = load_file(tokens.checkpoint("last") / "state.safetensors")
    tokens.write_config(output="again")
    tokens.run = tokens.root / "again"
    train(load_configuration(tokens.config, [f"training.max_steps={stop}"]))
    torch.manual_seed(99)
    train(load_configuration(tokens.config), resume=True)
    assert_same_weights(weights_of(tokens), whole)
    assert_same_weights(load_file(tokens.checkpoint("last") / "state.safetensors"), state)
    ends = [row for row in whole_rows if row[0] in ("step", "6", "7")]
    again = [row for row in rows_of(tokens) if row[0] in ("step", "6", "7")]
    assert [row[0] for row in again] == [row[0] for row in ends]
    if stop == 4:
        assert again == ends


def test_a_killed_run_continues_as_if_nothing_had_happened(tokens):
    # As many threads in either process: the order of sums depends on their number.
    steps = {"max_steps": 24, "checkpoint_every_steps": 2, "schedule_steps": 50}
    tokens.write_config(training={**steps, "threads": 1})
    train(load_configuration(tokens.config, ["training.checkpoint_every_steps=100"]))
    whole = weights_of(tokens)
    tokens.write_config(output="killed")
    tokens.run = tokens.root / "killed"
    command = [sys.executable, "-m", "astromodal_transformer", "train", "--config", tokens.config]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while newest_step(tokens) < 4 and time.monotonic() < deadline:
        assert process.poll() is None or newest_step(tokens) >= 4
        time.sleep(0.02)
    process.kill()
    process.wait()
    reached = newest_step(tokens)
    assert 4 <= reached <= 24
    train(load_configuration(tokens.config), resume=True)
    assert_same_weights(weights_of(tokens), whole)


def newest_step(folder):
    steps = [
        int(path.name.removeprefix("step-"))
        for path in (folder.run / "checkpoints").glob("step-*")
        if (path / "state.json").exists()
    ]
    return max(steps, default=0)


def test_a_scheduler_ends_the_run_after_the_step(tokens, monkeypatch):
    whole = TrainingModule.update_average

    def signalled(self):
        whole(self)
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(TrainingModule, "update_average", signalled)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        train(load_configuration(tokens.config))
    assert newest_step(tokens) == 3
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_ends_the_run_with_one_line_and_a_whole_checkpoint(tokens):
    tokens.write_config(training={"max_steps": 100_000, "log_every_steps": 1})
    command = [sys.executable, "-m", "astromodal_transformer", "train", "--config", tokens.config]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while newest_step(tokens) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "astromodal-transformer: interrupted"
    assert "Traceback" not in stderr
    found = newest_checkpoint(tokens.run / "checkpoints")
    assert found is not None
    assert found[1]["step"] == newest_step(tokens)
    assert not list(tokens.run.rglob("*.partial"))


def test_a_truncated_checkpoint_gives_way_to_the_one_before(tokens, run):
    tokens.write_config(training={"max_steps": 6})
    assert run("train", "--config", tokens.config, "-q")[0] == 0
    whole = weights_of(tokens)
    for name in ("last", "step-000006"):
        path = tokens.checkpoint(name) / "state.safetensors"
        os.truncate(path, path.stat().st_size // 2)
    status, _, stderr = run("train", "--config", tokens.config, "--resume")
    assert status == 0
    assert "step-000006" in stderr
    assert "continuing from step 4" in stderr
    assert_same_weights(weights_of(tokens), whole)


def test_a_truncated_model_is_refused_in_one_line(tokens, run, tmp_path):
    assert run("train", "--config", tokens.config, "-q")[0] == 0
    path = tokens.checkpoint("best") / "model.safetensors"
    os.truncate(path, path.stat().st_size - 100)
    status, _, stderr = run(
        "predict", "--config", tokens.config, "--checkpoint", tokens.checkpoint("best"),
        "--field", "F1", "--target", "specz_z", "--out", tmp_path / "p.parquet",
    )  # fmt: skip
    assert status == 1
    assert len(stderr.splitlines()) == 1
    assert "model.safetensors" in stderr
    assert not (tmp_path / "p.parquet").exists()


def test_a_finished_run_is_not_trained_further(tokens, run):
    assert run("train", "--config", tokens.config, "-q")[0] == 0
    before = weights_of(tokens)
    status, stdout, _ = run("train", "--config", tokens.config, "--resume", "--json")
    assert status == 0
    assert json.loads(stdout)["steps"] == 6
    assert_same_weights(weights_of(tokens), before)


def test_a_run_is_not_overwritten_by_accident(tokens, run):
    assert run("train", "--config", tokens.config, "-q")[0] == 0
    status, _, stderr = run("train", "--config", tokens.config)
    assert status == 1
    assert "--resume" in stderr
    assert run("train", "--config", tokens.config, "--overwrite", "-q")[0] == 0


def test_two_processes_do_what_one_does(tokens):
    tokens.write_config(
        training={"max_steps": 4, "checkpoint_every_steps": 100}, model={"dropout": 0.0}
    )
    train(load_configuration(tokens.config))
    one = weights_of(tokens)
    command = [
        sys.executable, "-m", "astromodal_transformer", "train", "--config", tokens.config, "--set",
        "training.devices=2", "training.strategy=ddp", f"output={tokens.root / 'two'}",
    ]  # fmt: skip
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    two = load_file(tokens.root / "two" / "checkpoints" / "last" / "model.safetensors")
    assert set(one) == set(two)
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=2e-4, atol=2e-5, err_msg=name)


def test_accumulated_batches_make_a_step(tokens):
    tokens.write_config(training={"accumulate": 3, "max_steps": 2, "checkpoint_every_steps": 100})
    result = train(load_configuration(tokens.config))
    assert result["steps"] == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_follow_from_the_seed_alone(tokens, workers):
    project = tokens.open()
    store = project.store()
    weights = torch.ones(len(project.vocabulary.blocks) + 1)
    batcher = _batcher(store, project.configuration, weights)

    def some(first, count, **options):
        order = Order(store.rows("train"), 8, 64, 3)
        batches = iter(BatchLoader(batcher, order, first, **options))
        return [next(batches).tensors() for _ in range(count)]

    wanted = some(0, 25)
    found = some(17, 8, workers=workers)
    for one, other in zip(wanted[17:], found, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    halves = [some(3, 2, rank=rank, world=2) for rank in range(2)]
    for place in range(2):
        whole = wanted[3 + place]["slots"][:, 1]
        assert torch.equal(whole[0::2], halves[0][place]["slots"][:, 1])
        assert torch.equal(whole[1::2], halves[1][place]["slots"][:, 1])


def test_every_source_is_seen_once_in_a_pass():
    order = Order(np.arange(100, 205), 10, 16, seed=1)
    turns = []
    for turn in range(2):
        windows = [order.window(turn * order.windows_per_pass + n) for n in range(2)]
        assert {own for own, _ in windows} == {turn}
        turns.append(np.concatenate([rows for _, rows in windows]))
        assert len(turns[-1]) == len(np.unique(turns[-1])) == 100
    assert not np.array_equal(turns[0], turns[1])


@pytest.mark.parametrize("kind", ["cosine", "wsd"])
def test_the_learning_rate_rises_and_falls(kind):
    schedule = Schedule(1.0, 100, 10, kind, 0.2, 0.1, None)
    rates = [schedule.rate(step, 0.0) for step in range(101)]
    assert rates[0] == pytest.approx(0.1, rel=0.02)
    assert max(rates) <= 1.0
    assert rates[100] == pytest.approx(0.1)
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(rates[10:]))
    if kind == "wsd":
        assert rates[50] == 1.0


def test_the_clock_drives_the_schedule_where_only_minutes_are_given():
    schedule = Schedule(1.0, 100, 1, "cosine", 0.2, 0.0, 60.0)
    assert schedule.rate(50, 0.0) == 1.0
    assert schedule.rate(50, 30.0) == pytest.approx(0.5)
    assert schedule.rate(50, 90.0) == pytest.approx(0.0)


def test_training_stops_when_its_minutes_are_over(tokens):
    tokens.write_config(training={"max_steps": None, "schedule_steps": None, "max_minutes": 0.01})
    result = train(load_configuration(tokens.config))
    assert result["steps"] >= 1
    assert tokens.checkpoint("best").exists()


def test_training_works_without_some_families(tmp_path):
    from tokenfolder import TokenFolder

    for families in (("scalar",), ("spectrum",), ("image", "scalar")):
        folder = TokenFolder(tmp_path / "_".join(families), families=families).write()
        assert train(load_configuration(folder.config))["steps"] == 6


def test_training_works_where_a_field_has_no_tokens_of_a_family(tokens):
    tokens.shard("image", "F2").unlink()
    tokens.shard("spectrum", "F1").unlink()
    assert train(load_configuration(tokens.config))["steps"] == 6


def test_training_learns(tokens):
    tokens.write_config(
        training={"max_steps": 60, "schedule_steps": 60, "log_every_steps": 20, "batch_size": 16,
                  "checkpoint_every_steps": 60},
    )  # fmt: skip
    train(load_configuration(tokens.config))
    losses = [float(row[1]) for row in rows_of(tokens)[1:]]
    # Most tokens here are noise; what can be learned is a small part of the loss.
    assert losses[-1] < 0.97 * losses[0]


def test_reduced_precision_trains(tokens):
    tokens.write_config(training={"precision": "bf16", "max_steps": 2})
    assert np.isfinite(train(load_configuration(tokens.config))["train_loss"])


def test_curves_are_written_for_tensorboard_too(tokens):
    pytest.importorskip("tensorboard")
    tokens.write_config(training={"tensorboard": True, "max_steps": 2})
    train(load_configuration(tokens.config))
    assert list((tokens.run / "tensorboard").glob("events.*"))


def test_validation_takes_the_same_tokens_every_time(tokens):
    from astromodal_transformer.training.run import _validation

    project = tokens.open()
    store = project.store()
    weights = torch.ones(len(project.vocabulary.blocks) + 1)
    batcher = _batcher(store, project.configuration, weights)
    found = [_validation(batcher, project.configuration) for _ in range(2)]
    assert len(found[0]) == 2
    for one, other in zip(*found, strict=True):
        assert torch.equal(one.tokens, other.tokens)
        assert torch.equal(one.query_slots, other.query_slots)


def test_no_source_is_left_without_anything_to_see(tokens):
    project = tokens.open(masking={"whole_modality": 1.0, "fewest_visible": 1.0})
    store = project.store()
    batcher = _batcher(store, project.configuration, torch.ones(len(project.vocabulary.blocks) + 1))
    drawn = batcher.drawn(np.arange(200), 0)
    known = (store.codes(np.arange(200)) != project.vocabulary.missing).sum(axis=1)
    assert (drawn.visible.lengths[known > 1] >= 1).mean() > 0.97
