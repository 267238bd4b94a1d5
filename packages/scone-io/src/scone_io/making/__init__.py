"""Heatmaps from light curves, as SCONE makes them."""

from __future__ import annotations

from scone_io.making.heatmaps import HeatmapError, Recipe, make_heatmap
from scone_io.making.run import Making, Outcome, make_shard

__all__ = ["HeatmapError", "Making", "Outcome", "Recipe", "make_heatmap", "make_shard"]
