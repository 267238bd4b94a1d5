"""Codes of spectra and cutouts to fluxes, and predictions of whole sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astromodal_transformer.answering import Answerer
from astromodal_transformer.codebooks import Spectra
from astromodal_transformer.counter_random import uniform
from astromodal_transformer.distributions import sample_codes
from astromodal_transformer.image_decoder import ImageDecoder
from astromodal_transformer.project import Project

__all__ = ["SequenceDecoder", "decode_spectra", "level_curve"]

Float = NDArray[np.float64]
Codes = NDArray[np.uint16]

_STREAM = 100
# Samples of so many rows are decoded at a time.
_ROWS_AT_A_TIME = 32


def level_curve(levels: Float, length: int) -> Float:
    """The level at each pixel: straight lines between the centres of equal segments.

    Parameters
    ----------
    levels : ndarray of float64, shape (n, count)
    length : int
        Pixels.

    Returns
    -------
    ndarray of float64, shape (n, length)
    """
    count = levels.shape[1]
    bounds = np.linspace(0, length, count + 1).round()
    centres = (bounds[1:] + bounds[:-1] - 1.0) / 2.0
    pixels = np.arange(length)
    return np.stack([np.interp(pixels, centres, own) for own in levels]).reshape(-1, length)


def decode_spectra(spectra: Spectra, pixels: Codes, scale: Codes, missing: int) -> Float:
    """Flux or magnitudes of codes.

    Parameters
    ----------
    spectra : Spectra
    pixels : ndarray of uint16, shape (n, tokens)
        Where the token is missing, the level alone is returned.
    scale : ndarray of uint16, shape (n, 1 + levels)
        Noise, then levels.
    missing : int

    Returns
    -------
    ndarray of float64, shape (n, length) or (n, tokens * patch)
        In the unit of the hypercube; NaN where the scale is missing.
    """
    rows, tokens = pixels.shape
    length = tokens * spectra.patch if spectra.length is None else spectra.length
    noise = np.exp(spectra.noise.decode(scale[:, :1], missing))
    level = spectra.level.decode(scale[:, 1:], missing)
    if spectra.kind != "light_curve":
        level = level / noise
    known = pixels != missing
    vectors = spectra.codebook[np.where(known, pixels, 0)][:, :, : spectra.patch]
    distance = np.where(known[:, :, None], vectors, 0.0).reshape(rows, -1)[:, :length]
    return np.asarray(level_curve(level, length) + distance / noise)


class SequenceDecoder:
    """Predicts a spectrum, a light curve or the cutouts as a whole.

    Parameters
    ----------
    project : Project
    answerer : Answerer
    name : str
        The modality.
    """

    def __init__(self, project: Project, answerer: Answerer, name: str) -> None:
        self.name = name
        self._project = project
        self._answerer = answerer
        self._slots = project.layout.slots([name])
        self._spectra = project.books.spectra.get(name)
        self._image = None
        if self._spectra is None and project.books.image is not None:
            self._image = ImageDecoder(project.books.image)

    @property
    def unit(self) -> str:
        """Of the decoded values (str)."""
        if self._spectra is not None:
            return self._spectra.unit
        return self._project.books.image.unit if self._project.books.image else ""

    @property
    def order(self) -> str:
        """How the values of a list are ordered (str), for a column's description."""
        image = self._project.books.image
        if self._spectra is not None or image is None:
            return ""
        return f", {len(image.bands)} bands of {image.size_px} x {image.size_px} pixels in order"

    def decode(self, codes: Codes) -> Float:
        """Values of the modality from all slots of rows.

        Parameters
        ----------
        codes : ndarray of uint16, shape (n, slots)

        Returns
        -------
        ndarray of float64, shape (n, values)
            Pixels of a spectrum; of cutouts band by band, row by row.
        """
        missing = self._project.vocabulary.missing
        parts = self._full(codes)
        if self._spectra is not None:
            return decode_spectra(self._spectra, parts["tokens"], parts["scale"], missing)
        assert self._image is not None  # noqa: S101 - for the type checker
        return self._image.decode(parts["tokens"], parts["scale"], missing)

    def _full(self, codes: Codes) -> dict[str, Codes]:
        """Tokens and scale in the lengths of the codebooks, thinned places left missing."""
        missing = self._project.vocabulary.missing
        spectra, image = self._spectra, self._project.books.image
        layout = self._project.layout
        if spectra is not None:
            tokens = spectra.tokens or self._ragged_width()
            scale, names = 1 + spectra.levels, (f"tokens_{self.name}", f"scale_{self.name}")
        else:
            assert image is not None  # noqa: S101 - for the type checker
            tokens, scale = image.side**2, len(image.bands) * image.rings
            names = ("tokens", "scale")
        family = "image" if spectra is None else "spectrum"
        result = {
            "tokens": np.full((len(codes), tokens), missing, dtype=np.uint16),
            "scale": np.full((len(codes), scale), missing, dtype=np.uint16),
        }
        for part in layout.parts:
            for kind, name in zip(("tokens", "scale"), names, strict=True):
                if part.family == family and part.column == name:
                    own = codes[:, part.start : part.start + part.count]
                    places = range(part.count) if part.places is None else part.places
                    result[kind][:, list(places)] = own
        return result

    def _ragged_width(self) -> int:
        counts = [
            part.count
            for part in self._project.layout.parts
            if part.column == f"tokens_{self.name}"
        ]
        return max(counts, default=1)

    def predicted(
        self,
        codes: Codes,
        given: Sequence[str],
        hidden: Sequence[str],
        levels: Sequence[float],
        samples: int,
        rows: NDArray[np.int64],
    ) -> list[pa.Array]:
        """Mean and quantiles of each value.

        Each token is drawn by its own probabilities, many times; what the tokens stand for together
        is decoded for each draw.

        Parameters
        ----------
        codes : ndarray of uint16, shape (n, slots)
        given, hidden : sequence of str
            Modalities that may and may not be seen.
        levels : sequence of float
            Of the quantiles.
        samples : int
        rows : ndarray of int64, shape (n,)
            Numbers of the rows, from which the draws follow.

        Returns
        -------
        list of pyarrow.Array
            Lists of float32: mean, then each quantile.
        """
        visible = self._answerer.visible(codes, given, hidden)
        statistics: list[list[Any]] = [[None] * len(codes) for _ in range(1 + len(levels))]
        for answers in self._answerer.answers(codes, visible, self._slots):
            own = answers.rows
            draws = uniform(0, _STREAM, 0, rows[own], len(self._slots) * samples)
            draws = draws.reshape(len(own), len(self._slots), samples)
            drawn = np.full(
                (len(own), samples, codes.shape[1]), self._project.vocabulary.missing, np.uint16
            )
            for place, slot in enumerate(self._slots.tolist()):
                p = self._answerer.probabilities(answers, place, slot)
                drawn[:, :, slot] = sample_codes(p, draws[:, place])
            for first in range(0, len(own), _ROWS_AT_A_TIME):
                part = drawn[first : first + _ROWS_AT_A_TIME]
                values = self.decode(part.reshape(-1, codes.shape[1]))
                values = values.reshape(len(part), samples, -1)
                mean = values.mean(axis=1).astype(np.float32)
                quantiles = np.quantile(values, levels, axis=1).astype(np.float32)
                for place, row in enumerate(own[first : first + len(part)].tolist()):
                    statistics[0][row] = mean[place]
                    for number in range(len(levels)):
                        statistics[1 + number][row] = quantiles[number, place]
        return [pa.array(own, pa.list_(pa.float32())) for own in statistics]
