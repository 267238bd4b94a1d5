"""Image encoding: how much longer than the encoder alone, and how long it waits for data."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from astro_common.benchmarking import Result, median_ratio, paired_seconds, parser, report
from astro_common.parquet import ParquetWriter, described
from astromodal_tokenizers.autoencoder import Autoencoder, best_device
from astromodal_tokenizers.hypercube import iter_rows, open_cube
from astromodal_tokenizers.prefetching import Prefetch
from astromodal_tokenizers.quantizers import make_quantizer
from astromodal_tokenizers.tokenizers.bins import fit_bins
from astromodal_tokenizers.tokenizers.image import ImageTokenizer

BANDS, SIZE_PX, WIDTH = 12, 96, 64


def write_cube(path: Path, rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    kind = pa.list_(pa.float32(), SIZE_PX**2)
    fields = [described(name, pa.string()) for name in ("id",)]
    fields += [described(name, pa.float64()) for name in ("ra", "dec")]
    fields += [described(f"band_{n}", kind, modality="image") for n in range(BANDS)]
    metadata = {"splus_hypercube": {"schema_version": 1, "field": "bench", "synthetic": True}}
    with ParquetWriter(path, pa.schema(fields), metadata=metadata) as writer:
        for start in range(0, rows, 128):
            count = min(128, rows - start)
            arrays = [pa.array([str(start + n) for n in range(count)])]
            arrays += [pa.array(random.uniform(0.0, 1.0, count)) for _ in "ab"]
            for _ in range(BANDS):
                pixels = random.normal(size=count * SIZE_PX**2).astype(np.float32)
                arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(pixels), SIZE_PX**2))
            writer.write(pa.Table.from_arrays(arrays, schema=pa.schema(fields)))


def main() -> None:
    words = parser(__doc__)
    words.add_argument(
        "--scale", type=float, default=1.0, metavar="X", help="part of the full number of rows (1)"
    )
    options = words.parse_args()
    rows = max(128, int(2048 * options.scale))
    random = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "datacube_bench.parquet"
        write_cube(path, rows, options.seed)
        cube = open_cube(path)
        fields = [field for field in cube.schema if field.name.startswith("band_")]
        quantizer = make_quantizer("kmeans", 2048)
        quantizer.load({"codebook": random.normal(size=(2048, 2)).astype(np.float32)})
        tokenizer = ImageTokenizer(
            fields,
            SIZE_PX,
            np.ones(BANDS),
            Autoencoder(BANDS, WIDTH, 2),
            quantizer,
            fit_bins(random.normal(size=10_000), 2048),
            (2.73, 5.45),
            {"width": WIDTH, "latent": 2},
        )
        waited = []

        def encode() -> None:
            source = Prefetch(iter_rows(cube, tokenizer.column_names))
            for part in source:
                tokenizer.encode(tokenizer.images(part.table))
            waited.append(source.waited_s)

        def encoder_alone() -> None:
            device = best_device()
            batch = torch.zeros(32, BANDS, SIZE_PX, SIZE_PX, device=device)
            with torch.inference_mode():
                for _ in range(rows // 32):
                    tokenizer.network.to(device).encode(batch).cpu()

        seconds = paired_seconds({"encode": encode, "encoder": encoder_alone}, options.repeats)
    result = Result(
        "astromodal-tokenizers", "Encode images", f"{rows} cutouts, {BANDS} x {SIZE_PX} x {SIZE_PX}"
    )
    for name, values in seconds.items():
        result.measured(name, float(np.median(values)))
    cost = median_ratio(seconds["encode"], seconds["encoder"])
    result.at_most("time relative to the encoder alone", cost, 1.1)
    share = float(np.median(np.array(waited) / np.array(seconds["encode"])))
    result.at_most("share of the time spent waiting for data", share, 0.05)
    report(result, options.output)


if __name__ == "__main__":
    main()
