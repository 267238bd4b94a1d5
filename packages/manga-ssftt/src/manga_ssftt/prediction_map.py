"""The map that a network predicts for one galaxy, as FITS with coordinates and probabilities."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.io.fits import Header

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from manga_ssftt import __version__
from manga_ssftt.checkpoints import TrainedModel
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.inference import check_grid, predict_cube

__all__ = ["PredictionMap", "predict_map", "write_prediction_map"]


@dataclass(frozen=True, eq=False)
class PredictionMap:
    """Predictions of all spaxels that have a spectrum.

    Attributes
    ----------
    plateifu : str
    predicted : ndarray, shape (n_y, n_x)
        Class id (uint8, 0 without a spectrum), or 12 + log(O/H) (float32, NaN without one).
    probability : ndarray of float32, shape (n_class, n_y, n_x)
        NaN without a spectrum.
    log_oh, log_oh_err : ndarray of float32, shape (n_y, n_x), or None
        Abundance of a joint model, and its standard deviation where the model tells it.
    truth : ndarray, shape (n_y, n_x)
        The label map of the task.
    wcs : astropy.io.fits.Header
    synthetic : bool
    """

    plateifu: str
    predicted: npt.NDArray[Any]
    probability: npt.NDArray[np.float32]
    log_oh: npt.NDArray[np.float32] | None
    log_oh_err: npt.NDArray[np.float32] | None
    truth: npt.NDArray[Any]
    wcs: Header
    synthetic: bool

    @property
    def n_spaxels(self) -> int:
        """Spaxels that were predicted (int)."""
        return int(np.isfinite(self.probability[0]).sum())


def predict_map(model: TrainedModel, path: Path) -> PredictionMap:
    """Predict every spaxel of a processed galaxy that has a good pixel.

    Parameters
    ----------
    model : TrainedModel
    path : Path
        HDF5 file of the galaxy.

    Returns
    -------
    PredictionMap

    Raises
    ------
    InputError
        If the file is missing or damaged, is on another wavelength grid, or has no spectrum.
    """
    target = model.target
    with GalaxyFile(path) as file:
        check_grid(model, file)
        cube, bad = file.read("cube"), file.read("mask")
        truth, wcs = file.label(target.map_task), file.wcs
        plateifu, synthetic = file.plateifu, file.synthetic
    shape = cube.shape[:2]
    y, x = np.nonzero(~bad.all(axis=2))
    if len(y) == 0:
        raise InputError(path, "no spaxel with a good pixel", "at least one")
    found = predict_cube(model, cube, bad, y, x)
    probability = np.full((found.probability.shape[1], *shape), np.nan, np.float32)
    probability[:, y, x] = found.probability.T

    def as_map(values: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float32] | None:
        if values is None:
            return None
        result = np.full(shape, np.nan, np.float32)
        result[y, x] = values
        return result

    log_oh, log_oh_err = as_map(found.log_oh), as_map(found.log_oh_err)
    predicted: npt.NDArray[Any]
    if target.task == "logOH":
        assert log_oh is not None  # noqa: S101 - every abundance head gives one
        predicted, log_oh = log_oh, None
    else:
        predicted = np.zeros(shape, np.uint8)
        predicted[y, x] = found.class_id(target.class_ids)
    return PredictionMap(
        plateifu, predicted, probability, log_oh, log_oh_err, truth, wcs, synthetic
    )


def write_prediction_map(
    path: Path, found: PredictionMap, model: TrainedModel, *, overwrite: bool = False
) -> None:
    """Write the HDUs ``PRED`` and ``PROB`` (with CLASS1, CLASS2, ... = class id) and the truth.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    target = model.target
    primary = fits.PrimaryHDU()
    primary.header["PLATEIFU"] = found.plateifu
    primary.header["TASK"], primary.header["HEAD"] = target.task, target.head
    primary.header["MODEL"] = model.architecture
    primary.header["ORIGIN"] = f"manga-ssftt {__version__}"
    if found.synthetic:
        primary.header["SYNTHETI"] = (True, "synthetic data, not an observation")
    dex = "dex" if target.task == "logOH" else ""
    hdus: list[Any] = [primary, _image("PRED", found.predicted, found.wcs, dex)]
    probability = _image("PROB", found.probability, found.wcs)
    for number, label in enumerate(target.class_ids, start=1):
        probability.header[f"CLASS{number}"] = (label, f"label id of plane {number}")
    bounds = [-np.inf, *target.edges, np.inf]
    if target.edges and target.task == "logOH":
        for number in range(1, len(bounds)):
            low, high = bounds[number - 1], bounds[number]
            probability.header["COMMENT"] = f"plane {number}: 12 + log(O/H) from {low} to {high}"
    hdus.append(probability)
    if found.log_oh is not None:
        hdus.append(_image("LOGOH", found.log_oh, found.wcs, "dex"))
    if found.log_oh_err is not None:
        hdus.append(_image("LOGOH_ERR", found.log_oh_err, found.wcs, "dex"))
    hdus.append(_image("LABEL", found.truth, found.wcs, dex))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path, overwrite=overwrite) as partial:
        if path.suffix != ".gz":
            fits.HDUList(hdus).writeto(partial, overwrite=True)
            return
        # The temporary name does not end in .gz, by which astropy would know.
        with gzip.open(partial, "wb") as file:
            fits.HDUList(hdus).writeto(file)


def _image(name: str, values: npt.NDArray[Any], wcs: Header, unit: str = "") -> fits.ImageHDU:
    hdu = fits.ImageHDU(values, header=wcs.copy(), name=name)
    if unit:
        hdu.header["BUNIT"] = unit
    return hdu
