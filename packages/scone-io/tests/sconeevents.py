"""Events, records and shards for the tests, every value chosen by a seed."""

from __future__ import annotations

import gzip
import struct
import zlib

import numpy as np

from scone_io.example import Event, serialise_event
from scone_io.grid import GridSpec, write_sidecar
from scone_io.tfrecord import record_writer
from scone_io.tfrecord.checksums import masked_checksum

# Few bins keep records of some hundred bytes, so that thousands of damaged files can be tried.
SMALL = GridSpec(num_wavelength_bins=4, num_time_bins=6)


def make_event(number, rng, *, grid=SMALL, dtype="f8", **changes):
    image = rng.normal(100.0, 30.0, size=(*grid.shape, 2)).astype(dtype)
    values = {"snid": number, "label": number % 2, "z": 0.125 * number, "z_err": 0.5}
    return Event(**{**values, "image": image, **changes})


def make_events(count, *, seed=0, first=1000, **options):
    rng = np.random.default_rng(seed)
    return [make_event(first + number, rng, **options) for number in range(count)]


def write_shard(path, events, *, grid=SMALL, compression="none", sidecar=True):
    with record_writer(path, compression=compression) as writer:
        for event in events:
            writer.write(serialise_event(event))
    if sidecar:
        write_sidecar(path, grid)
    return path


def framed(payload):
    length = struct.pack("<Q", len(payload))
    parts = (length, struct.pack("<I", masked_checksum(length)), payload)
    return b"".join(parts) + struct.pack("<I", masked_checksum(payload))


def compressed(content, compression):
    if compression == "gzip":
        return gzip.compress(content, mtime=0)
    return zlib.compress(content) if compression == "zlib" else content


def same_event(first, second):
    return (
        first.snid == second.snid
        and first.label == second.label
        and first.z == second.z
        and first.z_err == second.z_err
        and first.image.dtype == second.image.dtype
        and first.image.tobytes() == second.image.tobytes()
    )
