"""Find single events among 1.9 million: the index, from opening it to the event."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from astro_common.benchmarking import Result, parser, report, require
from astro_common.parquet import ParquetWriter
from scone_io.index import SCHEMA, open_index
from scone_io.mock import write_mock_shards
from scone_io.shards import open_shards


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--indexed", type=int, default=1_900_000, metavar="N")
    options.add_argument("--lookups", type=int, default=200, metavar="N")
    arguments = options.parse_args()
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        (path,) = write_mock_shards(folder, num_events=1000, seed=arguments.seed)
        batches = list(open_shards(path).batches())
        snids = np.concatenate([batch.snid for batch in batches])
        offsets = np.concatenate([batch.offset for batch in batches])
        rows = rng.integers(0, len(snids), size=arguments.indexed)
        # Every row leads to a record that exists; only the asked ones lead to their own.
        keys = 10_000_000 + np.arange(arguments.indexed)
        asked = rng.choice(arguments.indexed, size=len(snids), replace=False)
        keys[asked], rows[asked] = snids, np.arange(len(snids))
        index_path = Path(folder) / "snid_index.parquet"
        count = arguments.indexed
        table = pa.table(
            {
                "snid": keys,
                "label": np.zeros(count, dtype=np.int64),
                "z": np.zeros(count, dtype=np.float32),
                "z_err": np.zeros(count, dtype=np.float32),
                "file": pa.array([path.name]).take(pa.array(np.zeros(count, dtype=np.int64))),
                "offset": offsets[rows],
                "length": np.full(count, 92_272),
            }
        ).cast(SCHEMA)
        with ParquetWriter(index_path, SCHEMA, max_rows=65_536) as writer:
            writer.write(table)
        start = time.perf_counter()
        index = open_index(index_path)
        opening = time.perf_counter() - start
        seconds = []
        for snid in rng.choice(snids, size=arguments.lookups):
            start = time.perf_counter()
            found = index.find(int(snid))
            seconds.append(time.perf_counter() - start)
            require(found.event.snid == snid, f"SNID {snid}")
    result = Result(
        "scone-io",
        "Find one event by its SNID",
        f"{arguments.indexed:,} events indexed; each record is read, verified and parsed",
    )
    result.measured("open the index", opening)
    result.measured("find an event, median", float(np.median(seconds)))
    result.measured("find an event, 99 %", float(np.percentile(seconds, 99)))
    result.at_most("milliseconds per event, median", 1e3 * float(np.median(seconds)), 20.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
