"""The learning rate of a step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from astromodal_transformer.configuration import Configuration

__all__ = ["Schedule", "make_schedule"]

_LEARNING_RATES = {"tiny": 3e-3, "small": 1e-3, "base": 2e-4, "large": 1.5e-4}
_LONGEST_WARMUP = 2000
_WARMUP_BY_CLOCK = 50


@dataclass(frozen=True)
class Schedule:
    """Warm-up, then cosine or stable and linear decay (Hu et al. 2024, arXiv:2404.06395).

    Attributes
    ----------
    peak : float
        Learning rate.
    steps : int
        Length.
    warmup : int
    kind : {'cosine', 'wsd'}
    decay_share, final_share : float
    seconds : float or None
        If given, the share that is done follows the clock instead of the number of steps: for runs
        of which only the duration is known.
    """

    peak: float
    steps: int
    warmup: int
    kind: str
    decay_share: float
    final_share: float
    seconds: float | None

    def rate(self, step: int, elapsed: float) -> float:
        """Learning rate of a step.

        Parameters
        ----------
        step : int
            Steps that are done.
        elapsed : float
            Seconds of training so far.
        """
        done = step / self.steps if self.seconds is None else elapsed / self.seconds
        done = min(max(done, 0.0), 1.0)
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        return self.peak * rise * self._fall(done)

    def _fall(self, done: float) -> float:
        if self.kind == "cosine":
            share = 0.5 * (1.0 + math.cos(math.pi * done))
        else:
            start = 1.0 - self.decay_share
            share = 1.0 if done <= start else (1.0 - done) / self.decay_share
        return self.final_share + (1.0 - self.final_share) * share


def make_schedule(configuration: Configuration, steps_per_epoch: int) -> Schedule:
    """The schedule of a run.

    Its length is ``schedule_steps``, or that of the epochs; where only ``max_minutes`` limits the
    run, the clock decides. It never depends on ``max_steps``, so that a run may be continued.

    Parameters
    ----------
    configuration : Configuration
    steps_per_epoch : int

    Returns
    -------
    Schedule
    """
    settings = configuration.training
    steps = settings.schedule_steps or settings.epochs * steps_per_epoch
    by_clock = (
        settings.max_minutes is not None
        and settings.max_steps is None
        and settings.schedule_steps is None
    )
    warmup = settings.warmup_steps
    if warmup is None:
        warmup = _WARMUP_BY_CLOCK if by_clock else min(_LONGEST_WARMUP, max(1, steps // 20))
    peak = settings.learning_rate or _LEARNING_RATES[configuration.model.preset]
    return Schedule(
        peak,
        max(1, steps),
        warmup,
        settings.schedule,
        settings.decay_share,
        settings.final_share,
        60.0 * settings.max_minutes if by_clock and settings.max_minutes else None,
    )
