"""Learn the codebooks of spectra and light curves: the scale first, then the pixels."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import InputError
from astromodal_tokenizers.configuration import Configuration, SpectrumSettings
from astromodal_tokenizers.hypercube import Cube, Rows, iter_rows, ragged_column
from astromodal_tokenizers.modalities import Modality
from astromodal_tokenizers.quantizers import FEWEST_PER_CODE, make_quantizer, supported_size
from astromodal_tokenizers.reservoir import Reservoir
from astromodal_tokenizers.split import TRAIN
from astromodal_tokenizers.tokenizers.bins import Bins, fit_bins
from astromodal_tokenizers.tokenizers.measured import measure, scale_of
from astromodal_tokenizers.tokenizers.spectrum import SpectrumGroup, SpectrumTokenizer
from astromodal_tokenizers.xp import N_COEFFICIENTS

__all__ = ["codebook_size", "fit_spectra"]

logger = logging.getLogger(__name__)

_MAX_SCALES = 400_000
# A group with fewer spectra than this has nothing to learn from.
_FEWEST_SPECTRA = 2
_FEWEST_VECTORS = 4
# One code in so many is for pixels farther from the level than those that teach.
_CODES_PER_OUTER = 32
_FEWEST_LEVELS = 64
# Epochs of a light curve are alike: together they teach about one code. Few curves teach so many
# codes at most, each from so many epochs.
_CODES_OF_FEW_CURVES = 128
_EPOCHS_PER_CODE = 16
# Bright levels may be coarser than the noise: to this share of them.
_LEVEL_ERROR = 0.01


def fit_spectra(
    configuration: Configuration, cubes: Sequence[Cube], table: Sequence[Modality]
) -> SpectrumTokenizer:
    """Learn the codes of every group of spectra.

    Parameters
    ----------
    configuration : Configuration
    cubes : sequence of Cube
    table : sequence of Modality
        Modalities of other families are passed over.

    Returns
    -------
    SpectrumTokenizer
        Groups without spectra in the training part of the sky are left out.

    Raises
    ------
    InputError
        If there is no spectrum at all.
    """
    groups, empty = [], []
    for place, modality in enumerate(m for m in table if m.family == "spectrum"):
        group = _fit_group(configuration, cubes, modality, place)
        if group is None:
            empty.append(modality.name)
            continue
        groups.append(group)
        logger.info(
            "%s: %d codes of %d features", group.name, group.quantizer.size, 2 * group.patch
        )
    if empty:
        logger.warning("left out, without spectra to learn from: %s", ", ".join(empty))
    if not groups:
        raise InputError(
            cubes[0].path, "no spectrum in the training part of the sky", "one group", "add fields"
        )
    return SpectrumTokenizer(groups)


def _training_rows(
    configuration: Configuration, cubes: Sequence[Cube], columns: Sequence[str]
) -> Iterator[Rows]:
    for cube in cubes:
        yield from iter_rows(cube, columns, configuration, TRAIN)


def _fit_group(
    configuration: Configuration, cubes: Sequence[Cube], modality: Modality, place: int
) -> SpectrumGroup | None:
    settings = configuration.spectrum
    columns = modality.all_columns
    length = _common_length(configuration, cubes, modality)
    curve = modality.kind == "light_curve"
    ragged = curve or length is None
    levels = 1 if ragged else min(settings.levels, length or 1)
    seed = [configuration.seed, 1000 + place]
    scales = _Scales(seed)
    for rows in _training_rows(configuration, cubes, columns):
        scales.add(rows.table, modality, settings, length, levels)
    if scales.spectra < _FEWEST_SPECTRA:
        return None
    noise, level, time = scales.bins(settings, relative=not curve)
    fields = {role: cubes[0].schema.field(names[0]) for role, names in modality.columns.items()}
    group = SpectrumGroup(
        modality,
        fields,
        length,
        settings.patch,
        noise,
        level,
        levels,
        make_quantizer("kmeans", 2),
        time,
        _common_wavelength(configuration, cubes, modality, length),
        settings.xp,
    )
    sample = Reservoir(settings.max_samples, [*seed, 3])
    for rows in _training_rows(configuration, cubes, columns):
        spectra = group.measure(rows.table)
        vectors, _ = group.vectors(spectra, group.scale_codes(spectra))
        # A patch teaches if every pixel of it is valid.
        sample.add(vectors[group.patches(spectra.valid).all(axis=2)])
    vectors = sample.items()
    if len(vectors) < _FEWEST_VECTORS:
        return None
    size = codebook_size(settings, modality, len(vectors), scales.spectra)
    group.quantizer = make_quantizer(
        settings.quantizer,
        size,
        configuration.seed + place,
        settings.epochs,
        outer=size // _CODES_PER_OUTER,
    )
    group.quantizer.fit(vectors)
    return group


def codebook_size(settings: SpectrumSettings, modality: Modality, vectors: int, rows: int) -> int:
    """How many codes there is enough to learn from.

    Parameters
    ----------
    settings : SpectrumSettings
        With the size that is asked for; a smaller one gives a warning.
    modality : Modality
    vectors : int
        Pixels, patches or epochs that teach; four at least.
    rows : int
        Spectra or light curves that they are of.

    Returns
    -------
    int
    """
    taught, what = vectors, f"{vectors} vectors"
    if modality.kind == "light_curve":
        codes = min(vectors // _EPOCHS_PER_CODE, max(rows, _CODES_OF_FEW_CURVES))
        taught, what = FEWEST_PER_CODE * codes, f"{rows} light curves"
    size = supported_size(settings.codebook_size, max(taught, _FEWEST_VECTORS))
    if size < settings.codebook_size:
        logger.warning(
            "%s: only %s to learn from: %d codes in place of %d",
            modality.name,
            what,
            size,
            settings.codebook_size,
        )
    return size


class _Scales:
    """Samples of noise, levels and times."""

    def __init__(self, seed: list[int]) -> None:
        self.spectra = 0
        self._samples = [Reservoir(_MAX_SCALES, [*seed, number]) for number in range(3)]

    def add(
        self,
        table: pa.Table,
        modality: Modality,
        settings: SpectrumSettings,
        length: int | None,
        levels: int,
    ) -> None:
        spectra = measure(modality, table, settings.xp, length)
        noise, level = scale_of(spectra, levels, curve=modality.kind == "light_curve")
        known = np.isfinite(noise)
        noise, level = noise[known], level[known]
        self.spectra += len(noise)
        self._samples[0].add(noise)
        weight = np.exp(noise)[:, None]
        if modality.kind == "light_curve":
            errors = np.broadcast_to(1.0 / weight, level.shape)
        else:
            level = level * weight
            errors = np.hypot(1.0, _LEVEL_ERROR * level)
        self._samples[1].add(np.stack([level.ravel(), errors.ravel()], axis=1))
        if spectra.time is not None:
            self._samples[2].add(spectra.time[np.isfinite(spectra.time)])

    def bins(self, settings: SpectrumSettings, *, relative: bool) -> tuple[Bins, Bins, Bins | None]:
        noise, level, time = (sample.items() for sample in self._samples)
        return (
            fit_bins(noise, settings.scale_codes, transform="identity"),
            fit_bins(
                level[:, 0],
                # Levels of a spectrum are alike: it teaches about one code.
                min(settings.scale_codes, max(_FEWEST_LEVELS, self.spectra)),
                transform="asinh" if relative else "identity",
                errors=level[:, 1],
            ),
            # Epochs are many and come in nights: the quantiles alone follow them.
            fit_bins(time, settings.codebook_size, quantile_share=1.0, transform="identity")
            if len(time)
            else None,
        )


def _common_length(
    configuration: Configuration, cubes: Sequence[Cube], modality: Modality
) -> int | None:
    """Pixels of the spectra if all have the same number."""
    if modality.kind == "light_curve":
        return None
    if modality.kind == "coefficients":
        xp = configuration.spectrum.xp
        return xp.samples if xp.representation == "sampled" else N_COEFFICIENTS
    column = modality.column("flux")
    found: set[int] = set()
    for rows in _training_rows(configuration, cubes, [column]):
        found.update(np.unique(ragged_column(rows.table[column]).lengths).tolist())
        found.discard(0)
        if len(found) > 1:
            return None
    return found.pop() if found else None


def _common_wavelength(
    configuration: Configuration,
    cubes: Sequence[Cube],
    modality: Modality,
    length: int | None,
) -> NDArray[np.float64] | None:
    """The wavelengths of the spectra if all share them."""
    if not modality.has("wavelength") or length is None:
        return None
    column = modality.column("wavelength")
    shared: NDArray[np.float64] | None = None
    for rows in _training_rows(configuration, cubes, [column]):
        listed = ragged_column(rows.table[column])
        grids = listed.matrix(length)[listed.lengths == length]
        if not len(grids):
            continue
        shared = grids[0].copy() if shared is None else shared
        if not (grids == shared).all():
            logger.warning(
                "%s: wavelengths differ between spectra; decoding gives none", modality.name
            )
            return None
    return shared
