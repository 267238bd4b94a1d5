from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits

from cfht_iqa.ccd_state import ccd_state
from cfht_iqa.classes import CLASSES
from cfht_iqa.configuration import RunConfiguration, load_configuration
from cfht_iqa.focal_plane import ccd_place
from cfht_iqa.megacam import exposure_name, read_exposure
from cfht_iqa.mock import MockPlan, draw_conditions, write_mock
from cfht_iqa.mock.profiles import StampBank

CONFIGS = Path(__file__).parents[1] / "configs"


def test_every_shipped_configuration_loads():
    paths = sorted(CONFIGS.glob("*.yaml"))
    assert len(paths) == 2
    for path in paths:
        assert Path(load_configuration(path).output) == CONFIGS / "run"


def test_archive_configuration_shows_every_default():
    shown = yaml.safe_load((CONFIGS / "archive.yaml").read_text())
    least = RunConfiguration(
        exposures=shown["exposures"], labels=shown["labels"], output=shown["output"]
    )
    assert RunConfiguration(**shown) == least
    assert set(shown) == set(RunConfiguration.model_fields)
    for name in ("extract", "som", "represent", "split", "train"):
        assert set(shown[name]) == set(type(getattr(least, name)).model_fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exposures: [a]\n", "labels"),
        ("exposures: [a]\nlabels: [b]\noutput: c\ncolour: red\n", "colour"),
        ("exposures: [a]\nlabels: [b]\noutput: c\nsom: {height: 0}\n", "som.height"),
        ("- a\n", "a list; expected a YAML mapping of keys"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_wrong_configuration_is_one_line(run, tmp_path, text, said):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    status, _, err = run("run", path)
    assert status == 2
    assert said in err
    assert len(err.splitlines()) == 1


def test_help_is_light():
    words = [sys.executable, "-X", "importtime", "-m", "cfht_iqa", "--help"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert "train-som" in done.stdout
    for name in ("numpy", "astropy", "pyarrow", "torch", "matplotlib"):
        assert f" {name}\n" not in done.stderr


@pytest.mark.parametrize("verb", ["train-som", "train"])
def test_interrupted_training_leaves_nothing(chain, tables, tmp_path, verb):
    """Ctrl-C: status 130, one line, and nothing that looks finished."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    inputs = [chain.catalogue] if verb == "train-som" else [*tables, "--som", chain.som]
    words = [verb, *inputs, "--output", tmp_path / "out", "--epochs", 2_000_000]
    words += [] if verb == "train-som" else ["--patience", 2_000_000, "-v"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cfht_iqa", *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    if verb == "train":
        # The first epoch is told of on stderr.
        while "epoch 1" not in process.stderr.readline():
            assert process.poll() is None
    else:
        time.sleep(6.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "cfht-iqa: interrupted"
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("1o.fits", "1o"), ("1p.fits.fz", "1p"), ("a/2p.FITS.gz", "2p"), ("x.y.fit", "x.y")],
)
def test_exposure_name(name, expected):
    assert exposure_name(name) == expected


def test_datasec_outside_the_image(run, tmp_path):
    hdu = fits.ImageHDU(np.zeros((50, 50), np.uint16))
    hdu.header["DATASEC"] = "[33:2080,1:4612]"
    path = tmp_path / "1o.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    words = ["--exptime-s", 1, "--pixel-scale-arcsec", 1, "--output", tmp_path]
    status, _, err = run("extract", path, *words)
    assert status == 1
    assert "DATASEC" in err


def test_focal_plane():
    places = [ccd_place(number, 36) for number in range(36)]
    assert (places[0].row, places[0].column, places[0].is_rotated) == (0, 0, True)
    assert (places[35].row, places[35].column, places[35].is_rotated) == (3, 8, False)
    assert places[0].y > places[35].y
    # The ears of the larger mosaic stick out of its middle rows.
    larger = [ccd_place(number, 40) for number in range(40)]
    assert larger[0].column == 1
    assert larger[9].column == 0
    assert len({(place.row, place.column) for place in larger}) == 40


def test_state_of_a_ccd():
    rng = np.random.default_rng(1)
    dark = rng.normal(1000, 3, 5000).astype(np.float32)
    sky = rng.normal(1300, 15, (200, 200)).astype(np.float32)
    assert ccd_state(sky, dark).name == "alive"
    # A short exposure of a dark sky: no light but that of a star field.
    faint = rng.normal(1000, 3, (200, 200)).astype(np.float32)
    assert ccd_state(faint, dark).name == "dead"
    faint[::4, ::4] += 500.0
    assert ccd_state(faint, dark).name == "alive"
    half = sky.copy()
    half[:, 100:] = np.nan
    state = ccd_state(half, dark)
    assert (state.name, state.dead_columns(200)) == ("half-dead", slice(100, 200))


def test_mock_is_as_raw_data_are(tmp_path):
    plan = MockPlan(per_class=1, classes=("GOOD",), n_ccds=3, shape=(200, 160), dead=1, half_dead=2)
    (path,) = write_mock(tmp_path, plan, progress=False)
    with fits.open(path, do_not_scale_image_data=True) as file:
        assert [hdu.name for hdu in file][1:] == ["ccd00", "ccd01", "ccd02"]
        assert file[1].header["BITPIX"] == 16
        assert file[1].header["BZERO"] == 32768
        assert file[1].data.shape == (232, 224)
        assert file[0].header["SYNTHET"] is True
    header = read_exposure(path)
    assert header.synthetic
    assert header.ccds[0].shape == (200, 160)
    assert header.pixel_scale_arcsec == 0.187
    (again,) = write_mock(tmp_path / "again", plan, progress=False)
    assert again.read_bytes() == path.read_bytes()


def test_exposures_of_two_seeds_have_two_names(run, tmp_path):
    small = MockPlan(per_class=2, classes=("GOOD",), n_ccds=1, shape=(128, 128))
    names = [
        {path.name for path in write_mock(tmp_path / str(seed), plan, progress=False)}
        for seed in (0, 1, 42, 2**32 - 1)
        for plan in [replace(small, seed=seed)]
    ]
    assert len(set.union(*names)) == 4 * 2
    words = ["--per-class", 201, "--ccds", 1, "--ccd-size", "128x128"]
    status, _, err = run("mock", tmp_path / "many", *words)
    assert status == 2
    assert "1005 exposures of one seed" in err
    assert not (tmp_path / "many").exists()


@pytest.mark.parametrize("layout", ["fits.fz", "fits.gz"])
def test_mock_compressed(run_json, tmp_path, layout):
    words = ["--per-class", 1, "--classes", "BT", "--ccds", 1, "--ccd-size", "160x200"]
    words += ["--format", layout, "--dead-ccd", 0]
    status, result = run_json("mock", tmp_path / "m", *words)
    assert status == 0
    assert result["outputs"][0].endswith(layout)
    assert run_json("extract", result["outputs"][0], "--output", tmp_path)[1]["exposures"][0][
        "dead"
    ] == ["ccd00"]
    assert (tmp_path / "m" / "labels.txt").read_text().split()[1] == "BT"


def test_mock_stars_have_the_asked_for_seeing_and_flux():
    conditions = draw_conditions("GOOD", np.random.default_rng(1))
    bank = StampBank(conditions, False, np.random.default_rng(2))
    star = bank.stamps[0]
    # A Moffat profile has a few per cent of its light further out than the stamp.
    assert star.sum(axis=(2, 3)) == pytest.approx(1.0, abs=0.04)
    middle = star[2, 2]
    width = 2 * np.sqrt((middle > 0.5 * middle.max()).sum() / np.pi) * 0.187
    assert width == pytest.approx(conditions.seeing_arcsec, abs=0.2)
    image = np.zeros((101, 101), np.float32)
    bank.add(image, np.array([0]), np.array([50.3]), np.array([49.6]), np.array([1000.0]))
    y, x = np.mgrid[:101, :101]
    assert (x * image).sum() / image.sum() == pytest.approx(50.3, abs=0.2)
    assert (y * image).sum() / image.sum() == pytest.approx(49.6, abs=0.2)


@pytest.mark.parametrize("label", CLASSES)
def test_narrow_margins_reach_their_limits_and_not_beyond(label):
    rng = np.random.default_rng(11)
    drawn = [draw_conditions(label, rng, margin="narrow") for _ in range(200)]
    seeing = [item.seeing_arcsec for item in drawn]
    reach = [float(np.hypot(*np.ptp(item.track_arcsec[:, :2], axis=0))) for item in drawn]
    if label == "B_SEEING":
        assert 1.17 <= min(seeing) < 1.2
    else:
        assert 1.0 < max(seeing) <= 1.03
    if label == "RBT":
        assert min(reach) > 1.7
    elif label == "BT":
        assert 0.7 < min(reach) < 1.0 < 3.0 < max(reach) < 3.5
    else:
        assert max(reach) < 0.35
    if label != "BGP":
        assert max(abs(value) for item in drawn for value in item.gradient) <= 0.02
