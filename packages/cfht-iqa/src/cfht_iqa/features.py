"""What the self-organising map sees of a source.

With scale ``default`` each feature is brought to a form in which differences mean something, and
to unit variance. Levels are taken relative to the CCD, so that neither the exposure time nor the
filter can be read from them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.errors import ConfigurationError, InputError
from astro_common.parquet import parquet_errors

__all__ = [
    "AVAILABLE",
    "DEFAULT_FEATURES",
    "SCALES",
    "Scaling",
    "ccd_codes",
    "check_features",
    "fit_scaling",
    "raw_features",
    "read_features",
    "transformed",
]

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]

AVAILABLE: Final = (
    "iso0",
    "elongation",
    "ellipticity",
    "class_star",
    "background",
    "flags",
    "exptime_s",
    "x_image",
    "y_image",
)
# ELONGATION says what ELLIPTICITY does, and EXPTIME identifies exposures.
DEFAULT_FEATURES: Final = ("iso0", "ellipticity", "class_star", "background")
SCALES: Final = ("none", "default")

_BATCH_ROWS: Final = 250_000


@dataclass(frozen=True)
class Scaling:
    """How features are brought to a common scale.

    Attributes
    ----------
    features : tuple of str
        Columns of the catalogue.
    scale : str
        ``none`` or ``default``.
    centre, spread : tuple of float
        Mean and standard deviation of each transformed feature; 0 and 1 for ``none``.
    """

    features: tuple[str, ...]
    scale: str
    centre: tuple[float, ...]
    spread: tuple[float, ...]

    def apply(
        self, columns: dict[str, Floats], ccds: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float32]:
        """Scale the features of sources.

        Parameters
        ----------
        columns : dict of str to ndarray of float64, shape (n,)
            Raw features.
        ccds : ndarray of intp, shape (n,)
            Number of the CCD on which each source is.

        Returns
        -------
        ndarray of float32, shape (n, n_features)
            NaN where a feature is missing.
        """
        if self.scale == "none":
            return np.stack([columns[name] for name in self.features], axis=1).astype(np.float32)
        values = transformed(self.features, columns, ccds)
        scaled = (values - np.array(self.centre)) / np.array(self.spread)
        return np.ascontiguousarray(scaled, np.float32)

    def as_json(self) -> dict[str, Any]:
        """The scaling as JSON can hold it (dict)."""
        return {
            "features": list(self.features),
            "scale": self.scale,
            "centre": list(self.centre),
            "spread": list(self.spread),
        }

    @classmethod
    def from_json(cls, value: Any) -> Scaling:
        """Make a scaling of what `as_json` returned; KeyError, TypeError or ValueError if wrong."""
        features = tuple(str(name) for name in value["features"])
        centre = tuple(float(number) for number in value["centre"])
        spread = tuple(float(number) for number in value["spread"])
        if not len(features) == len(centre) == len(spread) or value["scale"] not in SCALES:
            raise ValueError("features, centre and spread do not agree")
        return cls(features, str(value["scale"]), centre, spread)


def transformed(
    features: Sequence[str], columns: dict[str, Floats], ccds: npt.NDArray[np.intp]
) -> Floats:
    """Bring raw features to a form in which differences mean something.

    Areas, elongations and times become logarithms, since ratios count. The background becomes its
    deviation from the mean of the CCD, relative to it and within -2 .. 2 (Teimoorinia et al. 2020).

    Parameters
    ----------
    features : sequence of str
        Which features.
    columns : dict of str to ndarray of float64, shape (n,)
        Raw features.
    ccds : ndarray of intp, shape (n,)
        Number of the CCD of each source.

    Returns
    -------
    ndarray of float64, shape (n, n_features)
    """
    values = np.empty((len(ccds), len(features)))
    for place, name in enumerate(features):
        raw = columns[name]
        if name == "iso0":
            values[:, place] = np.log10(np.clip(raw + 0.5, 1e-5, 1e6))
        elif name in ("elongation", "exptime_s"):
            values[:, place] = np.log10(np.clip(raw, 1e-5, None))
        elif name == "ellipticity":
            values[:, place] = np.clip(raw, 0.0, 1.0)
        elif name == "background":
            values[:, place] = _relative(raw, ccds)
        else:
            values[:, place] = raw
    return values


def _relative(raw: Floats, ccds: npt.NDArray[np.intp]) -> Floats:
    if not len(raw):
        return raw
    number = int(ccds.max()) + 1
    known = np.isfinite(raw)
    count = np.bincount(ccds[known], minlength=number)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(ccds[known], raw[known], minlength=number) / count
        deviation = (raw - mean[ccds]) / np.abs(mean[ccds])
    # A mean of exactly 0 gives 0/0 for sources that are at it, and infinities for others.
    return np.clip(np.where(known & np.isnan(deviation), 0.0, deviation), -2.0, 2.0)


def ccd_codes(table: pa.Table) -> npt.NDArray[np.intp]:
    """Number the CCDs of the rows of a catalogue, from 0 on."""
    exposure = table["exposure"].combine_chunks().dictionary_encode()
    ccd = table["ccd"].combine_chunks().dictionary_encode()
    if isinstance(exposure, pa.ChunkedArray):
        exposure, ccd = exposure.combine_chunks(), ccd.combine_chunks()
    first = exposure.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    second = ccd.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    both = first * (len(ccd.dictionary) + 1) + second
    return np.unique(both, return_inverse=True)[1].astype(np.intp)


def raw_features(table: pa.Table, features: Sequence[str]) -> dict[str, Floats]:
    """Take the raw features of a catalogue's rows; what is missing becomes NaN."""
    return {
        name: table[name].cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
        for name in features
    }


def fit_scaling(
    features: Sequence[str], scale: str, columns: dict[str, Floats], ccds: npt.NDArray[np.intp]
) -> Scaling:
    """Find centre and spread of features.

    Parameters
    ----------
    features : sequence of str
        Which features.
    scale : str
        ``none`` or ``default``.
    columns, ccds
        As of `transformed`.

    Returns
    -------
    Scaling
        A feature that is constant keeps a spread of 1.
    """
    names = tuple(features)
    if scale == "none":
        return Scaling(names, scale, (0.0,) * len(names), (1.0,) * len(names))
    values = transformed(names, columns, ccds)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return Scaling(names, scale, (0.0,) * len(names), (1.0,) * len(names))
    spread = values.std(axis=0)
    spread = np.where(spread > 1e-12, spread, 1.0)
    return Scaling(names, scale, tuple(values.mean(axis=0).tolist()), tuple(spread.tolist()))


def check_features(features: Sequence[str]) -> tuple[str, ...]:
    """Make sure that features can be used; a `ConfigurationError` says which cannot."""
    for name in features:
        if name not in AVAILABLE:
            raise ConfigurationError("--features", repr(name), f"some of {', '.join(AVAILABLE)}")
    if not features or len(set(features)) != len(features):
        raise ConfigurationError("--features", ",".join(features), "each feature once")
    return tuple(features)


def read_features(
    path: Path, features: Sequence[str]
) -> tuple[dict[str, Floats], npt.NDArray[np.intp]]:
    """Read features of all sources of a catalogue.

    Parameters
    ----------
    path : Path
        Made by `build_catalogue`.
    features : sequence of str
        Which features.

    Returns
    -------
    dict of str to ndarray of float64, shape (n,)
        Raw features; NaN where missing.
    ndarray of intp, shape (n,)
        Number of the CCD of each source.

    Raises
    ------
    InputError
        If the file is damaged, or lacks a column.
    """
    with parquet_errors(path):
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
    missing = [name for name in ("exposure", "ccd", *features) if name not in names]
    if missing:
        raise InputError(path, f"no column {missing[0]}", "a table made by cfht-iqa catalogue")
    columns: dict[str, list[Floats]] = {name: [] for name in features}
    codes: list[npt.NDArray[np.intp]] = []
    numbers: dict[tuple[str, str], int] = {}
    with parquet_errors(path):
        for batch in file.iter_batches(_BATCH_ROWS, columns=["exposure", "ccd", *features]):
            table = pa.Table.from_batches([batch])
            for name, values in raw_features(table, features).items():
                columns[name].append(values)
            codes.append(_global_codes(table, numbers))
    if not codes:
        return {name: np.empty(0) for name in features}, np.empty(0, np.intp)
    return {name: np.concatenate(parts) for name, parts in columns.items()}, np.concatenate(codes)


def _global_codes(table: pa.Table, numbers: dict[tuple[str, str], int]) -> npt.NDArray[np.intp]:
    """Number the CCDs of a batch alike in all batches: a CCD may be cut by a batch's end."""
    local = ccd_codes(table)
    first = np.unique(local, return_index=True)[1]
    exposures, ccds = table["exposure"], table["ccd"]
    translation = np.empty(len(first), np.intp)
    for code, row in enumerate(first):
        key = (exposures[int(row)].as_py(), ccds[int(row)].as_py())
        translation[code] = numbers.setdefault(key, len(numbers))
    return translation[local]
