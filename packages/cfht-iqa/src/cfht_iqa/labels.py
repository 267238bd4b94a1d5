"""Labels of exposures: read from text, COCO-like JSON or CSV, written as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from cfht_iqa.classes import CLASSES

__all__ = ["read_labels", "read_labels_csv", "write_labels"]

# Between several labels of one exposure in the CSV file.
SEPARATOR: Final = ";"
_BETWEEN: Final = re.compile(r"[\s,;|]+")
_MAX_BYTES: Final = 256 << 20

Labels = dict[str, tuple[str, ...]]


def read_labels(paths: Sequence[Path]) -> Labels:
    """Read labels from one or more files.

    Parameters
    ----------
    paths : sequence of Path
        Text with lines ``id label[, label]``; JSON with ``images``, ``categories`` and
        ``annotations``; or CSV with columns ``exposure, label`` and perhaps ``labels``.

    Returns
    -------
    dict of str to tuple of str
        Labels by exposure, the main one first. Labels of one exposure in several files are put
        together.

    Raises
    ------
    InputError
        If a file cannot be read, names a class that is not known, or gives an exposure two
        different main labels.
    """
    merged: Labels = {}
    for path in paths:
        for exposure, labels in _read(path):
            known = merged.get(exposure)
            if known is not None and known[0] != labels[0]:
                raise InputError(
                    path,
                    f"{exposure} is {labels[0]}, and {known[0]} before",
                    "one main label per exposure",
                )
            merged[exposure] = tuple(dict.fromkeys([*(known or ()), *labels]))
    if not merged:
        raise InputError(paths[0], "no label", "a line such as: 1625632p GOOD")
    return merged


def read_labels_csv(path: Path) -> Labels:
    """Read the CSV that `write_labels` writes; errors as of `read_labels`."""
    return read_labels([path])


def write_labels(labels: Mapping[str, Sequence[str]], path: Path, *, overwrite: bool) -> None:
    """Write labels as CSV with columns ``exposure, label, labels``.

    Parameters
    ----------
    labels : mapping of str to sequence of str
        By exposure, the main one first.
    path : Path
        The file.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    with atomic_path(path, overwrite=overwrite) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["exposure", "label", "labels"])
        for exposure, names in labels.items():
            writer.writerow([exposure, names[0], SEPARATOR.join(names)])


def _read(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(path, "more than 256 MiB", "a list of labels")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "labels") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"no text ({error.reason})", "labels in UTF-8") from error
    if text.lstrip().startswith("{"):
        return list(_from_json(path, text))
    first = text.lstrip().split("\n", 1)[0]
    if re.match(r"exposure\s*,\s*label\b", first):
        return list(_from_csv(path, text))
    return list(_from_text(path, text))


def _from_text(path: Path, text: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = [word for word in _BETWEEN.split(line.split("#")[0].strip()) if word]
        if not words:
            continue
        yield words[0], _checked(path, f"line {number}", words[1:])


def _from_csv(path: Path, text: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    for number, row in enumerate(rows, start=2):
        exposure = (row.get("exposure") or "").strip()
        if not exposure:
            raise InputError(path, f"line {number}: no exposure", "a name in the first column")
        names = [row.get("label") or "", *_BETWEEN.split(row.get("labels") or "")]
        names = [name.strip() for name in names if name.strip()]
        yield exposure, _checked(path, f"line {number}", names)


def _from_json(path: Path, text: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    try:
        content = json.loads(text)
        categories = {str(item["id"]): str(item["name"]) for item in content.get("categories", [])}
        images = {str(item["id"]): item for item in content.get("images", [])}
        annotations = content["annotations"]
        if isinstance(annotations, dict):
            pairs = [(str(key), value) for key, value in annotations.items()]
        else:
            pairs = [(str(item["image_id"]), _label_of(item, categories)) for item in annotations]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            path, f"no labels ({error!r})", "JSON with images, categories and annotations"
        ) from error
    collected: dict[str, list[str]] = {}
    for key, value in pairs:
        names = value if isinstance(value, list) else _BETWEEN.split(str(value).strip())
        collected.setdefault(_image_name(images, key), []).extend(str(name) for name in names)
    for exposure, names in collected.items():
        yield exposure, _checked(path, f"annotation of {exposure}", names)


def _label_of(item: Mapping[str, Any], categories: Mapping[str, str]) -> Any:
    if "category_id" in item:
        return categories[str(item["category_id"])]
    return item["label"]


def _image_name(images: Mapping[str, Any], key: str) -> str:
    name = str(images.get(key, {}).get("file_name", key)) if key in images else key
    return re.sub(r"\.(fits?)(\.(fz|gz))?\Z", "", name)


def _checked(path: Path, where: str, names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        raise InputError(path, f"{where}: no label", f"one of {', '.join(CLASSES)}")
    for name in names:
        if name not in CLASSES:
            raise InputError(path, f"{where}: label {name!r}", f"one of {', '.join(CLASSES)}")
    return tuple(dict.fromkeys(names))
