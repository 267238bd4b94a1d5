"""Representative images of many exposures in one Parquet file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from astro_common.errors import InputError, OutputError
from astro_common.fits import open_fits
from astro_common.jobs import Failure, run_units
from astro_common.parquet import ParquetWriter, parquet_errors, read_metadata
from astro_common.provenance import provenance
from cfht_iqa.features import raw_features
from cfht_iqa.megacam import exposure_name, read_ccd, read_exposure
from cfht_iqa.quality import CcdQuality, measure_quality
from cfht_iqa.representatives import FILE_NAME, CcdSources, Representative, choose, schema
from cfht_iqa.som.files import TrainedMap, load_map
from cfht_iqa.summary import SUMMARY_NAME, measured_columns, summary_schema

__all__ = ["Representing", "represent_exposures"]

logger = logging.getLogger(__name__)

SCHEMA_VERSION: Final = "1.1"


@dataclass(frozen=True)
class Representing:
    """What is to be made, and how.

    Attributes
    ----------
    exposures : sequence of Path
        Files.
    catalogue, som : Path
        Made by `build_catalogue` and `train_map`.
    output : Path
        Folder; made if it is not there.
    pick : str
        ``largest``, ``centroid`` or ``random``.
    seed : int
        Of ``random``.
    exptime_s, pixel_scale_arcsec : float or None
        In place of the headers' values.
    workers, scheduler, overwrite, progress
        As of `Extracting`.
    """

    exposures: Sequence[Path]
    catalogue: Path
    som: Path
    output: Path
    pick: str = "largest"
    seed: int = 42
    exptime_s: float | None = None
    pixel_scale_arcsec: float | None = None
    workers: int = 1
    scheduler: str | None = None
    overwrite: bool = False
    progress: bool = True


@dataclass(frozen=True)
class _Unit:
    path: Path
    representing: Representing


@dataclass(frozen=True, eq=False)
class _Row:
    ccd: str
    state: str
    representative: Representative
    quality: CcdQuality
    exptime_s: float
    pixel_scale_arcsec: float
    shape: tuple[int, int]
    filter_name: str | None
    runid: str | None
    synthetic: bool


def represent_exposures(representing: Representing) -> tuple[dict[str, Any], list[Failure]]:
    """Make the representative images of exposures.

    Parameters
    ----------
    representing : Representing
        What is to be done.

    Returns
    -------
    dict
        ``n_exposures, n_ccds, image_pixels``.
    list of Failure
        Exposures of which nothing is in the output, also listed in ``failures.jsonl``.

    Raises
    ------
    InputError
        If catalogue or map are damaged, or no exposure could be used.
    OutputError
        If an output exists or cannot be written.
    """
    output = representing.output
    path, summary_path = output / FILE_NAME, output / SUMMARY_NAME
    for place in (path, summary_path):
        if place.exists() and not representing.overwrite:
            raise OutputError(place, "the file exists", action="give --overwrite to replace it")
    trained = load_map(representing.som)
    notes = read_metadata(representing.catalogue)
    output.mkdir(parents=True, exist_ok=True)
    units = {exposure_name(item): _Unit(item, representing) for item in representing.exposures}
    counts = {"n_exposures": 0, "n_ccds": 0, "image_pixels": 0}
    synthetic: set[str] = set()
    image_schema = schema(trained.n_clusters, trained.som.n_nodes)
    overwrite = representing.overwrite
    with (
        ParquetWriter(path, image_schema, overwrite=overwrite) as images,
        ParquetWriter(summary_path, summary_schema(), overwrite=overwrite) as summary,
    ):
        waiting: dict[str, list[_Row]] = {}
        order = list(units)

        def write(name: str, rows: list[_Row]) -> None:
            if any(row.synthetic for row in rows):
                synthetic.add(name)
            # Rows stand in the order of the exposures, whichever worker was first.
            waiting[name] = rows
            while order and order[0] in waiting:
                first = order.pop(0)
                _write(images, summary, first, waiting.pop(first), counts)

        outcome = run_units(
            _represent,
            units,
            workers=representing.workers,
            scheduler=representing.scheduler,
            failures=output / "failures.jsonl",
            describe="exposure",
            on_done=write,
            progress=representing.progress,
        )
        for name in order:
            if name in waiting:
                _write(images, summary, name, waiting.pop(name), counts)
        if not counts["n_exposures"]:
            reason = outcome.failed[0].reason if outcome.failed else "none was given"
            raise InputError(representing.exposures[0], f"no exposure could be used: {reason}")
        metadata = {
            "schema_version": SCHEMA_VERSION,
            "pick": representing.pick,
            "seed": representing.seed,
            "synthetic": bool(synthetic),
            "extraction": notes.get("extraction", []),
            "provenance": provenance(
                "cfht-iqa",
                {"pick": representing.pick, "seed": representing.seed},
                [representing.catalogue],
            ),
        }
        images.metadata |= metadata
        summary.metadata |= metadata
    return counts, outcome.failed


def _represent(unit: _Unit) -> list[_Row]:
    asked = unit.representing
    trained = load_map(asked.som)
    exposure = read_exposure(
        unit.path, exptime_s=asked.exptime_s, pixel_scale_arcsec=asked.pixel_scale_arcsec
    )
    with parquet_errors(asked.catalogue):
        table = pq.read_table(
            asked.catalogue,
            columns=_columns(trained),
            filters=[("exposure", "==", exposure.exposure)],
        )
    if not table.num_rows:
        raise InputError(
            asked.catalogue, f"no source of exposure {exposure.exposure}", "its catalogue in it"
        )
    rows = []
    with open_fits(unit.path) as file:
        for header in exposure.ccds:
            ccd = read_ccd(file, header)
            part = table.filter(pc.equal(table["ccd"], ccd.name))
            sources = _ccd_sources(part, exposure.exposure, ccd.name, trained)
            chosen = choose(sources, ccd.pixels, trained, pick=asked.pick, seed=asked.seed)
            measured = measure_quality(
                ccd.pixels,
                _quality_columns(part),
                pixel_scale_arcsec=exposure.pixel_scale_arcsec,
                bias_adu=ccd.overscan_adu,
                state=ccd.state,
            )
            rows.append(
                _Row(
                    ccd.name,
                    ccd.state.name,
                    chosen,
                    measured,
                    exposure.exptime_s,
                    exposure.pixel_scale_arcsec,
                    ccd.pixels.shape,
                    exposure.filter_name,
                    exposure.runid,
                    exposure.synthetic,
                )
            )
    return rows


_ALWAYS: Final = ("exposure", "ccd", "x_image", "y_image", "iso0", "background", "flags")


def _columns(trained: TrainedMap) -> list[str]:
    return list(dict.fromkeys([*_ALWAYS, *trained.scaling.features]))


def _ccd_sources(table: pa.Table, exposure: str, ccd: str, trained: TrainedMap) -> CcdSources:
    """Take the sources of a CCD from the rows of a catalogue."""
    values = raw_features(table, ["x_image", "y_image", "iso0", "background"])
    return CcdSources(
        exposure,
        ccd,
        values["x_image"],
        values["y_image"],
        values["iso0"],
        values["background"],
        raw_features(table, trained.scaling.features),
    )


def _quality_columns(table: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """Take what `measure_quality` needs from the rows of a catalogue; no flag is flag 0."""
    values = raw_features(table, ["x_image", "y_image", "iso0", "background", "flags"])
    return {
        "X_IMAGE": values["x_image"],
        "Y_IMAGE": values["y_image"],
        "ISO0": values["iso0"],
        "BACKGROUND": values["background"],
        "FLAGS": np.nan_to_num(values["flags"]).astype(np.int32),
    }


def _write(
    images: ParquetWriter,
    summary: ParquetWriter,
    exposure: str,
    rows: list[_Row],
    counts: dict[str, Any],
) -> None:
    chosen = [row.representative for row in rows]
    kinds = images.schema

    def lists(name: str, values: list[Any]) -> pa.Array:
        kind = kinds.field(name).type
        flat = [
            None if value is None else [None if np.isnan(item) else item for item in value.tolist()]
            for value in values
        ]
        return pa.array(flat, kind)

    pixels = np.concatenate([item.image.ravel() for item in chosen])
    kind = kinds.field("image").type
    columns = {
        "exposure": pa.array([exposure] * len(rows)),
        "ccd": pa.array([row.ccd for row in rows]),
        "image": pa.FixedSizeListArray.from_arrays(pa.array(pixels, pa.float32()), type=kind),
        "cluster_hits": lists("cluster_hits", [item.cluster_hits for item in chosen]),
        "node_hits": lists("node_hits", [item.node_hits for item in chosen]),
        "n_sources": pa.array([item.n_sources for item in chosen], pa.int32()),
        "cutout_x": lists("cutout_x", [item.x for item in chosen]),
        "cutout_y": lists("cutout_y", [item.y for item in chosen]),
        "cutout_background": lists("cutout_background", [item.background for item in chosen]),
    }
    images.write(pa.table(columns, schema=kinds))
    records = [
        {
            "exposure": exposure,
            "ccd": row.ccd,
            "state": row.state,
            "exptime_s": row.exptime_s,
            "pixel_scale_arcsec": row.pixel_scale_arcsec,
            "n_x": row.shape[1],
            "n_y": row.shape[0],
            "filter": row.filter_name,
            "runid": row.runid,
            **measured_columns(row.quality),
        }
        for row in rows
    ]
    summary.write(pa.Table.from_pylist(records, schema=summary.schema))
    counts["n_exposures"] += 1
    counts["n_ccds"] += len(rows)
    counts["image_pixels"] = chosen[0].image.size
