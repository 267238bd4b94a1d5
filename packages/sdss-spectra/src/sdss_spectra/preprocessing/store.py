"""Cleaned spectra of a whole data set in one Parquet or HDF5 file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from astro_common.arrow_fields import described
from astro_common.atomic import atomic_path
from astro_common.errors import ConfigurationError
from astro_common.jsonable import json_text
from astro_common.parquet import ParquetWriter
from astro_common.provenance import versions
from sdss_spectra.files import SpectrumFile
from sdss_spectra.preprocessing.log import log_rows
from sdss_spectra.preprocessing.steps import Preprocessing, Step, clean
from sdss_spectra.spectrum import Spectrum
from sdss_spectra.survey import Account, each_spectrum

__all__ = ["cleaned_record", "write_store"]

SCHEMA_VERSION: Final = 1
_ROWS_PER_GROUP: Final = 128


def cleaned_record(
    spectrum: Spectrum, spec_id: str, path: str, settings: Preprocessing, with_steps: bool
) -> dict[str, Any]:
    """One spectrum as the store keeps it, with its steps."""
    cleaned = clean(spectrum, settings, with_steps=with_steps)
    flux, ivar, mask = cleaned.single_precision()
    return {
        "spec_id": spec_id,
        "source_path": path,
        "flux": flux,
        "ivar": ivar,
        "mask": mask,
        "steps": cleaned.steps,
    }


def write_store(
    files: Sequence[SpectrumFile],
    output: Path,
    settings: Preprocessing,
    *,
    workers: int,
    overwrite: bool,
    failures: Path,
    timestamp: str,
    log: Callable[[dict[str, Any]], None] | None = None,
) -> Account:
    """Clean all spectra and write them, a few hundred in memory at a time.

    Parameters
    ----------
    files : sequence of SpectrumFile
        The data set.
    output : Path
        ``.parquet``: a row per spectrum, with lists ``flux``, ``ivar`` (float32) and ``mask``;
        ``.h5`` or ``.hdf5``: datasets of these names with shape (n_spectra, n_pixels).
    settings : Preprocessing
        What is done.
    workers : int
        Local processes.
    overwrite : bool
        Replace a store that exists.
    failures : Path
        List of the files that failed.
    timestamp : str
        For the log.
    log : callable, optional
        Takes the rows of the preprocessing log, one by one.

    Raises
    ------
    ConfigurationError
        Another extension.
    OutputError
        The store cannot be written.
    """
    account = Account()
    function = partial(cleaned_record, settings=settings, with_steps=log is not None)

    def run(keep: Callable[[dict[str, Any]], None]) -> None:
        def consume(record: dict[str, Any]) -> None:
            steps: list[Step] = record.pop("steps")
            if log is not None:
                for row in log_rows(record["spec_id"], steps, timestamp):
                    log(row)
            keep(record)

        each_spectrum(files, function, account, failures=failures, workers=workers, consume=consume)

    suffix = output.suffix.lower()
    if suffix in (".parquet", ".pq"):
        _write_parquet(output, settings, overwrite, run)
    elif suffix in (".h5", ".hdf5"):
        _write_hdf5(output, settings, overwrite, run)
    else:
        raise ConfigurationError(str(output), f"extension {suffix!r}", ".parquet, .h5 or .hdf5")
    return account


def _metadata(settings: Preprocessing) -> dict[str, Any]:
    """What both kinds of store say of themselves; no time, so that equal runs are equal bytes."""
    grid = settings.grid
    return {
        "schema_version": SCHEMA_VERSION,
        "loglam_start": grid.loglam_start,
        "loglam_step": grid.loglam_step,
        "n_pixels": grid.n_pixels,
        "preprocessing": settings.as_dict(),
        "versions": versions("sdss-spectra"),
    }


def _write_parquet(
    output: Path,
    settings: Preprocessing,
    overwrite: bool,
    run: Callable[[Callable[[dict[str, Any]], None]], None],
) -> None:
    unit = "" if settings.normalise else "as in the file"
    schema = pa.schema(
        [
            described("spec_id", pa.string(), description="identifier of the spectrum"),
            described("source_path", pa.string(), description="file of the spectrum"),
            described("flux", pa.list_(pa.float32()), unit=unit, description="flux on the grid"),
            described("ivar", pa.list_(pa.float32()), description="inverse variance; 0: no data"),
            described("mask", pa.list_(pa.bool_()), description="True where there is no good data"),
        ],
    )
    waiting: list[dict[str, Any]] = []
    metadata = _metadata(settings)
    with ParquetWriter(output, schema, metadata=metadata, overwrite=overwrite) as writer:

        def flush() -> None:
            if waiting:
                writer.write(_as_table(waiting, schema))
                waiting.clear()

        def keep(record: dict[str, Any]) -> None:
            waiting.append(record)
            if len(waiting) >= _ROWS_PER_GROUP:
                flush()

        run(keep)
        flush()


def _as_table(records: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    arrays: list[pa.Array] = []
    for field in schema:
        values = [record[field.name] for record in records]
        if pa.types.is_list(field.type):
            offsets = np.cumsum([0, *(len(value) for value in values)]).astype(np.int32)
            flat = pa.array(np.concatenate(values), field.type.value_type)
            arrays.append(pa.ListArray.from_arrays(offsets, flat, type=field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _write_hdf5(
    output: Path,
    settings: Preprocessing,
    overwrite: bool,
    run: Callable[[Callable[[dict[str, Any]], None]], None],
) -> None:
    import h5py

    n_pixels = settings.grid.n_pixels
    # No time stamps, so that equal content is equal bytes; `atomic_path` holds the lock already.
    with (
        atomic_path(output, overwrite=overwrite) as partial_path,
        h5py.File(partial_path, "w", locking=False) as file,
    ):
        for key, value in _metadata(settings).items():
            file.attrs[key] = json_text(value) if isinstance(value, dict) else value
        arrays = {
            name: file.create_dataset(
                name,
                (0, n_pixels),
                dtype,
                maxshape=(None, n_pixels),
                chunks=(16, n_pixels),
                track_times=False,
            )
            for name, dtype in (("flux", "f4"), ("ivar", "f4"), ("mask", "?"))
        }
        texts = {
            name: file.create_dataset(
                name, (0,), h5py.string_dtype(), maxshape=(None,), chunks=(256,),
                track_times=False,
            )
            for name in ("spec_id", "source_path")
        }  # fmt: skip

        def keep(record: dict[str, Any]) -> None:
            count = arrays["flux"].shape[0]
            for name, dataset in (*arrays.items(), *texts.items()):
                dataset.resize(count + 1, axis=0)
                dataset[count] = record[name]

        run(keep)
