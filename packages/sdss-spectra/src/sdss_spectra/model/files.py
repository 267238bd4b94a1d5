"""A trained model on disk: ``model.json`` and ``weights.npz``, no code and no pickle."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from astro_common.atomic import atomic_path
from astro_common.errors import AstroError, InputError
from astro_common.jsonable import jsonable
from sdss_spectra.model.alignment import Alignment, moved
from sdss_spectra.model.architecture import Network, forward, softmax
from sdss_spectra.model.bins import Bins
from sdss_spectra.model.inputs import InputSettings, channels
from sdss_spectra.model.templates import Templates, combined, log_flux
from sdss_spectra.preprocessing.steps import Preprocessing

__all__ = ["Model", "load_model", "save_model"]

Floats = npt.NDArray[np.float32]

SCHEMA_VERSION: Final = 3
# Small batches keep the patches of a convolution in the cache.
_BATCH: Final = 32
_MAX_JSON_BYTES: Final = 64 << 20


@dataclass
class Model:
    """A trained classifier.

    Attributes
    ----------
    network, inputs, bins, preprocessing
        What it is and what it expects.
    weights : list of list of ndarray of float32
        Of each member of the ensemble.
    record : dict
        How it was trained.
    temperature : float
        By which logarithms of class probabilities are divided; found on the validation set. It
        changes how sure the model is, not which class it tells.
    templates : Templates or None
        Mean spectra, whose probabilities are averaged with the network's.
    alignment : Alignment or None
        Takes out velocities that files do not say.
    """

    network: Network
    inputs: InputSettings
    bins: Bins
    preprocessing: Preprocessing
    weights: list[list[Floats]]
    record: dict[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    templates: Templates | None = None
    alignment: Alignment | None = None

    def predict(
        self, flux: npt.NDArray[Any], ivar: npt.NDArray[Any], mask: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Probabilities of the classes, and median subtype codes.

        Parameters
        ----------
        flux, ivar : ndarray of float, shape (n, n_pixels)
            Cleaned as `preprocessing` says.
        mask : ndarray of bool, shape (n, n_pixels)
            True where there are no data.

        Returns
        -------
        probabilities : ndarray of float64, shape (n, n_classes)
            Mean of the members, and of the templates if there are any.
        codes : ndarray of float64, shape (n,)
            See `SpectralType.code`; NaN if the model knows no class of the sequence.

        Notes
        -----
        Both are of one distribution. The median subtype may lie beyond an edge of the class that is
        the most probable, where its neighbours on one side have more than half of the probability.
        """
        both = self._calibrated(self._told(flux, ivar, mask))
        return self.bins.class_probabilities(both), self.bins.median_code(both)

    def _told(
        self, flux: npt.NDArray[Any], ivar: npt.NDArray[Any], mask: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Probabilities of the bins, by network and templates."""
        found = np.empty((len(flux), len(self.bins.codes)))

        def tell(start: int) -> None:
            part = slice(start, start + _BATCH)
            here, values = self._seen(flux[part], ivar[part], mask[part])
            members = [softmax(forward(self.network, arrays, values)) for arrays in self.weights]
            found[part] = np.mean(members, axis=0)
            if self.templates is not None:
                told = self.templates.probabilities(
                    *log_flux(here[0], here[2]), len(self.bins.classes)
                )
                found[part] = combined(found[part], self.bins.membership, told)

        # The products of matrices are too small to be shared by threads: batches are.
        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(os.cpu_count()) as pool,
        ):
            list(pool.map(tell, range(0, len(flux), _BATCH)))
        return found

    def _seen(
        self, flux: npt.NDArray[Any], ivar: npt.NDArray[Any], mask: npt.NDArray[np.bool_]
    ) -> tuple[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.bool_]], Floats]:
        """Spectra where their lines are those of the training set, and their channels."""
        step = self.preprocessing.grid.loglam_step
        values = channels(flux, ivar, mask, step, self.inputs)
        if self.alignment is None:
            return (flux, ivar, mask), values
        if self.inputs == InputSettings():
            lines, there = (np.ascontiguousarray(values[..., k]) for k in (0, 1))
            back = -self.alignment.shifts_of_lines(lines, there)
        else:
            back = -self.alignment.shifts(flux, mask)
        flux, ivar, mask = moved(flux, back, 0.0), moved(ivar, back, 0.0), moved(mask, back, True)
        # Most spectra are at rest: their channels are those that there are.
        rows = np.flatnonzero(back)
        if len(rows):
            values[rows] = channels(flux[rows], ivar[rows], mask[rows], step, self.inputs)
        return (flux, ivar, mask), values

    def _calibrated(self, found: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Raise classes to 1 / temperature: the order of classes, and of bins in one, stays."""
        membership = self.bins.membership
        own = np.maximum(found @ membership, 1e-12)
        powered = own ** (1.0 / self.temperature)
        powered /= powered.sum(axis=1, keepdims=True)
        return np.asarray(found * ((powered / own) @ membership.T))


def save_model(folder: Path, model: Model, *, overwrite: bool) -> None:
    """Write ``model.json`` and ``weights.npz`` into a folder.

    Raises
    ------
    OutputError
        They exist, or cannot be written.
    """
    arrays: dict[str, Any] = {
        f"member{member:02d}_array{place:03d}": array
        for member, weights in enumerate(model.weights)
        for place, array in enumerate(weights)
    }
    if model.templates is not None:
        arrays |= {f"templates_{k}": array for k, array in model.templates.arrays().items()}
    if model.alignment is not None:
        arrays["alignment"] = model.alignment.values
    target = folder / "weights.npz"
    with atomic_path(target, overwrite=overwrite) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
    description = {
        "schema_version": SCHEMA_VERSION,
        "network": model.network.as_dict(),
        "inputs": model.inputs.as_dict(),
        "bins": model.bins.as_dict(),
        "label_map": {name: number for number, name in enumerate(model.bins.classes)},
        "preprocessing": model.preprocessing.as_dict(),
        "members": len(model.weights),
        "with_templates": model.templates is not None,
        "with_alignment": model.alignment is not None,
        "temperature": model.temperature,
        "record": model.record,
    }
    text = json.dumps(jsonable(description), indent=2, allow_nan=False) + "\n"
    with atomic_path(folder / "model.json", overwrite=overwrite) as partial:
        partial.write_text(text, encoding="utf-8")


def load_model(folder: Path) -> Model:
    """Load a trained model.

    Raises
    ------
    InputError
        The folder holds no model, or a damaged one.
    """
    path = folder / "model.json"
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise InputError(path, "more than 64 MiB", "the description of a model")
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            path, "no such file", "a folder that `sdss-spectra train` has made"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"not JSON ({error})", "the description of a model") from error
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from error
    if not isinstance(description, Mapping) or description.get("schema_version") != SCHEMA_VERSION:
        raise InputError(path, "another schema_version", str(SCHEMA_VERSION), "train again")
    try:
        network = Network.from_dict(description["network"])
        inputs = InputSettings.from_dict(description["inputs"])
        bins = Bins.from_dict(description["bins"])
        preprocessing = Preprocessing.from_dict(description["preprocessing"])
        members = int(description["members"])
        temperature = float(description["temperature"])
        if not 0.0 < temperature < 1e3:
            raise ValueError(f"temperature {temperature:g}")
        with_templates = bool(description["with_templates"])
        with_alignment = bool(description["with_alignment"])
    except AstroError as error:
        raise InputError(path, str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(path, f"incomplete ({error})", "the description of a model") from error
    weights, templates, lines = _load_weights(
        folder / "weights.npz", members, len(bins.classes) if with_templates else None,
        with_alignment,
    )  # fmt: skip
    model = Model(
        network,
        inputs,
        bins,
        preprocessing,
        weights,
        dict(description["record"]),
        temperature,
        templates,
        None if lines is None else Alignment(lines, preprocessing.grid.loglam_step),
    )
    _check(folder / "weights.npz", model)
    return model


def _load_weights(
    path: Path, members: int, classes_of_templates: int | None, with_alignment: bool
) -> tuple[list[list[Floats]], Templates | None, Floats | None]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = sorted(stored.files)
            found: list[list[Floats]] = [
                [
                    np.asarray(stored[n], np.float32)
                    for n in names
                    if n.startswith(f"member{m:02d}_")
                ]
                for m in range(members)
            ]
            templates = None
            if classes_of_templates is not None:
                prefix = "templates_"
                arrays = {n.removeprefix(prefix): stored[n] for n in names if n.startswith(prefix)}
                templates = Templates.from_arrays(arrays, classes_of_templates)
            lines = np.asarray(stored["alignment"], np.float32) if with_alignment else None
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "the weights of the model") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(path, f"damaged ({error})", "the weights of the model") from error
    return found, templates, lines


def _check(path: Path, model: Model) -> None:
    """Try the network on one empty spectrum: shapes that do not fit show here, not later."""
    n_pixels = model.preprocessing.grid.n_pixels
    empty = np.zeros((1, n_pixels), np.float32)
    try:
        for arrays in model.weights:
            if not arrays or arrays[-1].shape != (len(model.bins.codes),):
                raise ValueError("weights of another set of classes")
            values = np.zeros((1, n_pixels, model.inputs.num_channels), np.float32)
            forward(model.network, arrays, values)
        if not model.weights:
            raise ValueError("no weights")
        model.predict(empty, empty, empty == 0)
    except (ValueError, IndexError, AstroError) as error:
        raise InputError(
            path, f"does not fit model.json ({error})", "both of one training"
        ) from error
