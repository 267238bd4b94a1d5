"""The whole report: Tables A to D, Figures 1 to 5, one page."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from astro_common.atomic import atomic_path
from astro_common.errors import InputError, OutputError
from sdss_spectra.ablation import COLUMNS as ABLATION_COLUMNS
from sdss_spectra.dataset import Dataset, load_dataset
from sdss_spectra.files import SpectrumFile, find_files, row_id
from sdss_spectra.labels.catalogue import Catalogue
from sdss_spectra.linelist import COLUMNS as LINE_COLUMNS
from sdss_spectra.linelist import line_list
from sdss_spectra.metadata import COLUMNS as METADATA_COLUMNS
from sdss_spectra.metadata import Declared, metadata_row
from sdss_spectra.model.classifier import Model
from sdss_spectra.model.files import load_model
from sdss_spectra.model.run_folder import read_history
from sdss_spectra.preprocessing.log import COLUMNS as LOG_COLUMNS
from sdss_spectra.preprocessing.log import log_rows
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.preprocessing.store import cleaned_record
from sdss_spectra.readers import read_spectra, read_spectrum
from sdss_spectra.reporting.data_figures import draw_balance, draw_steps
from sdss_spectra.reporting.figure_set import FigureSet
from sdss_spectra.reporting.overview import (
    TABLE_A,
    TABLE_B,
    TABLE_D,
    log_columns,
    log_summary,
    metadata_sources,
    overview,
)
from sdss_spectra.reporting.page import TableEntry, page
from sdss_spectra.reporting.performance import draw_model
from sdss_spectra.reporting.spectrum_figure import draw_spectrum
from sdss_spectra.spectrum import Spectrum
from sdss_spectra.splits import PARTS
from sdss_spectra.survey import Account, each_spectrum
from sdss_spectra.tables import write_table

__all__ = ["ReportSettings", "example_of", "write_report"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportSettings:
    """What goes into a report.

    Attributes
    ----------
    model : Path or None
        Folder of a trained model, for Figures 4 and 5.
    shift : tuple of Path
        Other releases on which the model is evaluated, for Figure 5.
    ablation : Path or None
        Table that ``ablate`` has written, as CSV.
    example : Path or None
        Spectrum of Figure 1; by default the labelled one of the highest S/N.
    timestamp : str
        For the preprocessing log.
    preprocessing : Preprocessing
        How spectra are cleaned; as those of the model, if there is one.
    seed : int
        Seed of the bootstrap.
    """

    timestamp: str
    preprocessing: Preprocessing
    model: Path | None = None
    shift: tuple[Path, ...] = ()
    ablation: Path | None = None
    example: Path | None = None
    seed: int = 42


def write_report(
    data: Path,
    folder: Path,
    settings: ReportSettings,
    *,
    catalogue: Catalogue | None,
    strip_prefix: str = "",
    strip_suffix: str = "",
    workers: int = 1,
    overwrite: bool = False,
) -> tuple[dict[str, Any], Account]:
    """Write tables, figures and ``index.html`` into a folder.

    Returns
    -------
    dict
        ``tables`` and ``figures``: what was written; ``skipped``: what was not, and why.
    Account
        How reading went.

    Raises
    ------
    InputError
        No spectrum has a class, or a file that the settings name cannot be used.
    OutputError
        The folder holds a report already.
    """
    index = folder / "index.html"
    if folder.exists() and not folder.is_dir():
        raise OutputError(folder, "not a folder", "a folder for the report")
    if index.exists() and not overwrite:
        raise OutputError(folder, "holds a report", action="give --overwrite to replace it")
    model = None if settings.model is None else load_model(settings.model)
    history = [] if settings.model is None else read_history(settings.model)
    ablation = None if settings.ablation is None else _read_ablation(settings.ablation)
    example = None if settings.example is None else read_spectrum(settings.example)
    for release in settings.shift:
        find_files(release)
    # A model takes the continuum apart itself; tables and figures show the spectra normalised.
    preprocessing = (
        settings.preprocessing if model is None else replace(model.preprocessing, normalise=True)
    )
    dataset = load_dataset(
        data,
        preprocessing,
        catalogue=catalogue,
        strip_prefix=strip_prefix,
        strip_suffix=strip_suffix,
        workers=workers,
        failures=folder / "failures.jsonl",
    )
    # The page says that a report is whole: it must not lie beside the tables of another.
    index.unlink(missing_ok=True)
    for name in ("figures", "tables", "supplement"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    files = find_files(data, strip_prefix=strip_prefix, strip_suffix=strip_suffix)
    metadata = each_spectrum(
        files, partial(metadata_row, declared=Declared()), Account(), workers=workers
    )
    log: list[dict[str, Any]] = []
    each_spectrum(
        files,
        partial(cleaned_record, settings=preprocessing, with_steps=True),
        Account(),
        workers=workers,
        consume=lambda item: log.extend(
            log_rows(item["spec_id"], item["steps"], settings.timestamp)
        ),
    )
    synthetic = dataset.is_synthetic
    tables = _write_tables(folder, dataset, metadata, log)
    if ablation is not None:
        tables.append(_write_ablation(folder, ablation))
    if settings.model is not None:
        _keep_splits(settings.model, folder / "supplement" / "splits")
    figures = FigureSet(folder, synthetic)
    if example is None:
        example = example_of(dataset, files)
    figures.draw(
        "figure1_example_spectrum",
        "Figure 1. Example spectrum, as calibrated and normalised",
        "Above, the flux as calibrated by the survey; below, divided by the continuum, at rest. "
        "Triangles mark absorption, circles emission; ticks mark the line list.",
        partial(draw_spectrum, example),
        overwrite=True,
    )
    summary = log_summary(log)
    counts = {row["step_name"]: row["carried_out"] for row in summary}
    counts["read"] = counts.get("load_spectrum", 0)
    figures.draw(
        "figure2_preprocessing",
        "Figure 2. Steps as they were carried out",
        "The numbers are spectra of this data set for which a step was carried out.",
        partial(draw_steps, preprocessing, counts),
    )
    figures.draw(
        "figure3_class_balance_sn",
        "Figure 3. Classes and signal-to-noise ratios",
        "Boxes span the quartiles, whiskers the 5th to 95th percentile.",
        partial(draw_balance, dataset.names, dataset.signal_to_noise),
    )
    results = draw_model(
        figures,
        data,
        settings.model,
        model,
        history=history,
        shift=settings.shift,
        catalogue=catalogue,
        strip_prefix=strip_prefix,
        strip_suffix=strip_suffix,
        seed=settings.seed,
        workers=workers,
    )
    sentences = _sentences(dataset, model, results)
    text = page(
        f"Stellar spectra in {data.resolve().name}", sentences, tables, figures.entries,
        synthetic=synthetic,
    )  # fmt: skip
    with atomic_path(index, overwrite=True) as partial_path:
        partial_path.write_text(text, encoding="utf-8")
    written = {
        "page": str(index),
        "tables": sorted(str(path) for path in (folder / "tables").glob("*.csv")),
        "figures": sorted(str(path) for path in figures.written),
        "skipped": {entry.title: entry.reason for entry in figures.entries if entry.path is None},
    }
    return written, dataset.account


def _write_tables(
    folder: Path,
    dataset: Dataset,
    metadata: Sequence[Mapping[str, Any]],
    log: Sequence[Mapping[str, Any]],
) -> list[TableEntry]:
    def write(path: Path, columns: Any, rows: Any) -> list[str]:
        write_table(path, columns, rows, overwrite=True)
        return [field.name for field in columns]

    a, b, d = overview(dataset), metadata_sources(metadata), log_summary(log)
    lines = line_list()
    names_a = write(folder / "tables" / "table_a_overview.csv", TABLE_A, a)
    names_b = write(folder / "tables" / "table_b_metadata_sources.csv", TABLE_B, b)
    names_d = write(folder / "tables" / "table_d_steps.csv", TABLE_D, d)
    names_c = write(folder / "supplement" / "line_list.csv", LINE_COLUMNS, lines)
    write(folder / "tables" / "table_c_line_list.csv", LINE_COLUMNS, lines)
    write(folder / "tables" / "metadata.csv", METADATA_COLUMNS, metadata)
    write(folder / "tables" / "preprocessing_log.csv", LOG_COLUMNS, log)
    columns_of_log = "; ".join(f"{row['column']}: {row['description']}" for row in log_columns())
    return [
        TableEntry(
            "Table A. Dataset overview",
            names_a,
            a,
            "tables/table_a_overview.csv",
            "Medians over the spectra of a class that have the value.",
        ),
        TableEntry(
            "Table B. Metadata columns and where they come from",
            names_b,
            b,
            "tables/table_b_metadata_sources.csv",
        ),
        TableEntry(
            "Table C. Diagnostic line list",
            names_c,
            lines,
            "supplement/line_list.csv",
            "Wavelengths of NIST ASD in air, converted to vacuum by Ciddor 1996.",
        ),
        TableEntry(
            "Table D. Preprocessing log",
            names_d,
            d,
            "tables/preprocessing_log.csv",
            f"Columns of the log: {columns_of_log}.",
        ),
    ]


def _read_ablation(path: Path) -> list[dict[str, Any]]:
    names = [field.name for field in ABLATION_COLUMNS]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [dict(row) for row in csv.DictReader(file)]
        for row in rows:
            for score in ("accuracy", "macro_f1"):
                row[score] = float(row[score]) if row[score] else None
            if set(row) != set(names):
                raise ValueError(f"columns {', '.join(map(str, row))}")
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a CSV of ablate") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(path, f"no such table ({error})", "a CSV that ablate has made") from error
    return rows


def _write_ablation(folder: Path, rows: Sequence[Mapping[str, Any]]) -> TableEntry:
    name = "supplement/ablation_studies.csv"
    write_table(folder / name, ABLATION_COLUMNS, rows, overwrite=True)
    columns = [field.name for field in ABLATION_COLUMNS]
    return TableEntry("Ablation. What each part is worth", columns, rows, name)


def _keep_splits(model: Path, folder: Path) -> None:
    """Put the split tables of a model into the supplement."""
    folder.mkdir(exist_ok=True)
    for part in PARTS:
        name = f"{part}_split.csv"
        try:
            content = (model / name).read_bytes()
        except OSError as error:
            raise InputError(
                model / name, f"cannot be read ({error.strerror})", "a split table"
            ) from error
        with atomic_path(folder / name, overwrite=True) as partial_path:
            partial_path.write_bytes(content)


def example_of(dataset: Dataset, files: Sequence[SpectrumFile]) -> Spectrum:
    """The labelled spectrum of the highest signal-to-noise ratio."""
    best = max(dataset.items, key=lambda item: (item.signal_to_noise or 0.0, item.spec_id))
    (file,) = [file for file in files if file.table_path == best.path]
    return next(
        spectrum
        for spectrum in read_spectra(file.path)
        if row_id(file.spec_id, spectrum.row) == best.spec_id
    )


def _sentences(dataset: Dataset, model: Model | None, result: Mapping[str, Any]) -> list[str]:
    sources = Counter(found.source for found in dataset.classes)
    shown = ", ".join(f"{count} from {name}" for name, count in sorted(sources.items()))
    first = (
        f"{len(dataset)} spectra have a class ({shown}); {len(dataset.unlabelled)} have none; "
        f"{dataset.account.num_failed} files could not be read."
    )
    sentences = [first]
    if model is not None and result:
        low, high = result["accuracy_interval_95"] or (float("nan"), float("nan"))
        sentences.append(
            f"Of {result['spectra']} spectra of {result['stars']} stars that the model was not "
            f"trained on, {100 * result['accuracy']:.1f} % have the right class (95 % interval "
            f"over stars: {100 * low:.1f} to {100 * high:.1f} %)."
        )
    return sentences
