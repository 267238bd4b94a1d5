"""Training: order of the data, schedule, the Lightning module, checkpoints, logs."""

from __future__ import annotations
