"""The T80-South camera: exposures, zero points, depths and seeing of the twelve bands.

Exposure times follow Mendes de Oliveira et al. 2019, MNRAS 489, 241, table 3, and depths and zero
points are typical of Almeida-Fernandes et al. 2022, MNRAS 511, 4590.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from splus_hypercube.mock.fields import PIXEL_SCALE_ARCSEC

__all__ = ["APERTURE_DIAMETER_ARCSEC", "CAMERA", "BandExposure"]

APERTURE_DIAMETER_ARCSEC = 3.0
_CCD_GAIN = 0.95  # electrons per count
_WING_WEIGHT = 0.10
_WING_SCALE = 2.2
_SIGMA_PER_FWHM = 1.0 / 2.354820045


@dataclass(frozen=True, slots=True)
class BandExposure:
    """One band's image of a field.

    Attributes
    ----------
    exposure_s : float
        Total exposure time.
    zero_point : float
        AB magnitude of one count per second.
    depth : float
        AB magnitude of a point source with a signal-to-noise ratio of 5 in a 3 arcsec aperture.
    fwhm_arcsec : float
        Of the point-spread function's core.
    """

    exposure_s: float
    zero_point: float
    depth: float
    fwhm_arcsec: float

    @property
    def gain(self) -> float:
        """Electrons per unit of the image, which is one count per second."""
        return _CCD_GAIN * self.exposure_s

    @property
    def psf(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Weight and sigma (pixels) of the core and the wing of the point-spread function."""
        core = self.fwhm_arcsec * _SIGMA_PER_FWHM / PIXEL_SCALE_ARCSEC
        return (1.0 - _WING_WEIGHT, core), (_WING_WEIGHT, _WING_SCALE * core)

    @property
    def aperture_radius_px(self) -> float:
        """Radius of the 3 arcsec aperture."""
        return 0.5 * APERTURE_DIAMETER_ARCSEC / PIXEL_SCALE_ARCSEC

    @property
    def aperture_fraction(self) -> float:
        """Fraction of a point source's light within the aperture."""
        # Weighting pixels by their part inside the aperture smooths the light once more by a pixel,
        # which has a variance of 1/12.
        square = self.aperture_radius_px**2
        outside = sum(w * np.exp(-0.5 * square / (s**2 + 1.0 / 12.0)) for w, s in self.psf)
        return float(1.0 - outside)

    @property
    def sky_noise(self) -> float:
        """Standard deviation of one pixel without sources, counts per second."""
        area = np.pi * self.aperture_radius_px**2
        limit = self.counts(self.depth) * self.aperture_fraction
        # At the limit the noise in the aperture includes that of the source's own photons.
        return float(np.sqrt(((limit / 5.0) ** 2 - limit / self.gain) / area))

    def counts(self, mag: float) -> float:
        """Counts per second of an AB magnitude."""
        return float(10.0 ** (-0.4 * (mag - self.zero_point)))


CAMERA: Mapping[str, BandExposure] = {
    "R": BandExposure(120.0, 23.50, 21.6, 1.35),
    "I": BandExposure(138.0, 23.30, 21.1, 1.30),
    "G": BandExposure(99.0, 23.55, 21.8, 1.45),
    "U": BandExposure(681.0, 20.90, 21.1, 1.65),
    "Z": BandExposure(168.0, 22.75, 20.6, 1.35),
    "F378": BandExposure(660.0, 20.10, 20.8, 1.60),
    "F395": BandExposure(354.0, 20.05, 20.5, 1.60),
    "F410": BandExposure(177.0, 21.10, 20.6, 1.55),
    "F430": BandExposure(171.0, 21.25, 20.6, 1.50),
    "F515": BandExposure(183.0, 21.50, 20.7, 1.45),
    "F660": BandExposure(870.0, 21.05, 21.2, 1.35),
    "F861": BandExposure(240.0, 21.60, 20.3, 1.30),
}
"""By image name of the band."""
