"""One field from its inputs to its file, and a run of many fields."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.atomic import remove_partials
from astro_common.errors import AstroError, InputError
from astro_common.fits import open_fits
from astro_common.jobs import Outcome, run_units
from astro_common.parquet import ColumnOptions, ParquetWriter, check_parquet
from astro_common.provenance import fingerprint, provenance, same_content
from splus_hypercube.assemble import FieldCutouts, iter_row_groups, rows_per_group
from splus_hypercube.bands import BAND_NAMES
from splus_hypercube.catalogues import open_catalogue
from splus_hypercube.configuration import Configuration
from splus_hypercube.fields import Field
from splus_hypercube.inputs import cutout_rows, field_images, field_inputs, field_target
from splus_hypercube.schema import METADATA_KEY, SCHEMA_VERSION, RunSchema
from splus_hypercube.scratch import Scratch
from splus_hypercube.surveys import SurveyMatches, Target, configured_surveys
from splus_hypercube.surveys.splus import image_summary, list_images

__all__ = ["Run", "build_field", "build_fields"]

logger = logging.getLogger(__name__)

_DISTRIBUTION = "splus-hypercube"


@dataclass(frozen=True)
class Run:
    """What is common to all fields of a run.

    Attributes
    ----------
    configuration : Configuration
    schema : RunSchema
        Columns of every file.
    """

    configuration: Configuration
    schema: RunSchema


def build_fields(
    run: Run,
    fields: Sequence[Field],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    overwrite: bool = False,
) -> Outcome:
    """Build the hypercubes of some fields, each by itself.

    Parameters
    ----------
    run : Run
    fields : sequence of Field
    workers : int
        Local processes.
    scheduler : str, optional
        Address of a Dask scheduler that takes the place of local processes.
    overwrite : bool
        Build also fields whose file is up to date.

    Returns
    -------
    Outcome
        Fields done, skipped (their file is whole and made from the same inputs) and failed.

    Raises
    ------
    OSError
        If the output folder cannot be made.
    """
    output = run.configuration.output
    output.mkdir(parents=True, exist_ok=True)
    units = {field.name: (run, field) for field in fields}

    def is_done(name: str) -> bool:
        return not overwrite and _is_current(run, units[name][1])

    return run_units(
        _build_unit,
        units,
        workers=workers,
        scheduler=scheduler,
        failures=output / "failures.jsonl",
        describe="field",
        is_done=is_done,
    )


def _build_unit(unit: tuple[Run, Field]) -> dict[str, Any]:
    return build_field(*unit)


def build_field(run: Run, field: Field) -> dict[str, Any]:
    """Build one field's hypercube and put it in its place.

    Parameters
    ----------
    run : Run
    field : Field

    Returns
    -------
    dict
        The JSON of the file's footer.

    Raises
    ------
    InputError
        If an input is missing or damaged; no file is written then.
    ConfigurationError
        If ``cutouts.rows`` cannot be applied to the catalogue.
    OutputError
        If the file cannot be written.
    """
    configuration = run.configuration
    path = configuration.cube_path(field.name)
    remove_partials(path.parent, path.name)
    for error in run.schema.unreadable.values():
        # A copy, since raising adds the traceback to the error, which all fields share.
        raise InputError(error.source, error.found, error.expected, error.action)
    surveys = configured_surveys(configuration)
    catalogue_path = configuration.catalogue_path(field.name)
    with Scratch(configuration.output) as scratch, open_catalogue(catalogue_path) as catalogue:
        images = field_images(configuration, field)
        target = field_target(configuration, run.schema, field, catalogue, images, scratch)
        inputs = field_inputs(configuration, surveys, target, images)
        # Before they are read: should one change meanwhile, the next run sees that it did.
        record = provenance(_DISTRIBUTION, _settings(configuration), inputs)
        matches: dict[str, SurveyMatches] = {}
        for survey in surveys:
            schema = run.schema.surveys[survey.name]
            matches[survey.name] = survey.match(target, schema, matches)
        cutouts = None
        if configuration.splus.images:
            requested = cutout_rows(configuration, catalogue, catalogue_path, matches)
            size_px = configuration.cutouts.size_px
            cutouts = FieldCutouts(images, target, requested, size_px)
        metadata = _metadata(configuration, target, images, matches, record)
        group_rows = rows_per_group(run.schema)
        with ParquetWriter(
            path,
            run.schema.schema,
            metadata={METADATA_KEY: metadata},
            overwrite=True,
            column_options=_column_options,
            direct=True,
        ) as writer:
            groups = iter_row_groups(run.schema, target, catalogue, cutouts, matches, group_rows)
            _write_behind(writer, groups)
    return metadata


def _write_behind(writer: ParquetWriter, groups: Iterable[pa.Table]) -> None:
    """Write row groups in order, each while the next one is made.

    Two groups exist at a time: encoding and the disk take as long as reading and cutting.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="write") as thread:
        pending: Future[None] | None = None
        for table in groups:
            if pending is not None:
                pending.result()
            pending = thread.submit(writer.write, table)
        if pending is not None:
            pending.result()


def _column_options(field: pa.Field) -> ColumnOptions | None:
    # DESI's wavelengths are the same in every row: a dictionary holds them once per row group.
    return ColumnOptions(dictionary=True) if field.name.startswith("desi_wave_") else None


def _metadata(
    configuration: Configuration,
    target: Target,
    images: Mapping[str, Path | None],
    matches: Mapping[str, SurveyMatches],
    record: Mapping[str, Any],
) -> dict[str, Any]:
    """The JSON of the footer; `record` is the provenance of the inputs."""
    splus = {"rows": len(target), "epoch_jyear": target.epoch_jyear}
    # Without the time: the same inputs give the same bytes, on whatever machine and day.
    origin = {key: value for key, value in record.items() if key != "created"}
    origin["missing_bands"] = [band for band, path in images.items() if path is None]
    return {
        "schema_version": SCHEMA_VERSION,
        "field": target.field,
        "synthetic": _is_synthetic(configuration.catalogue_path(target.field)),
        "bands": list(images),
        "cutout_size_px": configuration.cutouts.size_px if images else None,
        "images": {band: image_summary(path) for band, path in images.items() if path is not None},
        "surveys": {
            "splus": splus,
            **{name: survey.statistics for name, survey in matches.items()},
        },
        "provenance": origin,
    }


def _is_synthetic(catalogue_path: Path) -> bool:
    """Whether the S-PLUS catalogue's headers say that it is simulated."""
    if catalogue_path.name.endswith((".fits", ".fits.gz")):
        with open_fits(catalogue_path) as file:
            return any(bool(hdu.header.get("SYNTHET", False)) for hdu in file.hdus)
    return False


def _settings(configuration: Configuration) -> dict[str, Any]:
    """The part of the configuration that decides what a file holds."""
    return configuration.model_dump(mode="json", exclude={"fields", "exclude_fields", "output"})


def _is_current(run: Run, field: Field) -> bool:
    """Whether a field's file is whole and was made from these inputs and this configuration."""
    path = run.configuration.cube_path(field.name)
    if not path.exists():
        return False
    try:
        recorded = check_parquet(path).get(METADATA_KEY, {})
        schema = pq.read_schema(path)
        images = {
            image.band: image.path
            for image in list_images(run.configuration, field.name, BAND_NAMES)
        }
        with open_catalogue(run.configuration.catalogue_path(field.name)) as catalogue:
            scratch = Scratch(run.configuration.output)
            target = field_target(run.configuration, run.schema, field, catalogue, images, scratch)
        surveys = configured_surveys(run.configuration)
        paths = field_inputs(run.configuration, surveys, target, images)
        now = {str(item): fingerprint(item) for item in paths}
    except AstroError as error:
        logger.warning("%s is built again: %s", path, error)
        return False
    reason = _difference(recorded, schema, run, now)
    if reason:
        logger.warning("%s is built again: %s", path, reason)
    return not reason


def _difference(
    recorded: Mapping[str, Any], schema: pa.Schema, run: Run, now: Mapping[str, Any]
) -> str:
    """How a file differs from what a build would give now; empty if it does not."""
    if recorded.get("schema_version") != SCHEMA_VERSION:
        return f"its schema version is {recorded.get('schema_version')}, not {SCHEMA_VERSION}"
    if not schema.equals(run.schema.schema):
        return "its columns are not those of this run"
    record = recorded.get("provenance", {})
    if record.get("configuration") != _settings(run.configuration):
        return "it was made with another configuration"
    before = {item["path"]: item for item in record.get("inputs", [])}
    for path in sorted(before.keys() | now.keys()):
        if path not in now or path not in before:
            return f"the input {path} is {'new' if path in now else 'no longer used'}"
        same_time = before[path].get("mtime_ns") == now[path]["mtime_ns"]
        if not (same_time and same_content(before[path], now[path])):
            return f"the input {path} has changed"
    return ""
