"""VISTA near-infrared photometry of a field (VHS)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from splus_hypercube.mock.objects import CatalogueRows, Entries, assemble_entries
from splus_hypercube.mock.photometry import VEGA_OFFSETS, noisy_magnitudes
from splus_hypercube.mock.population import GALAXY
from splus_hypercube.mock.sky import Sky
from splus_hypercube.mock.splus import SplusCatalogue

__all__ = ["VISTA_RADIUS_ARCSEC", "make_vista", "write_vista"]

Float = NDArray[np.float64]

VISTA_RADIUS_ARCSEC = 1.0

_EPOCH_JYEAR = 2012.0
# Magnitude (Vega) of a signal-to-noise ratio of 5, and part of the sky observed, by band.
_DEPTHS = {"y": (20.4, 0.85), "j": (20.2, 0.98), "h": (19.3, 0.75), "ks": (18.6, 0.97)}
_APERTURES = {3: 1.0, 4: 1.42, 6: 2.85}  # radius in arcsec
_PSF_HALF_LIGHT_ARCSEC = 0.45


def make_vista(sky: Sky, catalogue: SplusCatalogue) -> CatalogueRows:
    """Let VISTA observe a field; it is deeper than S-PLUS and finds more.

    Parameters
    ----------
    sky : Sky
    catalogue : SplusCatalogue

    Returns
    -------
    CatalogueRows
    """
    rng = sky.field.random("vista")
    j_mag = sky.mags["vista_j"] - VEGA_OFFSETS["vista_j"]
    found = (j_mag < _DEPTHS["j"][0] + 0.2) & (rng.uniform(size=len(sky)) < 0.96)
    if sky.field.bare:
        found[:] = False
    seen = np.flatnonzero(found)
    entries = assemble_entries(
        sky,
        catalogue,
        rng,
        seen=seen,
        epoch_jyear=_EPOCH_JYEAR,
        scatter_arcsec=0.08,
        radius_arcsec=VISTA_RADIUS_ARCSEC,
        strangers_per_seen=0.25,
    )
    number = 2 * rng.permutation(len(entries)).astype(np.int64) + 1
    columns: dict[str, pa.Array] = {
        "sourceid": pa.array(47_244_640_000_000_000 + sky.field.index * 100_000_000 + number),
        "ra2000": pa.array(entries.ra, pa.float64()),
        "dec2000": pa.array(entries.dec, pa.float64()),
        "mergedclass": pa.array(
            np.where(sky.kind[entries.template] == GALAXY, 1, -1).astype(np.int16)
        ),
    }
    for band, (depth, coverage) in _DEPTHS.items():
        observed = rng.uniform(size=len(entries)) < coverage
        if band == "j":
            observed[:] = True
        for aperture, radius in _APERTURES.items():
            mag, error = _measure(sky, entries, band, depth, radius, rng)
            missing = ~observed | np.isnan(mag) | (error > 0.35)
            for suffix, values in (("", mag), ("err", error)):
                columns[f"{band}apermag{aperture}{suffix}"] = pa.array(
                    values.astype(np.float32), mask=missing
                )
    table = pa.table(columns)
    table = table.replace_schema_metadata({"synthetic": "true", "origin": "splus-hypercube mock"})
    return CatalogueRows(owner=entries.owner, table=table)


def write_vista(path: Path, rows: CatalogueRows) -> None:
    """Write the catalogue of a field."""
    pq.write_table(rows.table, path, compression="zstd")


def _measure(
    sky: Sky, entries: Entries, band: str, depth: float, radius: float, rng: np.random.Generator
) -> tuple[Float, Float]:
    name = f"vista_{band}"
    size = np.nan_to_num(sky.population.half_light_arcsec[entries.template])
    within = 1.0 - 0.5 ** ((radius / np.hypot(size, _PSF_HALF_LIGHT_ARCSEC)) ** 1.3)
    point = 1.0 - 0.5 ** ((radius / _PSF_HALF_LIGHT_ARCSEC) ** 1.3)
    # Aperture magnitudes are corrected to total for point sources.
    true = sky.mags[name][entries.template] - VEGA_OFFSETS[name] + entries.fainter
    true = true - 2.5 * np.log10(within / point)
    error = np.hypot(0.008, 0.2 * (0.6 + 0.4 * radius) * 10.0 ** (0.4 * (true - depth)))
    return noisy_magnitudes(true, error, rng)
