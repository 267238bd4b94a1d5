"""Damaged inputs, killed runs and full disks: nothing wrong is ever left behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from surveytree import FIELD

from astro_common.testing import damaged
from splus_hypercube.__main__ import main
from splus_hypercube.surveys.static import StaticCatalogueSurvey

SECOND = "SPLUS-t02"


@pytest.fixture
def two_fields(make_tree):
    """Two fields at one place, each with a catalogue, images and a VISTA file of its own."""
    tree = make_tree()
    tree.field_name = SECOND
    tree.write_catalogue()
    tree.write_images()
    tree.write_vista()
    tree.field_name = FIELD
    (tree.root / "fields.csv").write_text(
        f"field,ra,dec\n{FIELD},{tree.ra},{tree.dec}\n{SECOND},{tree.ra},{tree.dec}\n"
    )
    return tree


def build(tree, *options):
    return main(["build", "--config", str(tree.config), "-q", *options])


def failures(tree):
    path = tree.output / "failures.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def nothing_half_written(tree):
    files = list(tree.output.rglob("*"))
    assert all(path.suffix in (".parquet", ".jsonl") for path in files if path.is_file()), files


def one(tree, pattern):
    (path,) = sorted(tree.root.glob(pattern))[:1]
    return path


PER_FIELD = {
    "catalogue": f"main/{FIELD}_dual.fits",
    "image": f"idr6/{FIELD}/{FIELD}_F515.fits.fz",
    "vista": f"vista/{FIELD}.parquet",
}
SHARED = {
    "gaia": "gaia_dr3/*.csv.gz",
    "gaia_xp": "gaia_xp/*.csv.gz",
    "ztf": "ztf/dataset/*/*/*.parquet",
    "desi": "desi/101/*/coadd*.fits",
    "redrock": "desi/101/*/redrock*.fits",
    "apogee": "allStar.fits",
    "specz": "specz.parquet",
}


@pytest.mark.parametrize("survey", PER_FIELD)
@pytest.mark.parametrize("damage", ["truncated", "empty", "noise", "absent"])
def test_a_damaged_file_of_one_field_fails_that_field_alone(two_fields, survey, damage):
    path = two_fields.root / PER_FIELD[survey]
    spoil(path, damage)
    status = build(two_fields)
    if survey == "image" and damage == "absent":
        assert status == 0  # a missing band is null, not a failure
        return
    assert status == 3
    (failure,) = failures(two_fields)
    assert set(failure) == {"field", "file", "reason"}
    assert failure["field"] == FIELD
    assert Path(failure["file"]) == path
    assert not two_fields.cube.exists()
    assert (two_fields.output / f"datacube_{SECOND}.parquet").exists()
    nothing_half_written(two_fields)


@pytest.mark.parametrize("survey", SHARED)
@pytest.mark.parametrize("damage", ["truncated", "noise"])
def test_a_damaged_file_of_the_whole_sky_fails_all_that_need_it(two_fields, survey, damage):
    path = max(two_fields.root.glob(SHARED[survey]), key=lambda item: item.stat().st_size)
    spoil(path, damage)
    assert build(two_fields) == 3
    assert [failure["field"] for failure in failures(two_fields)] == [FIELD, SECOND]
    assert {Path(failure["file"]) for failure in failures(two_fields)} == {path}
    assert list(two_fields.output.glob("*.parquet")) == []
    nothing_half_written(two_fields)


def spoil(path: Path, damage: str) -> None:
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) * 2 // 3])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "noise":
        path.write_bytes(np.random.default_rng(1).bytes(len(content)))
    else:
        path.unlink()


def test_failures_are_forgotten_once_all_succeed(two_fields):
    path = two_fields.root / PER_FIELD["vista"]
    content = path.read_bytes()
    spoil(path, "truncated")
    assert build(two_fields) == 3
    path.write_bytes(content)
    assert build(two_fields) == 0
    assert not (two_fields.output / "failures.jsonl").exists()
    assert len(list(two_fields.output.glob("*.parquet"))) == 2


def test_a_finished_file_is_not_built_again_and_a_truncated_one_is(tree):
    assert build(tree) == 0
    first = tree.cube.read_bytes()
    before = tree.cube.stat().st_mtime_ns
    assert build(tree) == 0
    assert tree.cube.stat().st_mtime_ns == before
    tree.cube.write_bytes(first[:-500])
    assert build(tree) == 0
    assert tree.cube.read_bytes() == first
    assert build(tree, "--overwrite") == 0
    assert tree.cube.read_bytes() == first
    assert tree.cube.stat().st_mtime_ns != before


def test_a_changed_input_or_setting_makes_a_file_stale(tree):
    assert build(tree) == 0
    tree.write_catalogue(mag_pstotal_g=np.arange(16.0))
    assert build(tree) == 0
    assert "mag_pstotal_g" in pq.read_schema(tree.cube).names
    tree.write_config(specz={"file": "specz.parquet", "radius_arcsec": 0.1})
    assert build(tree) == 0
    assert pq.read_table(tree.cube, columns=["specz_z"])["specz_z"].null_count == 16


def test_an_input_that_changes_during_a_build_makes_the_file_stale(tree, monkeypatch):
    """Else a file would pass for up to date that holds what its inputs were before."""
    path = tree.root / "specz.parquet"
    match = StaticCatalogueSurvey.match

    def match_and_change(survey, *arguments):
        found = match(survey, *arguments)
        if survey.name == "specz":
            table = pq.read_table(path)
            pq.write_table(table.set_column(2, "z", [np.full(len(table), 9.0)]), path)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(StaticCatalogueSurvey, "match", match_and_change)
        assert build(tree) == 0
    assert pq.read_table(tree.cube)["specz_z"].to_pylist()[2] == 0.2
    assert build(tree) == 0
    assert pq.read_table(tree.cube)["specz_z"].to_pylist()[2] == 9.0


def test_an_input_that_is_gone_fails_the_next_run_of_its_field_alone(two_fields):
    assert build(two_fields) == 0
    path = two_fields.root / PER_FIELD["vista"]
    path.unlink()
    assert build(two_fields) == 3
    (failure,) = failures(two_fields)
    assert (failure["field"], Path(failure["file"])) == (FIELD, path)


def run_in_background(tree, *options):
    command = [sys.executable, "-m", "splus_hypercube", "build", "--config", str(tree.config)]
    return subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("delay", [0.3, 1.5, 1.8, 2.1, 2.4])
def test_a_killed_run_continues_to_the_same_bytes(two_fields, delay):
    process = run_in_background(two_fields)
    time.sleep(delay)
    process.kill()
    process.communicate()
    for path in two_fields.output.glob("*.parquet"):
        pq.read_table(path)  # whatever looks finished is
    assert build(two_fields) == 0
    interrupted = {p.name: p.read_bytes() for p in two_fields.output.glob("*.parquet")}
    nothing_half_written(two_fields)
    shutil.rmtree(two_fields.output)
    assert build(two_fields) == 0
    whole = {p.name: p.read_bytes() for p in two_fields.output.glob("*.parquet")}
    assert interrupted == whole


def catches_sigterm(process):
    """Whether the command has come so far that it turns SIGTERM into an orderly end."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & (1 << (signal.SIGTERM - 1)))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_leaves_nothing(two_fields, number):
    process = run_in_background(two_fields)
    deadline = time.monotonic() + 60
    # Two small fields are built in a moment: the signal has to come as soon as it can be handled.
    while not catches_sigterm(process) and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(number)
    _, message = process.communicate(timeout=240)
    assert process.returncode == 130
    assert message.strip().splitlines()[-1] == "splus-hypercube: interrupted"
    assert "Traceback" not in message
    nothing_half_written(two_fields)


def test_a_full_disk_is_one_line_and_leaves_nothing(tree):
    """A limit on the size of files stands for the full disk: both end a write half-way."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))\n"
        "from splus_hypercube.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, "build", "--config", str(tree.config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 3
    assert "Traceback" not in result.stderr
    (failure,) = failures(tree)
    assert failure["field"] == FIELD
    assert list(tree.output.glob("*.parquet")) == []
    nothing_half_written(tree)


# Without cutouts a build takes a fraction of a second, so that hundreds of files can be tried.
MUTATED = {
    "catalogue": (PER_FIELD["catalogue"], 60),
    "image": (PER_FIELD["image"], 40),
    "vista": (PER_FIELD["vista"], 60),
    **{name: (pattern, 40) for name, pattern in SHARED.items()},
}


@pytest.mark.parametrize("survey", MUTATED)
def test_mutated_inputs_fail_in_one_line_or_give_a_sound_file(make_tree, survey, capsys):
    pattern, count = MUTATED[survey]
    tree = make_tree(bands=("F515",), settings={"cutouts": {"size_px": 8, "rows": "all"}})
    path = max(tree.root.glob(pattern), key=lambda item: item.stat().st_size)
    content = path.read_bytes()
    rng = np.random.default_rng(sorted(MUTATED).index(survey))
    failed = 0
    for _ in range(count):
        path.write_bytes(damaged(content, rng))
        status = main(["build", "--config", str(tree.config), "--overwrite", "-q"])
        message = capsys.readouterr().err
        assert status in (0, 3), message
        assert "Traceback" not in message
        if status == 3:
            failed += 1
            (failure,) = failures(tree)
            assert failure["file"], failure
            assert "\n" not in failure["reason"]
            assert not tree.cube.exists()
        else:
            cube = pq.read_table(tree.cube, columns=["id", "gaia_source_id", "vista_sourceid"])
            assert cube.num_rows >= 1
        nothing_half_written(tree)
        tree.cube.unlink(missing_ok=True)
    assert failed > count // 8


def test_an_output_that_cannot_be_made_is_one_line(tree, capsys):
    (tree.root / "hypercube").write_text("in the way")
    assert build(tree) == 1
    message = capsys.readouterr().err
    assert "hypercube" in message
    assert len(message.strip().splitlines()) == 1
    assert (tree.root / "hypercube").is_file()
