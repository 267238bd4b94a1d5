"""One event of a shard: five features of an Example."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scone_io.example.wire import (
    BYTES,
    FLOATS,
    INTEGERS,
    Values,
    WireError,
    parse_features,
    signed,
    varint,
)

__all__ = ["Event", "Spans", "locate_event", "parse_event", "serialise_event"]

Image = npt.NDArray[np.floating]

_NAMES = {BYTES: "bytes", FLOATS: "floats", INTEGERS: "integers", 0: "no values"}


@dataclass(frozen=True, eq=False)
class Event:
    """A heatmap and its metadata.

    Attributes
    ----------
    snid : int
        Identifier of the supernova.
    label : int
        Class, see `scone_io.labels`.
    z, z_err : float or None
        Redshift and its uncertainty; None where the record has none.
    image : ndarray of float64 or float32, shape (n_wavelength, n_time, 2)
        Flux (FLUXCAL) and its uncertainty.
    """

    snid: int
    label: int
    z: float | None
    z_err: float | None
    image: Image

    @property
    def flux(self) -> Image:
        """Flux, shape (n_wavelength, n_time)."""
        return self.image[:, :, 0]

    @property
    def flux_err(self) -> Image:
        """Standard deviation of the flux, shape (n_wavelength, n_time)."""
        return self.image[:, :, 1]


@dataclass(frozen=True, slots=True)
class Spans:
    """Start and end of each value in a payload; None for what is absent."""

    snid: tuple[int, int]
    label: tuple[int, int]
    image: tuple[int, int]
    z: tuple[int, int] | None
    z_err: tuple[int, int] | None


def locate_event(payload: memoryview | bytes) -> Spans:
    """Find the values of an event.

    Parameters
    ----------
    payload : bytes-like

    Returns
    -------
    Spans

    Raises
    ------
    WireError
        If the payload is no Example with ``id``, ``label`` and ``image_raw``.
    """
    features = parse_features(payload)
    return Spans(
        snid=_single(features, "id", INTEGERS),
        label=_single(features, "label", INTEGERS),
        image=_single(features, "image_raw", BYTES),
        z=_optional(features, "z", FLOATS),
        z_err=_optional(features, "z_err", FLOATS),
    )


def _single(features: dict[bytes, Values], key: str, kind: int) -> tuple[int, int]:
    span = _optional(features, key, kind)
    if span is None:
        known = ", ".join(sorted(name.decode("utf-8", "replace") for name in list(features)[:8]))
        raise WireError(f"no feature {key} (there are: {known or 'none'})")
    return span


def _optional(features: dict[bytes, Values], key: str, kind: int) -> tuple[int, int] | None:
    values = features.get(key.encode())
    if values is None or not values.spans:
        return None
    if values.kind != kind:
        raise WireError(f"feature {key} holds {_NAMES[values.kind]}, not {_NAMES[kind]}")
    if len(values.spans) > 1:
        raise WireError(f"feature {key} holds several values")
    return values.spans[0]


def integer_at(payload: memoryview | bytes, span: tuple[int, int]) -> int:
    """The int64 in a span."""
    return signed(varint(payload, *span)[0])


def float_at(payload: memoryview | bytes, span: tuple[int, int] | None) -> float | None:
    """The float32 in a span, or None."""
    if span is None:
        return None
    value: float = struct.unpack_from("<f", payload, span[0])[0]
    return value


def parse_event(payload: memoryview | bytes, shape: tuple[int, int]) -> Event:
    """Read an event.

    Parameters
    ----------
    payload : bytes-like
    shape : (int, int)
        Number of wavelength and time bins.

    Returns
    -------
    Event
        Its image is a view of the payload.

    Raises
    ------
    WireError
        If the payload is no Example of this shape.
    """
    spans = locate_event(payload)
    dtype = image_dtype(spans.image[1] - spans.image[0], shape)
    image = np.frombuffer(
        payload, dtype=dtype, count=2 * shape[0] * shape[1], offset=spans.image[0]
    )
    return Event(
        snid=integer_at(payload, spans.snid),
        label=integer_at(payload, spans.label),
        z=float_at(payload, spans.z),
        z_err=float_at(payload, spans.z_err),
        image=image.reshape(*shape, 2),
    )


def image_dtype(num_bytes: int, shape: tuple[int, int]) -> np.dtype[np.floating]:
    """Tell from the length of ``image_raw`` whether it holds float64 or float32.

    Parameters
    ----------
    num_bytes : int
    shape : (int, int)
        Number of wavelength and time bins.

    Returns
    -------
    dtype
        Little-endian.

    Raises
    ------
    WireError
        If it is neither.
    """
    values = 2 * shape[0] * shape[1]
    for dtype in (np.dtype("<f8"), np.dtype("<f4")):
        if num_bytes == values * dtype.itemsize:
            return dtype
    raise WireError(
        f"image_raw of {num_bytes} bytes, not {8 * values} or {4 * values} "
        f"({shape[0]} x {shape[1]} x 2 float64 or float32)"
    )


def _encoded(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    text = bytearray()
    while value > 0x7F:
        text.append(value & 0x7F | 0x80)
        value >>= 7
    text.append(value)
    return bytes(text)


def _message(number: int, *parts: bytes) -> list[bytes]:
    return [bytes([number << 3 | 2]) + _encoded(sum(map(len, parts))), *parts]


def _feature(key: str, kind: int, values: list[bytes]) -> list[bytes]:
    value = _message(2, *_message(kind, *values))
    return _message(1, *_message(1, key.encode()), *value)


def serialise_event(event: Event) -> bytes:
    """Write an event as SCONE does: its features in the order of their keys, lists packed.

    Parameters
    ----------
    event : Event
        A missing or NaN redshift is left out.

    Returns
    -------
    bytes
        A payload; the order of keys in a map has no meaning, and TensorFlow itself varies it.
    """
    image = np.ascontiguousarray(event.image, dtype=event.image.dtype.newbyteorder("<"))
    features = [
        _feature("id", INTEGERS, _message(1, _encoded(event.snid))),
        _feature("image_raw", BYTES, _message(1, image.tobytes())),
        _feature("label", INTEGERS, _message(1, _encoded(event.label))),
    ]
    for key, value in (("z", event.z), ("z_err", event.z_err)):
        if value is not None and not math.isnan(value):
            features.append(_feature(key, FLOATS, _message(1, struct.pack("<f", value))))
    return b"".join(_message(1, *(part for feature in features for part in feature)))
