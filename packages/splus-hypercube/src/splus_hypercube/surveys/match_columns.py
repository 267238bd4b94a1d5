"""The two columns by which a user judges a match."""

from __future__ import annotations

import pyarrow as pa

from astro_common.parquet import described

__all__ = ["match_fields"]


def match_fields(survey: str) -> list[pa.Field]:
    """Fields ``<survey>_separation_arcsec`` and ``<survey>_n_candidates``."""
    return [
        described(
            f"{survey}_separation_arcsec",
            pa.float64(),
            unit="arcsec",
            ucd="pos.angDistance",
            description="Separation of the match from the S-PLUS position",
            survey=survey,
            modality="match",
        ),
        described(
            f"{survey}_n_candidates",
            pa.int32(),
            ucd="meta.number",
            description="Rows of the survey within the radius, after quality cuts",
            survey=survey,
            modality="match",
        ),
    ]
