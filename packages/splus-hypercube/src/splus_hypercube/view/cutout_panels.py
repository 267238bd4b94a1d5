"""The cutouts of a source, all bands side by side on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from splus_hypercube.bands import BANDS
from splus_hypercube.view.labels import SIGMA, with_minus_signs
from splus_hypercube.view.source import Source
from splus_hypercube.view.theme import Theme

__all__ = ["Stretch", "draw_cutouts"]

Image = NDArray[np.float32]

_SCALE_BAR_ARCSEC = 10.0
_FAINTEST_SIGMA = -2.0
_SOFTENING_SIGMA = 3.0
_LEAST_RANGE_SIGMA = 15.0


class Stretch:
    """An asinh stretch of the signal above the sky in units of the sky noise.

    Every band has its own sky level (median) and noise (1.4826 times the median absolute
    deviation); the stretch itself is the same for all bands, so that their images can be compared.
    Its form is that of Lupton et al. 2004, PASP 116, 133, equation 1.

    Parameters
    ----------
    images : sequence of ndarray
        All cutouts of a source; NaN where there is no data.

    Attributes
    ----------
    brightest_sigma : float
        The signal shown as brightest: the largest 99.5th percentile of any band in the middle of
        the cutouts, where the source is, but no less than 15. Brighter neighbours saturate.
    """

    def __init__(self, images: Sequence[Image]) -> None:
        bright = []
        for image in images:
            middle = _middle(signal_to_noise(image))
            middle = middle[np.isfinite(middle)]
            if len(middle):
                bright.append(float(np.percentile(middle, 99.5)))
        self.brightest_sigma = max([_LEAST_RANGE_SIGMA, *bright])

    def __call__(self, image: Image) -> NDArray[np.float64]:
        """Brightness from 0 to 1; NaN where there is no data."""
        signal = signal_to_noise(image)
        low, high = (
            np.arcsinh(limit / _SOFTENING_SIGMA)
            for limit in (_FAINTEST_SIGMA, self.brightest_sigma)
        )
        scaled = (np.arcsinh(signal / _SOFTENING_SIGMA) - low) / (high - low)
        return np.asarray(np.clip(scaled, 0.0, 1.0))

    def __str__(self) -> str:
        return with_minus_signs(
            f"asinh stretch of (pixel - sky) / {SIGMA}, linear up to about {_SOFTENING_SIGMA:g}, "
            f"from {_FAINTEST_SIGMA:g} to {self.brightest_sigma:.0f} in every band; "
            f"sky: median, {SIGMA}: 1.4826 MAD of each cutout"
        )


def _middle(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The middle quarter of an image in both directions."""
    low, high = (3 * image.shape[0]) // 8, -(-5 * image.shape[0] // 8)
    return image[low:high, low:high]


def signal_to_noise(image: Image) -> NDArray[np.float64]:
    """Pixels above the sky in units of the sky noise; NaN where there is no data."""
    values = image.astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    known = values[np.isfinite(values)]
    if not len(known):
        return values
    sky = np.median(known)
    noise = 1.4826 * np.median(np.abs(known - sky))
    # A flat or nearly empty cutout has no noise of its own.
    return (values - sky) / (noise or np.std(known) or 1.0)


def draw_cutouts(axes: Sequence[Axes], source: Source, theme: Theme) -> str:
    """Draw the cutouts of a source in order of wavelength.

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        As many as S-PLUS has bands.
    source : Source
    theme : Theme

    Returns
    -------
    str
        The caption, which states the stretch.
    """
    stretch = Stretch([image for image in source.cutouts.values() if image is not None])
    missing_bands = source.metadata.get("provenance", {}).get("missing_bands", [])
    images = source.metadata.get("images", {})
    by_wavelength = sorted(BANDS, key=lambda band: band.wavelength_angstrom)
    bar_drawn = False
    for panel, band in zip(axes, by_wavelength, strict=True):
        panel.set_xticks([])
        panel.set_yticks([])
        panel.grid(visible=False)
        panel.set_title(
            f"{band.name}  {band.wavelength_angstrom:.0f} Å", loc="left", fontsize=8.0, pad=2.5
        )
        image = source.cutouts.get(band.name)
        if image is None or not np.isfinite(image).any():
            if image is not None:
                reason = "outside the image"
            elif band.name in missing_bands:
                reason = "no image of\nthis band"
            else:
                reason = "no cutout"
            _draw_absence(panel, reason, theme)
            continue
        _draw_image(panel, image, stretch, theme)
        _mark_source(panel, source.offset_px(band.name), image.shape[0], theme)
        scale = images.get(band.name, {}).get("pixel_scale_arcsec")
        if scale and not bar_drawn:
            _draw_scale_bar(panel, image.shape[0], scale, theme)
            bar_drawn = True
    return f"Cutouts: {stretch}. Row 0 at the bottom; hatched: no data."


def _draw_image(panel: Axes, image: Image, stretch: Stretch, theme: Theme) -> None:
    size = image.shape[0]
    if not np.isfinite(image).all():
        # Under the image, where NaN is transparent.
        panel.add_patch(
            Rectangle((-0.5, -0.5), size, size, facecolor=theme.no_data, hatch="////", zorder=0.5)
        )
    colours = colormaps[theme.image_colormap].with_extremes(bad=(0.0, 0.0, 0.0, 0.0))
    panel.imshow(
        np.ma.masked_invalid(stretch(image)),
        origin="lower",
        cmap=colours,
        vmin=0.0,
        vmax=1.0,
        interpolation="nearest",
        zorder=1,
    )
    panel.set_xlim(-0.5, size - 0.5)
    panel.set_ylim(-0.5, size - 0.5)


def _mark_source(panel: Axes, offset_px: tuple[float, float], size: int, theme: Theme) -> None:
    """Two ticks that point at the source and do not cover it."""
    x, y = (size // 2 + offset for offset in offset_px)
    near, far = 0.06 * size, 0.16 * size
    panel.plot([x + near, x + far], [y, y], color=theme.vermilion, linewidth=1.3, zorder=3)
    panel.plot([x, x], [y + near, y + far], color=theme.vermilion, linewidth=1.3, zorder=3)


def _draw_scale_bar(panel: Axes, size: int, pixel_scale_arcsec: float, theme: Theme) -> None:
    length = _SCALE_BAR_ARCSEC / pixel_scale_arcsec
    left, low = 0.05 * size, 0.06 * size
    panel.add_patch(
        Rectangle(
            (left - 0.02 * size, low - 0.035 * size),
            max(length, 0.44 * size) + 0.04 * size,
            0.145 * size,
            facecolor=theme.ground,
            alpha=0.8,
            linewidth=0.0,
            zorder=2,
        )
    )
    panel.plot([left, left + length], [low, low], color=theme.ink, linewidth=1.8, zorder=3)
    panel.text(
        left,
        low + 0.03 * size,
        f"{_SCALE_BAR_ARCSEC:g}″ = {length:.1f} px",
        fontsize=6.5,
        zorder=3,
    )


def _draw_absence(panel: Axes, reason: str, theme: Theme) -> None:
    panel.set_xlim(0.0, 1.0)
    panel.set_ylim(0.0, 1.0)
    panel.set_aspect("equal")
    panel.add_patch(Rectangle((0.0, 0.0), 1.0, 1.0, facecolor=theme.no_data, hatch="////"))
    panel.text(
        0.5,
        0.5,
        reason,
        ha="center",
        va="center",
        bbox={"facecolor": theme.ground, "edgecolor": "none", "pad": 2.5},
    )
