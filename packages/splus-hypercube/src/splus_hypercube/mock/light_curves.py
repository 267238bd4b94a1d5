"""Brightness of variable sources as a function of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["damped_walk", "eclipsing", "rr_lyrae"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def rr_lyrae(time_d: Float, period_d: Float, amplitude_mag: Float, phase: Float) -> Float:
    """Magnitude offsets of a pulsating star, with a steep rise and a slow decline.

    Parameters
    ----------
    time_d, period_d, amplitude_mag, phase : ndarray of float64, same shape
        Time, period in days, full amplitude, and phase of maximum at time zero.

    Returns
    -------
    ndarray of float64
        Offsets from the mean magnitude, mag; brightest at phase 0.
    """
    turn = np.mod(time_d / period_d + phase, 1.0)
    return np.asarray(amplitude_mag * (_pulsation(turn) - _PULSATION_MEAN))


def _pulsation(turn: Float) -> Float:
    """Faintness from 0 to 1 by phase: a slow decline, then a steep rise."""
    decline = 0.82
    falling = 0.5 - 0.5 * np.cos(np.pi * (turn / decline) ** 0.65)
    rising = 0.5 + 0.5 * np.cos(np.pi * (turn - decline) / (1.0 - decline))
    return np.asarray(np.where(turn < decline, falling, rising))


_PULSATION_MEAN = float(_pulsation(np.linspace(0.0, 1.0, 2001)).mean())


def eclipsing(
    time_d: Float, period_d: Float, depth_mag: Float, phase: Float, width: Float
) -> Float:
    """Magnitude offsets of a detached binary with a deep and a shallow eclipse.

    Parameters
    ----------
    time_d, period_d, depth_mag, phase, width : ndarray of float64, same shape
        Time and period in days, depth of the primary eclipse, phase at time zero, and width of the
        eclipses in phase.

    Returns
    -------
    ndarray of float64
        Offsets from the magnitude out of eclipse.
    """
    turn = np.mod(time_d / period_d + phase, 1.0)
    primary = np.minimum(turn, 1.0 - turn)
    secondary = np.abs(turn - 0.5)
    dips = np.exp(-0.5 * (primary / width) ** 4) + 0.35 * np.exp(-0.5 * (secondary / width) ** 4)
    return np.asarray(depth_mag * dips)


def damped_walk(
    time_d: Float, owner: Int, tau_d: Float, sigma_mag: Float, rng: np.random.Generator
) -> Float:
    """Magnitude offsets of quasars: a damped random walk.

    Parameters
    ----------
    time_d : ndarray of float64, shape (n,)
        Times, ascending within each owner, owners one after another.
    owner : ndarray of int64, shape (n,)
        Which walk each time belongs to; ascending.
    tau_d, sigma_mag : ndarray of float64, shape (n,)
        Damping time and asymptotic standard deviation of the walk that each time belongs to.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float64, shape (n,)

    Notes
    -----
    Kelly, Bechtold and Siemiginowska 2009, ApJ 698, 895: an Ornstein-Uhlenbeck process.
    """
    count = len(time_d)
    offsets = np.empty(count)
    if not count:
        return offsets
    starts = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
    position = np.arange(count) - np.repeat(starts, np.diff(np.append(starts, count)))
    shocks = rng.standard_normal(count)
    step = np.diff(time_d, prepend=time_d[0])
    memory = np.where(position == 0, 0.0, np.exp(-np.maximum(step, 0.0) / tau_d))
    kick = sigma_mag * np.sqrt(1.0 - memory**2) * shocks
    # All walks advance by one epoch together.
    order = np.argsort(position, kind="stable")
    bounds = np.searchsorted(position[order], np.arange(position.max() + 2))
    for number in range(int(position.max()) + 1):
        rows = order[bounds[number] : bounds[number + 1]]
        offsets[rows] = kick[rows]
        if number:
            offsets[rows] += memory[rows] * offsets[rows - 1]
    return offsets
