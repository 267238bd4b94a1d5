"""A compilation of spectroscopic redshifts from the literature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from splus_hypercube.mock.objects import CatalogueRows, assemble_entries
from splus_hypercube.mock.population import CLASS_NAMES, GALAXY, QUASAR, STAR
from splus_hypercube.mock.sky import Sky
from splus_hypercube.mock.sphere import offset
from splus_hypercube.mock.splus import SplusCatalogue

__all__ = ["SPECZ_RADIUS_ARCSEC", "make_specz", "write_specz"]


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


def make_specz(sky: Sky, catalogue: SplusCatalogue) -> CatalogueRows:
    """Redshifts of a field that earlier surveys have published.

    Parameters
    ----------
    sky : Sky
    catalogue : SplusCatalogue

    Returns
    -------
    CatalogueRows
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
    entries = assemble_entries(
        sky,
        catalogue,
        rng,
        seen=seen,
        epoch_jyear=_EPOCH_JYEAR,
        scatter_arcsec=0.12,
        radius_arcsec=SPECZ_RADIUS_ARCSEC,
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
    return CatalogueRows(owner=entries.owner[row], table=table)


def write_specz(path: Path, fields: list[CatalogueRows]) -> None:
    """Write the rows of all fields as one Parquet file."""
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for rows in fields:
            writer.write_table(rows.table)
