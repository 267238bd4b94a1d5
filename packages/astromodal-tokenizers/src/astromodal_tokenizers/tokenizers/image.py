"""Cutouts: a latent image whose pixels are quantised, and the flux around the source.

Pixels are taken as arsinh(flux / noise) with the noise of the band, which the file keeps, so that
decoding gives flux. What the latent image leaves of the brightness of the source is corrected by
tokens of its flux in rings: gain and shape are quantised apart (Sabin & Gray 1984, IEEE Trans.
ASSP 32, 474).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from astro_common.errors import InputError
from astromodal_tokenizers.apertures import impose_flux, ring_flux, ring_weights
from astromodal_tokenizers.artifacts import field_from_record, field_record
from astromodal_tokenizers.autoencoder import DOWNSAMPLING, Autoencoder, best_device
from astromodal_tokenizers.quantizers import Quantizer, make_quantizer
from astromodal_tokenizers.threads import each_part
from astromodal_tokenizers.tokenizers.bins import MISSING, Bins
from astromodal_tokenizers.tokenizers.blocks import CodeBlock

__all__ = ["ImageCodes", "ImageTokenizer", "image_array"]

Image = NDArray[np.float32]
Codes = NDArray[np.uint16]

# Images of one pass through the network; fixed, so that results do not depend on the row group.
_BATCH = 32
# In units of the noise.
_BRIGHTEST = np.float32(1e18)


@dataclass(frozen=True)
class ImageCodes:
    """Codes of some rows.

    Attributes
    ----------
    tokens : ndarray of uint16, shape (n, side, side)
        ``MISSING`` where no band has a pixel below it.
    flux : ndarray of uint16, shape (n, bands, rings)
        ``MISSING`` where the ring was not observed.
    """

    tokens: Codes
    flux: Codes


def image_array(table: pa.Table, bands: list[str], size_px: int) -> Image:
    """Cutouts of some rows.

    Parameters
    ----------
    table : pyarrow.Table
    bands : list of str
        Columns.
    size_px : int

    Returns
    -------
    ndarray of float32, shape (n, bands, size_px, size_px)
        NaN where there is none.
    """
    result = np.full((table.num_rows, len(bands), size_px**2), np.nan, dtype=np.float32)
    for place, band in enumerate(bands):
        column = table[band]
        array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if not array.type.list_size == size_px**2:
            raise InputError(f"column {band}", f"{array.type.list_size} pixels", f"{size_px**2}")
        known = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False))
        values = array.flatten().to_numpy(zero_copy_only=False)
        result[known, place] = values.reshape(len(known), size_px**2)
    # Infinities say no more than NaN.
    result[~np.isfinite(result)] = np.nan
    return result.reshape(table.num_rows, len(bands), size_px, size_px)


class ImageTokenizer:
    """The network and codebooks of the cutouts.

    Parameters
    ----------
    fields : list of pyarrow.Field
        The bands' columns in order.
    size_px : int
    noise : ndarray of float64, shape (bands,)
        Per pixel, in the unit of the images.
    network : Autoencoder
    quantizer : Quantizer
        Of latent pixels.
    flux : Bins
        Codes of ring fluxes in units of their noise.
    radii_px : tuple of float
    settings : dict
        Width and latent channels of the network.
    """

    family = "image"

    def __init__(
        self,
        fields: list[pa.Field],
        size_px: int,
        noise: NDArray[np.float64],
        network: Autoencoder,
        quantizer: Quantizer,
        flux: Bins,
        radii_px: tuple[float, ...],
        settings: dict[str, int],
    ) -> None:
        self.fields = fields
        self.size_px = size_px
        self.noise = noise
        self.network = network.eval()
        self.quantizer = quantizer
        self.flux = flux
        self.radii_px = radii_px
        self.settings = settings

    @property
    def column_names(self) -> list[str]:
        """Columns of the hypercube that are read (list of str)."""
        return [str(field.name) for field in self.fields]

    @property
    def side(self) -> int:
        """Tokens along a side (int)."""
        return self.size_px // DOWNSAMPLING

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Part of each pixel in each ring (ndarray of float64, shape (rings, size, size))."""
        return ring_weights(self.size_px, self.radii_px)

    @property
    def flux_noise(self) -> NDArray[np.float64]:
        """Noise of the flux in each ring (ndarray of float64, shape (bands, rings))."""
        area = (self.weights**2).sum(axis=(1, 2))
        return np.asarray(self.noise[:, None] * np.sqrt(area))

    def blocks(self) -> list[CodeBlock]:
        """The codebooks (list of CodeBlock)."""
        rings = (len(self.fields), len(self.radii_px))
        return [
            CodeBlock("image", "image", self.quantizer.size, "tokens", 0, (self.side, self.side)),
            CodeBlock.of_bins("image_flux", "scale", self.flux, "scale", 0, rings),
        ]

    def images(self, table: pa.Table) -> Image:
        """Cutouts of some rows; see `image_array`."""
        return image_array(table, self.column_names, self.size_px)

    def normalised(self, images: Image) -> Image:
        """What the network sees: arsinh(flux / noise), 0 for unknown pixels."""
        with np.errstate(over="ignore"):
            ratio = images / self.noise.astype(np.float32)[:, None, None]
        # A damaged pixel may be infinite, of which the network could make nothing but NaN.
        scaled = np.arcsinh(np.clip(ratio, -_BRIGHTEST, _BRIGHTEST, out=ratio))
        return np.asarray(np.nan_to_num(scaled, copy=False, nan=0.0))

    def latents(self, images: Image) -> Image:
        """Latent images (ndarray of float32, shape (n, latent, side, side))."""
        device = best_device()
        network = self.network.to(device)
        shape = (len(images), self.settings["latent"], self.side, self.side)
        result = np.empty(shape, dtype=np.float32)

        def encode(part: slice) -> None:
            with torch.inference_mode():
                batch = torch.from_numpy(self.normalised(images[part]))
                result[part] = network.encode(batch.to(device)).float().cpu().numpy()

        each_part(encode, len(images), _BATCH)
        return result

    def encode(self, images: Image) -> tuple[ImageCodes, Image]:
        """Codes and latent images of cutouts; latents are NaN where a token is missing."""
        latents = self.latents(images)
        blocks = images.reshape(*images.shape[:2], self.side, DOWNSAMPLING, self.side, DOWNSAMPLING)
        known = np.asarray(np.isfinite(blocks).any(axis=(1, 3, 5)))
        vectors = latents.transpose(0, 2, 3, 1)
        tokens = np.full(known.shape, MISSING, dtype=np.uint16)
        tokens[known] = self.quantizer.encode(vectors[known]).astype(np.uint16)
        flux = ring_flux(images, self.weights) / self.flux_noise
        # A band without a cutout has no flux; one that is seen in part has, if it covers the ring.
        codes = ImageCodes(tokens, self.flux.encode(flux))
        return codes, np.where(known[:, None], latents, np.float32(np.nan))

    def decode(self, codes: ImageCodes) -> Image:
        """Cutouts of codes.

        Returns
        -------
        ndarray of float32, shape (n, bands, size_px, size_px)
            In the unit of the hypercube; NaN below missing tokens.
        """
        device = best_device()
        network = self.network.to(device)
        known = codes.tokens != MISSING
        middle = self.quantizer.codebook.mean(axis=0)
        vectors = self.quantizer.decode(np.where(known, codes.tokens, 0))
        vectors[~known] = middle
        latents = np.ascontiguousarray(vectors.transpose(0, 3, 1, 2))
        flux = self.flux.decode(codes.flux) * self.flux_noise
        result = np.empty((len(known), len(self.fields), self.size_px, self.size_px), np.float32)
        weights = self.weights

        def decode(part: slice) -> None:
            with torch.inference_mode():
                batch = torch.from_numpy(latents[part]).to(device)
                scaled = network.decode(batch).float().cpu().numpy()
            # The network may overshoot where a sinh would make numbers without meaning.
            np.clip(scaled, -20.0, 20.0, out=scaled)
            images = np.sinh(scaled) * self.noise.astype(np.float32)[:, None, None]
            impose_flux(images, flux[part], weights, self.noise)
            result[part] = images

        each_part(decode, len(known), _BATCH)
        pixels = known.repeat(DOWNSAMPLING, axis=1).repeat(DOWNSAMPLING, axis=2)
        result[np.broadcast_to(~pixels[:, None], result.shape)] = np.nan
        return result

    def decode_columns(self, codes: ImageCodes) -> list[tuple[pa.Field, pa.Array]]:
        """Columns of the hypercube; null for a band of which no ring was observed."""
        images = self.decode(codes)
        absent = (codes.flux == MISSING).all(axis=2)
        columns = []
        for place, field in enumerate(self.fields):
            flat = pa.array(images[:, place].reshape(-1), type=field.type.value_type)
            mask = pa.array(absent[:, place])
            size = self.size_px**2
            columns.append((field, pa.FixedSizeListArray.from_arrays(flat, size, mask=mask)))
        return columns

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON from which `from_state` makes the tokenizer anew."""
        arrays: dict[str, NDArray[Any]] = {
            f"network.{name}": value.detach().float().cpu().numpy()
            for name, value in self.network.state_dict().items()
        }
        for name, array in self.quantizer.tensors().items():
            arrays[f"image.{name}"] = array
        arrays.update({"noise": self.noise, **self.flux.arrays("image_flux")})
        record = {
            "bands": [field_record(field) for field in self.fields],
            "size_px": self.size_px,
            "quantizer": self.quantizer.name,
            "flux": self.flux.record(),
            "radii_px": list(self.radii_px),
            "settings": self.settings,
        }
        return arrays, record

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray[Any]], record: dict[str, Any]) -> ImageTokenizer:
        """Make the tokenizer that `state` described."""
        settings = {name: int(value) for name, value in record["settings"].items()}
        network = Autoencoder(len(record["bands"]), settings["width"], settings["latent"])
        weights = {
            name: torch.from_numpy(arrays[f"network.{name}"].copy())
            for name in network.state_dict()
        }
        network.load_state_dict(weights)
        prefix = "image."
        tensors = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        quantizer = make_quantizer(record["quantizer"], len(tensors["codebook"]))
        quantizer.load(tensors)
        flux = Bins.from_state(arrays, "image_flux", record["flux"])
        return cls(
            [field_from_record(item) for item in record["bands"]],
            int(record["size_px"]),
            arrays["noise"],
            network,
            quantizer,
            flux,
            tuple(float(radius) for radius in record["radii_px"]),
            settings,
        )
