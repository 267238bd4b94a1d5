"""Synthetic supernovae: heatmap shards and SNANA light curves with known truth."""

from __future__ import annotations

from scone_io.mock.light_curves import write_mock_light_curves
from scone_io.mock.shards import write_mock_shards

__all__ = ["write_mock_light_curves", "write_mock_shards"]
