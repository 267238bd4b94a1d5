"""Spectra as they might have been: other velocities, dust, resolution, noise and coverage.

Each effect follows its physics on the log-wavelength grid. A velocity is a shift; an instrument's
resolution is a Gaussian of constant width; dust multiplies by the extinction law; noise is drawn
for the signal-to-noise ratio of each spectrum anew; detectors end elsewhere. Stars of neighbouring
subtypes are also mixed in ln(flux), since the spectral sequence is continuous.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from sdss_spectra.preprocessing.extinction import R_V, extinction_curve
from sdss_spectra.wavelength import C_KMS

__all__ = ["Augmentation", "augment"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """How strong the effects are.

    Attributes
    ----------
    velocity_kms : float
        Largest velocity of a quarter of the spectra; the others keep theirs within 60 km/s.
    max_ebv : float
        Largest E(B-V) added or removed, mag.
    max_blur_pixels : float
        Largest standard deviation of the Gaussian.
    min_snr : float
        Lowest signal-to-noise ratio per pixel.
    max_cut : float
        Largest fraction of the pixels cut from the ends.
    deep_cut : float
        Largest fraction cut from one end of a fifth of the spectra: some spectrographs and
        libraries cover half of the grid.
    gap_fraction : float
        Largest width of a gap inside, as a fraction of the pixels.
    mix_range : float
        Largest difference of subtypes that are mixed; 0 mixes none.
    """

    velocity_kms: float = 500.0
    max_ebv: float = 0.15
    max_blur_pixels: float = 1.5
    min_snr: float = 25.0
    max_cut: float = 0.12
    deep_cut: float = 0.6
    gap_fraction: float = 0.02
    mix_range: float = 3.0

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it (dict)."""
        return asdict(self)


def augment(
    flux: Floats,
    mask: npt.NDArray[np.bool_],
    code: npt.NDArray[np.float64],
    classes: npt.NDArray[np.int64],
    loglam: npt.NDArray[np.float64],
    settings: Augmentation,
    random: np.random.Generator,
) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Make one augmented version of each spectrum.

    Parameters
    ----------
    flux : ndarray of float32, shape (n, n_pixels)
        Cleaned spectra.
    mask : ndarray of bool, shape (n, n_pixels)
        True where there are no data.
    code : ndarray of float64, shape (n,)
        Subtype codes, see `SpectralType.code`; NaN where unknown.
    classes : ndarray of int64, shape (n,)
        Class numbers; only stars of one class are mixed where codes are not known.
    loglam : ndarray of float64, shape (n_pixels,)
        log10 of the wavelengths.
    settings : Augmentation
        How strong the effects are.
    random : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    flux, mask, code
        Of the same shapes; the flux is in units of the median of each spectrum.
    """
    count, n_pixels = flux.shape
    present = ~mask & (flux > 0)
    # In units of its own median: fluxes of 1e-13 and of 1e3 are the same star.
    level = _levels(flux, present)[:, None]
    log = np.where(present, np.log(np.maximum(flux / level, 1e-6)), 0.0).astype(np.float32)
    code = code.copy()
    if settings.mix_range > 0:
        log, present, code = _mixed(log, present, code, classes, settings.mix_range, random)
    extent = np.where(random.random(count) < 0.25, settings.velocity_kms, 60.0)
    velocity = random.uniform(-1.0, 1.0, count) * extent
    step = float(loglam[1] - loglam[0])
    shift = np.log10(1.0 + velocity / C_KMS) / step
    log, present = _shifted(log, present, shift)
    curve = extinction_curve(10.0**loglam) * R_V * 0.4 * np.log(10.0)
    ebv = np.asarray(random.uniform(-settings.max_ebv, settings.max_ebv, count))
    log = log - (ebv[:, None] * curve).astype(np.float32)
    new = np.where(present, np.exp(np.clip(log, -12.0, 12.0)), 0.0).astype(np.float32)
    new = _blurred(new, present, settings.max_blur_pixels, random)
    snr = np.exp(random.uniform(np.log(settings.min_snr), np.log(300.0), count))
    # Photon noise: the relative error grows where the spectrum is faint.
    sigma = np.sqrt(np.maximum(new, 0.0) * _levels(new, present)[:, None]) / snr[:, None]
    new = new + (sigma * random.standard_normal(new.shape)).astype(np.float32)
    new = new.astype(np.float32)
    hidden = _hidden(count, n_pixels, settings, random)
    return new, ~present | hidden, code


def _levels(flux: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    """Median of the pixels that are there, of each spectrum; 1 where there are none."""
    pairs = zip(flux, present, strict=True)
    return np.array(
        [np.median(row[good]) if good.any() else 1.0 for row, good in pairs], np.float32
    )


def _mixed(
    log: Floats,
    present: npt.NDArray[np.bool_],
    code: npt.NDArray[np.float64],
    classes: npt.NDArray[np.int64],
    reach: float,
    random: np.random.Generator,
) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    count = len(log)
    near = np.abs(code[:, None] - code[None, :]) <= reach
    unknown = np.isnan(code[:, None]) & np.isnan(code[None, :])
    near |= unknown & (classes[:, None] == classes[None, :])
    np.fill_diagonal(near, False)
    # Dwarfs and giants of one subtype are mixed too: luminosity is not learnt here.
    score = np.where(near, random.random((count, count)), -1.0)
    partner = score.argmax(axis=1)
    alone = score.max(axis=1) < 0
    weight = random.beta(0.5, 0.5, count)
    weight = np.maximum(weight, 1.0 - weight)
    weight[alone] = 1.0
    both = present & present[partner]
    share = weight[:, None].astype(np.float32)
    mixed = np.where(both, share * log + (1 - share) * log[partner], log)
    new_code = np.where(np.isnan(code), code, weight * code + (1 - weight) * code[partner])
    return mixed.astype(np.float32), present, np.where(alone, code, new_code)


def _shifted(
    log: Floats, present: npt.NDArray[np.bool_], shift: npt.NDArray[np.float64]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    n_pixels = log.shape[1]
    pixel = np.arange(n_pixels)
    whole = np.floor(shift).astype(np.int64)
    part = (shift - whole).astype(np.float32)[:, None]
    first = pixel[None, :] - whole[:, None] - 1
    a = np.clip(first, 0, n_pixels - 1)
    b = np.clip(first + 1, 0, n_pixels - 1)
    moved = part * np.take_along_axis(log, a, 1) + (1 - part) * np.take_along_axis(log, b, 1)
    inside = (first >= 0) & (first + 1 < n_pixels)
    there = np.take_along_axis(present, a, 1) & np.take_along_axis(present, b, 1) & inside
    return np.where(there, moved, 0.0).astype(np.float32), there


def _blurred(
    flux: Floats,
    present: npt.NDArray[np.bool_],
    max_sigma: float,
    random: np.random.Generator,
) -> Floats:
    """Blur groups of spectra alike: a few widths for each call are enough."""
    result = flux.copy()
    group = random.integers(0, 4, len(flux))
    for number in range(1, 4):
        rows = np.flatnonzero(group == number)
        sigma = random.uniform(0.3, max_sigma) if max_sigma > 0.3 else 0.0
        if len(rows) and sigma:
            weight = present[rows].astype(np.float32)
            total = gaussian_filter1d(flux[rows] * weight, sigma, axis=1, mode="nearest")
            share = gaussian_filter1d(weight, sigma, axis=1, mode="nearest")
            result[rows] = np.where(present[rows], total / np.maximum(share, 1e-3), 0.0)
    return result


def _hidden(
    count: int, n_pixels: int, settings: Augmentation, random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    pixel = np.arange(n_pixels)[None, :]
    cut = random.uniform(0.0, settings.max_cut, (count, 2)) * (random.random((count, 2)) < 0.5)
    deep = random.random(count) < 0.2
    cut[np.flatnonzero(deep), random.integers(0, 2, count)[deep]] = random.uniform(
        0.0, settings.deep_cut, int(deep.sum())
    )
    hidden = (pixel < cut[:, :1] * n_pixels) | (pixel >= (1.0 - cut[:, 1:]) * n_pixels)
    start = random.integers(0, n_pixels, (count, 1))
    width = random.uniform(0.0, settings.gap_fraction, (count, 1)) * n_pixels
    return np.asarray(hidden | ((pixel >= start) & (pixel < start + width)))
