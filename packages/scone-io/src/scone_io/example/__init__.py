"""Events: what the payload of a record means."""

from __future__ import annotations

from scone_io.example.event import Event, parse_event, serialise_event
from scone_io.example.layout import EventBatch, Layout, joined
from scone_io.example.wire import WireError

__all__ = [
    "Event",
    "EventBatch",
    "Layout",
    "WireError",
    "joined",
    "parse_event",
    "serialise_event",
]
