"""The table of features: scone-io against the same features one event at a time with TensorFlow."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from astro_common.benchmarking import (
    Result,
    command_words,
    note,
    parser,
    peer_versions,
    report,
    require,
    run_process,
)
from scone_io.mock import write_mock_shards

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from summaryoracle import summary_row


class Event:
    """What the eager loop parses."""

    def __init__(self, parsed: dict, image: np.ndarray) -> None:
        self.snid, self.label = int(parsed["id"]), int(parsed["label"])
        self.z, self.z_err = float(parsed["z"]), float(parsed["z_err"])
        self.image = image


def eager(path: Path, count: int) -> tuple[list[dict], float]:
    """Rows of the first events and the seconds that they took, without TensorFlow's start."""
    import tensorflow as tf

    features = {
        "id": tf.io.FixedLenFeature([], tf.int64),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "image_raw": tf.io.FixedLenFeature([], tf.string),
        "z": tf.io.FixedLenFeature([], tf.float32),
        "z_err": tf.io.FixedLenFeature([], tf.float32),
    }
    rows = []
    start = time.perf_counter()
    for record in tf.data.TFRecordDataset(str(path)).take(count):
        parsed = tf.io.parse_single_example(record, features)
        image = tf.reshape(tf.io.decode_raw(parsed["image_raw"], tf.float64), (32, 180, 2)).numpy()
        rows.append(summary_row(Event(parsed, image), -30, 150))
    return rows, time.perf_counter() - start


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--events", type=int, default=47_000, metavar="N", help="(47000)")
    options.add_argument("--eager-events", type=int, default=500, metavar="N", help="(500)")
    arguments = options.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        (path,) = write_mock_shards(folder, num_events=arguments.events, seed=arguments.seed)
        out = Path(folder) / "out.parquet"
        ours: dict[int, list[float]] = {1: [], 2: []}
        memory = 0.0
        for _ in range(arguments.repeats):
            for workers, seconds in ours.items():
                words = ("--overwrite", "--workers", workers)
                finished = run_process(
                    command_words("scone_io", "extract", path, "-o", out, *words)
                )
                seconds.append(finished.seconds)
                memory = max(memory, finished.peak_memory_mb)
                note(f"  extract with {workers}: {finished.seconds:.2f} s")
        rows, slow = eager(path, arguments.eager_events)
        table = pq.read_table(out).slice(0, len(rows)).to_pydict()
        for name in ("total_flux", "median_flux", "blue_flux", "snr_median", "duration_days"):
            expected = [row[name] for row in rows]
            require(bool(np.allclose(table[name], expected, rtol=1e-12)), name)
    per_event, by_two = (float(np.median(seconds)) / arguments.events for seconds in ours.values())
    result = Result(
        "scone-io",
        "Extract features",
        f"{arguments.events:,} events by the whole command, start included; "
        f"{arguments.eager_events:,} by the eager loop, TensorFlow's start left out",
        versions=peer_versions("tensorflow", "numpy"),
    )
    result.measured("scone-io extract, per 1000 events", 1000 * per_event, memory)
    result.measured("scone-io extract --workers 2, per 1000 events", 1000 * by_two)
    result.measured("eager loop, per 1000 events", 1000 * slow / len(rows))
    result.at_least("eager loop / ours", slow / len(rows) / per_event, 50.0)
    result.at_least("eager loop / ours with two workers", slow / len(rows) / by_two, 50.0)
    result.at_least("events per second of our command", 1.0 / per_event, 2000.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
