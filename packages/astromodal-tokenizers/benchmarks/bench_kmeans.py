"""K-means: assignment of 10 million x 2 and 1 million x 16 to 2048 centroids, and fitting."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.cluster import MiniBatchKMeans as Peer

from astro_common.benchmarking import (
    Result,
    median_ratio,
    note,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from astromodal_tokenizers.quantizers import MiniBatchKMeans, nearest_centroids

CODES = 2048
CASES = ((10_000_000, 2), (1_000_000, 16))
BLOCK = 512


def points(count: int, dimensions: int, seed: int) -> Any:
    """Clusters with heavy tails, as pixels of spectra have them."""
    random = np.random.default_rng(seed)
    places = 3.0 * random.normal(size=(300, dimensions))
    data = places[random.integers(300, size=count)] + random.standard_t(4.0, (count, dimensions))
    return data.astype(np.float32)


def bare_product(data: torch.Tensor, centroids: torch.Tensor) -> None:
    """The matrix product that a straightforward assignment needs, and nothing else."""
    out = torch.empty(BLOCK, len(centroids))
    weights = centroids.T.contiguous()
    for start in range(0, len(data), BLOCK):
        part = data[start : start + BLOCK]
        torch.mm(part, weights, out=out[: len(part)])


def assignment(result: Result, count: int, dimensions: int, repeats: int, seed: int) -> None:
    data = points(count, dimensions, seed)
    centroids = data[np.random.default_rng(seed).choice(count, CODES, replace=False)]
    peer = KMeans(CODES, init=centroids, n_init=1, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(centroids)
    table = torch.from_numpy(np.ascontiguousarray(peer.cluster_centers_, dtype=np.float32))
    tensor = torch.from_numpy(data)
    some = slice(0, min(count, 100_000))
    ours, theirs = nearest_centroids(tensor[some], table), peer.predict(data[some])
    distances = [
        (tensor[some] - table[torch.as_tensor(x).long()]).norm(dim=1) for x in (ours, theirs)
    ]
    require(bool(torch.allclose(*distances, rtol=1e-3, atol=1e-4)), "nearest centroids")
    names = [f"{what}, {count} x {dimensions}" for what in ("ours", "scikit-learn", "product")]
    seconds = paired_seconds(
        {
            names[0]: partial(nearest_centroids, tensor, table),
            names[1]: partial(peer.predict, data),
            names[2]: partial(bare_product, tensor, table),
        },
        repeats,
    )
    for name in names:
        result.measured(f"assign: {name}", float(np.median(seconds[name])))
    shape = f"{count} x {dimensions}"
    gain = median_ratio(seconds[names[1]], seconds[names[0]])
    result.at_least(f"assign {shape}: speed relative to scikit-learn", gain, 2.0)
    cost = median_ratio(seconds[names[0]], seconds[names[2]])
    result.at_most(f"assign {shape}: time relative to the bare product", cost, 1.5)


def fitting(result: Result, count: int, dimensions: int, repeats: int, seed: int) -> None:
    data = points(count, dimensions, seed)
    ours = MiniBatchKMeans(CODES, random_state=seed, compute_labels=False)
    peer = Peer(CODES, random_state=seed, compute_labels=False, n_init=1)
    names = [f"{what}, {count} x {dimensions}" for what in ("ours", "scikit-learn")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = paired_seconds(
            {names[0]: partial(ours.fit, data), names[1]: partial(peer.fit, data)}, repeats
        )
    probe = data[:200_000]
    inertia = [-model.score(probe) for model in (ours, peer)]
    note(f"  inertia: ours {inertia[0]:.6g}, scikit-learn {inertia[1]:.6g}")
    for name in names:
        result.measured(f"fit: {name}", float(np.median(seconds[name])))
    shape = f"{count} x {dimensions}"
    gain = median_ratio(seconds[names[1]], seconds[names[0]])
    result.at_least(f"fit {shape}: speed relative to scikit-learn", gain, 3.0)
    result.at_most(f"fit {shape}: inertia relative to it", inertia[0] / inertia[1], 1.0)


def main() -> None:
    words = parser(__doc__)
    words.add_argument(
        "--scale", type=float, default=1.0, metavar="X", help="part of the full number of rows (1)"
    )
    options = words.parse_args()
    result = Result(
        "astromodal-tokenizers",
        "K-means",
        f"{CODES} centroids, {torch.get_num_threads()} threads",
        versions=peer_versions("scikit-learn", "torch"),
    )
    for count, dimensions in CASES:
        rows = max(CODES * 8, int(count * options.scale))
        assignment(result, rows, dimensions, options.repeats, options.seed)
        fitting(result, rows, dimensions, options.repeats, options.seed)
    report(result, options.output)


if __name__ == "__main__":
    main()
