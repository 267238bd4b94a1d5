"""Synthetic MegaCam exposures of the five classes; every file says that it is synthetic."""

from __future__ import annotations

from cfht_iqa.mock.conditions import MARGINS, Conditions, draw_conditions
from cfht_iqa.mock.exposures import MockPlan, write_mock

__all__ = ["MARGINS", "Conditions", "MockPlan", "draw_conditions", "write_mock"]
