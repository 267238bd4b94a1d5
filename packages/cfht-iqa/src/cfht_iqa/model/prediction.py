"""Verdicts on exposures, from the FITS file and the model alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from astro_common.errors import InputError
from astro_common.jobs import Outcome, run_units
from cfht_iqa.classes import CLASSES
from cfht_iqa.exposure_quality import exposure_measures
from cfht_iqa.extraction import extract_ccd
from cfht_iqa.extraction.emptiness import why_empty
from cfht_iqa.extraction.settings import Sources
from cfht_iqa.megacam import exposure_name, iterate_ccds, read_exposure
from cfht_iqa.model.files import TrainedModel, load_model
from cfht_iqa.model.inputs import inputs_of
from cfht_iqa.model.training import log_probabilities
from cfht_iqa.model.verdict import pooled_probabilities
from cfht_iqa.quality import CcdQuality, measure_quality
from cfht_iqa.reasons import SUPPORTS, assess
from cfht_iqa.representatives import CcdSources, Representative, choose

__all__ = ["ExposureVerdict", "Predicting", "judge_exposure", "predict_exposures"]


@dataclass(frozen=True)
class Predicting:
    """What is to be judged.

    Attributes
    ----------
    exposures : sequence of Path
        Files.
    model : Path
        Folder of the model.
    exptime_s, pixel_scale_arcsec : float or None
        In place of the headers' values.
    reject_below : float or None
        In place of the model's threshold.
    workers, scheduler, progress
        See `astro_common.jobs.run_units`.
    failures : Path or None
        File that lists the exposures that failed.
    """

    exposures: Sequence[Path]
    model: Path
    exptime_s: float | None = None
    pixel_scale_arcsec: float | None = None
    reject_below: float | None = None
    workers: int = 1
    scheduler: str | None = None
    progress: bool = True
    failures: Path | None = None


@dataclass(frozen=True, eq=False)
class ExposureVerdict:
    """Verdict on an exposure.

    Attributes
    ----------
    exposure : str
        Its name.
    verdict : str
        The likeliest class.
    probabilities : dict of str to float
        By class.
    support : str
        Whether measurements bear the verdict out; see `cfht_iqa.reasons`.
    is_rejected : bool
        Too uncertain, or not borne out by measurements: a person should look.
    synthetic : bool
        Whether the file says that it is synthetic.
    header : dict
        ``exptime_s, filter, runid, pixel_scale_arcsec``.
    ccds : list of dict
        ``ccd, state, verdict, probabilities`` and measurements of each.
    measures : dict of str to float
        See `exposure_measures`.
    reasons : list of str
        See `cfht_iqa.reasons.assess`.
    representatives : dict of str to Representative
        By CCD.
    thumbnails : dict of str to ndarray of float32, shape (n_y, n_x)
        Block means of each CCD, some 100 pixels high.
    """

    exposure: str
    verdict: str
    probabilities: dict[str, float]
    support: str
    is_rejected: bool
    synthetic: bool
    header: dict[str, Any]
    ccds: list[dict[str, Any]]
    measures: dict[str, float]
    reasons: list[str]
    representatives: dict[str, Representative] = field(default_factory=dict)
    thumbnails: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    @property
    def standing(self) -> str:
        """What a person should know first: `support` if it is wanting, else perhaps ``uncertain``.

        A verdict that cannot be checked, or of an exposure unlike those trained on, is none.
        """
        if self.support in SUPPORTS[2:]:
            return "not judged"
        if self.support != SUPPORTS[0]:
            return self.support
        return "uncertain" if self.is_rejected else ""

    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON can hold it, without the images."""
        return {
            "exposure": self.exposure,
            "verdict": self.verdict,
            "probabilities": self.probabilities,
            "rejected": self.is_rejected,
            "support": self.support,
            "synthetic": self.synthetic,
            **self.header,
            "reasons": self.reasons,
            "measures": self.measures,
            "ccds": self.ccds,
        }


def predict_exposures(predicting: Predicting) -> tuple[list[ExposureVerdict], Outcome]:
    """Judge exposures.

    Parameters
    ----------
    predicting : Predicting
        What is to be done.

    Returns
    -------
    list of ExposureVerdict
        In the order in which they were given.
    Outcome
        Which exposures failed, and why.

    Raises
    ------
    InputError
        If the model is damaged.
    """
    load_model(predicting.model)
    units = {exposure_name(path): (path, predicting) for path in predicting.exposures}
    verdicts: dict[str, ExposureVerdict] = {}
    outcome = run_units(
        _judge,
        units,
        workers=predicting.workers,
        scheduler=predicting.scheduler,
        failures=predicting.failures,
        describe="exposure",
        on_done=verdicts.__setitem__,
        progress=predicting.progress,
    )
    return [verdicts[name] for name in units if name in verdicts], outcome


def _judge(unit: tuple[Path, Predicting]) -> ExposureVerdict:
    path, predicting = unit
    if predicting.workers > 1:
        torch.set_num_threads(1)
    model = _cached_model(str(predicting.model))
    return judge_exposure(
        path,
        model,
        exptime_s=predicting.exptime_s,
        pixel_scale_arcsec=predicting.pixel_scale_arcsec,
        reject_below=predicting.reject_below,
    )


@lru_cache(maxsize=1)
def _cached_model(folder: str) -> TrainedModel:
    return load_model(Path(folder))


def judge_exposure(
    path: Path,
    model: TrainedModel,
    *,
    exptime_s: float | None = None,
    pixel_scale_arcsec: float | None = None,
    reject_below: float | None = None,
) -> ExposureVerdict:
    """Judge an exposure, CCD by CCD.

    Parameters
    ----------
    path : Path
        The file.
    model : TrainedModel
        The model.
    exptime_s, pixel_scale_arcsec : float, optional
        In place of the headers' values.
    reject_below : float, optional
        In place of the model's threshold.

    Returns
    -------
    ExposureVerdict

    Raises
    ------
    InputError
        If the file is damaged, a header value is missing, or no CCD has sources.
    """
    exposure = read_exposure(path, exptime_s=exptime_s, pixel_scale_arcsec=pixel_scale_arcsec)
    names: list[str] = []
    states: list[str] = []
    chosen: list[Representative] = []
    measured: list[CcdQuality] = []
    thumbnails: dict[str, npt.NDArray[np.float32]] = {}
    empty: list[str] = []
    for ccd in iterate_ccds(exposure):
        found = extract_ccd(
            ccd,
            model.extraction,
            pixel_scale_arcsec=exposure.pixel_scale_arcsec,
            saturation_adu=exposure.saturation_adu,
            source=path,
        )
        if not len(found["X_IMAGE"]):
            empty.append(why_empty(ccd, model.extraction))
        features = _features(found, model, exposure.exptime_s)
        sources = CcdSources(
            exposure.exposure,
            ccd.name,
            found["X_IMAGE"].astype(np.float64),
            found["Y_IMAGE"].astype(np.float64),
            found["ISO0"].astype(np.float64),
            found["BACKGROUND"].astype(np.float64),
            features,
        )
        names.append(ccd.name)
        thumbnails[ccd.name] = _thumbnail(ccd.pixels)
        states.append(ccd.state.name)
        chosen.append(
            choose(sources, ccd.pixels, model.trained_map, pick=model.pick, seed=model.seed)
        )
        measured.append(
            measure_quality(
                ccd.pixels,
                found,
                pixel_scale_arcsec=exposure.pixel_scale_arcsec,
                bias_adu=ccd.overscan_adu,
                state=ccd.state,
            )
        )
    inputs = inputs_of(exposure.exposure, names, chosen, measured)
    if not len(inputs):
        raise InputError(
            path,
            f"not judged: no sources on any of its {len(names)} CCDs ({empty[0]})",
            "an image of the sky",
        )
    logs = log_probabilities(model.network, inputs)
    pooled = pooled_probabilities(logs, model.temperature)
    verdict = CLASSES[int(pooled.argmax())]
    measures = exposure_measures(measured)
    shape = max((header.shape for header in exposure.ccds), key=lambda sides: sides[0] * sides[1])
    outside = model.domain.differences(exposure.pixel_scale_arcsec, shape)
    assessed = assess(verdict, measures, outside)
    threshold = model.reject_below if reject_below is None else reject_below
    own = dict(zip(inputs.ccds, np.exp(logs), strict=True))
    return ExposureVerdict(
        exposure.exposure,
        verdict,
        _named(pooled),
        assessed.support,
        # Against measurements, or where none can be made, a sure network is no witness.
        bool(pooled.max() < threshold or assessed.support != SUPPORTS[0]),
        exposure.synthetic,
        {
            "exptime_s": exposure.exptime_s,
            "filter": exposure.filter_name,
            "runid": exposure.runid,
            "pixel_scale_arcsec": exposure.pixel_scale_arcsec,
        },
        [
            _ccd_record(name, state, own.get(name), quality)
            for name, state, quality in zip(names, states, measured, strict=True)
        ],
        measures,
        assessed.reasons,
        dict(zip(names, chosen, strict=True)),
        thumbnails,
    )


def _thumbnail(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    block = max(1, pixels.shape[0] // 100)
    n_y, n_x = pixels.shape[0] // block, pixels.shape[1] // block
    cut = pixels[: n_y * block, : n_x * block].reshape(n_y, block, n_x, block)
    return np.asarray(cut.mean(axis=(1, 3)), np.float32)


def _features(
    found: Sources, model: TrainedModel, exptime_s: float
) -> dict[str, npt.NDArray[np.float64]]:
    count = len(found["X_IMAGE"])
    features = {}
    for name in model.trained_map.scaling.features:
        if name == "exptime_s":
            features[name] = np.full(count, exptime_s)
        else:
            # As single precision in the catalogue has it.
            features[name] = found[name.upper()].astype(np.float64)
    return features


def _named(probabilities: npt.NDArray[np.float64]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(CLASSES, probabilities, strict=True)}


def _ccd_record(
    name: str, state: str, own: npt.NDArray[np.float64] | None, quality: CcdQuality
) -> dict[str, Any]:
    return {
        "ccd": name,
        "state": state,
        "verdict": None if own is None else CLASSES[int(own.argmax())],
        "probabilities": None if own is None else _named(own),
        **quality.as_json(),
    }
