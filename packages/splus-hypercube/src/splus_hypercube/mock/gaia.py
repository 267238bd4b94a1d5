"""Gaia DR3: which sources it sees, their identifiers, and files by range of HEALPix pixels."""

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
from splus_hypercube.mock.gaia_measurements import (
    GAIA_EPOCH,
    Columns,
    astrometric_error,
    measure_astrometry,
    measure_parameters,
    measure_photometry,
    other_columns,
)
from splus_hypercube.mock.objects import Entries, assemble_entries
from splus_hypercube.mock.photometry import VEGA_OFFSETS
from splus_hypercube.mock.population import GALAXY, STAR
from splus_hypercube.mock.sky import Sky
from splus_hypercube.mock.sphere import space_motion
from splus_hypercube.mock.splus import SplusCatalogue

__all__ = [
    "GAIA_RADIUS_ARCSEC",
    "GaiaCatalogue",
    "make_gaia",
    "source_identifiers",
    "write_by_range",
]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

GAIA_RADIUS_ARCSEC = 1.2

_FAINT_LIMIT_MAG = 21.0
_XP_LIMIT_MAG = 17.65
_COMPACT_GALAXY_ARCSEC = 0.7
_LEVEL_12 = HEALPix(1 << 12, order="nested")
_LEVEL_8 = HEALPix(1 << 8, order="nested")
# The archive cuts the sky into runs of level-8 pixels; here 16, which is one pixel of level 6.
_PIXELS_PER_FILE = 16
_PIXEL_SHIFT_LEVEL_12 = 35
_PIXEL_SHIFT_LEVEL_8 = 43
_RUNNING_NUMBER_SHIFT = 7
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
    """The Gaia sources of one field.

    Attributes
    ----------
    entries : Entries
        Positions at 2016.0.
    source_id : ndarray of int64, shape (n,)
    g_mag : ndarray of float64, shape (n,)
        True G magnitude, Vega.
    has_xp : ndarray of bool, shape (n,)
    table : pyarrow.Table
        All columns, as written.
    """

    entries: Entries
    source_id: Int
    g_mag: Float
    has_xp: Bool
    table: pa.Table

    def at_epoch(self, jyear: float) -> tuple[Float, Float]:
        """Positions that the written columns give at another epoch."""
        pmra, pmdec, parallax, velocity = (
            self.table.column(name).to_numpy().astype(np.float64)
            for name in ("pmra", "pmdec", "parallax", "radial_velocity")
        )
        motion = (pmra, pmdec, parallax, np.nan_to_num(velocity))
        return space_motion(self.entries.ra, self.entries.dec, *motion, jyear - GAIA_EPOCH)


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
    small = np.nan_to_num(sky.population.half_light_arcsec) < _COMPACT_GALAXY_ARCSEC
    compact = (sky.kind != GALAXY) | (small & (rng.uniform(size=len(sky)) < 0.5))
    found = (g_true < _FAINT_LIMIT_MAG) & compact & (rng.uniform(size=len(sky)) < 0.985)
    found |= sky.population.fast >= 0
    seen = np.flatnonzero(found)
    lenders = seen[(sky.kind[seen] == STAR) & (sky.population.fast[seen] < 0)]
    entries = assemble_entries(
        sky,
        catalogue,
        rng,
        seen=seen,
        epoch_jyear=GAIA_EPOCH,
        scatter_arcsec=astrometric_error(g_true[seen]) / 1000.0,
        radius_arcsec=GAIA_RADIUS_ARCSEC,
        lenders=lenders,
        strangers_per_seen=0.12,
    )
    g_mag = g_true[entries.template] + entries.fainter
    has_xp = (g_mag < _XP_LIMIT_MAG) & (sky.kind[entries.template] != GALAXY)
    has_xp &= rng.uniform(size=len(entries)) < 0.97
    source_id = _source_ids(entries)
    columns: Columns = {
        **measure_astrometry(sky, entries, g_mag, rng),
        **measure_photometry(sky, entries, rng),
        **measure_parameters(sky, entries, g_mag, rng),
        **other_columns(len(entries), rng),
        "source_id": source_id,
        "designation": np.array([f"Gaia DR3 {number}" for number in source_id.tolist()]),
        "has_xp_continuous": has_xp,
        "has_xp_sampled": has_xp & (g_mag < 15.0),
    }
    return GaiaCatalogue(entries, source_id, g_mag, has_xp, _to_arrow(columns))


def source_identifiers(gaia: GaiaCatalogue, count: int) -> Int:
    """The Gaia identifier of each of ``count`` sources, 0 for sources that Gaia does not see."""
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
    reach = (1.5 * field.half_size_arcsec + 150.0) * u.arcsec
    touched = _LEVEL_8.cone_search_lonlat(field.ra * u.deg, field.dec * u.deg, radius=reach)
    source_id = np.asarray(table.column("source_id").to_numpy())
    block = (source_id >> _PIXEL_SHIFT_LEVEL_8) // _PIXELS_PER_FILE
    for number in np.union1d(touched // _PIXELS_PER_FILE, block).tolist():
        first = number * _PIXELS_PER_FILE
        name = f"{prefix}_{first:06d}-{first + _PIXELS_PER_FILE - 1:06d}.csv.gz"
        rows = np.flatnonzero(block == number)
        rows = rows[np.argsort(source_id[rows], kind="stable")]
        write_ecsv(folder / name, columns, table.take(pa.array(rows)))


def _source_ids(entries: Entries) -> Int:
    """Identifiers whose value over 2^35 is the level-12 pixel, as in the archive."""
    pixel = np.asarray(_LEVEL_12.lonlat_to_healpix(entries.ra * u.deg, entries.dec * u.deg))
    number = np.arange(1, len(entries) + 1, dtype=np.int64)
    return (pixel.astype(np.int64) << _PIXEL_SHIFT_LEVEL_12) | (number << _RUNNING_NUMBER_SHIFT)


def _to_arrow(columns: Columns) -> pa.Table:
    """Arrays with the archive's types; NaN and empty text become null."""
    arrays = []
    for column in GAIA_COLUMNS:
        values = columns[column.name]
        if column.datatype == "string":
            arrays.append(pa.array([item or None for item in values.tolist()], pa.string()))
        else:
            kind = _ARROW_TYPES[column.datatype]
            arrays.append(pa.array(values, from_pandas=True).cast(kind, safe=False))
    return pa.table(arrays, names=[column.name for column in GAIA_COLUMNS])
