"""Self-organising maps (Kohonen 1982, Biological Cybernetics 43, 59) for millions of sources."""

from __future__ import annotations

from cfht_iqa.som.files import TrainedMap, load_map, save_map
from cfht_iqa.som.map import SelfOrganizingMap

__all__ = ["SelfOrganizingMap", "TrainedMap", "load_map", "save_map"]
