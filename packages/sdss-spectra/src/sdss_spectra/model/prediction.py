"""Predictions for files, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sdss_spectra.files import find_files
from sdss_spectra.mkclass import LETTERS
from sdss_spectra.model.files import Model
from sdss_spectra.preprocessing.store import cleaned_record
from sdss_spectra.survey import Account, each_spectrum
from sdss_spectra.tables import column

__all__ = ["predict_files", "subtype_text"]

_BATCH = 256


def subtype_text(code: float) -> str | None:
    """A subtype code as text, such as ``G2.3``; None if it is not known."""
    if not np.isfinite(code):
        return None
    bounded = min(max(round(float(code), 1), 0.0), 10.0 * len(LETTERS) - 0.1)
    return f"{LETTERS[int(bounded // 10)]}{bounded % 10:.1f}"


def predict_files(
    model: Model,
    data: Sequence[Path],
    *,
    strip_prefix: str = "",
    strip_suffix: str = "",
    with_subtype: bool = False,
    workers: int = 1,
    failures: Path | None = None,
) -> tuple[list[pa.Field], list[dict[str, Any]], Account]:
    """Classify the spectra of files and folders.

    Parameters
    ----------
    model : Model
        Trained.
    data : sequence of path
        Files and folders.
    strip_prefix, strip_suffix : str, optional
        Taken off file stems.
    with_subtype : bool, optional
        Also give ``subtype_pred``.
    workers : int, optional
        Local processes that read and clean.
    failures : Path, optional
        ``failures.jsonl``.

    Returns
    -------
    columns, rows, account
        ``spec_id, class_pred`` and ``p_<class>`` of each class; null for a spectrum without a good
        pixel on the model's grid.
    """
    classes = model.bins.classes
    columns = [
        column("spec_id", "string", "identifier of the spectrum"),
        column("class_pred", "string", "most probable class"),
        *(column(f"p_{name}", "float64", f"probability of class {name}") for name in classes),
    ]
    if with_subtype:
        columns.append(column("subtype_pred", "string", "expected subtype"))
    rows: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []

    def flush() -> None:
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
            rows.append(row)
        waiting.clear()

    def consume(record: dict[str, Any]) -> None:
        waiting.append(record)
        if len(waiting) >= _BATCH:
            flush()

    account = Account()
    each_spectrum(
        find_files(data, strip_prefix=strip_prefix, strip_suffix=strip_suffix),
        partial(cleaned_record, settings=model.preprocessing, with_steps=False),
        account,
        failures=failures,
        workers=workers,
        consume=consume,
    )
    flush()
    return columns, rows, account
