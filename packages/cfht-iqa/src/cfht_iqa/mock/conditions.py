"""Under what conditions an exposure of each class was taken."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cfht_iqa.classes import CLASSES
from cfht_iqa.mock.detector import FILTERS, GAIN_E_PER_ADU, PIXEL_SCALE_ARCSEC, READ_NOISE_E

__all__ = ["MARGINS", "Conditions", "draw_conditions"]

# Drawn evenly by their logarithm.
_EXPOSURE_TIMES_S: Final = (60.0, 600.0)

Range = tuple[float, float]


@dataclass(frozen=True)
class _Margin:
    """How far from their limits the classes keep; lengths in arcsec."""

    good_seeing: Range
    bad_seeing: Range
    good_trail: float
    trail: Range
    lost_trail: Range
    lost_step: Range
    good_gradient: float
    # A background problem has at least this share of the sky, and this many times its noise.
    background: Range
    background_factor: float


_MARGINS: Final = {
    "clear": _Margin(
        (0.5, 0.85), (1.3, 2.2), 0.12, (1.0, 2.5), (5.0, 9.0), (2.5, 8.0), 0.01, (0.15, 4.0), 3.0
    ),
    "narrow": _Margin(
        (0.45, 1.03), (1.17, 2.2), 0.3, (0.75, 3.3), (4.2, 9.0), (1.8, 8.0), 0.02, (0.06, 2.5), 4.0
    ),
}
MARGINS: Final = tuple(_MARGINS)


@dataclass(frozen=True, eq=False)
class Conditions:
    """Seeing, guiding and sky of an exposure.

    Attributes
    ----------
    label : str
        Class that they make.
    filter_name : str
        As it stands in the header.
    exptime_s : float
        Exposure time.
    seeing_arcsec : float
        FWHM of the Moffat profile.
    track_arcsec : ndarray of float64, shape (n, 3)
        Where the telescope pointed, x and y, and the share of the time that it did.
    ellipticity, position_angle_rad : float
        Of the optics.
    gradient : tuple of float
        Change of the sky over the width and the height of a CCD, as a share of the sky.
    amplifier_step_adu : float
        By which the right half of each CCD is brighter.
    glow : tuple of float
        Scattered light: its share of the sky, x and y of its middle and its radius, in sides.
    pixel_scale_arcsec : float
        Side of a pixel.
    """

    label: str
    filter_name: str
    exptime_s: float
    seeing_arcsec: float
    track_arcsec: npt.NDArray[np.float64]
    ellipticity: float
    position_angle_rad: float
    gradient: tuple[float, float] = (0.0, 0.0)
    amplifier_step_adu: float = 0.0
    glow: tuple[float, float, float, float] = (0.0, 0.5, 0.5, 1.0)
    pixel_scale_arcsec: float = PIXEL_SCALE_ARCSEC

    @property
    def sky_e(self) -> float:
        """Electrons per pixel from the sky (float)."""
        return _sky_e(self.filter_name, self.exptime_s, self.pixel_scale_arcsec)

    def as_json(self) -> dict[str, Any]:
        """The conditions as JSON can hold them (dict)."""
        return {
            "label": self.label,
            "filter": self.filter_name,
            "exptime_s": self.exptime_s,
            "seeing_arcsec": self.seeing_arcsec,
            "track_arcsec": self.track_arcsec.tolist(),
            "ellipticity": self.ellipticity,
            "gradient": list(self.gradient),
            "amplifier_step_adu": self.amplifier_step_adu,
            "glow": list(self.glow),
        }


def draw_conditions(
    label: str,
    generator: np.random.Generator,
    *,
    filter_name: str | None = None,
    exptime_s: float | None = None,
    margin: str = "clear",
    pixel_scale_arcsec: float = PIXEL_SCALE_ARCSEC,
) -> Conditions:
    """Draw the conditions of an exposure of a class.

    Parameters
    ----------
    label : str
        One of the five classes.
    generator : numpy.random.Generator
        Draws them.
    filter_name : str, optional
        Drawn by default.
    exptime_s : float, optional
        Drawn from 60 to 600 s by default, and then no two exposures have the same.
    margin : str, optional
        ``clear``: nothing lies near the limit between two classes. ``narrow``: up to it.
    pixel_scale_arcsec : float, optional
        Side of a pixel.

    Returns
    -------
    Conditions
        GOOD: seeing 0.5 to 0.85 arcsec. B_SEEING: 1.3 to 2.2. BT: a trail of 1 to 2.5 arcsec. RBT:
        two to four images 2.5 to 8 arcsec apart, or a trail of 5 to 9 arcsec. BGP: a gradient, an
        amplifier step or scattered light of at least 15 % of the sky and four times its noise.

        With a narrow margin, GOOD: seeing 0.45 to 1.03 arcsec and a trail of up to 0.3. B_SEEING:
        1.17 to 2.2, and such a trail. BT: a trail of 0.75 to 3.3. RBT: images 1.8 to 8 arcsec
        apart, or a trail of 4.2 to 9. BGP: at least 6 % of the sky and 2.5 times its noise; the
        others' gradients reach 2 %.
    """
    if label not in CLASSES:
        raise ValueError(f"{label!r} is not one of {', '.join(CLASSES)}")
    name = filter_name or str(generator.choice(list(FILTERS)))
    time = exptime_s or float(np.exp(generator.uniform(*np.log(_EXPOSURE_TIMES_S))))
    limits = _MARGINS[margin]
    seeing = generator.uniform(*(limits.bad_seeing if label == "B_SEEING" else limits.good_seeing))
    track = np.array([[0.0, 0.0, 1.0]])
    if label == "BT":
        track = _trail(generator, generator.uniform(*limits.trail))
    elif label == "RBT":
        track = _lost(generator, limits)
    else:
        track = _trail(generator, generator.uniform(0.0, limits.good_trail))
    flat = limits.good_gradient
    gradient = (generator.uniform(-flat, flat), generator.uniform(-flat, flat))
    step, glow = 0.0, (0.0, 0.5, 0.5, 1.0)
    if label == "BGP":
        sky = _sky_e(name, time, pixel_scale_arcsec)
        noise = float(np.sqrt(sky + READ_NOISE_E**2))
        share, sigma = limits.background
        least, most = max(share * sky, sigma * noise), limits.background_factor
        kinds = generator.choice(("gradient", "step", "glow"), generator.integers(1, 4), False)
        if "gradient" in kinds:
            size = generator.uniform(1.0, most) * least / sky
            angle = generator.uniform(0.0, 2.0 * np.pi)
            gradient = (size * float(np.cos(angle)), size * float(np.sin(angle)))
        if "step" in kinds:
            sign = generator.choice((-1.0, 1.0))
            step = float(sign * generator.uniform(0.7, 1.5) * least / GAIN_E_PER_ADU)
        if "glow" in kinds:
            middle = generator.uniform(0.0, 1.0, 2)
            radius = generator.uniform(0.25, 0.6)
            glow = (generator.uniform(1.0, most) * least / sky, *middle.tolist(), radius)
    return Conditions(
        label=label,
        filter_name=name,
        exptime_s=round(time, 3),
        seeing_arcsec=float(seeing),
        track_arcsec=track,
        ellipticity=generator.uniform(0.0, 0.05),
        position_angle_rad=generator.uniform(0.0, np.pi),
        gradient=gradient,
        amplifier_step_adu=step,
        glow=glow,
        pixel_scale_arcsec=pixel_scale_arcsec,
    )


def _sky_e(filter_name: str, exptime_s: float, pixel_scale_arcsec: float) -> float:
    # The sky of a filter is given for a pixel of MegaCam's.
    share = (pixel_scale_arcsec / PIXEL_SCALE_ARCSEC) ** 2
    return FILTERS[filter_name].sky_e_per_s * exptime_s * share


def _trail(generator: np.random.Generator, length_arcsec: float) -> npt.NDArray[np.float64]:
    along = np.linspace(-0.5, 0.5, max(2, int(length_arcsec / 0.05)))
    # A slow drift: slightly curved, and not at an even pace.
    across = generator.uniform(-0.15, 0.15) * (along**2 - 1.0 / 12.0)
    weight = 1.0 + generator.uniform(-0.6, 0.6) * along
    angle = generator.uniform(0.0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    path = length_arcsec * (turn @ np.stack([along, across])).T
    return np.column_stack([path, weight / weight.sum()])


def _lost(generator: np.random.Generator, limits: _Margin) -> npt.NDArray[np.float64]:
    if generator.random() < 0.3:
        return _trail(generator, generator.uniform(*limits.lost_trail))
    number = int(generator.integers(2, 5))
    points = [np.zeros(2)]
    for _ in range(number - 1):
        angle = generator.uniform(0.0, 2.0 * np.pi)
        step = generator.uniform(limits.lost_step[0], limits.lost_step[1] / np.sqrt(number - 1))
        points.append(points[-1] + step * np.array([np.cos(angle), np.sin(angle)]))
    stays = generator.dirichlet(np.full(number, 4.0)) * 0.93
    parts = [np.array([[*point, stay]]) for point, stay in zip(points, stays, strict=True)]
    for first, second in pairwise(points):
        # The moves between them leave a faint line.
        way = np.linspace(first, second, 60)
        parts.append(np.column_stack([way, np.full(60, 0.07 / (number - 1) / 60)]))
    track = np.concatenate(parts)
    track[:, :2] -= (track[:, :2] * track[:, 2:]).sum(axis=0)
    return track
