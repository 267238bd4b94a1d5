"""What each way of encoding a column of images costs and saves; the writer's defaults follow it.

The images are what a Rice-compressed survey image decompresses to: noise of the sky, quantised in
steps of a quarter of its standard deviation, with subtractive dithering. All ways must give the
same rows back before any is timed. The encoded bytes go nowhere, so the disk has no part in it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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


def main(argv: list[str] | None = None) -> int:
    """Print a table for people on stderr and one JSON object on stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the JSON here")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds of timing (5)")
    parser.add_argument("--groups", type=int, default=2, metavar="N", help="row groups a file (2)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the images (1)")
    arguments = parser.parse_args(argv)

    table = images(arguments.seed)
    ways = WAYS | {DEFAULT: writer_arguments(table.schema, "auto", None)}
    raw = ROWS * BANDS * PIXELS * 4
    size = {}
    for name, options in ways.items():
        sink = pa.BufferOutputStream()
        encode(table, sink, 1, options)
        size[name] = sink.tell()
        if not pq.read_table(pa.BufferReader(sink.getvalue())).equals(table):
            raise SystemExit(f"results differ: {name}")

    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(arguments.repeats):
        names = list(ways)[turn % len(ways) :] + list(ways)[: turn % len(ways)]
        for name in names:
            with pa.OSFile("/dev/null", "wb") as sink:
                start = time.perf_counter()
                encode(table, sink, arguments.groups, ways[name])
                seconds[name].append(time.perf_counter() - start)

    work = f"{arguments.groups} row groups of {ROWS} x {BANDS} x {PIXELS} float32"
    print(f"{work}\n{'way':30} {'MB/s':>6} {'bytes':>6}", file=sys.stderr)
    measurements = []
    for name in ways:
        median = statistics.median(seconds[name])
        speed = arguments.groups * raw / median / 1e6
        print(f"{name:30} {speed:6.0f} {size[name] / raw:6.3f}", file=sys.stderr)
        label = f"{name}: {speed:.0f} MB/s, {size[name] / raw:.3f} of the bytes"
        measurements.append({"name": label, "seconds": median})
    paired = zip(seconds[DEFAULT], seconds["plain"], strict=True)
    ratio = {
        "statement": "the writer's default takes this many times as long as plain encoding",
        "measured": statistics.median(ours / plain for ours, plain in paired),
        "required": 1.1,
        "sense": "at most",
    }
    record = {
        "title": "Writing columns of images",
        "work": f"Encode {work}, without a disk.",
        "versions": {name: version(name) for name in ("pyarrow", "numpy")},
        "measurements": measurements,
        "ratios": [ratio],
    }
    text = json.dumps(record, indent=2)
    if arguments.output is not None:
        arguments.output.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
