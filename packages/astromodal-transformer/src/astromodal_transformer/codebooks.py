"""The codebooks that astromodal-tokenizers writes: what each code stands for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_common.errors import InputError
from astromodal_transformer.vocabulary import SCHEMA_VERSION, Vocabulary

__all__ = ["Bins", "Codebooks", "Column", "ImageCodebook", "Spectra", "load_codebooks"]

Float = NDArray[np.float64]

_HEADER_KEY = "astromodal_tokenizers"
_MAX_BYTES = 8 << 30


@dataclass(frozen=True)
class Bins:
    """Codes of numbers, in rising order of what they stand for.

    Attributes
    ----------
    edges : ndarray of float64, shape (size - 1,)
        Between the bins, in the unit of the column.
    values : ndarray of float64, shape (size,)
        What stands for each bin.
    """

    edges: Float
    values: Float

    def decode(self, codes: NDArray[np.integer[Any]], missing: int) -> Float:
        """What codes stand for (ndarray of float64); NaN where missing."""
        absent = codes == missing
        values = self.values[np.where(absent, 0, codes)]
        return np.where(absent, np.nan, values)

    def bounds(self) -> Float:
        """Edges with a lowest and a highest one (ndarray of float64, shape (size + 1,)).

        The outermost bins are taken to reach as far beyond their value as their inner edge lies
        from it.
        """
        if len(self.values) == 1:
            return np.array([self.values[0], self.values[0]])
        low = min(2.0 * self.values[0] - self.edges[0], self.values[0])
        high = max(2.0 * self.values[-1] - self.edges[-1], self.values[-1])
        return np.concatenate([[low], self.edges, [high]])


@dataclass(frozen=True)
class Column:
    """A catalogue column: name, bins, the metadata of its field (unit, survey and so on)."""

    name: str
    bins: Bins
    metadata: Mapping[str, str]

    @property
    def unit(self) -> str:
        """Unit as a reader wants it (str); VOUnits puts those in quotes that it does not know."""
        return self.metadata.get("unit", "").strip("'")


@dataclass(frozen=True)
class Spectra:
    """A group of spectra or light curves.

    Attributes
    ----------
    name, kind : str
    columns : dict of str to tuple of str
        Of the hypercube, by role.
    length : int or None
        Pixels; None where rows differ.
    patch : int
        Pixels per token.
    levels : int
    codebook : ndarray of float32, shape (size, 2 * patch)
        Distances from the level in units of the noise, then weighted logarithms of sqrt(ivar)
        relative to the noise.
    noise, level : Bins
    time : Bins or None
    wavelength : ndarray of float64 or None
    unit, survey : str
    """

    name: str
    kind: str
    columns: Mapping[str, tuple[str, ...]]
    length: int | None
    patch: int
    levels: int
    codebook: NDArray[np.float32]
    noise: Bins
    level: Bins
    time: Bins | None
    wavelength: Float | None
    unit: str
    survey: str
    xp: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tokens(self) -> int | None:
        """Tokens of a spectrum, or None where rows differ (int or None)."""
        return None if self.length is None else -(-self.length // self.patch)

    @property
    def grid(self) -> Float | None:
        """Wavelength in angstrom, or pseudo-wavelength of XP; None where rows differ."""
        if self.wavelength is not None:
            return self.wavelength
        if self.kind == "coefficients" and self.xp.get("representation") == "sampled":
            return np.linspace(self.xp["start"], self.xp["stop"], int(self.xp["samples"]))
        return None


@dataclass(frozen=True)
class ImageCodebook:
    """Cutouts.

    Attributes
    ----------
    bands : tuple of str
        Columns of the hypercube.
    size_px, side : int
        Pixels and tokens along a side.
    rings : int
    codebook : ndarray of float32, shape (size, latent)
    flux : Bins
        Of the flux in a ring in units of its noise.
    arrays, record
        What the file holds, from which the decoder is made.
    """

    bands: tuple[str, ...]
    size_px: int
    side: int
    rings: int
    codebook: NDArray[np.float32]
    flux: Bins
    unit: str
    survey: str
    arrays: Mapping[str, NDArray[Any]]
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Codebooks:
    """All codebooks that a vocabulary names.

    Attributes
    ----------
    columns : dict of str to Column
    spectra : dict of str to Spectra
    image : ImageCodebook or None
    vectors : dict of str to ndarray of float32, shape (size, dimensions)
        What the codes of each block stand for, on a scale where distances are comparable.
    synthetic : bool
        Whether any was learned from simulated sources.
    """

    columns: Mapping[str, Column]
    spectra: Mapping[str, Spectra]
    image: ImageCodebook | None
    vectors: Mapping[str, NDArray[np.float32]]
    synthetic: bool

    def centroids(self, block: str) -> NDArray[np.float32]:
        """What the codes of a block stand for, in standardised units.

        All dimensions are taken from their median in units of half the distance between the 16th
        and 84th percentile of the codes, and limited to 8 of these: the 99 of an undetected
        magnitude is no number to be squared.

        Parameters
        ----------
        block : str

        Returns
        -------
        ndarray of float32, shape (size, dimensions)
        """
        vectors = self.vectors[block].astype(np.float64)
        low, middle, high = np.percentile(vectors, [16.0, 50.0, 84.0], axis=0)
        spread = (high - low) / 2.0
        wide = np.abs(vectors - middle).max(axis=0)
        spread = np.where(spread > 1e-9 * wide, spread, np.where(wide > 0.0, wide, 1.0))
        limited = np.clip((vectors - middle) / spread, -8.0, 8.0)
        return np.asarray(limited, dtype=np.float32)


def load_codebooks(folder: Path, vocabulary: Vocabulary) -> Codebooks:
    """Read the codebooks of a folder of tokens, and check that they are those of its vocabulary.

    Parameters
    ----------
    folder : Path
    vocabulary : Vocabulary

    Returns
    -------
    Codebooks

    Raises
    ------
    InputError
        If a file is missing, damaged, or another than the one that the vocabulary numbers.
    """
    columns: dict[str, Column] = {}
    spectra: dict[str, Spectra] = {}
    image = None
    vectors: dict[str, NDArray[np.float32]] = {}
    synthetic = False
    for family in dict.fromkeys(block.family for block in vocabulary.blocks):
        path = folder / "codebooks" / f"{family}.safetensors"
        wanted = next(b.codebook_sha256 for b in vocabulary.blocks if b.family == family)
        arrays, record = _load(path, family, wanted)
        synthetic = synthetic or bool(record.get("synthetic"))
        try:
            for block in (block for block in vocabulary.blocks if block.family == family):
                vectors[block.name] = np.asarray(arrays[f"{block.name}.codebook"], np.float32)
                if vectors[block.name].ndim != 2 or not np.isfinite(vectors[block.name]).all():
                    raise ValueError(f"{block.name}.codebook holds no vectors")
            if family == "scalar":
                columns = _columns(arrays, record)
            elif family == "spectrum":
                spectra = {item["name"]: _spectra(arrays, item) for item in record["groups"]}
            elif family == "image":
                image = _image(arrays, record)
            else:
                raise InputError(path, f"the family {family}", "scalar, spectrum or image")
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise InputError(
                path, f"not complete ({error})", f"{family} codebooks", "run `fit` again"
            ) from error
    for block in vocabulary.blocks:
        found = len(vectors[block.name])
        if found != block.size:
            raise InputError(
                folder / "codebooks" / f"{block.family}.safetensors",
                f"{found} codes of {block.name}",
                f"{block.size} as in vocabulary.json",
                "run `fit` again",
            )
    return Codebooks(columns, spectra, image, vectors, synthetic)


def _load(path: Path, family: str, wanted: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(path, f"{path.stat().st_size} bytes", "codebooks")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            path,
            "no such file",
            f"the {family} codebooks that vocabulary.json names",
            "restore the file, or run `fit` again",
        ) from error
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "codebooks") from error
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise InputError(
            path,
            f"another codebook ({found[:12]})",
            f"{wanted[:12]} as in vocabulary.json",
            "restore the file, or run `fit` and `encode` again",
        )
    try:
        arrays = load(content)
        size = int.from_bytes(content[:8], "little")
        record = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_HEADER_KEY])
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise InputError(path, f"cannot be read ({error})", "codebooks") from error
    if record.get("schema_version") != SCHEMA_VERSION or record.get("family") != family:
        raise InputError(
            path,
            f"{record.get('family')} codebooks of version {record.get('schema_version')}",
            f"{family} codebooks of version {SCHEMA_VERSION}",
        )
    return arrays, record


def _bins(arrays: Mapping[str, NDArray[Any]], name: str) -> Bins:
    edges, values = arrays[f"{name}.edges"], arrays[f"{name}.values"]
    if len(edges) != len(values) - 1 or not np.isfinite(values).all():
        raise ValueError(f"edges and values of {name} do not fit")
    return Bins(np.asarray(edges, dtype=np.float64), np.asarray(values, dtype=np.float64))


def _columns(arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]) -> dict[str, Column]:
    result = {}
    for item in record["columns"]:
        name = str(item["field"]["name"])
        result[name] = Column(name, _bins(arrays, name), dict(item["field"]["metadata"]))
    return result


def _spectra(arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]) -> Spectra:
    name = str(record["name"])
    bins = {part: _bins(arrays, f"{name}_{part}") for part in record["bins"]}
    fields = record["fields"]
    first: Mapping[str, Any] = next(iter(fields.values()), {"metadata": {}})["metadata"]
    value = fields.get("flux") or fields.get("value") or {"metadata": {}}
    unit = value["metadata"].get("unit", "")
    if record["kind"] == "coefficients":
        # Sampled through Gaia's basis, the spectrum is a rate per pseudo-wavelength.
        unit = "electron / s" if record["xp"].get("representation") == "sampled" else ""
    return Spectra(
        name,
        str(record["kind"]),
        {str(role): tuple(names) for role, names in record["columns"].items()},
        None if record["length"] is None else int(record["length"]),
        int(record["patch"]),
        int(record["levels"]),
        np.asarray(arrays[f"{name}.codebook"], dtype=np.float32),
        bins["noise"],
        bins["level"],
        bins.get("time"),
        arrays.get(f"{name}.wavelength"),
        unit,
        str(first.get("survey", "")),
        dict(record["xp"]),
    )


def _image(arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]) -> ImageCodebook:
    size_px = int(record["size_px"])
    first = record["bands"][0]["metadata"]
    return ImageCodebook(
        tuple(str(band["name"]) for band in record["bands"]),
        size_px,
        size_px // 4,
        len(record["radii_px"]),
        np.asarray(arrays["image.codebook"], dtype=np.float32),
        _bins(arrays, "image_flux"),
        str(first.get("unit", "")),
        str(first.get("survey", "")),
        arrays,
        record,
    )
