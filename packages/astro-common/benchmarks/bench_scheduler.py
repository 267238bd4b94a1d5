"""A run of thousands of fields with stragglers, damaged inputs and killed workers.

Each field is simulated by waiting for a fraction of its time, so that the run takes a minute and
can have as many processes as on a large machine. This measures the scheduler: how much longer it
takes than the best possible schedule, and that no field is lost or built twice. The peer is
`concurrent.futures.ProcessPoolExecutor` on the same fields without the deadly ones, which would
break it.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from simulated_fields import SPEED, Field, build, plan

from astro_common.benchmarking import Result, note, parser, report, require
from astro_common.jobs import run_units


def best_seconds(fields: Sequence[Field], workers: int) -> float:
    """Return the lower bound of all schedules: equal shares, or the longest field."""
    seconds = [field.seconds for field in fields]
    return max(sum(seconds) / workers, max(seconds))


def run(fields: Sequence[Field], workers: int, folder: Path) -> tuple[float, int, int, int]:
    """Return the seconds of a run, and how many fields were done, skipped and failed."""
    start = time.perf_counter()
    outcome = run_units(
        build,
        {field.name: field for field in fields},
        workers=workers,
        failures=folder / "failures.jsonl",
        is_done=lambda name: (folder / str(int(name[1:]))).exists(),
    )
    seconds = time.perf_counter() - start
    return seconds, len(outcome.done), len(outcome.skipped), len(outcome.failed)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--fields", type=int, default=3000, metavar="N")
    options.add_argument("--processes", type=int, default=16, metavar="N")
    arguments = options.parse_args()
    workers = arguments.processes
    logging.getLogger("astro_common").setLevel(logging.CRITICAL)  # sixty failures are planned
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "peer").mkdir()
        fields = plan(arguments.fields, folder, arguments.seed)
        failing = [field for field in fields if field.fate != "done"]
        best = best_seconds(fields, workers)
        note(f"{len(fields)} fields, {len(failing)} will fail; best possible {best:.1f} s")

        first, done, _, failed = run(fields, workers, folder)
        require(done == len(fields) - len(failing), f"{done} fields done")
        listed = [json.loads(line) for line in (folder / "failures.jsonl").open()]
        named = {entry["field"] for entry in listed}
        require(named == {field.name for field in failing}, "the failures that are listed")
        require(failed == len(failing), f"{failed} fields failed")

        # The inputs have been mended and the run is started again.
        mended = [replace(field, fate="done") for field in fields]
        again, done, skipped, failed = run(mended, workers, folder)
        require((done, failed) == (len(failing), 0), f"{done} mended fields done")
        require(skipped == len(fields) - len(failing), f"{skipped} fields skipped")
        require(not (folder / "failures.jsonl").exists(), "no failure is left")
        built = {path.read_text() for path in folder.iterdir() if path.is_file()}
        require(built == {field.name for field in fields}, "every field is built")

        alive = [replace(field, output=folder / "peer" / field.name) for field in mended]
        start = time.perf_counter()
        with ProcessPoolExecutor(workers) as pool:
            require(len(list(pool.map(build, alive))) == len(fields), "the peer's fields")
        peer = time.perf_counter() - start

    # Starting the processes is not simulated: it takes no longer in a long run.
    hours = first * SPEED / 3600
    result = Result(
        "astro-common",
        "A survey of fields, simulated",
        f"{len(fields):,} fields of about a minute in {workers} processes, simulated {SPEED:.0f} "
        f"times faster: 1 % are stragglers of twenty minutes, {len(failing)} fail on a damaged "
        f"input or have their process killed. In real time the run would take {hours:.1f} h. A "
        "second run builds those alone.",
    )
    result.measured(f"first run, best possible {best:.1f} s", first)
    result.measured("second run, of what had failed", again)
    result.measured("ProcessPoolExecutor, no field fails", peer)
    result.at_most("first run / best possible", first / best, 1.15)
    result.at_most("first run / ProcessPoolExecutor", first / peer, 1.1)
    report(result, arguments.output)


if __name__ == "__main__":
    sys.exit(main())
