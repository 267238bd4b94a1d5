"""Synthetic galaxies in the layout of MaNGA's DR17, with the truth beside them."""

from __future__ import annotations
