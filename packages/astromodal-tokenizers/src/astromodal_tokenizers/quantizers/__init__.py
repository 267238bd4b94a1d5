"""Quantisers behind one interface, and the k-means that the default one learns by."""

from __future__ import annotations

from astro_common.errors import ConfigurationError
from astromodal_tokenizers.quantizers.assignment import nearest_centroids
from astromodal_tokenizers.quantizers.base import FEWEST_PER_CODE, Quantizer, supported_size
from astromodal_tokenizers.quantizers.codebook import KMeansQuantizer
from astromodal_tokenizers.quantizers.fsq import FSQuantizer
from astromodal_tokenizers.quantizers.kmeans import MiniBatchKMeans
from astromodal_tokenizers.quantizers.lfq import LFQuantizer
from astromodal_tokenizers.quantizers.residual import ResidualQuantizer

__all__ = [
    "FEWEST_PER_CODE",
    "QUANTIZERS",
    "FSQuantizer",
    "KMeansQuantizer",
    "LFQuantizer",
    "MiniBatchKMeans",
    "Quantizer",
    "ResidualQuantizer",
    "make_quantizer",
    "nearest_centroids",
    "supported_size",
]

QUANTIZERS: dict[str, type[Quantizer]] = {
    kind.name: kind for kind in (KMeansQuantizer, ResidualQuantizer, FSQuantizer, LFQuantizer)
}
"""Quantisers by the name that the configuration gives them."""


def make_quantizer(
    name: str, size: int, seed: int = 0, epochs: int | None = None, outer: int = 0
) -> Quantizer:
    """Make a quantiser that has learned nothing yet.

    Parameters
    ----------
    name : str
        A key of `QUANTIZERS`.
    size : int
        Number of codes.
    seed : int
    epochs : int, optional
        Passes of k-means, where it is used.
    outer : int
        Codes for vectors beyond all that taught; see `KMeansQuantizer`. Others have none.

    Raises
    ------
    ConfigurationError
        If there is no such quantiser.
    """
    if name not in QUANTIZERS:
        raise ConfigurationError("quantizer", repr(name), f"one of {', '.join(QUANTIZERS)}")
    if name == "kmeans" and epochs is not None:
        return KMeansQuantizer(size, seed, epochs, outer)
    return QUANTIZERS[name](size, seed)
