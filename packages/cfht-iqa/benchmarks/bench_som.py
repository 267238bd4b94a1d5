"""The self-organising map against MiniSom's `train_batch`, and against one matrix product."""

from __future__ import annotations

import time

import numpy as np
from minisom import MiniSom

from astro_common.benchmarking import (
    PeakMemory,
    Result,
    note,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from cfht_iqa.som import SelfOrganizingMap
from cfht_iqa.som.minisom_engine import from_minisom

SHAPES = ((4, 5, 100.0), (15, 15, 50.0))


def sources(count: int, features: int, seed: int) -> np.ndarray:
    """Skewed, correlated groups, as the features of sources are."""
    rng = np.random.default_rng(seed)
    data = np.empty((count, features), np.float32)
    groups = np.array_split(np.arange(count), 12)
    for rows in groups:
        mixing = rng.normal(0.0, 0.6, (features, features))
        middle = rng.normal(0.0, 2.0, features)
        data[rows] = rng.normal(0.0, 1.0, (len(rows), features)) @ mixing + middle
    return data[rng.permutation(count)]


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--sources", type=int, default=3_000_000, metavar="N", help="(3000000)")
    options.add_argument("--features", type=int, default=7, metavar="N", help="(7)")
    options.add_argument("--epochs", type=int, default=20, metavar="N", help="(20)")
    options.add_argument("--threads", type=int, default=2, metavar="N", help="(2)")
    options.add_argument(
        "--peer-sources",
        type=int,
        default=20_000,
        metavar="N",
        help="that MiniSom is timed with, per presentation; its time is linear (20000)",
    )
    arguments = options.parse_args()
    data = sources(arguments.sources, arguments.features, arguments.seed)
    part = data[: arguments.peer_sources]
    wide = part.astype(np.float64)
    # Compiled before anything is timed.
    SelfOrganizingMap(2, 2, epochs=1).fit(part).predict(part)
    presented = arguments.sources * arguments.epochs
    result = Result(
        "cfht-iqa",
        "Self-organising map",
        f"{arguments.sources:,} x {arguments.features}, {arguments.epochs} passes, "
        f"{arguments.threads} threads; MiniSom on {len(part):,} sources, as many passes",
        versions=peer_versions("minisom", "numpy", "numba"),
    )
    for height, width, required in SHAPES:
        settings = {"epochs": arguments.epochs, "threads": arguments.threads}
        same = SelfOrganizingMap(height, width, **settings).fit(part)
        peer = MiniSom(height, width, arguments.features, sigma=1.0, random_seed=1)
        peer.pca_weights_init(wide)
        start = time.perf_counter()
        peer.train_batch(wide, len(wide) * arguments.epochs)
        slow = (time.perf_counter() - start) / (len(wide) * arguments.epochs)
        ours, theirs = same.quantisation_error(part), from_minisom(peer).quantisation_error(part)
        note(f"{height} x {width}: quantisation error {ours:.4f}, MiniSom {theirs:.4f}")
        require(ours <= theirs, f"quantisation error {ours} is above MiniSom's {theirs}")
        agreed = from_minisom(peer)
        winners = [row * width + column for row, column in map(peer.winner, wide[:500])]
        require(np.mean(agreed.predict(part[:500]) == winners) > 0.99, "nearest nodes")
        seconds = []
        with PeakMemory() as memory:
            for _ in range(arguments.repeats):
                start = time.perf_counter()
                som = SelfOrganizingMap(height, width, **settings).fit(data)
                seconds.append(time.perf_counter() - start)
        best = min(seconds)
        name = f"{height} x {width}"
        result.measured(f"ours, {name}, {presented:,} presentations", best, memory.megabytes)
        result.measured(
            f"MiniSom, {name}, as many (from {slow * 1e6:.1f} us each)", slow * presented
        )
        result.at_least(f"MiniSom / ours, {name}", slow * presented / best, required)
        result.at_most(f"peak memory / 1 GB, {name}", memory.megabytes / 1000.0, 1.0)
        result.at_most(f"quantisation error, ours / MiniSom, {name}", ours / theirs, 1.0)
        nodes = som.weights_.reshape(height * width, -1)

        def product(nodes: np.ndarray = nodes) -> None:
            for first in range(0, len(data), 65_536):
                np.matmul(data[first : first + 65_536], nodes.T)

        timed = paired_seconds(
            {"assignment": lambda som=som: som.predict(data), "matrix product": product},
            arguments.repeats,
        )
        fast = {key: min(values) for key, values in timed.items()}
        result.measured(f"assignment, {name}", fast["assignment"])
        result.measured(f"matrix product, {name}", fast["matrix product"])
        ratio = fast["assignment"] / fast["matrix product"]
        result.at_most(f"assignment / matrix product, {name}", ratio, 3.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
