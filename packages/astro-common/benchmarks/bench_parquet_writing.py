"""What each way to encode columns of images costs and saves; the writer's defaults follow from it.

The images are like those from a Rice-compressed survey image: noise of the sky, quantised in steps
of a quarter of its standard deviation, with subtractive dithering. Every way must give the same
rows back before any is timed. The encoded bytes are discarded, so the disk plays no part.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.benchmarking import (
    Result,
    median_ratio,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from astro_common.parquet.columns import writer_arguments

ROWS = 256
BANDS = 12
PIXELS = 96 * 96
SKY_SIGMA = 0.05
STEP = SKY_SIGMA / 4

PLAIN: dict[str, Any] = {"use_dictionary": False, "write_statistics": False, "compression": "none"}
WAYS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "lz4": PLAIN | {"compression": "lz4"},
    "snappy": PLAIN | {"compression": "snappy"},
    "zstd 1": PLAIN | {"compression": "zstd", "compression_level": 1},
    "zstd 3": PLAIN | {"compression": "zstd", "compression_level": 3},
    "byte stream split, lz4": PLAIN | {"compression": "lz4", "use_byte_stream_split": True},
    "byte stream split, zstd 1": PLAIN
    | {"compression": "zstd", "compression_level": 1, "use_byte_stream_split": True},
    "dictionary": PLAIN | {"use_dictionary": True},
    "page checksums": PLAIN | {"write_page_checksum": True},
    "statistics": PLAIN | {"write_statistics": True},
    "pages of 64 KiB": PLAIN | {"data_page_size": 64 << 10},
    "pages of 8 MiB": PLAIN | {"data_page_size": 8 << 20},
    "batches of 65,536 values": PLAIN | {"write_batch_size": 65_536},
    "data pages of version 2": PLAIN | {"data_page_version": "2.0"},
}
DEFAULT = "the writer's default"


def images(seed: int) -> pa.Table:
    """One row group: 256 sources, twelve bands."""
    rng = np.random.default_rng(seed)
    columns = []
    for _ in range(BANDS):
        sky = rng.normal(0.0, SKY_SIGMA, ROWS * PIXELS)
        dither = rng.random(ROWS * PIXELS)
        levels = np.round(sky / STEP + dither - 0.5)
        pixels = ((levels - dither + 0.5) * STEP).astype(np.float32)
        columns.append(pa.FixedSizeListArray.from_arrays(pa.array(pixels), PIXELS))
    return pa.table(columns, names=[f"band{band}" for band in range(BANDS)])


def encode(table: pa.Table, sink: Any, groups: int, options: dict[str, Any]) -> None:
    """Write the row group several times over."""
    with pq.ParquetWriter(sink, table.schema, **options) as writer:
        for _ in range(groups):
            writer.write_table(table, row_group_size=table.num_rows)


def to_nowhere(table: pa.Table, groups: int, options: dict[str, Any]) -> None:
    """Encode, and let the system drop the bytes."""
    with pa.OSFile("/dev/null", "wb") as sink:
        encode(table, sink, groups, options)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--groups", type=int, default=2, metavar="N", help="row groups a file (2)")
    arguments = options.parse_args()

    table = images(arguments.seed)
    ways = WAYS | {DEFAULT: writer_arguments(table.schema, "auto", None)}
    raw = ROWS * BANDS * PIXELS * 4
    size = {}
    for name, way in ways.items():
        sink = pa.BufferOutputStream()
        encode(table, sink, 1, way)
        size[name] = sink.tell()
        require(pq.read_table(pa.BufferReader(sink.getvalue())).equals(table), name)

    programs = {
        name: partial(to_nowhere, table, arguments.groups, way) for name, way in ways.items()
    }
    seconds = paired_seconds(programs, arguments.repeats)
    result = Result(
        "astro-common",
        "Writing columns of images",
        f"Encode {arguments.groups} row groups of {ROWS} x {BANDS} x {PIXELS} float32, "
        "without a disk.",
        versions=peer_versions("pyarrow", "numpy"),
    )
    for name, rounds in seconds.items():
        median = statistics.median(rounds)
        speed = arguments.groups * raw / median / 1e6
        share = size[name] / raw
        result.measured(f"{name}: {speed:.0f} MB/s, {share:.3f} of the bytes", median)
    result.at_most(
        "the writer's default takes this many times as long as plain encoding",
        median_ratio(seconds[DEFAULT], seconds["plain"]),
        1.1,
    )
    report(result, arguments.output)


if __name__ == "__main__":
    main()
