"""Conversion of values to JSON."""

from __future__ import annotations

import datetime
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["json_text", "jsonable"]


def jsonable(value: Any) -> Any:
    """Convert a value to types that JSON has.

    Parameters
    ----------
    value : object
        Mappings, lists, tuples, sets, NumPy arrays and scalars, paths, dates and times, and the
        types of JSON, nested in any way.

    Returns
    -------
    dict, list, str, int, float, bool or None
        NaN and infinities become None, since JSON lacks them; integers stay exact; sets are sorted.
        Bytes of a path that are not UTF-8 are escaped.

    Raises
    ------
    TypeError
        If a value cannot be converted.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_text(str(key)): jsonable(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(jsonable(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return jsonable(value.tolist())
    if isinstance(value, os.PathLike):
        return jsonable(os.fspath(value))
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    raise TypeError(f"a value of class {type(value).__name__} has no place in JSON: {value!r}")


def _text(text: str) -> str:
    # The name of a file need not be valid UTF-8: Python keeps its other bytes as lone surrogates.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def json_text(value: Any) -> str:
    """Write a value as compact JSON, keys in the order given."""
    return json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
