"""The labelled spectra of a data set, in memory on the model's grid."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.errors import InputError
from sdss_spectra.files import find_files
from sdss_spectra.labels.catalogue import Catalogue
from sdss_spectra.labels.table import LabelFacts, TrainingClass, facts_of, resolve
from sdss_spectra.metadata import resolving_power
from sdss_spectra.preprocessing.steps import Preprocessing, clean
from sdss_spectra.releases import release_of
from sdss_spectra.spectrum import Spectrum
from sdss_spectra.stars import StarKeys, star_keys
from sdss_spectra.survey import Account, each_spectrum

__all__ = ["Dataset", "Item", "load_dataset"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """One spectrum and what is known of it.

    Attributes
    ----------
    spec_id, path : str
        Identifier, and path for tables.
    flux, ivar : ndarray of float32
        Cleaned, on the grid.
    mask : ndarray of bool
        True where there are no data.
    facts : LabelFacts
        What determines the label.
    keys : StarKeys
        What identifies the star.
    signal_to_noise : float or None
        Median of the file's pixels.
    wavelength_min, wavelength_max : float or None
        Range of the good pixels of the file, angstrom in vacuum.
    resolution : float or None
        Resolving power.
    data_release : str or None
        As RUN2D implies.
    is_synthetic : bool
        Whether the file says that no star was observed.
    """

    spec_id: str
    path: str
    flux: npt.NDArray[np.float32]
    ivar: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    facts: LabelFacts
    keys: StarKeys
    signal_to_noise: float | None
    wavelength_min: float | None
    wavelength_max: float | None
    resolution: float | None
    data_release: str | None
    is_synthetic: bool


def item_of(spectrum: Spectrum, spec_id: str, path: str, settings: Preprocessing) -> Item:
    """Clean one spectrum and collect what is known of it."""
    flux, ivar, mask = clean(spectrum, settings).single_precision()
    good = np.isfinite(spectrum.flux)
    if spectrum.ivar is not None:
        good &= spectrum.ivar > 0
    wavelength = spectrum.solution.vacuum[good]
    return Item(
        spec_id=spec_id,
        path=path,
        flux=flux,
        ivar=ivar,
        mask=mask,
        facts=facts_of(spectrum, spec_id, path),
        keys=star_keys(spectrum, spec_id),
        signal_to_noise=spectrum.signal_to_noise(),
        wavelength_min=float(wavelength[0]) if len(wavelength) else None,
        wavelength_max=float(wavelength[-1]) if len(wavelength) else None,
        resolution=resolving_power(spectrum)[0],
        data_release=release_of(spectrum.cards),
        is_synthetic=spectrum.is_synthetic,
    )


@dataclass
class Dataset:
    """Spectra that have a class, and how many have none.

    Attributes
    ----------
    items : list of Item
        In the order of their files.
    classes : list of TrainingClass
        Of the items.
    account : Account
        How reading went.
    unlabelled : list of str
        spec_id of spectra without a class.
    empty : list of str
        spec_id of spectra without a good pixel on the grid.
    """

    items: list[Item]
    classes: list[TrainingClass]
    account: Account
    unlabelled: list[str]
    empty: list[str]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def names(self) -> list[str]:
        """Class names of the items (list of str)."""
        return [found.name for found in self.classes]

    @property
    def codes(self) -> npt.NDArray[np.float64]:
        """Subtype codes, NaN where unknown (ndarray)."""
        return np.array([np.nan if c.code is None else c.code for c in self.classes])

    @property
    def signal_to_noise(self) -> list[float | None]:
        """Median signal-to-noise ratios per pixel, None where unknown (list)."""
        return [item.signal_to_noise for item in self.items]

    @property
    def coverage(self) -> list[float]:
        """Fractions of the grid's pixels that have data (list of float)."""
        return [float(1.0 - item.mask.mean()) for item in self.items]

    @property
    def is_synthetic(self) -> bool:
        """Whether any of the items is synthetic (bool)."""
        return any(item.is_synthetic for item in self.items)

    def arrays(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Flux, ivar and mask of all items, shape (n, n_pixels)."""
        return (
            np.stack([item.flux for item in self.items]),
            np.stack([item.ivar for item in self.items]),
            np.stack([item.mask for item in self.items]),
        )

    def subset(self, numbers: Sequence[int] | npt.NDArray[np.intp]) -> Dataset:
        """These items alone."""
        chosen = [int(number) for number in numbers]
        return Dataset(
            [self.items[n] for n in chosen],
            [self.classes[n] for n in chosen],
            self.account,
            self.unlabelled,
            self.empty,
        )


def load_dataset(
    data: Path | Sequence[Path],
    settings: Preprocessing,
    *,
    catalogue: Catalogue | None = None,
    strip_prefix: str = "",
    strip_suffix: str = "",
    workers: int = 1,
    failures: Path | None = None,
) -> Dataset:
    """Read, clean and label the spectra of a data set.

    Parameters
    ----------
    data : path or sequence of path
        Folders and files.
    settings : Preprocessing
        How spectra are cleaned.
    catalogue : Catalogue, optional
        Labels.
    strip_prefix, strip_suffix : str, optional
        Removed from file stems.
    workers : int, optional
        Local processes.
    failures : Path, optional
        ``failures.jsonl``.

    Raises
    ------
    InputError
        No spectrum has a class.
    """
    files = find_files(data, strip_prefix=strip_prefix, strip_suffix=strip_suffix)
    account = Account()
    items: list[Item] = each_spectrum(
        files, partial(item_of, settings=settings), account, failures=failures, workers=workers
    )
    found = resolve([item.facts for item in items], catalogue)
    kept: list[Item] = []
    classes: list[TrainingClass] = []
    unlabelled, empty = [], []
    for item, label in zip(items, found, strict=True):
        if label is None:
            unlabelled.append(item.spec_id)
        elif item.mask.all():
            empty.append(item.spec_id)
        else:
            kept.append(item)
            classes.append(label)
    if not kept:
        raise InputError(
            str(data if isinstance(data, Path) else data[0]),
            f"none of {len(items)} spectra has a class",
            "labels",
            "give --label-catalog, or put files in folders named after their class",
        )
    if unlabelled:
        logger.warning("%d spectra have no class and are left out", len(unlabelled))
    if empty:
        logger.warning("%d spectra have no good pixel on the grid and are left out", len(empty))
    return Dataset(kept, classes, account, unlabelled, empty)
