"""Gaia DR3: positions at 2016.0, motions, photometry and parameters, in files by HEALPix range."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy import units as u
from astropy_healpix import HEALPix
from numpy.typing import NDArray

from splus_hypercube.mock.ecsv import EcsvColumn, write_ecsv
from splus_hypercube.mock.fields import MockField
from splus_hypercube.mock.gaia_columns import GAIA_COLUMNS
from splus_hypercube.mock.objects import Entries, assemble_entries
from splus_hypercube.mock.photometry import VEGA_OFFSETS, noisy_magnitudes
from splus_hypercube.mock.population import GALAXY, QUASAR, STAR
from splus_hypercube.mock.sky import DAMPED_WALK, RR_LYRAE, Sky
from splus_hypercube.mock.splus import SplusCatalogue
from splus_hypercube.mock.sphere import offset, space_motion

__all__ = [
    "GAIA_EPOCH",
    "GAIA_RADIUS_ARCSEC",
    "GaiaCatalogue",
    "make_gaia",
    "source_identifiers",
    "write_by_range",
]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

GAIA_EPOCH = 2016.0
GAIA_RADIUS_ARCSEC = 1.2
XP_LIMIT_MAG = 17.65

_SOLUTION_ID = 1636148068921376768
_FAINT_LIMIT_MAG = 21.0
_LEVEL_12 = HEALPix(1 << 12, order="nested")
_LEVEL_8 = HEALPix(1 << 8, order="nested")
# A file of the archive holds a run of level-8 pixels; here 16, which is one pixel of level 6.
_PIXELS_PER_FILE = 16
_FLUX_ZERO_POINTS = {"gaia_g": 25.6874, "gaia_bp": 25.3385, "gaia_rp": 24.7479}
_ARROW_TYPES = {
    "int64": pa.int64(),
    "int16": pa.int16(),
    "float64": pa.float64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


@dataclass(slots=True)
class GaiaCatalogue:
    """What Gaia says of one field.

    Attributes
    ----------
    entries : Entries
        Positions at 2016.0.
    source_id : ndarray of int64, shape (n,)
    pmra, pmdec, parallax, radial_velocity : ndarray of float64, shape (n,)
        As written; NaN for null.
    g_mag : ndarray of float64, shape (n,)
        True G magnitude, Vega.
    has_xp : ndarray of bool, shape (n,)
    table : pyarrow.Table
        All columns.
    """

    entries: Entries
    source_id: Int
    pmra: Float
    pmdec: Float
    parallax: Float
    radial_velocity: Float
    g_mag: Float
    has_xp: Bool
    table: pa.Table

    def at_epoch(self, jyear: float) -> tuple[Float, Float]:
        """Positions that the written columns give at another epoch."""
        return space_motion(
            self.entries.ra,
            self.entries.dec,
            self.pmra,
            self.pmdec,
            self.parallax,
            np.nan_to_num(self.radial_velocity),
            jyear - GAIA_EPOCH,
        )


def make_gaia(sky: Sky, catalogue: SplusCatalogue) -> GaiaCatalogue:
    """Let Gaia observe a field.

    Parameters
    ----------
    sky : Sky
    catalogue : SplusCatalogue

    Returns
    -------
    GaiaCatalogue
    """
    rng = sky.field.random("gaia")
    g_true = sky.mags["gaia_g"] - VEGA_OFFSETS["gaia_g"]
    compact = (sky.kind != GALAXY) | (
        (np.nan_to_num(sky.population.half_light_arcsec) < 0.7) & (rng.uniform(size=len(sky)) < 0.5)
    )
    found = (g_true < _FAINT_LIMIT_MAG) & compact & (rng.uniform(size=len(sky)) < 0.985)
    found |= sky.population.fast >= 0
    seen = np.flatnonzero(found)
    ra, dec = (values[seen] for values in sky.at_epoch(GAIA_EPOCH))
    spread = astrometric_error(g_true[seen]) / 1000.0
    ra, dec = offset(ra, dec, spread * rng.normal(size=len(seen)), spread * rng.normal(size=len(seen)))
    lenders = seen[sky.kind[seen] == STAR]
    entries = assemble_entries(
        sky.field,
        rng,
        seen=seen,
        seen_ra=ra,
        seen_dec=dec,
        catalogue_ra=catalogue.ra,
        catalogue_dec=catalogue.dec,
        radius_arcsec=GAIA_RADIUS_ARCSEC,
        lenders=lenders[sky.population.fast[lenders] < 0],
        strangers_per_seen=0.12,
    )
    columns = measure_astrometry(sky, entries, rng)
    g_mag = g_true[entries.template] + entries.fainter
    columns.update(measure_photometry(sky, entries, rng))
    columns.update(measure_parameters(sky, entries, g_mag, rng))
    columns.update(other_columns(len(entries), rng))
    source_id = _source_ids(entries)
    has_xp = (g_mag < XP_LIMIT_MAG) & (sky.kind[entries.template] != GALAXY)
    has_xp &= rng.uniform(size=len(entries)) < 0.97
    columns["source_id"] = source_id
    columns["designation"] = np.array([f"Gaia DR3 {number}" for number in source_id.tolist()])
    columns["has_xp_continuous"] = has_xp
    columns["has_xp_sampled"] = has_xp & (g_mag < 15.0)
    return GaiaCatalogue(
        entries=entries,
        source_id=source_id,
        pmra=columns["pmra"],
        pmdec=columns["pmdec"],
        parallax=columns["parallax"],
        radial_velocity=columns["radial_velocity"].astype(np.float32).astype(np.float64),
        g_mag=g_mag,
        has_xp=has_xp,
        table=_to_arrow(columns),
    )


def source_identifiers(gaia: GaiaCatalogue, count: int) -> Int:
    """The Gaia identifier of each source, 0 for what Gaia does not see."""
    identifiers = np.zeros(count, dtype=np.int64)
    own = gaia.entries.owner >= 0
    identifiers[gaia.entries.owner[own]] = gaia.source_id[own]
    return identifiers


def write_by_range(
    folder: Path,
    prefix: str,
    field: MockField,
    columns: list[EcsvColumn],
    table: pa.Table,
) -> None:
    """Write rows into files named by their inclusive ranges of level-8 pixels.

    Parameters
    ----------
    folder : Path
    prefix : str
        ``GaiaSource`` or ``XpContinuousMeanSpectrum``.
    field : MockField
        Every range that the field touches gets its file, even one without rows.
    columns : list of EcsvColumn
    table : pyarrow.Table
        With ``source_id``.
    """
    centre = (field.ra * u.deg, field.dec * u.deg)
    reach = (1.5 * field.half_size_arcsec + 150.0) * u.arcsec
    touched = _LEVEL_8.cone_search_lonlat(*centre, radius=reach) // _PIXELS_PER_FILE
    source_id = np.asarray(table.column("source_id").to_numpy())
    block = (source_id >> 43) // _PIXELS_PER_FILE
    for number in np.union1d(touched, block).tolist():
        first = number * _PIXELS_PER_FILE
        name = f"{prefix}_{first:06d}-{first + _PIXELS_PER_FILE - 1:06d}.csv.gz"
        rows = np.flatnonzero(block == number)
        rows = rows[np.argsort(source_id[rows], kind="stable")]
        write_ecsv(folder / name, columns, table.take(pa.array(rows)))


def _source_ids(entries: Entries) -> Int:
    pixel = np.asarray(_LEVEL_12.lonlat_to_healpix(entries.ra * u.deg, entries.dec * u.deg))
    number = np.arange(1, len(entries) + 1, dtype=np.int64)
    return (pixel.astype(np.int64) << 35) | (number << 7)


def _to_arrow(columns: dict[str, NDArray[np.generic]]) -> pa.Table:
    arrays = []
    for column in GAIA_COLUMNS:
        values = pa.array(columns[column.name], from_pandas=True)
        if column.datatype == "string":
            text = np.asarray(columns[column.name])
            values = pa.array([item or None for item in text.tolist()], pa.string())
        arrays.append(values.cast(_ARROW_TYPES[column.datatype]))
    return pa.table(arrays, names=[column.name for column in GAIA_COLUMNS])
