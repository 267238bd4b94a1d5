"""From tables of representative images, labels and splits to a model in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from astro_common.errors import InputError
from astro_common.provenance import provenance
from cfht_iqa.extraction.settings import ExtractionSettings
from cfht_iqa.model.domain import domain_of
from cfht_iqa.model.files import MODEL_NAMES, TrainedModel, save_model
from cfht_iqa.model.inputs import CcdInputs, read_inputs
from cfht_iqa.model.training import Training, fit_network
from cfht_iqa.representatives import FILE_NAME
from cfht_iqa.som.files import TrainedMap, check_free, load_map
from cfht_iqa.summary import SUMMARY_NAME

__all__ = ["build_model", "checked_inputs", "extraction_of"]


def build_model(
    representatives: Path,
    labels: Mapping[str, Sequence[str]],
    splits: Mapping[str, str],
    som: Path,
    output: Path,
    training: Training,
    *,
    overwrite: bool = False,
) -> TrainedModel:
    """Train a model and write it.

    Parameters
    ----------
    representatives : Path
        ``representatives.parquet``, or its folder.
    labels : mapping of str to sequence of str
        By exposure; the first counts.
    splits : mapping of str to str
        By exposure.
    som : Path
        Folder of the map with which the images were made.
    output : Path
        Folder of the model.
    training : Training
        Settings.
    overwrite : bool, optional
        Replace a model.

    Returns
    -------
    TrainedModel

    Raises
    ------
    InputError
        If an input is damaged, does not fit the others, or leaves nothing to train on.
    OutputError
        If a model exists or cannot be written.
    """
    check_free(output, overwrite=overwrite, names=MODEL_NAMES)
    trained_map = load_map(som)
    inputs, notes = checked_inputs(representatives, trained_map)
    main = {exposure: names[0] for exposure, names in labels.items()}
    fitted = fit_network(inputs, main, splits, trained_map.n_clusters, training)
    settings = training.as_json()
    path = representatives / FILE_NAME if representatives.is_dir() else representatives
    trained = [name for name, split in splits.items() if split == "train" and name in main]
    model = TrainedModel(
        fitted.network,
        trained_map,
        extraction_of(notes),
        str(notes.get("pick", "largest")),
        int(notes.get("seed", 42)),
        fitted.temperature,
        fitted.reject_below,
        domain_of(path.with_name(SUMMARY_NAME), set(trained)),
        {
            **fitted.record,
            "provenance": provenance("cfht-iqa", settings, [path]),
        },
    )
    save_model(model, output, overwrite=overwrite)
    return model


def checked_inputs(path: Path, trained_map: TrainedMap) -> tuple[CcdInputs, dict[str, Any]]:
    """Read representative images and make sure that they were made with this map's size."""
    inputs, notes = read_inputs(path)
    n_clusters, n_nodes = trained_map.n_clusters, trained_map.som.n_nodes
    if inputs.hits.shape[1] != n_clusters + n_nodes:
        raise InputError(
            path,
            f"{inputs.hits.shape[1]} hits per CCD",
            f"{n_clusters} groups and {n_nodes} nodes, as the map has",
            "make them with this map",
        )
    return inputs, notes


def extraction_of(notes: Mapping[str, Any]) -> ExtractionSettings:
    """Find out how the sources were found; the defaults if another program found them.

    Parameters
    ----------
    notes : mapping
        Of the table of representative images.

    Returns
    -------
    ExtractionSettings

    Raises
    ------
    InputError
        If sources of one catalogue were found in several ways.
    """
    recorded = [text for text in notes.get("extraction", []) if text]
    if len(recorded) > 1:
        raise InputError(
            "catalogue",
            f"sources found with {len(recorded)} different settings",
            "one way for all exposures",
            "extract them again",
        )
    if not recorded:
        return ExtractionSettings()
    values = dict(line.split(" = ", 1) for line in recorded[0].split("\n"))
    return ExtractionSettings(**{key: json.loads(value) for key, value in values.items()})
