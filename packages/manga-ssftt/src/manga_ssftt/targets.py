"""What a network is asked for: classes, ordered bins of abundance, or the abundance itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.errors import ConfigurationError
from manga_ssftt.labels import ABUNDANCE_BINS, bin_centres

__all__ = ["Target", "make_target"]


@dataclass(frozen=True)
class Target:
    """Task and head of a network.

    Attributes
    ----------
    task : {"BPT", "logOH", "joint"}
        ``joint`` is BPT class and abundance at once.
    head : {"classification", "ordinal", "regression"}
        Of the abundance; BPT classes have no order and are always classified.
    class_ids : tuple of int
        BPT classes, or numbers of the bins of abundance.
    edges : tuple of float
        Of the bins of abundance; empty for BPT.
    mean, scale : float
        By which the abundance is standardised for regression.
    """

    task: str
    head: str
    class_ids: tuple[int, ...]
    edges: tuple[float, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @property
    def n_outputs(self) -> int:
        """Outputs of the network (int): logits, thresholds, or mean and logarithm of variance."""
        if self.task == "joint":
            return len(self.class_ids) + 2
        if self.head == "regression":
            return 2
        return len(self.class_ids) - (self.head == "ordinal")

    @property
    def map_task(self) -> str:
        """The label map that tells which spaxels are used (str)."""
        return "BPT" if self.task == "joint" else self.task

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """Abundance that stands for each bin (ndarray of float64)."""
        return bin_centres(self.edges)

    def classes(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Class id of each label: BPT classes as they are, abundances by bin."""
        if labels.dtype.kind == "f":
            return np.asarray(np.digitize(labels, self.edges), dtype=np.int64)
        return labels.astype(np.int64)

    def indices(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Place of each label's class in `class_ids`; -1 for a class that is not among them."""
        ids = np.asarray(self.class_ids)
        classes = self.classes(labels)
        place = np.searchsorted(ids, classes).clip(max=len(ids) - 1)
        return np.asarray(np.where(ids[place] == classes, place, -1))

    def as_json(self) -> dict[str, Any]:
        """As JSON and checkpoints hold it."""
        found = asdict(self)
        return found | {"class_ids": list(self.class_ids), "edges": list(self.edges)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Target:
        """What `as_json` gave."""
        return cls(
            str(value["task"]),
            str(value["head"]),
            tuple(int(number) for number in value["class_ids"]),
            tuple(float(number) for number in value["edges"]),
            float(value["mean"]),
            float(value["scale"]),
        )


def make_target(
    task: str,
    head: str,
    bins: str,
    labels: npt.NDArray[Any],
    abundances: npt.NDArray[np.float64],
) -> Target:
    """Make the target that training labels call for.

    Parameters
    ----------
    task, head : str
        See `Target`.
    bins : str
        Name of the bins of abundance.
    labels : ndarray
        Training labels: BPT classes (uint8; also for ``joint``) or abundances (float64).
    abundances : ndarray of float64
        The finite ones among the training spaxels; needed by ``joint``.

    Returns
    -------
    Target

    Raises
    ------
    ConfigurationError
        If the head does not suit the task, or the labels hold fewer than two classes.
    """
    if task != "logOH" and head != "classification":
        raise ConfigurationError(
            "--head", f"{head} with the task {task}", "classification", "BPT classes have no order"
        )
    if task == "logOH":
        edges = ABUNDANCE_BINS[bins]
        ids = tuple(range(len(edges) + 1))
        mean, scale = _moments(labels)
        return Target(task, head, ids, edges, mean, scale)
    ids = tuple(int(value) for value in np.unique(labels))
    if len(ids) < 2:
        raise ConfigurationError(
            "--split-dir", f"training labels of the class {ids}", "at least two classes"
        )
    if task == "joint":
        mean, scale = _moments(abundances)
        return Target(task, head, ids, ABUNDANCE_BINS[bins], mean, scale)
    return Target(task, head, ids)


def _moments(values: npt.NDArray[Any]) -> tuple[float, float]:
    if len(values) == 0:  # nothing will be learned of abundances: any scale serves
        return 8.5, 0.1
    return float(np.mean(values)), float(max(np.std(values), 1e-3))
