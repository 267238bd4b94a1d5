"""Read a shard, every checksum verified: scone-io, TensorFlow in two ways, the bare bytes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import crc32c
import numpy as np

import scone_io
from astro_common.benchmarking import (
    Result,
    median_ratio,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from scone_io.mock import write_mock_shards

SHAPE = (32, 180, 2)
CHUNK_BYTES = 92_257


def ours(path: Path) -> tuple[int, int, float]:
    """Number of events, sum of identifiers, sum of one value of each image."""
    count = total = 0
    value = 0.0
    for batch in scone_io.open(path).batches():
        count += len(batch)
        total += int(batch.snid.sum())
        value += float(batch.image[:, 16, 60, 0].sum())
    return count, total, value


def bare(path: Path) -> int:
    """Read the file and compute the CRC of its bytes, in pieces of a record's size."""
    crc = 0
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(CHUNK_BYTES)
        view = memoryview(buffer)
        while size := file.readinto(buffer):
            crc ^= crc32c.crc32c(view[:size])
    return crc


def description(tf: Any) -> dict[str, Any]:
    """The features of an event."""
    return {
        "id": tf.io.FixedLenFeature([], tf.int64),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "image_raw": tf.io.FixedLenFeature([], tf.string),
        "z": tf.io.FixedLenFeature([], tf.float32),
        "z_err": tf.io.FixedLenFeature([], tf.float32),
    }


def eager(tf: Any, path: Path) -> tuple[int, int, float]:
    """A loop over records with ``parse_single_example``."""
    count = total = 0
    value = 0.0
    features = description(tf)
    for record in tf.data.TFRecordDataset(str(path)):
        parsed = tf.io.parse_single_example(record, features)
        image = tf.reshape(tf.io.decode_raw(parsed["image_raw"], tf.float64), SHAPE).numpy()
        count += 1
        total += int(parsed["id"])
        value += float(image[16, 60, 0])
    return count, total, value


def batched(tf: Any, path: Path) -> tuple[int, int, float]:
    """A parallel pipeline of batches."""
    features = description(tf)

    def parse(records: Any) -> tuple[Any, Any]:
        parsed = tf.io.parse_example(records, features)
        image = tf.io.decode_raw(parsed["image_raw"], tf.float64)
        return parsed["id"], tf.reshape(image, (-1, *SHAPE))

    data = tf.data.TFRecordDataset(str(path)).batch(64)
    data = data.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    count = total = 0
    value = 0.0
    for ids, images in data:
        count += len(ids)
        total += int(ids.numpy().sum())
        value += float(images.numpy()[:, 16, 60, 0].sum())
    return count, total, value


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--events", type=int, default=47_000, metavar="N", help="(47000)")
    arguments = options.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        (path,) = write_mock_shards(folder, num_events=arguments.events, seed=arguments.seed)
        expected = ours(path)
        for name, found in (("eager", eager(tf, path)), ("batched", batched(tf, path))):
            same = expected[:2] == found[:2] and np.isclose(expected[2], found[2], rtol=1e-12)
            require(bool(same), f"{name}: {found}, ours: {expected}")
        result = Result(
            "scone-io",
            "Read a shard, every checksum verified",
            f"{arguments.events:,} events, {path.stat().st_size / 1e9:.2f} GB, in the page cache; "
            "all programs give the same identifiers and values",
            versions=peer_versions("tensorflow", "crc32c"),
        )
        programs = {
            "scone_io batches": lambda: ours(path),
            "read and CRC alone": lambda: bare(path),
            "tf.data, batched and parallel": lambda: batched(tf, path),
            "tf.data, parse_single_example": lambda: eager(tf, path),
        }
        seconds = paired_seconds(programs, arguments.repeats)
    for name, values in seconds.items():
        result.measured(name, float(np.median(values)))
    mine = seconds["scone_io batches"]
    result.at_least(
        "tf.data loop / ours", median_ratio(seconds["tf.data, parse_single_example"], mine), 10.0
    )
    result.at_least(
        "tf.data batched / ours", median_ratio(seconds["tf.data, batched and parallel"], mine), 3.0
    )
    result.at_least(
        "read and CRC alone / ours", median_ratio(seconds["read and CRC alone"], mine), 0.7
    )
    report(result, arguments.output)


if __name__ == "__main__":
    main()
