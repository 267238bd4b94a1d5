"""Classes as groups of bins along the spectral sequence.

The network predicts a distribution over subtypes, O0, O1, ... M9; the probability of a class is the
sum over its bins. So F9 and G0 are neighbours, and the width of the training targets allows for
published types of one star that differ by about a subtype. A class that is not part of the
sequence, such as WD, is a bin of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sdss_spectra.mkclass import LETTERS

__all__ = ["Bins", "class_order"]

Doubles = npt.NDArray[np.float64]


def class_order(names: Sequence[str]) -> list[str]:
    """Classes along the spectral sequence, hot to cool, then the others by name."""
    return sorted(set(names), key=lambda n: (LETTERS.find(n) if n in LETTERS else 99, n))


@dataclass(frozen=True)
class Bins:
    """The bins of a set of classes.

    Attributes
    ----------
    classes : tuple of str
        In the order of `class_order`.
    """

    classes: tuple[str, ...]

    @property
    def codes(self) -> Doubles:
        """Centre of each bin as a subtype code; NaN of bins beyond the sequence (ndarray)."""
        found: list[float] = []
        for name in self.classes:
            if name in LETTERS:
                found += [10.0 * LETTERS.index(name) + k + 0.5 for k in range(10)]
            else:
                found.append(np.nan)
        return np.array(found)

    @property
    def membership(self) -> Doubles:
        """1 where a bin belongs to a class, else 0 (ndarray, shape (n_bins, n_classes))."""
        rows = [
            np.eye(len(self.classes))[number]
            for number, name in enumerate(self.classes)
            for _ in range(10 if name in LETTERS else 1)
        ]
        return np.array(rows)

    def targets(
        self,
        classes: npt.NDArray[np.int64],
        code: Doubles,
        width: float,
    ) -> npt.NDArray[np.float32]:
        """Target distributions.

        Parameters
        ----------
        classes : ndarray of int64, shape (n,)
            Class numbers.
        code : ndarray of float64, shape (n,)
            Subtype codes; NaN where unknown.
        width : float
            Standard deviation of published subtypes.

        Returns
        -------
        ndarray of float32, shape (n, n_bins)
            A Gaussian about the subtype; uniform over the bins of the class where it is unknown.
        """
        codes = self.codes
        inside = np.isfinite(codes)
        even = self.membership.T[classes]
        even = even / even.sum(axis=1, keepdims=True)
        # G2 means 42.0 to 43.0: its centre is 42.5.
        centre = np.nan_to_num(code, nan=-1e3)[:, None] + 0.5
        known = np.isfinite(code)[:, None] & inside[None, :]
        gauss = np.exp(-0.5 * ((np.nan_to_num(codes)[None, :] - centre) / width) ** 2) * known
        total = gauss.sum(axis=1, keepdims=True)
        target = np.where(total > 1e-6, gauss / np.maximum(total, 1e-6), even)
        return np.asarray(target, np.float32)

    def class_probabilities(self, probabilities: Doubles) -> Doubles:
        """Sum bins to classes: (n, n_bins) to (n, n_classes)."""
        return np.asarray(probabilities @ self.membership)

    def median_code(self, probabilities: Doubles) -> Doubles:
        """Median subtype code over the bins of the sequence; NaN where there are none.

        Half of the probability is on either side. The median has the smallest expected absolute
        error, and a second, distant type moves it less than it moves the mean.

        Parameters
        ----------
        probabilities : ndarray of float64, shape (n, n_bins)
            Of the bins, each of which is uniform over a subtype.

        Returns
        -------
        ndarray of float64, shape (n,)
            Half a subtype below the place along the sequence, since G2 means 42.0 to 43.0.
        """
        inside = np.flatnonzero(np.isfinite(self.codes))
        if not len(inside):
            return np.full(len(probabilities), np.nan)
        share = np.maximum(probabilities[:, inside], 1e-12)
        share = share / share.sum(axis=1, keepdims=True)
        upto = np.cumsum(share, axis=1)
        place = np.minimum((upto < 0.5).sum(axis=1), len(inside) - 1)[:, None]
        here = np.take_along_axis(share, place, 1)[:, 0]
        below = np.take_along_axis(upto, place, 1)[:, 0] - here
        centre = self.codes[inside][place[:, 0]]
        return np.asarray(centre - 0.5 + (0.5 - below) / here - 0.5)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it (dict)."""
        return {"classes": list(self.classes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Bins:
        """Make one of what `as_dict` gave."""
        return cls(tuple(values["classes"]))
