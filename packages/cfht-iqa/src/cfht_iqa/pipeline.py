"""The chain from exposures and labels to a model and a report."""

from __future__ import annotations

import glob
import json
import logging
from pathlib import Path
from typing import Any, Final

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, InputError
from astro_common.jobs import Failure, FailureFile
from astro_common.jsonable import jsonable
from cfht_iqa.catalogue import build_catalogue
from cfht_iqa.configuration import RunConfiguration
from cfht_iqa.extracting import Extracting, extract_exposures
from cfht_iqa.extraction.settings import ExtractionSettings
from cfht_iqa.labels import read_labels, write_labels
from cfht_iqa.map_training import MapTraining, train_map
from cfht_iqa.megacam import exposure_name
from cfht_iqa.representatives import FILE_NAME
from cfht_iqa.representing import Representing, represent_exposures
from cfht_iqa.splits import split_catalogue, write_splits

__all__ = ["run_chain"]

logger = logging.getLogger(__name__)

_SUFFIXES: Final = (".fits", ".fit", ".fits.fz", ".fits.gz")


def run_chain(
    configuration: RunConfiguration,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
) -> tuple[dict[str, Any], list[Failure]]:
    """Extract, build the catalogue and the map, represent, split, train, evaluate and report.

    Catalogues of unchanged exposures are kept from an earlier run; what follows from them is made
    again.

    Parameters
    ----------
    configuration : RunConfiguration
        What is to be done.
    workers, scheduler, progress
        See `astro_common.jobs.run_units`.

    Returns
    -------
    dict
        Outputs, accuracy on the test split, errors of the map.
    list of Failure
        Exposures, and labels, that could not be used; also in ``failures.jsonl`` of the output.

    Raises
    ------
    ConfigurationError, InputError, OutputError
        As of the steps.
    """
    output = Path(configuration.output)
    paths = _matching("exposures", configuration.exposures)
    output.mkdir(parents=True, exist_ok=True)
    labels = read_labels([Path(item) for item in configuration.labels])
    units: dict[str, Any] = {"workers": workers, "scheduler": scheduler, "progress": progress}
    settings = _settings(configuration)
    section = configuration.extract
    headers: dict[str, Any] = {
        "exptime_s": section.exptime_s,
        "pixel_scale_arcsec": section.pixel_scale_arcsec,
    }
    logger.info("extracting the sources of %d exposures", len(paths))
    extracted = extract_exposures(
        Extracting(paths, output / "catalogues", settings, section.format, **headers, **units)
    )
    failed = list(extracted.failed)
    if not extracted.exposures:
        raise InputError(paths[0], "no exposure gave a catalogue", "at least one")
    done = {item["exposure"] for item in extracted.exposures}
    sound = [path for path in paths if exposure_name(path) in done]
    catalogues = [output / "catalogues" / f"{exposure_name(path)}.cat.fits" for path in sound]
    catalogue = output / "catalogue.parquet"
    build_catalogue(catalogues, catalogue, overwrite=True)
    write_labels(labels, output / "labels.csv", overwrite=True)
    # The audit comes before anything is trained on a feature that leaks.
    splitting = split_catalogue(
        catalogue,
        labels,
        configuration.som.features,
        group=configuration.split.group,
        seed=configuration.seed,
    )
    failed += splitting.unknown
    write_splits(splitting.splits, output / "splits.csv", overwrite=True)
    logger.info("training the map")
    som = train_map(
        catalogue,
        output / "som",
        MapTraining(**configuration.som.model_dump(), seed=configuration.seed),
        overwrite=True,
    )
    logger.info("making representative images")
    _, unrepresented = represent_exposures(
        Representing(
            sound,
            catalogue,
            output / "som",
            output / "representatives",
            configuration.represent.pick,
            configuration.seed,
            overwrite=True,
            **headers,
            **units,
        )
    )
    failed += unrepresented
    evaluation = _train_and_evaluate(configuration, labels, splitting.splits)
    judged = _judge(configuration, sound, splitting.splits, evaluation, units)
    failed += judged
    failures = FailureFile(output / "failures.jsonl", "exposure")
    for name in failures.units:
        failures.discard(name)
    for failure in failed:
        failures.add(failure)
    result = {
        "output": str(output),
        "report": str(output / "report" / "index.html"),
        "accuracy": evaluation["accuracy"],
        "accuracy_interval_95": evaluation["accuracy_interval_95"],
        "n_test_exposures": len(evaluation["exposures"]),
        "quantisation_error": som["quantisation_error"],
        "topographic_error": som["topographic_error"],
    }
    return result, failed


def _settings(configuration: RunConfiguration) -> ExtractionSettings:
    section = configuration.extract.model_dump()
    for key in ("format", "exptime_s", "pixel_scale_arcsec"):
        section.pop(key)
    return ExtractionSettings(**section)


def _matching(key: str, patterns: tuple[str, ...]) -> list[Path]:
    found: list[Path] = []
    for pattern in patterns:
        matches = sorted(Path(item) for item in glob.glob(pattern))  # noqa: PTH207 - absolute
        matches = [path for path in matches if path.name.lower().endswith(_SUFFIXES)]
        if not matches:
            raise ConfigurationError(key, f"no file matches {pattern}", "exposures")
        found += matches
    return list(dict.fromkeys(found))


def _train_and_evaluate(
    configuration: RunConfiguration, labels: dict[str, tuple[str, ...]], splits: dict[str, str]
) -> dict[str, Any]:
    from cfht_iqa.model.building import build_model, checked_inputs
    from cfht_iqa.model.evaluation import evaluate_model
    from cfht_iqa.model.training import Training

    output = Path(configuration.output)
    logger.info("training the network")
    representatives = output / "representatives" / FILE_NAME
    model = build_model(
        representatives,
        labels,
        splits,
        output / "som",
        output / "model",
        Training(**configuration.train.model_dump(), seed=configuration.seed),
        overwrite=True,
    )
    inputs, _ = checked_inputs(representatives, model.trained_map)
    scores = {"split": "test", **evaluate_model(model, inputs, labels, splits, "test").as_json()}
    with atomic_path(output / "evaluation.json", overwrite=True) as partial:
        partial.write_text(json.dumps(jsonable(scores), indent=1) + "\n", encoding="utf-8")
    return scores


def _judge(
    configuration: RunConfiguration,
    sound: list[Path],
    splits: dict[str, str],
    evaluation: dict[str, Any],
    units: dict[str, Any],
) -> list[Failure]:
    from cfht_iqa.model.files import load_model
    from cfht_iqa.model.prediction import Predicting, predict_exposures
    from cfht_iqa.report.page import write_report

    output = Path(configuration.output)
    if configuration.judge:
        chosen = _matching("judge", configuration.judge)
    else:
        chosen = [path for path in sound if splits.get(exposure_name(path)) == "test"]
    section = configuration.extract
    logger.info("judging %d exposures", len(chosen))
    verdicts, outcome = predict_exposures(
        Predicting(
            chosen,
            output / "model",
            section.exptime_s,
            section.pixel_scale_arcsec,
            **units,
        )
    )
    (output / "report").mkdir(exist_ok=True)
    write_report(
        verdicts,
        [(failure.unit, failure.reason) for failure in outcome.failed],
        load_model(output / "model"),
        output / "report" / "index.html",
        evaluation=evaluation,
        overwrite=True,
    )
    with atomic_path(output / "verdicts.json", overwrite=True) as partial:
        content = {"exposures": [item.as_json() for item in verdicts]}
        partial.write_text(json.dumps(jsonable(content), indent=1) + "\n", encoding="utf-8")
    return outcome.failed
