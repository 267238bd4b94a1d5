"""SCONE's classifier (the extra ``model``)."""

from __future__ import annotations
