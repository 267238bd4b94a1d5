"""Checkpoints on disk: safetensors and JSON, each known by its checksum, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_common.atomic import output_error
from astro_common.errors import InputError
from astro_common.jsonable import jsonable

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "CONFIG_FILE",
    "MODEL_FILE",
    "SCHEMA_VERSION",
    "Checkpoint",
    "amend_record",
    "check_checkpoint",
    "newest_checkpoint",
    "read_checkpoint",
    "read_state",
    "remove_old_checkpoints",
    "step_name",
    "write_checkpoint",
]

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
"""Version of the files of a checkpoint. 1: the first."""
MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
_STATE_FILE = "state.safetensors"
_STATE_RECORD = "state.json"
_STEP = re.compile(r"step-(\d{6,})")


@dataclass(frozen=True)
class Checkpoint:
    """Weights of a model and what describes them.

    Attributes
    ----------
    path : Path
        Its folder.
    record : dict
        ``config.json``.
    tensors : dict of str to Tensor
    """

    path: Path
    record: Mapping[str, Any]
    tensors: dict[str, Tensor]


def step_name(step: int) -> str:
    """Name of the checkpoint of a step."""
    return f"step-{step:06d}"


def write_checkpoint(
    folder: Path,
    names: list[str],
    record: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    state: tuple[Mapping[str, Tensor], Mapping[str, Any]] | None,
) -> None:
    """Write a checkpoint under one or several names; each appears whole.

    Parameters
    ----------
    folder : Path
        ``checkpoints`` of the run; made if it is missing.
    names : list of str
        Folders below it; what they hold is replaced.
    record : mapping
        For ``config.json``.
    tensors : mapping of str to Tensor
        Weights of the model.
    state : pair of mappings, optional
        Tensors and JSON from which training continues.

    Raises
    ------
    OutputError
        If the disk is full or the folder cannot be written.
    """
    from safetensors.torch import save

    contents = {
        MODEL_FILE: save(dict(tensors)),
        CONFIG_FILE: (json.dumps(jsonable(record), indent=2) + "\n").encode(),
    }
    progress: dict[str, Any] = {}
    if state is not None:
        contents[_STATE_FILE] = save(dict(state[0]))
        progress = dict(state[1])
    files = {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }
    text = json.dumps(jsonable({**progress, "files": files}), indent=2)
    contents[_STATE_RECORD] = (text + "\n").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        for name in names:
            _put(folder, name, contents)
    except OSError as error:
        raise output_error(folder, error) from error


def amend_record(path: Path, more: Mapping[str, Any]) -> None:
    """Add to ``config.json`` of a checkpoint; what it holds otherwise stays.

    Parameters
    ----------
    path : Path
        Folder of a checkpoint.
    more : mapping
        Keys of the record.

    Raises
    ------
    InputError
        If the checkpoint is damaged.
    OutputError
        If it cannot be written.
    """
    state = check_checkpoint(path)
    contents = {name: (path / name).read_bytes() for name in state["files"]}
    record = {**_json(path / CONFIG_FILE), **more}
    content = (json.dumps(jsonable(record), indent=2) + "\n").encode()
    contents[CONFIG_FILE] = content
    state["files"][CONFIG_FILE] = {
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    contents[_STATE_RECORD] = (json.dumps(state, indent=2) + "\n").encode()
    try:
        _put(path.parent, path.name, contents)
    except OSError as error:
        raise output_error(path, error) from error


def _put(folder: Path, name: str, contents: Mapping[str, bytes]) -> None:
    partial = folder / f".{name}.{secrets.token_hex(4)}.partial"
    partial.mkdir()
    try:
        for file, content in contents.items():
            with (partial / file).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        place = folder / name
        if place.exists():
            old = folder / f".{name}.{secrets.token_hex(4)}.old.partial"
            place.rename(old)
            partial.rename(place)
            shutil.rmtree(old)
        else:
            partial.rename(place)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed run was writing; a replaced checkpoint that has no successor returns."""
    for leftover in folder.glob(".*.old.partial"):
        name = leftover.name[1:].rsplit(".", 3)[0]
        if (folder / name).exists():
            shutil.rmtree(leftover)
        else:
            leftover.rename(folder / name)
    for leftover in folder.glob(".*.partial"):
        shutil.rmtree(leftover)


def check_checkpoint(path: Path) -> dict[str, Any]:
    """Check that the files of a checkpoint are those that were written.

    Parameters
    ----------
    path : Path
        Folder of the checkpoint.

    Returns
    -------
    dict
        What ``state.json`` holds.

    Raises
    ------
    InputError
        If a file is missing, shorter or changed.
    """
    record = _json(path / _STATE_RECORD)
    files = record.get("files")
    if not isinstance(files, dict) or MODEL_FILE not in files:
        raise InputError(path / _STATE_RECORD, "no list of files", "the state of a checkpoint")
    for name, wanted in files.items():
        file = path / name
        try:
            size = file.stat().st_size
            if size != wanted["size"]:
                raise InputError(
                    file, f"{size} bytes", f"{wanted['size']}", "use another checkpoint"
                )
            with file.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise InputError(file, f"cannot be read ({error.strerror})", "a checkpoint") from error
        if found != wanted["sha256"]:
            raise InputError(file, "changed content", "what was written", "use another checkpoint")
    return record


def newest_checkpoint(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint from which training can continue.

    Parameters
    ----------
    folder : Path
        ``checkpoints`` of the run.

    Returns
    -------
    (Path, dict) or None
        Its folder and state; None if there is none. Damaged ones are named in a warning.
    """
    if not folder.is_dir():
        return None
    _remove_leftovers(folder)
    found: list[tuple[int, Path, dict[str, Any]]] = []
    for path in sorted(folder.iterdir()):
        if path.name != "last" and not _STEP.fullmatch(path.name):
            continue
        try:
            record = check_checkpoint(path)
        except InputError as error:
            logger.warning("%s; the checkpoint before it is used", error)
            continue
        if _STATE_FILE in record["files"]:
            found.append((int(record["step"]), path, record))
    if not found:
        return None
    _, path, record = max(found, key=lambda item: (item[0], item[1].name == "last"))
    return path, record


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the weights of a model: a checkpoint, an exported folder, or a run (its best).

    Parameters
    ----------
    path : Path

    Returns
    -------
    Checkpoint

    Raises
    ------
    InputError
        If it is missing, damaged or of another version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = _model_folder(path)
    record = _json(path / CONFIG_FILE)
    if record.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            path / CONFIG_FILE,
            f"version {record.get('schema_version')}",
            f"a model of version {SCHEMA_VERSION}",
        )
    if (path / _STATE_RECORD).exists():
        check_checkpoint(path)
    file = path / MODEL_FILE
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            file, f"cannot be read ({error})", "the weights of a model", "use another checkpoint"
        ) from error
    return Checkpoint(path, record, tensors)


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of the state of a checkpoint that has been checked."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path / _STATE_FILE)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(path / _STATE_FILE, f"cannot be read ({error})", "a state") from error
    return tensors


def remove_old_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest checkpoints of steps; ``best`` and ``last`` stay."""
    steps = sorted(path for path in folder.iterdir() if _STEP.fullmatch(path.name))
    for path in sorted(steps, key=lambda path: int(path.name.removeprefix("step-")))[:-keep]:
        shutil.rmtree(path)


def _model_folder(path: Path) -> Path:
    if (path / CONFIG_FILE).exists():
        return path
    for name in ("best", "last"):
        for folder in (path / "checkpoints" / name, path / name):
            if (folder / CONFIG_FILE).exists():
                return folder
    raise InputError(
        path,
        "no model there",
        f"a folder with {MODEL_FILE} and {CONFIG_FILE}",
        "give a checkpoint of `train` or an exported model",
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, f"cannot be read ({error})", "JSON of a checkpoint") from error
    if not isinstance(record, dict):
        raise InputError(path, f"a {type(record).__name__}", "a JSON object")
    return record
