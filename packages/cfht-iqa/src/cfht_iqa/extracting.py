"""Source catalogues of many exposures, CCD by CCD."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astropy.io import fits

from astro_common.errors import ConfigurationError, InputError, OutputError
from astro_common.fits import open_fits
from astro_common.jobs import Failure, FailureFile, run_units
from astro_common.provenance import fingerprint
from cfht_iqa.extraction import ExtractionSettings, extract_ccd, stellarity_name
from cfht_iqa.extraction.sextractor_engine import find_sextractor
from cfht_iqa.ldac import CcdTable, write_tables
from cfht_iqa.ldac.reading import read_tables
from cfht_iqa.megacam import (
    CcdHeader,
    ExposureHeader,
    exposure_name,
    merged_cards,
    read_ccd,
    read_exposure,
)

__all__ = ["Extracting", "ExtractionOutcome", "extract_exposures"]

logger = logging.getLogger(__name__)

FAILURES_NAME = "failures.jsonl"


@dataclass(frozen=True)
class Extracting:
    """What is to be extracted, and how.

    Attributes
    ----------
    exposures : sequence of Path
        Files.
    output : Path
        Folder of the catalogues; made if it is not there.
    settings : ExtractionSettings
        Engine, threshold and the like.
    layout : str
        ``fits-ldac`` or ``fits-1.0``.
    exptime_s, pixel_scale_arcsec : float or None
        In place of the headers' values.
    workers, scheduler
        See `astro_common.jobs.run_units`.
    overwrite, progress : bool
        Replace catalogues that exist; show how far the run has come.
    """

    exposures: Sequence[Path]
    output: Path
    settings: ExtractionSettings
    layout: str = "fits-ldac"
    exptime_s: float | None = None
    pixel_scale_arcsec: float | None = None
    workers: int = 1
    scheduler: str | None = None
    overwrite: bool = False
    progress: bool = True


@dataclass
class ExtractionOutcome:
    """What came of it.

    Attributes
    ----------
    exposures : list of dict
        ``exposure, catalogue, n_sources, dead, half_dead, skipped`` of each that succeeded.
    failed : list of Failure
        Exposures of which no catalogue was made.
    """

    exposures: list[dict[str, Any]] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class _Unit:
    exposure: ExposureHeader
    ccd: CcdHeader
    settings: ExtractionSettings


def extract_exposures(extracting: Extracting) -> ExtractionOutcome:
    """Find the sources of exposures and write one catalogue for each.

    A catalogue is written when all CCDs of its exposure are done; an exposure of which a CCD fails
    gets none. A sound catalogue of the same input with the same settings is not made again.

    Parameters
    ----------
    extracting : Extracting
        What is to be done.

    Returns
    -------
    ExtractionOutcome
        Failures are also in ``failures.jsonl`` of the output folder.

    Raises
    ------
    ConfigurationError
        If SExtractor is asked for and not installed, or two exposures have one name.
    OutputError
        If a catalogue exists that is of other content, or cannot be written.
    """
    _check(extracting)
    extracting.output.mkdir(parents=True, exist_ok=True)
    failures = FailureFile(extracting.output / FAILURES_NAME, "exposure")
    outcome = ExtractionOutcome()
    waiting: dict[str, ExposureHeader] = {}
    for path in extracting.exposures:
        name = exposure_name(path)
        try:
            header = read_exposure(
                path,
                exptime_s=extracting.exptime_s,
                pixel_scale_arcsec=extracting.pixel_scale_arcsec,
            )
            finished = _finished(header, extracting)
        except InputError as error:
            _fail(outcome, failures, Failure(name, error.source, error.reason))
            continue
        if finished is None:
            waiting[name] = header
        else:
            outcome.exposures.append(finished)
    _Run(extracting, outcome, failures).run(waiting)
    return outcome


def _check(extracting: Extracting) -> None:
    if extracting.settings.engine == "sextractor":
        find_sextractor()
    seen: dict[str, Path] = {}
    for path in extracting.exposures:
        name = exposure_name(path)
        if name in seen:
            raise ConfigurationError(
                "EXPOSURE", f"{seen[name]} and {path}, both named {name}", "one file per exposure"
            )
        seen[name] = path


def _fail(outcome: ExtractionOutcome, failures: FailureFile, failure: Failure) -> None:
    outcome.failed.append(failure)
    failures.add(failure)
    logger.error("exposure %s failed: %s: %s", failure.unit, failure.file, failure.reason)


def _catalogue_path(exposure: ExposureHeader, extracting: Extracting) -> Path:
    return extracting.output / f"{exposure.exposure}.cat.fits"


def _finished(exposure: ExposureHeader, extracting: Extracting) -> dict[str, Any] | None:
    """Describe the catalogue that is there already, if it is what this run would write."""
    path = _catalogue_path(exposure, extracting)
    if extracting.overwrite or not path.exists():
        return None
    now = fingerprint(exposure.path)
    # A catalogue cut short raises here, before anything trusts it.
    tables = list(read_tables(path, ["FLAGS"]))
    with open_fits(path) as file:
        header = file.header(0)
        names = {info.name for info in file.hdus}
    wanted = [
        f"{key} = {json.dumps(value)}" for key, value in extracting.settings.as_json().items()
    ]
    same = (
        header.get("INSIZE") == now["size"]
        and header.get("INSHA") == now["sample_sha256"]
        and header.get("EXPTIME") == exposure.exptime_s
        and header.get("PIXSCAL1") == exposure.pixel_scale_arcsec
        and [str(line) for line in header.get("HISTORY", [])] == wanted
        and ("LDAC_OBJECTS" in names) == (extracting.layout == "fits-ldac")
    )
    if not same:
        raise OutputError(
            path,
            "the file exists, of other content or settings",
            action="give --overwrite to replace it",
        )
    states = {table.ccd: str(table.header.get("CCDSTATE", "alive")) for table in tables}
    count = sum(table.rows.num_rows for table in tables)
    return _description(exposure, path, states, count, skipped=True)


def _description(
    exposure: ExposureHeader, path: Path, states: dict[str, str], count: int, *, skipped: bool
) -> dict[str, Any]:
    return {
        "exposure": exposure.exposure,
        "catalogue": str(path),
        "n_ccds": len(states),
        "n_sources": count,
        "dead": [name for name, state in states.items() if state == "dead"],
        "half_dead": [name for name, state in states.items() if state == "half-dead"],
        "skipped": skipped,
    }


class _Run:
    """Collects the CCDs of each exposure until all are there."""

    def __init__(
        self, extracting: Extracting, outcome: ExtractionOutcome, failures: FailureFile
    ) -> None:
        self._extracting = extracting
        self._outcome = outcome
        self._failures = failures
        self._tables: dict[str, dict[str, CcdTable]] = {}

    def run(self, exposures: dict[str, ExposureHeader]) -> None:
        units: dict[str, _Unit] = {}
        owners: dict[str, ExposureHeader] = {}
        for exposure in exposures.values():
            for ccd in exposure.ccds:
                name = f"{exposure.exposure}[{ccd.name}]"
                units[name] = _Unit(exposure, ccd, self._extracting.settings)
                owners[name] = exposure

        def collect(name: str, table: CcdTable) -> None:
            exposure = owners[name]
            tables = self._tables.setdefault(exposure.exposure, {})
            tables[table.name] = table
            if len(tables) == len(exposure.ccds):
                self._write(exposure, self._tables.pop(exposure.exposure))

        result = run_units(
            _extract_unit,
            units,
            workers=self._extracting.workers,
            scheduler=self._extracting.scheduler,
            describe="CCD",
            on_done=collect,
            progress=self._extracting.progress,
        )
        broken: dict[str, Failure] = {}
        for failure in result.failed:
            name = owners[failure.unit].exposure
            broken.setdefault(name, Failure(name, failure.file, failure.reason))
        for failure in broken.values():
            self._outcome.failed.append(failure)
            self._failures.add(failure)

    def _write(self, exposure: ExposureHeader, tables: dict[str, CcdTable]) -> None:
        path = _catalogue_path(exposure, self._extracting)
        ordered = [tables[ccd.name] for ccd in exposure.ccds]
        write_tables(
            path,
            exposure,
            ordered,
            layout=self._extracting.layout,
            settings=self._extracting.settings.as_json(),
            fingerprint=fingerprint(exposure.path),
            overwrite=self._extracting.overwrite,
        )
        self._failures.discard(exposure.exposure)
        states = {table.name: table.state for table in ordered}
        count = sum(len(table.sources["X_IMAGE"]) for table in ordered)
        if count == 0:
            logger.warning("%s: no source on any CCD", exposure.path)
        self._outcome.exposures.append(_description(exposure, path, states, count, skipped=False))


def _extract_unit(unit: _Unit) -> CcdTable:
    exposure, header = unit.exposure, unit.ccd
    with open_fits(exposure.path) as file:
        ccd = read_ccd(file, header)
    sources = extract_ccd(
        ccd,
        unit.settings,
        pixel_scale_arcsec=exposure.pixel_scale_arcsec,
        saturation_adu=exposure.saturation_adu,
        source=exposure.path,
    )
    cards: fits.Header = merged_cards(exposure.path, header)
    name = stellarity_name(unit.settings.engine)
    return CcdTable(ccd.name, ccd.state.name, cards, header.shape, sources, name)
