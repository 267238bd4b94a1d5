"""What the hypercube of the hand-made survey tree must hold, rule by rule."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from surveytree import DESI_LENGTHS, EPOCH, SurveyTree

from splus_hypercube.__main__ import main
from splus_hypercube.bands import BAND_NAMES
from splus_hypercube.descriptions import MODALITIES

PLACES = {"plain": (30.0, -30.0), "wrap": (0.0, -10.0)}


@pytest.fixture(scope="module", params=PLACES)
def built(request, tmp_path_factory):
    """The tree and its hypercube, at a plain place and across RA 0."""
    ra, dec = PLACES[request.param]
    tree = SurveyTree(tmp_path_factory.mktemp("built") / "tree", ra=ra, dec=dec).write()
    assert main(["build", "--config", str(tree.config), "-q"]) == 0
    return tree, pq.read_table(tree.cube)


def metadata(tree):
    return json.loads(pq.read_schema(tree.cube).metadata[b"splus_hypercube"])


def test_every_source_once_in_catalogue_order_with_all_its_columns(built):
    tree, cube = built
    assert cube["id"].to_pylist() == [f"iDR6_t01_{k:05d}" for k in range(tree.num_sources)]
    assert cube["ra"].to_numpy() == pytest.approx(tree.source_ra, abs=1e-12)
    assert cube["big"].to_pylist() == [2**60 + 1 + k for k in range(tree.num_sources)]
    assert cube["flags_det"].to_pylist() == list(range(tree.num_sources))
    assert cube["mag_pstotal_r"].to_numpy() == pytest.approx(np.linspace(15, 22, 16), rel=1e-6)


def test_cutouts_are_astropys(built):
    tree, cube = built
    for band in BAND_NAMES:
        with fits.open(tree.image_path(band)) as file:
            image = file[1].data
        cutouts = cube[f"splus_cut_{band}"]
        assert cutouts.type == pa.list_(pa.field("element", pa.float32()), 9216)
        for k in range(tree.num_sources):
            pixel = (int(np.floor(tree.x[k] + 0.5)), int(np.floor(tree.y[k] + 0.5)))
            expected = Cutout2D(image, pixel, 96, mode="partial", fill_value=np.nan).data
            found = np.array(cutouts[k].as_py(), np.float32).reshape(96, 96)
            np.testing.assert_array_equal(found, expected)
    assert cube["splus_cut_dx_px"].to_numpy() == pytest.approx(0.3, abs=1e-6)
    assert cube["splus_cut_dy_px"].to_numpy() == pytest.approx(-0.2, abs=1e-6)


def test_gaia_is_matched_at_the_epoch_of_the_observations(built):
    tree, cube = built
    rows = tree.gaia_rows()
    expected = [rows[1], rows[2], rows[3], None, rows[5], rows[6]]
    found = cube["gaia_source_id"].to_pylist()
    assert found[:6] == [row and row["source_id"] for row in expected]
    assert found[6:] == [None] * (tree.num_sources - 6)
    assert min(identifier for identifier in found if identifier) > 2**53
    assert cube["gaia_n_candidates"].to_pylist()[:6] == [2, 1, 1, 0, 1, 1]
    separation = cube["gaia_separation_arcsec"].to_pylist()
    assert separation[0] == pytest.approx(0.3, abs=1e-6)
    assert separation[1] == pytest.approx(0.0, abs=1e-3)
    assert separation[2] == pytest.approx(np.hypot(0.1, 0.1), abs=1e-6)
    assert separation[3] is None
    assert separation[4] == pytest.approx(0.0, abs=1e-2)


def test_gaia_positions_at_j2000(built):
    _, cube = built
    row = {name: cube[f"gaia_{name}"][5].as_py() for name in ("ra", "dec", "ra_j2000", "dec_j2000")}
    first = SkyCoord(row["ra"], row["dec"], unit="deg")
    second = SkyCoord(row["ra_j2000"], row["dec_j2000"], unit="deg")
    east, north = first.spherical_offsets_to(second)
    assert east.mas == pytest.approx(-16 * 50.0, abs=0.3)
    assert north.mas == pytest.approx(16 * 20.0, abs=0.3)
    # Null motion: unchanged to the last bit.
    assert cube["gaia_ra_j2000"][2] == cube["gaia_ra"][2]
    assert cube["gaia_dec_j2000"][2] == cube["gaia_dec"][2]


def test_xp_joins_by_source_id_and_keeps_its_arrays(built):
    tree, cube = built
    identifiers = cube["gaiaxp_source_id"].to_pylist()
    gaia = cube["gaia_source_id"].to_pylist()
    assert [k for k, identifier in enumerate(identifiers) if identifier] == [0, 2]
    assert identifiers[0] == gaia[0]
    expected = tree.xp_row(0, 1)
    assert cube["gaiaxp_bp_coefficients"][0].as_py() == expected["bp_coefficients"].tolist()
    assert cube["gaiaxp_rp_coefficients"][0].as_py() == expected["rp_coefficients"].tolist()
    assert cube["gaiaxp_rp_coefficients"][2].as_py() is None
    errors = cube["gaiaxp_bp_coefficient_errors"][0].as_py()
    assert errors == pytest.approx(expected["bp_coefficient_errors"].tolist(), rel=1e-6)


def test_ztf_merges_all_objects_sorted_aligned_and_cleaned(built):
    _, cube = built
    big = 2**53 + 1
    assert cube["ztf_objectid"].to_pylist()[:3] == [big + 20, big + 40, None]
    assert cube["ztf_objectids"].to_pylist()[:3] == [
        [big + 20, big + 10, big + 30],
        [big + 40],
        None,
    ]
    assert cube["ztf_n_candidates"].to_pylist()[:3] == [3, 1, 0]
    assert cube["ztf_hmjd_g"][0].as_py() == [58001.0, 58002.0, 58003.0, 58005.0]
    assert cube["ztf_mag_g"][0].as_py() == pytest.approx([15.1, 15.2, 15.3, 15.5], rel=1e-6)
    assert cube["ztf_magerr_g"][0].as_py() == pytest.approx([0.01, 0.02, 0.03, 0.02], rel=1e-6)
    assert cube["ztf_hmjd_r"][0].as_py() == [58000.5]
    assert cube["ztf_nepochs_g"].to_pylist()[:3] == [4, 0, None]
    for band in "gri":
        lengths = pc.list_value_length(cube[f"ztf_mag_{band}"])
        assert lengths.equals(cube[f"ztf_nepochs_{band}"])
    # Source 1 has an object whose epochs are all flagged: matched, without epochs.
    assert cube["ztf_mag_i"][1].as_py() == []
    assert cube["ztf_mag_i"][2].as_py() is None


def test_desi_takes_good_target_fibres_and_the_best_signal_to_noise(built):
    tree, cube = built
    big = 39627000000000000
    assert cube["desi_TARGETID"].to_pylist()[:3] == [big + 3, big + 4, None]
    assert cube["desi_n_candidates"].to_pylist()[:3] == [1, 2, 0]
    files = cube["desi_desi_file"].to_pylist()
    assert files[0] == "101/20210401/coadd-3-101-thru20210401.fits"
    assert files[1] == "102/20210501/coadd-0-102-thru20210501.fits"
    # Row 3 of the first coadd, although an earlier row has no position.
    for source, seed, row, count in ((0, 1, 3, 5), (1, 2, 0, 1)):
        for arm, length in DESI_LENGTHS.items():
            flux, ivar, mask = tree.desi_flux(seed, arm, count)
            weights = np.where(mask[row] != 0, 0, ivar[row]).astype(np.float32)
            assert len(cube[f"desi_wave_{arm}"][source]) == length
            np.testing.assert_array_equal(cube[f"desi_flux_{arm}"][source].as_py(), flux[row])
            np.testing.assert_array_equal(cube[f"desi_ivar_{arm}"][source].as_py(), weights)
            assert (weights == 0).any()
    assert cube["desi_wave_b"][0].as_py()[:2] == pytest.approx([3600.0, 3600.8])


def test_desi_redshifts_join_by_targetid_and_flux_columns_do_not_collide(built):
    _, cube = built
    assert cube["desi_Z"].to_pylist()[:2] == [pytest.approx(0.003), None]
    assert cube["desi_SPECTYPE"].to_pylist()[:2] == ["GALAXY", None]
    assert cube["desi_fibermap_FLUX_R"].to_pylist()[:2] == [3.0, 0.0]
    assert "desi_FLUX_R" not in cube.column_names
    assert cube["desi_EBV"][0].as_py() == pytest.approx(0.02)


def test_apogee_without_duplicates_and_at_the_radius(built):
    _, cube = built
    identifiers = cube["apogee_APOGEE_ID"].to_pylist()
    assert identifiers[0].endswith("1")
    assert identifiers[6].endswith("2")
    assert identifiers[7] is None
    assert cube["apogee_n_candidates"].to_pylist()[:8] == [1, 0, 0, 0, 0, 0, 1, 0]
    assert cube["apogee_separation_arcsec"][0].as_py() == pytest.approx(0.4, abs=1e-6)
    assert cube["apogee_PARAM"][0].as_py() == [9.0 + k for k in range(9)]


def test_specz_takes_the_nearest_and_counts_the_others(built):
    _, cube = built
    assert cube["specz_z"].to_pylist()[2] == pytest.approx(0.2)
    assert cube["specz_n_candidates"].to_pylist()[2] == 3
    assert cube["specz_source"][2].as_py() == "survey 1"
    assert cube["specz_z"].null_count == 15


def test_vista_matches_every_source_with_its_own_row(built):
    _, cube = built
    expected = [2**53 + 1 + 2 * (15 - k) for k in range(16)]
    assert cube["vista_sourceid"].to_pylist() == expected
    separation = cube["vista_separation_arcsec"].to_numpy()
    assert separation == pytest.approx(0.05 * np.arange(16), abs=1e-6)


def test_the_file_describes_itself(built):
    tree, cube = built
    about = metadata(tree)
    assert about["schema_version"] == 1
    assert about["field"] == tree.field_name
    assert about["synthetic"] is False
    assert about["bands"] == list(BAND_NAMES)
    assert about["cutout_size_px"] == 96
    assert about["surveys"]["splus"]["epoch_jyear"] == EPOCH
    gaia = about["surveys"]["gaia"]
    assert gaia["radius_arcsec"] == 1.2
    assert gaia["epoch_jyear"] == EPOCH
    assert gaia["matches"] == 5
    assert gaia["false_match_rate"] == 0.0
    modalities = {
        "id": "id",
        "ra": "position",
        "mag_pstotal_r": "scalar",
        "splus_cut_R": "image",
        "gaia_source_id": "id",
        "gaia_pmra": "scalar",
        "gaia_separation_arcsec": "match",
        "gaiaxp_bp_coefficients": "coefficients",
        "ztf_mag_g": "light_curve",
        "ztf_nepochs_g": "auxiliary",
        "desi_flux_b": "spectrum",
        "desi_TARGETID": "id",
        "apogee_TEFF": "scalar",
        "specz_z": "scalar",
        "vista_japermag3": "scalar",
    }
    for name, modality in modalities.items():
        assert cube.schema.field(name).metadata[b"modality"].decode() == modality
    for field in cube.schema:
        prefix = field.name.partition("_")[0]
        survey = prefix if prefix in about["surveys"] else "splus"
        assert field.metadata[b"survey"].decode() == survey, field.name
        assert field.metadata[b"modality"].decode() in MODALITIES, field.name
    assert cube.schema.field("gaia_pmra").metadata[b"unit"] == b"mas.yr**-1"


def test_names_are_unique_ignoring_case(built):
    _, cube = built
    names = [name.lower() for name in cube.column_names]
    assert len(names) == len(set(names))
