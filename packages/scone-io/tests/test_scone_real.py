"""Real light curves, from the files of the surveys."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from astropy.io import fits

import scone_io
from scone_io.grid import PRESETS
from scone_io.snana import open_head, read_light_curves

pytestmark = pytest.mark.real

LOWZ = "DES-SN5YR_LOWZ/DES-SN5YR_LOWZ_HEAD.FITS.gz"
DES = "supernnova_des_ia/DES_Ia-0001_HEAD.FITS"
ELASTICC = "elasticc_nonia/MLAG_HOSTLIB_ALLCLASS_NONIaMODEL0-0010_HEAD.FITS.gz"


@pytest.mark.parametrize("name", [LOWZ, DES, ELASTICC, "sncosmo/snana_fits_example_head.fits"])
def test_light_curves_are_those_between_the_separators(real_data, name):
    path = real_data / name
    head = fits.getdata(path, 1)
    phot = fits.getdata(str(path).replace("HEAD", "PHOT").replace("_head", "_phot"), 1)
    curves = list(read_light_curves(open_head(path)))
    assert len(curves) == len(head)
    assert [len(curve) for curve in curves] == head["NOBS"].tolist()
    mjd = np.concatenate([curve.mjd for curve in curves])
    flux = np.concatenate([curve.flux for curve in curves])
    kept = phot["MJD"] != -777.0
    assert np.array_equal(mjd, phot["MJD"][kept])
    assert np.array_equal(flux, phot["FLUXCAL"][kept].astype(float))
    assert [curve.snid for curve in curves] == [str(snid).strip() for snid in head["SNID"]]


def test_simulated_supernovae_of_des_peak_at_day_zero(run, real_data, tmp_path):
    out = tmp_path / "des.tfrecord"
    words = ["--survey", "DES", "--no-optimize", "-q"]
    assert run("heatmaps", real_data / DES, "-o", out, *words)[0] == 0
    shards = scone_io.open(out)
    head = fits.getdata(real_data / DES, 1)
    assert shards.snids.tolist() == head["SNID"].tolist()
    assert {event.label for event in shards} == {1}
    days = [PRESETS["scone"].times[event.flux.sum(axis=0).argmax()] for event in shards]
    assert abs(np.median(days)) < 3.0


def test_nearby_supernovae_have_names_and_no_known_label(run, real_data, tmp_path):
    out = tmp_path / "lowz.tfrecord"
    # U, B, V, r, i of the CfA3 survey with the Keplercam.
    bands = "p=3600,q=4400,r=5500,s=6200,t=7600"
    words = ["--band-wavelengths", bands, "--no-optimize", "-q"]
    assert run("heatmaps", real_data / LOWZ, "-o", out, *words)[0] == 3
    with (tmp_path / "lowz.tfrecord.snids.csv").open() as file:
        names = {int(row["id"]): row["snid"] for row in csv.DictReader(file)}
    head = fits.getdata(real_data / LOWZ, 1)
    for event in scone_io.open(out):
        if event.snid in names:
            assert str(head["SNID"][event.snid]).strip() == names[event.snid]
        assert event.label == 0
    assert names[0] == "2004ef"


def test_csv_tables_of_supernnova(run, real_data, tmp_path):
    out = tmp_path / "csv.tfrecord"
    path = real_data / "supernnova_csv" / "DES_HEAD.csv.gz"
    assert run("heatmaps", path, "-o", out, "--survey", "DES")[0] == 0
    assert scone_io.open(out).snids.tolist() == [1186139, 12032621]
