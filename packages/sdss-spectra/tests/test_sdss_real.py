from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import pytest
from astropy.io import fits

from sdss_spectra.readers import read_spectra, read_spectrum

pytestmark = pytest.mark.real


def test_spec_files_agree_value_by_value_with_astropy(real_data):
    paths = sorted((real_data / "spec").glob("*.fits"))
    assert paths
    for path in paths:
        spectrum = read_spectrum(path)
        with fits.open(path) as file:
            table, row = file[1].data, file[2].data[0]
            assert np.array_equal(spectrum.flux, table["flux"].astype(float)), path
            assert np.array_equal(spectrum.ivar, np.maximum(table["ivar"], 0).astype(float)), path
            assert np.array_equal(spectrum.wavelength, 10.0 ** table["loglam"].astype(float)), path
            assert np.array_equal(spectrum.and_mask.astype(np.int64), table["and_mask"]), path
            assert spectrum.cards["Z"] == row["Z"], path
            assert spectrum.cards.get("SUBCLASS", "") == row["SUBCLASS"].strip(), path
            for name in ("SPECOBJID", "OBJID", "BESTOBJID"):
                cell = row[name] if name in file[2].columns.names else None
                if isinstance(cell, (str, np.integer)) and str(cell).strip():
                    assert str(spectrum.cards[name]) == str(cell).strip(), (path, name)


# Units of SDSS files have several slashes, of which astropy warns.
@pytest.mark.filterwarnings("ignore")
def test_spec_files_agree_with_specutils(real_data):
    specutils = pytest.importorskip("specutils")
    path = real_data / "spec" / "spec-4055-55359-0001.fits"
    peer = specutils.Spectrum.read(path, format="SDSS-III/IV spec")
    ours = read_spectrum(path).to_specutils()
    assert np.allclose(ours.flux.to_value(peer.flux.unit), peer.flux.value, rtol=1e-6)
    assert np.allclose(ours.spectral_axis.value, peer.spectral_axis.value, rtol=1e-6)
    assert np.allclose(ours.uncertainty.array, peer.uncertainty.array, rtol=1e-6)


def test_linear_libraries_agree_with_their_keywords(real_data):
    path = real_data / "stelib" / "STELIB_v3.2_G319.fits"
    spectrum = read_spectrum(path)
    with fits.open(path) as file:
        header = file[0].header
        expected = header["CRVAL1"] + header["CD1_1"] * np.arange(header["NAXIS1"])
    assert np.allclose(spectrum.wavelength, expected, rtol=1e-12)
    assert not spectrum.solution.is_log10


def test_template_stacks_and_mastar_have_a_spectrum_per_row(real_data):
    stack = list(read_spectra(real_data / "library" / "spEigenStar-55734.fits"))
    assert len(stack) == 123
    assert stack[4].cards["SPTYPE"] == "A1V (95418)"
    rows = list(read_spectra(real_data / "mastar" / "mastar_example_spectral_types.fits"))
    assert len(rows) == 7
    with fits.open(real_data / "mastar" / "mastar_example_spectral_types.fits") as file:
        assert np.array_equal(rows[2].flux, file[1].data["FLUX"][2].astype(float))
        assert rows[2].cards["MANGAID"] == file[1].data["MANGAID_1"][2].strip()


def test_lines_of_a_real_star_are_where_they_belong(real_data, tmp_path, run):
    path = real_data / "spec" / "spec-4055-55359-0001.fits"
    run("lines", path, "-o", tmp_path / "l.csv")
    with (tmp_path / "l.csv").open(newline="") as file:
        rows = {row["transition"]: row for row in csv.DictReader(file)}
    for name in ("H\u03b1", "H\u03b2", "Ca II K", "Ca II H"):
        assert rows[name]["kind"] == "absorption"
        shift = float(rows[name]["wavelength_A"]) / float(rows[name]["lambda_rest_A"]) - 1
        assert abs(shift) * 299792.458 < 100
        assert 1 < float(rows[name]["ew_A"]) < 12


def test_tables_of_the_real_folder(real_data, tmp_path, run):
    for verb in ("metadata", "manifest", "labels"):
        status, out, _ = run(verb, real_data, "-o", tmp_path / f"{verb}.csv", "--json")
        assert status == 0
        assert json.loads(out)["spectra"] == 470
    with (tmp_path / "labels.csv").open(newline="") as file:
        letters = Counter(row["class_mk"][:1] for row in csv.DictReader(file) if row["class_mk"])
    assert all(letters[letter] > 5 for letter in "OBAFGKM")
    with (tmp_path / "metadata.csv").open(newline="") as file:
        rows = {row["spec_id"]: row for row in csv.DictReader(file)}
    star = rows["spec-7332-56683-0788"]
    assert float(star["ebv_sfd"]) == pytest.approx(0.02767, rel=1e-3)
    assert float(star["resolution_r"]) == pytest.approx(2014, rel=0.01)
    # RA of some libraries is not in degrees of J2000: it is left out rather than wrong.
    assert rows["STELIB_v3.2_G319"]["ra_deg"] == ""
