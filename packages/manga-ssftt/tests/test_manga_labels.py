from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits import Header

from astro_common.errors import ConfigurationError
from manga_ssftt.abundances import CALIBRATIONS, abundance, named_calibration
from manga_ssftt.bitmask import bad_cube_pixels, bad_map_pixels
from manga_ssftt.diagnostics import (
    Bpt,
    classify,
    kauffmann03_nii,
    kewley01_nii,
    kewley01_oi,
    kewley01_sii,
)
from manga_ssftt.labels import LabelRecipe, bin_centres, make_labels
from manga_ssftt.maps import Line, Maps, read_maps


def by_the_rules(x, y, diagram):
    """Class of one spaxel by the published rules, one comparison after the other."""

    def under(value, pole, numerator, offset):
        return value < pole and y < numerator / (value - pole) + offset

    nii, sii, oi = x["NII"], x["SII"], x["OI"]
    if diagram == "nii":
        if nii >= 0.47 or y > 0.61 / (nii - 0.47) + 1.19:
            return 3
        return 1 if under(nii, 0.05, 0.61, 1.3) else 2
    below_sii = under(sii, 0.32, 0.72, 1.3)
    below_oi = under(oi, -0.59, 0.73, 1.33)
    if diagram == "sii":
        return 1 if below_sii else 3 if y >= 1.89 * sii + 0.76 else 4
    if diagram == "oi":
        return 1 if below_oi else 3 if y >= 1.18 * oi + 1.30 else 4
    if under(nii, 0.05, 0.61, 1.3) and below_sii and below_oi:
        return 1
    composite = nii < 0.465 and y < 0.61 / (nii - 0.47) + 1.19
    if composite and not under(nii, 0.05, 0.61, 1.3) and below_sii and below_oi:
        return 2
    above_nii = nii > 0.465 or y > 0.61 / (nii - 0.47) + 1.19
    above_sii = sii > 0.32 or y > 0.72 / (sii - 0.32) + 1.3
    above_oi = oi > -0.59 or y > 0.73 / (oi + 0.59) + 1.33
    if above_nii and above_sii and above_oi:
        if y > 1.89 * sii + 0.76 and y > 1.18 * oi + 1.30:
            return 3
        if y < 1.89 * sii + 0.76 and y < 1.18 * oi + 1.30:
            return 4
    return 5


@pytest.mark.parametrize("diagram", ["nii", "sii", "oi", "kewley06"])
def test_classes_of_a_dense_grid_follow_the_rules(diagram):
    random = np.random.default_rng(1)
    n = 20_000
    ratios = {
        "NII": random.uniform(-2, 1, n),
        "SII": random.uniform(-1.5, 1, n),
        "OI": random.uniform(-2.5, 0.5, n),
        "OIII": random.uniform(-1.5, 1.5, n),
    }
    found = classify(ratios, np.ones(n, bool), diagram)
    wanted = [
        by_the_rules({k: ratios[k][i] for k in ("NII", "SII", "OI")}, ratios["OIII"][i], diagram)
        for i in range(n)
    ]
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(found)) >= 3


@pytest.mark.parametrize("x", [0.05, 0.2, 0.46, 0.47, 0.5, 2.0])
def test_beyond_the_poles_nothing_forms_stars(x):
    y = np.linspace(-3, 3, 50)
    at = np.full(50, x)
    found = classify({"NII": at, "OIII": y}, np.ones(50, bool), "nii")
    assert not np.any(found == Bpt.SF)
    if x >= 0.47:
        assert np.all(found == Bpt.AGN)


def test_invalid_spaxels_have_no_class():
    nan = np.full(4, np.nan)
    valid = np.zeros(4, bool)
    for diagram in ("nii", "sii", "oi", "kewley06", "schawinski07"):
        found = classify({"NII": nan, "SII": nan, "OI": nan, "OIII": nan}, valid, diagram)
        assert np.all(found == Bpt.INVALID)


def test_schawinski_divides_what_the_nii_diagram_calls_agn():
    x = np.asarray([0.1, 0.1, -0.6])
    y = np.asarray([0.9, 0.2, -0.3])
    found = classify({"NII": x, "OIII": y}, np.ones(3, bool), "schawinski07")
    assert found.tolist() == [Bpt.AGN, Bpt.LINER, Bpt.SF]


def test_demarcations_pass_through_their_published_points():
    assert kauffmann03_nii(np.asarray(-0.45)) == pytest.approx(0.61 / -0.5 + 1.3)
    assert kewley01_nii(np.asarray(-0.03)) == pytest.approx(0.61 / -0.5 + 1.19)
    assert kewley01_sii(np.asarray(-0.18)) == pytest.approx(0.72 / -0.5 + 1.3)
    assert kewley01_oi(np.asarray(-1.09)) == pytest.approx(0.73 / -0.5 + 1.33)


def test_marino_o3n2_and_its_range():
    value, error = abundance(
        CALIBRATIONS["marino13-o3n2"],
        {"OIII": np.asarray([0.0, 1.7, 1.71, -1.1, -1.11]), "Hb": np.zeros(5), "Ha": np.zeros(5),
         "NII": np.zeros(5)},
        {name: np.full(5, 0.05) for name in ("OIII", "Hb", "Ha", "NII")},
    )  # fmt: skip
    np.testing.assert_allclose(value[[0, 1, 3]], [8.505, 8.505 - 0.221 * 1.7, 8.505 + 0.2431])
    assert np.isnan(value[[2, 4]]).all()
    np.testing.assert_allclose(error[0], 0.221 * 0.1)


@pytest.mark.parametrize("name", sorted(CALIBRATIONS))
def test_uncertainty_is_that_of_random_draws(name):
    random = np.random.default_rng(3)
    calibration = CALIBRATIONS[name]
    middle = (calibration.low + calibration.high) / 2
    logs = {"OIII": 0.0, "Hb": 0.0, "Ha": 0.0, "NII": 0.0, "SII": 0.0}
    logs["OIII" if calibration.index == "O3N2" else "NII"] = middle / (
        1.264 if calibration.index == "N2S2" else 1.0
    )
    arrays = {line: np.asarray([log]) for line, log in logs.items()}
    errors = {line: np.asarray([0.01]) for line in logs}
    value, error = abundance(calibration, arrays, errors)
    drawn = {line: log + random.normal(0, 0.01, 40_000) for line, log in logs.items()}
    many, _ = abundance(calibration, drawn, {line: np.full(40_000, 0.01) for line in logs})
    assert np.mean(many) == pytest.approx(value[0], abs=5e-4)
    assert np.std(many) == pytest.approx(error[0], rel=0.03)


def test_a_calibration_can_come_from_a_table(tmp_path):
    path = tmp_path / "own.json"
    entry = {"name": "own", "index": "N2", "coefficients": [9.0, 0.5], "low": -2, "high": 0,
             "scatter_dex": 0.1, "reference": "a test"}  # fmt: skip
    path.write_text(json.dumps(entry))
    assert named_calibration(str(path)).coefficients == (9.0, 0.5)


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", "{}", "[" * 100_000, '{"name": "x", "index": "R3", "coefficients": [1]}'],
)
def test_a_table_that_is_no_calibration_is_refused(tmp_path, text):
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"own\.json"):
        named_calibration(str(path))


def line(flux, ivar=100.0, bad=False):
    flux = np.atleast_2d(np.asarray(flux, dtype=float))
    return Line(flux, np.full(flux.shape, ivar), np.full(flux.shape, bad))


def maps_of(**lines):
    return Maps(None, "", lines, None, None, None, Header(), synthetic=True)


def test_signal_to_noise_is_cut_per_line():
    ok = line([10.0, 10.0, 10.0])
    maps = maps_of(Ha=line([30.0] * 3), Hb=ok, OIII=ok, NII=line([0.31, 0.29, 10.0]))
    found = make_labels(maps, LabelRecipe(snr_min=3.0))
    assert found.bpt[0, 0] != 0
    assert found.bpt[0, 1] == 0
    assert np.isnan(found.log_oh[0, 1])


def test_both_sii_lines_have_to_pass():
    ok = line([10.0, 10.0])
    lines = {"Ha": line([30.0] * 2), "Hb": ok, "OIII": ok, "NII": ok, "OI": line([1.0] * 2)}
    lines["SII-6718"], lines["SII-6732"] = line([5.0, 5.0]), line([5.0, 0.1])
    found = make_labels(maps_of(**lines), LabelRecipe(bpt="kewley06"))
    assert found.bpt[0, 0] != 0
    assert found.bpt[0, 1] == 0


def test_an_invalid_line_invalidates_every_ratio_with_it():
    good, bad = line([10.0]), line([10.0], bad=True)
    for name in ("Ha", "Hb", "OIII", "NII"):
        lines = dict.fromkeys(("Ha", "Hb", "OIII", "NII"), good) | {name: bad}
        found = make_labels(maps_of(**lines), LabelRecipe())
        assert found.bpt[0, 0] == 0
        assert np.isnan(found.log_oh[0, 0])


def test_only_star_forming_gas_has_an_abundance():
    y, x = np.meshgrid(np.linspace(-1, 1.2, 30), np.linspace(-1.5, 0.5, 30))
    ones = np.full(x.shape, 1e4)
    lines = {"Ha": line(ones * 2.86), "Hb": line(ones)}
    lines |= {"NII": line(ones * 2.86 * 10**x), "OIII": line(ones * 10**y)}
    found = make_labels(maps_of(**lines), LabelRecipe())
    o3n2 = y - x
    has = (found.bpt == Bpt.SF) & (o3n2 >= -1.1) & (o3n2 <= 1.7)
    np.testing.assert_array_equal(np.isfinite(found.log_oh), has)
    np.testing.assert_allclose(found.log_oh[has], (8.505 - 0.221 * o3n2)[has], rtol=1e-12)
    assert {1, 2, 3} <= set(np.unique(found.bpt))


def test_retired_gas_gets_no_label():
    lines = {name: line([10.0, 10.0, 10.0]) for name in ("Ha", "Hb", "OIII", "NII")}
    maps = Maps(None, "", lines, np.asarray([[5.0, 2.0, np.nan]]), None, None, Header(), False)
    found = make_labels(maps, LabelRecipe(min_ew_ha=3.0))
    assert (found.bpt[0] != 0).tolist() == [True, False, False]


def test_bits_that_exclude():
    bits = 1 << np.arange(11)
    dap = bad_cube_pixels(bits.astype(np.int32), product="dap")
    assert np.flatnonzero(dap).tolist() == [0, 2, 3, 4]
    assert np.flatnonzero(bad_cube_pixels(bits.astype(np.int32), product="drp")).tolist() == [10]
    maps = np.asarray([0, 1 << 5, 1 << 30, (1 << 30) | 1], dtype=np.int32)
    assert bad_map_pixels(maps, "donotuse").tolist() == [False, False, True, True]
    assert bad_map_pixels(maps, "any").tolist() == [False, True, True, True]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.uint32, np.int64])
def test_bits_are_read_of_every_integer_type(dtype):
    # Compilers of catalogues store masks in the smallest type that holds their bits.
    mask = np.asarray([0, 1, 4], dtype=dtype)
    assert bad_cube_pixels(mask, product="dap").tolist() == [False, True, True]
    assert not bad_cube_pixels(mask, product="drp").any()
    assert not bad_map_pixels(mask, "donotuse").any()


def test_centres_of_bins():
    np.testing.assert_allclose(bin_centres((8.40, 8.44, 8.48)), [8.38, 8.42, 8.46, 8.50])


def test_labels_of_the_mock_are_its_truth_but_for_noise(tree, plateifus, truth):
    differences = []
    for name in plateifus:
        found = np.load(tree / f"processed/labels/logOH/{name}.npy")
        true = truth(name)
        pure = np.isfinite(found) & (true["FAGN"] < 0.01)
        differences.append((found - true["LOGOH"])[pure])
    differences = np.concatenate(differences)
    assert len(differences) > 300
    assert abs(np.median(differences)) < 0.01
    assert np.mean(np.abs(differences)) < 0.03


def test_radii_are_found_by_the_names_of_their_channels(own_tree, plateifus):
    path = next((own_tree / "raw").glob(f"*/*/manga-{plateifus[0]}-MAPS-*"))
    found = read_maps(path, ["Ha"])
    with fits.open(path) as hdus:
        arcsec, in_re, *_ = hdus["SPX_ELLCOO"].data
        np.testing.assert_allclose(found.radius_arcsec, arcsec)
        np.testing.assert_allclose(found.radius_re, in_re)
        # As before DR15: radius and azimuth alone.
        hdus["SPX_ELLCOO"].header["C2"] = "Elliptical azimuth"
        hdus.writeto(path, overwrite=True)
    found = read_maps(path, ["Ha"])
    np.testing.assert_allclose(found.radius_arcsec, arcsec)
    assert found.radius_re is None


@pytest.mark.real
@pytest.mark.parametrize(
    ("diagram", "counts"),
    [
        ("nii", {"sf": 2711, "composite": 23, "agn": 0, "invalid": 2742}),
        ("kewley06", {"sf": 1996, "composite": 22, "ambiguous": 56, "invalid": 3402}),
    ],
)
def test_real_maps_agree_spaxel_by_spaxel(real_data, diagram, counts):
    path = real_data / "manga" / "manga-8080-12701-MAPS-VOR10-GAU-MILESHC.fits.gz"
    recipe = LabelRecipe(bpt=diagram)
    found = make_labels(read_maps(path, recipe.lines), recipe)
    for name, count in counts.items():
        assert found.counts()[name] == count
    with fits.open(path) as hdus:
        header = hdus["EMLINE_GFLUX"].header
        channel = {header[key]: int(key[1:]) - 1 for key in header if key[:1] == "C" and
                   key[1:].isdigit()}  # fmt: skip
        flux, ivar, mask = (
            hdus[f"EMLINE_GFLUX{end}"].data.astype(kind)
            for end, kind in (("", float), ("_IVAR", float), ("_MASK", np.int64))
        )
    names = ("Ha-6564", "Hb-4862", "OIII-5008", "NII-6585")
    if diagram == "kewley06":
        names += ("SII-6718", "SII-6732", "OI-6302")
    for y in range(74):
        for x in range(74):
            values = {}
            for name in names:
                f, w = flux[channel[name], y, x], ivar[channel[name], y, x]
                masked = mask[channel[name], y, x] & (1 << 30)
                if not masked and f > 0 and w > 0 and f * np.sqrt(w) >= 3:
                    values[name] = f
            if len(values) < len(names):
                assert found.bpt[y, x] == 0
                continue
            ha = values["Ha-6564"]
            sii = values.get("SII-6718", 1.0) + values.get("SII-6732", 1.0)
            ratios = {
                "NII": np.log10(values["NII-6585"] / ha),
                "SII": np.log10(sii / ha),
                "OI": np.log10(values.get("OI-6302", 1.0) / ha),
            }
            height = np.log10(values["OIII-5008"] / values["Hb-4862"])
            assert found.bpt[y, x] == by_the_rules(ratios, height, diagram)
