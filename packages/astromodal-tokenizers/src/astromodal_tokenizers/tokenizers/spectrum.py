"""Spectra and light curves: one code per pixel or patch, and codes for their scale.

A spectrum is described by its noise (a percentile of sqrt(ivar)) and by a level, medians between
which straight lines are drawn. Both are tokenised first. A pixel is then described by its distance
from the decoded level in units of the decoded noise, and by its sqrt(ivar) relative to that noise.
The squared error of the first is nearly the chi-square that the round trip adds, so that k-means
makes just this small; and since the level that is subtracted is the decoded one, its coarseness
costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astromodal_tokenizers.artifacts import field_from_record, field_record
from astromodal_tokenizers.configuration import XpSettings
from astromodal_tokenizers.modalities import Modality
from astromodal_tokenizers.normalization import interpolate_levels
from astromodal_tokenizers.quantizers import Quantizer, make_quantizer
from astromodal_tokenizers.tokenizers.bins import MISSING, Bins
from astromodal_tokenizers.tokenizers.blocks import CodeBlock
from astromodal_tokenizers.tokenizers.measured import Measured, measure, scale_of

__all__ = ["SpectrumCodes", "SpectrumGroup", "SpectrumTokenizer"]

Float = NDArray[np.float64]
Codes = NDArray[np.uint16]

# Weight of the second feature: an error in the noise matters little to the flux.
NOISE_WEIGHT = 2.0
# Errors beyond this factor of the typical one are all alike.
_NOISE_RANGE = np.log(1e4)
# In units of the noise: single precision holds the square. Only damaged pixels lie beyond.
_FARTHEST = 1e18


@dataclass(frozen=True)
class SpectrumCodes:
    """Codes of some rows.

    Attributes
    ----------
    pixels : ndarray of uint16, shape (n, tokens)
        One per patch; ``MISSING`` where no pixel of it is valid, and after the end of a row.
    scale : ndarray of uint16, shape (n, 1 + levels)
        Noise, then levels.
    time : ndarray of uint16, shape (n, tokens), or None
    lengths : ndarray of int64, shape (n,)
        Tokens of each row.
    """

    pixels: Codes
    scale: Codes
    time: Codes | None
    lengths: NDArray[np.int64]

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which tokens belong to a row and are no padding (ndarray of bool)."""
        return np.arange(self.pixels.shape[1]) < self.lengths[:, None]


@dataclass
class SpectrumGroup:
    """The codebooks of one group.

    Attributes
    ----------
    modality : Modality
    fields : dict of str to pyarrow.Field
        The hypercube's fields by role.
    length : int or None
        Pixels, or None where rows differ.
    patch : int
        Pixels per token.
    noise, level : Bins
        Codes of the logarithm of the noise, and of the levels.
    quantizer : Quantizer
    time : Bins or None
    wavelength : ndarray of float64, shape (length,), or None
        If all spectra share one.
    xp : XpSettings
    """

    modality: Modality
    fields: dict[str, pa.Field]
    length: int | None
    patch: int
    noise: Bins
    level: Bins
    levels: int
    quantizer: Quantizer
    time: Bins | None = None
    wavelength: Float | None = None
    xp: XpSettings = field(default_factory=XpSettings)

    @property
    def name(self) -> str:
        """Name of the group (str)."""
        return self.modality.name

    @property
    def is_curve(self) -> bool:
        """Whether it is a light curve (bool)."""
        return self.modality.kind == "light_curve"

    @property
    def tokens(self) -> int | None:
        """Tokens of a spectrum, or None where rows differ (int or None)."""
        return None if self.length is None else -(-self.length // self.patch)

    def blocks(self) -> list[CodeBlock]:
        """The codebooks (list of CodeBlock)."""
        name, row, scale = self.name, (self.tokens,), f"scale_{self.name}"
        result = [
            CodeBlock(name, self.modality.kind, self.quantizer.size, f"tokens_{name}", 0, row),
            CodeBlock.of_bins(f"{name}_noise", "scale", self.noise, scale, 0, ()),
            CodeBlock.of_bins(f"{name}_level", "scale", self.level, scale, 1, (self.levels,)),
        ]
        if self.time is not None:
            result.append(
                CodeBlock.of_bins(f"{name}_time", "time", self.time, f"time_{name}", 0, row)
            )
        return result

    def measure(self, table: pa.Table) -> Measured:
        """Read the spectra of some rows; see `measure`."""
        return measure(self.modality, table, self.xp, self.length)

    def encode(self, table: pa.Table) -> SpectrumCodes:
        """Codes of some rows."""
        return self.encode_measured(self.measure(table))

    def encode_measured(self, spectra: Measured) -> SpectrumCodes:
        """Codes of spectra that have been read."""
        scale = self.scale_codes(spectra)
        vectors, known = self.vectors(spectra, scale)
        count = vectors.shape[1]
        pixels = np.full(known.shape, MISSING, dtype=np.uint16)
        pixels[known] = self.quantizer.encode(vectors[known]).astype(np.uint16)
        lengths = np.asarray(-(-spectra.lengths // self.patch))
        time = None
        if self.time is not None and spectra.time is not None:
            time = self.time.encode(spectra.time[:, :: self.patch][:, :count])
        return SpectrumCodes(pixels, scale, time, lengths)

    def scale_codes(self, spectra: Measured) -> Codes:
        """Codes of noise and levels (ndarray of uint16, shape (n, 1 + levels))."""
        noise, level = self.scale_values(spectra)
        return np.concatenate([self.noise.encode(noise)[:, None], self.level.encode(level)], axis=1)

    def scale_values(self, spectra: Measured) -> tuple[Float, Float]:
        """Noise and levels as they are tokenised: levels are relative to the decoded noise.

        A coarse code of the noise, or noise beyond all that was seen, then costs the level nothing.
        """
        noise, level = scale_of(spectra, self.levels, curve=self.is_curve)
        if not self.is_curve:
            level = level * np.exp(self.noise.decode(self.noise.encode(noise)))[:, None]
        return noise, level

    def scale(self, codes: Codes, length: int) -> tuple[Float, Float]:
        """Noise, shape (n, 1), and level, shape (n, length), that codes stand for."""
        noise = np.exp(self.noise.decode(codes[:, :1]))
        level = self.level.decode(codes[:, 1:])
        if not self.is_curve:
            level = level / noise
        return noise, interpolate_levels(level, length)

    def vectors(self, spectra: Measured, scale: Codes) -> tuple[NDArray[np.float32], Any]:
        """What is quantised.

        Returns
        -------
        ndarray of float32, shape (n, tokens, 2 * patch)
            Distances from the level in units of the noise, then the logarithms of sqrt(ivar)
            relative to the noise; zeros for pixels that are not valid.
        ndarray of bool, shape (n, tokens)
            Whether any pixel is present.
        """
        noise, level = self.scale(scale, spectra.values.shape[1])
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = np.clip((spectra.values - level) * noise, -_FARTHEST, _FARTHEST)
            relative = NOISE_WEIGHT * np.log(spectra.weight / noise)
        limit = NOISE_WEIGHT * _NOISE_RANGE
        features = (distance, np.clip(relative, -limit, limit))
        patches = [self.patches(np.where(spectra.valid, item, 0.0)) for item in features]
        vectors = np.concatenate(patches, axis=2).astype(np.float32)
        return vectors, self.patches(spectra.present).any(axis=2)

    def patches(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Pixels of shape (n, length) in patches, filled up with zeros: (n, tokens, patch)."""
        rows, length = pixels.shape
        tokens = -(-length // self.patch)
        padded = np.zeros((rows, tokens * self.patch), dtype=pixels.dtype)
        padded[:, :length] = pixels
        return padded.reshape(rows, tokens, self.patch)

    def decode(self, codes: SpectrumCodes) -> Float:
        """Flux, coefficients or magnitudes of codes.

        Returns
        -------
        ndarray of float64, shape (n, tokens * patch) or (n, length)
            In the unit of the hypercube; NaN where the token is missing.
        """
        rows, tokens = codes.pixels.shape
        length = tokens * self.patch if self.length is None else self.length
        noise, level = self.scale(codes.scale, length)
        known = codes.pixels != MISSING
        vectors = self.quantizer.decode(np.where(known, codes.pixels, 0))
        features = vectors.reshape(rows, tokens, 2, self.patch).transpose(2, 0, 1, 3)
        distance = features.reshape(2, rows, tokens * self.patch)[0, :, :length]
        values = level + distance / noise
        return np.asarray(
            np.where(np.repeat(known, self.patch, axis=1)[:, :length], values, np.nan)
        )

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON from which `from_state` makes the group anew."""
        arrays: dict[str, NDArray[Any]] = {
            f"{self.name}.{name}": array for name, array in self.quantizer.tensors().items()
        }
        bins = {"noise": self.noise, "level": self.level, "time": self.time}
        records = {}
        for name, item in bins.items():
            if item is not None:
                arrays.update(item.arrays(f"{self.name}_{name}"))
                records[name] = item.record()
        if self.wavelength is not None:
            arrays[f"{self.name}.wavelength"] = self.wavelength
        record = {
            "name": self.name,
            "kind": self.modality.kind,
            "columns": {role: list(names) for role, names in self.modality.columns.items()},
            "fields": {role: field_record(item) for role, item in self.fields.items()},
            "length": self.length,
            "patch": self.patch,
            "levels": self.levels,
            "quantizer": self.quantizer.name,
            "noise_weight": NOISE_WEIGHT,
            "bins": records,
            "xp": self.xp.model_dump(mode="json"),
        }
        return arrays, record

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray[Any]], record: dict[str, Any]) -> SpectrumGroup:
        """Make the group that `state` described."""
        name = record["name"]
        prefix = f"{name}."
        tensors = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        quantizer = make_quantizer(record["quantizer"], len(tensors["codebook"]))
        quantizer.load(tensors)
        bins = {
            key: Bins.from_state(arrays, f"{name}_{key}", item)
            for key, item in record["bins"].items()
        }
        columns = {role: tuple(names) for role, names in record["columns"].items()}
        return cls(
            Modality(name, record["kind"], columns),
            {role: field_from_record(item) for role, item in record["fields"].items()},
            record["length"],
            int(record["patch"]),
            bins["noise"],
            bins["level"],
            int(record["levels"]),
            quantizer,
            bins.get("time"),
            arrays.get(f"{name}.wavelength"),
            XpSettings.model_validate(record["xp"]),
        )


class SpectrumTokenizer:
    """All groups of a run.

    Parameters
    ----------
    groups : list of SpectrumGroup
    """

    family = "spectrum"

    def __init__(self, groups: list[SpectrumGroup]) -> None:
        self.groups = groups

    @property
    def column_names(self) -> list[str]:
        """Columns of the hypercube that are read (list of str)."""
        names = [
            name
            for group in self.groups
            for role, columns in group.modality.columns.items()
            if role != "wavelength"
            for name in columns
        ]
        return list(dict.fromkeys(names))

    def blocks(self) -> list[CodeBlock]:
        """The codebooks (list of CodeBlock)."""
        return [block for group in self.groups for block in group.blocks()]

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON from which `from_state` makes the tokenizer anew."""
        arrays: dict[str, NDArray[Any]] = {}
        records = []
        for group in self.groups:
            own, record = group.state()
            arrays.update(own)
            records.append(record)
        return arrays, {"groups": records}

    @classmethod
    def from_state(
        cls, arrays: dict[str, NDArray[Any]], record: dict[str, Any]
    ) -> SpectrumTokenizer:
        """Make the tokenizer that `state` described."""
        return cls([SpectrumGroup.from_state(arrays, item) for item in record["groups"]])
