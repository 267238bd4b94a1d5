"""SSFTT by the published protocol: principal components, patches, one label per pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from astro_common.errors import ConfigurationError
from manga_ssftt.hsi.recipe import RECIPES
from manga_ssftt.hsi.scene import Scene
from manga_ssftt.hsi.splitting import TEST, TRAIN
from manga_ssftt.hsi.training import centre_weights, class_probabilities, train_network
from manga_ssftt.metrics import classification_figures
from manga_ssftt.model import SSFTT
from manga_ssftt.patches import cut_patches

__all__ = ["Protocol", "run_protocol", "svm_figures"]

_PREDICT_BATCH: Final = 512
_SVM_COST: Final = 100.0


@dataclass(frozen=True)
class Protocol:
    """What is done with a scene.

    Attributes
    ----------
    model : str
        How the network is trained, one of `RECIPES`.
    patch_size, n_components, epochs, batch_size : int
    train_only_pca : bool
        Fit the components on training pixels alone; published runs use the spectra of all pixels.
    seed : int
    """

    model: str = "ssftt"
    patch_size: int = 13
    n_components: int = 30
    epochs: int = 100
    batch_size: int = 64
    train_only_pca: bool = False
    seed: int = 0


def run_protocol(
    scene: Scene, split: npt.NDArray[np.uint8], protocol: Protocol
) -> tuple[dict[str, Any], npt.NDArray[np.int64]]:
    """Train on the training pixels and predict all labelled ones.

    Parameters
    ----------
    scene : Scene
    split : ndarray of uint8, shape (n_y, n_x)
        1 train, 2 test.
    protocol : Protocol

    Returns
    -------
    figures : dict
        Of the test pixels, see `metrics.classification_figures`, with ``n_train`` and ``n_test``.
    prediction : ndarray of int64, shape (n_y, n_x)
        Class of each labelled pixel, 0 elsewhere.

    Raises
    ------
    ConfigurationError
        If bands or spectra give fewer than 3 components.
    """
    torch.manual_seed(protocol.seed)
    recipe, classes = RECIPES[protocol.model], scene.classes
    padded = _padded_components(scene, split, protocol)
    weights = centre_weights(protocol.patch_size) if recipe.centred else None
    y, x = np.nonzero(split == TRAIN)
    network = train_network(
        SSFTT(padded.shape[2], protocol.patch_size, len(classes), stem=False),
        _patches(padded, y, x, protocol.patch_size, weights),
        torch.from_numpy(np.searchsorted(classes, scene.truth[y, x])),
        recipe,
        epochs=protocol.epochs,
        batch_size=protocol.batch_size,
        random=np.random.default_rng(protocol.seed),
    )
    prediction = np.zeros(scene.truth.shape, dtype=np.int64)
    all_y, all_x = np.nonzero(scene.truth > 0)
    for start in range(0, len(all_y), _PREDICT_BATCH):
        rows, columns = (place[start : start + _PREDICT_BATCH] for place in (all_y, all_x))
        some = _patches(padded, rows, columns, protocol.patch_size, weights)
        best = class_probabilities(network, some, recipe).argmax(dim=1).numpy()
        prediction[rows, columns] = classes[best]
    tested = split == TEST
    figures = classification_figures(scene.truth[tested], prediction[tested], classes.tolist())
    figures["n_train"], figures["n_test"] = int(np.sum(split == TRAIN)), int(np.sum(tested))
    return figures, prediction


def svm_figures(scene: Scene, split: npt.NDArray[np.uint8]) -> dict[str, float]:
    """What a support vector machine reaches that sees each pixel's spectrum alone.

    It tells how hard a scene is: what SSFTT gains on it comes from the surroundings.

    Parameters
    ----------
    scene : Scene
    split : ndarray of uint8, shape (n_y, n_x)
        1 train, 2 test.

    Returns
    -------
    dict
        ``oa``, ``aa`` and ``kappa`` of the test pixels.
    """
    machine = make_pipeline(StandardScaler(), SVC(C=_SVM_COST))
    machine.fit(scene.image[split == TRAIN], scene.truth[split == TRAIN])
    tested = split == TEST
    found = machine.predict(scene.image[tested])
    figures = classification_figures(scene.truth[tested], found, scene.classes.tolist())
    return {name: figures[name] for name in ("oa", "aa", "kappa")}


def _padded_components(
    scene: Scene, split: npt.NDArray[np.uint8], protocol: Protocol
) -> npt.NDArray[np.float32]:
    flat = scene.image.reshape(-1, scene.image.shape[2])
    fitted = scene.image[split == TRAIN] if protocol.train_only_pca else flat
    n_components = min(protocol.n_components, *fitted.shape)
    if n_components < 3:
        n_spectra, n_bands = fitted.shape
        raise ConfigurationError(
            "--n-components",
            f"{n_components} components: {n_spectra} spectra of {n_bands} bands",
            "at least 3, which SSFTT needs",
        )
    pca = PCA(n_components, whiten=True, svd_solver="full").fit(fitted)
    components = pca.transform(flat).reshape(*scene.truth.shape, n_components)
    half = protocol.patch_size // 2
    return np.pad(components.astype(np.float32), ((half, half), (half, half), (0, 0)))


def _patches(
    padded: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    x: npt.NDArray[np.int64],
    size: int,
    weights: torch.Tensor | None,
) -> torch.Tensor:
    patches = torch.from_numpy(cut_patches(padded, y, x, size))
    patches = patches.permute(0, 3, 1, 2).unsqueeze(1).contiguous()  # (n, 1, bands, p, p)
    return patches if weights is None else patches.mul_(weights)
