"""Which wavelengths a network uses: predictions with parts of the spectra removed.

The flux of a window is replaced by the straight line between its edges, in all spaxels alike,
before normalisation. Without a window that it needs a network becomes worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from manga_ssftt.checkpoints import TrainedModel
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.inference import Predicted, check_grid, predict_cube
from manga_ssftt.patch_loader import Sample

__all__ = ["LINE_WINDOWS", "occlude", "occlusion"]

Window = tuple[str, float, float]

# Rest-frame vacuum wavelengths, angstrom, wide enough for the rotation of a galaxy.
LINE_WINDOWS: Final[tuple[Window, ...]] = (
    ("H-beta 4862", 4844.0, 4881.0),
    ("[OIII] 4960", 4944.0, 4977.0),
    ("[OIII] 5008", 4992.0, 5025.0),
    ("Mg b 5177", 5150.0, 5200.0),
    ("HeI 5877, NaD 5893", 5862.0, 5912.0),
    ("[OI] 6302", 6286.0, 6318.0),
    ("[OI] 6365", 6349.0, 6381.0),
    ("[NII] 6549", 6540.0, 6556.0),
    ("H-alpha 6564", 6556.0, 6574.0),
    ("[NII] 6585", 6576.0, 6602.0),
    ("[SII] 6718, 6732", 6702.0, 6748.0),
    ("[ArIII] 7137", 7120.0, 7154.0),
)
_MAX_SPAXELS: Final = 512


def occlude(
    cube: npt.NDArray[np.float32],
    bad: npt.NDArray[np.bool_],
    wave: npt.NDArray[np.float64],
    low: float,
    high: float,
) -> npt.NDArray[np.float32]:
    """A copy of a cube with the flux of a window replaced by a straight line.

    Parameters
    ----------
    cube : ndarray of float32, shape (n_y, n_x, n_wave)
    bad : ndarray of bool, same shape
        Masked pixels do not serve as ends of the line.
    wave : ndarray of float64, shape (n_wave,)
    low, high : float
        The window, angstrom.

    Returns
    -------
    ndarray of float32, same shape
    """
    inside = np.flatnonzero((wave >= low) & (wave <= high))
    result = cube.copy()
    if len(inside) == 0:
        return result
    first, last = int(inside[0]), int(inside[-1])
    left = _level(cube, bad, slice(max(first - 5, 0), first))
    right = _level(cube, bad, slice(last + 1, last + 6))
    left = np.where(np.isfinite(left), left, right)
    right = np.where(np.isfinite(right), right, left)
    share = np.linspace(0.0, 1.0, len(inside), dtype=np.float32)
    line = np.nan_to_num(left)[..., np.newaxis] * (1 - share)
    result[..., inside] = line + np.nan_to_num(right)[..., np.newaxis] * share
    return result


def _level(
    cube: npt.NDArray[np.float32], bad: npt.NDArray[np.bool_], where: slice
) -> npt.NDArray[np.float32]:
    good = ~bad[..., where]
    count = good.sum(axis=-1)
    total = np.sum(cube[..., where], axis=-1, where=good)
    nothing = np.full(count.shape, np.nan, np.float32)
    return np.asarray(np.divide(total, count, out=nothing, where=count > 0))


def occlusion(
    model: TrainedModel,
    samples: Sequence[Sample],
    *,
    n_windows: int = 30,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Measure what each window is worth.

    Parameters
    ----------
    model : TrainedModel
    samples : sequence of Sample
        Of each galaxy, up to 512 spaxels are drawn.
    n_windows : int, optional
        Equally wide ones over the whole spectrum; the windows of `LINE_WINDOWS` come on top.
    seed : int, optional

    Returns
    -------
    list of dict
        ``name``, ``low``, ``high`` (angstrom), ``changed`` (share of spaxels whose class changes),
        ``accuracy_drop`` and, for abundances, ``mae_increase_dex`` and ``mean_shift_dex``.
    """
    random = np.random.default_rng(seed)
    windows: list[Window] = []
    results: list[list[tuple[int, int, int, float, float, int]]] = []
    for sample in samples:
        with GalaxyFile(sample.path) as file:
            check_grid(model, file)
            cube, bad, wave = file.read("cube"), file.read("mask"), file.read("wave")
        if not windows:
            windows = _windows(wave, n_windows)
            results = [[] for _ in windows]
        rows = np.sort(random.permutation(len(sample))[:_MAX_SPAXELS])
        y, x, label = sample.y[rows], sample.x[rows], sample.label[rows]
        reference = predict_cube(model, cube, bad, y, x)
        truth = model.target.indices(label)
        for number, (_, low, high) in enumerate(windows):
            found = predict_cube(model, occlude(cube, bad, wave, low, high), bad, y, x)
            results[number].append(_compare(reference, found, truth, sample.log_oh[rows]))
    return [
        _summary(window, np.asarray(rows, dtype=np.float64), model)
        for window, rows in zip(windows, results, strict=True)
    ]


def _windows(wave: npt.NDArray[np.float64], n_windows: int) -> list[Window]:
    edges = np.geomspace(wave[0], wave[-1], n_windows + 1)
    even = [(f"{low:.0f}-{high:.0f}", float(low), float(high)) for low, high in pairwise(edges)]
    lines = [window for window in LINE_WINDOWS if window[2] > wave[0] and window[1] < wave[-1]]
    return even + lines


def _compare(
    reference: Predicted,
    found: Predicted,
    truth: npt.NDArray[np.int64],
    log_oh: npt.NDArray[np.float64],
) -> tuple[int, int, int, float, float, int]:
    before, after = reference.probability.argmax(axis=1), found.probability.argmax(axis=1)
    worse = int(np.sum(before == truth) - np.sum(after == truth))
    increase = shift = 0.0
    known = np.isfinite(log_oh)
    if reference.log_oh is not None and found.log_oh is not None:
        old, new = reference.log_oh[known], found.log_oh[known]
        increase = float(np.sum(np.abs(new - log_oh[known]) - np.abs(old - log_oh[known])))
        shift = float(np.sum(new - old))
    return len(truth), int(np.sum(before != after)), worse, increase, shift, int(known.sum())


def _summary(window: Window, rows: npt.NDArray[np.float64], model: TrainedModel) -> dict[str, Any]:
    count, changed, worse, increase, shift, known = rows.sum(axis=0)
    name, low, high = window
    found: dict[str, Any] = {
        "name": name,
        "low": low,
        "high": high,
        "changed": changed / count,
        "accuracy_drop": worse / count,
    }
    if model.target.task != "BPT":
        found["mae_increase_dex"] = increase / max(known, 1)
        found["mean_shift_dex"] = shift / max(known, 1)
    return found
