"""The truth table: what each source is, and which entry of each survey a correct match finds.

Matches follow the rules of the hypercube (nearest within the radius, inclusive, after the quality
cuts; Gaia at the epoch of the field), applied to the positions as written. They are found by the
sweep of `sphere.neighbours`, which shares no code with the package's own matching.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from splus_hypercube.bands import BANDS
from splus_hypercube.mock.apogee import APOGEE_RADIUS_ARCSEC, DUPLICATE_BIT, ApogeeRows
from splus_hypercube.mock.desi import DESI_RADIUS_ARCSEC, DesiTile, Targets
from splus_hypercube.mock.extinction import TOTAL_TO_SELECTIVE
from splus_hypercube.mock.fields import EPOCH_JYEAR
from splus_hypercube.mock.gaia import GAIA_RADIUS_ARCSEC, GaiaCatalogue
from splus_hypercube.mock.images import Apertures
from splus_hypercube.mock.objects import CatalogueRows
from splus_hypercube.mock.population import CLASS_NAMES, GALAXY, STAR
from splus_hypercube.mock.sky import Sky
from splus_hypercube.mock.specz import SPECZ_RADIUS_ARCSEC
from splus_hypercube.mock.sphere import neighbours
from splus_hypercube.mock.splus import SplusCatalogue
from splus_hypercube.mock.vista import VISTA_RADIUS_ARCSEC
from splus_hypercube.mock.ztf import ZTF_RADIUS_ARCSEC, ZtfObjects

__all__ = ["Matches", "SurveyRows", "desi_matches", "spectra_table", "truth_table"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_UNITS = {
    "ra": "deg",
    "dec": "deg",
    "true_ra": "deg",
    "true_dec": "deg",
    "teff": "K",
    "logg": "log10(cm/s2)",
    "feh": "dex",
    "alpha_fe": "dex",
    "extinction": "mag",
    "distance_pc": "pc",
    "radial_velocity": "km/s",
    "pmra": "mas/yr",
    "pmdec": "mas/yr",
    "parallax": "mas",
    "halpha_width_angstrom": "angstrom",
}
_VARIABILITY = np.array(["constant", "rr_lyrae", "eclipsing", "damped_random_walk"])


@dataclass(slots=True)
class SurveyRows:
    """All that other surveys wrote of one field."""

    gaia: GaiaCatalogue
    ztf: ZtfObjects
    targets: Targets
    tiles: list[DesiTile]
    petals: list[Int]
    apogee: ApogeeRows
    specz: CatalogueRows
    vista: CatalogueRows


@dataclass(slots=True)
class Matches:
    """Candidates of each source in one survey.

    Attributes
    ----------
    nearest : ndarray of int64, shape (n,)
        Row of the nearest candidate, or -1.
    separation : ndarray of float64, shape (n,)
        Its separation, arcsec; NaN without one.
    count : ndarray of int64, shape (n,)
        Number of candidates within the radius.
    left, right : ndarray of int64
        All pairs, ordered by source and separation.
    """

    nearest: Int
    separation: Float
    count: Int
    left: Int
    right: Int

    @classmethod
    def find(
        cls, catalogue: SplusCatalogue, ra: Float, dec: Float, radius_arcsec: float
    ) -> Matches:
        """Match the S-PLUS catalogue to other positions."""
        total = len(catalogue.ra)
        left, right, separation = neighbours(catalogue.ra, catalogue.dec, ra, dec, radius_arcsec)
        first = np.searchsorted(left, np.arange(total))
        count = np.bincount(left, minlength=total)
        found = count > 0
        nearest = np.full(total, -1, dtype=np.int64)
        nearest[found] = right[first[found]]
        closest = np.full(total, np.nan)
        closest[found] = separation[first[found]]
        return cls(nearest, closest, count, left, right)

    def pick(self, values: NDArray[np.generic]) -> pa.Array:
        """Values of the nearest candidates, null without one."""
        missing = self.nearest < 0
        if not len(values):
            return pa.nulls(len(self.nearest), pa.array(values).type)
        return pa.array(values[np.maximum(self.nearest, 0)], mask=missing)

    def columns(self, survey: str, owner: Int) -> dict[str, pa.Array]:
        """Number of candidates, separation, and whether the nearest is the source itself."""
        own = np.asarray(owner)[np.maximum(self.nearest, 0)] if len(owner) else self.nearest
        missing = self.nearest < 0
        return {
            f"{survey}_n_candidates": pa.array(self.count),
            f"{survey}_separation_arcsec": pa.array(self.separation, mask=missing),
            f"{survey}_is_same_source": pa.array(own == np.arange(len(missing)), mask=missing),
        }


def truth_table(
    sky: Sky, catalogue: SplusCatalogue, apertures: Apertures, rows: SurveyRows
) -> pa.Table:
    """One row per S-PLUS source of a field.

    Parameters
    ----------
    sky : Sky
    catalogue : SplusCatalogue
    apertures : Apertures
    rows : SurveyRows

    Returns
    -------
    pyarrow.Table
        Units are in the metadata of the fields.
    """
    columns: dict[str, pa.Array] = {
        **_source_columns(sky, catalogue, apertures),
        **_survey_columns(catalogue, rows),
    }
    fields = []
    for name, values in columns.items():
        unit = _UNITS.get(name, "")
        if name.startswith("mag_"):
            unit = "mag"
        elif name.startswith("aperture_"):
            unit = "adu/s"
        elif name.endswith("_arcsec"):
            unit = "arcsec"
        fields.append(pa.field(name, values.type, metadata={"unit": unit} if unit else None))
    metadata = {"synthetic": "true", "origin": "splus-hypercube mock"}
    return pa.table(list(columns.values()), schema=pa.schema(fields, metadata=metadata))


def _source_columns(
    sky: Sky, catalogue: SplusCatalogue, apertures: Apertures
) -> dict[str, pa.Array]:
    population = sky.population
    star, galaxy = sky.kind == STAR, sky.kind == GALAXY
    columns: dict[str, pa.Array] = {
        "field": pa.array([sky.field.name] * len(sky)),
        "id": pa.array(catalogue.ids.tolist()),
        "ra": pa.array(catalogue.ra),
        "dec": pa.array(catalogue.dec),
        "true_ra": pa.array(sky.ra),
        "true_dec": pa.array(sky.dec),
        "class": pa.array(np.array(CLASS_NAMES)[sky.kind].tolist()),
        "variability": pa.array(_VARIABILITY[sky.variability].tolist()),
        "redshift": pa.array(population.redshift),
        "extinction": pa.array(TOTAL_TO_SELECTIVE * population.ebv),
    }
    for name, values in (
        ("teff", population.teff),
        ("logg", population.logg),
        ("feh", population.feh),
        ("alpha_fe", population.alpha_fe),
        ("distance_pc", population.distance_pc),
        ("radial_velocity", sky.radial_velocity),
        ("pmra", sky.pmra),
        ("pmdec", sky.pmdec),
        ("parallax", sky.parallax),
    ):
        columns[name] = pa.array(values, mask=~star)
    for name, values in (
        ("young_fraction", population.light[:, -1]),
        ("halpha_width_angstrom", population.halpha_width),
        ("half_light_radius_arcsec", population.half_light_arcsec),
        ("axis_ratio", population.axis_ratio),
    ):
        columns[name] = pa.array(values, mask=~galaxy)
    for band in BANDS:
        columns[f"mag_{band.catalogue_name}"] = pa.array(sky.mags[band.catalogue_name])
    for band in BANDS:
        columns[f"aperture_flux_{band.catalogue_name}"] = pa.array(apertures.own[band.name])
        columns[f"aperture_flux_with_neighbours_{band.catalogue_name}"] = pa.array(
            apertures.blended[band.name]
        )
    return columns


def _survey_columns(catalogue: SplusCatalogue, rows: SurveyRows) -> dict[str, pa.Array]:
    gaia = rows.gaia
    at_gaia = Matches.find(catalogue, *gaia.at_epoch(EPOCH_JYEAR), GAIA_RADIUS_ARCSEC)
    columns = {"gaia_source_id": at_gaia.pick(gaia.source_id)}
    columns.update(at_gaia.columns("gaia", gaia.entries.owner))
    has_xp = np.zeros(len(catalogue.ra), dtype=bool)
    found = at_gaia.nearest >= 0
    has_xp[found] = gaia.has_xp[at_gaia.nearest[found]]
    columns["has_xp"] = pa.array(has_xp)

    ztf = rows.ztf
    at_ztf = Matches.find(catalogue, ztf.ra, ztf.dec, ZTF_RADIUS_ARCSEC)
    columns["ztf_objectid"] = at_ztf.pick(ztf.objectid)
    offsets = np.concatenate([[0], np.cumsum(at_ztf.count)]).astype(np.int32)
    missing = np.append(at_ztf.count == 0, False)
    columns["ztf_objectids"] = pa.ListArray.from_arrays(
        pa.array(offsets, mask=missing), pa.array(ztf.objectid[at_ztf.right], pa.int64())
    )
    columns.update(at_ztf.columns("ztf", ztf.owner))

    columns.update(_desi_columns(catalogue, rows))

    values = rows.apogee.values
    unique = np.flatnonzero(np.asarray(values["EXTRATARG"]).astype(np.int64) & DUPLICATE_BIT == 0)
    at_apogee = Matches.find(
        catalogue,
        np.asarray(values["RA"], dtype=np.float64)[unique],
        np.asarray(values["DEC"], dtype=np.float64)[unique],
        APOGEE_RADIUS_ARCSEC,
    )
    columns["apogee_APOGEE_ID"] = at_apogee.pick(
        np.asarray(values["APOGEE_ID"], dtype=object)[unique]
    ).cast(pa.string())
    columns.update(at_apogee.columns("apogee", rows.apogee.owner[unique]))

    table = rows.specz.table
    at_specz = Matches.find(
        catalogue,
        table.column("RA").to_numpy(),
        table.column("DEC").to_numpy(),
        SPECZ_RADIUS_ARCSEC,
    )
    columns["specz_z"] = at_specz.pick(table.column("z").to_numpy())
    columns.update(at_specz.columns("specz", rows.specz.owner))

    table = rows.vista.table
    at_vista = Matches.find(
        catalogue,
        table.column("ra2000").to_numpy(),
        table.column("dec2000").to_numpy(),
        VISTA_RADIUS_ARCSEC,
    )
    columns["vista_sourceid"] = at_vista.pick(table.column("sourceid").to_numpy())
    columns.update(at_vista.columns("vista", rows.vista.owner))
    return columns


def desi_matches(catalogue: SplusCatalogue, tiles: list[DesiTile]) -> tuple[Matches, Int, Int]:
    """Match to usable fibres; of several of one target, the tile with less noise wins.

    Returns
    -------
    matches : Matches
        Of rows of the concatenated usable fibres.
    tile, fibre : ndarray of int64
        Tile and row within it of each usable fibre.
    """
    none = np.zeros(0, dtype=np.int64)
    tile, fibre, ra, dec = [none], [none], [np.zeros(0)], [np.zeros(0)]
    # Of equal separations the first row is the nearest: the better tiles come first.
    for number in sorted(range(len(tiles)), key=lambda place: tiles[place].noise):
        rows = np.flatnonzero(tiles[number].usable)
        tile.append(np.full(len(rows), number))
        fibre.append(rows)
        ra.append(tiles[number].fibre_ra[rows])
        dec.append(tiles[number].fibre_dec[rows])
    matches = Matches.find(catalogue, np.concatenate(ra), np.concatenate(dec), DESI_RADIUS_ARCSEC)
    return matches, np.concatenate(tile), np.concatenate(fibre)


def _desi_columns(catalogue: SplusCatalogue, rows: SurveyRows) -> dict[str, pa.Array]:
    matches, tile, fibre = desi_matches(catalogue, rows.tiles)
    identifier = np.zeros(len(tile), dtype=np.int64)
    owner = np.full(len(tile), -1, dtype=np.int64)
    path = np.empty(len(tile), dtype=object)
    for number, (one, petal) in enumerate(zip(rows.tiles, rows.petals, strict=True)):
        part = tile == number
        identifier[part] = one.fibre_id[fibre[part]]
        target = one.target[fibre[part]]
        owner[part] = np.where(target >= 0, rows.targets.owner[target], -1)
        place = f"{one.tileid}/{one.night}"
        path[part] = [
            f"{place}/coadd-{spectrograph}-{one.tileid}-thru{one.night}.fits"
            for spectrograph in petal[fibre[part]].tolist()
        ]
    columns = {
        "desi_TARGETID": matches.pick(identifier),
        "desi_desi_file": matches.pick(path).cast(pa.string()),
    }
    columns.update(matches.columns("desi", owner))
    return columns


def spectra_table(targets: Targets) -> pa.Table:
    """Noiseless DESI spectra, one row per target, 1e-17 erg/s/cm2/angstrom."""
    arrays: dict[str, pa.Array] = {"TARGETID": pa.array(targets.targetid, pa.int64())}
    for arm, flux in targets.spectra.items():
        flat = pa.array(np.ascontiguousarray(flux, dtype=np.float32).ravel())
        arrays[f"flux_{arm}"] = pa.FixedSizeListArray.from_arrays(flat, flux.shape[1])
    table = pa.table(arrays)
    return table.replace_schema_metadata(
        {
            "synthetic": "true",
            "origin": "splus-hypercube mock",
            "unit": "1e-17 erg/s/cm2/angstrom",
        }
    )
