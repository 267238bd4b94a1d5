"""Flux, uncertainty and their ratio for one batch of events after the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scone_io.example.layout import EventBatch

__all__ = ["Channels"]

Floats = npt.NDArray[np.float64]


class Channels:
    """Contiguous arrays of the channels, filled again by each batch.

    Fresh arrays of this size come from the system page by page, which takes several times longer
    than to fill them.
    """

    def __init__(self) -> None:
        self._arrays = np.empty((3, 0, 0, 0))

    def read(self, batch: EventBatch) -> tuple[Floats, Floats]:
        """Copy the channels of a batch.

        Parameters
        ----------
        batch : EventBatch

        Returns
        -------
        flux, error : ndarray of float64, shape (n, n_wavelength, n_time)
            Valid until the next call. Each event is contiguous, so that a sum over it adds up in
            the same order whether the event is alone or in a batch.
        """
        shape = batch.image.shape[:3]
        if self._arrays.shape[1] < shape[0] or self._arrays.shape[2:] != shape[1:]:
            self._arrays = np.empty((3, *shape))
        flux, error, _ = self._arrays[:, : shape[0]]
        np.copyto(flux, batch.image[..., 0])
        np.copyto(error, batch.image[..., 1])
        return flux, error

    def signal_to_noise(self, flux: Floats, error: Floats) -> Floats:
        """Flux over uncertainty, 0 where the uncertainty is not positive.

        Parameters
        ----------
        flux, error : ndarray of float64, shape (n, n_wavelength, n_time)
            As `read` gave them.

        Returns
        -------
        ndarray of float64, shape (n, n_wavelength, n_time)
            Valid until the next call.
        """
        ratio: Floats = self._arrays[2, : len(flux)]
        np.divide(flux, error, out=ratio)
        np.copyto(ratio, 0.0, where=~(error > 0.0))
        return ratio
