from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.wcs import WCS
from sdssfiles import LOGLAM0, STEP, write_goodspec, write_image, write_spec, write_spspec

from astro_common.errors import InputError
from sdss_spectra import readers
from sdss_spectra.conversion import flux_unit
from sdss_spectra.files import find_files
from sdss_spectra.readers import blocks, read_spectra, read_spectrum
from sdss_spectra.spectrum import Cards


def test_a_spec_file_is_read_value_by_value(spec):
    spectrum = read_spectrum(spec)
    with fits.open(spec) as opened:
        table = opened[1].data
        assert np.array_equal(spectrum.flux, table["flux"].astype(float))
        assert np.array_equal(spectrum.ivar, table["ivar"].astype(float))
        assert np.array_equal(spectrum.and_mask, table["and_mask"].astype(np.uint32))
        assert np.array_equal(spectrum.or_mask, table["or_mask"].astype(np.uint32))
    assert np.allclose(np.log10(spectrum.wavelength), LOGLAM0 + STEP * np.arange(3800), atol=1e-12)
    assert spectrum.solution.frame == "vacuum"
    assert spectrum.solution.grid == "log10"


def test_values_know_their_place(spec):
    cards = read_spectrum(spec).cards
    assert cards.origin("RA") == "HDU 0"
    assert cards.origin("SUBCLASS") == "HDU 2"
    assert cards["PLUG_RA"] == pytest.approx(10.01)
    assert cards["HELIO_RV"] == 25.0


def test_upper_case_columns_of_sdss_v_are_read_too(tmp_path):
    lower = read_spectrum(write_spec(tmp_path / "a.fits"))
    upper = read_spectrum(write_spec(tmp_path / "b.fits", upper=True))
    assert np.array_equal(lower.flux, upper.flux)


def test_content_decides_and_not_the_name(spec, tmp_path):
    packed = tmp_path / "renamed.fits"
    packed.write_bytes(gzip.compress(spec.read_bytes()))
    assert np.array_equal(read_spectrum(packed).flux, read_spectrum(spec).flux)


@pytest.mark.parametrize("rows", [4, 5])
def test_spspec_has_its_rows_apart(tmp_path, rows):
    spectrum = read_spectrum(write_spspec(tmp_path / "spSpec-51602-0266-007.fit", rows=rows))
    assert spectrum.flux.shape == (3800,)
    assert spectrum.ivar[0] == pytest.approx(4.0)
    assert spectrum.ivar[7] == 0.0
    assert spectrum.wavelength[0] == pytest.approx(10**LOGLAM0)
    assert spectrum.solution.is_log10


@pytest.mark.parametrize(
    ("cards", "first", "grid", "method"),
    [
        ({"CRVAL1": 4000.0, "CD1_1": 0.5}, 4000.0, "linear", "crval1-cd1_1"),
        ({"CRVAL1": 4000.0, "CDELT1": 0.5, "CRPIX1": 11.0}, 3995.0, "linear", "crval1-cdelt1"),
        ({"CRVAL1": 3.6, "CD1_1": 1e-4, "DC-FLAG": 1}, 10**3.6, "log10", "crval1-cd1_1-log10"),
        ({"CRVAL1": 3.6, "CDELT1": 1e-4}, 10**3.6, "log10", "crval1-cdelt1-log10"),
        ({"COEFF0": 3.6, "COEFF1": 1e-4, "CRVAL1": 1.0}, 10**3.6, "log10", "coeff0-coeff1"),
    ],
)
def test_wavelengths_from_keywords(tmp_path, cards, first, grid, method):
    solution = read_spectrum(write_image(tmp_path / "x.fits", cards)).solution
    assert solution.wavelength[0] == pytest.approx(first)
    assert solution.grid == grid
    assert solution.method == method


@pytest.mark.parametrize(
    ("kind", "frame"),
    [("WAVE", "vacuum"), ("AWAV", "air"), ("WAVE-LOG", "vacuum"), ("AWAV-LOG", "air")],
)
def test_standard_coordinates_are_those_of_astropy(tmp_path, kind, frame):
    cards = {"CTYPE1": kind, "CUNIT1": "nm", "CRVAL1": 500.0, "CDELT1": 0.1, "CRPIX1": 1000.0}
    path = write_image(tmp_path / "x.fits", cards)
    solution = read_spectrum(path).solution
    peer = WCS(fits.getheader(path)).pixel_to_world_values(np.arange(2000))
    assert np.allclose(solution.wavelength, 1e10 * peer, rtol=1e-12)
    assert solution.frame == frame
    assert solution.grid == ("log10" if kind.endswith("LOG") else "linear")


def test_a_stack_gives_each_row(tmp_path):
    path = write_image(
        tmp_path / "stack.fits",
        {"COEFF0": 3.6, "COEFF1": 1e-4, "NAME0": "A0V (172167)", "NAME1": "G2V (1)"},
        rows=2,
    )
    spectra = list(read_spectra(path))
    assert [spectrum.row for spectrum in spectra] == [0, 1]
    assert [spectrum.cards["SPTYPE"] for spectrum in spectra] == ["A0V (172167)", "G2V (1)"]


def test_unsigned_identifiers_stay_exact(tmp_path):
    path = write_spec(tmp_path / "a.fits")
    with fits.open(path) as opened:
        column = fits.Column(
            "SPECOBJID", "K", bzero=2**63, array=np.array([11259000566062227456], np.uint64)
        )
        columns = opened[2].columns + column
        opened[2] = fits.BinTableHDU.from_columns(columns, name="SPALL")
        opened.writeto(tmp_path / "b.fits")
    assert read_spectrum(tmp_path / "b.fits").cards["SPECOBJID"] == 11259000566062227456


@pytest.mark.parametrize("size", [0, 100, 2880, 8640, 60000])
def test_a_truncated_file_is_one_clear_line(spec, tmp_path, size):
    cut = tmp_path / "cut.fits"
    cut.write_bytes(spec.read_bytes()[:size])
    with pytest.raises(InputError) as caught:
        list(read_spectra(cut))
    assert "\n" not in str(caught.value)
    assert "cut.fits" in str(caught.value)


def test_hostile_sizes_are_refused(spec, tmp_path):
    hostile = tmp_path / "huge.fits"
    data = spec.read_bytes()
    assert b"NAXIS2  =                 3800" in data
    hostile.write_bytes(
        data.replace(b"NAXIS2  =                 3800", b"NAXIS2  =      999999999999999")
    )
    with pytest.raises(InputError, match="cut short"):
        list(read_spectra(hostile))


def test_no_wavelengths_is_an_error_that_says_so(tmp_path):
    with pytest.raises(InputError, match="COEFF0"):
        list(read_spectra(write_image(tmp_path / "x.fits", {"OBJECT": "x"})))


def test_a_gzip_file_that_unpacks_to_much_is_streamed(tmp_path, monkeypatch):
    write_goodspec(tmp_path / "d.fits")
    packed = tmp_path / "d.fits.gz"
    packed.write_bytes(gzip.compress((tmp_path / "d.fits").read_bytes()))
    whole = [spectrum.flux for spectrum in read_spectra(packed)]
    monkeypatch.setattr(blocks, "MAX_FILE_BYTES", 100_000)
    assert packed.stat().st_size < readers.SMALL_BYTES
    streamed = [spectrum.flux for spectrum in read_spectra(packed)]
    assert np.array_equal(streamed, whole)


def test_logical_cells_are_true_false_or_missing(tmp_path):
    path = write_spec(tmp_path / "a.fits")
    with fits.open(path) as opened:
        columns = opened[2].columns
        for name, value in (("GOOD", True), ("BAD", False)):
            columns = columns + fits.Column(name, "L", array=[value])
        opened[2] = fits.BinTableHDU.from_columns(columns, name="SPALL")
        opened.writeto(tmp_path / "b.fits")
    cards = read_spectrum(tmp_path / "b.fits").cards
    assert cards["GOOD"] is True
    assert cards["BAD"] is False


def test_signs_in_a_row_are_no_number():
    cards = Cards()
    cards.add({"MJD": "+-5", "PLATE": " -7 ", "FIBERID": "12"}, "HDU 0")
    assert cards.integer("MJD") is None
    assert (cards.integer("PLATE"), cards.integer("FIBERID")) == (-7, 12)


def write_table(path, columns, **cards):
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    return path


def test_a_table_gives_the_unit_of_its_flux(tmp_path):
    wave, flux = np.linspace(400.0, 900.0, 300), np.linspace(1.0, 2.0, 300)
    columns = [
        fits.Column("WAVELENGTH", "D", unit="nm", array=wave),
        fits.Column("FLUX", "D", unit="erg / (s cm2 Angstrom)", array=flux),
        fits.Column("ERR", "D", array=np.full(300, 0.1)),
    ]
    spectrum = read_spectrum(write_table(tmp_path / "t.fits", columns))
    assert spectrum.flux_unit == "erg / (s cm2 Angstrom)"
    assert np.allclose(spectrum.wavelength, 10.0 * wave)
    assert spectrum.ivar == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("1E-17 erg/cm^2/s/Ang", "1e-17 erg / (s cm2 AA)"),
        ("1.0E-17 erg/cm/s/Ang", "1e-17 erg / (s cm2 AA)"),
        ("erg /s /cm2 /angstroms", "erg / (s cm2 AA)"),
        ("Flux (10^-17 erg/s/cm^2/Ang)", "1e-17 erg / (s cm2 AA)"),
        ("Jy", "Jy"),
        ("erg/s/cm2/Hz", "erg / (s cm2 Hz)"),
        ("ADU (calibrated, ergs)", ""),
        (None, ""),
    ],
)
def test_units_are_those_of_astropy(text, unit):
    expected = units.Unit(unit)
    found = flux_unit(text)
    assert found.is_equivalent(expected)
    assert (1.0 * found).to_value(expected) == pytest.approx(1.0)


def test_a_folder_that_cannot_be_read_is_no_empty_folder(tmp_path, monkeypatch):
    write_spec(tmp_path / "d" / "open" / "a.fits")
    (tmp_path / "d" / "closed").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="closed: cannot be read"):
        find_files(tmp_path / "d")
