"""The whole report: Tables A to D, Figures 1 to 5, one page."""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from astro_common.atomic import atomic_path
from astro_common.errors import InputError, OutputError
from astro_common.jsonable import jsonable
from sdss_spectra.comparison import evaluate_folder
from sdss_spectra.dataset import Dataset, load_dataset
from sdss_spectra.evaluation import evaluate_predictions
from sdss_spectra.files import find_files
from sdss_spectra.labels.catalogue import Catalogue
from sdss_spectra.linelist import COLUMNS as LINE_COLUMNS
from sdss_spectra.linelist import line_list
from sdss_spectra.metadata import COLUMNS as METADATA_COLUMNS
from sdss_spectra.metadata import Declared, metadata_row
from sdss_spectra.model.files import Model, load_model
from sdss_spectra.preprocessing.log import COLUMNS as LOG_COLUMNS
from sdss_spectra.preprocessing.log import log_rows
from sdss_spectra.preprocessing.steps import Preprocessing
from sdss_spectra.preprocessing.store import cleaned_record
from sdss_spectra.readers import read_spectra, read_spectrum
from sdss_spectra.reporting.data_figures import draw_balance, draw_steps
from sdss_spectra.reporting.model_figures import draw_history, draw_performance, draw_shift
from sdss_spectra.reporting.overview import (
    TABLE_A,
    TABLE_B,
    TABLE_D,
    log_columns,
    log_summary,
    metadata_sources,
    overview,
)
from sdss_spectra.reporting.page import FigureEntry, TableEntry, page
from sdss_spectra.reporting.spectrum_figure import draw_spectrum, is_synthetic
from sdss_spectra.survey import Account, each_spectrum
from sdss_spectra.tables import write_table

__all__ = ["ReportSettings", "write_report"]

logger = logging.getLogger(__name__)

_FORMATS = ("svg", "png")


@dataclass(frozen=True)
class ReportSettings:
    """What goes into a report.

    Attributes
    ----------
    model : Path or None
        Folder of a trained model, for Figures 4 and 5.
    shift : tuple of Path
        Other releases on which the model is judged, for Figure 5.
    example : Path or None
        Spectrum of Figure 1; by default the labelled one of the highest S/N.
    timestamp : str
        For the preprocessing log.
    preprocessing : Preprocessing
        How spectra are cleaned; that of the model, if there is one.
    """

    timestamp: str
    preprocessing: Preprocessing
    model: Path | None = None
    shift: tuple[Path, ...] = ()
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
    OutputError
        The folder holds a report already.
    """
    index = folder / "index.html"
    if index.exists() and not overwrite:
        raise OutputError(folder, "holds a report", action="give --overwrite to replace it")
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "tables").mkdir(exist_ok=True)
    (folder / "supplement").mkdir(exist_ok=True)
    model = None if settings.model is None else load_model(settings.model)
    preprocessing = settings.preprocessing if model is None else model.preprocessing
    dataset = load_dataset(
        data,
        preprocessing,
        catalogue=catalogue,
        strip_prefix=strip_prefix,
        strip_suffix=strip_suffix,
        workers=workers,
        failures=folder / "failures.jsonl",
    )
    files = find_files(data, strip_prefix=strip_prefix, strip_suffix=strip_suffix)
    metadata = each_spectrum(
        files, partial(metadata_row, declared=Declared()), Account(), workers=workers
    )
    records = each_spectrum(
        files,
        partial(cleaned_record, settings=preprocessing, with_steps=True),
        Account(),
        workers=workers,
    )
    log = [
        row
        for item in records
        for row in log_rows(item["spec_id"], item["steps"], settings.timestamp)
    ]
    del records
    synthetic = _synthetic(dataset, files)
    tables = _write_tables(folder, dataset, metadata, log)
    figures = _Figures(folder, synthetic)
    example = settings.example or _example(dataset, files)
    figures.draw(
        "figure1_example_spectrum",
        "Figure 1. Example spectrum, as calibrated and normalised",
        "Above, the flux as calibrated by the survey; below, divided by the continuum, at rest. "
        "Triangles mark absorption, circles emission; ticks mark the line list.",
        partial(draw_spectrum, read_spectrum(example)),
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
        partial(draw_balance, dataset.names, [item.signal_to_noise for item in dataset.items]),
    )
    results = _model_figures(figures, data, settings, model, catalogue, strip_prefix, strip_suffix)
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


class _Figures:
    def __init__(self, folder: Path, synthetic: bool) -> None:
        self.folder = folder / "figures"
        self._synthetic = synthetic
        self.entries: list[FigureEntry] = []
        self.written: list[Path] = []

    def draw(self, name: str, title: str, caption: str, function: Any, **options: Any) -> None:
        given = options or {"overwrite": True, "synthetic": self._synthetic}
        for kind in _FORMATS:
            path = self.folder / f"{name}.{kind}"
            function(path, **given)
            self.written.append(path)
        self.entries.append(FigureEntry(title, caption, self.folder / f"{name}.png"))

    def skip(self, title: str, reason: str) -> None:
        self.entries.append(FigureEntry(title, "", None, reason))


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


def _synthetic(dataset: Dataset, files: Sequence[Any]) -> bool:
    """Whether any labelled spectrum says that it is synthetic."""
    by_path = {file.table_path: file.path for file in files}
    for item in dataset.items[:50]:
        path = by_path.get(item.path)
        if path is not None and is_synthetic(next(iter(read_spectra(path)))):
            return True
    return False


def _example(dataset: Dataset, files: Sequence[Any]) -> Path:
    by_path = {file.table_path: file.path for file in files}
    single = [item for item in dataset.items if by_path.get(item.path)]
    best = max(single, key=lambda item: (item.signal_to_noise or 0.0, item.spec_id))
    return Path(by_path[best.path])


def _model_figures(
    figures: _Figures,
    data: Path,
    settings: ReportSettings,
    model: Model | None,
    catalogue: Catalogue | None,
    strip_prefix: str,
    strip_suffix: str,
) -> dict[str, Any]:
    titles = (
        "Figure 4. Performance of the model",
        "Figure 5. Performance on other data releases",
    )
    if model is None or settings.model is None:
        for title in titles:
            figures.skip(title, "no model was given (--model)")
        return {}
    judge = partial(
        evaluate_folder,
        model,
        settings.model,
        catalogue=catalogue,
        strip_prefix=strip_prefix,
        strip_suffix=strip_suffix,
        seed=settings.seed,
    )
    try:
        result, _ = judge(data)
    except InputError as error:
        for title in titles:
            figures.skip(title, error.reason)
        return {}
    figures.draw(
        "figure4_model_performance",
        titles[0],
        "Spectra of stars that the model was not trained on. Error bars are standard errors.",
        partial(draw_performance, result),
    )
    history = _history(settings.model)
    if history:
        figures.draw(
            "learning_curves", "Learning curves", "One line for each member of the ensemble.",
            partial(draw_history, history),
        )  # fmt: skip
    releases: dict[str, Any] = {data.resolve().name: result}
    for path in settings.shift:
        releases[path.resolve().name], _ = judge(path)
    if not settings.shift:
        releases = _by_release(model, data, catalogue, settings)
    if len(releases) > 1:
        figures.draw(
            "figure5_release_shift",
            titles[1],
            "Scores on stars that the model was not trained on, by release.",
            partial(draw_shift, releases),
        )
    else:
        figures.skip(titles[1], "held-out stars of one release only; name another with --shift")
    text = json.dumps(jsonable(releases), indent=1, allow_nan=False) + "\n"
    with atomic_path(figures.folder.parent / "evaluation.json", overwrite=True) as path:
        path.write_text(text, encoding="utf-8")
    return result


def _by_release(
    model: Model, data: Path, catalogue: Catalogue | None, settings: ReportSettings
) -> dict[str, Any]:
    """Evaluations of the held-out spectra by what RUN2D says of their release."""
    from sdss_spectra.comparison import split_of_model

    assert settings.model is not None  # noqa: S101 - the caller has a model
    parts = split_of_model(settings.model)
    dataset = load_dataset(data, model.preprocessing, catalogue=catalogue)
    releases = sorted({item.data_release for item in dataset.items if item.data_release})
    found: dict[str, Any] = {}
    for release in releases:
        numbers = [
            n
            for n, item in enumerate(dataset.items)
            if item.data_release == release and parts.get(item.spec_id, ("", ""))[0] == "test"
        ]
        if len(numbers) < 5:
            continue
        chosen = dataset.subset(numbers)
        probabilities, code = model.predict(*chosen.arrays())
        found[release] = evaluate_predictions(
            chosen.names, chosen.codes, probabilities, code, model.bins.classes,
            [parts[item.spec_id][1] for item in chosen.items],
            signal_to_noise=[item.signal_to_noise for item in chosen.items],
            coverage=[float(1.0 - item.mask.mean()) for item in chosen.items],
            seed=settings.seed,
        )  # fmt: skip
    return found


def _history(folder: Path) -> list[dict[str, Any]]:
    path = folder / "history.csv"
    if not path.is_file():
        return []
    rows: list[dict[str, Any]] = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values: dict[str, Any] = {
                key: float(text) if text else None for key, text in row.items() if key
            }
            values["member"], values["epoch"] = int(row["member"]), int(row["epoch"])
            rows.append(values)
    return rows


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
