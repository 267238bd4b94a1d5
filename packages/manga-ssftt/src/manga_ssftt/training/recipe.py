"""How a network is trained."""

from __future__ import annotations

from dataclasses import dataclass

from manga_ssftt.patch_loader import DEFAULT_POOL_BYTES

__all__ = ["Training"]


@dataclass(frozen=True)
class Training:
    """How to train.

    Attributes
    ----------
    architecture : str
        Of `checkpoints.ARCHITECTURES`.
    epochs, batch_size : int
    max_time_s : float or None
        Training ends after this time; a cosine schedule then ends with it.
    learning_rate, weight_decay, dropout : float
    schedule : {"cosine", "plateau"}
    balance : {"none", "weights", "sampling"}
        What is done about rare classes.
    augment : bool
        Turn and mirror patches.
    patience : int
        Epochs without a better validation score after which training stops; 0 never stops.
    seed : int
    precision : str
        ``32-true`` or ``bf16-mixed``.
    accelerator, strategy : str
    devices : int
        As Lightning takes them.
    pool_bytes : int
        See `PatchLoader`.
    resume : bool
        Go on from the last checkpoint in the folder.
    """

    architecture: str = "ssftt"
    epochs: int = 50
    batch_size: int = 128
    max_time_s: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    dropout: float = 0.1
    schedule: str = "cosine"
    balance: str = "none"
    augment: bool = True
    patience: int = 0
    seed: int = 1
    precision: str = "32-true"
    accelerator: str = "auto"
    strategy: str = "auto"
    devices: int = 1
    pool_bytes: int = DEFAULT_POOL_BYTES
    resume: bool = False
