"""The rules that need another tree or another configuration than the plain one."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Table
from astropy_healpix import HEALPix
from surveytree import FIELD, write_ecsv

from splus_hypercube.__main__ import main
from splus_hypercube.bands import BAND_NAMES


def build(tree, *options, status=0):
    assert main(["build", "--config", str(tree.config), "-q", *options]) == status


def read(tree, columns=None):
    return pq.read_table(tree.cube, columns=columns)


def about(tree):
    return json.loads(pq.read_schema(tree.cube).metadata[b"splus_hypercube"])


@pytest.mark.parametrize("dec", [89.96, -89.97])
def test_a_field_at_a_pole(make_tree, dec):
    tree = make_tree(ra=200.0, dec=dec)
    build(tree)
    cube = read(tree, ["gaia_source_id", "vista_sourceid", "vista_separation_arcsec", "specz_z"])
    gaia = tree.gaia_rows()
    assert cube["gaia_source_id"].to_pylist()[0] == gaia[1]["source_id"]
    assert cube["vista_sourceid"].null_count == 0
    separation = cube["vista_separation_arcsec"].to_numpy()
    assert separation == pytest.approx(0.05 * np.arange(16), rel=0.01, abs=1e-6)
    assert cube["specz_z"].to_pylist()[2] == pytest.approx(0.2)


def test_surveys_without_rows_give_the_same_columns(make_tree):
    full, empty = make_tree("full"), make_tree("empty", surveys_have_rows=False)
    build(full)
    build(empty)
    assert (
        pq.read_schema(full.cube)
        .remove_metadata()
        .equals(pq.read_schema(empty.cube).remove_metadata())
    )
    cube = read(empty)
    for name in ("gaia_source_id", "gaiaxp_source_id", "ztf_objectid", "desi_TARGETID"):
        assert cube[name].null_count == len(cube)
    assert about(empty)["surveys"]["gaia"]["matches"] == 0


def test_a_catalogue_without_rows(make_tree):
    tree = make_tree(num_sources=0, surveys_have_rows=False)
    build(tree)
    assert read(tree).num_rows == 0
    assert "splus_cut_R" in read(tree).column_names
    build(tree)  # and it is resumed like any other


def test_a_section_left_out_leaves_the_survey_out(make_tree):
    tree = make_tree(settings={"ztf": None, "vista": None, "gaia": None, "gaia_xp": None})
    build(tree)
    names = read(tree).column_names
    for prefix in ("ztf_", "vista_", "gaia_", "gaiaxp_"):
        assert not any(name.startswith(prefix) for name in names)
    assert {"desi_TARGETID", "apogee_TEFF", "specz_z", "splus_cut_R"} <= set(names)
    assert set(about(tree)["surveys"]) == {"splus", "desi", "apogee", "specz"}


def test_a_missing_band_is_null_and_reported(make_tree, capsys):
    tree = make_tree(bands=tuple(name for name in BAND_NAMES if name != "F395"))
    assert main(["build", "--config", str(tree.config)]) == 0
    message = capsys.readouterr().err
    assert FIELD in message
    assert "F395" in message
    cube = read(tree)
    assert cube["splus_cut_F395"].null_count == 16
    assert cube["splus_cut_R"].null_count == 0
    assert about(tree)["provenance"]["missing_bands"] == ["F395"]


def test_a_band_that_comes_later_makes_the_file_stale(make_tree):
    tree = make_tree(bands=BAND_NAMES[:-1])
    build(tree)
    tree.write_image(BAND_NAMES[-1])
    build(tree)
    assert read(tree, [f"splus_cut_{BAND_NAMES[-1]}"]).column(0).null_count == 0


def test_bands_with_their_own_grids_have_their_own_offsets(make_tree):
    tree = make_tree()
    tree.write_image("F660", shift_px=(3.4, -2.0))
    build(tree)
    cube = read(tree)
    assert cube["splus_cut_dx_px"].to_numpy() == pytest.approx(0.3, abs=1e-6)
    assert cube["splus_cut_dx_px_R"].to_numpy() == pytest.approx(0.3, abs=1e-6)
    assert cube["splus_cut_dx_px_F660"].to_numpy() == pytest.approx(-0.3, abs=1e-6)
    assert cube["splus_cut_dy_px_F660"].to_numpy() == pytest.approx(-0.2, abs=1e-6)
    image = fits.getdata(tree.image_path("F660"), 1)
    source = 5
    x, y = int(np.floor(tree.x[source] + 3.9)), int(np.floor(tree.y[source] - 1.5))
    cutout = np.array(cube["splus_cut_F660"][source].as_py()).reshape(96, 96)
    assert cutout[48, 48] == image[y, x]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("all", range(16)),
        ("none", []),
        ("1 < 2", range(16)),
        ("gaia", [0, 1, 2, 4, 5]),
        ("mag_pstotal_r < 17 and flags_det != 1", [0, 2, 3, 4]),
        ("id == 'iDR6_t01_00003'", [3]),
        ("(flags_det & 8) > 0", range(8, 16)),
    ],
)
def test_which_rows_get_cutouts(make_tree, rows, expected):
    tree = make_tree(settings={"cutouts": {"size_px": 20, "rows": rows}})
    build(tree)
    cube = read(tree)
    image = fits.getdata(tree.image_path("U"), 1)
    for source in range(16):
        cutout = cube["splus_cut_U"][source].as_py()
        if source not in list(expected):
            assert cutout is None
            continue
        pixel = np.array(cutout).reshape(20, 20)[10, 10]
        assert pixel == image[int(tree.y[source] + 0.5), int(tree.x[source] + 0.5)]
    assert cube["splus_cut_dx_px"].null_count == 16 - len(list(expected))


def test_sources_outside_the_image_and_without_a_position(make_tree):
    tree = make_tree()
    tree.source_ra[3], tree.source_dec[3] = tree.at(3, 3000.0, 0.0)
    tree.source_ra[4] = np.nan
    tree.write_catalogue()
    build(tree)
    cube = read(tree)
    for source in (3, 4):
        assert np.isnan(cube["splus_cut_R"][source].as_py()).all()
        assert cube["gaia_source_id"][source].as_py() is None
    assert cube["splus_cut_dx_px"][3].as_py() is not None
    assert cube["splus_cut_dx_px"][4].as_py() is None


@pytest.mark.parametrize(
    ("cards", "epoch"),
    [
        ({"MJD-OBS": 58665.0}, 2019.5),
        ({"DATE-OBS": "2019-07-01T12:00:00"}, 2019.5),
    ],
)
def test_the_epoch_is_read_from_the_images(make_tree, cards, epoch):
    tree = make_tree()
    for band in BAND_NAMES:
        tree.write_image(band, **cards)
    settings = {"catalogue": "main/{field}_dual.fits", "epoch_jyear": None}
    tree.write_config(splus={**settings, "images": ["idr6/{field}/{field}_{band}.fits.fz"]})
    build(tree)
    assert about(tree)["surveys"]["gaia"]["epoch_jyear"] == pytest.approx(epoch, abs=0.01)
    assert read(tree, ["gaia_source_id"]).column(0).null_count == 11


def test_the_units_and_zero_points_of_the_images_are_kept(make_tree):
    tree = make_tree(bands=("R", "I"))
    for band, zero_point in (("R", 23.5), ("I", 23.1)):
        tree.write_image(band, BUNIT="adu/s", MAGZP=zero_point, GAIN=2.0)
    build(tree)
    schema = pq.read_schema(tree.cube)
    assert schema.field("splus_cut_R").metadata[b"unit"] == b"adu/s"
    assert about(tree)["images"] == {
        "R": {"pixel_scale_arcsec": 0.55, "BUNIT": "adu/s", "MAGZP": 23.5, "GAIN": 2.0},
        "I": {"pixel_scale_arcsec": 0.55, "BUNIT": "adu/s", "MAGZP": 23.1, "GAIN": 2.0},
    }


def test_the_epoch_must_come_from_somewhere(make_tree, capsys):
    tree = make_tree()
    tree.write_config(
        splus={
            "catalogue": "main/{field}_dual.fits",
            "images": ["idr6/{field}/{field}_{band}.fits.fz"],
            "epoch_jyear": None,
        }
    )
    build(tree, status=3)
    assert "DATE-OBS" in (tree.output / "failures.jsonl").read_text()


@pytest.mark.parametrize(
    ("cards", "year"),
    [({"MJD-OBS": 0.0}, "1858.9"), ({"MJD-OBS": 2458665.0}, "8590.3")],
)
def test_a_date_that_cannot_be_one_is_refused(make_tree, cards, year):
    """Zero for an unknown date, or a Julian date: the stars would be matched at a wrong epoch."""
    tree = make_tree(bands=("R",))
    tree.write_image("R", **cards)
    images = ["idr6/{field}/{field}_{band}.fits.fz"]
    splus = {"catalogue": "main/{field}_dual.fits", "epoch_jyear": None, "images": images}
    tree.write_config(splus=splus)
    build(tree, status=3)
    failure = json.loads((tree.output / "failures.jsonl").read_text())
    assert failure["file"] == str(tree.image_path("R"))
    assert f"MJD-OBS is {cards['MJD-OBS']}, the year {year}" in failure["reason"]


def test_identifiers_are_not_turned_into_floats_for_the_sake_of_another_field(make_tree):
    """pandas writes integers with missing values as floats: one such file must not spoil others."""
    tree = make_tree(bands=())
    exact = pq.read_table(tree.root / f"vista/{FIELD}.parquet")
    tree.field_name = "SPLUS-t02"
    tree.write_catalogue()
    floats = exact["sourceid"].cast(pa.float64(), safe=False)
    pq.write_table(exact.set_column(0, "sourceid", floats), tree.root / "vista/SPLUS-t02.parquet")
    tree.field_name = FIELD
    (tree.root / "fields.csv").write_text(
        f"field,ra,dec\n{FIELD},{tree.ra},{tree.dec}\nSPLUS-t02,{tree.ra},{tree.dec}\n"
    )
    build(tree, status=3)
    failed = [
        json.loads(line) for line in (tree.output / "failures.jsonl").read_text().splitlines()
    ]
    assert [failure["field"] for failure in failed] == [FIELD]
    assert failed[0]["file"] == "column vista_sourceid"
    assert "int64, which does not fit the double of this run" in failed[0]["reason"]


@pytest.mark.parametrize("values", [np.array(["0", "16", "0", "0"]), np.zeros((4, 2), np.int32)])
def test_duplicate_bits_that_are_none_are_refused(make_tree, values):
    tree = make_tree(bands=())
    path = tree.root / "allStar.fits"
    table = Table.read(path)
    table["EXTRATARG"] = values
    table.write(path, overwrite=True)
    build(tree, status=3)
    failure = json.loads((tree.output / "failures.jsonl").read_text())
    assert failure["file"] == str(path)
    assert "EXTRATARG of type" in failure["reason"]


def test_desi_in_the_healpix_layout(make_tree):
    tree = make_tree()
    grid = HEALPix(nside=64, order="nested")
    pixel = int(grid.lonlat_to_healpix(tree.ra * units.deg, tree.dec * units.deg))
    folder = tree.root / f"desi/healpix/main/dark/{pixel // 100}/{pixel}"
    fibres = tree.desi_fibres()
    tree.write_coadd(folder / f"coadd-main-dark-{pixel}.fits", fibres, seed=1)
    tree.write_redrock(folder / f"redrock-main-dark-{pixel}.fits", fibres)
    tree.write_config(desi={"directory": "desi", "radius_arcsec": 1.0})
    build(tree)
    cube = read(tree)
    assert cube["desi_TARGETID"].to_pylist()[:2] == [39627000000000003, 39627000000000004]
    assert cube["desi_desi_file"][0].as_py() == (
        f"healpix/main/dark/{pixel // 100}/{pixel}/coadd-main-dark-{pixel}.fits"
    )


@pytest.mark.parametrize("layout", ["tiles", "healpix"])
def test_a_run_outside_the_footprint_of_desi_has_its_columns_without_values(make_tree, layout):
    tree = make_tree(bands=())
    (tree.root / "desi_tiles.csv").write_text(f"TILEID,TILERA,TILEDEC\n101,{tree.ra + 20},0\n")
    if layout == "healpix":
        folder = tree.root / "desi/healpix/main/dark/0/7"
        tree.write_coadd(folder / "coadd-main-dark-7.fits", tree.desi_fibres(), seed=1)
        tree.write_config(desi={"directory": "desi"})
    build(tree)
    cube = read(tree, ["desi_TARGETID", "desi_fibermap_FLUX_R", "desi_flux_b"])
    assert all(column.null_count == 16 for column in cube.columns)


def test_columns_of_desi_are_those_near_the_fields_of_the_run(make_tree):
    tree = make_tree(bands=())
    grid = HEALPix(nside=64, order="nested")
    own = int(grid.lonlat_to_healpix(tree.ra * units.deg, tree.dec * units.deg))
    for pixel in (own, 7):
        folder = tree.root / f"desi/healpix/main/dark/{pixel // 100}/{pixel}"
        tree.write_coadd(folder / f"coadd-main-dark-{pixel}.fits", tree.desi_fibres(), seed=1)
    with fits.open(folder / "coadd-main-dark-7.fits", mode="update") as file:
        table = Table(file["FIBERMAP"].data)
        table["ELSEWHERE"] = 1.0
        file["FIBERMAP"] = fits.BinTableHDU(table, name="FIBERMAP")
    tree.write_config(desi={"directory": "desi"})
    build(tree)
    names = pq.read_schema(tree.cube).names
    assert "desi_EBV" in names
    assert "desi_ELSEWHERE" not in names


def test_desi_without_scores_takes_the_signal_to_noise_of_the_pixels(make_tree):
    tree = make_tree()
    ra, dec = tree.at(9, 0.1, 0.0)
    fibre = {"TARGETID": 77, "ra": ra, "dec": dec, "type": "TGT", "status": 0, "snr": 0}
    for number, scale in ((1, 1.0), (2, 9.0), (3, 4.0)):
        path = tree.root / f"desi/101/2022010{number}/coadd-1-101-thru2022010{number}.fits"
        tree.write_coadd(path, [fibre], seed=number, scores=False)
        with fits.open(path, mode="update") as file:
            for arm in "BRZ":
                file[f"{arm}_IVAR"].data *= scale
    build(tree)
    cube = read(tree, ["desi_desi_file", "desi_n_candidates"])
    assert cube["desi_desi_file"][9].as_py() == "101/20220102/coadd-1-101-thru20220102.fits"
    assert cube["desi_n_candidates"][9].as_py() == 3


def test_fibermap_columns_of_all_coadds_are_kept(make_tree):
    tree = make_tree()
    path = tree.root / "desi/102/20210501/coadd-0-102-thru20210501.fits"
    with fits.open(path) as file:
        file["FIBERMAP"].columns.add_col(
            fits.Column("SV3_DESI_TARGET", "K", array=np.array([2**60 + 3]))
        )
        hdus = [hdu.copy() for hdu in file]
        hdus[1] = fits.BinTableHDU.from_columns(file["FIBERMAP"].columns, name="FIBERMAP")
    fits.HDUList(hdus).writeto(path, overwrite=True)
    build(tree)
    cube = read(tree, ["desi_SV3_DESI_TARGET"])
    assert cube.column(0).to_pylist()[:2] == [None, 2**60 + 3]


def test_ztf_in_the_hipscat_layout(make_tree):
    tree = make_tree()
    build(tree)
    expected = read(tree, ["ztf_objectids", "ztf_mag_g"])
    shutil.rmtree(tree.root / "ztf")
    tree.write_ztf(layout="hipscat")
    assert not (tree.root / "ztf/dataset").exists()
    build(tree, "--overwrite")
    assert read(tree, ["ztf_objectids", "ztf_mag_g"]).equals(expected)


def test_matches_across_a_healpix_edge(make_tree):
    """Sources and Gaia rows on either side of a pixel's edge, in two files."""
    grid = HEALPix(nside=256, order="nested")
    lon, lat = grid.boundaries_lonlat([123456], step=8)
    edge = float(lon[0, 4].to_value(units.deg)), float(lat[0, 4].to_value(units.deg))
    tree = make_tree(ra=edge[0], dec=edge[1])
    (folder,) = {path.parent for path in tree.root.glob("gaia_dr3/*")}
    for path in folder.iterdir():
        path.unlink()
    rows = []
    for source in range(16):
        ra, dec = tree.at(source, 0.9 * (-1) ** source, 0.3)
        rows.append({"source_id": tree.gaia_id(source, ra, dec), "ra": ra, "dec": dec})
    by_pixel = {}
    for row in rows:
        by_pixel.setdefault(row["source_id"] >> 43, []).append(row)
    assert len(by_pixel) > 1
    columns = {"source_id": "int64", "ra": "float64", "dec": "float64"}
    for pixel, items in by_pixel.items():
        write_ecsv(folder / f"GaiaSource_{pixel:06d}-{pixel:06d}.csv.gz", columns, items, {})
    build(tree)
    assert read(tree, ["gaia_source_id"]).column(0).to_pylist() == [
        row["source_id"] for row in rows
    ]


def test_the_schema_is_the_runs_whatever_fields_are_named(make_tree):
    """A column that only one field's catalogue has is in every field, null where it is not."""
    tree = make_tree()
    tree.field_name = "SPLUS-t02"
    tree.write_catalogue(extra=np.arange(16, dtype=np.float32))
    for band in BAND_NAMES:
        tree.write_image(band)
    tree.write_vista()
    (tree.root / "fields.csv").write_text(
        f"field,ra,dec\n{FIELD},{tree.ra},{tree.dec}\nSPLUS-t02,{tree.ra},{tree.dec}\n"
    )
    build(tree, "--field", FIELD)
    build(tree, "--field", "SPLUS-t02")
    schemas = [
        pq.read_schema(path).remove_metadata() for path in sorted(tree.output.glob("*.parquet"))
    ]
    assert len(schemas) == 2
    assert schemas[0].equals(schemas[1])
    assert "extra" in schemas[0].names
