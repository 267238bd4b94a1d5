from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import lightning
import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.numpy import load_file, save_file

from astromodal_transformer.training.module import TrainingModule


def fails(run, *words, status=1):
    """Run a command that is to fail in one line; gives the line."""
    found, stdout, stderr = run(*words)
    assert found == status, stderr
    assert stdout == ""
    lines = [line for line in stderr.splitlines() if "INFO" not in line]
    assert len(lines) == 1, stderr
    return lines[0]


def test_tokens_of_another_vocabulary_are_refused(tokens, run):
    path = tokens.tokens / "vocabulary.json"
    record = json.loads(path.read_text())
    digest = record["blocks"][0]["codebook_sha256"]
    path.write_text(path.read_text().replace(digest, "0" * 64))
    line = fails(run, "train", "--config", tokens.config)
    assert "codebook" in line
    assert "000000000000" in line


def test_a_shard_of_another_codebook_is_refused(tokens, run):
    tokens.checksums = {**tokens.checksums, "scalar": "1" * 64}
    tokens.write_field("F2", 1, families=("scalar",))
    line = fails(run, "train", "--config", tokens.config)
    assert "datacube_F2.arrow" in line
    assert "another vocabulary" in line


@pytest.mark.parametrize("header", ["", "[]", '"x"', "{}", '{"schema_version": 1}'])
def test_a_shard_without_its_header_is_refused(tokens, run, header):
    path = tokens.shard("scalar", "F2")
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        table = table.replace_schema_metadata({"astromodal_tokenizers": header})
        with pa.ipc.new_file(str(path.with_suffix(".new")), table.schema) as writer:
            writer.write_table(table)
    path.with_suffix(".new").rename(path)
    assert "datacube_F2.arrow" in fails(run, "train", "--config", tokens.config)


def test_a_model_of_another_vocabulary_is_refused(trained, tmp_path, run):
    from tokenfolder import TokenFolder

    other = TokenFolder(tmp_path / "other", seed=5).write()
    line = fails(
        run, "predict", "--config", other.config, "--checkpoint", trained.run, "--field", "F1",
        "--target", "specz_z", "--out", tmp_path / "p.parquet",
    )  # fmt: skip
    assert "vocabulary" in line
    assert not (tmp_path / "p.parquet").exists()


def test_a_missing_codebook_is_named(tokens, run):
    (tokens.tokens / "codebooks" / "spectrum.safetensors").unlink()
    line = fails(run, "train", "--config", tokens.config)
    assert "spectrum.safetensors" in line
    assert "no such file" in line


def test_a_missing_vocabulary_is_named(tokens, run):
    (tokens.tokens / "vocabulary.json").unlink()
    assert "vocabulary.json" in fails(run, "train", "--config", tokens.config)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema_version": 2}', '{"schema_version": 1, "blocks": 3}']
)
def test_a_damaged_vocabulary_is_named(tokens, run, text):
    (tokens.tokens / "vocabulary.json").write_text(text)
    assert "vocabulary.json" in fails(run, "train", "--config", tokens.config)


def test_overlapping_blocks_are_refused(tokens, run):
    path = tokens.tokens / "vocabulary.json"
    record = json.loads(path.read_text())
    record["blocks"][1]["offset"] -= 1
    path.write_text(json.dumps(record))
    assert "overlaps" in fails(run, "train", "--config", tokens.config)


@pytest.mark.parametrize("keep", [0, 10, 2000])
def test_a_truncated_shard_is_named(tokens, run, keep):
    os.truncate(tokens.shard("scalar"), keep)
    assert "datacube_F1.arrow" in fails(run, "train", "--config", tokens.config)


def test_families_with_other_rows_are_refused(tokens, run):
    tokens.rows = 60
    tokens.write_field("F1", 0, families=("image",))
    assert "differ" in fails(run, "train", "--config", tokens.config)


def test_an_empty_store_is_named(tokens, run):
    for path in tokens.tokens.rglob("*.arrow"):
        path.unlink()
    assert "encode" in fails(run, "train", "--config", tokens.config)


def test_a_field_without_tokens_is_a_usage_error(tokens, run):
    tokens.write_config(training={"fields": ["F9"]})
    assert "F9" in fails(run, "train", "--config", tokens.config, status=2)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("training.batch_sise=3", "batch_sise"),
        ("training.batch_size=0", "training.batch_size"),
        ("model.preset=huge", "model.preset"),
        ("model.heads=7", "heads"),
        ("loss.reconstruction=-1", "loss.reconstruction"),
        ("data.include=[nothing_*]", "nothing_"),
        ("training.accelerator=abacus", "abacus"),
        ("seed", "key=value"),
        ("masking.fewest_visible=nan", "fewest_visible"),
    ],
)
def test_a_wrong_key_or_value_is_a_usage_error(tokens, run, change, word):
    assert word in fails(run, "train", "--config", tokens.config, "--set", change, status=2)


def test_both_losses_off_is_a_usage_error(tokens, run):
    tokens.write_config(loss={"reconstruction": 0.0, "cross_entropy": 0.0})
    assert "both 0" in fails(run, "train", "--config", tokens.config, status=2)


@pytest.mark.parametrize("content", [b"", b"- a", b"a: [", b"\xff\xfe\x00"])
def test_a_configuration_that_is_none(tmp_path, run, content):
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    status, _, stderr = run("train", "--config", path)
    assert status in (1, 2)
    assert len(stderr.splitlines()) == 1


def test_unknown_names_of_modalities_are_usage_errors(trained, run, tmp_path):
    words = ("predict", "--config", trained.config, "--checkpoint", trained.run, "--field", "F1",
             "--out", tmp_path / "p.parquet")  # fmt: skip
    assert "nonsense" in fails(run, *words, "--target", "nonsense", status=2)
    assert "x_*" in fails(run, *words, "--target", "specz_z", "--given", "x_*", status=2)


@pytest.mark.parametrize("value", ["0", "100", "x", "-1"])
def test_a_quantile_that_is_none_is_a_usage_error(trained, value, tmp_path):
    from astromodal_transformer.__main__ import main

    words = ["predict", "--config", trained.config, "--checkpoint", trained.run, "--field", "F1",
             "--target", "specz_z", "--out", tmp_path / "p.parquet",
             f"--quantiles={value}"]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 2


def test_a_loss_that_is_no_number_ends_the_run_with_its_batch(tokens, run, monkeypatch):
    whole = TrainingModule.loss

    def broken(self, batch):
        loss, sums = whole(self, batch)
        return (loss * float("nan"), sums) if self.step == 3 else (loss, sums)

    monkeypatch.setattr(TrainingModule, "loss", broken)
    line = fails(run, "train", "--config", tokens.config, "-q")
    path = tokens.run / "failed_batch_step-000004.safetensors"
    assert str(path) in line
    assert "nan" in line
    assert "learning_rate" in line
    batch = load_file(path)
    assert batch["tokens"].shape[0] == 8
    assert (tokens.checkpoint("step-000002") / "model.safetensors").exists()
    monkeypatch.undo()
    assert run("train", "--config", tokens.config, "--resume", "-q")[0] == 0


def test_a_learning_rate_that_is_too_large_is_found_out(tokens, run):
    tokens.write_config(
        training={"learning_rate": 1e30, "max_steps": 50, "clip": 0.0, "warmup_steps": 0,
                  "validation_sources": 0},
    )  # fmt: skip
    line = fails(run, "train", "--config", tokens.config, "-q")
    assert "failed_batch_step-" in line


def test_too_little_memory_names_what_to_lower(tokens):
    # The address space of the process is limited after its libraries have been loaded.
    program = (
        "import resource, sys, torch, lightning\n"
        "from astromodal_transformer.__main__ import main\n"
        "torch.set_num_threads(1)\n"
        "import astromodal_transformer.training.run\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (600 << 20), used + (600 << 20)))\n"
        f"sys.exit(main(['train', '--config', {str(tokens.config)!r}, '--set',"
        " 'model.d_model=8192', 'model.heads=8', 'model.feed_forward=32768', '-q']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "training.batch_size" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_a_damaged_checkpoint_is_named(trained, run, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    words = ("export", "--checkpoint", folder, "--out", tmp_path / "e")
    assert "no model there" in fails(run, *words)
    (folder / "config.json").write_text("{}")
    assert "version" in fails(run, *words)
    source = trained.checkpoint()
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    assert "model.safetensors" in fails(run, *words)
    tensors = load_file(source / "model.safetensors")
    tensors.pop("output_bias")
    save_file(tensors, folder / "model.safetensors")
    assert "not complete" in fails(run, *words)
    assert not (tmp_path / "e").exists()


def test_hostile_checkpoints_run_nothing(trained, run, tmp_path):
    import torch

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_bytes((trained.checkpoint() / "config.json").read_bytes())
    torch.save(Trap(), folder / "model.safetensors")
    fails(run, "export", "--checkpoint", folder, "--out", tmp_path / "e")
    assert not (tmp_path / "sprung").exists()


def test_no_file_of_a_run_is_a_pickle(trained):
    names = {path.suffix for path in trained.run.rglob("*") if path.is_file()}
    assert names <= {".safetensors", ".json", ".csv", ".png", ".yaml"}


def test_a_wrong_hypercube_is_named(trained, run, tmp_path):
    words = ("evaluate", "--config", trained.config, "--checkpoint", trained.run, "-q", "--set")
    line = fails(run, *words, f"hypercube={tmp_path}/datacube_{{field}}.parquet")
    assert "datacube_F1.parquet" in line


def test_an_unknown_source_is_named(trained, run, tmp_path):
    line = fails(
        run, "generate", "--config", trained.config, "--checkpoint", trained.run, "--field", "F1",
        "--source", "nobody", "--out", tmp_path / "g.parquet",
    )  # fmt: skip
    assert "nobody" in line


def test_a_device_that_is_not_there_is_a_usage_error(run):
    assert "--device" in fails(run, "bench", "--device", "abacus", status=2)


def test_values_beyond_the_codebook_do_not_pass_silently(tokens, run):
    path = tokens.shard("scalar")
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        file = pa.ipc.open_file(source)
        batches = [file.get_batch(i) for i in range(file.num_record_batches)]
        schema = file.schema
    column = batches[0].column("tokens")
    values = column.values.to_numpy().copy()
    values[0] = np.uint16(60_000)
    changed = pa.FixedSizeListArray.from_arrays(pa.array(values), column.type.list_size)
    place = batches[0].schema.get_field_index("tokens")
    batches[0] = batches[0].set_column(place, "tokens", changed)
    path.unlink()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema))
    line = fails(run, "train", "--config", tokens.config)
    assert "60000" in line


@pytest.mark.parametrize("strategy", ["fsdp", "nonsense"])
def test_a_strategy_that_is_not_there_is_a_usage_error(tokens, run, strategy):
    status, _, stderr = run(
        "train", "--config", tokens.config, "-q", "--set", f"training.strategy={strategy}",
        "training.accelerator=cpu",
    )  # fmt: skip
    assert status == 2
    assert strategy in stderr
    assert len(stderr.strip().splitlines()) == 1


def test_a_compiler_that_is_not_there_is_a_usage_error(tokens, run, monkeypatch):
    class CompilerError(RuntimeError):
        __module__ = "torch._inductor.exc"

    def failing(*_, **__):
        raise CompilerError("no compiler")

    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: None)
    monkeypatch.setattr(lightning.Trainer, "fit", failing)
    status, _, stderr = run(
        "train", "--config", tokens.config, "-q", "--set", "training.compile=true"
    )
    assert status == 2
    assert "training.compile" in stderr
    assert "no compiler" in stderr
    assert len(stderr.strip().splitlines()) == 1
