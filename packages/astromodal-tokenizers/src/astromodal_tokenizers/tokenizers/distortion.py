"""What is known of one codebook: how far values come back from where they were, and which codes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromodal_tokenizers.tokenizers.bins import MISSING
from astromodal_tokenizers.tokenizers.occupancy import attainable_codes

__all__ = ["Block"]

# Sizes of errors are counted in steps of this part of a power of ten, from the least to the most.
_STEPS, _LEAST, _MOST = 200, -6, 6
# A code with this many times the mean number of values is one that many sources share.
_COMMON = 2.0


@dataclass
class Block:
    """What is known of one codebook on the held-out sources.

    Attributes
    ----------
    name, kind : str
    size : int
        Number of codes.
    counts : ndarray of int64, shape (size,)
        How often each code occurs.
    other_counts : ndarray of int64, shape (size,)
        The same for sources that are not held out.
    objects : int
        Sources with at least one token.
    taught : ndarray of int64, shape (size,)
        Values of each code that the codebook was learned from; empty if that is not known.
    """

    name: str
    kind: str
    size: int
    taught: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    other_counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    objects: int = 0
    _error: float = 0.0
    _power: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    _physical: float = 0.0
    _values: int = 0
    _chi2: float = 0.0
    _chi2_values: int = 0
    _sizes: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(_STEPS * (_MOST - _LEAST), dtype=np.int64)
    )

    def __post_init__(self) -> None:
        self.counts = np.zeros(self.size, dtype=np.int64)
        self.other_counts = np.zeros(self.size, dtype=np.int64)

    def add_codes(self, codes: NDArray[np.uint16], rows: int | None = None) -> None:
        """Count codes of shape (n, ...); ``rows`` replaces the number of sources with any."""
        known = codes != MISSING
        self.counts += np.bincount(codes[known], minlength=self.size)
        some = known.reshape(len(codes), -1).any(axis=1).sum() if rows is None else rows
        self.objects += int(some)

    def add_other_codes(self, codes: NDArray[np.uint16]) -> None:
        """Count codes of sources that are not held out: they enter into `use` alone."""
        self.other_counts += np.bincount(codes[codes != MISSING], minlength=self.size)

    def add_errors(
        self,
        normalised: NDArray[np.floating[Any]],
        physical: NDArray[np.floating[Any]] | None = None,
        signal: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        """Add errors of values; with the ``signal`` they are normalised by its deviation."""
        self._error += float(np.square(normalised, dtype=np.float64).sum())
        self._values += normalised.size
        if physical is not None:
            self._physical += float(np.square(physical, dtype=np.float64).sum())
        if signal is not None:
            total = signal.astype(np.float64)
            for place, value in enumerate((total.size, total.sum(), np.square(total).sum())):
                self._power[place] += float(value)

    def add_chi2(self, values: NDArray[np.floating[Any]]) -> None:
        """Add errors in units of the measurement's own error."""
        self._chi2 += float(np.square(values, dtype=np.float64).sum())
        self._chi2_values += values.size
        with np.errstate(divide="ignore"):
            step = (np.log10(np.abs(values)) - _LEAST) * _STEPS
        step = np.clip(step, 0, len(self._sizes) - 1).astype(np.int64)
        self._sizes += np.bincount(step.ravel(), minlength=len(self._sizes))

    def median_over_error(self) -> float | None:
        """Median size of what `add_chi2` got, to a per cent; None without any.

        A few values far beyond all others decide the chi-square, and leave the median alone.
        """
        if not self._chi2_values:
            return None
        place = int(np.searchsorted(np.cumsum(self._sizes), self._chi2_values / 2.0))
        return float(10.0 ** (_LEAST + (place + 0.5) / _STEPS))

    def use(self) -> float:
        """Share of the codes that occur on any source, held out or not."""
        return float(((self.counts + self.other_counts) > 0).mean())

    def held_out_codes(self) -> tuple[int, float]:
        """Codes that occur on held-out sources, and `attainable_codes` (int, float).

        Codes of values that many sources share, such as the zero of a count, take many tokens
        however good the codebook is. They and their tokens are not part of the comparison.
        """
        common = np.zeros(self.size, dtype=bool)
        taught = math.inf
        if len(self.taught) == self.size:
            common = self.taught > _COMMON * self.taught.sum() / self.size
            taught = float(self.taught[~common].sum())
        rest = self.counts[~common]
        expected = attainable_codes(len(rest), int(rest.sum()), taught) if len(rest) else 0.0
        return int((rest > 0).sum()), expected

    def held_out_use(self) -> float:
        """The codes that `held_out_codes` counts, relative to those attainable."""
        used, expected = self.held_out_codes()
        return min(1.0, used / expected) if expected else 1.0

    def record(self) -> dict[str, Any]:
        """The figures of the report; None where there is nothing to measure."""
        tokens = int(self.counts.sum())
        used = int((self.counts > 0).sum())
        share = self.counts[self.counts > 0] / max(tokens, 1)
        scale = 1.0
        if self._power[0]:
            mean = self._power[1] / self._power[0]
            scale = math.sqrt(max(self._power[2] / self._power[0] - mean**2, 0.0)) or 1.0
        return {
            "kind": self.kind,
            "codebook_size": self.size,
            "objects": self.objects,
            "tokens": tokens,
            "bits_per_object": (
                tokens / self.objects * math.log2(self.size) if self.objects else None
            ),
            "rmse_normalised": (
                math.sqrt(self._error / self._values) / scale if self._values else None
            ),
            "rmse_physical": (math.sqrt(self._physical / self._values) if self._physical else None),
            "chi2_per_pixel": self._chi2 / self._chi2_values if self._chi2_values else None,
            "median_over_error": self.median_over_error(),
            "codes_used": used,
            "codebook_use": self.use() if tokens + int(self.other_counts.sum()) else None,
            "codebook_use_held_out": self.held_out_use() if tokens else None,
            "perplexity": float(np.exp(-(share * np.log(share)).sum())) if tokens else None,
        }
