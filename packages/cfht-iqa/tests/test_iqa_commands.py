from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits

from cfht_iqa.ccd_state import CcdState, ccd_state
from cfht_iqa.classes import CLASSES
from cfht_iqa.configuration import RunConfiguration, load_configuration
from cfht_iqa.focal_plane import ccd_place
from cfht_iqa.megacam import exposure_name, read_exposure
from cfht_iqa.mock import MockPlan, draw_conditions, write_mock
from cfht_iqa.mock.profiles import StampBank
from cfht_iqa.quality import measure_quality
from cfht_iqa.reasons import exposure_measures, reasons_for

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


def sources_of(places, area=60):
    n = len(places)
    return {
        "X_IMAGE": places[:, 0] + 1,
        "Y_IMAGE": places[:, 1] + 1,
        "ISO0": np.full(n, area) + np.arange(n) % 7,
        "BACKGROUND": np.full(n, 100.0),
        "FLAGS": np.zeros(n, int),
    }


@pytest.mark.parametrize(("sigma_x", "sigma_y"), [(2.0, 2.0), (4.0, 2.0)])
def test_shapes_are_measured(sigma_x, sigma_y):
    rng = np.random.default_rng(3)
    places = rng.uniform(20, 280, (60, 2))
    y, x = np.mgrid[:300, :300]
    image = np.full((300, 300), 100.0)
    for px, py in places:
        image += 5000 * np.exp(-((x - px) ** 2) / 2 / sigma_x**2 - (y - py) ** 2 / 2 / sigma_y**2)
    found = measure_quality(
        image.astype(np.float32), sources_of(places), pixel_scale_arcsec=0.2, bias_adu=0.0
    )
    expected = 2.3548 * np.sqrt(sigma_x * sigma_y) * 0.2
    assert found.fwhm_arcsec == pytest.approx(expected, rel=0.12)
    true = (sigma_x**2 - sigma_y**2) / (sigma_x**2 + sigma_y**2)
    assert found.ellipticity == pytest.approx(true, abs=0.15)
    if true:
        assert found.coherence > 0.8
        assert min(found.position_angle_deg, 180 - found.position_angle_deg) < 8


def stars_at(places, shape, fwhm_px=4.0):
    image = np.full(shape, 100.0, np.float32)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for px, py in places:
        rows, columns = (slice(max(0, int(k) - 20), int(k) + 20) for k in (py, px))
        near = rows, columns
        distance = (x[near] - px) ** 2 + (y[near] - py) ** 2
        image[near] += 2000.0 * np.exp(-distance * 4.0 * np.log(2.0) / fwhm_px**2)
    return image


def test_repeated_fields_are_noticed():
    rng = np.random.default_rng(4)
    places = rng.uniform(30, 970, (100, 2))
    image = stars_at(places, (1000, 1000))
    alone = measure_quality(image, sources_of(places), pixel_scale_arcsec=0.2, bias_adu=0.0)
    twice = np.concatenate([places, places + np.array([15.0, -9.0])])
    image = stars_at(twice, (1000, 1000))
    found = measure_quality(image, sources_of(twice), pixel_scale_arcsec=0.2, bias_adu=0.0)
    assert alone.repeated_fraction < 0.05
    assert found.repeated_fraction > 0.2
    assert found.repeat_arcsec == pytest.approx(0.2 * np.hypot(15, 9), abs=0.8)


def test_cosmic_rays_are_no_seeing():
    """A long exposure with few stars in bad seeing has more cosmic rays than stars."""
    rng = np.random.default_rng(9)
    places = rng.uniform(30, 1470, (120, 2)).round()
    image = stars_at(places[:40], (1500, 1500), fwhm_px=9.0)
    for px, py in places[40:].astype(int):
        image[py, px - 3 : px + 4] += 3000.0
    found = measure_quality(image, sources_of(places), pixel_scale_arcsec=0.2, bias_adu=0.0)
    assert found.fwhm_arcsec == pytest.approx(1.8, rel=0.05)
    assert found.ellipticity < 0.05


def test_too_few_sources_say_so():
    image = np.full((100, 100), 100.0, np.float32)
    quality = measure_quality(
        image, sources_of(np.full((3, 2), 50.0)), pixel_scale_arcsec=0.2, bias_adu=0.0
    )
    assert np.isnan(quality.fwhm_arcsec)
    assert "too few" in " ".join(reasons_for("GOOD", exposure_measures([quality])))


def test_background_needs_no_sources_and_leaves_out_what_is_dead():
    rng = np.random.default_rng(6)
    slope = 1.0 + 0.2 * np.linspace(-0.5, 0.5, 400)[None, :]
    image = (1000.0 + 500.0 * slope + rng.normal(0, 10.0, (400, 400))).astype(np.float32)
    nothing = sources_of(np.empty((0, 2)))
    options = {"pixel_scale_arcsec": 0.2, "bias_adu": 1000.0}
    found = measure_quality(image, nothing, **options)
    assert found.n_sources == 0
    # Of eight columns of blocks the outer ones are 7 / 8 of the width apart.
    assert found.background_range == pytest.approx(0.2 * 7 / 8, abs=0.01)
    assert found.background_step == pytest.approx(0.1, abs=0.01)
    assert found.background_sigma == pytest.approx(100.0 * 7 / 8 / 10.0, rel=0.1)
    image[:, :200] = rng.normal(1000.0, 3.0, (400, 200))
    half = measure_quality(image, nothing, **options, state=CcdState(False, True))
    assert half.background == pytest.approx(1525.0, abs=3.0)
    assert half.background_range < 0.1
    assert np.isnan(half.background_step)
    dead = measure_quality(image, nothing, **options, state=CcdState(False, False))
    assert np.isnan(dead.background_range)


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


NOTHING = {
    "fwhm_arcsec": 0.7,
    "ellipticity": 0.05,
    "coherence": 0.2,
    "position_angle_deg": 30.0,
    "repeated_fraction": 0.0,
    "repeat_arcsec": 5.0,
    "background_range": 0.01,
    "background_sigma": 0.2,
    "background_step": 0.0,
}


@pytest.mark.parametrize(
    ("verdict", "measured", "said"),
    [
        ("GOOD", {}, "within limits"),
        ("B_SEEING", {"fwhm_arcsec": 1.6}, "round and wide: 1.60 arcsec"),
        ("BT", {"ellipticity": 0.5, "coherence": 0.9}, "drawn out alike"),
        ("BT", {"ellipticity": 0.5, "coherence": 0.9, "fwhm_arcsec": 2.0}, "accounts for"),
        ("RBT", {"repeated_fraction": 0.4}, "companion 5.0 arcsec away"),
        ("BGP", {"background_range": 0.3, "background_sigma": 4.0}, "varies by 30 %"),
        ("BT", {}, "no single measurement"),
    ],
)
def test_reasons_name_what_stands_out(verdict, measured, said):
    reasons = reasons_for(verdict, NOTHING | measured)
    assert said in " ".join(reasons)
    if measured and "accounts" not in said:
        assert said in reasons[0]
