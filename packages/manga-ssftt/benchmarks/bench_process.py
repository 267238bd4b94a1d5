"""The verb process on galaxies of full size, against the decompression of their files alone."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

from astro_common.benchmarking import (
    Result,
    command_words,
    note,
    parser,
    report,
    require,
    run_process,
)
from manga_ssftt.mock.tree import write_mock

INFLATE = (
    "import gzip, sys\n"
    "for name in sys.argv[1:]:\n"
    "    with gzip.open(name) as file:\n"
    "        while file.read(1 << 20):\n"
    "            pass\n"
)


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--size", type=int, default=54, metavar="P", help="spaxels (54)")
    options.add_argument("--galaxies", type=int, default=3, metavar="N", help="(3)")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        catalog, _, _ = write_mock(
            root,
            n_galaxies=arguments.galaxies,
            size_px=arguments.size,
            seed=arguments.seed,
            progress=False,
        )
        files = sorted(root.glob("raw/*/*/*.fits.gz"))
        script = root / "inflate.py"
        script.write_text(INFLATE)
        ours, inflating, working, parts = [], [], [], {}
        memory = 0.0
        for _ in range(arguments.repeats):
            command = command_words(
                "manga_ssftt",
                *("process", "--root", root, "--catalog", catalog, "--overwrite", "--json", "-q"),
            )
            finished = run_process(command)
            parts = json.loads(finished.stdout)["timings_s"]
            ours.append(finished.seconds)
            # The labels are made while the cube is read.
            working.append(parts["read"] + parts["resample"] + parts["write"])
            memory = max(memory, finished.peak_memory_mb)
            inflating.append(run_process([command[0], script, *files]).seconds)
            note(f"  process {ours[-1]:.2f} s, decompression {inflating[-1]:.2f} s, {parts}")
        made = len(list(root.glob("processed/cubes/*/*.h5")))
        require(made == arguments.galaxies, "one HDF5 file of each galaxy")
        with gzip.open(files[0]) as file:
            require(file.read(6) == b"SIMPLE", "the input is FITS")
    result = Result(
        "manga-ssftt",
        "Process galaxies",
        f"{arguments.galaxies} synthetic galaxies of {arguments.size} x {arguments.size} x 4563 "
        "with all 13 HDUs, the whole command, start included; best of the rounds",
    )
    result.measured("process", min(ours), memory)
    result.measured("gzip decompression of their files alone", min(inflating))
    for name, seconds in parts.items():
        result.measured(f"in the last round: {name}", seconds)
    result.at_most("process, start included / decompression", min(ours) / min(inflating), 2.0)
    without_start = min(working) / min(inflating)
    result.at_most("read, resample and write / decompression", without_start, 2.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
