"""Predictions with their uncertainty, in physical units, for every source of a field."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError
from astro_common.parquet import ParquetWriter, described
from astro_common.provenance import provenance
from astromodal_transformer.answering import Answerer
from astromodal_transformer.calibration import scale_of, widened
from astromodal_transformer.checkpoints import read_checkpoint
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.decoding import SequenceDecoder
from astromodal_transformer.distributions import bin_mean, bin_quantiles
from astromodal_transformer.project import Project, model_from_checkpoint

__all__ = ["METADATA_KEY", "Loaded", "Scalars", "load_for_use", "predict_field", "predict_scalars"]

logger = logging.getLogger(__name__)

METADATA_KEY = "astromodal_transformer"
"""Key of the JSON in the footer of files of this package."""

_ROWS = 2048


@dataclass(frozen=True)
class Loaded:
    """A model with the tokens on which it is used.

    Attributes
    ----------
    project : Project
    answerer : Answerer
    record : dict
        ``config.json`` of the model.
    path : Path
        Its folder.
    """

    project: Project
    answerer: Answerer
    record: dict[str, Any]
    path: Path


@dataclass(frozen=True)
class Scalars:
    """Predicted columns.

    Attributes
    ----------
    mean : ndarray of float64, shape (n, targets)
    quantiles : ndarray of float64, shape (n, targets, levels)
    """

    mean: NDArray[np.float64]
    quantiles: NDArray[np.float64]


def load_for_use(
    configuration: Configuration, checkpoint: Path, *, batch_size: int | None = None
) -> Loaded:
    """Load a model and the vocabulary of the tokens that it is used on.

    Parameters
    ----------
    configuration : Configuration
    checkpoint : Path
        A checkpoint, a run or an exported model.
    batch_size : int, optional
        Sources at a time; ``evaluation.batch_size`` by default.

    Returns
    -------
    Loaded

    Raises
    ------
    InputError
        If files are missing or damaged, or the tokens are of another vocabulary.
    """
    import torch

    threads = configuration.training.threads
    if threads is not None:
        torch.set_num_threads(threads)
    found = read_checkpoint(checkpoint)
    project = Project.open(configuration, dict(found.record))
    accelerator = configuration.training.accelerator
    device = "cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu"
    model = model_from_checkpoint(found, device)
    answerer = Answerer(
        model,
        project.layout,
        batch_size=batch_size or configuration.evaluation.batch_size,
        max_tokens=int(found.record["sequences"]["max_tokens"]),
    )
    return Loaded(project, answerer, dict(found.record), found.path)


def predict_scalars(
    loaded: Loaded,
    codes: NDArray[np.uint16],
    given: Sequence[str],
    targets: Sequence[str],
    levels: Sequence[float],
) -> Scalars:
    """Predict columns; none of the targets is ever seen.

    Quantiles are moved away from the median by the factor that was fitted to the validation part of
    the sky, see `calibration`.

    Parameters
    ----------
    loaded : Loaded
    codes : ndarray of uint16, shape (n, slots)
    given, targets : sequence of str
        Modalities.
    levels : sequence of float
        Of the quantiles, between 0 and 1.

    Returns
    -------
    Scalars
    """
    answerer, layout = loaded.answerer, loaded.project.layout
    slots = np.array([int(layout.slots([name])[0]) for name in targets], dtype=np.int64)
    bins = [loaded.project.books.columns[name].bins for name in targets]
    scales = [scale_of(loaded.record, name, given) for name in targets]
    # The last is the median, from which the others are moved away.
    wanted = np.array([*levels, 0.5], dtype=np.float64)
    mean = np.empty((len(codes), len(targets)))
    quantiles = np.empty((len(codes), len(targets), len(levels)))
    visible = answerer.visible(codes, given, targets)
    for answers in answerer.answers(codes, visible, slots):
        for place, slot in enumerate(slots.tolist()):
            p = answerer.probabilities(answers, place, slot)
            mean[answers.rows, place] = bin_mean(bins[place], p)
            found = bin_quantiles(bins[place], p, wanted)
            quantiles[answers.rows, place] = widened(found[:, :-1], found[:, -1], scales[place])
    return Scalars(mean, quantiles)


def predict_field(
    configuration: Configuration,
    checkpoint: Path,
    field: str,
    given: Sequence[str],
    targets: Sequence[str],
    path: Path,
    *,
    quantiles: Sequence[float] = (0.16, 0.5, 0.84),
    batch_size: int | None = None,
    samples: int = 32,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Predict targets for every source of a field and write them into a Parquet file.

    Parameters
    ----------
    configuration : Configuration
    checkpoint : Path
    field : str
    given : sequence of str
        Modalities that may be seen, by name or pattern; without any, all but the targets.
    targets : sequence of str
        Columns, spectra or ``image``.
    path : Path
    quantiles : sequence of float
        Between 0 and 1.
    batch_size : int, optional
    samples : int
        Drawn for the quantiles of spectra and images.
    overwrite : bool

    Returns
    -------
    dict
        ``output``, ``rows``, ``columns``, ``given`` and ``targets``.

    Raises
    ------
    AstroError
        If a name is unknown, an input damaged, or the file exists.
    """
    loaded = load_for_use(configuration, checkpoint, batch_size=batch_size)
    layout = loaded.project.layout
    asked = layout.matching(targets, "--target")
    seen = layout.matching(given or ["*"], "--given")
    seen = [name for name in seen if name not in asked]
    if not asked:
        raise ConfigurationError("--target", "no modality", "at least one")
    store = loaded.project.store([field])
    columns = loaded.project.books.columns
    scalars = [name for name in asked if name in columns]
    others = [name for name in asked if name not in columns]
    decoders = {name: SequenceDecoder(loaded.project, loaded.answerer, name) for name in others}
    fields = [described("id", pa.string(), ucd="meta.id;meta.main")]
    names = ["mean", *(_level_name(level) for level in quantiles)]
    for name in scalars:
        metadata = columns[name].metadata
        fields += [
            described(
                f"{name}_{statistic}",
                pa.float64(),
                unit=metadata.get("unit", ""),
                description=f"{_described(statistic)} of the prediction of {name}",
            )
            for statistic in names
        ]
    for name, decoder in decoders.items():
        fields += [
            described(
                f"{name}_{statistic}",
                pa.list_(pa.float32()),
                unit=decoder.unit,
                description=f"{_described(statistic)} of the prediction of {name}{decoder.order}",
            )
            for statistic in names
        ]
    schema = pa.schema(fields)
    footer = {
        "schema_version": 1,
        "field": field,
        "synthetic": store.synthetic or bool(loaded.record.get("synthetic")),
        "given": seen,
        "targets": asked,
        "quantiles": list(quantiles),
        "checkpoint": {"step": loaded.record.get("step"), "vocabulary": store.vocabulary.digest},
        "provenance": provenance("astromodal-transformer", {}, [loaded.path / "model.safetensors"]),
    }
    ids = store.ids
    with ParquetWriter(
        path, schema, metadata={METADATA_KEY: footer}, overwrite=overwrite
    ) as writer:
        for start in range(0, len(store), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(store)))
            codes = store.codes(rows)
            arrays: list[pa.Array] = [pa.array(ids[start : start + len(rows)], pa.string())]
            found = predict_scalars(loaded, codes, seen, scalars, quantiles) if scalars else None
            for place in range(len(scalars)):
                if found is not None:
                    arrays.append(pa.array(found.mean[:, place]))
                    arrays += [pa.array(q) for q in found.quantiles[:, place].T]
            for decoder in decoders.values():
                arrays += decoder.predicted(codes, seen, asked, quantiles, samples, rows)
            writer.write(pa.Table.from_arrays(arrays, schema=schema))
    return {
        "output": str(path),
        "rows": len(store),
        "columns": schema.names,
        "given": seen,
        "targets": asked,
    }


def _level_name(level: float) -> str:
    return f"q{100.0 * level:.6g}"


def _described(statistic: str) -> str:
    if statistic == "mean":
        return "expected value"
    return f"{statistic.removeprefix('q')} per cent quantile"
