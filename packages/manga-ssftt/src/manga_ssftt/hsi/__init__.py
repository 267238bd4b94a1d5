"""The published hyperspectral protocol (Indian Pines, Pavia, Houston), leaky and disjoint."""

from __future__ import annotations
