"""Files of synthetic exposures with their labels and their truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from astropy.time import Time

from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError, OutputError
from astro_common.jobs import run_units
from cfht_iqa import __version__
from cfht_iqa.classes import CLASSES
from cfht_iqa.focal_plane import ccd_place
from cfht_iqa.mock.ccd import FULL_SHAPE, CcdPlan, render_ccd
from cfht_iqa.mock.conditions import Conditions, draw_conditions
from cfht_iqa.mock.detector import (
    BIAS_ADU,
    FULL_SCALE_ADU,
    GAIN_E_PER_ADU,
    OVERSCAN_PX,
    PIXEL_SCALE_ARCSEC,
    READ_NOISE_E,
)
from cfht_iqa.mock.profiles import StampBank

__all__ = ["FORMATS", "MockPlan", "write_mock"]

FORMATS: Final = ("fits", "fits.fz", "fits.gz")
# Of the first exposure of seed 0; each seed has a thousand numbers of its own.
_FIRST_NUMBER: Final = 9_038_000
_PER_SEED: Final = 1000
# Rounds of the five classes in an observing run; each round is a night.
_PER_RUN: Final = 3
_FIRST_MJD: Final = 52930.25


@dataclass(frozen=True)
class MockPlan:
    """What is to be made.

    Attributes
    ----------
    per_class : int
        Exposures of each class.
    classes : sequence of str
        Which classes.
    n_ccds : int
        CCDs of each exposure, up to 40.
    shape : tuple of int
        Rows and columns of a CCD that see the sky.
    sources_per_ccd : float
        Sources on a CCD of full size, before detection.
    filters : sequence of str
        Filters to choose from; by default all.
    exptime_s : float or None
        Of all exposures; drawn by default.
    layout : str
        ``fits``, ``fits.fz`` (Rice compression) or ``fits.gz``.
    dead : int
        CCD that is dead on every exposure; -1 for none.
    half_dead : int
        CCD whose left half is dead on every exposure; -1 for none.
    star_share : float
        Share of the sources that are stars; the others are galaxies.
    margin : str
        See `draw_conditions`.
    pixel_scale_arcsec : float
        Of all CCDs; another one than MegaCam's stands for another camera.
    seed : int
        Of everything.
    """

    per_class: int = 2
    classes: Sequence[str] = CLASSES
    n_ccds: int = 36
    shape: tuple[int, int] = FULL_SHAPE
    sources_per_ccd: float = 6000.0
    filters: Sequence[str] = ()
    exptime_s: float | None = None
    layout: str = "fits"
    dead: int = -1
    half_dead: int = -1
    star_share: float = 0.6
    margin: str = "clear"
    pixel_scale_arcsec: float = PIXEL_SCALE_ARCSEC
    seed: int = 42


@dataclass(frozen=True)
class _Unit:
    plan: MockPlan
    conditions: Conditions
    number: int
    path: Path
    overwrite: bool


def write_mock(
    folder: Path,
    plan: MockPlan,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Write exposures, ``labels.txt`` and ``truth.json``.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    plan : MockPlan
        What is to be made; the files are the same for the same plan, and named otherwise for
        another seed.
    workers, scheduler
        See `astro_common.jobs.run_units`.
    overwrite, progress : bool
        Replace files that exist; show how far the run has come.

    Returns
    -------
    list of Path
        The exposures.

    Raises
    ------
    ConfigurationError
        If more than 1000 exposures are to be made of one seed.
    OutputError
        If a file exists or cannot be written.
    """
    if len(plan.classes) * plan.per_class > _PER_SEED:
        raise ConfigurationError(
            "--per-class",
            f"{len(plan.classes) * plan.per_class} exposures of one seed",
            f"at most {_PER_SEED}",
            "make the others with another --seed",
        )
    folder.mkdir(parents=True, exist_ok=True)
    first = _FIRST_NUMBER + plan.seed * _PER_SEED
    generator = np.random.default_rng(plan.seed)
    # Numbers were drawn once; without this draw, conditions of a seed would not be what they were.
    generator.integers(900)
    units: dict[str, Any] = {}
    for label in [*plan.classes] * plan.per_class:
        number = first + len(units)
        name = str(generator.choice(list(plan.filters))) if plan.filters else None
        conditions = draw_conditions(
            label,
            generator,
            filter_name=name,
            exptime_s=plan.exptime_s,
            margin=plan.margin,
            pixel_scale_arcsec=plan.pixel_scale_arcsec,
        )
        path = folder / f"{number}o.{plan.layout}"
        units[f"{number}o"] = _Unit(plan, conditions, number, path, overwrite)
    for path in (*(unit.path for unit in units.values()), *map(folder.joinpath, _NOTES)):
        if path.exists() and not overwrite:
            raise OutputError(path, "the file exists", action="give --overwrite to replace it")
    outcome = run_units(
        _write_exposure,
        units,
        workers=workers,
        scheduler=scheduler,
        describe="exposure",
        progress=progress,
    )
    if outcome.failed:
        failure = outcome.failed[0]
        raise OutputError(failure.file or failure.unit, failure.reason)
    lines = [f"{name} {unit.conditions.label}\n" for name, unit in units.items()]
    truth = {
        "synthetic": True,
        "seed": plan.seed,
        "exposures": {name: unit.conditions.as_json() for name, unit in units.items()},
    }
    texts = "".join(lines), json.dumps(truth, indent=1) + "\n"
    for name, text in zip(_NOTES, texts, strict=True):
        with atomic_path(folder / name, overwrite=overwrite) as partial:
            partial.write_text(text, encoding="utf-8")
    return [unit.path for unit in units.values()]


_NOTES: Final = ("labels.txt", "truth.json")


def _write_exposure(unit: _Unit) -> None:
    plan, conditions = unit.plan, unit.conditions
    generator = np.random.default_rng([plan.seed, unit.number])
    banks: dict[bool, StampBank] = {}
    primary = fits.PrimaryHDU()
    _primary_header(primary.header, unit)
    hdus: list[Any] = [primary]
    for ccd in range(plan.n_ccds):
        place = ccd_place(ccd, plan.n_ccds)
        if place.is_rotated not in banks:
            banks[place.is_rotated] = StampBank(conditions, place.is_rotated, generator)
        state = {plan.dead: "dead", plan.half_dead: "left-dead"}.get(ccd, "alive")
        pixels = render_ccd(
            CcdPlan(plan.shape, plan.sources_per_ccd, state, plan.star_share),
            conditions,
            (place.x, place.y),
            banks[place.is_rotated],
            generator,
        )
        compressed = plan.layout == "fits.fz"
        kind = fits.CompImageHDU if compressed else fits.ImageHDU
        options = {"compression_type": "RICE_1"} if compressed else {}
        hdu = kind(pixels, **options)
        _ccd_header(hdu.header, unit, ccd)
        hdus.append(hdu)
    with atomic_path(unit.path, overwrite=unit.overwrite) as partial:
        # The kind of file is known by the suffix, which the partial name lacks.
        named = partial.with_name(f"{partial.name}.{plan.layout}")
        try:
            fits.HDUList(hdus).writeto(named)
            named.replace(partial)
        finally:
            named.unlink(missing_ok=True)


def _primary_header(header: fits.Header, unit: _Unit) -> None:
    conditions = unit.conditions
    header["SYNTHET"] = (True, "made by a simulation, not by a telescope")
    header["ORIGIN"] = f"cfht-iqa {__version__} mock"
    header["DETECTOR"] = "MegaCam"
    header["INSTRUME"] = "MegaPrime"
    header["OBSTYPE"] = "OBJECT"
    header["OBJECT"] = f"mock {conditions.label}"
    header["FILENAME"] = f"{unit.number}o"
    header["EXPNUM"] = unit.number
    run, _, _ = _night(unit.number)
    header["RUNID"] = f"mock{run:02d}"
    header["MJD-OBS"] = (_mjd(unit.number), "[d] start of the exposure, UTC")
    start = Time(header["MJD-OBS"], format="mjd").isot
    header["DATE-OBS"], header["UTC-OBS"] = start.split("T")
    header["FILTER"] = conditions.filter_name
    header["EXPTIME"] = (conditions.exptime_s, "[s]")
    header["PIXSCAL1"] = (unit.plan.pixel_scale_arcsec, "[arcsec/pixel]")
    header["PIXSCAL2"] = (unit.plan.pixel_scale_arcsec, "[arcsec/pixel]")
    header["NEXTEND"] = unit.plan.n_ccds


def _night(number: int) -> tuple[int, int, int]:
    """Observing run of an exposure, night in the run, and place in the night."""
    night, place = divmod((number - _FIRST_NUMBER) % _PER_SEED, len(CLASSES))
    return *divmod(night, _PER_RUN), place


def _mjd(number: int) -> float:
    run, night, place = _night(number)
    return round(_FIRST_MJD + 25.0 * run + night + 0.015 * place, 6)


def _ccd_header(header: fits.Header, unit: _Unit, ccd: int) -> None:
    n_y, n_x = unit.plan.shape
    low, high = OVERSCAN_PX + 1, OVERSCAN_PX + n_x
    # Astropy would write the name in capitals.
    header["EXTNAME"] = f"ccd{ccd:02d}"
    header["EXTVER"] = ccd
    header["SYNTHET"] = (True, "made by a simulation, not by a telescope")
    header["DATASEC"] = f"[{low}:{high},1:{n_y}]"
    header["BIASSEC"] = f"[{high + 1}:{high + OVERSCAN_PX},1:{n_y}]"
    header["GAIN"] = (GAIN_E_PER_ADU, "[electron/ADU]")
    header["RDNOISE"] = (READ_NOISE_E, "[electron]")
    header["SATURATE"] = (FULL_SCALE_ADU, "[ADU]")
    header["PIXSCAL1"] = (unit.plan.pixel_scale_arcsec, "[arcsec/pixel]")
    header["BIASLEV"] = (BIAS_ADU, "[ADU]")
