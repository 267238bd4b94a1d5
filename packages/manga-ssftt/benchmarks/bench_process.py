"""The verb process on a full-size galaxy, against the decompression of its files alone."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

from measuring import Result, manga_command, note, parser, report, require, run_process

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
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        catalog, _, _ = write_mock(
            root, n_galaxies=1, size_px=arguments.size, seed=arguments.seed, progress=False
        )
        files = sorted(root.glob("raw/*/*/*.fits.gz"))
        script = root / "inflate.py"
        script.write_text(INFLATE)
        ours, inflating, parts = [], [], {}
        memory = 0.0
        for _ in range(arguments.repeats):
            command = manga_command(
                *("process", "--root", root, "--catalog", catalog, "--overwrite", "--json", "-q")
            )
            finished = run_process(command)
            parts = json.loads(finished.stdout)["timings_s"]
            ours.append(finished.seconds)
            memory = max(memory, finished.peak_memory_mb)
            inflating.append(run_process([command[0], script, *files]).seconds)
            note(f"  process {ours[-1]:.2f} s, decompression {inflating[-1]:.2f} s, {parts}")
        require(len(list(root.glob("processed/cubes/*/*.h5"))) == 1, "one HDF5 file")
        with gzip.open(files[0]) as file:
            require(file.read(6) == b"SIMPLE", "the input is FITS")
    result = Result(
        "Process a galaxy",
        f"one synthetic galaxy of {arguments.size} x {arguments.size} x 4563 with all 13 HDUs, "
        "the whole command, start included; best of the rounds",
    )
    result.measured("process", min(ours), memory)
    result.measured("gzip decompression of its two files alone", min(inflating))
    for name, seconds in parts.items():
        result.measured(f"of it, in the last round: {name}", seconds)
    result.at_most("process / decompression", min(ours) / min(inflating), 2.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
