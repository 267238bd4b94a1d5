"""What lies in the folder of a trained model beside the model: split tables and learning curves."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from astro_common.errors import InputError, OutputError
from sdss_spectra.model.files import save_model
from sdss_spectra.splits import PARTS, write_splits
from sdss_spectra.tables import column, write_table

if TYPE_CHECKING:
    from sdss_spectra.model.run import Run

__all__ = ["HISTORY_COLUMNS", "model_folder", "read_history", "split_of_model", "write_run"]

HISTORY_COLUMNS: Final = (
    column("member", "int64", "network of the ensemble"),
    column("epoch", "int64", "pass over the training set"),
    column("loss", "float64", "mean loss on the augmented training set"),
    column("accuracy", "float64", "accuracy on the augmented training set"),
    column("val_loss", "float64", "loss on the validation set"),
    column("val_accuracy", "float64", "accuracy on the validation set"),
)


@contextmanager
def model_folder(folder: Path, overwrite: bool) -> Iterator[None]:
    """Make the folder of a model, and remove it if the block fails and leaves it empty.

    Raises
    ------
    OutputError
        It holds a model already, or is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(folder, "not a folder", "a folder for the model")
    if not overwrite and (folder / "model.json").exists():
        raise OutputError(folder, "holds a model", action="give --overwrite to replace it")
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if is_new and not any(folder.iterdir()):
            folder.rmdir()
        raise


def write_run(folder: Path, run: Run) -> None:
    """Write splits, history and model into a folder, in place of what was there.

    All is written aside first. ``model.json`` marks the folder as complete: it goes first and comes
    last, so that no model ever lies beside the splits of another.
    """
    with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=folder) as name:
        aside = Path(name)
        write_splits(aside, run.rows, run.parts, overwrite=True)
        write_table(aside / "history.csv", HISTORY_COLUMNS, run.history.rows, overwrite=True)
        save_model(aside, run.model, overwrite=True)
        written = sorted(aside.iterdir(), key=lambda path: (path.name == "model.json", path.name))
        (folder / "model.json").unlink(missing_ok=True)
        for path in written:
            path.replace(folder / path.name)


def split_of_model(folder: Path) -> dict[str, tuple[str, str]]:
    """Part and leakage group by spec_id, from the split tables beside a model.

    Raises
    ------
    InputError
        A table is missing or damaged.
    """
    found: dict[str, tuple[str, str]] = {}
    for part in PARTS:
        path = folder / f"{part}_split.csv"
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file)
                if not {"spec_id", "leakage_group"} <= set(rows.fieldnames or ()):
                    raise ValueError("columns are missing")
                for row in rows:
                    spec_id, group = row["spec_id"], row["leakage_group"]
                    if not spec_id or not group:
                        raise ValueError(f"row {len(found) + 1} has an empty field")
                    found[spec_id] = part, group
        except OSError as error:
            raise InputError(path, f"cannot be read ({error.strerror})", "a split table") from error
        except (ValueError, csv.Error) as error:
            raise InputError(path, f"no split table ({error})", "what train has written") from error
    return found


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Learning curves that a training has written; none if the folder has no ``history.csv``.

    Raises
    ------
    InputError
        The file is damaged.
    """
    path = folder / "history.csv"
    if not path.is_file():
        return []
    names = [field.name for field in HISTORY_COLUMNS]
    rows: list[dict[str, Any]] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                values: dict[str, Any] = {
                    name: float(row[name]) if row[name] else None for name in names
                }
                values["member"], values["epoch"] = int(row["member"]), int(row["epoch"])
                rows.append(values)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "learning curves") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(path, f"no learning curves ({error})", "what train has written") from error
    return rows
