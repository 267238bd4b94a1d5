"""Scalar encoding: 55 columns of 2 million values against a loop over numpy.searchsorted."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa

from astro_common.benchmarking import Result, median_ratio, paired_seconds, parser, report, require
from astromodal_tokenizers.tokenizers.bins import fit_bins
from astromodal_tokenizers.tokenizers.scalar import ScalarColumn, ScalarTokenizer

COLUMNS = 55


def main() -> None:
    words = parser(__doc__)
    words.add_argument(
        "--scale", type=float, default=1.0, metavar="X", help="part of the full number of rows (1)"
    )
    options = words.parse_args()
    rows = int(2_000_000 * options.scale)
    random = np.random.default_rng(options.seed)
    names = [f"column_{number}" for number in range(COLUMNS)]
    data = {
        name: random.normal(20.0, 2.0, rows) if number % 2 else np.exp(random.normal(size=rows))
        for number, name in enumerate(names)
    }
    table = pa.table(data)
    columns = [
        ScalarColumn(pa.field(name, pa.float64()), fit_bins(data[name][:200_000], 1024))
        for name in names
    ]
    tokenizer = ScalarTokenizer(columns)

    def by_loop() -> np.ndarray:
        result = np.empty((rows, COLUMNS), dtype=np.uint16)
        for place, column in enumerate(columns):
            values = table[column.name].to_numpy()
            result[:, place] = np.searchsorted(column.bins.edges, values, side="right")
        return result

    require(bool(np.array_equal(tokenizer.encode(table), by_loop())), "codes")
    seconds = paired_seconds(
        {"ours": lambda: tokenizer.encode(table), "searchsorted": by_loop}, options.repeats
    )
    result = Result(
        "astromodal-tokenizers", "Encode scalars", f"{COLUMNS} columns x {rows} rows, 1024 bins"
    )
    for name, values in seconds.items():
        result.measured(name, float(np.median(values)))
    start = time.perf_counter()
    copies = [values.copy() for values in data.values()]
    result.measured("a copy of the values", time.perf_counter() - start)
    require(len(copies) == COLUMNS, "copies")
    gain = median_ratio(seconds["searchsorted"], seconds["ours"])
    result.at_least("speed relative to searchsorted per column", gain, 5.0)
    report(result, options.output)


if __name__ == "__main__":
    main()
