"""Figures of events and of samples, and a page that shows them."""

from __future__ import annotations

from scone_io.plots.event_figure import event_figure
from scone_io.plots.gallery import gallery_page
from scone_io.plots.statistics_figure import Statistics, statistics_figure

__all__ = ["Statistics", "event_figure", "gallery_page", "statistics_figure"]
