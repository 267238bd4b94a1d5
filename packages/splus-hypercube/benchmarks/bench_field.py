"""A whole field with nine surveys: against astropy + pandas, and against writing the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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
from astro_common.parquet import ColumnOptions
from astro_common.parquet.columns import writer_arguments

OURS = "splus-hypercube build, process"
BASELINE = "astropy + pandas (straightforward.py), process"
COPY = "pyarrow writing the same row groups"
GIGABYTE_MB = 1000.0
# Two programs propagate stars with and without light-time effects (deg); see IAU SOFA's pmsafe.
TOLERANCES = {"gaia_ra_j2000": 1e-6, "gaia_dec_j2000": 1e-6, "gaia_separation_arcsec": 1e-3}
SEPARATION_TOLERANCE_ARCSEC = 1e-6
OFFSET_TOLERANCE_PX = 1e-6


def make_field(folder: Path, sources: int, image_size: int, seed: int, fields: int = 1) -> Path:
    """A mock survey tree (its configuration), kept for later runs."""
    tree = folder / f"mock-{fields}-{sources}-{image_size}-{seed}"
    config = tree / "hypercube.yaml"
    if not config.exists():
        note(f"making {tree.name} ...")
        partial = tree.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        words = ["--fields", fields, "--sources", sources, "--image-size", image_size]
        words += ["--seed", seed, "-q"]
        run_process(
            command_words("splus_hypercube", "mock", partial, *(str(word) for word in words))
        )
        partial.replace(tree)
    return config


def cache_folder() -> Path:
    """Where inputs that take long to make are kept."""
    folder = Path(tempfile.gettempdir()) / "splus-hypercube-benchmarks"
    folder.mkdir(exist_ok=True)
    return folder


def build_words(config: Path, output: Path) -> list[str | Path]:
    options = ("--config", config, "--out", output, "--overwrite", "-q")
    return command_words("splus_hypercube", "build", *options)


def dictionary_columns(metadata: Any) -> set[str]:
    """Columns of a file that are written with a dictionary."""
    found = set()
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            column = metadata.row_group(group).column(place)
            if column.has_dictionary_page:
                found.add(column.path_in_schema.split(".")[0])
    return found


def write_same_bytes(cube: Path, copy: Path) -> float:
    """Seconds in which pyarrow writes a hypercube's row groups, already in memory, to disk."""
    source = pq.ParquetFile(cube)
    schema = source.schema_arrow
    encoded = dictionary_columns(source.metadata)
    arguments = writer_arguments(
        schema, "auto", lambda field: ColumnOptions(dictionary=field.name in encoded)
    )
    seconds = 0.0
    with copy.open("wb") as file:
        writer = pq.ParquetWriter(file, schema, **arguments)
        for group in range(source.metadata.num_row_groups):
            table = source.read_row_group(group)
            start = time.perf_counter()
            writer.write_table(table, row_group_size=table.num_rows)
            seconds += time.perf_counter() - start
        start = time.perf_counter()
        writer.close()
        file.flush()
        os.fsync(file.fileno())
        seconds += time.perf_counter() - start
    require(
        abs(copy.stat().st_size / cube.stat().st_size - 1.0) < 0.02,
        f"the copy has {copy.stat().st_size} bytes, the hypercube {cube.stat().st_size}",
    )
    return seconds


def compare(cube: Path, parts: Path) -> int:
    """Require that the baseline's files hold the hypercube's values; returns the rows."""
    ours = pq.ParquetFile(cube)
    names = set(ours.schema_arrow.names)
    batches = ours.iter_batches(batch_size=256)
    pending = pa.table({})
    done = 0
    for path in sorted(parts.glob("part-*.parquet")):
        theirs = pq.read_table(path, partitioning=None)
        pieces = [pending] if pending.num_rows else []
        while sum(piece.num_rows for piece in pieces) < theirs.num_rows:
            pieces.append(pa.Table.from_batches([next(batches)]))
        table = pa.concat_tables(pieces)
        pending = table.slice(theirs.num_rows)
        table = table.slice(0, theirs.num_rows)
        require(set(theirs.column_names) <= names, f"columns {set(theirs.column_names) - names}")
        for name in table.column_names:
            known = name in theirs.column_names
            other = theirs[name].combine_chunks() if known else pa.nulls(len(table))
            require(
                same_values(name, table[name].combine_chunks(), other),
                f"column {name} in rows {done} to {done + len(table)}",
            )
        done += len(table)
    require(done == ours.metadata.num_rows, f"{done} rows")
    return done


def same_values(name: str, ours: Any, theirs: Any) -> bool:
    """Whether two columns hold the same values."""
    if pa.types.is_null(theirs.type):
        return bool(missing(ours).all())
    if pa.types.is_list(ours.type) or pa.types.is_fixed_size_list(ours.type):
        if not ours.is_null().equals(theirs.is_null()):
            return False
        lengths = [pc.list_value_length(a).fill_null(0) for a in (ours, theirs)]
        if not np.array_equal(*(np.asarray(length) for length in lengths)):
            return False
        return same_values(name, ours.flatten(), theirs.flatten())
    if pa.types.is_floating(ours.type):
        left, right = numbers(ours, ours.type), numbers(theirs, ours.type)
        tolerance = TOLERANCES.get(name, 0.0)
        if name.endswith("_separation_arcsec"):
            tolerance = max(tolerance, SEPARATION_TOLERANCE_ARCSEC)
        if name.startswith("splus_cut_d"):
            tolerance = OFFSET_TOLERANCE_PX
        difference = np.abs(left - right)
        near = (left == right) | (difference <= np.maximum(np.spacing(np.abs(right)), tolerance))
        return bool(np.all(near | (np.isnan(left) & np.isnan(right))))
    if pa.types.is_string(ours.type):
        pairs = (a.cast(pa.string()).fill_null("") for a in (ours, theirs))
        return bool(next(pairs).equals(next(pairs)))
    return bool(ours.equals(theirs.cast(ours.type)))


def missing(values: Any) -> Any:
    """Null, NaN or an empty text."""
    if pa.types.is_floating(values.type):
        return np.isnan(numbers(values, values.type))
    if pa.types.is_string(values.type):
        return np.asarray(pc.equal(values.fill_null(""), ""))
    return np.asarray(values.is_null())


def numbers(values: Any, kind: Any) -> Any:
    """Values as numbers of a type, NaN for null."""
    floats = values.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return floats.astype(kind.to_pandas_dtype())


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--sources", type=int, default=25_000, metavar="N")
    options.add_argument("--image-size", type=int, default=5_500, metavar="PX")
    options.add_argument(
        "--without-baseline", action="store_true", help="leave astropy + pandas out (minutes)"
    )
    arguments = options.parse_args()
    config = make_field(cache_folder(), arguments.sources, arguments.image_size, arguments.seed)
    script = Path(__file__).with_name("straightforward.py")
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        output, parts = Path(scratch) / "ours", Path(scratch) / "baseline"
        builds, copies, baselines = [], [], []
        cube = Path()
        for turn in range(arguments.repeats):
            builds.append(run_process(build_words(config, output)))
            note(f"  {OURS}: {builds[-1].seconds:.1f} s, {builds[-1].peak_memory_mb:.0f} MB")
            (cube,) = output.glob("datacube_*.parquet")
            copies.append(write_same_bytes(cube, Path(scratch) / "copy.parquet"))
            note(f"  {COPY}: {copies[-1]:.1f} s")
            # The baseline takes minutes: it runs once, between two of our runs.
            if turn == 0 and not arguments.without_baseline:
                field = cube.stem.removeprefix("datacube_")
                words = [sys.executable, script, config, field, parts]
                baselines.append(run_process(words))
                note(f"  {BASELINE}: {baselines[-1].seconds:.1f} s")
                rows = compare(cube, parts)
                note(f"  the values of all {rows} rows agree")
                shutil.rmtree(parts)
        size_mb = cube.stat().st_size / 1e6
        surveys = json.loads(pq.read_schema(cube).metadata[b"splus_hypercube"])["surveys"]
        matched = ", ".join(
            f"{name} {about['matches']:,}" for name, about in surveys.items() if "matches" in about
        )
        result = Result(
            "splus-hypercube",
            "A whole field",
            f"A mock field of {arguments.sources:,} sources, 12 images of "
            f"{arguments.image_size:,} x {arguments.image_size:,} and all other surveys (matches: "
            f"{matched}), to a hypercube of {size_mb:,.0f} MB. All programs give the same values. "
            "The time of pyarrow is that of writing the finished row groups, with the same "
            "settings, from memory to disk.",
            versions=peer_versions("astropy", "pandas", "pyarrow"),
        )
        seconds = statistics.median(run.seconds for run in builds)
        memory = max(run.peak_memory_mb for run in builds)
        result.measured(OURS, seconds, memory)
        result.measured(COPY, statistics.median(copies))
        for run in baselines:
            result.measured(BASELINE, run.seconds, run.peak_memory_mb)
            result.at_least("astropy + pandas / ours", run.seconds / seconds, 10.0)
        ratios = [run.seconds / copy for run, copy in zip(builds, copies, strict=True)]
        result.at_most("ours / pyarrow writing the same bytes", statistics.median(ratios), 2.0)
        result.at_most("our peak memory, GB (all processes)", memory / GIGABYTE_MB, 2.0)
        report(result, arguments.output)


if __name__ == "__main__":
    main()
