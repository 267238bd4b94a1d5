"""Looking at hypercubes: one source in a figure, whole files in a report."""

from __future__ import annotations
