"""One module per verb of the command."""

from __future__ import annotations
