"""The wire format of ``tf.train.Example``: a protocol buffer, read without its library.

``Example { Features features = 1 }``, ``Features { map<string, Feature> feature = 1 }``,
``Feature { oneof { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3 }
}``, each list with its values in field 1 (``tensorflow/core/example/example.proto`` and
``feature.proto``). Fields that are not known are skipped; lists may be packed or not; of a key that
comes twice the last counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = [
    "BYTES",
    "FLOATS",
    "INTEGERS",
    "Values",
    "WireError",
    "parse_features",
    "signed",
    "varint",
]

BYTES, FLOATS, INTEGERS = 1, 2, 3

_VARINT, _FIXED64, _SIZED, _GROUP, _END_GROUP, _FIXED32 = range(6)
_FLOAT_BYTES = 4
# Values of one list that are located; no feature of a heatmap has more than one.
_MAX_VALUES = 2
# SCONE writes five features. An Example of thousands of fields is no heatmap.
_MAX_FIELDS = 20_000
_MAX_DEPTH = 32


class WireError(ValueError):
    """The bytes are no Example."""


@dataclass(slots=True)
class Values:
    """Where the values of a feature lie.

    Attributes
    ----------
    kind : int
        ``BYTES``, ``FLOATS`` or ``INTEGERS``; 0 for a feature without a list.
    spans : list of (int, int)
        Start and end of each value; at most two are listed.
    """

    kind: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)


class _Budget:
    """Limits the number of fields, so that no record takes more than a moment."""

    def __init__(self) -> None:
        self._left = _MAX_FIELDS

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise WireError(f"more than {_MAX_FIELDS} fields")


def varint(data: memoryview | bytes, place: int, end: int) -> tuple[int, int]:
    """Read a variable-length integer.

    Parameters
    ----------
    data : bytes-like
    place, end : int
        Where it begins, and where the bytes end.

    Returns
    -------
    value : int
        Modulo 2^64.
    place : int
        After it.

    Raises
    ------
    WireError
        If it has more than ten bytes or is cut off.
    """
    value = shift = 0
    while place < end:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place
        shift += 7
        if shift > 63:
            raise WireError("an integer of more than ten bytes")
    raise WireError("an integer is cut off")


def signed(value: int) -> int:
    """The int64 that has the same 64 bits."""
    return value - (1 << 64) if value >> 63 else value


def parse_features(data: memoryview | bytes) -> dict[bytes, Values]:
    """Find the features of an Example.

    Parameters
    ----------
    data : bytes-like
        A record's payload.

    Returns
    -------
    dict of bytes to Values
        By key. Lists of values are located and not decoded.

    Raises
    ------
    WireError
        If the bytes are no Example, or have too many fields.
    """
    features: dict[bytes, Values] = {}
    budget = _Budget()
    for number, kind, start, end in _fields(data, 0, len(data), budget):
        if number == 1 and kind == _SIZED:
            for entry, entry_kind, entry_start, entry_end in _fields(data, start, end, budget):
                if entry == 1 and entry_kind == _SIZED:
                    key, values = _map_entry(data, entry_start, entry_end, budget)
                    features[key] = values
    return features


def _map_entry(
    data: memoryview | bytes, start: int, end: int, budget: _Budget
) -> tuple[bytes, Values]:
    key = b""
    values = Values()
    for number, kind, first, last in _fields(data, start, end, budget):
        if number == 1 and kind == _SIZED:
            key = bytes(data[first:last])
        elif number == 2 and kind == _SIZED:
            for list_kind, wire, list_start, list_end in _fields(data, first, last, budget):
                if list_kind in (BYTES, FLOATS, INTEGERS) and wire == _SIZED:
                    if values.kind != list_kind:
                        values = Values(list_kind)
                    _locate(data, list_start, list_end, values, budget)
    return key, values


def _locate(
    data: memoryview | bytes, start: int, end: int, values: Values, budget: _Budget
) -> None:
    """Add the places of a list's values, up to the limit."""
    for number, wire, first, last in _fields(data, start, end, budget):
        if len(values.spans) >= _MAX_VALUES:
            return
        if number != 1:
            continue
        if (values.kind == BYTES and wire == _SIZED) or (
            values.kind == FLOATS and wire == _FIXED32
        ):
            values.spans.append((first, last))
        elif values.kind == FLOATS and wire == _SIZED:
            if (last - first) % _FLOAT_BYTES:
                raise WireError(f"packed floats of {last - first} bytes")
            for place in range(first, min(last, first + _MAX_VALUES * _FLOAT_BYTES), _FLOAT_BYTES):
                values.spans.append((place, place + _FLOAT_BYTES))
        elif values.kind == INTEGERS and wire == _VARINT:
            values.spans.append((first, last))
        elif values.kind == INTEGERS and wire == _SIZED:
            place = first
            while place < last and len(values.spans) < _MAX_VALUES:
                _, after = varint(data, place, last)
                values.spans.append((place, after))
                place = after


def _fields(
    data: memoryview | bytes, start: int, end: int, budget: _Budget
) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, start and end of the fields of a message; groups are skipped."""
    place = start
    depth = 0
    while place < end:
        budget.spend()
        tag, place = varint(data, place, end)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise WireError(f"a field with the number {number}")
        first = place
        if wire == _VARINT:
            _, place = varint(data, place, end)
        elif wire == _FIXED64:
            place += 8
        elif wire == _FIXED32:
            place += 4
        elif wire == _SIZED:
            size, first = varint(data, place, end)
            place = first + size
        elif wire == _GROUP:
            depth += 1
            if depth > _MAX_DEPTH:
                raise WireError("groups within groups without end")
            continue
        elif wire == _END_GROUP and depth:
            depth -= 1
            continue
        else:
            raise WireError(f"a field of the unknown wire type {wire}")
        if place > end:
            raise WireError("a field reaches beyond the end of its message")
        if not depth:
            yield number, wire, first, place
    if depth:
        raise WireError("a group without an end")
