"""Real survey files, with facts that are known without this package's code."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.table import Table
from astropy.wcs import WCS
from astropy_healpix import HEALPix
from surveytree import SurveyTree, write_ecsv

from splus_hypercube.__main__ import main
from splus_hypercube.region import SkyRegion
from splus_hypercube.surveys.ztf import ZtfSurvey

REAL = Path(
    os.environ.get("ASTRO_REAL_DATA", Path(__file__).parents[4] / "shared" / "data")
).resolve()

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.is_dir(), reason=f"no real survey files at {REAL}"),
]


def real_tree(tmp_path, ra, dec, **settings):
    """A tree whose sources are at the given positions, without any survey but those named."""
    absent = dict.fromkeys(("gaia", "gaia_xp", "ztf", "desi", "apogee", "specz", "vista"))
    tree = SurveyTree(tmp_path / "tree", settings={**absent, **settings})
    tree.root.mkdir()
    tree.num_sources = len(ra)
    tree.ra, tree.dec = float(ra[0]), float(dec[0])
    tree.source_ra, tree.source_dec = np.asarray(ra, float), np.asarray(dec, float)
    tree.write_fields()
    tree.write_catalogue()
    tree.write_config(splus={"catalogue": "main/{field}_dual.fits", "epoch_jyear": 2016.0})
    return tree


def build(tree):
    assert main(["build", "--config", str(tree.config), "-q"]) == 0
    return pq.read_table(tree.cube)


def test_a_real_desi_coadd_with_its_redshift(tmp_path):
    source = REAL / "surveys/desi"
    name = "4-80613-thru20210324.fits"
    with fits.open(source / f"coadd-{name}") as file:
        fibermap = Table(file["FIBERMAP"].data)
        expected = {
            (kind, arm): np.array(file[f"{arm.upper()}_{kind}"].data)
            for kind in ("FLUX", "IVAR", "MASK", "WAVELENGTH")
            for arm in "brz"
        }
    ra, dec = fibermap["TARGET_RA"][0], fibermap["TARGET_DEC"][0]
    tree = real_tree(
        tmp_path, [ra, ra + 0.1], [dec, dec], desi={"directory": "desi", "tiles": "tiles.csv"}
    )
    folder = tree.root / "desi/80613/20210324"
    folder.mkdir(parents=True)
    for kind in ("coadd", "redrock"):
        shutil.copy(source / f"{kind}-{name}", folder)
    (tree.root / "tiles.csv").write_text(f"TILEID,TILERA,TILEDEC\n80613,{ra + 1},{dec}\n")
    cube = build(tree)
    assert cube["desi_TARGETID"].to_pylist() == [39633345008634465, None]
    assert cube["desi_Z"][0].as_py() == 0.36874355163716493
    assert cube["desi_SPECTYPE"][0].as_py() == "GALAXY"
    assert cube["desi_fibermap_FLUX_R"][0].as_py() == fibermap["FLUX_R"][0]
    for arm, length in (("b", 2751), ("r", 2326), ("z", 2881)):
        assert len(cube[f"desi_flux_{arm}"][0]) == length
        np.testing.assert_array_equal(
            np.array(cube[f"desi_flux_{arm}"][0].as_py(), np.float32), expected["FLUX", arm][0]
        )
        weights = np.where(expected["MASK", arm][0] != 0, 0, expected["IVAR", arm][0])
        np.testing.assert_array_equal(
            np.array(cube[f"desi_ivar_{arm}"][0].as_py(), np.float32), weights
        )
        assert cube[f"desi_wave_{arm}"][0].as_py() == expected["WAVELENGTH", arm].tolist()


def test_only_the_good_target_fibre_of_a_real_coadd_matches(tmp_path):
    """Five fibres: three sky or broken, one target of bad status, one good."""
    path = REAL / "surveys/desi/coadd-5-169-thru20210419.fits"
    fibermap = Table.read(path, hdu="FIBERMAP")
    ra, dec = np.array(fibermap["TARGET_RA"]), np.array(fibermap["TARGET_DEC"])
    tree = real_tree(tmp_path, ra, dec, desi={"directory": "desi", "tiles": "tiles.csv"})
    folder = tree.root / "desi/169/20210419"
    folder.mkdir(parents=True)
    shutil.copy(path, folder)
    (tree.root / "tiles.csv").write_text(f"TILEID,TILERA,TILEDEC\n169,{ra[0]},{dec[0]}\n")
    cube = build(tree)
    assert cube["desi_TARGETID"].to_pylist() == [None] * 4 + [39633300968442591]
    assert cube["desi_Z"].null_count == 5


def test_real_xp_coefficients_are_exact(tmp_path):
    """The archive's ECSV through the hypercube against the archive's FITS of the same sources."""
    expected = Table.read(REAL / "gaia/xp_continuous/XP_CONTINUOUS_RAW.fits")
    identifiers = [int(value) for value in expected["source_id"]]
    assert identifiers == [5853498713190525696, 5762406957886626816]
    pixels = np.array(identifiers) >> 35
    lon, lat = HEALPix(nside=4096, order="nested").healpix_to_lonlat(pixels)
    ra, dec = lon.to_value("deg").tolist(), lat.to_value("deg").tolist()
    tree = real_tree(
        tmp_path, ra, dec, gaia={"directory": "gaia"}, gaia_xp={"directory": "gaia_xp"}
    )
    rows = [
        {"source_id": identifier, "ra": ra[k], "dec": dec[k]}
        for k, identifier in enumerate(identifiers)
    ]
    columns = {"source_id": "int64", "ra": "float64", "dec": "float64"}
    write_ecsv(tree.root / "gaia/GaiaSource_000000-786431.csv.gz", columns, rows, {})
    xp = tree.root / "gaia_xp/XpContinuousMeanSpectrum_000000-786431.csv.gz"
    xp.parent.mkdir()
    content = (REAL / "gaia/xp_continuous/XP_CONTINUOUS_RAW.ecsv").read_bytes()
    xp.write_bytes(gzip.compress(content))
    cube = build(tree)
    assert cube["gaiaxp_source_id"].to_pylist() == identifiers
    for arm in ("bp", "rp"):
        for kind in ("coefficients", "coefficient_errors", "coefficient_correlations"):
            name = f"{arm}_{kind}"
            found = np.array(cube[f"gaiaxp_{name}"].to_pylist())
            np.testing.assert_allclose(found, np.stack(list(expected[name])), rtol=1e-6)
    assert cube.schema.field("gaiaxp_bp_coefficients").metadata[b"modality"] == b"coefficients"


def test_cutouts_of_a_real_compressed_image(tmp_path):
    source = REAL / "surveys/image"
    with fits.open(source / "legacysurvey-0959p805-image-g.fits.fz") as file:
        image, header = file[1].data, file[1].header
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-30, 3630, 60), rng.uniform(-30, 3630, 60)
    # The header has an EQUINOX and no RADESYS: FK5 by the FITS standard, 20 mas from ICRS.
    sky = WCS(header).pixel_to_world(x, y).icrs
    ra, dec = sky.ra.deg, sky.dec.deg
    tree = real_tree(tmp_path, ra, dec)
    folder = tree.root / "images"
    folder.mkdir()
    for band in "gz":
        target = folder / f"{tree.field_name}_{band.upper()}.fits.fz"
        shutil.copy(source / f"legacysurvey-0959p805-image-{band}.fits.fz", target)
    splus = {
        "catalogue": "main/{field}_dual.fits",
        "images": ["images/{field}_{band}.fits.fz"],
        "epoch_jyear": 2016.0,
    }
    tree.write_config(splus=splus)
    cube = build(tree)
    dx = np.array(cube["splus_cut_dx_px"].to_pylist())
    for k in range(60):
        pixel = int(np.floor(x[k] + 0.5)), int(np.floor(y[k] + 0.5))
        expected = Cutout2D(image, pixel, 96, mode="partial", fill_value=np.nan).data
        found = np.array(cube["splus_cut_G"][k].as_py(), np.float32).reshape(96, 96)
        np.testing.assert_array_equal(found, expected)
        assert dx[k] == pytest.approx(x[k] - pixel[0], abs=1e-4)
    assert cube["splus_cut_Z"].null_count == 0
    assert cube["splus_cut_R"].null_count == 60


def test_separations_of_a_published_cross_match(tmp_path):
    """S-PLUS DR4 galaxies matched to the dual catalogue by LSDB, which left its distances."""
    path = REAL / "surveys/splus/some_galaxies_match_dr4dual.csv"
    output = tmp_path / "out.parquet"
    command = ["crossmatch", str(path), str(path), "--radius", "1", "-o", str(output), "-q"]
    names = ["--left-ra", "RA_", "--left-dec", "DEC_"]
    names += ["--right-ra", "RA_dual", "--right-dec", "DEC_dual", "--mode", "all"]
    assert main([*command, *names]) == 0
    table = pq.read_table(output)
    same = pc.equal(table["ID_dual_left"], table["ID_dual_right"])
    same = pc.and_(same, pc.equal(table["ID__left"], table["ID__right"]))
    own = table.filter(same)
    assert own.num_rows >= 8753
    difference = own["separation_arcsec"].to_numpy() - own["_dist_arcsec_left"].to_numpy()
    # The positions in the file are rounded to 1e-4 deg, as they were for LSDB.
    assert np.abs(difference).max() < 1e-6


def test_gaia_propagation_of_real_stars_agrees_with_astropy():
    from astropy import units
    from astropy.coordinates import Distance
    from astropy.time import Time

    from splus_hypercube.astrometry import propagate_epoch, separation_arcsec

    table = fits.getdata(REAL / "gaia/gdr3_sm.fits", 1)
    columns = {
        name: np.asarray(table[name], float)
        for name in ("ra", "dec", "pmra", "pmdec", "parallax", "radial_velocity")
    }
    known = np.isfinite(columns["radial_velocity"]) & (columns["parallax"] > 0.05)
    assert known.sum() > 10
    columns = {name: values[known] for name, values in columns.items()}
    stars = SkyCoord(
        columns["ra"] * units.deg,
        columns["dec"] * units.deg,
        pm_ra_cosdec=columns["pmra"] * units.mas / units.yr,
        pm_dec=columns["pmdec"] * units.mas / units.yr,
        distance=Distance(parallax=columns["parallax"] * units.mas),
        radial_velocity=columns["radial_velocity"] * units.km / units.s,
        obstime=Time(2016.0, format="jyear"),
    )
    expected = stars.apply_space_motion(new_obstime=Time(2000.0, format="jyear"))
    found = propagate_epoch(*columns.values(), -16.0)
    difference = separation_arcsec(*found, expected.ra.deg, expected.dec.deg)
    assert difference.max() < 2e-6


def test_partitions_of_a_real_hats_tree():
    """Every object of the tree lies in a partition that its own position selects."""
    root = REAL / "surveys/hats_small_sky_source"
    survey = ZtfSurvey(root, 1.0, 0)
    partitions = survey._partitions
    assert len(partitions) == 14
    for partition, (path,) in partitions.items():
        table = pq.ParquetFile(path).read(columns=["source_ra", "source_dec"])
        region = SkyRegion(table["source_ra"].to_numpy(), table["source_dec"].to_numpy(), 2.0)
        assert partition in region.overlapping(sorted(partitions))
