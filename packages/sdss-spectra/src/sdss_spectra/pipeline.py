"""The whole way from a folder of files to tables, a model and its learning curves.

``python -m sdss_spectra.pipeline DATA ...`` is the same as ``sdss-spectra pipeline DATA ...``.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_common.command import print_json, run_command

if TYPE_CHECKING:
    from sdss_spectra.dataset import Dataset
    from sdss_spectra.files import SpectrumFile
    from sdss_spectra.labels.catalogue import Catalogue
    from sdss_spectra.metadata import Declared
    from sdss_spectra.model.run import Run, RunSettings
    from sdss_spectra.preprocessing.steps import Preprocessing
    from sdss_spectra.spectrum import Spectrum

__all__ = ["main", "run_pipeline"]

logger = logging.getLogger(__name__)

# The grid of the model covers this range whatever its number of pixels.
_RANGE_DEX = 0.4096
# So many make pixels of the finest step that a grid may have.
_MAX_PIXELS = 400_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pipeline as a command of its own."""
    from astro_common.command import add_common_options
    from sdss_spectra import __version__
    from sdss_spectra.commands.pipeline import add_pipeline_options

    parser = argparse.ArgumentParser(
        prog="sdss-spectra", description="Tables, training and learning curves in one run."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_common_options(parser)
    add_pipeline_options(parser)
    return run_command(parser, argv)


def run_pipeline(arguments: argparse.Namespace) -> int:
    """Carry out the pipeline.

    Returns
    -------
    int
        Exit status: 3 if files could not be used.
    """
    from sdss_spectra.commands.options import catalogue_of, declared_of, status_of
    from sdss_spectra.model.keras_network import require_tensorflow
    from sdss_spectra.model.run_folder import model_folder, write_run
    from sdss_spectra.preprocessing.log import time_stamp
    from sdss_spectra.readers import read_spectrum
    from sdss_spectra.reporting.model_figures import draw_history

    require_tensorflow()
    settings = _settings(arguments)
    declared = declared_of(arguments)
    timestamp = time_stamp(arguments.manifest_created_at, "--manifest-created-at")
    example = None
    if arguments.plot_example is not None:
        example = read_spectrum(arguments.plot_example)
    catalogue = catalogue_of(arguments)
    _check_outputs(arguments)
    with ExitStack() as stack:
        if arguments.output is not None:
            stack.enter_context(model_folder(arguments.output, arguments.overwrite))
        dataset, found = _trained(arguments, settings, catalogue, declared, timestamp)
        if arguments.output is not None:
            write_run(arguments.output, found)
    if arguments.history_plot is not None:
        draw_history(
            found.history.rows, arguments.history_plot, overwrite=True,
            synthetic=dataset.is_synthetic,
        )  # fmt: skip
    _draw_example(arguments, example)
    if not arguments.no_show_history:
        _show(found.history.rows)
    last = found.history.rows[-1]
    if arguments.json:
        test = found.test
        print_json(
            {
                "classes": {name: dataset.names.count(name) for name in sorted(set(dataset.names))},
                "history": last,
                "test": None if test is None else {k: v for k, v in test.items() if k != "curves"},
                "failed": dataset.account.num_failed,
            }
        )
        return status_of(dataset.account)
    print(f"training accuracy: {last['accuracy']:.3f} (network, last epoch)")
    if last["val_accuracy"] is not None:
        print(f"validation accuracy: {last['val_accuracy']:.3f} (network, last epoch)")
    if found.test is not None:
        print(
            f"test accuracy: {found.test['accuracy']:.3f} of {found.test['spectra']} spectra "
            "(network and templates)"
        )
    return status_of(dataset.account)


def _trained(
    arguments: argparse.Namespace,
    settings: RunSettings,
    catalogue: Catalogue | None,
    declared: Declared,
    timestamp: str,
) -> tuple[Dataset, Run]:
    """Read and label the spectra, write the tables that were asked for, and train."""
    from sdss_spectra.commands.options import dataset_of, files_of
    from sdss_spectra.commands.train import show_epoch
    from sdss_spectra.model.run import class_lines, train_on, warn_of_size

    files = files_of(arguments)
    dataset = dataset_of(arguments, settings.preprocessing, catalogue, _failures(arguments))
    if not arguments.json:
        for line in class_lines(dataset.names):
            print(line)
    _report_fallback(dataset, catalogue)
    warn_of_size(dataset.names)
    cleaning = replace(settings.preprocessing, normalise=True)
    _write_tables(arguments, files, catalogue, cleaning, declared, timestamp)
    return dataset, train_on(dataset, settings, on_epoch=show_epoch)


def _settings(arguments: argparse.Namespace) -> RunSettings:
    from astro_common.errors import ConfigurationError
    from sdss_spectra.model.architecture import Network
    from sdss_spectra.model.run import RunSettings
    from sdss_spectra.model.training import TrainingSettings
    from sdss_spectra.preprocessing.resample import LogGrid
    from sdss_spectra.preprocessing.steps import Preprocessing
    from sdss_spectra.splits import check_fractions

    if not 64 <= arguments.input_length <= _MAX_PIXELS:
        expected = f"64 to {_MAX_PIXELS:,}"
        raise ConfigurationError("--input-length", str(arguments.input_length), expected)
    check_fractions(arguments.validation_fraction, arguments.test_fraction)
    pixels = arguments.input_length
    depth = min(5, int(pixels // 8).bit_length() - 1)
    return RunSettings(
        preprocessing=Preprocessing(
            grid=LogGrid(3.55, _RANGE_DEX / pixels, pixels), mask_telluric=True, normalise=False
        ),
        network=Network(architecture=arguments.architecture, depth=max(1, depth)),
        training=TrainingSettings(
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            members=arguments.members,
        ),
        group_by=arguments.group_by,
        validation_fraction=arguments.validation_fraction,
        test_fraction=arguments.test_fraction,
        seed=arguments.seed,
    )


def _failures(arguments: argparse.Namespace) -> Path | None:
    """Beside the first output that is asked for; without any the log alone names failures."""
    from sdss_spectra.commands.options import failures_beside

    for name in ("output", "metadata_table", "spectra_manifest", "label_table", "preproc_log",
                 "history_plot"):  # fmt: skip
        value = getattr(arguments, name)
        if value is not None:
            return failures_beside(value)
    return None


def _check_outputs(arguments: argparse.Namespace) -> None:
    from astro_common.errors import ConfigurationError
    from sdss_spectra.commands.options import check_distinct
    from sdss_spectra.tables import check_output, check_table

    tables = ("metadata_table", "spectra_manifest", "label_table", "preproc_log")
    check_distinct(**{name: getattr(arguments, name) for name in tables})
    for table, kind in (
        ("metadata_table", "metadata_format"),
        ("spectra_manifest", "manifest_format"),
        ("label_table", "label_table_format"),
        ("preproc_log", "preproc_log_format"),
    ):
        path = getattr(arguments, table)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            check_table(path, getattr(arguments, kind), arguments.overwrite)
    if arguments.plot_output is not None and arguments.plot_example is None:
        raise ConfigurationError("--plot-output", "no spectrum to draw", "--plot-example FILE too")
    for path in (arguments.history_plot, _example_path(arguments)):
        if path is None:
            continue
        if path.suffix.lower() not in (".png", ".svg", ".pdf"):
            raise ConfigurationError(str(path), "another extension", ".png, .svg or .pdf")
        path.parent.mkdir(parents=True, exist_ok=True)
        check_output(path, arguments.overwrite)


def _report_fallback(dataset: Dataset, catalogue: Catalogue | None) -> None:
    sources: dict[str, int] = {}
    for found in dataset.classes:
        sources[found.source] = sources.get(found.source, 0) + 1
    shown = ", ".join(f"{count} from {name}" for name, count in sorted(sources.items()))
    logger.info("labels: %s", shown)
    if catalogue is None:
        return
    missing = [
        item.spec_id
        for item, found in zip(dataset.items, dataset.classes, strict=True)
        if found.source != "catalogue"
    ]
    if missing:
        more = " ..." if len(missing) > 10 else ""
        logger.warning(
            "%d spectra are not in the catalogue and keep the class of folder or header: %s%s",
            len(missing), ", ".join(missing[:10]), more,
        )  # fmt: skip


def _write_tables(
    arguments: argparse.Namespace,
    files: Sequence[SpectrumFile],
    catalogue: Catalogue | None,
    settings: Preprocessing,
    declared: Declared,
    timestamp: str,
) -> None:
    from sdss_spectra import manifest, metadata
    from sdss_spectra.labels import table as labels
    from sdss_spectra.preprocessing import log
    from sdss_spectra.preprocessing.store import cleaned_record
    from sdss_spectra.survey_table import write_survey_table

    def write(path: Path | None, *what: Any, file_format: str | None, **how: Any) -> None:
        if path is not None:
            write_survey_table(
                files,
                path,
                *what,
                overwrite=arguments.overwrite,
                file_format=file_format,
                workers=arguments.workers,
                **how,
            )

    write(
        arguments.metadata_table,
        metadata.COLUMNS,
        partial(metadata.metadata_row, declared=declared),
        file_format=arguments.metadata_format,
    )
    of_all = manifest.ManifestSettings(
        timestamp, arguments.survey, arguments.data_release, arguments.manifest_notes
    )
    write(
        arguments.spectra_manifest,
        manifest.COLUMNS,
        partial(manifest.manifest_row, settings=of_all),
        file_format=arguments.manifest_format,
    )
    write(
        arguments.label_table,
        labels.COLUMNS,
        labels.facts_of,
        rows_of=lambda facts: [labels.label_row(facts, catalogue)],
        file_format=arguments.label_table_format,
    )
    write(
        arguments.preproc_log,
        log.COLUMNS,
        partial(cleaned_record, settings=settings, with_steps=True),
        rows_of=lambda item: log.log_rows(item["spec_id"], item["steps"], timestamp),
        file_format=arguments.preproc_log_format,
    )


def _example_path(arguments: argparse.Namespace) -> Path | None:
    """Where the example is drawn; None if none is asked for."""
    from sdss_spectra.files import stem_of

    if arguments.plot_example is None:
        return None
    given: Path | None = arguments.plot_output
    if given is not None:
        return given
    folder = Path() if arguments.history_plot is None else arguments.history_plot.parent
    return folder / f"{stem_of(arguments.plot_example)}-lines.png"


def _draw_example(arguments: argparse.Namespace, example: Spectrum | None) -> None:
    from sdss_spectra.reporting.spectrum_figure import draw_spectrum

    output = _example_path(arguments)
    if output is not None and example is not None:
        draw_spectrum(example, output, overwrite=True)
        logger.info("%s: drawn", output)


def _show(rows: list[dict[str, Any]]) -> None:
    """Open a window with the learning curves, where there is a display."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        logger.info("no display: the learning curves are not shown (--history-plot keeps them)")
        return
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, 2, figsize=(10, 4))
    for axis, key in zip(axes, ("accuracy", "loss"), strict=True):
        axis.plot([row[key] for row in rows], label="training")
        if rows[0][f"val_{key}"] is not None:
            axis.plot([row[f"val_{key}"] for row in rows], label="validation")
        axis.set_xlabel("Epoch")
        axis.set_ylabel(key.capitalize())
        axis.legend()
    plt.show()


if __name__ == "__main__":
    sys.exit(main())
