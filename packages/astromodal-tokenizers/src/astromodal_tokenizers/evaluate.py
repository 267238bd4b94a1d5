"""Measure what the round trip costs, on sources that taught nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError
from astromodal_tokenizers.configuration import Configuration
from astromodal_tokenizers.encode import fitted_families
from astromodal_tokenizers.hypercube import (
    Cube,
    error_column,
    iter_rows,
    number_column,
    open_cubes,
)
from astromodal_tokenizers.split import SPLITS, TEST, TRAIN, VALIDATION
from astromodal_tokenizers.tokenizers.bins import MISSING, Bins
from astromodal_tokenizers.tokenizers.distortion import Block
from astromodal_tokenizers.tokenizers.image import ImageTokenizer
from astromodal_tokenizers.tokenizers.loading import Tokenizer, load_tokenizer
from astromodal_tokenizers.tokenizers.scalar import ScalarTokenizer
from astromodal_tokenizers.tokenizers.spectrum import SpectrumGroup, SpectrumTokenizer

__all__ = ["Examples", "evaluate", "held_out_split"]

logger = logging.getLogger(__name__)

_MAX_POINTS = 5000
_EXAMPLES = 4


@dataclass
class Examples:
    """A few sources before and after the round trip, for the figures.

    Attributes
    ----------
    scalars : dict of str to (values, decoded)
        Arrays by column.
    spectra : dict of str to list of (values, weight, decoded, time)
    images : list of (images, decoded)
        Arrays of shape (bands, size, size).
    bands : list of str
    """

    scalars: dict[str, tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=dict)
    spectra: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    images: list[tuple[NDArray[Any], NDArray[Any], str]] = field(default_factory=list)
    bands: list[str] = field(default_factory=list)


def held_out_split(configuration: Configuration, cubes: Sequence[Cube]) -> int:
    """Choose the split to measure on.

    Parameters
    ----------
    configuration : Configuration
    cubes : sequence of Cube

    Returns
    -------
    int
        Test; validation if no source is in test; training, with a warning, if the whole sky of the
        hypercubes is in it.

    Raises
    ------
    ConfigurationError
        If no source has a position.
    """
    for split in (TEST, VALIDATION, TRAIN):
        for cube in cubes:
            if next(iter_rows(cube, ["id"], configuration, split), None) is not None:
                if split == TRAIN:
                    logger.warning(
                        "no source is held out: the report measures those that taught "
                        "(raise split.nside or add fields)"
                    )
                return split
    raise ConfigurationError("hypercube", "no source with a position", "some", "add fields")


def evaluate(
    configuration: Configuration, examples: Examples | None = None
) -> tuple[list[Block], dict[str, Any]]:
    """Encode and decode the held-out sources and compare.

    Parameters
    ----------
    configuration : Configuration
    examples : Examples, optional
        Filled with what figures show.

    Returns
    -------
    list of Block
        One per codebook, in the order of the vocabulary.
    dict
        ``split``, ``fields``, ``synthetic``, ``checksums``.
    """
    families = fitted_families(configuration.output)
    cubes = open_cubes(configuration)
    split = held_out_split(configuration, cubes)
    blocks: list[Block] = []
    checksums = {}
    shown = Examples() if examples is None else examples
    for family in families:
        fitted = load_tokenizer(configuration.output, family)
        checksums[family] = fitted.checksum
        own = {
            block.name: Block(block.name, block.kind, block.size, block.taught)
            for block in fitted.tokenizer.blocks()
        }
        blocks.extend(own.values())
        for cube, table in _rows_of(configuration, cubes, fitted.tokenizer, split):
            _measure(fitted.tokenizer, cube, table, own, shown)
        for other in (TRAIN, VALIDATION, TEST):
            if other != split:
                for _cube, table in _rows_of(configuration, cubes, fitted.tokenizer, other):
                    _count(fitted.tokenizer, table, own)
    about = {
        "split": SPLITS[split],
        "fields": [cube.field for cube in cubes],
        "synthetic": any(cube.synthetic for cube in cubes),
        "codebook_sha256": checksums,
    }
    return blocks, about


def _count(tokenizer: Tokenizer, table: pa.Table, blocks: dict[str, Block]) -> None:
    """Count the codes of sources that are not held out."""
    if isinstance(tokenizer, ScalarTokenizer):
        tokens = tokenizer.encode(table)
        for place, column in enumerate(tokenizer.columns):
            blocks[column.name].add_other_codes(tokens[:, place])
    elif isinstance(tokenizer, SpectrumTokenizer):
        for group in tokenizer.groups:
            codes = group.encode(table)
            blocks[group.name].add_other_codes(codes.pixels)
            blocks[f"{group.name}_noise"].add_other_codes(codes.scale[:, :1])
            blocks[f"{group.name}_level"].add_other_codes(codes.scale[:, 1:])
            if codes.time is not None:
                blocks[f"{group.name}_time"].add_other_codes(codes.time)
    else:
        image_codes, _latents = tokenizer.encode(tokenizer.images(table))
        blocks["image"].add_other_codes(image_codes.tokens)
        blocks["image_flux"].add_other_codes(image_codes.flux)


def _rows_of(
    configuration: Configuration, cubes: Sequence[Cube], tokenizer: Tokenizer, split: int
) -> Iterator[tuple[Cube, pa.Table]]:
    for cube in cubes:
        columns = ["id", *tokenizer.column_names]
        if isinstance(tokenizer, ScalarTokenizer):
            errors = (error_column([cube], name) for name in tokenizer.column_names)
            columns += [name for name in errors if name is not None]
        for rows in iter_rows(cube, columns, configuration, split):
            yield cube, rows.table


def _measure(
    tokenizer: Tokenizer, cube: Cube, table: pa.Table, blocks: dict[str, Block], shown: Examples
) -> None:
    if isinstance(tokenizer, ScalarTokenizer):
        _measure_scalars(tokenizer, cube, table, blocks, shown)
    elif isinstance(tokenizer, SpectrumTokenizer):
        for group in tokenizer.groups:
            _measure_group(group, table, blocks, shown)
    else:
        _measure_images(tokenizer, table, blocks, shown)


def _measure_scalars(
    tokenizer: ScalarTokenizer,
    cube: Cube,
    table: pa.Table,
    blocks: dict[str, Block],
    shown: Examples,
) -> None:
    codes = tokenizer.encode(table)
    for place, column in enumerate(tokenizer.columns):
        known = codes[:, place] != MISSING
        values = number_column(table[column.name])[known]
        decoded = number_column(pa.chunked_array([column.decode(codes[:, place])]))[known]
        block = blocks[column.name]
        block.add_codes(codes[:, place : place + 1])
        bins = column.bins
        # A value beyond all that was seen may lie where the scale has none.
        scaled = bins.normalised(decoded) - bins.normalised(values)
        sound = np.isfinite(scaled)
        block.add_errors(scaled[sound], (decoded - values)[sound])
        name = error_column([cube], column.name)
        if name is not None:
            errors = number_column(table[name])[known]
            sound = np.isfinite(errors) & (errors > 0.0)
            block.add_chi2((decoded - values)[sound] / errors[sound])
        before, after = shown.scalars.get(column.name, (values[:0], values[:0]))
        if len(before) < _MAX_POINTS:
            shown.scalars[column.name] = (
                np.concatenate([before, values]),
                np.concatenate([after, decoded]),
            )


def _add_bins(block: Block, bins: Bins, values: NDArray[Any], codes: NDArray[np.uint16]) -> None:
    block.add_codes(codes)
    known = codes != MISSING
    decoded = bins.decode(codes[known])
    block.add_errors(
        bins.normalised(decoded) - bins.normalised(values[known]), decoded - values[known]
    )


def _measure_group(
    group: SpectrumGroup, table: pa.Table, blocks: dict[str, Block], shown: Examples
) -> None:
    spectra = group.measure(table)
    codes = group.encode_measured(spectra)
    length = spectra.values.shape[1]
    decoded = group.decode(codes)[:, :length]
    valid = spectra.valid & np.isfinite(decoded)
    block = blocks[group.name]
    block.add_codes(codes.pixels)
    noise, level = group.scale_values(spectra)
    _add_bins(blocks[f"{group.name}_noise"], group.noise, noise[:, None], codes.scale[:, :1])
    _add_bins(blocks[f"{group.name}_level"], group.level, level, codes.scale[:, 1:])
    if group.time is not None and spectra.time is not None and codes.time is not None:
        times = spectra.time[:, :: group.patch][:, : codes.time.shape[1]]
        _add_bins(blocks[f"{group.name}_time"], group.time, times, codes.time)
    difference = (decoded - spectra.values)[valid]
    block.add_chi2(difference * spectra.weight[valid])
    known = group.patches(spectra.valid).any(axis=2)
    features = group.vectors(spectra, codes.scale)[0][known]
    error = group.quantizer.decode(codes.pixels[known]) - features
    block.add_errors(error, None, features)
    block._physical += float((difference**2).sum()) * error.size / max(difference.size, 1)
    kept = shown.spectra.setdefault(group.name, [])
    for row in np.flatnonzero(valid.any(axis=1))[: _EXAMPLES - len(kept)]:
        part = slice(0, int(spectra.lengths[row]))
        time = None if spectra.time is None else spectra.time[row, part]
        x = group.wavelength if group.wavelength is not None else time
        kept.append(
            (
                spectra.values[row, part],
                spectra.weight[row, part],
                decoded[row, part],
                x,
                str(table["id"][int(row)]),
            )
        )


def _measure_images(
    tokenizer: ImageTokenizer, table: pa.Table, blocks: dict[str, Block], shown: Examples
) -> None:
    images = tokenizer.images(table)
    codes, _latents = tokenizer.encode(images)
    decoded = tokenizer.decode(codes)
    block = blocks["image"]
    block.add_codes(codes.tokens)
    blocks["image_flux"].add_codes(codes.flux)
    known = np.isfinite(images) & np.isfinite(decoded)
    before = np.arcsinh(images / tokenizer.noise[:, None, None])[known]
    after = np.arcsinh(decoded / tokenizer.noise[:, None, None])[known]
    block.add_errors(after - before, (decoded - images)[known], before)
    block.add_chi2(((decoded - images) / tokenizer.noise[:, None, None])[known])
    shown.bands = tokenizer.column_names
    brightness = np.nan_to_num(images, nan=0.0).max(axis=(1, 2, 3))
    for row in np.argsort(-brightness)[:1]:
        if len(shown.images) < _EXAMPLES and known[row].any():
            shown.images.append((images[row], decoded[row], str(table["id"][int(row)])))
