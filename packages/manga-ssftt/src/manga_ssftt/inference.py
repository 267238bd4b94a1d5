"""A trained network applied to spaxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from astro_common.errors import InputError
from manga_ssftt.checkpoints import TrainedModel
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.heads import interpret
from manga_ssftt.normalize import normalise
from manga_ssftt.patch_loader import PatchLoader, Sample
from manga_ssftt.patches import cut_patches

__all__ = ["Predicted", "check_grid", "predict_cube", "predict_samples"]

Floats = npt.NDArray[np.float64]
_BATCH = 256


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of some spaxels.

    Attributes
    ----------
    probability : ndarray of float64, shape (n, n_class)
        In the order of the target's ``class_ids``.
    log_oh, log_oh_err : ndarray of float64, shape (n,), or None
    """

    probability: Floats
    log_oh: Floats | None
    log_oh_err: Floats | None

    def class_id(self, class_ids: Sequence[int]) -> npt.NDArray[np.int64]:
        """Id of the most probable class of each spaxel (ndarray of int64)."""
        return np.asarray(np.take(class_ids, self.probability.argmax(axis=1)), dtype=np.int64)


def check_grid(model: TrainedModel, file: GalaxyFile) -> None:
    """Raise an `InputError` if a galaxy is not on the wavelength grid of the network."""
    wave = file.read("wave")
    low, high = model.window
    if len(wave) != model.n_wave or not np.allclose(wave[[0, -1]], (low, high), rtol=1e-6):
        raise InputError(
            file.path,
            f"{len(wave)} wavelengths from {wave[0]:.1f} to {wave[-1]:.1f} angstrom",
            f"{model.n_wave} from {low:.1f} to {high:.1f}, for which the network was trained",
            "process the galaxy with this --window and --n-pixels",
        )


def predict_samples(
    model: TrainedModel, samples: Sequence[Sample], batch_size: int = _BATCH
) -> list[Predicted]:
    """Predict the labelled spaxels of galaxies.

    Returns
    -------
    list of Predicted
        One for each galaxy, in the order of the samples.

    Raises
    ------
    InputError
        If a galaxy is damaged or on another wavelength grid.
    """
    found = []
    for sample in samples:
        with GalaxyFile(sample.path) as file:
            check_grid(model, file)
        loader = PatchLoader([sample], model.recipe, model.target, batch_size, reuse=True)
        found.append(_collect(model, [_outputs(model, patches) for patches, _, _ in loader]))
    return found


def predict_cube(
    model: TrainedModel,
    cube: npt.NDArray[np.float32],
    bad: npt.NDArray[np.bool_],
    y: npt.NDArray[np.int64],
    x: npt.NDArray[np.int64],
    batch_size: int = _BATCH,
) -> Predicted:
    """Predict spaxels of a cube in memory.

    Parameters
    ----------
    model : TrainedModel
    cube : ndarray of float32, shape (n_y, n_x, n_wave)
    bad : ndarray of bool, same shape
    y, x : ndarray of int64, shape (n,)

    Returns
    -------
    Predicted
    """
    recipe = model.recipe
    scaled = normalise(cube, bad, recipe.norm, recipe.statistics)
    half = recipe.patch_size // 2
    padded = np.pad(scaled, ((half, half), (half, half), (0, 0)))
    outputs = []
    for start in range(0, len(y), batch_size):
        block = slice(start, start + batch_size)
        patches = torch.from_numpy(cut_patches(padded, y[block], x[block], recipe.patch_size))
        outputs.append(_outputs(model, patches.permute(0, 3, 1, 2).unsqueeze(1)))
    return _collect(model, outputs)


def _outputs(model: TrainedModel, patches: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        result: torch.Tensor = model.network(patches)
        return result


def _collect(model: TrainedModel, outputs: list[torch.Tensor]) -> Predicted:
    joined = torch.cat(outputs) if outputs else torch.empty((0, model.target.n_outputs))
    found = interpret(joined, model.target)
    return Predicted(found.probability.numpy(), _numpy(found.log_oh), _numpy(found.log_oh_err))


def _numpy(tensor: torch.Tensor | None) -> npt.NDArray[Any] | None:
    return None if tensor is None else tensor.numpy()
