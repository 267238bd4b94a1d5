"""Values as JSON can hold them."""

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
    """Turn a value into what JSON has.

    Parameters
    ----------
    value : object
        Mappings, sequences, sets, NumPy arrays and scalars, paths, dates and times, and what JSON
        has itself, nested in any way.

    Returns
    -------
    dict, list, str, int, float, bool or None
        NaN and the infinities become None, since JSON has neither; integers stay exact. Sets are
        sorted.

    Raises
    ------
    TypeError
        If a value has no place in JSON.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(jsonable(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return jsonable(value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    raise TypeError(f"a value of class {type(value).__name__} has no place in JSON: {value!r}")


def json_text(value: Any) -> str:
    """Write a value as compact JSON, keys in the order given."""
    return json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
