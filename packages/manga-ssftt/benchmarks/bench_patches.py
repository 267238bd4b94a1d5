"""Patches for training: cut lazily from HDF5, against one npy file per patch."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import torch

from astro_common.benchmarking import (
    Result,
    note,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from manga_ssftt.layout import Tree
from manga_ssftt.mock.tree import write_mock
from manga_ssftt.patch_loader import PatchLoader, PatchRecipe, find_samples
from manga_ssftt.targets import Target

TARGET = Target("BPT", "classification", (1, 2, 3))
RECIPE = PatchRecipe("spectral", 7)
# Bytes of one npy file per labelled spaxel: the existing tool's, and patches as they are trained.
PEERS = {
    "9 x 9 float64": 9 * 9 * 2040 * 8 + 128,
    "9 x 9 float32": 9 * 9 * 2040 * 4 + 128,
    "7 x 7 float32": 7 * 7 * 2040 * 4 + 128,
}


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--size", type=int, default=44, metavar="P", help="spaxels (44)")
    options.add_argument("--files", type=int, default=400, metavar="N", help="npy files (400)")
    options.add_argument("--threads", type=int, default=2, metavar="N", help="(2)")
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tree"
        catalog, names, _ = write_mock(
            root, n_galaxies=2, size_px=arguments.size, seed=arguments.seed, progress=False
        )
        from manga_ssftt.__main__ import main as command

        words = ["process", "--root", root, "--catalog", catalog, "-q", "--json"]
        sizes = {}
        for kind, options in (("compact", ["--compact"]), ("exact", ["--overwrite"])):
            with contextlib.redirect_stdout(io.StringIO()):
                status = command([str(word) for word in (*words, *options)])
            require(status == 0, "process")
            paths = root.glob("processed/cubes/*/*.h5")
            sizes[kind] = sum(path.stat().st_size for path in paths)
        samples = find_samples(Tree(root), dict.fromkeys(names), "BPT")
        total = sum(map(len, samples))
        # Shuffled, as training draws them.
        loaders = {
            name: PatchLoader(
                samples, RECIPE, TARGET, 64, dtype=dtype, reuse=True, shuffle=True, seed=1
            )
            for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16))
        }
        in_order = PatchLoader(samples, RECIPE, TARGET, 64)
        files = Path(folder) / "patches"
        files.mkdir()
        written = 0
        for patches, _, _ in in_order:
            for patch in patches[:, 0].permute(0, 2, 3, 1).numpy():
                if written < arguments.files:
                    np.save(files / f"{written}.npy", patch, allow_pickle=False)
                    written += 1
        first = next(iter(in_order))[0][:, 0].permute(0, 2, 3, 1).numpy()
        for number in range(min(written, len(first))):
            stored = np.load(files / f"{number}.npy", allow_pickle=False)
            require(bool(np.array_equal(stored, first[number])), f"patch {number}")

        def lazy(name):
            for patches, _, _ in loaders[name]:
                patches[0, 0, 0, 0, 0].item()

        def from_files():
            for number in range(written):
                torch.from_numpy(np.load(files / f"{number}.npy", allow_pickle=False))

        def fresh():
            loader = PatchLoader(samples, RECIPE, TARGET, 256, dtype=torch.bfloat16)
            for patches, _, _ in loader:
                patches[0, 0, 0, 0, 0].item()

        del in_order
        lazy("float32")
        lazy("bf16")
        seconds = paired_seconds(
            {
                "float32": lambda: lazy("float32"),
                "bf16": lambda: lazy("bf16"),
                "fresh": fresh,
                "files": from_files,
            },
            arguments.repeats,
        )
        best = {name: min(values) for name, values in seconds.items()}
    rates = {name: total / best[name] for name in ("float32", "bf16", "fresh")}
    rates["files"] = written / best["files"]
    per_spaxel = {kind: size / total for kind, size in sizes.items()}
    stored = ", ".join(f"{size:.0f} {kind}" for kind, size in per_spaxel.items())
    note(f"{total} patches of 7 x 7 x 2040; bytes per labelled spaxel: {stored}")
    result = Result(
        "manga-ssftt",
        "Feed patches",
        f"{total} patches of 7 x 7 x 2040 of two galaxies on {arguments.threads} threads; npy "
        "files lie in the page cache; best of the rounds",
        versions=peer_versions("torch", "h5py", "numpy"),
    )
    result.measured("lazy, float32, per 10,000 patches", 1e4 / rates["float32"])
    result.measured("lazy, bf16, per 10,000 patches", 1e4 / rates["bf16"])
    result.measured("lazy, bf16, HDF5 read anew, per 10,000 patches", 1e4 / rates["fresh"])
    result.measured("npy files, per 10,000 patches", 1e4 / rates["files"])
    result.at_least("lazy patches per second, bf16", rates["bf16"], 20_000.0)
    result.at_least("lazy bf16 / npy files, rates", rates["bf16"] / rates["files"], 1.0)
    for kind, size in per_spaxel.items():
        for name, peer in PEERS.items():
            result.at_least(f"npy {name} / {kind} HDF5, bytes", peer / size, 50.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
