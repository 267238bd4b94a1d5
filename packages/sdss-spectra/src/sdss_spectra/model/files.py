"""A trained model on disk: ``model.json`` and ``weights.npz``, no code and no pickle."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from astro_common.atomic import atomic_path
from astro_common.errors import AstroError, InputError
from astro_common.jsonable import jsonable
from sdss_spectra.bitmasks import bits_value
from sdss_spectra.model.alignment import Alignment
from sdss_spectra.model.architecture import Network, forward
from sdss_spectra.model.bins import Bins
from sdss_spectra.model.classifier import Model
from sdss_spectra.model.inputs import InputSettings
from sdss_spectra.model.templates import Templates
from sdss_spectra.model.training import MAX_MEMBERS
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.stars import StarKeys

__all__ = ["load_model", "save_model"]

Floats = npt.NDArray[np.float32]

SCHEMA_VERSION: Final = 4
_MAX_JSON_BYTES: Final = 256 << 20


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
        "known_stars": [star.as_dict() for star in model.known_stars],
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
            raise InputError(path, "more than 256 MiB", "the description of a model")
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
        model, members = _described(description)
    except AstroError as error:
        raise InputError(path, str(error)) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(path, f"incomplete ({error})", "the description of a model") from error
    _load_weights(
        folder / "weights.npz",
        model,
        members,
        with_templates=bool(description.get("with_templates")),
        with_alignment=bool(description.get("with_alignment")),
    )
    _check(folder / "weights.npz", model)
    return model


def _described(description: Mapping[str, Any]) -> tuple[Model, int]:
    """The model without its weights, and how many networks it has."""
    members, temperature = description["members"], float(description["temperature"])
    if not isinstance(members, int) or not 1 <= members <= MAX_MEMBERS:
        raise ValueError(f"members {members!r}")
    if not 0.0 < temperature < 1e3:
        raise ValueError(f"temperature {temperature:g}")
    bins = Bins.from_dict(description["bins"])
    if not bins.classes or not all(isinstance(name, str) for name in bins.classes):
        raise ValueError(f"classes {bins.classes!r}")
    preprocessing = Preprocessing.from_dict(description["preprocessing"])
    bits_value(preprocessing.and_bits + preprocessing.or_bits)
    model = Model(
        Network.from_dict(description["network"]),
        InputSettings.from_dict(description["inputs"]),
        bins,
        preprocessing,
        weights=[],
        record=dict(description["record"]),
        temperature=temperature,
        known_stars=[StarKeys.from_dict(values) for values in description["known_stars"]],
    )
    return model, members


def _load_weights(
    path: Path, model: Model, members: int, *, with_templates: bool, with_alignment: bool
) -> None:
    """Give the model its arrays."""
    prefix = "templates_"
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = sorted(stored.files)
            model.weights = [
                [
                    np.asarray(stored[name], np.float32)
                    for name in names
                    if name.startswith(f"member{member:02d}_")
                ]
                for member in range(members)
            ]
            if with_templates:
                arrays = {n.removeprefix(prefix): stored[n] for n in names if n.startswith(prefix)}
                model.templates = Templates.from_arrays(arrays, len(model.bins.classes))
            if with_alignment:
                lines = np.asarray(stored["alignment"], np.float32)
                model.alignment = Alignment(lines, model.preprocessing.grid.loglam_step)
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "the weights of the model") from error
    except (
        OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile,
        zlib.error,
        RuntimeError,  # flags of a damaged archive claim encryption, or another compression
    ) as error:  # fmt: skip
        raise InputError(path, f"damaged ({error})", "the weights of the model") from error


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
        model.predict(empty, empty, empty == 0)
    except (ValueError, IndexError, TypeError, AstroError) as error:
        raise InputError(
            path, f"does not fit model.json ({error})", "both of one training"
        ) from error
