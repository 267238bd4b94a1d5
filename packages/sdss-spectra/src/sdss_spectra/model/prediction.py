"""Predictions for files, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sdss_spectra.files import SpectrumFile
from sdss_spectra.mkclass import LETTERS
from sdss_spectra.model.classifier import Model
from sdss_spectra.preprocessing.store import cleaned_record
from sdss_spectra.survey import Account, each_spectrum
from sdss_spectra.tables import Column, column, open_table

__all__ = ["predict_files", "prediction_columns", "subtype_text"]

_BATCH = 256


def subtype_text(code: float) -> str | None:
    """A subtype code as text, such as ``G2.3``; None if it is not known."""
    if not np.isfinite(code):
        return None
    bounded = min(max(round(float(code), 1), 0.0), 10.0 * len(LETTERS) - 0.1)
    return f"{LETTERS[int(bounded // 10)]}{bounded % 10:.1f}"


def prediction_columns(classes: Sequence[str], with_subtype: bool) -> list[Column]:
    """Columns of predictions: ``spec_id, class_pred`` and ``p_<class>`` of each class."""
    columns = [
        column("spec_id", "string", "identifier of the spectrum"),
        column("class_pred", "string", "most probable class"),
        *(column(f"p_{name}", "float64", f"probability of class {name}") for name in classes),
    ]
    if with_subtype:
        columns.append(column("subtype_pred", "string", "median subtype"))
    return columns


def predict_files(
    model: Model,
    files: Sequence[SpectrumFile],
    output: Path,
    *,
    with_subtype: bool = False,
    overwrite: bool = False,
    workers: int = 1,
    failures: Path | None = None,
) -> Account:
    """Classify the spectra of files and write a table of them.

    Values are null for a spectrum without a good pixel on the model's grid.

    Parameters
    ----------
    model : Model
        Trained.
    files : sequence of SpectrumFile
        The spectra.
    output : Path
        The table; see `prediction_columns`.
    with_subtype : bool, optional
        Also give ``subtype_pred``.
    overwrite : bool, optional
        Replace a table that exists.
    workers : int, optional
        Local processes that read and clean.
    failures : Path, optional
        ``failures.jsonl``.

    Returns
    -------
    Account
        How reading went.
    """
    classes = model.bins.classes
    waiting: list[dict[str, Any]] = []

    def flush(write: Callable[[Mapping[str, Any]], None]) -> None:
        if not waiting:
            return
        arrays = [
            np.stack([record[name] for record in waiting]) for name in ("flux", "ivar", "mask")
        ]
        probabilities, codes = model.predict(arrays[0], arrays[1], arrays[2])
        for record, share, code in zip(waiting, probabilities, codes, strict=True):
            row: dict[str, Any] = {"spec_id": record["spec_id"]}
            if not record["mask"].all():
                row["class_pred"] = classes[int(share.argmax())]
                row.update({f"p_{name}": float(p) for name, p in zip(classes, share, strict=True)})
                row["subtype_pred"] = subtype_text(float(code))
            write(row)
        waiting.clear()

    account = Account()
    columns = prediction_columns(classes, with_subtype)
    with open_table(output, columns, overwrite=overwrite) as write:

        def consume(record: dict[str, Any]) -> None:
            waiting.append(record)
            if len(waiting) >= _BATCH:
                flush(write)

        each_spectrum(
            files,
            partial(cleaned_record, settings=model.preprocessing, with_steps=False),
            account,
            failures=failures,
            workers=workers,
            consume=consume,
        )
        flush(write)
    return account
