from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from iqaframes import PRIMARY, star_field, write_mef

from cfht_iqa.classes import CLASSES
from cfht_iqa.exposure_quality import exposure_measures
from cfht_iqa.model.domain import Domain
from cfht_iqa.model.inputs import read_measures
from cfht_iqa.quality import CcdQuality
from cfht_iqa.reasons import SUPPORTS, assess

SOUND = {
    "n_sources": 400.0,
    "n_shapes": 120.0,
    "n_pair_sources": 280.0,
    "fwhm_arcsec": 0.7,
    "fwhm_error_arcsec": 0.02,
    "trail_arcsec": 0.2,
    "trail_least_arcsec": 0.0,
    "trail_most_arcsec": 0.35,
    "stretch_error_arcsec2": 0.003,
    "coherence": 0.2,
    "position_angle_deg": 30.0,
    "repeated_fraction": 0.0,
    "repeat_arcsec": 5.0,
    "background_range": 0.01,
    "background_sigma": 0.2,
    "background_step": 0.0,
}
WIDE = {"fwhm_arcsec": 1.6}
TRAILED = {"trail_arcsec": 1.8, "trail_least_arcsec": 1.7, "trail_most_arcsec": 1.9}
LONG = {"trail_arcsec": 4.0, "trail_least_arcsec": 3.9, "trail_most_arcsec": 4.1}
REPEATED = {"repeated_fraction": 0.4}
UNEVEN = {"background_range": 0.3, "background_sigma": 4.0}
FEW = {"n_sources": 23.0, "n_shapes": 3.0, "n_pair_sources": 5.0, "repeated_fraction": np.nan}
FEW |= dict.fromkeys(("fwhm_arcsec", "trail_arcsec", "trail_least_arcsec"), np.nan)
FEW |= dict.fromkeys(("trail_most_arcsec", "stretch_error_arcsec2"), np.nan)
LOOSE = {"n_shapes": 9.0, "trail_most_arcsec": 1.1, "stretch_error_arcsec2": 0.05}


@pytest.mark.parametrize(
    ("verdict", "measured", "said"),
    [
        ("GOOD", {}, "within limits: seeing 0.70 +- 0.02 arcsec (limit 1.10)"),
        ("B_SEEING", WIDE, "sources are wide: 1.60 +- 0.02 arcsec (limit 1.10)"),
        ("BT", TRAILED, "a trail of 1.80 arcsec (1.70 to 1.90, 120 sources), limit 0.60, at 30"),
        ("RBT", LONG, "a trail of 4.00 arcsec"),
        ("RBT", REPEATED, "40 % of 280 sources have a companion 5.0 arcsec away"),
        ("BGP", UNEVEN, "varies by 30 % of the sky over a CCD (limit 5 %), 4.0 times the noise"),
    ],
)
def test_a_measurement_bears_the_verdict_out(verdict, measured, said):
    found = assess(verdict, SOUND | measured)
    assert found.support == "measured"
    assert said in found.reasons[0]


@pytest.mark.parametrize(
    ("verdict", "measured", "said"),
    [
        ("GOOD", WIDE, "GOOD is not supported: the exposure measures as B_SEEING"),
        ("GOOD", UNEVEN, "measures as BGP"),
        ("B_SEEING", {}, "seeing 0.70 +- 0.02 arcsec (limit 1.10)"),
        ("B_SEEING", WIDE | TRAILED, "which the trail accounts for"),
        ("BT", {}, "a trail of 0.20 arcsec (0.00 to 0.35, 120 sources) is within the limit"),
        ("BT", REPEATED | TRAILED, "BT is not supported: the exposure measures as RBT"),
        ("RBT", {}, "0 % of 280 sources are repeated (limit 12 %), trail 0.20 arcsec"),
        ("RBT", TRAILED, "(limit 3.50)"),
        ("BGP", {}, "varies by 1.0 % of the sky (limit 5 %) and 0.2 times the noise (limit 1.5)"),
    ],
)
def test_measurements_against_the_verdict_are_named(verdict, measured, said):
    found = assess(verdict, SOUND | measured)
    assert found.support == "not supported"
    assert "not supported" in found.reasons[0]
    assert said in found.reasons[0]


@pytest.mark.parametrize("verdict", ["GOOD", "B_SEEING", "BT", "RBT"])
def test_too_few_sources_carry_no_verdict_of_shapes(verdict):
    found = assess(verdict, SOUND | FEW)
    assert found.support == "not measurable"
    assert (
        "23 sources found, 3 of them bright, unsaturated and whole; at least 8" in found.reasons[0]
    )
    assert ("16 sources to tell repeated images, of which are 5" in found.reasons[0]) == (
        verdict == "RBT"
    )
    # Four of one CCD have a width, which two traces of cosmic rays would have made.
    thin = assess(verdict, SOUND | WIDE | TRAILED | {"n_shapes": 4.0})
    assert thin.support == "not measurable"
    # The background needs no source.
    assert assess("BGP", SOUND | FEW | UNEVEN).support == "measured"


@pytest.mark.parametrize("verdict", ["GOOD", "BT"])
def test_so_many_sources_are_needed(verdict):
    found = assess(verdict, SOUND | LOOSE)
    assert found.support == "not measurable"
    # Two errors of 0.05 against the 0.9 arcsec that may be overlooked: 9 (0.1 / 0.0675)^2.
    assert "a trail of up to 1.10 arcsec possible (limit 0.60); about 20 such" in found.reasons[0]


def test_what_is_wide_may_be_trailed_as_long_as_few_sources_tell():
    loose = LOOSE | {"fwhm_arcsec": 1.3, "trail_most_arcsec": 2.0}
    found = assess("B_SEEING", SOUND | loose)
    assert found.support == "not measurable"
    assert "a trail of up to 2.00 arcsec possible (limit 0.72)" in found.reasons[0]
    assert "common direction" not in " ".join(found.reasons)


def test_narrow_stars_and_wide_ones_are_drawn_out_by_other_trails():
    """The optics draw out a wide image by more."""
    measured = {"fwhm_arcsec": 1.6} | dict.fromkeys(TRAILED, 0.8)
    assert assess("B_SEEING", SOUND | measured).support == "measured"
    assert assess("BT", SOUND | measured | {"fwhm_arcsec": 0.7}).support == "measured"


def test_what_the_network_has_not_seen_is_not_judged():
    found = assess("GOOD", SOUND, ["0.31 arcsec per pixel (trained: 0.187, +- 10 %)"])
    assert found.support == "outside the training"
    assert "0.31 arcsec per pixel" in found.reasons[0]
    assert any("within limits" in reason for reason in found.reasons)


def test_every_verdict_has_a_reason_whatever_was_measured():
    rng = np.random.default_rng(2)
    for _ in range(300):
        measures = {name: rng.exponential(max(value, 0.3)) for name, value in SOUND.items()}
        measures |= {name: np.nan for name in SOUND if name[:2] != "n_" and rng.random() < 0.1}
        if np.isnan(measures["fwhm_arcsec"]):
            measures |= {name: np.nan for name in FEW if name[:2] != "n_"}
        else:
            measures |= {name: abs(rng.normal()) for name in TRAILED}
            measures["stretch_error_arcsec2"] = 0.01
        for verdict in CLASSES:
            found = assess(verdict, measures)
            assert found.support in SUPPORTS
            assert found.reasons
            assert len(set(found.reasons)) == len(found.reasons)
            assert (found.support == "measured") != ("not" in found.reasons[0].split(":")[0])


def test_limits_part_the_classes_of_the_mock(chain):
    """The label is what the measurements say, with few exceptions, and no other class is."""
    by_exposure: dict[str, list[CcdQuality]] = {}
    for (exposure, _), measured in read_measures(chain.rep / "summary.parquet").items():
        by_exposure.setdefault(exposure, []).append(measured)
    lines = (chain.folder / "mock" / "labels.txt").read_text().splitlines()
    right = wrong = 0
    for exposure, label in map(str.split, lines):
        measures = exposure_measures(by_exposure[exposure])
        said = [name for name in CLASSES if assess(name, measures).support == "measured"]
        right += label in said
        wrong += len(set(said) - {label})
    assert right >= 18
    assert wrong <= 1


def test_domain_tells_what_is_like_it():
    domain = Domain((0.187, 0.187), (2048.0, 2048.0), (4612.0, 4612.0))
    assert domain.differences(0.185, (4612, 2048)) == []
    assert domain.differences(0.2, (4644, 2112)) == []
    scale, size = domain.differences(0.31, (520, 536))
    assert scale == "0.31 arcsec per pixel (trained: 0.187, +- 10 %)"
    assert "CCDs of 536 x 520 pixels (trained: 2048 x 4612" in size
    assert Domain.from_json(domain.as_json()) == domain
    wider = Domain((0.185, 0.27), (512.0, 1024.0), (768.0, 1024.0))
    assert "trained: 0.185 to 0.27" in wider.differences(0.5, (768, 512))[0]
    for wrong in ({}, {"pixel_scale_arcsec": [1]}, None):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Domain.from_json(wrong)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """An exposure with another pixel scale than that of the model's training."""
    folder = tmp_path_factory.mktemp("elsewhere")
    header = PRIMARY | {"PIXSCAL1": 0.4}
    ccds = {"ccd00": star_field(5, shape=(448, 384), n=150)}
    return write_mef(folder / "2345678o.fits", ccds, header)


def test_verdict_that_nothing_bears_out_is_marked_everywhere(
    run, run_json, model, elsewhere, tmp_path
):
    status, result = run_json("predict", elsewhere, "--model", model)
    assert status == 0
    (exposure,) = result["exposures"]
    assert exposure["rejected"] is True
    assert exposure["support"] == "outside the training"
    reason = "0.4 arcsec per pixel (trained: 0.187, +- 10 %)"
    assert reason in exposure["reasons"][0]
    _, out, _ = run("predict", elsewhere, "--model", model, "--csv", "-q")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["rejected"], row["support"]) == ("yes", "outside the training")
    assert reason in row["reasons"]
    _, out, _ = run("predict", elsewhere, "--model", model, "-q")
    assert out.startswith("2345678o: not judged (the network alone: ")
    assert reason in out
    assert run("report", elsewhere, "--model", model, "--output", tmp_path, "-q")[0] == 0
    page = (tmp_path / "index.html").read_text()
    assert f"<b>not judged</b>: not like what the network was trained on: {reason}" in page
    assert page.count(reason) == 2


def test_exposure_without_sources_says_what_was_looked_for(run, model, tmp_path):
    blank = np.random.default_rng(1).normal(300.0, 5.0, (448, 384))
    blank[200, 200] = 900.0
    path = write_mef(tmp_path / "3456789o.fits", {"ccd00": blank})
    status, _, err = run("predict", path, "--model", model)
    assert status == 1
    assert "not judged: no sources on any of its 1 CCDs" in err
    assert "brightest pixel 600 above it; a source is 5 adjoining pixels more than 2" in err
