"""A compilation of spectroscopic redshifts from the literature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from splus_hypercube.mock.objects import assemble_entries
from splus_hypercube.mock.population import CLASS_NAMES, GALAXY, QUASAR, STAR
from splus_hypercube.mock.sky import Sky
from splus_hypercube.mock.sphere import offset
from splus_hypercube.mock.splus import SplusCatalogue

__all__ = ["SPECZ_RADIUS_ARCSEC", "SpeczRows", "make_specz", "write_specz"]

Int = NDArray[np.int64]

SPECZ_RADIUS_ARCSEC = 1.0

_EPOCH_JYEAR = 2005.0
_SOURCES = np.array(["SDSSDR18", "2dFGRS", "6dFGS", "GAMADR4", "DESIEDR", "NED"])
_SCHEMA = pa.schema(
    [
        pa.field("RA", pa.float64(), metadata={"unit": "deg"}),
        pa.field("DEC", pa.float64(), metadata={"unit": "deg"}),
        pa.field("z", pa.float64()),
        pa.field("e_z", pa.float32()),
        pa.field("f_z", pa.string(), metadata={"description": "quality flag, A best to E worst"}),
        pa.field("class_spec", pa.string()),
        pa.field("source", pa.string()),
        pa.field("original_id", pa.int64()),
    ],
    metadata={"synthetic": "true", "origin": "splus-hypercube mock"},
)


@dataclass(slots=True)
class SpeczRows:
    """Rows of one field.

    Attributes
    ----------
    owner : ndarray of int64, shape (n,)
        Source observed, or -1.
    table : pyarrow.Table
    """

    owner: Int
    table: pa.Table


def make_specz(sky: Sky, catalogue: SplusCatalogue) -> SpeczRows:
    """Redshifts that past surveys of a field have published.

    Parameters
    ----------
    sky : Sky
    catalogue : SplusCatalogue

    Returns
    -------
    SpeczRows
    """
    rng = sky.field.random("specz")
    r_mag = sky.mags["r"]
    chance = np.select(
        [
            (sky.kind == GALAXY) & (r_mag < 18.0),
            (sky.kind == GALAXY) & (r_mag < 20.0),
            sky.kind == QUASAR,
            (sky.kind == STAR) & (r_mag < 19.0),
        ],
        [0.75, 0.30, 0.40, 0.03],
        0.0,
    )
    if sky.field.bare:
        chance[:] = 0.0
    seen = np.flatnonzero(rng.uniform(size=len(sky)) < chance)
    ra, dec = (values[seen] for values in sky.at_epoch(_EPOCH_JYEAR))
    ra, dec = offset(
        ra, dec, 0.12 * rng.standard_normal(len(seen)), 0.12 * rng.standard_normal(len(seen))
    )
    entries = assemble_entries(
        sky.field,
        rng,
        seen=seen,
        seen_ra=ra,
        seen_dec=dec,
        catalogue_ra=catalogue.ra,
        catalogue_dec=catalogue.dec,
        radius_arcsec=SPECZ_RADIUS_ARCSEC,
        lenders=seen,
        strangers_per_seen=0.1,
    )
    # Two surveys may both have measured a galaxy, each with its own position.
    twice = np.flatnonzero((entries.owner >= 0) & (rng.uniform(size=len(entries)) < 0.12))
    row = np.concatenate([np.arange(len(entries)), twice])
    again = np.arange(len(row)) >= len(entries)
    spread = np.where(again, 0.15, 0.0)
    ra, dec = offset(
        entries.ra[row],
        entries.dec[row],
        spread * rng.standard_normal(len(row)),
        spread * rng.standard_normal(len(row)),
    )
    template = entries.template[row]
    error = 10.0 ** rng.normal(-4.0, 0.25, len(row))
    table = pa.table(
        [
            ra,
            dec,
            sky.population.redshift[template] + error * rng.standard_normal(len(row)),
            error.astype(np.float32),
            rng.choice(np.array(["A", "B", "C"]), len(row), p=[0.8, 0.15, 0.05]),
            np.array([name.upper() for name in CLASS_NAMES])[sky.kind[template]],
            rng.choice(_SOURCES, len(row)),
            1_237_650_000_000_000_001 + sky.field.index * 10_000_000 + 2 * np.arange(len(row)),
        ],
        schema=_SCHEMA,
    )
    return SpeczRows(owner=entries.owner[row], table=table)


def write_specz(path: Path, fields: list[SpeczRows]) -> None:
    """Write the rows of all fields as one Parquet file."""
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for rows in fields:
            writer.write_table(rows.table)
