"""The axes of a heatmap: what wavelength and what day each bin stands for.

A record holds numbers without axes. The window in time changed on 13 May 2021, from -50 .. +130
days to -30 .. +150 days about the peak, and is written nowhere in a shard; taken for the other,
every day is wrong by 20. So a grid is named, or read from a JSON file beside the shard, or said to
be assumed.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, InputError

__all__ = [
    "PRESETS",
    "GridSpec",
    "ResolvedGrid",
    "named_grid",
    "read_grid",
    "resolve_grid",
    "sidecar_path",
    "write_sidecar",
]

logger = logging.getLogger(__name__)

_MAX_SIDECAR_BYTES = 1 << 20
_MAX_BINS = 1 << 20

_INTEGERS = ("num_wavelength_bins", "num_time_bins")
_NUMBERS = (
    "wavelength_min_angstrom",
    "wavelength_max_angstrom",
    "time_min_days",
    "time_max_days",
    "zero_point_mag",
)
_TEXTS = {"reference": ("peak", "trigger"), "frame": ("observer",), "flux_unit": ("FLUXCAL",)}


@dataclass(frozen=True)
class GridSpec:
    """Bins of a heatmap; they include both ends of each range and are evenly spaced.

    Attributes
    ----------
    num_wavelength_bins, num_time_bins : int
    wavelength_min_angstrom, wavelength_max_angstrom : float
        First and last wavelength, in the observer's frame.
    time_min_days, time_max_days : float
        First and last day, relative to the reference.
    reference : str
        ``peak`` (PEAKMJD) or ``trigger`` (second detection).
    frame : str
        ``observer``: SCONE uses no redshift.
    flux_unit : str
        ``FLUXCAL``: SNANA's flux, ``10^(0.4 (zero_point_mag - m))``.
    zero_point_mag : float
    notes : mapping
        Further keys of the JSON file, kept as they are.
    """

    num_wavelength_bins: int = 32
    num_time_bins: int = 180
    wavelength_min_angstrom: float = 3000.0
    wavelength_max_angstrom: float = 10100.0
    time_min_days: float = -30.0
    time_max_days: float = 150.0
    reference: str = "peak"
    frame: str = "observer"
    flux_unit: str = "FLUXCAL"
    zero_point_mag: float = 27.5
    notes: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for name in _INTEGERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= _MAX_BINS:
                raise ConfigurationError(name, repr(value), f"a whole number, 2 to {_MAX_BINS}")
        for name in _NUMBERS:
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value):
                raise ConfigurationError(name, repr(value), "a number")
        for name, allowed in _TEXTS.items():
            if getattr(self, name) not in allowed:
                found = repr(getattr(self, name))
                raise ConfigurationError(name, found, " or ".join(map(repr, allowed)))
        for axis, unit in (("wavelength", "angstrom"), ("time", "days")):
            low, high = getattr(self, f"{axis}_min_{unit}"), getattr(self, f"{axis}_max_{unit}")
            if not low < high:
                found = f"{high}, and {axis}_min_{unit} {low}"
                raise ConfigurationError(f"{axis}_max_{unit}", found, "the minimum below it")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of wavelength and of time bins."""
        return self.num_wavelength_bins, self.num_time_bins

    @property
    def wavelengths(self) -> npt.NDArray[np.float64]:
        """Wavelength of each bin (angstrom), shape (num_wavelength_bins,)."""
        return np.linspace(
            self.wavelength_min_angstrom, self.wavelength_max_angstrom, self.num_wavelength_bins
        )

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Day of each bin relative to the reference, shape (num_time_bins,)."""
        return np.linspace(self.time_min_days, self.time_max_days, self.num_time_bins)

    @property
    def wavelength_step_angstrom(self) -> float:
        """Distance of two wavelength bins."""
        span = self.wavelength_max_angstrom - self.wavelength_min_angstrom
        return span / (self.num_wavelength_bins - 1)

    @property
    def time_step_days(self) -> float:
        """Distance of two time bins; 180/179 of a day in both presets."""
        return (self.time_max_days - self.time_min_days) / (self.num_time_bins - 1)

    def wavelength_index(self, wavelength_angstrom: float) -> int:
        """The bin nearest to a wavelength; of two equally near ones the bluer."""
        return int(np.argmin(np.abs(self.wavelengths - wavelength_angstrom)))

    def time_index(self, days: float) -> int:
        """The bin nearest to a day; of two equally near ones the earlier."""
        return int(np.argmin(np.abs(self.times - days)))

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Outer edges of the first and last bins: days low, high, angstrom low, high.

        Bins reach half a step beyond their centres, so an image spans more than the centres do.
        """
        half_day, half = 0.5 * self.time_step_days, 0.5 * self.wavelength_step_angstrom
        return (
            self.time_min_days - half_day,
            self.time_max_days + half_day,
            self.wavelength_min_angstrom - half,
            self.wavelength_max_angstrom + half,
        )

    def as_json(self) -> dict[str, Any]:
        """The grid as a sidecar holds it, without the notes."""
        names = (*_INTEGERS, *_NUMBERS[:-1], *_TEXTS, _NUMBERS[-1])
        return {name: getattr(self, name) for name in names}

    def with_notes(self, **notes: Any) -> GridSpec:
        """The same grid with further keys for its sidecar."""
        return replace(self, notes={**self.notes, **notes})

    @classmethod
    def from_json(cls, value: object, source: str | os.PathLike[str]) -> GridSpec:
        """Make a grid of the content of a JSON file.

        Parameters
        ----------
        value : object
            A mapping with the keys of `as_json`, all of them; others become notes.
        source : str or path
            Named in errors.

        Raises
        ------
        ConfigurationError
            If a key is missing or its value is wrong.
        """
        known = cls().as_json()
        if not isinstance(value, dict):
            raise ConfigurationError(source, "no JSON object", "an object that describes a grid")
        missing = [key for key in known if key not in value]
        if missing:
            raise ConfigurationError(source, f"no key {missing[0]}", ", ".join(known))
        try:
            return cls(
                **{key: value[key] for key in known},
                notes={key: item for key, item in value.items() if key not in known},
            )
        except ConfigurationError as error:
            reason = f"{error.source}: {error.found}"
            raise ConfigurationError(source, reason, error.expected) from error


# The windows of SCONE before and after its change of 13 May 2021.
PRESETS: Mapping[str, GridSpec] = {
    "legacy": GridSpec(time_min_days=-50.0, time_max_days=130.0),
    "scone": GridSpec(time_min_days=-30.0, time_max_days=150.0),
}


@dataclass(frozen=True)
class ResolvedGrid:
    """A shard's grid and how it is known.

    Attributes
    ----------
    grid : GridSpec
    source : str
        ``option``, ``sidecar`` or ``assumed``.
    """

    grid: GridSpec
    source: str


def sidecar_path(shard: str | os.PathLike[str]) -> Path:
    """Where the grid of a shard is kept: its name with ``.grid.json`` added."""
    path = Path(shard)
    return path.with_name(path.name + ".grid.json")


def read_grid(path: str | os.PathLike[str]) -> GridSpec:
    """Read a grid from a JSON file.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    InputError
        If the file is missing or no JSON.
    ConfigurationError
        If it does not describe a grid.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_SIDECAR_BYTES + 1)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a JSON file") from error
    if len(text) > _MAX_SIDECAR_BYTES:
        raise InputError(path, "more than 1 MiB", "a small JSON file")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            path, f"no JSON ({error})", "a JSON object that describes a grid"
        ) from error
    return GridSpec.from_json(value, path)


def resolve_grid(
    shard: str | os.PathLike[str],
    option: str | None = None,
    *,
    default: str = "scone",
    say_assumed: bool = True,
) -> ResolvedGrid:
    """Find the grid of a shard.

    Parameters
    ----------
    shard : path-like
    option : str, optional
        ``legacy``, ``scone`` or a JSON file; it outranks the sidecar.
    default : str
        The preset that is assumed where neither is given.
    say_assumed : bool
        Warn where a grid is assumed.

    Returns
    -------
    ResolvedGrid

    Raises
    ------
    ConfigurationError
        If the option names no grid.
    InputError
        If a sidecar cannot be read.
    """
    if option is not None:
        return ResolvedGrid(named_grid(option), "option")
    sidecar = sidecar_path(shard)
    if sidecar.exists():
        return ResolvedGrid(read_grid(sidecar), "sidecar")
    grid = PRESETS[default]
    if say_assumed:
        logger.warning(
            "%s: no sidecar %s: assuming the grid %s, %g .. %g d; give --grid if it is another",
            shard,
            sidecar.name,
            default,
            grid.time_min_days,
            grid.time_max_days,
        )
    return ResolvedGrid(grid, "assumed")


def named_grid(option: str) -> GridSpec:
    """The grid that ``--grid`` names: a preset or a JSON file.

    Raises
    ------
    ConfigurationError
        If it is neither.
    """
    if option in PRESETS:
        return PRESETS[option]
    try:
        return read_grid(option)
    except InputError as error:
        raise ConfigurationError(
            "--grid", f"{option!r} ({error.found})", "legacy, scone or a JSON file"
        ) from error


def write_sidecar(
    shard: str | os.PathLike[str], grid: GridSpec, *, overwrite: bool = False
) -> Path:
    """Write the grid of a shard beside it.

    Parameters
    ----------
    shard : path-like
    grid : GridSpec
    overwrite : bool
        Replace a sidecar that exists.

    Returns
    -------
    Path
        The sidecar.

    Raises
    ------
    OutputError
        If it exists or cannot be written.
    """
    path = sidecar_path(shard)
    text = json.dumps({**grid.as_json(), **grid.notes}, indent=2, ensure_ascii=False)
    with atomic_path(path, overwrite=overwrite) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    return path
