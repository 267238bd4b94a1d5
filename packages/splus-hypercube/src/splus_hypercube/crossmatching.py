"""Cross-match of any two catalogue files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError
from astro_common.parquet import described
from astro_common.provenance import provenance
from splus_hypercube.astrometry import propagate_epoch
from splus_hypercube.catalogues import Catalogue, find_column, float_column, open_catalogue
from splus_hypercube.matching import Pairs, PositionIndex, match_nearest, match_one_to_one
from splus_hypercube.table_files import check_suffix, open_table

__all__ = ["Side", "crossmatch"]

Float = NDArray[np.float64]

SEPARATION = "separation_arcsec"
# Pairs are sorted in memory, which takes about 100 bytes for each.
MAX_PAIRS = 100_000_000
_ROWS_PER_GROUP = 65_536


@dataclass(frozen=True)
class Side:
    """One of the two catalogues.

    Attributes
    ----------
    path : Path
    ra, dec : str
        Names of the position columns (deg, ICRS), in any case.
    epoch_jyear : float or None
        Epoch of its positions.
    """

    path: Path
    ra: str = "ra"
    dec: str = "dec"
    epoch_jyear: float | None = None


def crossmatch(
    left: Side,
    right: Side,
    radius_arcsec: float,
    output: Path,
    *,
    mode: str = "nearest",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Match two catalogues and write the matched rows of both, side by side.

    Parameters
    ----------
    left, right : Side
        Where both have an epoch, the side with proper motions (columns ``pmra``, ``pmdec`` in
        mas/yr, and ``parallax``, ``radial_velocity`` if present) is propagated to the epoch of the
        other; the right side, if both have them.
    radius_arcsec : float
        Inclusive.
    output : Path
        Rows are in the order of the left side; the file's ending names the format: Parquet, FITS,
        CSV, ECSV or VOTable.
    mode : {"nearest", "all", "one-to-one"}
        The nearest right row of each left row; every pair; or the closest pairs such that no row
        is used twice.
    overwrite : bool
        Replace an output that exists.

    Returns
    -------
    dict
        ``output`` (the file's name) and the numbers ``left_rows``, ``right_rows``, ``matches``.

    Raises
    ------
    ConfigurationError
        If the output's ending is none of these, an epoch or a proper motion is missing, or there
        are too many pairs.
    InputError
        If a file or a column cannot be read.
    OutputError
        If the output exists or cannot be written.
    """
    check_suffix(output)
    with ExitStack() as stack:
        catalogues = [stack.enter_context(open_catalogue(side.path)) for side in (left, right)]
        positions = [
            _positions(side, catalogue)
            for side, catalogue in zip((left, right), catalogues, strict=True)
        ]
        _to_common_epoch((left, right), catalogues, positions)
        pairs = _pairs(positions, radius_arcsec, mode)
        schema = _output_schema(catalogues)
        settings = {"mode": mode, "radius_arcsec": radius_arcsec}
        metadata = provenance("splus-hypercube", settings, [left.path, right.path])
        with open_table(
            output, schema, metadata={"crossmatch": metadata}, overwrite=overwrite
        ) as write:
            for start in range(0, max(len(pairs.query), 1), _ROWS_PER_GROUP):
                run = slice(start, start + _ROWS_PER_GROUP)
                write(_joined(catalogues, schema, pairs, run))
    return {
        "output": str(output),
        "left_rows": catalogues[0].num_rows,
        "right_rows": catalogues[1].num_rows,
        "matches": len(pairs.query),
    }


def _positions(side: Side, catalogue: Catalogue) -> tuple[Float, Float]:
    names = [find_column(catalogue.schema, [name], side.path) for name in (side.ra, side.dec)]
    table = catalogue.read(names)
    return float_column(table, names[0], side.path), float_column(table, names[1], side.path)


def _to_common_epoch(
    sides: Sequence[Side], catalogues: Sequence[Catalogue], positions: list[tuple[Float, Float]]
) -> None:
    """Propagate one side's positions to the other's epoch, in place."""
    left_epoch, right_epoch = (side.epoch_jyear for side in sides)
    if left_epoch == right_epoch:
        return
    if left_epoch is None or right_epoch is None:
        raise ConfigurationError(
            "--left-epoch, --right-epoch", "only one of them", "both", "give the epoch of each side"
        )
    for moving in (1, 0):
        names = {name.lower(): name for name in reversed(catalogues[moving].schema.names)}
        if "pmra" in names and "pmdec" in names:
            break
    else:
        raise ConfigurationError(
            "--left-epoch, --right-epoch",
            "no columns pmra and pmdec in either catalogue",
            "proper motions in mas/yr on one side",
        )
    motion = []
    for name in ("pmra", "pmdec", "parallax", "radial_velocity"):
        if name in names:
            table = catalogues[moving].read([names[name]])
            motion.append(float_column(table, names[name], sides[moving].path))
        else:
            motion.append(np.full(catalogues[moving].num_rows, np.nan))
    years = left_epoch - right_epoch if moving else right_epoch - left_epoch
    pmra, pmdec, parallax, radial_velocity = motion
    positions[moving] = propagate_epoch(
        *positions[moving], pmra, pmdec, parallax, radial_velocity, years
    )


def _pairs(positions: Sequence[tuple[Float, Float]], radius_arcsec: float, mode: str) -> Pairs:
    """The pairs of a mode, in the order of the left side."""
    if mode == "nearest":
        nearest = match_nearest(*positions[0], *positions[1], radius_arcsec)
        rows = np.flatnonzero(nearest.indexed >= 0)
        return Pairs(rows, nearest.indexed[rows], nearest.separation_arcsec[rows])
    parts: list[Pairs] = []
    total = 0
    for part in PositionIndex(*positions[1], radius_arcsec).iter_pairs(*positions[0]):
        parts.append(part)
        total += len(part.query)
        if total > MAX_PAIRS:
            found = f"more than {MAX_PAIRS:,} pairs within {radius_arcsec:g} arcsec"
            raise ConfigurationError("--radius", found, "fewer", "use a smaller radius")
    pairs = Pairs.concatenate(parts)
    if mode == "one-to-one":
        pairs = match_one_to_one(pairs)
    order = np.lexsort((pairs.indexed, pairs.separation_arcsec, pairs.query))
    return Pairs(pairs.query[order], pairs.indexed[order], pairs.separation_arcsec[order])


def _output_schema(catalogues: Sequence[Catalogue]) -> pa.Schema:
    """Both sides' columns, with suffixes where their names collide, ignoring case."""
    own = [[name.lower() for name in catalogue.schema.names] for catalogue in catalogues]
    shared = (set(own[0]) & set(own[1])) | {SEPARATION}
    fields: list[pa.Field] = []
    taken = {SEPARATION}
    for catalogue, suffix in zip(catalogues, ("_left", "_right"), strict=True):
        for field in catalogue.schema:
            name = field.name + suffix if field.name.lower() in shared else field.name
            # A column may already be called like another one with its suffix.
            while name.lower() in taken:
                name += suffix
            taken.add(name.lower())
            fields.append(field.with_name(name))
    fields.append(
        described(
            SEPARATION,
            pa.float64(),
            unit="arcsec",
            ucd="pos.angDistance",
            description="Great-circle separation of the pair",
        )
    )
    return pa.schema(fields)


def _joined(
    catalogues: Sequence[Catalogue],
    schema: pa.Schema,
    pairs: Pairs,
    run: slice,
) -> pa.Table:
    columns: list[Any] = []
    for catalogue, rows in zip(catalogues, (pairs.query, pairs.indexed), strict=True):
        columns.extend(catalogue.rows(rows[run]).columns)
    columns.append(pa.array(pairs.separation_arcsec[run]))
    return pa.Table.from_arrays(columns, schema=schema)
