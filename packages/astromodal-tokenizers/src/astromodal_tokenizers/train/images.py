"""Learn to tokenise cutouts: noise, autoencoder, codes of latent pixels and of fluxes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from astro_common.errors import InputError
from astromodal_tokenizers.apertures import ring_flux, ring_weights
from astromodal_tokenizers.autoencoder import Autoencoder
from astromodal_tokenizers.configuration import Configuration
from astromodal_tokenizers.hypercube import Cube, iter_rows
from astromodal_tokenizers.modalities import Modality, image_size_px
from astromodal_tokenizers.normalization import robust_noise
from astromodal_tokenizers.quantizers import make_quantizer, supported_size
from astromodal_tokenizers.reservoir import Reservoir
from astromodal_tokenizers.split import TRAIN
from astromodal_tokenizers.tokenizers.bins import Bins, fit_bins
from astromodal_tokenizers.tokenizers.image import ImageTokenizer, image_array
from astromodal_tokenizers.train.network import train_autoencoder

__all__ = ["fit_flux_bins", "fit_images"]

logger = logging.getLogger(__name__)

_NOISE_IMAGES = 512
# Of a bright source, its flux may be coarser than the noise: to this share of it.
_FLUX_ERROR = 0.005


def fit_images(
    configuration: Configuration, cubes: Sequence[Cube], table: Sequence[Modality]
) -> ImageTokenizer | None:
    """Train the autoencoder and learn the codes of latent pixels and of fluxes.

    Parameters
    ----------
    configuration : Configuration
    cubes : sequence of Cube
    table : sequence of Modality
        Modalities of other kinds are passed over.

    Returns
    -------
    ImageTokenizer or None
        None in all processes but the first of a distributed run.

    Raises
    ------
    InputError
        If there is no cutout in the training part of the sky.
    ConfigurationError
        If Lightning does not know the accelerator, strategy or devices.
    """
    modality = next((item for item in table if item.kind == "image"), None)
    if modality is None:
        raise InputError(
            cubes[0].path, "no cutouts", "columns of modality image", "leave image out"
        )
    settings = configuration.image
    size_px = image_size_px(cubes[0], modality)
    bands = list(modality.columns["bands"])
    fields = [cubes[0].schema.field(name) for name in bands]
    noise = _noise(configuration, cubes, bands, size_px)
    radii = tuple(radius / settings.pixel_scale_arcsec for radius in settings.apertures_arcsec)
    with torch.random.fork_rng():
        torch.manual_seed(configuration.seed)
        network = Autoencoder(len(bands), settings.width, settings.latent)
        trained = train_autoencoder(configuration, cubes, bands, size_px, noise, network)
    if trained is None:
        return None
    tokenizer = ImageTokenizer(
        fields,
        size_px,
        noise,
        trained,
        make_quantizer("kmeans", 2),
        Bins(np.empty(0), np.zeros(1)),
        radii,
        {"width": settings.width, "latent": settings.latent},
    )
    _learn_codes(configuration, cubes, tokenizer)
    return tokenizer


def _noise(
    configuration: Configuration, cubes: Sequence[Cube], bands: list[str], size_px: int
) -> NDArray[np.float64]:
    """Noise per pixel of each band: the median over images of their robust deviation."""
    found: list[NDArray[np.float64]] = []
    for cube in cubes:
        for rows in iter_rows(cube, bands, configuration, TRAIN):
            images = image_array(rows.table, bands, size_px)
            found.extend(
                np.array([robust_noise(band) for band in image])
                for image in images[: _NOISE_IMAGES // len(cubes) + 1]
            )
            if len(found) >= _NOISE_IMAGES:
                break
    known = np.array(found).reshape(-1, len(bands))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        noise = np.nanmedian(known, axis=0) if len(known) else np.full(len(bands), np.nan)
    if not np.isfinite(noise).any():
        raise InputError(
            cubes[0].path, "no cutout in the training part of the sky", "some", "add fields"
        )
    # A band that was never observed, or has no noise, gets that of the others.
    sound = np.isfinite(noise) & (noise > 0.0)
    fallback = float(np.median(noise[sound])) if sound.any() else 1.0
    return np.asarray(np.where(sound, noise, fallback))


def _learn_codes(
    configuration: Configuration, cubes: Sequence[Cube], tokenizer: ImageTokenizer
) -> None:
    settings = configuration.image
    vectors = Reservoir(settings.max_samples, [configuration.seed, 5001])
    fluxes = Reservoir(settings.max_samples, [configuration.seed, 5002])
    weights = ring_weights(tokenizer.size_px, tokenizer.radii_px)
    for cube in cubes:
        for rows in iter_rows(cube, tokenizer.column_names, configuration, TRAIN):
            images = tokenizer.images(rows.table)
            latents = tokenizer.latents(images).transpose(0, 2, 3, 1)
            blocks = images.reshape(
                *images.shape[:2],
                tokenizer.side,
                -1,
                tokenizer.side,
                images.shape[3] // tokenizer.side,
            )
            vectors.add(latents[np.isfinite(blocks).any(axis=(1, 3, 5))])
            flux = ring_flux(images, weights) / tokenizer.flux_noise
            fluxes.add(flux[np.isfinite(flux)])
    some = vectors.items()
    size = supported_size(settings.codebook_size, len(some))
    if size < settings.codebook_size:
        logger.warning("image: only %d latent vectors: %d codes", len(some), size)
    tokenizer.quantizer = make_quantizer(settings.quantizer, size, configuration.seed)
    tokenizer.quantizer.fit(some)
    found = fluxes.items()
    if len(found):
        tokenizer.flux = fit_flux_bins(found, settings.codebook_size)
    logger.info("image: %d codes of %d features", size, some.shape[1])


def fit_flux_bins(flux: NDArray[np.float64], size: int) -> Bins:
    """Learn the codes of fluxes.

    Parameters
    ----------
    flux : ndarray of float64, shape (n,)
        In units of their noise; finite.
    size : int
        Codes at most.

    Returns
    -------
    Bins
        Resolves faint fluxes to a part of the noise, and bright ones to a part of themselves.
    """
    return fit_bins(flux, size, transform="asinh", errors=np.hypot(1.0, _FLUX_ERROR * flux))
