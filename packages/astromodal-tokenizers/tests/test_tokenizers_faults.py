"""Wrong configurations, damaged files, killed runs: one line each, and nothing half done."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cubefile import hypercube_table

from astromodal_tokenizers.__main__ import main


def run_verb(run, verb, *words):
    return main([verb, *words, "--config", str(run.config), "-q"])


def one_line(capsys):
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    assert len(said.err.strip().splitlines()) == 1, said.err
    return said.err


def nothing_half_written(run):
    assert list(run.root.rglob("*.partial")) == []


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"typo": 1}, "unknown key typo"),
        ({"image": {"wide": 1}}, "unknown key image.wide"),
        ({"scalar": {"bins": 1}}, "scalar.bins"),
        ({"scalar": {"bins": 70000}}, "scalar.bins"),
        ({"scalar": {"columns": ["no_such"]}}, "no_such"),
        ({"scalar": {"columns": ["desi_flux_b"]}}, "desi_flux_b"),
        ({"hypercube": "cubes/cube.parquet"}, "hypercube"),
        ({"split": {"nside": 3}}, "split.nside"),
        ({"split": {"fractions": [0.5, 0.5, 0.5]}}, "split.fractions"),
        ({"spectrum": {"xp": {"start": 5, "stop": 1}}}, "spectrum.xp"),
        ({"modalities": [{"name": "a", "kind": "spectrum", "columns": {"flux": "ra"}}]}, "ivar"),
    ],
)
def test_a_wrong_configuration_is_one_line_with_status_2(make_run, capsys, settings, part):
    run = make_run().write(count=120)
    for key, value in settings.items():
        own = run.settings.get(key)
        run.settings[key] = {**own, **value} if isinstance(own, dict) else value
    run.write_config()
    assert run_verb(run, "fit", "all") == 2
    assert part in one_line(capsys)
    assert not run.output.exists()


def test_no_hypercube_at_all(make_run, capsys):
    run = make_run()
    run.root.mkdir()
    run.write_config()
    assert run_verb(run, "fit", "scalar") == 2
    assert "datacube_{field}.parquet" in one_line(capsys)


@pytest.mark.parametrize("damage", ["truncated", "empty", "noise", "foreign", "version"])
def test_a_damaged_hypercube_is_one_line(make_run, capsys, damage):
    run = make_run().write(count=60)
    path = run.cube("F1")
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "noise":
        path.write_bytes(np.random.default_rng(1).bytes(len(content)))
    elif damage == "foreign":
        pq.write_table(pa.table({"a": [1]}), path)
    else:
        run.write_cube("F1", hypercube_table(60), schema_version=99)
    assert run_verb(run, "fit", "scalar") == 1
    assert "datacube_F1.parquet" in one_line(capsys)
    nothing_half_written(run)


def test_a_field_without_a_column_fails_alone(own_run, capsys):
    own_run.write_cube("F1", hypercube_table(seed=0, drop=("visits",)))
    assert run_verb(own_run, "encode") == 3
    (failure,) = [
        json.loads(line) for line in (own_run.output / "failures.jsonl").read_text().splitlines()
    ]
    assert failure["field"] == "F1"
    assert "visits" in failure["reason"]
    capsys.readouterr()
    assert run_verb(own_run, "encode", "--field", "F1") == 1
    assert "visits" in capsys.readouterr().err
    own_run.write_cube("F1", hypercube_table(seed=0, ra=359.8))
    assert run_verb(own_run, "encode") == 0
    assert not (own_run.output / "failures.jsonl").exists()


def test_a_modality_that_is_always_missing_is_left_out(make_run, capsys):
    def empty(columns):
        for name in list(columns):
            if name.startswith(("desi_", "splus_cut")):
                field, array = columns[name]
                columns[name] = (field, pa.nulls(len(array), array.type))

    run = make_run().write(change=empty)
    assert run_verb(run, "fit", "spectrum") == 0
    blocks = json.loads((run.output / "vocabulary.json").read_text())["blocks"]
    names = {block["name"] for block in blocks}
    assert "desi_b" not in names
    assert {"ztf_g", "gaiaxp_bp"} <= names
    capsys.readouterr()
    assert run_verb(run, "fit", "image") == 1
    assert "no cutout" in one_line(capsys)
    assert run_verb(run, "encode") == 0


def test_a_field_where_a_fitted_modality_is_missing_is_encoded(own_run):
    def empty(columns):
        for name in list(columns):
            if name.startswith(("desi_", "splus_cut", "mag_", "ztf_", "gaiaxp_")):
                field, array = columns[name]
                columns[name] = (field, pa.nulls(len(array), array.type))

    own_run.write_cube("F3", hypercube_table(50, seed=3, change=empty))
    assert run_verb(own_run, "encode", "--field", "F3") == 0
    with np.load(own_run.tokens("spectrum", "F3"), allow_pickle=False) as arrays:
        assert (arrays["tokens_desi_b"] == arrays["missing"]).all()
        assert not len(arrays["tokens_ztf_g_flat"])
    with np.load(own_run.tokens("image", "F3"), allow_pickle=False) as arrays:
        assert (arrays["tokens_flat"] == arrays["missing"]).all()
    out = own_run.root / "F3.parquet"
    assert run_verb(own_run, "decode", "--field", "F3", "--out", str(out)) == 0
    table = pq.read_table(out)
    assert table["desi_flux_b"].null_count == 50
    assert table["splus_cut_R"].null_count == 50


def test_a_field_without_sources_is_encoded_and_decoded(own_run):
    own_run.write_cube("F4", hypercube_table(20).slice(0, 0))
    assert run_verb(own_run, "encode", "--field", "F4") == 0
    out = own_run.root / "F4.parquet"
    assert run_verb(own_run, "decode", "--field", "F4", "--out", str(out)) == 0
    assert pq.read_table(out).num_rows == 0


def test_tokens_of_another_codebook_are_refused_and_encoded_again(own_run, capsys):
    own_run.settings["scalar"]["bins"] = 32
    own_run.write_config()
    assert run_verb(own_run, "fit", "scalar") == 1
    assert "--overwrite" in one_line(capsys)
    assert run_verb(own_run, "fit", "scalar", "--overwrite") == 0
    capsys.readouterr()
    out = own_run.root / "decoded.parquet"
    assert run_verb(own_run, "decode", "--field", "F1", "--out", str(out)) == 1
    assert "scalar.safetensors" in one_line(capsys)
    assert not out.exists()
    assert run_verb(own_run, "encode") == 0
    capsys.readouterr()
    assert run_verb(own_run, "decode", "--field", "F1", "--out", str(out)) == 0


@pytest.mark.parametrize("family", ["scalar", "spectrum", "image"])
def test_damaged_codebooks_are_one_line(own_run, capsys, family):
    path = own_run.output / "codebooks" / f"{family}.safetensors"
    content = path.read_bytes()
    random = np.random.default_rng(2)
    for trial in range(12):
        data = bytearray(content)
        if trial % 3 == 0:
            del data[int(random.integers(len(data))) :]
        elif trial % 3 == 1:
            place = int(random.integers(min(len(data), 2000)))
            data[place : place + 30] = random.bytes(30)
        else:
            data[:0] = b"x" * int(random.integers(1, 50))
        path.write_bytes(bytes(data))
        status = run_verb(own_run, "encode", "--overwrite", "--field", "F1")
        said = capsys.readouterr().err
        assert status in (0, 1), said
        assert "Traceback" not in said
    path.unlink()
    path.mkdir()
    assert run_verb(own_run, "encode", "--field", "F1") in (0, 1)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("family", ["scalar", "spectrum", "image"])
def test_damaged_tokens_are_refused_and_encoded_again(own_run, capsys, family):
    path = own_run.tokens(family)
    content = path.read_bytes()
    random = np.random.default_rng(3)
    out = own_run.root / "decoded.parquet"
    failed = 0
    for trial in range(10):
        data = bytearray(content)
        place = int(random.integers(len(data)))
        if trial % 2:
            del data[place:]
        else:
            data[place : place + 20] = random.bytes(20)
        path.write_bytes(bytes(data))
        words = ("--field", "F1", "--out", str(out), "--overwrite")
        status = run_verb(own_run, "decode", *words)
        said = capsys.readouterr().err
        assert status in (0, 1), said
        assert "Traceback" not in said
        failed += status
    assert failed >= 5
    path.write_bytes(content[: len(content) // 2])
    assert run_verb(own_run, "encode") == 0
    assert path.read_bytes() == content
    nothing_half_written(own_run)


def files_of(run):
    return {
        str(path.relative_to(run.output)): path.read_bytes()
        for path in sorted(run.output.rglob("datacube_*"))
    }


def test_encoding_twice_skips_and_again_gives_the_same_bytes(own_run):
    before = files_of(own_run)
    times = {path: path.stat().st_mtime_ns for path in own_run.output.rglob("datacube_*")}
    assert run_verb(own_run, "encode") == 0
    assert {p: p.stat().st_mtime_ns for p in own_run.output.rglob("datacube_*")} == times
    assert run_verb(own_run, "encode", "--overwrite") == 0
    assert files_of(own_run) == before


@pytest.mark.parametrize("delay_s", [0.5, 3.0, 3.6, 4.2])
def test_a_killed_encode_continues_to_the_same_bytes(own_run, delay_s):
    whole = files_of(own_run)
    for folder in ("image_tokens", "image_latents", "scalar_tokens", "spectrum_tokens", "store"):
        shutil.rmtree(own_run.output / folder)
    words = ["-m", "astromodal_tokenizers", "encode", "--config", str(own_run.config), "-q"]
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(delay_s)
    process.kill()
    process.communicate()
    assert run_verb(own_run, "encode") == 0
    assert files_of(own_run) == whole
    nothing_half_written(own_run)


def test_two_workers_give_the_same_bytes(own_run):
    whole = files_of(own_run)
    assert run_verb(own_run, "encode", "--overwrite", "--workers", "2") == 0
    assert files_of(own_run) == whole


def test_fitting_again_gives_the_same_codebooks(own_run):
    path = own_run.output / "codebooks"
    before = {item.name: item.read_bytes() for item in path.iterdir()}
    assert run_verb(own_run, "fit", "all", "--overwrite") == 0
    assert {item.name: item.read_bytes() for item in path.iterdir()} == before


def test_a_hypercube_that_changed_is_encoded_again(own_run):
    before = own_run.tokens("scalar").read_bytes()
    own_run.write_cube("F1", hypercube_table(seed=9, ra=359.8))
    assert run_verb(own_run, "encode") == 0
    assert own_run.tokens("scalar").read_bytes() != before


def test_decoding_what_is_not_there(own_run, capsys):
    out = str(own_run.root / "x.parquet")
    assert run_verb(own_run, "decode", "--field", "nowhere", "--out", out) == 1
    assert "nowhere" in one_line(capsys)
    assert run_verb(own_run, "encode", "--field", "nowhere") == 1
    assert "nowhere" in capsys.readouterr().err
    shutil.rmtree(own_run.output)
    assert run_verb(own_run, "encode") == 1
    assert "fit" in one_line(capsys)


@pytest.mark.parametrize("name", ["absent.npz", "absent.txt"])
def test_inspecting_what_is_not_there(tmp_path, capsys, name):
    assert main(["inspect", str(tmp_path / name)]) == 1
    assert name in one_line(capsys)
