"""Spectra without the digits that their errors make meaningless, which compress better."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["FLUX_STEPS_PER_SIGMA", "IVAR_BITS", "round_flux", "round_ivar"]

# Rounding to steps of sigma / 64 adds (1 / 64)^2 / 12 = 2e-5 of the variance.
FLUX_STEPS_PER_SIGMA: Final = 64
# Explicit bits of the significand: 10 leave a relative error of at most 2^-11 = 5e-4.
IVAR_BITS: Final = 10

_SIGNIFICAND_BITS: Final = 23


def round_flux(
    flux: npt.NDArray[np.float32], ivar: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Round flux densities to a power of two of at most 1/64 of their errors.

    Parameters
    ----------
    flux, ivar : ndarray of float32
        ivar 0 leaves the flux as it is.

    Returns
    -------
    ndarray of float32, same shape
        At most sigma / 128 from the flux.
    """
    known = ivar > 0
    sigma = np.divide(1.0, np.sqrt(ivar, where=known, out=np.ones_like(ivar)))
    step = np.exp2(np.floor(np.log2(sigma / FLUX_STEPS_PER_SIGMA)))
    return np.where(known, np.rint(flux / step) * step, flux).astype(np.float32)


def round_ivar(ivar: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round inverse variances to 10 bits of their significands, ties to even.

    Parameters
    ----------
    ivar : ndarray of float32
        Finite and not negative.

    Returns
    -------
    ndarray of float32, same shape
        Relative difference of at most 2^-11; 0 stays 0.
    """
    dropped = _SIGNIFICAND_BITS - IVAR_BITS
    bits = np.ascontiguousarray(ivar).view(np.uint32)
    odd = (bits >> np.uint32(dropped)) & np.uint32(1)
    half = np.uint32((1 << (dropped - 1)) - 1)
    keep = np.uint32(0xFFFFFFFF & ~((1 << dropped) - 1))
    return ((bits + half + odd) & keep).view(np.float32)
