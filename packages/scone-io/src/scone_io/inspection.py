"""What shards hold: events, classes, redshifts, sizes, grids, and what looks wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scone_io.heatmap import light_curve
from scone_io.shards import Shard, Shards

__all__ = ["inspect_shards"]

# A median peak farther than this from day 0 cannot be what the grid claims.
_MAX_MEDIAN_PEAK_DAYS = 10.0


@dataclass
class _Seen:
    """What one pass over a shard sees."""

    records: int = 0
    classes: Counter[int] = field(default_factory=Counter)
    z_min: float | None = None
    z_max: float | None = None
    num_without_z: int = 0
    dtypes: set[str] = field(default_factory=set)
    peak_days: list[np.ndarray[Any, np.dtype[np.float64]]] = field(default_factory=list)


def inspect_shards(shards: Shards) -> dict[str, Any]:
    """Read shards once and say what they hold.

    Parameters
    ----------
    shards : Shards

    Returns
    -------
    dict
        As ``scone-io info --json`` prints it.

    Raises
    ------
    InputError
        At a bad record of a strict shard.
    """
    files, warnings = [], []
    classes: Counter[int] = Counter()
    for shard in shards.shards:
        seen = _pass(shard)
        classes += seen.classes
        warnings += _warnings(shard, seen)
        files.append(_entry(shard, seen))
    records = sum(entry["records"] for entry in files)
    if records and set(classes) == {0}:
        warnings.append(
            "every label is 0: real data are labelled so whatever their class; "
            "0 then means unknown, not Non-Ia (--labels unknown)"
        )
    return {
        "records": records,
        "classes": {str(label): count for label, count in sorted(classes.items())},
        "warnings": warnings,
        "files": files,
    }


def _pass(shard: Shard) -> _Seen:
    seen = _Seen()
    times = shard.grid.times
    for batch in shard.batches():
        seen.records += len(batch)
        seen.classes.update(batch.label.tolist())
        known = batch.z[batch.z >= 0.0].astype(np.float64)
        seen.num_without_z += len(batch) - len(known)
        if len(known):
            low, high = float(known.min()), float(known.max())
            seen.z_min = low if seen.z_min is None else min(seen.z_min, low)
            seen.z_max = high if seen.z_max is None else max(seen.z_max, high)
        seen.dtypes.add(batch.image.dtype.name)
        with np.errstate(all="ignore"):
            curves = light_curve(batch.image[..., 0])
            peaks = np.nan_to_num(curves, nan=-np.inf).argmax(axis=1)
            bright = curves[np.arange(len(curves)), peaks] > 0.0
        seen.peak_days.append(times[peaks[bright]])
    return seen


def _warnings(shard: Shard, seen: _Seen) -> list[str]:
    found = []
    if shard.num_bad:
        found.append(f"{shard.path}: {shard.num_bad} damaged records left out")
    if len(seen.dtypes) > 1:
        found.append(f"{shard.path}: images of {' and '.join(sorted(seen.dtypes))}")
    days = np.concatenate(seen.peak_days) if seen.peak_days else np.empty(0)
    if len(days) and abs(median := float(np.median(days))) > _MAX_MEDIAN_PEAK_DAYS:
        grid = shard.grid
        window = f"{grid.time_min_days:g} .. {grid.time_max_days:g} d"
        text = (
            f"{shard.path}: the window {window} does not fit: light curves peak at "
            f"{median:+.1f} d in the median, expected near 0; give the right --grid"
        )
        if grid.reference == "trigger":
            text += " (after a trigger, a peak some days later can be right)"
        found.append(text)
    return found


def _entry(shard: Shard, seen: _Seen) -> dict[str, Any]:
    return {
        "file": str(shard.path),
        "records": seen.records,
        "compression": shard.compression,
        "size_bytes": shard.path.stat().st_size,
        "z_min": seen.z_min,
        "z_max": seen.z_max,
        "num_without_z": seen.num_without_z,
        "image_shape": [*shard.grid.shape, 2],
        "image_dtype": " and ".join(sorted(seen.dtypes)) or None,
        "grid": shard.grid.as_json(),
        "grid_source": shard.resolved.source,
    }
