"""Units that stand for fields of a survey: they wait, then succeed, fail or die as planned."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astro_common.errors import InputError

# A typical field takes this many seconds, and is simulated this many times faster.
TYPICAL_SECONDS = 60.0
SPEED = 250.0
# Standard deviation of the natural logarithm of the time: crowded fields take longer.
SPREAD = 0.4
STRAGGLERS, STRAGGLER_FACTOR = 0.01, 20.0
BROKEN, DYING = 0.02, 0.001


@dataclass(frozen=True)
class Field:
    """One simulated field.

    Attributes
    ----------
    name : str
    seconds : float
        How long it occupies its worker.
    fate : str
        "done", "broken" (an input file is damaged) or "dies" (its process is killed, as happens
        when memory runs out).
    output : Path
        A file that it writes when it succeeds.
    """

    name: str
    seconds: float
    fate: str
    output: Path


def plan(count: int, folder: Path, seed: int) -> list[Field]:
    """Draw the fields of a survey at random (list of Field)."""
    random = np.random.default_rng(seed)
    seconds = TYPICAL_SECONDS / SPEED * np.exp(SPREAD * random.normal(size=count))
    seconds[random.random(count) < STRAGGLERS] *= STRAGGLER_FACTOR
    luck = random.random(count)
    fates = np.where(luck < DYING, "dies", np.where(luck < DYING + BROKEN, "broken", "done"))
    return [
        Field(f"F{number:04d}", float(seconds[number]), str(fates[number]), folder / f"{number}")
        for number in range(count)
    ]


def build(field: Field) -> str:
    """Wait as long as the field takes, then succeed, fail or die as planned."""
    time.sleep(field.seconds)
    if field.fate == "broken":
        raise InputError(f"{field.name}.fits", "a truncated image", "2880-byte blocks")
    if field.fate == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    # A second build of the same field would fail here: each is built once.
    with field.output.open("x") as file:
        file.write(field.name)
    return field.name
