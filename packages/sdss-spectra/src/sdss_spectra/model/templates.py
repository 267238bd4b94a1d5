"""Templates: mean spectra of the subtypes, compared with a spectrum including its continuum.

They help the network where training stars are few, since they need no more than means. A spectrum
that covers half of the wavelengths is compared over that half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Templates", "combined", "fit_templates", "log_flux"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Present = npt.NDArray[np.bool_]

_CLIP: Final = 4.0
_NAMES: Final = ("values", "known", "classes", "codes", "scale")


def log_flux(flux: npt.NDArray[Any], mask: Present) -> tuple[Floats, Present]:
    """Take the logarithm of spectra that keep their continuum.

    Parameters
    ----------
    flux : ndarray of float, shape (n, n_pixels)
        Cleaned spectra, not normalised.
    mask : ndarray of bool, shape (n, n_pixels)
        True where there are no data.

    Returns
    -------
    values : ndarray of float32, shape (n, n_pixels)
        ln(flux) less its median, within 4 of it; 0 where `known` is False.
    known : ndarray of bool, shape (n, n_pixels)
        Where there are data of which a logarithm can be taken.
    """
    known = np.asarray(~mask & (np.asarray(flux) > 0))
    log = np.log(np.where(known, np.asarray(flux, np.float64), 1.0))
    level = [np.median(row[there]) if there.any() else 0.0
             for row, there in zip(log, known, strict=True)]  # fmt: skip
    values = np.clip(log - np.array(level)[:, None], -_CLIP, _CLIP)
    return np.where(known, values, 0.0).astype(np.float32), known


@dataclass(frozen=True)
class Templates:
    """Mean spectra of subtypes.

    Attributes
    ----------
    values : ndarray of float32, shape (n_templates, n_pixels)
        As `log_flux` gives them, averaged.
    known : ndarray of bool, shape (n_templates, n_pixels)
        Where any spectrum of the subtype has data.
    classes : ndarray of int64, shape (n_templates,)
        Class numbers.
    codes : ndarray of float64, shape (n_templates,)
        Mean subtype codes; NaN where unknown.
    scale : ndarray of float64, shape (1,)
        Chi-square of a typical spectrum against its nearest template.
    """

    values: Floats
    known: Present
    classes: npt.NDArray[np.int64]
    codes: Doubles
    scale: Doubles

    def chi_square(self, values: Floats, known: Present) -> Doubles:
        """Mean square difference over shared pixels, after the best offset.

        Parameters
        ----------
        values, known : ndarray, shape (n, n_pixels)
            As `log_flux` gives them.

        Returns
        -------
        ndarray of float64, shape (n, n_templates)
            Errors count alike, since those of libraries are not known.
        """
        here, there = known.astype(np.float32), self.known.astype(np.float32)
        shared = np.maximum((here @ there.T).astype(np.float64), 1.0)
        square = values**2 @ there.T + here @ (self.values**2).T - 2.0 * values @ self.values.T
        offset = values @ there.T - here @ self.values.T
        return np.asarray(np.maximum(square / shared - (offset / shared) ** 2, 0.0))

    def probabilities(self, values: Floats, known: Present, num_classes: int) -> Doubles:
        """Probabilities of the classes: exp(-chi-square / 2 scale) of the best template of each.

        Parameters
        ----------
        values, known : ndarray, shape (n, n_pixels)
            As `log_flux` gives them.
        num_classes : int
            How many classes there are.

        Returns
        -------
        ndarray of float64, shape (n, num_classes)
        """
        square = self.chi_square(values, known)
        share = np.exp(-0.5 * (square - square.min(axis=1, keepdims=True)) / self.scale[0])
        best = np.full((len(values), num_classes), 1e-9)
        for place, number in enumerate(self.classes):
            best[:, number] = np.maximum(best[:, number], share[:, place])
        return np.asarray(best / best.sum(axis=1, keepdims=True))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name, for a file."""
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], num_classes: int) -> Templates:
        """Make one of what `arrays` gave.

        Raises
        ------
        ValueError
            Arrays that do not fit together.
        KeyError
            An array is missing.
        """
        found = cls(
            np.asarray(arrays["values"], np.float32),
            np.asarray(arrays["known"], bool),
            np.asarray(arrays["classes"], np.int64),
            np.asarray(arrays["codes"], np.float64),
            np.asarray(arrays["scale"], np.float64),
        )
        fits = (
            found.values.ndim == 2
            and found.known.shape == found.values.shape
            and found.classes.shape == found.codes.shape == found.values.shape[:1]
            and found.scale.shape == (1,)
            and found.scale[0] > 0
            and len(found.classes) > 0
            and 0 <= found.classes.min() <= found.classes.max() < num_classes
        )
        if not fits:
            raise ValueError("templates of unlike shapes")
        return found


def fit_templates(
    values: Floats, known: Present, classes: npt.NDArray[np.int64], code: Doubles
) -> Templates:
    """Average the spectra of each subtype of each class.

    Parameters
    ----------
    values, known : ndarray, shape (n, n_pixels)
        As `log_flux` gives them.
    classes : ndarray of int64, shape (n,)
        Class numbers.
    code : ndarray of float64, shape (n,)
        Subtype codes; spectra of a class without are averaged too.

    Returns
    -------
    Templates
    """
    keys = np.stack([classes, np.floor(np.nan_to_num(code, nan=-1.0))], axis=1)
    kinds, own = np.unique(keys, axis=0, return_inverse=True)
    own = own.reshape(-1)
    members = (np.arange(len(kinds))[:, None] == own[None, :]).astype(np.float32)
    count = members @ known.astype(np.float32)
    found = Templates(
        np.asarray(members @ values / np.maximum(count, 1.0), np.float32),
        count > 0,
        kinds[:, 0].astype(np.int64),
        np.array([code[own == number].mean() for number in range(len(kinds))]),
        np.ones(1),
    )
    return replace(found, scale=np.array([_typical(found, values, known, own)]))


def _typical(
    templates: Templates, values: Floats, known: Present, own: npt.NDArray[np.intp]
) -> float:
    """Median chi-square of the spectra against the nearest template, had they no part in it."""
    square = templates.chi_square(values, known)
    size = np.bincount(own)[own].astype(np.float64)
    rows = np.arange(len(values))
    # Without a spectrum the mean of the others is size / (size - 1) times as far from it.
    grown = square[rows, own] * (size / np.maximum(size - 1.0, 1.0)) ** 2
    square[rows, own] = np.where(size > 1, grown, np.inf)
    nearest = square.min(axis=1)
    nearest = nearest[np.isfinite(nearest) & (nearest > 0)]
    return float(np.median(nearest)) if len(nearest) else 1.0


def combined(bins: Doubles, membership: Doubles, classes: Doubles) -> Doubles:
    """Bins whose class sums are the mean of the network's and of another classifier's.

    Parameters
    ----------
    bins : ndarray of float64, shape (n, n_bins)
        Probabilities of the bins, of the network.
    membership : ndarray of float64, shape (n_bins, n_classes)
        See `Bins.membership`.
    classes : ndarray of float64, shape (n, n_classes)
        Probabilities of the classes, of the other.

    Returns
    -------
    ndarray of float64, shape (n, n_bins)
        Within a class, bins keep the proportions of the network.
    """
    own = np.maximum(bins @ membership, 1e-12)
    return np.asarray(bins * ((0.5 + 0.5 * classes / own) @ membership.T))
