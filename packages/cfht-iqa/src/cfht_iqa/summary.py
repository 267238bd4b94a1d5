"""The table of measurements that lies beside the representative images, a row for each CCD."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from astro_common.parquet import described
from cfht_iqa.quality import CcdQuality
from cfht_iqa.repeated_images import N_CELLS

__all__ = ["SUMMARY_NAME", "measured_columns", "summary_schema"]

SUMMARY_NAME: Final = "summary.parquet"


def summary_schema() -> pa.Schema:
    """Columns of the table."""
    texts = [
        described("exposure", pa.string(), description="Name of the exposure", nullable=False),
        described("ccd", pa.string(), description="EXTNAME of the CCD", nullable=False),
        described("state", pa.string(), description="alive, half-dead or dead"),
        described("exptime_s", pa.float64(), unit="s", description="Exposure time"),
        described("pixel_scale_arcsec", pa.float64(), unit="arcsec/pixel"),
        described("n_x", pa.int32(), unit="pixel", description="Columns that see the sky"),
        described("n_y", pa.int32(), unit="pixel", description="Rows that see the sky"),
        described("filter", pa.string(), description="FILTER of the header"),
        described("runid", pa.string(), description="RUNID of the header"),
    ]
    counts = [
        described("n_sources", pa.int32(), description="Sources found"),
        described("n_shapes", pa.int32(), description="Sources of which the shape was measured"),
    ]
    numbers = [
        described(name, pa.float64(), unit=_unit_of(name))
        for name in CcdQuality(0).as_json()
        if name not in ("n_sources", "n_shapes")
    ]
    offsets = [
        described("pair_places", pa.int32(), description="Sources among which pairs were counted"),
        described(
            "pair_counts",
            pa.list_(pa.int32(), N_CELLS),
            description="Pairs by offset: 50 cells of 0.4 arcsec along x, 25 along y in each",
        ),
    ]
    return pa.schema([*texts, *counts, *numbers, *offsets])


def _unit_of(name: str) -> str:
    if name == "background":
        return "count"
    return next((unit for unit in ("arcsec2", "arcsec") if name.endswith(unit)), "")


def measured_columns(quality: CcdQuality) -> dict[str, Any]:
    """Return the columns of the table that hold what was measured of a CCD."""
    if quality.offsets is None:
        return {**quality.as_json(), "pair_places": None, "pair_counts": [0] * N_CELLS}
    counts = quality.offsets.counts.ravel().tolist()
    places = quality.offsets.n_places
    return {**quality.as_json(), "pair_places": places, "pair_counts": counts}
