"""Many light curves into one shard."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from astro_common.atomic import atomic_path
from astro_common.errors import AstroError, ConfigurationError, InputError, OutputError
from astro_common.jobs import Failure, FailureFile, run_units
from scone_io.example.event import Event, serialise_event
from scone_io.extinction import ccm89
from scone_io.grid import GridSpec, write_sidecar
from scone_io.light_curve_tables import is_csv, read_csv_light_curves
from scone_io.light_curves import SURVEY_WAVELENGTHS, LightCurve
from scone_io.making.heatmaps import PAD_BAND, HeatmapError, Recipe, make_heatmap
from scone_io.snana import DEFAULT_ZERO_POINT_MAG, open_head, phot_path, read_light_curves
from scone_io.tfrecord.writing import RecordWriter, record_writer

__all__ = ["Making", "Outcome", "make_shard"]

logger = logging.getLogger(__name__)

# Events that one process works on at a time, and that are read before any is written.
_UNIT_EVENTS = 16
_ROUND_EVENTS = 4096

_MAX_FLOAT32 = float(np.finfo(np.float32).max)
_INTEGER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True)
class Making:
    """What is to be made, and how.

    Attributes
    ----------
    heads : sequence of Path
        HEAD files.
    output : Path
        The shard.
    grid : GridSpec
    wavelengths : mapping of str to float or None
        Mean wavelength by band; by default those of the survey that the HEAD file names.
    survey : str or None
        In place of the HEAD file's.
    optimize, extinction, days_after_trigger
        See `scone_io.making.heatmaps.Recipe`.
    sn_ia_types : frozenset of int or None
        See `scone_io.snana.read_light_curves`.
    workers, scheduler
        See `astro_common.jobs.run_units`.
    overwrite : bool
        Replace outputs that exist.
    progress : bool
        Show how far the run has come.
    """

    heads: Sequence[Path]
    output: Path
    grid: GridSpec
    wavelengths: Mapping[str, float] | None = None
    survey: str | None = None
    optimize: bool = True
    extinction: str = "physical"
    days_after_trigger: float | None = None
    sn_ia_types: frozenset[int] | None = None
    workers: int = 1
    scheduler: str | None = None
    overwrite: bool = False
    progress: bool = True

    @property
    def names(self) -> Path:
        """Where the names of events without a number are kept."""
        return self.output.with_name(self.output.name + ".snids.csv")

    @property
    def failures(self) -> Path:
        """Where the events that failed are listed."""
        return self.output.with_name("failures.jsonl")


@dataclass
class Outcome:
    """What a run has made.

    Attributes
    ----------
    records : int
    failed : list of Failure
    names : list of (int, str)
        Number and name of the events whose name is no number.
    snids : set of str
        Names of the events that are in the shard.
    """

    records: int = 0
    snids: set[str] = field(default_factory=set)
    failed: list[Failure] = field(default_factory=list)
    names: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Task:
    curve: LightCurve
    recipe: Recipe
    file: str


def make_shard(making: Making) -> Outcome:
    """Make a shard of light curves; its records are in their order.

    Parameters
    ----------
    making : Making

    Returns
    -------
    Outcome
        Events of which no heatmap can be made are listed in it and in ``failures.jsonl``.

    Raises
    ------
    ConfigurationError
        If the wavelengths of the bands are not known, or the grid is beyond the extinction law.
    InputError
        If a file is missing or damaged.
    OutputError
        If an output exists or cannot be written.
    """
    for path in (making.output, making.names):
        if path.exists() and not making.overwrite:
            raise OutputError(path, "the file exists", action="give --overwrite to replace it")
    if making.extinction != "none":
        ccm89(making.grid.wavelengths)  # refuses wavelengths that the law does not cover
    recipes = [_recipe(head, making) for head in making.heads]
    outcome = Outcome()
    taken: set[int] = set()
    with record_writer(making.output, overwrite=making.overwrite) as writer:
        tasks = _tasks(making, recipes, outcome)
        while batch := list(islice(tasks, _ROUND_EVENTS)):
            _round(batch, making, writer, outcome, taken)
    notes: dict[str, Any] = {
        "kernel_optimized": making.optimize,
        "extinction": making.extinction,
        "days_after_trigger": making.days_after_trigger,
        "band_wavelengths_angstrom": {
            str(head): dict(recipe.wavelengths)
            for head, recipe in zip(making.heads, recipes, strict=True)
        },
    }
    if any(open_head(head).synthetic for head in making.heads if not is_csv(head)):
        notes["synthetic"] = True
    write_sidecar(making.output, making.grid.with_notes(**notes), overwrite=True)
    _write_names(making, outcome)
    _write_failures(making, outcome)
    return outcome


def _recipe(head: Path, making: Making) -> Recipe:
    survey, zero_point, simulated = "", DEFAULT_ZERO_POINT_MAG, True
    if not is_csv(head):
        found = open_head(head)
        survey, zero_point, simulated = found.survey, found.zero_point_mag, found.simulated
        if not phot_path(head).exists():
            raise InputError(phot_path(head), "no such file", f"the PHOT file of {head.name}")
    if not simulated and making.sn_ia_types is None:
        logger.warning("%s: real data: every label is 0, which means unknown; see --ia-types", head)
    wavelengths = making.wavelengths
    if wavelengths is None:
        name = (making.survey or survey).upper()
        wavelengths = SURVEY_WAVELENGTHS.get(name)
        if wavelengths is None:
            raise ConfigurationError(
                head,
                f"survey {name!r}, whose bands are not known",
                f"one of {', '.join(SURVEY_WAVELENGTHS)}",
                "give --band-wavelengths or --survey",
            )
    if PAD_BAND not in wavelengths:
        if "R" not in wavelengths:
            found_bands = ", ".join(wavelengths)
            raise ConfigurationError(
                "--band-wavelengths", found_bands, f"also {PAD_BAND}, for the points of no flux"
            )
        wavelengths = {**wavelengths, PAD_BAND: wavelengths["R"]}
    return Recipe(
        grid=making.grid,
        wavelengths=wavelengths,
        optimize=making.optimize,
        extinction=making.extinction,
        days_after_trigger=making.days_after_trigger,
        flux_scale=10.0 ** (0.4 * (making.grid.zero_point_mag - zero_point)),
    )


def _tasks(making: Making, recipes: Sequence[Recipe], outcome: Outcome) -> Iterator[_Task]:
    row = 0
    for head, recipe in zip(making.heads, recipes, strict=True):
        options: dict[str, Any] = {"first_row": row, "sn_ia_types": making.sn_ia_types}
        if is_csv(head):
            curves = read_csv_light_curves(head, **options)
        else:
            curves = read_light_curves(open_head(head), **options)
        for curve in curves:
            row += 1
            if isinstance(curve, AstroError):
                snid = curve.found.removeprefix("SNID ").partition(":")[0]
                outcome.failed.append(Failure(snid, curve.source, curve.reason))
            else:
                yield _Task(curve, recipe, str(head))


def _round(
    batch: list[_Task], making: Making, writer: RecordWriter, outcome: Outcome, taken: set[int]
) -> None:
    """Make some thousand events; results that arrive early wait for their turn."""
    units = {
        str(place): batch[place : place + _UNIT_EVENTS]
        for place in range(0, len(batch), _UNIT_EVENTS)
    }
    done: dict[str, list[bytes | str]] = {}
    order = iter(units)
    turn = next(order)

    def collect(name: str, result: list[bytes | str]) -> None:
        nonlocal turn
        done[name] = result
        while turn in done:
            _write(units[turn], done.pop(turn), writer, outcome, taken)
            turn = next(order, "")

    ended = run_units(
        _make_events,
        units,
        workers=making.workers,
        scheduler=making.scheduler,
        describe="events",
        on_done=collect,
        progress=making.progress,
    )
    # A process that died took its events with it: they failed, and those after them go on.
    for failure in ended.failed:
        done[failure.unit] = [failure.reason] * len(units[failure.unit])
    while turn:
        _write(units[turn], done.pop(turn), writer, outcome, taken)
        turn = next(order, "")


def _make_events(tasks: list[_Task]) -> list[bytes | str]:
    """The records of some events; the reason in place of one that failed."""
    made: list[bytes | str] = []
    for task in tasks:
        curve = task.curve
        try:
            _check_redshift(curve)
            image = make_heatmap(curve, task.recipe)
        except HeatmapError as error:
            made.append(str(error))
            continue
        event = Event(event_number(curve), curve.label, curve.z, curve.z_err, image)
        made.append(serialise_event(event))
    return made


def _check_redshift(curve: LightCurve) -> None:
    for value in (curve.z, curve.z_err):
        if value is not None and abs(value) > _MAX_FLOAT32:
            raise HeatmapError(f"a redshift or its error of {value:g}, which no record can hold")


def event_number(curve: LightCurve) -> int:
    """The id of an event: its name if that is a number of 64 bits, else its row."""
    return int(curve.snid) if _is_number(curve.snid) else curve.row


def _write(
    tasks: list[_Task],
    results: list[bytes | str],
    writer: RecordWriter,
    outcome: Outcome,
    taken: set[int],
) -> None:
    for task, result in zip(tasks, results, strict=True):
        if isinstance(result, str):
            logger.warning("SNID %s: %s", task.curve.snid, result)
            outcome.failed.append(Failure(task.curve.snid, task.file, result))
            continue
        number = event_number(task.curve)
        if number in taken:
            logger.warning("SNID %s: id %d occurs more than once", task.curve.snid, number)
        taken.add(number)
        if not _is_number(task.curve.snid):
            outcome.names.append((number, task.curve.snid))
        writer.write(result)
        outcome.snids.add(task.curve.snid)
        outcome.records += 1


def _is_number(text: str) -> bool:
    # Python's own int() also reads 1_000 and digits of other scripts.
    return _INTEGER.fullmatch(text) is not None and -(1 << 63) <= int(text) < 1 << 63


def _write_names(making: Making, outcome: Outcome) -> None:
    if not outcome.names:
        making.names.unlink(missing_ok=True)
        return
    with (
        atomic_path(making.names, overwrite=True) as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("id", "snid"))
        lines.writerows(outcome.names)


def _write_failures(making: Making, outcome: Outcome) -> None:
    listed = FailureFile(making.failures, "event")
    # Other entries are of other shards in this folder.
    for unit in listed.units:
        if unit in outcome.snids:
            listed.discard(unit)
    for failure in outcome.failed:
        listed.add(failure)
