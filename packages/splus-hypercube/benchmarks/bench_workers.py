"""Two workers on two fields against one, and the same build on a Dask cluster."""

from __future__ import annotations

import hashlib
import statistics
import tempfile
from pathlib import Path

from bench_field import build_words, cache_folder, make_field
from dask.distributed import LocalCluster

from astro_common.benchmarking import (
    Finished,
    PeakMemory,
    Result,
    note,
    parser,
    peer_versions,
    report,
    require,
    run_process,
)

FIELDS = 2


def digests(output: Path) -> dict[str, str]:
    """SHA-256 of each hypercube."""
    found = {}
    for path in sorted(output.glob("datacube_*.parquet")):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--sources", type=int, default=5_000, metavar="N", help="per field (5000)")
    options.add_argument("--image-size", type=int, default=3_000, metavar="PX")
    arguments = options.parse_args()
    config = make_field(
        cache_folder(), arguments.sources, arguments.image_size, arguments.seed, FIELDS
    )
    one, two, dask = "1 worker", "2 workers", "2 workers of a Dask LocalCluster"
    runs: dict[str, list[Finished]] = {one: [], two: [], dask: []}
    with (
        tempfile.TemporaryDirectory(dir=cache_folder()) as scratch,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        places = {
            one: ["--workers", "1"],
            two: ["--workers", "2"],
            dask: ["--scheduler", cluster.scheduler_address],
        }
        expected: dict[str, str] = {}
        memory = 0.0
        for _ in range(arguments.repeats):
            for name, words in places.items():
                output = Path(scratch) / "cubes"
                # The cluster's workers are children of this process, not of the command.
                with PeakMemory() as family:
                    finished = run_process([*build_words(config, output), *words])
                runs[name].append(finished)
                if name == dask:
                    memory = max(memory, family.megabytes)
                note(f"  {name}: {runs[name][-1].seconds:.1f} s")
                found = digests(output)
                require(len(found) == FIELDS, f"{name} wrote {len(found)} fields")
                expected = expected or found
                require(found == expected, f"{name} wrote other bytes")
    result = Result(
        "splus-hypercube",
        "Two workers",
        f"Two mock fields of {arguments.sources:,} sources and 12 images of "
        f"{arguments.image_size:,} x {arguments.image_size:,} each, whole processes; the files "
        "are the same byte by byte. The cluster was started before; its memory is that of the "
        "command, the scheduler, both workers and the benchmark itself.",
        versions=peer_versions("dask", "distributed"),
    )
    for name, finished in runs.items():
        peak = memory if name == dask else max(run.peak_memory_mb for run in finished)
        result.measured(name, statistics.median(run.seconds for run in finished), peak)
    for name in (two, dask):
        pairs = zip(runs[one], runs[name], strict=True)
        gain = statistics.median(alone.seconds / both.seconds for alone, both in pairs)
        result.at_least(f"fields per hour, {name} / 1 worker", gain, 1.8)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
