"""What the network sees of a CCD, as arrays.

Input 1 is the representative image. Input 2 is the hits, and statistics: how the backgrounds of the
cutouts of the CCD differ, what was measured of its sources, and the same over all CCDs of the
exposure. A cutout shows 2.3 arcsec on either side of a source; that the whole field is repeated 5
arcsec away, only measurements tell. Guiding and seeing are the same for all CCDs, so that a short
trail which the few sources of one CCD leave in doubt is plain from their mean. All statistics are
ratios, angles on the sky or units of the noise, which neither exposure time nor filter scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from astro_common.errors import InputError
from astro_common.parquet import parquet_errors, read_metadata
from cfht_iqa.quality import CcdQuality
from cfht_iqa.representatives import CUTOUT_PX, Representative

__all__ = [
    "N_STATISTICS",
    "CcdInputs",
    "background_numbers",
    "exposure_numbers",
    "inputs_of",
    "read_inputs",
    "source_numbers",
]

_N_BACKGROUND: Final = 5
_N_SOURCE: Final = 7
_N_EXPOSURE: Final = 7
N_STATISTICS: Final = _N_BACKGROUND + _N_SOURCE + _N_EXPOSURE
_MEASURES: Final = (
    "fwhm_arcsec",
    "ellipticity",
    "mean_e1",
    "mean_e2",
    "coherence",
    "repeated_fraction",
    "background_sigma",
    "background_range",
)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CcdInputs:
    """What the network sees of many CCDs.

    Attributes
    ----------
    exposures, ccds : list of str
        Whose they are.
    images : ndarray of float32, shape (n, 25, 25 n_clusters)
        Representative images, in ADU above the background; NaN where a pixel says nothing.
    hits : ndarray of float32, shape (n, n_clusters + n_nodes)
        Shares of the sources by group, then by node.
    statistics : ndarray of float32, shape (n, N_STATISTICS)
        See `background_numbers`, `source_numbers` and `exposure_numbers`.
    """

    exposures: list[str]
    ccds: list[str]
    images: Floats
    hits: Floats
    statistics: Floats

    def __len__(self) -> int:
        """Number of CCDs."""
        return len(self.ccds)

    def take(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> CcdInputs:
        """Return some of the CCDs."""
        index = np.asarray(rows, np.intp)
        return CcdInputs(
            [self.exposures[row] for row in index],
            [self.ccds[row] for row in index],
            self.images[index],
            self.hits[index],
            self.statistics[index],
        )


def background_numbers(image: Floats, x: Any, y: Any, level: Any) -> Floats:
    """How the backgrounds of the cutouts of a CCD differ.

    Parameters
    ----------
    image : ndarray of float32, shape (25, 25 n_clusters)
        Representative image; the borders of its tiles tell the noise.
    x, y, level : array-like of float, shape (n_clusters,)
        Positions and backgrounds of the cutouts; NaN for empty tiles.

    Returns
    -------
    ndarray of float32, shape (5,)
        Logarithms of 1 + the range, the amplitude of the best plane, the scatter about it, and the
        largest step between the halves of the CCD after it, each over the noise of a pixel; and of
        1 + 100 times the range over the median level.
    """
    x, y, level = (np.asarray(values, np.float64) for values in (x, y, level))
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(level)
    if known.sum() < 4:
        return np.zeros(_N_BACKGROUND, np.float32)
    x, y, level = x[known], y[known], level[known]
    tiles = image.reshape(CUTOUT_PX, -1, CUTOUT_PX).transpose(1, 0, 2)[known]
    border = np.concatenate([tiles[:, :2].ravel(), tiles[:, -2:].ravel()])
    border = border[np.isfinite(border)]
    low, high = np.percentile(border, (15.9, 50.0)) if border.size else (0.0, 1.0)
    noise = max(float(high - low), 0.3)
    extent = max(float(np.ptp(x)), float(np.ptp(y)), 1.0)
    design = np.stack([np.ones_like(x), (x - x.mean()) / extent, (y - y.mean()) / extent], axis=1)
    solution = np.linalg.lstsq(design, level, rcond=None)[0]
    rest = level - design @ solution
    span = float(np.ptp(level))
    right = x > (x.min() + x.max()) / 2.0
    has_both = 0 < right.sum() < len(x)
    step = abs(float(rest[right].mean() - rest[~right].mean())) if has_both else 0.0
    over_noise = np.array([span, np.hypot(*solution[1:]), rest.std(), step]) / noise
    relative = 100.0 * span / max(abs(float(np.median(level))), 1.0)
    return np.asarray(np.log1p([*over_noise, relative]), np.float32)


def source_numbers(measures: Mapping[str, Any]) -> Floats:
    """What was measured of the sources of a CCD, in forms of order 1.

    Parameters
    ----------
    measures : mapping of str to float or None
        Fields of `CcdQuality`, or a row of the table of measurements.

    Returns
    -------
    ndarray of float32, shape (7,)
        Logarithm of the FWHM over 0.7 arcsec, ellipticity, coherence, root of the share of repeated
        sources, logarithms of 1 + the range of the background over its noise and of 1 + 10 times
        that over the sky, and 1 if shapes could be measured; 0 for what could not.
    """
    values = {name: float(measures[name] or 0.0) for name in _MEASURES}
    known = bool(np.isfinite(values["fwhm_arcsec"]) and values["fwhm_arcsec"] > 0.0)
    clean = {name: value if np.isfinite(value) else 0.0 for name, value in values.items()}
    return np.array(
        [
            np.log(clean["fwhm_arcsec"] / 0.7) if known else 0.0,
            clean["ellipticity"],
            clean["coherence"],
            np.sqrt(max(clean["repeated_fraction"], 0.0)),
            np.log1p(max(clean["background_sigma"], 0.0)),
            np.log1p(10.0 * max(clean["background_range"], 0.0)),
            float(known),
        ],
        np.float32,
    )


def exposure_numbers(ccds: Sequence[Mapping[str, Any]]) -> Floats:
    """What was measured of all CCDs of an exposure together, in forms of order 1.

    Parameters
    ----------
    ccds : sequence of mapping of str to float or None
        Fields of `CcdQuality`, or rows of the table of measurements.

    Returns
    -------
    ndarray of float32, shape (7,)
        Logarithm of the median FWHM over 0.7 arcsec; median ellipticity; length of the mean
        ellipticity vector, and that over the mean length of the vectors; root of the mean share of
        repeated sources; logarithms of 1 + the median range of the background over its noise and of
        1 + 10 times that over the sky. 0 for what could be measured on no CCD.
    """

    def known(name: str) -> npt.NDArray[np.float64]:
        values = np.array([_or_nan(ccd[name]) for ccd in ccds], np.float64)
        return np.asarray(values[np.isfinite(values)], np.float64)

    def median(name: str) -> float:
        values = known(name)
        return float(np.median(values)) if values.size else 0.0

    e1, e2, coherence = known("mean_e1"), known("mean_e2"), known("coherence")
    common = float(np.hypot(e1.mean(), e2.mean())) if e1.size else 0.0
    length = float((np.hypot(e1, e2) / np.maximum(coherence, 1e-6)).mean()) if e1.size else 1.0
    repeated = known("repeated_fraction")
    fwhm = median("fwhm_arcsec")
    return np.array(
        [
            np.log(fwhm / 0.7) if fwhm > 0.0 else 0.0,
            median("ellipticity"),
            common,
            common / max(length, 1e-6),
            np.sqrt(max(float(repeated.mean()), 0.0)) if repeated.size else 0.0,
            np.log1p(max(median("background_sigma"), 0.0)),
            np.log1p(10.0 * max(median("background_range"), 0.0)),
        ],
        np.float32,
    )


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else float(value)


def inputs_of(
    exposure: str,
    names: Sequence[str],
    rows: Sequence[Representative],
    measured: Sequence[CcdQuality],
) -> CcdInputs:
    """Make the network's inputs of the representative images of an exposure.

    Parameters
    ----------
    exposure : str
        Its name.
    names : sequence of str
        Names of the CCDs.
    rows : sequence of Representative
        CCDs without sources are left out.
    measured : sequence of CcdQuality
        What was measured of each CCD.

    Returns
    -------
    CcdInputs
    """
    kept = [
        (name, row, quality)
        for name, row, quality in zip(names, rows, measured, strict=True)
        if row.cluster_hits is not None and row.node_hits is not None
    ]
    if not kept:
        empty = np.empty((0, 0), np.float32)
        return CcdInputs([], [], empty[None][:0], empty, empty)
    hits = [np.concatenate([row.cluster_hits, row.node_hits]) for _, row, _ in kept]
    whole = exposure_numbers([quality.as_json() for quality in measured])
    numbers = [
        np.concatenate(
            [
                background_numbers(row.image, row.x, row.y, row.background),
                source_numbers(quality.as_json()),
                whole,
            ]
        )
        for _, row, quality in kept
    ]
    return CcdInputs(
        [exposure] * len(kept),
        [name for name, _, _ in kept],
        np.stack([row.image for _, row, _ in kept]),
        np.stack(hits).astype(np.float32),
        np.stack(numbers),
    )


def read_inputs(path: Path) -> tuple[CcdInputs, dict[str, Any]]:
    """Read the network's inputs from a table of representative images.

    Parameters
    ----------
    path : Path
        ``representatives.parquet``, or its folder, with ``summary.parquet`` beside it.

    Returns
    -------
    CcdInputs
        Of the CCDs that have sources.
    dict
        What the file says of how it was made.

    Raises
    ------
    InputError
        If the file is damaged, lacks a column, or has no CCD with sources.
    """
    path = path / "representatives.parquet" if path.is_dir() else path
    wanted = ["exposure", "ccd", "image", "cluster_hits", "node_hits", "n_sources"]
    wanted += ["cutout_x", "cutout_y", "cutout_background"]
    notes = read_metadata(path)
    with parquet_errors(path):
        table = pq.read_table(path, columns=wanted)
    if table.column_names != wanted:
        raise InputError(path, "columns are missing", ", ".join(wanted))
    table = table.filter(table["cluster_hits"].is_valid())
    if not table.num_rows:
        raise InputError(path, "no CCD with sources", "at least one")

    def lists(name: str, dtype: Any) -> npt.NDArray[Any]:
        column = table[name].combine_chunks()
        size = column.type.list_size
        values = column.flatten().to_numpy(zero_copy_only=False)
        # Arrow lends its memory to be read alone, and PyTorch wants to write.
        return np.array(values, dtype).reshape(table.num_rows, size)

    images = lists("image", np.float32).reshape(table.num_rows, CUTOUT_PX, -1)
    x, y, level = (lists(f"cutout_{name}", np.float64) for name in ("x", "y", "background"))
    measures = _read_measures(path.with_name("summary.parquet"))
    by_exposure: dict[str, list[dict[str, Any]]] = {}
    for (exposure, _), row_measures in measures.items():
        by_exposure.setdefault(exposure, []).append(row_measures)
    wholes = {exposure: exposure_numbers(ccds) for exposure, ccds in by_exposure.items()}
    names = zip(table["exposure"].to_pylist(), table["ccd"].to_pylist(), strict=True)
    numbers = []
    for row, name in enumerate(names):
        if name not in measures:
            raise InputError(
                path.with_name("summary.parquet"),
                f"no row of {' '.join(name)}",
                "a row for each CCD, as cfht-iqa represent writes it",
            )
        own = background_numbers(images[row], x[row], y[row], level[row])
        numbers.append(np.concatenate([own, source_numbers(measures[name]), wholes[name[0]]]))
    hits = np.concatenate(
        [lists("cluster_hits", np.float32), lists("node_hits", np.float32)], axis=1
    )
    inputs = CcdInputs(
        table["exposure"].to_pylist(), table["ccd"].to_pylist(), images, hits, np.stack(numbers)
    )
    return inputs, notes


def _read_measures(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    with parquet_errors(path):
        table = pq.read_table(path, columns=["exposure", "ccd", *_MEASURES])
    missing = [name for name in _MEASURES if name not in table.column_names]
    if missing:
        raise InputError(path, f"no column {missing[0]}", "a table made by cfht-iqa represent")
    return {(row["exposure"], row["ccd"]): row for row in table.to_pylist()}
