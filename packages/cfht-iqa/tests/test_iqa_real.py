"""Real CCD frames and real catalogues."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.modeling.fitting import TRFLSQFitter
from astropy.modeling.models import Const2D, Gaussian2D
from astropy.utils.exceptions import AstropyUserWarning
from scipy.ndimage import gaussian_filter, label
from scipy.spatial import cKDTree

from cfht_iqa.cutouts import cutouts_at
from cfht_iqa.extraction import ExtractionSettings, extract_ccd
from cfht_iqa.ldac import read_tables
from cfht_iqa.megacam import iterate_ccds, read_exposure
from cfht_iqa.quality import measure_quality

pytestmark = pytest.mark.real

DECAM = "ldac/DECam_00241238_01_cat.fits"
EMMI_SCALE = 0.27


def test_ldac_of_sextractor(run, real_data, tmp_path):
    out = tmp_path / "c.parquet"
    assert run("catalogue", real_data / DECAM, "--output", out)[0] == 0
    table = pq.read_table(out)
    with fits.open(real_data / DECAM) as file:
        truth = file["LDAC_OBJECTS"].data
        assert np.array_equal(table["iso0"].to_numpy(), truth["ISOAREA_IMAGE"])
        assert np.array_equal(table["x_image"].to_numpy(), truth["X_IMAGE"].astype(float))
        assert np.array_equal(table["flags"].to_numpy(), truth["FLAGS"])
        cards = fits.Header.fromstring("\n".join(file[1].data[0][0]), "\n")
    assert set(table["exptime_s"].to_pylist()) == {float(cards["EXPTIME"])}


def test_reference_catalogue_is_no_source_catalogue(run, real_data, tmp_path):
    path = real_data / "ldac" / "GAIA-DR1_1334+3754_r46.cat"
    status, _, err = run("catalogue", path, "--output", tmp_path / "c.parquet", "-q")
    assert status == 1
    assert "none of the catalogues" in err


def test_map_of_real_sources(run_json, run, real_data, tmp_path):
    out = tmp_path / "c.parquet"
    assert run("catalogue", real_data / DECAM, "--output", out)[0] == 0
    status, result = run_json("train-som", out, "--output", tmp_path / "som", "--height", 8)
    assert status == 0
    assert result["n_samples"] == 950
    assert result["quantisation_error"] < 0.6


def test_frame_of_sextractor_with_both_engines(run, real_data, tmp_path):
    path = real_data / "sextractor" / "galaxies.fits"
    found = []
    for engine in ("sep", "sextractor"):
        words = ["--engine", engine, "--pixel-scale-arcsec", 0.27, "--output", tmp_path / engine]
        status, _, err = run("extract", path, *words)
        if status == 2:
            pytest.skip(err)
        (table,) = read_tables(tmp_path / engine / "galaxies.cat.fits", ["X_IMAGE", "Y_IMAGE"])
        found.append(np.stack([table.rows[k].to_numpy() for k in ("X_IMAGE", "Y_IMAGE")], axis=1))
    assert len(found[0]) > 300
    distance, _ = cKDTree(found[1]).query(found[0])
    assert (distance < 0.1).mean() > 0.98


@pytest.mark.parametrize("name", ["M13_blue_0001.fits", "a8280271.fits", "M6707HH.fits"])
def test_frames_of_other_cameras_are_one_ccd(run_json, real_data, tmp_path, name):
    words = ["--exptime-s", 10, "--pixel-scale-arcsec", 0.5, "--output", tmp_path]
    status, result = run_json("extract", real_data / name, *words)
    assert status == 0
    assert result["exposures"][0]["n_ccds"] == 1


def test_megacam_mask_has_36_ccds_of_full_size(real_data):
    path = real_data / "megacam" / "2004B.mask.0.36.01.fits.gz"
    exposure = read_exposure(path, exptime_s=1.0, pixel_scale_arcsec=0.187)
    assert [ccd.name for ccd in exposure.ccds] == [f"ccd{k:02d}" for k in range(36)]
    assert {ccd.shape for ccd in exposure.ccds} == {(4644, 2112)}
    assert next(iterate_ccds(exposure)).pixels.max() == 1.0


def measured(path, scale):
    """Sources and measurements of a frame of one CCD."""
    exposure = read_exposure(path, exptime_s=10.0, pixel_scale_arcsec=scale)
    (ccd,) = iterate_ccds(exposure)
    sources = extract_ccd(
        ccd,
        ExtractionSettings(),
        pixel_scale_arcsec=scale,
        saturation_adu=exposure.saturation_adu,
        source=path,
    )
    quality = measure_quality(
        ccd.pixels, sources, pixel_scale_arcsec=scale, bias_adu=0.0, state=ccd.state
    )
    return ccd.pixels, sources, quality


@pytest.fixture
def altered(real_data, tmp_path):
    """Writes a frame of EMMI after something was done to its pixels; gives the path."""

    def write(change):
        with warnings.catch_warnings():
            # The log of the observation stands in cards that break the standard.
            warnings.simplefilter("ignore", AstropyUserWarning)
            pixels = fits.getdata(real_data / "sextractor" / "galaxies.fits").astype(np.float64)
        path = tmp_path / "altered.fits"
        pixels = np.clip(np.rint(change(pixels)), 0, 65535).astype(np.uint16)
        fits.writeto(path, pixels, overwrite=True)
        return path

    return write


def test_width_is_that_of_a_fit(altered):
    pixels, sources, quality = measured(altered(lambda pixels: pixels), EMMI_SCALE)
    area = sources["ISO0"]
    places = np.c_[sources["X_IMAGE"], sources["Y_IMAGE"]]
    alone = cKDTree(places).query(places, k=2)[0][:, 1] > 15.0
    inside = (np.abs(places - 512.0) < 495.0).all(axis=1)
    low, high = np.percentile(area[inside], (40.0, 97.0))
    chosen = np.flatnonzero(alone & inside & (area >= low) & (area <= high))
    assert len(chosen) > 50
    y, x = np.mgrid[:25, :25] - 12.0
    widths = []
    for stamp in cutouts_at(pixels, *places[chosen].T, 12).astype(float):
        start = Gaussian2D(np.ptp(stamp), 0.0, 0.0, 1.5, 1.5) + Const2D(np.median(stamp))
        fit = TRFLSQFitter()(start, x, y, stamp)
        widths.append(2.3548 * np.sqrt(fit.x_stddev_0 * fit.y_stddev_0) * EMMI_SCALE)
    assert quality.fwhm_arcsec == pytest.approx(np.median(widths), rel=0.2)


def judged(run_json, model, path, scale=EMMI_SCALE):
    """The verdict on a frame, and its reasons in one text."""
    words = ["--pixel-scale-arcsec", scale, "--exptime-s", 1200, "--model", model]
    status, result = run_json("predict", path, *words)
    assert status == 0
    (exposure,) = result["exposures"]
    return exposure, " ".join(exposure["reasons"])


def test_a_sound_frame_is_good(run_json, emmi_model, altered):
    exposure, said = judged(run_json, emmi_model, altered(lambda pixels: pixels))
    # A field of galaxies: each is elongated, none like the next.
    assert exposure["measures"]["coherence"] < 0.3
    assert (exposure["verdict"], exposure["support"]) == ("GOOD", "measured")
    for word in ("alike", "companion", "background varies", "wide"):
        assert word not in said


@pytest.mark.parametrize("columns", [7, 13])
def test_a_frame_that_drifted_is_of_bad_tracking(run_json, emmi_model, altered, columns):
    def drifted(pixels):
        half = columns // 2
        return np.mean([np.roll(pixels, k, axis=1) for k in range(-half, half + 1)], axis=0)

    exposure, said = judged(run_json, emmi_model, altered(drifted))
    assert (exposure["verdict"], exposure["support"]) == ("BT", "measured")
    assert "drawn out alike" in said
    measures = exposure["measures"]
    assert measures["trail_arcsec"] == pytest.approx(columns * EMMI_SCALE, rel=0.1)
    assert min(measures["position_angle_deg"], 180.0 - measures["position_angle_deg"]) < 5.0


def test_a_frame_taken_twice_is_of_lost_tracking(run_json, emmi_model, altered):
    def twice(pixels):
        return (pixels + np.roll(pixels, (14, 9), axis=(0, 1))) / 2.0

    exposure, said = judged(run_json, emmi_model, altered(twice))
    assert (exposure["verdict"], exposure["support"]) == ("RBT", "measured")
    assert "companion" in said
    offset = EMMI_SCALE * np.hypot(14, 9)
    assert exposure["measures"]["repeat_arcsec"] == pytest.approx(offset, abs=0.6)


def test_a_frame_with_a_gradient_has_a_background_problem(run_json, emmi_model, altered):
    slope = np.linspace(0.85, 1.15, 1024)[None, :]
    exposure, said = judged(run_json, emmi_model, altered(lambda pixels: pixels * slope))
    assert (exposure["verdict"], exposure["support"]) == ("BGP", "measured")
    # Eight columns of blocks: from the middle of the first to that of the last are 7 / 8 of it.
    assert exposure["measures"]["background_range"] == pytest.approx(0.3 * 7 / 8, abs=0.01)
    assert "background varies by 26 %" in said
    assert "halves differ" in said


def test_a_blurred_frame_is_of_bad_seeing(run_json, emmi_model, altered):
    def blurred(pixels):
        return gaussian_filter(pixels, 2.5)

    before = measured(altered(lambda pixels: pixels), EMMI_SCALE)[2].fwhm_arcsec
    exposure, said = judged(run_json, emmi_model, altered(blurred))
    assert (exposure["verdict"], exposure["support"]) == ("B_SEEING", "measured")
    wanted = np.hypot(before, 2.3548 * 2.5 * EMMI_SCALE)
    assert exposure["measures"]["fwhm_arcsec"] == pytest.approx(wanted, rel=0.15)
    assert "wide" in said


def test_a_frame_of_another_scale_than_trained_on_is_not_judged(run_json, model, altered):
    exposure, said = judged(run_json, model, altered(lambda pixels: pixels))
    assert (exposure["rejected"], exposure["support"]) == (True, "outside the training")
    assert "0.27 arcsec per pixel (trained: 0.187, +- 10 %)" in said


def test_a_frame_without_shapes_is_not_judged(run_json, emmi_model, real_data):
    # At the scale trained on, so that nothing but the sources is wanting.
    exposure, said = judged(run_json, emmi_model, real_data / "a8280271.fits")
    assert exposure["measures"]["fwhm_arcsec"] is None
    assert (exposure["rejected"], exposure["support"]) == (True, "not measurable")
    assert "23 sources found, 3 of them bright, unsaturated and whole; at least 8" in said


def test_a_frame_without_sources_says_how_bright_they_would_be(run, model, real_data):
    path = real_data / "M13_blue_0001.fits"
    status, _, err = run("predict", path, "--pixel-scale-arcsec", 0.5, "--model", model)
    assert status == 1
    pixels = fits.getdata(path).astype(np.float64)
    above = pixels - np.median(pixels)
    # By eye and by count: fewer than five pixels near the limit lie side by side anywhere.
    assert label(above > 114.0)[1] > 0
    assert max(np.bincount(label(above > 114.0)[0].ravel())[1:]) < 5
    assert "a source is 5 adjoining pixels more than 114 above it" in err
