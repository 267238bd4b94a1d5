"""The local page on which a person looks through a hypercube."""

from __future__ import annotations
