"""Learn the bins of catalogue columns in one pass over the files."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from astro_common.errors import InputError
from astromodal_tokenizers.configuration import Configuration
from astromodal_tokenizers.hypercube import Cube, error_column, iter_rows, number_column
from astromodal_tokenizers.modalities import Modality
from astromodal_tokenizers.reservoir import Reservoir
from astromodal_tokenizers.split import TRAIN
from astromodal_tokenizers.tokenizers.bins import fit_bins
from astromodal_tokenizers.tokenizers.scalar import ScalarColumn, ScalarTokenizer

__all__ = ["fit_scalars"]

logger = logging.getLogger(__name__)

_VALUES_PER_CODE = 1
# A message names so many columns.
_NAMED = 8


def fit_scalars(
    configuration: Configuration, cubes: Sequence[Cube], table: Sequence[Modality]
) -> ScalarTokenizer:
    """Learn the codes of every scalar column.

    Parameters
    ----------
    configuration : Configuration
    cubes : sequence of Cube
    table : sequence of Modality
        Modalities that are not scalar are passed over.

    Returns
    -------
    ScalarTokenizer
        Columns with fewer than ``scalar.min_values`` values are left out.

    Raises
    ------
    InputError
        If no column has enough values.
    """
    settings = configuration.scalar
    scalars = [modality for modality in table if modality.kind == "scalar"]
    samples = [
        Reservoir(settings.max_values, [configuration.seed, place]) for place in range(len(scalars))
    ]
    names = [modality.column("value") for modality in scalars]
    errors = [error_column(cubes, name) for name in names]
    wanted = [*names, *(name for name in errors if name is not None)]
    for cube in cubes:
        for rows in iter_rows(cube, wanted, configuration, TRAIN):
            for name, error, sample in zip(names, errors, samples, strict=True):
                values = number_column(rows.table[name])
                known = np.isfinite(values)
                if error is None:
                    sample.add(values[known])
                else:
                    pairs = np.stack([values, number_column(rows.table[error])], axis=1)
                    sample.add(pairs[known])
    columns, scarce, small = [], [], []
    for name, error, sample in zip(names, errors, samples, strict=True):
        if sample.seen < settings.min_values:
            scarce.append(f"{name} ({sample.seen})")
            continue
        items = sample.items()
        bins = fit_bins(
            items if error is None else items[:, 0],
            settings.bins,
            quantile_share=settings.quantile_share,
            transform=settings.transforms.get(name, "auto"),
            errors=None if error is None else items[:, 1],
            per_code=_VALUES_PER_CODE,
        )
        if bins.size < settings.bins:
            small.append(f"{name} ({bins.size})")
        columns.append(ScalarColumn(cubes[0].schema.field(name), bins))
    if scarce:
        logger.warning(
            "left out, with fewer than %d values to learn from: %s",
            settings.min_values,
            _some(scarce),
        )
    if small:
        logger.info("fewer than %d codes, as there are few values: %s", settings.bins, _some(small))
    if not columns:
        raise InputError(
            cubes[0].path,
            f"no scalar column with {settings.min_values} values in the training part of the sky",
            "one at least",
            "add fields or lower scalar.min_values",
        )
    logger.info("scalar: %d columns", len(columns))
    return ScalarTokenizer(columns)


def _some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
