"""How long training waits for its batches."""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from astro_common.benchmarking import Result, note, parser, peer_versions, report, require

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from tokenfolder import TokenFolder

from astromodal_transformer.configuration import load_configuration
from astromodal_transformer.training.run import train

ROWS = 4000


def main() -> None:
    chosen = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        tokens = TokenFolder(folder, rows=ROWS, seed=chosen.seed).write()
        tokens.settings["model"] = {"preset": "tiny"}
        tokens.write_config(
            training={"max_steps": 60, "batch_size": 64, "checkpoint_every_steps": 1000}
        )
        project_codes(tokens)
        train(load_configuration(tokens.config))
        with (tokens.run / "progress.csv").open() as file:
            rows = list(csv.DictReader(file))
    shares = [float(row["data_wait_share"]) for row in rows[2:]]
    speed = [float(row["tokens_per_second"]) for row in rows[2:]]
    note(f"{np.median(speed):.0f} tokens/s")
    result = Result(
        "astromodal-transformer",
        "data",
        f"tiny preset on {2 * ROWS} sources, batches of 64, one thread, no workers",
        versions=peer_versions("torch", "lightning"),
    )
    result.measured("a million tokens of training", 1e6 / float(np.median(speed)))
    result.at_most("share of the time that training waits for data", float(np.mean(shares)), 0.05)
    report(result, chosen.output)


def project_codes(tokens: TokenFolder) -> None:
    """The codes that training reads are those that were written."""
    store = tokens.open().store(["F1"])
    slot = int(store.layout.slots(["specz_z"])[0])
    import pyarrow as pa

    table = pa.ipc.open_file(str(tokens.shard("scalar"))).read_all()
    place = next(p.places[0] for p in store.layout.parts if p.start == slot)
    wanted = [row.as_py()[place] for row in table["tokens"][:100]]
    require(store.codes(np.arange(100))[:, slot].tolist() == wanted, "codes")


if __name__ == "__main__":
    main()
