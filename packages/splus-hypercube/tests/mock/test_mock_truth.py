"""The truth table against the files, read and matched by other libraries."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.io import fits
from astropy.table import Table, vstack
from astropy.time import Time

FIELDS = ("SPLUS-s02s05", "SPLUS-s23s01", "SPLUS-s90s01", "SPLUS-n05s02")


pytestmark = [
    # Gaia's own units, such as 'dex' in quotes, are not all known to astropy.
    pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning"),
    # ERFA says so when it keeps a far star below the speed of light.
    pytest.mark.filterwarnings("ignore:.*distance overridden"),
]


@pytest.fixture(scope="module")
def gaia(mock_tree: Path) -> Table:
    """All Gaia sources, with positions at the epoch of the images in ``then``."""
    tables = [
        Table.read(path, format="ascii.ecsv", fill_values=[("null", "0")])
        for path in sorted((mock_tree / "gaia_dr3").glob("*.csv.gz"))
    ]
    table = vstack([item for item in tables if len(item)], metadata_conflicts="silent")
    values = {
        name: np.ma.filled(np.ma.array(table[name].data, dtype=float, copy=True), np.nan)
        for name in ("ra", "dec", "pmra", "pmdec", "parallax", "radial_velocity")
    }
    moving = np.isfinite(values["pmra"])
    parallax = np.maximum(values["parallax"][moving], 1e-3)
    velocity = np.nan_to_num(values["radial_velocity"][moving])
    start = SkyCoord(
        values["ra"][moving] * u.deg,
        values["dec"][moving] * u.deg,
        distance=1000.0 / parallax * u.pc,
        pm_ra_cosdec=values["pmra"][moving] * u.mas / u.yr,
        pm_dec=values["pmdec"][moving] * u.mas / u.yr,
        radial_velocity=velocity * u.km / u.s,
        obstime=Time(2016.0, format="jyear", scale="tcb"),
    )
    then = start.apply_space_motion(new_obstime=Time(2019.5, format="jyear", scale="tcb"))
    for name, moved in (("ra", then.ra), ("dec", then.dec)):
        values[name][moving] = moved.to_value(u.deg)
    table["then"] = SkyCoord(values["ra"], values["dec"], unit="deg")
    return table


@pytest.fixture(scope="module", params=FIELDS)
def one(
    request: pytest.FixtureRequest, mock_tree: Path, mock_truth
) -> tuple[SkyCoord, pd.DataFrame]:
    """Catalogue positions of a field, as its file has them, and its truth."""
    catalogue = Table.read(mock_tree / "main" / f"{request.param}_dual.fits")
    frame = mock_truth.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    frame = frame[frame["field"] == request.param].reset_index(drop=True)
    assert catalogue["id"].astype(str).tolist() == frame["id"].tolist()
    return SkyCoord(catalogue["ra"], catalogue["dec"], unit="deg"), frame


def match(sources: SkyCoord, others: SkyCoord, radius: float):
    """Row of the nearest (or -1) and number of candidates within the radius, by astropy."""
    nearest = np.full(len(sources), -1)
    if not len(others):
        return nearest, np.zeros(len(sources), dtype=int)
    left, right, separation, _ = search_around_sky(sources, others, radius * u.arcsec)
    for row in np.argsort(-separation.arcsec, kind="stable"):
        nearest[left[row]] = right[row]
    return nearest, np.bincount(left, minlength=len(sources))


def agree(found: np.ndarray, expected: pd.Series, nearest: np.ndarray) -> None:
    matched = nearest >= 0
    assert (expected.notna().to_numpy() == matched).all()
    values = np.asarray(found)[nearest[matched]].tolist()
    assert values == expected[matched].tolist()


def test_gaia(one, gaia):
    sources, truth = one
    nearest, count = match(sources, gaia["then"], 1.2)
    agree(gaia["source_id"], truth["gaia_source_id"], nearest)
    assert count.tolist() == truth["gaia_n_candidates"].tolist()
    assert (count > 1).any()


def test_gaia_at_its_own_epoch_would_lose_the_fast_stars(one, gaia):
    sources, truth = one
    fast = np.hypot(truth["pmra"], truth["pmdec"]).fillna(0.0).to_numpy() > 1000.0
    assert fast.sum() == 4
    assert truth["gaia_is_same_source"][fast].all()
    unmoved = SkyCoord(gaia["ra"], gaia["dec"], unit="deg")
    nearest, _ = match(sources, unmoved, 1.2)
    same = np.array(gaia["source_id"])[nearest] == truth["gaia_source_id"].to_numpy()
    assert not ((nearest >= 0) & same)[fast].any()


def test_gaia_xp(one, mock_tree):
    _, truth = one
    spectra = pd.concat(
        pd.read_csv(path, comment="#", usecols=["source_id"])
        for path in (mock_tree / "gaia_xp").glob("*.csv.gz")
    )
    listed = truth["gaia_source_id"].isin(spectra["source_id"].tolist())
    assert listed.tolist() == truth["has_xp"].tolist()
    assert listed.any()


def test_ztf(one, mock_tree):
    sources, truth = one
    frame = pd.concat(
        pd.read_parquet(path, columns=["objectid", "objra", "objdec"])
        for path in sorted((mock_tree / "ztf" / "dataset").glob("Norder=*/Dir=*/Npix=*.parquet"))
    )
    others = SkyCoord(frame["objra"], frame["objdec"], unit="deg")
    nearest, count = match(sources, others, 1.0)
    agree(frame["objectid"].to_numpy(), truth["ztf_objectid"], nearest)
    assert count.tolist() == truth["ztf_n_candidates"].tolist()
    left, right, _, _ = search_around_sky(sources, others, 1.0 * u.arcsec)
    for row, listed in enumerate(truth["ztf_objectids"]):
        expected = set(frame["objectid"].to_numpy()[right[left == row]].tolist())
        assert set([] if listed is None else listed) == expected


def test_desi(one, mock_tree):
    sources, truth = one
    rows = []
    for path in sorted((mock_tree / "desi").glob("*/*/coadd-*.fits")):
        with fits.open(path) as hdus:
            fibres, scores = hdus["FIBERMAP"].data, hdus["SCORES"].data
            good = (fibres["OBJTYPE"] == "TGT") & (fibres["COADD_FIBERSTATUS"] == 0)
            good &= np.isfinite(fibres["TARGET_RA"])
            signal = np.stack([scores[f"MEDIAN_COADD_SNR_{arm}"] for arm in "BRZ"], axis=1)
            name = path.relative_to(mock_tree / "desi").as_posix()
            rows += [
                (int(identifier), float(ra), float(dec), signal[place], name)
                for place, (identifier, ra, dec) in enumerate(
                    zip(fibres["TARGETID"], fibres["TARGET_RA"], fibres["TARGET_DEC"], strict=True)
                )
                if good[place]
            ]
    others = SkyCoord([row[1] for row in rows], [row[2] for row in rows], unit="deg")
    left, right, separation, _ = search_around_sky(sources, others, 1.0 * u.arcsec)
    count = np.bincount(left, minlength=len(sources))
    assert count.tolist() == truth["desi_n_candidates"].tolist()
    assert truth["desi_TARGETID"].notna().tolist() == (count > 0).tolist()
    repeated = 0
    for row in np.unique(left).tolist():
        candidates = right[left == row]
        nearest = candidates[np.argmin(separation[left == row])]
        assert rows[nearest][0] == truth["desi_TARGETID"][row]
        # The target with the smallest separation also has the best signal in each arm.
        for arm in range(3):
            best = candidates[np.argmax([rows[i][3][arm] for i in candidates])]
            assert rows[best][0] == truth["desi_TARGETID"][row]
            assert rows[best][4] == truth["desi_desi_file"][row]
        repeated += len(candidates) > 1
    assert repeated or not len(left)


def test_apogee(one, mock_tree):
    sources, truth = one
    table = Table.read(mock_tree / "allStar-dr17-synspec_rev1.fits")
    assert ((table["EXTRATARG"] & 16) != 0).any()
    table = table[(table["EXTRATARG"] & 16) == 0]
    nearest, count = match(sources, SkyCoord(table["RA"], table["DEC"], unit="deg"), 1.0)
    agree(table["APOGEE_ID"].astype(str), truth["apogee_APOGEE_ID"], nearest)
    assert count.tolist() == truth["apogee_n_candidates"].tolist()


def test_specz(one, mock_tree):
    sources, truth = one
    frame = pd.read_parquet(mock_tree / "specz_compilation.parquet")
    nearest, count = match(sources, SkyCoord(frame["RA"], frame["DEC"], unit="deg"), 1.0)
    agree(frame["z"].to_numpy(), truth["specz_z"], nearest)
    assert count.tolist() == truth["specz_n_candidates"].tolist()


def test_vista(one, mock_tree):
    sources, truth = one
    frame = pd.read_parquet(mock_tree / "vista" / f"{truth['field'][0]}.parquet")
    nearest, count = match(sources, SkyCoord(frame["ra2000"], frame["dec2000"], unit="deg"), 1.0)
    agree(frame["sourceid"].to_numpy(), truth["vista_sourceid"], nearest)
    assert count.tolist() == truth["vista_n_candidates"].tolist()


def test_the_bare_field_has_gaia_alone(one):
    _, truth = one
    others = ("ztf", "desi", "apogee", "specz", "vista")
    seen = {name: int((truth[f"{name}_n_candidates"] > 0).sum()) for name in (*others, "gaia")}
    assert seen["gaia"] > 0
    if truth["field"][0] == FIELDS[3]:
        assert not any(seen[name] for name in others)
    else:
        assert all(seen[name] for name in others)


def test_most_matches_are_of_the_same_source(one):
    _, truth = one
    surveys = ("gaia", "ztf", "desi", "apogee", "specz", "vista")
    same = pd.concat([truth[f"{survey}_is_same_source"].dropna() for survey in surveys])
    assert same.mean() > 0.95


def test_some_strangers_lie_just_outside_the_radius(one, mock_tree, gaia):
    sources, truth = one
    lonely = np.flatnonzero(truth["gaia_n_candidates"] == 0)
    left, _, _, _ = search_around_sky(sources[lonely], gaia["then"], 2.5 * u.arcsec)
    assert len(left)


def test_what_a_source_is_fits_together(mock_truth):
    frame = mock_truth.to_pandas()
    star = frame["class"] == "star"
    assert frame["teff"].notna().tolist() == star.tolist()
    assert frame["young_fraction"].notna().tolist() == (frame["class"] == "galaxy").tolist()
    assert (frame.loc[star, "redshift"].abs() < 0.003).all()
    assert (frame.loc[~star, "redshift"] > 0.003).all()
    assert set(frame["class"]) == {"star", "galaxy", "qso"}
    assert frame["id"].is_unique
    parallax = 1000.0 / frame.loc[star, "distance_pc"]
    np.testing.assert_allclose(parallax, frame.loc[star, "parallax"], rtol=1e-6)
    assert mock_truth.schema.metadata[b"synthetic"] == b"true"
    assert mock_truth.schema.field("teff").metadata == {b"unit": b"K"}
