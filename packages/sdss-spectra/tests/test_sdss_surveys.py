"""MaStar and APOGEE files in the layouts of DR17, and catalogues that label their stars."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from sdssfiles import rows_of, write_goodspec, write_spec

from sdss_spectra.dataset import load_dataset
from sdss_spectra.files import find_files
from sdss_spectra.labels.catalogue import read_catalogue
from sdss_spectra.preprocessing.resample import LogGrid
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.readers import read_spectra, read_spectrum
from sdss_spectra.reporting.report import example_of
from sdss_spectra.stars import leakage_groups

APOGEE_PIXELS = 8575


def _apogee_image(data, name):
    hdu = fits.ImageHDU(data, name=name)
    hdu.header.update(
        {"CRVAL1": 4.179, "CDELT1": 6e-6, "CRPIX1": 1, "CTYPE1": "LOG-LINEAR", "DC-FLAG": 1}
    )
    hdu.header["BUNIT"] = "Flux (10^-17 erg/s/cm^2/Ang)"
    return hdu


def write_apstar(path, *, visits=3, seed=1, object_id="2M00000317+5821383"):
    """Combined spectrum, its error and mask; rows of combinations, then of visits."""
    random = np.random.default_rng(seed)
    shape = (APOGEE_PIXELS,) if visits == 1 else (visits + 2, APOGEE_PIXELS)
    flux = random.normal(1000.0, 10.0, shape).astype(np.float32)
    error = np.full(shape, 10.0, np.float32)
    mask = np.zeros(shape, np.int32)
    error[..., :50] = 1e10  # the gap before the first detector
    mask[..., 100] = 1 << 0  # BADPIX
    mask[..., 101] = 1 << 9  # PERSIST_HIGH, which rejects nothing
    mask[..., 102] = 1 << 12  # SIG_SKYLINE
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"OBJID": object_id, "RA": 0.013256, "DEC": 58.360672, "SNR": 97.5, "NVISITS": visits}
    )
    primary.header["VHELIO"] = -25.3
    names = ("FLUX", "ERROR", "MASK", "SKY")
    images = [_apogee_image(a, n) for a, n in zip((flux, error, mask, flux), names, strict=True)]
    fits.HDUList([primary, *images]).writeto(path)
    return flux, error


def write_aspcapstar(path, *, flags=0):
    """Normalised spectrum, its error, the best fit and a table of parameters."""
    random = np.random.default_rng(2)
    flux = random.normal(1.0, 0.01, APOGEE_PIXELS).astype(np.float32)
    error = np.full(APOGEE_PIXELS, 0.01, np.float32)
    fit = np.ones(APOGEE_PIXELS, np.float32)
    columns = [
        fits.Column("APOGEE_ID", "18A", array=["2M00000317+5821383"]),
        fits.Column("TEFF", "E", array=[4750.0]),
        fits.Column("LOGG", "E", array=[2.4]),
        fits.Column("FE_H", "E", array=[-0.21]),
        fits.Column("ASPCAPFLAG", "K", array=[flags]),
        fits.Column("PARAMFLAG", "9J", array=np.zeros((1, 9), np.int32)),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    images = [
        _apogee_image(a, n) for a, n in ((flux, "SPECTRUM"), (error, "ERROR"), (fit, "BESTFIT"))
    ]
    fits.HDUList([fits.PrimaryHDU(), *images, table]).writeto(path)
    return flux


@pytest.mark.parametrize("visits", [1, 3])
def test_apstar_is_its_first_combination(tmp_path, visits):
    flux, _ = write_apstar(tmp_path / "apStar-dr17-x.fits", visits=visits)
    spectrum = read_spectrum(tmp_path / "apStar-dr17-x.fits")
    expected = flux if visits == 1 else flux[0]
    assert spectrum.reader == "apstar"
    assert np.array_equal(spectrum.flux, expected.astype(float))
    assert np.allclose(np.log10(spectrum.wavelength), 4.179 + 6e-6 * np.arange(APOGEE_PIXELS))
    assert (spectrum.solution.grid, spectrum.solution.frame) == ("log10", "vacuum")
    assert (spectrum.ivar[:50] == 0).all()
    assert spectrum.ivar[[100, 102]].tolist() == [0, 0]
    assert spectrum.ivar[101] == pytest.approx(0.01)
    assert spectrum.is_rest_frame


def test_aspcapstar_keeps_its_parameters_and_takes_no_fit_for_a_mask(tmp_path, run):
    flux = write_aspcapstar(tmp_path / "aspcapStar-dr17-x.fits")
    spectrum = read_spectrum(tmp_path / "aspcapStar-dr17-x.fits")
    assert spectrum.reader == "aspcapstar"
    assert np.array_equal(spectrum.flux, flux.astype(float))
    assert (spectrum.ivar > 0).all()
    assert spectrum.cards.origin("TEFF") == "HDU 4"
    run("labels", tmp_path, "-o", tmp_path / "l.csv")
    (row,) = rows_of(tmp_path / "l.csv")
    assert (row["class_mk"], row["teff_k"]) == ("K0III", "4750.0")
    assert float(row["logg_cgs"]) == pytest.approx(2.4)


def test_apogee_on_its_own_grid(tmp_path):
    write_apstar(tmp_path / "apStar-dr17-x.fits")
    write_aspcapstar(tmp_path / "aspcapStar-dr17-x.fits")
    grid = LogGrid(4.18, 6e-6, 8000)
    dataset = load_dataset(tmp_path, Preprocessing(grid=grid))
    # Both files are of the same star; apStar alone gives no class.
    assert dataset.unlabelled == ["apStar-dr17-x"]
    (item,) = dataset.items
    assert (~item.mask).mean() > 0.99
    assert np.median(item.flux[~item.mask]) == pytest.approx(1.0, abs=0.01)


def test_metadata_of_apogee(tmp_path, run):
    write_apstar(tmp_path / "apStar-dr17-x.fits")
    status, _, _ = run("metadata", tmp_path, "-o", tmp_path / "m.csv")
    assert status == 0
    (row,) = rows_of(tmp_path / "m.csv")
    assert row["obj_id"] == "2M00000317+5821383"
    assert float(row["ra_deg"]) == pytest.approx(0.013256)
    assert float(row["z_or_rv_kms"]) == -25.3
    assert row["wavelength_frame"] == "vacuum"
    assert float(row["sn_median"]) == 97.5
    assert float(row["sn_per_pixel"]) == pytest.approx(100.0, rel=0.01)


def test_goodspec_has_a_spectrum_per_visit(tmp_path):
    wave, flux = write_goodspec(tmp_path / "mastar-goodspec-v3_1_1-v1_7_7.fits")
    spectra = list(read_spectra(tmp_path / "mastar-goodspec-v3_1_1-v1_7_7.fits"))
    assert [spectrum.row for spectrum in spectra] == [0, 1, 2]
    for row, spectrum in enumerate(spectra):
        assert np.array_equal(spectrum.flux, flux[row].astype(float))
        assert np.allclose(spectrum.wavelength, wave, rtol=1e-12)
        assert spectrum.ivar[40] == 0
        assert spectrum.ivar[41] == 25
        assert spectrum.solution.is_log10
        assert spectrum.is_rest_frame
    assert spectra[2].cards["MANGAID"] == "3-2"
    # DISP is the standard deviation of the line spread in angstrom.
    assert spectra[0].resolution[1000] == pytest.approx(wave[1000] / (2.3548 * 1.2), rel=1e-4)


def test_visits_of_a_mastar_star_stay_together(tmp_path):
    write_goodspec(tmp_path / "d.fits")
    catalogue = tmp_path / "params.csv"
    catalogue.write_text("MANGAID,TEFF_MED,LOGG_MED,FEH_MED\n3-1,9600,4.1,0\n3-2,5750,4.4,-0.1\n")
    dataset = load_dataset(
        tmp_path / "d.fits", Preprocessing(), catalogue=read_catalogue(catalogue)
    )
    assert dataset.names == ["A", "A", "G"]
    groups = leakage_groups([item.keys for item in dataset.items])
    assert groups[0] == groups[1] == "mangaid-3-1"
    assert groups[2] == "mangaid-3-2"


def test_mastar_parameters_join_by_mangaid(tmp_path, run):
    (tmp_path / "d").mkdir()
    write_goodspec(tmp_path / "d" / "spectra.fits")
    columns = [
        fits.Column("MANGAID", "25A", array=["3-2", "3-1", "3-7"]),
        fits.Column("TEFF_MED", "E", array=[3700.0, 5770.0, -999.0]),
        fits.Column("LOGG_MED", "E", array=[1.1, 4.4, -999.0]),
        fits.Column("FEH_MED", "E", array=[-0.3, 0.0, -999.0]),
        fits.Column("INPUT_GROUPS", "20A", array=["DL,JI,LH,YC"] * 3),
    ]
    path = tmp_path / "mastar-goodvisits-params-v2.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)
    status, _, _ = run(
        "labels", tmp_path / "d", "-o", tmp_path / "l.csv", "--label-catalog", path,
        "--catalog-source-label", "MaStar",
    )  # fmt: skip
    assert status == 0
    rows = rows_of(tmp_path / "l.csv")
    assert [row["class_mk"] for row in rows] == ["G2V", "G2V", "M2II"]
    assert {row["label_source"] for row in rows} == {"MaStar (Teff)"}
    assert float(rows[2]["fe_h_dex"]) == pytest.approx(-0.3)


def write_allstar(path):
    """A few columns of allStar, PARAMFLAG an array among them, in DR17's types."""
    bad = 1 << 23
    columns = [
        fits.Column("APOGEE_ID", "18A", array=["2M00000317+5821383", "2M0002", "2M0003"]),
        fits.Column("RA", "D", array=[0.013256, 10.02001, 10.03]),
        fits.Column("DEC", "D", array=[58.360672, -1.0, -1.0]),
        fits.Column("TEFF", "E", array=[4750.0, 6300.0, 5000.0]),
        fits.Column("LOGG", "E", array=[2.4, 4.2, 4.5]),
        fits.Column("FE_H", "E", array=[-0.2, 0.1, np.nan]),
        fits.Column("M_H", "E", array=[-0.2, 0.1, np.nan]),
        fits.Column("ASPCAPFLAG", "K", array=[0, 1 << 7, bad]),
        fits.Column("PARAMFLAG", "9J", array=np.arange(27).reshape(3, 9)),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)
    return path


def test_allstar_joins_by_id_and_by_position(tmp_path, run):
    (tmp_path / "d").mkdir()
    write_apstar(tmp_path / "d" / "apStar-dr17-2M00000317+5821383.fits")
    write_spec(tmp_path / "d" / "spec-1.fits", fiber=2)  # 10.02, -1.0: 0.04 arcsec away
    write_spec(tmp_path / "d" / "spec-2.fits", fiber=3, thing_id=2)  # STAR_BAD: no parameters
    write_spec(tmp_path / "d" / "spec-3.fits", fiber=4, thing_id=3)  # not in the catalogue
    path = write_allstar(tmp_path / "allStar-dr17-synspec_rev1.fits")
    status, _, _ = run(
        "labels", tmp_path / "d", "-o", tmp_path / "l.csv", "--label-catalog", path,
        "--catalog-quality-field", "PARAMFLAG",
    )  # fmt: skip
    assert status == 0
    star, near, bad, other = rows_of(tmp_path / "l.csv")
    assert star["class_mk"] == "K0III"
    assert json.loads(star["label_quality"]) == list(range(9))
    assert near["class_mk"] == "F6.5V"
    assert near["label_source"] == "allStar-dr17-synspec_rev1.fits (Teff)"
    assert bad["class_mk"] == bad["teff_k"] == ""
    assert json.loads(bad["label_quality"]) == list(range(18, 27))
    assert all(value == "" for name, value in other.items() if name != "spec_id")


def test_the_radius_of_a_match_by_position(tmp_path, run):
    write_spec(tmp_path / "d" / "a.fits", fiber=2)
    path = write_allstar(tmp_path / "allStar.fits")
    found = []
    for radius in (0.01, 0.1):
        run(
            "labels", tmp_path / "d", "-o", tmp_path / "l.csv", "--label-catalog", path,
            "--catalog-match-radius-arcsec", radius, "--overwrite",
        )  # fmt: skip
        found.append(rows_of(tmp_path / "l.csv")[0]["class_mk"])
    assert found == ["", "F6.5V"]


def test_flags_of_a_catalogue_count_in_text_too(tmp_path, run):
    write_spec(tmp_path / "d" / "a.fits", subclass="")
    catalogue = tmp_path / "allstar.csv"
    catalogue.write_text(f"spec_id,TEFF,LOGG,ASPCAPFLAG\na,5770,4.4,{1 << 16}\n")
    run("labels", tmp_path / "d", "-o", tmp_path / "l.csv", "--label-catalog", catalogue)
    (row,) = rows_of(tmp_path / "l.csv")
    assert row["teff_k"] == row["class_mk"] == ""
    assert row["logg_cgs"] == "4.4"
    assert row["label_quality"] == str(1 << 16)


def test_a_luminosity_in_suns_is_no_luminosity_class(tmp_path, run):
    write_spec(tmp_path / "d" / "a.fits")
    catalogue = tmp_path / "stars.csv"
    catalogue.write_text("spec_id,sp_type,luminosity\na,G2,1.04\n")
    run("labels", tmp_path / "d", "-o", tmp_path / "l.csv", "--label-catalog", catalogue)
    (row,) = rows_of(tmp_path / "l.csv")
    assert row["class_mk"] == "G2"


@pytest.mark.parametrize("step", [-6e-6, 1e3])
def test_apstar_wavelengths_that_do_not_increase_are_one_clear_line(tmp_path, run, step):
    write_apstar(tmp_path / "apStar.fits")
    with fits.open(tmp_path / "apStar.fits", mode="update") as file:
        file[1].header["CDELT1"] = step
    status, _, err = run("preprocess", tmp_path, "-o", tmp_path / "p.parquet")
    assert status == 3
    assert "HDU 1: wavelengths" in err


def test_mastar_wavelengths_are_positive(tmp_path, run):
    write_goodspec(tmp_path / "d.fits")
    with fits.open(tmp_path / "d.fits", mode="update") as file:
        file[1].data["WAVE"][1] -= 5000.0
    status, _, err = run("preprocess", tmp_path / "d.fits", "-o", tmp_path / "p.parquet")
    assert status == 3
    assert "row 1: WAVE" in err


def test_apstar_without_wavelengths_is_one_clear_line(tmp_path, run):
    images = [fits.ImageHDU(np.ones((2, APOGEE_PIXELS), np.float32)) for _ in range(2)]
    images[0].header["CRVAL1"] = 4.179
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "apStar.fits")
    status, _, err = run("metadata", tmp_path, "-o", tmp_path / "m.csv")
    assert status == 3
    assert "CRVAL1 and CDELT1" in err


def test_the_example_of_a_report_is_the_row_with_the_highest_signal(tmp_path):
    write_goodspec(tmp_path / "d.fits")
    with fits.open(tmp_path / "d.fits", mode="update") as file:
        file[1].data["IVAR"][1] *= 100
    catalogue = tmp_path / "params.csv"
    catalogue.write_text("MANGAID,TEFF_MED,LOGG_MED\n3-1,9600,4.1\n3-2,5750,4.4\n")
    dataset = load_dataset(
        tmp_path / "d.fits", Preprocessing(), catalogue=read_catalogue(catalogue)
    )
    assert example_of(dataset, find_files(tmp_path / "d.fits")).row == 1
