"""SSFTT by the published protocol: principal components, patches, one label per pixel."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch.nn import functional

from manga_ssftt.hsi.scene import Scene
from manga_ssftt.hsi.splitting import TEST, TRAIN
from manga_ssftt.metrics import classification_figures
from manga_ssftt.model import SSFTT
from manga_ssftt.patches import cut_patches

__all__ = ["Protocol", "run_protocol", "svm_figures"]

logger = logging.getLogger(__name__)

_PREDICT_BATCH = 512
_SVM_COST = 100.0


@dataclass(frozen=True)
class Protocol:
    """How the network is trained.

    Attributes
    ----------
    patch_size, n_components, epochs, batch_size : int
    learning_rate : float
    train_only_pca : bool
        Fit the components on training pixels alone; published runs use the spectra of all pixels.
    schedule : {"cosine", "constant"}
        Of the learning rate. It is constant in the published runs, and the weights of whichever
        epoch is the last then scatter.
    improved : bool
        Also turn and mirror patches, smooth labels, average the weights over the last third of
        the epochs, and average predictions over the eight orientations.
    seed : int
    """

    patch_size: int = 13
    n_components: int = 30
    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-3
    train_only_pca: bool = False
    schedule: str = "cosine"
    improved: bool = False
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
    """
    torch.manual_seed(protocol.seed)
    random = np.random.default_rng(protocol.seed)
    padded = _padded_components(scene, split, protocol)
    classes = scene.classes
    y, x = np.nonzero(split == TRAIN)
    target = torch.from_numpy(np.searchsorted(classes, scene.truth[y, x]))
    patches = _patches(padded, y, x, protocol.patch_size)
    network = SSFTT(padded.shape[2], protocol.patch_size, len(classes), stem=False)
    averaged = _train(network, patches, target, protocol, random)
    prediction = np.zeros(scene.truth.shape, dtype=np.int64)
    all_y, all_x = np.nonzero(scene.truth > 0)
    for start in range(0, len(all_y), _PREDICT_BATCH):
        rows, columns = (place[start : start + _PREDICT_BATCH] for place in (all_y, all_x))
        some = _patches(padded, rows, columns, protocol.patch_size)
        best = _predict(averaged, some, protocol).argmax(dim=1).numpy()
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
    pca = PCA(n_components, whiten=True, svd_solver="full").fit(fitted)
    components = pca.transform(flat).reshape(*scene.truth.shape, n_components)
    half = protocol.patch_size // 2
    return np.pad(components.astype(np.float32), ((half, half), (half, half), (0, 0)))


def _patches(
    padded: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    x: npt.NDArray[np.int64],
    size: int,
) -> torch.Tensor:
    patches = torch.from_numpy(cut_patches(padded, y, x, size))
    return patches.permute(0, 3, 1, 2).unsqueeze(1).contiguous()  # (n, 1, bands, p, p)


def _train(
    network: SSFTT,
    patches: torch.Tensor,
    target: torch.Tensor,
    protocol: Protocol,
    random: np.random.Generator,
) -> torch.nn.Module:
    optimizer = torch.optim.Adam(network.parameters(), lr=protocol.learning_rate)
    smoothing = 0.05 if protocol.improved else 0.0
    averaged = torch.optim.swa_utils.AveragedModel(network, use_buffers=True)
    network.train()
    n_averaged = 0
    for epoch in range(protocol.epochs):
        if protocol.schedule == "cosine":
            rate = 0.5 * (1 + math.cos(math.pi * epoch / protocol.epochs))
            for group in optimizer.param_groups:
                group["lr"] = protocol.learning_rate * max(rate, 0.05)
        order = torch.from_numpy(random.permutation(len(target)))
        total = 0.0
        for start in range(0, len(order), protocol.batch_size):
            chosen = order[start : start + protocol.batch_size]
            batch = patches[chosen]
            if protocol.improved:
                batch = _turned(batch, int(random.integers(8)))
            optimizer.zero_grad(set_to_none=True)
            found = functional.cross_entropy(
                network(batch), target[chosen], label_smoothing=smoothing
            )
            found.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(found.detach()) * len(chosen)
        if protocol.improved and epoch >= 2 * protocol.epochs // 3:
            averaged.update_parameters(network)
            n_averaged += 1
        if (epoch + 1) % 10 == 0:
            logger.info("epoch %d: loss %.4f", epoch + 1, total / len(target))
    result: torch.nn.Module = averaged.module if n_averaged else network
    return result.eval()


def _turned(patches: torch.Tensor, number: int) -> torch.Tensor:
    """One of the eight orientations of a square."""
    turned = torch.rot90(patches, number % 4, (3, 4))
    return turned.transpose(3, 4) if number >= 4 else turned


def _predict(network: torch.nn.Module, patches: torch.Tensor, protocol: Protocol) -> torch.Tensor:
    orientations = range(8) if protocol.improved else range(1)
    with torch.inference_mode():
        votes = [torch.softmax(network(_turned(patches, k)), dim=1) for k in orientations]
        return torch.stack(votes).mean(dim=0)
