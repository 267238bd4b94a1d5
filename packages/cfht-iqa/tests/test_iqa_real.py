"""Real CCD frames and real catalogues."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from scipy.spatial import cKDTree

from cfht_iqa.ldac import read_tables
from cfht_iqa.megacam import iterate_ccds, read_exposure

pytestmark = pytest.mark.real

DECAM = "ldac/DECam_00241238_01_cat.fits"


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
