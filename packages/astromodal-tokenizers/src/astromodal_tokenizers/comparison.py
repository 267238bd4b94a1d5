"""Quantisers side by side at equal bits: the same vectors, the same number of codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.configuration import Configuration
from astromodal_tokenizers.encode import fitted_families
from astromodal_tokenizers.evaluate import held_out_split
from astromodal_tokenizers.hypercube import Cube, iter_rows, open_cubes
from astromodal_tokenizers.quantizers import QUANTIZERS, make_quantizer
from astromodal_tokenizers.reservoir import Reservoir
from astromodal_tokenizers.split import TRAIN
from astromodal_tokenizers.tokenizers.image import ImageTokenizer
from astromodal_tokenizers.tokenizers.loading import load_tokenizer
from astromodal_tokenizers.tokenizers.occupancy import attainable_codes
from astromodal_tokenizers.tokenizers.spectrum import SpectrumTokenizer

__all__ = ["compare_quantizers"]

Vectors = NDArray[np.float32]

_MAX_VECTORS = 40_000


def compare_quantizers(configuration: Configuration) -> list[dict[str, Any]]:
    """Learn each quantiser on the same training vectors and measure it on held-out ones.

    Compared are the latent pixels of images and the pixels of one group of each kind of spectrum.

    Parameters
    ----------
    configuration : Configuration

    Returns
    -------
    list of dict
        ``block, quantizer, bits, rmse_normalised, codebook_use, perplexity``.
    """
    cubes = open_cubes(configuration)
    split = held_out_split(configuration, cubes)
    rows = []
    for name, taught, held_out in _samples(configuration, cubes, split):
        bits = min(11, len(taught).bit_length() - 3)
        if bits < 2 or not len(held_out):
            continue
        # Distances weigh all features alike.
        scale = taught.std(axis=0)
        scale[scale <= 0.0] = 1.0
        for quantizer_name in QUANTIZERS:
            quantizer = make_quantizer(quantizer_name, 2**bits, configuration.seed)
            quantizer.fit(taught / scale)
            codes = quantizer.encode(held_out / scale)
            error = quantizer.decode(codes) - held_out / scale
            counts = np.bincount(codes, minlength=2**bits)
            share = counts[counts > 0] / len(codes)
            used = float((counts > 0).sum())
            rows.append(
                {
                    "block": name,
                    "quantizer": quantizer_name,
                    "bits": bits,
                    "rmse_normalised": float(np.sqrt(np.mean(np.square(error)))),
                    "codebook_use": used / attainable_codes(2**bits, len(codes)),
                    "perplexity": float(np.exp(-(share * np.log(share)).sum())),
                }
            )
    return rows


def _samples(
    configuration: Configuration, cubes: Sequence[Cube], split: int
) -> Iterator[tuple[str, Vectors, Vectors]]:
    """Name, training vectors and held-out vectors."""
    for family in fitted_families(configuration.output):
        tokenizer = load_tokenizer(configuration.output, family).tokenizer
        if isinstance(tokenizer, ImageTokenizer):
            yield "image", *_both(configuration, cubes, split, tokenizer, None)
        if isinstance(tokenizer, SpectrumTokenizer):
            kinds = set()
            for group in tokenizer.groups:
                if group.modality.kind not in kinds:
                    kinds.add(group.modality.kind)
                    yield group.name, *_both(configuration, cubes, split, tokenizer, group)


def _both(
    configuration: Configuration, cubes: Sequence[Cube], split: int, tokenizer: Any, group: Any
) -> tuple[Vectors, Vectors]:
    columns = tokenizer.column_names if group is None else group.modality.all_columns
    parts = []
    for number, part in enumerate((TRAIN, split)):
        sample = Reservoir(_MAX_VECTORS, [configuration.seed, 9000 + number])
        for cube in cubes:
            for rows in iter_rows(cube, columns, configuration, part):
                if group is None:
                    _, latents = tokenizer.encode(tokenizer.images(rows.table))
                    vectors = latents.transpose(0, 2, 3, 1)
                    sample.add(vectors[np.isfinite(vectors).all(axis=3)])
                else:
                    spectra = group.measure(rows.table)
                    vectors, _ = group.vectors(spectra, group.scale_codes(spectra))
                    sample.add(vectors[group.patches(spectra.valid).any(axis=2)])
        parts.append(np.asarray(sample.items(), dtype=np.float32))
    return parts[0], parts[1]
