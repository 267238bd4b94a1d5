"""The steps that every spectrum goes through, each recorded.

Load, quality control, de-reddening in the observer's frame (the dust is the Milky Way's),
velocity frame, resampling to the common grid, continuum normalisation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sdss_spectra.bitmasks import DEFAULT_BITS, bits_value, has_bits
from sdss_spectra.preprocessing.continuum import ORDER, continuum
from sdss_spectra.preprocessing.extinction import R_V, extinction_curve, find_reddening
from sdss_spectra.preprocessing.resample import LogGrid, pixel_edges, resample
from sdss_spectra.spectrum import Spectrum
from sdss_spectra.velocity import frame_velocity_kms
from sdss_spectra.wavelength import C_KMS

__all__ = ["Cleaned", "Preprocessing", "Step", "array_hash", "clean", "noise_of"]

Floats = npt.NDArray[np.float64]


# Bands of O2 (B and A) and H2O in the observer's frame, vacuum angstrom; Smette et al. 2015,
# A&A 576, A77, figure 1.
TELLURIC: Final = ((6868.0, 6955.0), (7165.0, 7340.0), (7592.0, 7700.0), (8145.0, 8345.0))


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a spectrum.

    Attributes
    ----------
    grid : LogGrid
        The common grid.
    quality_control : bool
        Reject pixels by mask bits, beyond those with ivar 0.
    and_bits, or_bits : tuple of str
        Bits of and_mask and of or_mask that reject a pixel.
    rest_frame : bool
        Remove the radial velocity or redshift.
    deredden : bool
        Remove the extinction by the Milky Way's dust where E(B-V) is known.
    normalise : bool
        Divide by the continuum.
    mask_telluric : bool
        Also reject the pixels of the strong bands of the Earth's atmosphere, `TELLURIC`.
    use_ivar : bool
        Use ivar; otherwise all finite pixels count alike, even those with ivar 0.
    continuum_order : int
        Degree of the continuum.
    """

    grid: LogGrid = field(default_factory=LogGrid)
    quality_control: bool = True
    and_bits: tuple[str, ...] = DEFAULT_BITS
    or_bits: tuple[str, ...] = ()
    rest_frame: bool = True
    deredden: bool = True
    normalise: bool = True
    mask_telluric: bool = False
    use_ivar: bool = True
    continuum_order: int = ORDER

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it (dict)."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Make one of what `as_dict` gave."""
        rest = {key: value for key, value in values.items() if key != "grid"}
        for name in ("and_bits", "or_bits"):
            rest[name] = tuple(rest[name])
        return cls(grid=LogGrid(**values["grid"]), **rest)


@dataclass(frozen=True)
class Step:
    """One step as it was carried out.

    Attributes
    ----------
    name : str
        Such as ``resample``.
    params : dict
        Its parameters.
    result_hash : str
        SHA-256 of the flux after it.
    warnings : str or None
        What was skipped, or what was unusual.
    """

    name: str
    params: dict[str, Any]
    result_hash: str
    warnings: str | None = None


@dataclass(frozen=True)
class Cleaned:
    """A spectrum on the common grid.

    Attributes
    ----------
    flux, ivar : ndarray of float64, shape (n_pixels,)
        Flux and inverse variance; both 0 where `mask` is True.
    mask : ndarray of bool, shape (n_pixels,)
        True where there is no good input.
    continuum : ndarray of float64, shape (n_pixels,), or None
        What `flux` was divided by.
    steps : list of Step
        What was done; empty unless it was asked for.
    """

    flux: Floats
    ivar: Floats
    mask: npt.NDArray[np.bool_]
    continuum: Floats | None
    steps: list[Step]

    def single_precision(
        self,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Flux, ivar and mask as stores and models keep them; numbers too large for it are bad."""
        with np.errstate(over="ignore", invalid="ignore"):
            flux, ivar = self.flux.astype(np.float32), self.ivar.astype(np.float32)
        beyond = ~(np.isfinite(flux) & np.isfinite(ivar))
        flux[beyond], ivar[beyond] = 0.0, 0.0
        return flux, ivar, self.mask | beyond


def array_hash(array: npt.NDArray[Any]) -> str:
    """SHA-256 over dtype, shape and bytes of an array, as hexadecimal text."""
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{native.dtype.str}{native.shape}".encode())
    digest.update(native.tobytes())
    return digest.hexdigest()


def noise_of(flux: Floats) -> float:
    """Standard deviation of the noise of a spectrum without errors, from the flux alone.

    DER_SNR of Stoehr et al. 2008 (ASP Conf. 394, 505): 1.482602 / sqrt(6) times the median of
    ``|2 f(i) - f(i-2) - f(i+2)|``.
    """
    inside = flux[np.isfinite(flux)]
    if len(inside) < 5:
        return 0.0
    differences = 2.0 * inside[2:-2] - inside[:-4] - inside[4:]
    return float(1.482602 / np.sqrt(6.0) * np.median(np.abs(differences)))


class _Record:
    def __init__(self, wanted: bool) -> None:
        self.steps: list[Step] = []
        self.wanted = wanted

    def add(self, name: str, params: dict[str, Any], flux: Floats, warning: str = "") -> None:
        if self.wanted:
            self.steps.append(Step(name, params, array_hash(flux), warning or None))


def clean(spectrum: Spectrum, settings: Preprocessing, *, with_steps: bool = False) -> Cleaned:
    """Bring a spectrum to the common grid.

    Parameters
    ----------
    spectrum : Spectrum
        As read.
    settings : Preprocessing
        What is done.
    with_steps : bool, optional
        Also record the steps with hashes.

    Returns
    -------
    Cleaned
        Masked as a whole if the spectrum has no good pixel on the grid.
    """
    record = _Record(with_steps)
    flux, ivar = _loaded(spectrum, record)
    if not settings.use_ivar:
        ivar = np.isfinite(flux).astype(np.float64)
    ivar = _checked(spectrum, settings, flux, ivar, record)
    flux = np.where(ivar > 0, flux, 0.0)
    wavelength = spectrum.solution.vacuum
    flux, ivar = _dereddened(spectrum, settings, wavelength, flux, ivar, record)
    wavelength, is_log10 = _at_rest(spectrum, settings, wavelength, flux, record)
    edges = pixel_edges(wavelength, is_log10)
    grid = settings.grid
    new_flux, new_ivar, mask = resample(edges, flux, ivar, grid.edges)
    record.add("resample", {"from_pixels": len(flux), **asdict(grid)}, new_flux)
    if record.wanted:
        _record_fit(wavelength, grid, mask, new_flux, record)
    curve = None
    if mask.all():
        record.add("continuum_normalise", {}, new_flux, "skipped: no good pixel on the grid")
    elif settings.normalise:
        curve = continuum(new_flux, new_ivar, order=settings.continuum_order)
        warning = ""
        if curve is None:
            warning = "no positive continuum: divided by the median instead"
            level = float(np.median(np.abs(new_flux[~mask]))) or 1.0
            curve = np.full(grid.n_pixels, level)
        new_flux = new_flux / curve
        new_ivar = new_ivar * curve**2
        params = {
            "order": settings.continuum_order,
            "ivar_weighted": settings.use_ivar,
            "continuum_min": float(curve.min()),
            "continuum_max": float(curve.max()),
        }
        record.add("continuum_normalise", params, new_flux, warning)
    else:
        record.add("continuum_normalise", {}, new_flux, "skipped: not asked for")
    return Cleaned(new_flux, new_ivar, mask, curve, record.steps)


def _loaded(spectrum: Spectrum, record: _Record) -> tuple[Floats, Floats]:
    flux = spectrum.flux
    warning = ""
    if spectrum.ivar is None:
        noise = noise_of(flux)
        level = float(np.nanmedian(np.abs(flux))) if np.isfinite(flux).any() else 0.0
        # Noise-free templates would get infinite weight.
        noise = max(noise, 1e-4 * level)
        ivar = np.full(len(flux), noise**-2.0 if noise > 0 else 0.0)
        warning = "the file gives no errors: noise estimated from the flux (DER_SNR)"
    else:
        ivar = spectrum.ivar
    params = {
        "reader": spectrum.reader,
        "pixels": len(flux),
        "wavelength_method": spectrum.solution.method,
        "wavelength_grid": spectrum.solution.grid,
        "wavelength_frame": spectrum.solution.frame,
    }
    record.add("load_spectrum", params, flux, warning)
    return flux, ivar


def _checked(
    spectrum: Spectrum, settings: Preprocessing, flux: Floats, ivar: Floats, record: _Record
) -> Floats:
    bad = ~np.isfinite(flux) | ~(ivar > 0)
    warning = ""
    if settings.quality_control:
        for mask, names in (
            (spectrum.and_mask, settings.and_bits),
            (spectrum.or_mask, settings.or_bits),
        ):
            if mask is not None and names:
                bad |= has_bits(mask, bits_value(names))
    else:
        warning = "mask bits not used"
    if settings.mask_telluric:
        wavelength = spectrum.solution.vacuum
        for low, high in TELLURIC:
            bad |= (wavelength > low) & (wavelength < high)
    checked = np.where(bad, 0.0, ivar)
    params = {
        "and_bits": list(settings.and_bits) if settings.quality_control else [],
        "or_bits": list(settings.or_bits) if settings.quality_control else [],
        "mask_telluric": settings.mask_telluric,
        "bad_pixels": int(bad.sum()),
    }
    record.add("quality_control", params, np.where(bad, 0.0, flux), warning)
    return checked


def _dereddened(
    spectrum: Spectrum,
    settings: Preprocessing,
    wavelength: Floats,
    flux: Floats,
    ivar: Floats,
    record: _Record,
) -> tuple[Floats, Floats]:
    found = find_reddening(spectrum.cards) if settings.deredden else None
    if found is None:
        warning = "E(B-V) is not known" if settings.deredden else "not asked for"
        record.add("deredden", {}, flux, f"skipped: {warning}")
        return flux, ivar
    factor = 10.0 ** (0.4 * found.ebv * R_V * extinction_curve(wavelength))
    flux, ivar = flux * factor, ivar / factor**2
    record.add("deredden", {"ebv": found.ebv, "source": found.source, "r_v": R_V}, flux)
    return flux, ivar


def _at_rest(
    spectrum: Spectrum,
    settings: Preprocessing,
    wavelength: Floats,
    flux: Floats,
    record: _Record,
) -> tuple[Floats, bool]:
    is_log10 = spectrum.solution.is_log10
    velocity, reason = frame_velocity_kms(spectrum) if settings.rest_frame else (None, "not asked")
    if velocity is None:
        record.add("velocity_frame", {}, flux, f"skipped: {reason}")
        return wavelength, is_log10
    redshift = velocity / C_KMS
    params = {
        "velocity_kms": velocity,
        "redshift": redshift,
        "heliocentric_correction": "in the file already",
        "c_kms": C_KMS,
    }
    record.add("velocity_frame", params, flux, reason)
    return wavelength / (1.0 + redshift), is_log10


def _record_fit(
    wavelength: Floats, grid: LogGrid, mask: npt.NDArray[np.bool_], flux: Floats, record: _Record
) -> None:
    edges = grid.edges
    cropped = int(np.count_nonzero((wavelength < edges[0]) | (wavelength > edges[-1])))
    covered = (grid.wavelength >= wavelength[0]) & (grid.wavelength <= wavelength[-1])
    padded = int(np.count_nonzero(~covered))
    action = "both" if cropped and padded else "cropped" if cropped else "padded"
    params = {
        "action": action if cropped or padded else "unchanged",
        "input_pixels_outside": cropped,
        "grid_pixels_outside": padded,
        "masked_pixels": int(mask.sum()),
    }
    record.add("pad_or_crop", params, flux)
