"""Cubes of the data reduction pipeline, which have no model and no DAP flags."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from manga_drp_layout import DEADFIBER, DONOTUSE, FORESTAR, LOWCOV, write_drp_logcube

from manga_ssftt.cubes import read_cube
from manga_ssftt.extinction import galactic_correction
from manga_ssftt.mock.tree import DAPALL_NAME


def dap_logcube(root, plateifu):
    plate, ifu = plateifu.split("-")
    name = f"manga-{plateifu}-LOGCUBE-SPX-MILESHC-MASTARSSP.fits.gz"
    return root / "raw" / plate / ifu / name


def galaxy(root, plateifu):
    return root / "processed" / "cubes" / plateifu.split("-")[0] / f"{plateifu}.h5"


@pytest.fixture(scope="module")
def released(mock_raw, plateifus, tmp_path_factory):
    """The DRP cube of a galaxy, under the name of the release; tests do not change it."""
    name = plateifus[0]
    path = tmp_path_factory.mktemp("drp") / f"manga-{name}-LOGCUBE.fits.gz"
    return write_drp_logcube(path, dap_logcube(mock_raw, name))


@pytest.fixture
def drp(released, own_tree, plateifus, tmp_path):
    """A copy of it, and the galaxy's DAP cube is gone."""
    dap_logcube(own_tree, plateifus[0]).unlink()
    return shutil.copy(released, tmp_path / released.name)


def process(root, *words):
    return ("process", *words, "--root", root, "--catalog", root / DAPALL_NAME)


def test_a_drp_cube_gives_what_the_dap_cube_gives(drp, own_tree, tree, run_json, plateifus):
    name = plateifus[0]
    assert run_json(*process(own_tree, drp))["done"] == [name]
    with h5py.File(galaxy(own_tree, name)) as found, h5py.File(galaxy(tree, name)) as wanted:
        for dataset in ("cube", "ivar", "mask", "coverage", "wave", "labels/BPT"):
            np.testing.assert_array_equal(found[dataset][()], wanted[dataset][()])
        assert found.attrs["redshift"] == wanted.attrs["redshift"]
        assert json.loads(found.attrs["provenance"])["configuration"]["product"] == "drp"
        assert json.loads(wanted.attrs["provenance"])["configuration"]["product"] == "dap"


def test_drpall_tells_redshifts(drp, own_tree, run_json, plateifus, tmp_path):
    with fits.open(own_tree / DAPALL_NAME) as hdus:
        table = Table(hdus[1].data)["PLATEIFU", "MANGAID", "NSA_Z", "Z"]
    for column in table.colnames:
        table[column].name = column.lower()
    path = tmp_path / "drpall-v3_1_1.fits"
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(table, name="MANGA")]
    fits.HDUList(hdus).writeto(path)
    found = run_json("process", drp, "--root", own_tree, "--catalog", path)
    assert found["done"] == [plateifus[0]]


def test_only_do_not_use_excludes(released, tmp_path):
    with fits.open(released) as hdus:
        hdus["MASK"].data[:, 7, 7] = 0
        hdus["IVAR"].data[:, 7, 7] = 1.0
        hdus["MASK"].data[100, 7, 7] = LOWCOV | DEADFIBER | FORESTAR
        hdus["MASK"].data[101, 7, 7] = DONOTUSE
        plain = tmp_path / "plain.fits"
        hdus.writeto(plain)
    cube = read_cube(plain)
    assert cube.product == "drp"
    assert np.flatnonzero(cube.bad[:, 7, 7]).tolist() == [101]


def test_extinction_comes_from_the_header(released):
    plain, free = read_cube(released), read_cube(released, deredden=True)
    ebv = fits.getheader(released)["EBVGAL"]
    assert ebv > 0
    factor = galactic_correction(plain.wave, ebv)[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(free.flux, plain.flux * factor, rtol=1e-5)
    np.testing.assert_allclose(free.ivar, plain.ivar / factor**2, rtol=1e-5)


@pytest.mark.parametrize("hdu", ["FLUX", "IVAR", "MASK", "WAVE"])
def test_a_missing_hdu_is_named(released, own_tree, run, plateifus, tmp_path, hdu):
    name = plateifus[0]
    path = tmp_path / f"manga-{name}-LOGCUBE.fits"
    with fits.open(released) as hdus:
        del hdus[hdu]
        hdus.writeto(path)
    status, _, err = run(*process(own_tree, path, "-q"))
    assert status == 3
    assert f"no HDU '{hdu}'" in err
    assert path.name in err
    assert not galaxy(own_tree, name).exists()


def test_a_cube_cut_short_is_named(drp, own_tree, run):
    data = drp.read_bytes()
    drp.write_bytes(data[: len(data) * 2 // 3])
    status, _, err = run(*process(own_tree, drp, "-q"))
    assert status == 3
    assert "cut short" in err
    assert err.count("\n") == 1
