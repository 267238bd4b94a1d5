from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from cfht_iqa.ccd_state import CcdState
from cfht_iqa.exposure_quality import exposure_measures
from cfht_iqa.model.inputs import read_measures
from cfht_iqa.quality import CcdQuality, measure_quality, trail_length
from cfht_iqa.repeated_images import pair_offsets, repetition


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
        angle = exposure_measures([found])["position_angle_deg"]
        assert min(angle, 180 - angle) < 8


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
    assert np.isnan(quality.trail_arcsec)
    assert quality.n_shapes < 4


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


def drifted_stars(rng, length_px, noise, n=80, sigma=2.0, angle=0.5):
    """Stars that drifted evenly during the exposure; places, image."""
    image = rng.normal(100.0, noise, (600, 600)).astype(np.float32)
    places = rng.uniform(25, 575, (n, 2))
    y, x = np.mgrid[:41, :41]
    for px, py in places:
        column, row = int(px) - 20, int(py) - 20
        stamp = np.zeros((41, 41))
        for step in np.linspace(-0.5, 0.5, 41):
            middle_x = px - column + step * length_px * np.cos(angle)
            middle_y = py - row + step * length_px * np.sin(angle)
            stamp += np.exp(-((x - middle_x) ** 2 + (y - middle_y) ** 2) / 2 / sigma**2)
        image[row : row + 41, column : column + 41] += 3000.0 * stamp / 41.0
    return places, image


@pytest.mark.parametrize("length_px", [0.0, 5.0, 9.0])
def test_length_of_a_trail_whatever_the_noise(length_px):
    found = []
    for noise in (1.0, 40.0):
        places, image = drifted_stars(np.random.default_rng(8), length_px, noise)
        quality = measure_quality(image, sources_of(places), pixel_scale_arcsec=0.2, bias_adu=0.0)
        found.append(quality.trail_arcsec)
        measures = exposure_measures([quality])
        assert measures["trail_most_arcsec"] > 0.85 * 0.2 * length_px
        if length_px:
            assert measures["position_angle_deg"] == pytest.approx(np.degrees(0.5), abs=4.0)
    assert found == pytest.approx([0.2 * length_px] * 2, rel=0.15, abs=0.3)


def test_trail_length_is_that_of_a_uniform_distribution():
    along = np.random.default_rng(1).uniform(-2.0, 2.0, 400_000)
    assert trail_length(float(along.var())) == pytest.approx(4.0, rel=0.01)
    assert trail_length(-1.0) == 0.0


def test_few_sources_of_many_ccds_tell_a_repeated_field():
    """Six sources on each of twelve CCDs, every other of which is mounted upside down."""
    rng = np.random.default_rng(5)
    parts = []
    for ccd in range(12):
        places = rng.uniform(0.0, 90.0, (6, 2))
        twice = np.concatenate([places, places + np.array([4.0, 3.0])])
        twice = 95.0 - twice if ccd % 2 else twice
        parts.append(pair_offsets(*twice.T))
    assert np.isnan(repetition(parts[:1]).share)
    found = repetition(parts)
    assert found.share > 0.35
    assert found.offset_arcsec == pytest.approx(5.0, abs=0.4)
    alone = [pair_offsets(*rng.uniform(0.0, 90.0, (12, 2)).T) for _ in range(12)]
    assert repetition(alone).share < 0.05


def test_parts_of_one_image_are_no_repetition():
    rng = np.random.default_rng(6)
    places = rng.uniform(0.0, 300.0, (100, 2))
    assert repetition([pair_offsets(*np.concatenate([places, places + 0.5]).T)]).share < 0.05
    assert repetition([pair_offsets(*np.concatenate([places, places + 1.5]).T)]).share > 0.3
    assert repetition([pair_offsets(np.arange(20) * 50.0, np.zeros(20))]).share == 0.0


def measured_ccd(stretch, error=0.01, n_shapes=50, **others):
    """A CCD whose sources are drawn out by a vector, in square arcsec."""
    values = {"fwhm_arcsec": 0.7, "fwhm_error_arcsec": 0.02, "ellipticity": 0.1, "mean_e1": 0.1}
    values |= {"mean_e2": 0.0, "coherence": 0.5, "stretch_error_arcsec2": error} | others
    first, second = stretch
    return CcdQuality(60, n_shapes, stretch_1_arcsec2=first, stretch_2_arcsec2=second, **values)


def test_what_is_common_stays_and_what_is_not_averages_out():
    common = exposure_measures([measured_ccd((0.1, 0.0))] * 36)
    assert common["trail_arcsec"] == pytest.approx(np.sqrt(1.2))
    assert common["stretch_error_arcsec2"] == pytest.approx(0.01 / 6.0)
    assert common["trail_least_arcsec"] < common["trail_arcsec"] < common["trail_most_arcsec"]
    assert common["position_angle_deg"] == pytest.approx(0.0)
    angle = np.arange(36) * np.pi / 18.0
    ccds = [measured_ccd((0.1 * np.cos(a), 0.1 * np.sin(a))) for a in angle]
    assert exposure_measures(ccds)["trail_arcsec"] < 1e-6
    few = [measured_ccd((0.1, 0.0)), CcdQuality(2), CcdQuality(0)]
    assert exposure_measures(few)["n_shapes"] == 50
    nothing = exposure_measures([CcdQuality(0)])
    assert np.isnan(nothing["trail_arcsec"])
    assert nothing["n_sources"] == 0


def test_table_holds_what_was_measured(chain):
    table = pq.read_table(chain.rep / "summary.parquet")
    found = read_measures(chain.rep / "summary.parquet")
    assert len(found) == table.num_rows == 40
    for row in table.to_pylist():
        own = found[row["exposure"], row["ccd"]]
        assert own.n_sources == row["n_sources"]
        assert own.trail_arcsec == pytest.approx(row["trail_arcsec"], nan_ok=True)
        assert repetition([own.offsets]).share == pytest.approx(
            np.nan if row["repeated_fraction"] is None else row["repeated_fraction"], nan_ok=True
        )
        assert (row["pixel_scale_arcsec"], row["n_x"], row["n_y"]) == (0.187, 384, 448)
