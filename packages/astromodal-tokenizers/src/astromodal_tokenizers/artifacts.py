"""Codebooks and networks on disk: safetensors with a JSON header, known by their checksum."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from astro_common.jsonable import json_text
from astro_common.parquet import described, field_metadata

__all__ = [
    "FAMILIES",
    "SCHEMA_VERSION",
    "codebook_path",
    "field_from_record",
    "field_record",
    "file_checksum",
    "load_artifact",
    "save_artifact",
]

SCHEMA_VERSION = 1
"""Version of the codebooks and token files. 1: the first."""
FAMILIES = ("image", "scalar", "spectrum")
_HEADER_KEY = "astromodal_tokenizers"
_MAX_BYTES = 8 << 30

_TYPES: dict[str, pa.DataType] = {
    str(kind): kind
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64()),
    )
}


def codebook_path(output: Path, family: str) -> Path:
    """Where the codebooks of a tokenizer lie.

    Parameters
    ----------
    output : Path
        The run's folder.
    family : {'image', 'scalar', 'spectrum'}
    """
    return output / "codebooks" / f"{family}.safetensors"


def save_artifact(path: Path, arrays: dict[str, NDArray[Any]], record: dict[str, Any]) -> None:
    """Write arrays and what they mean.

    Parameters
    ----------
    path : Path
        Its folder exists; a file there is replaced.
    arrays : dict of str to ndarray
    record : dict
        As JSON can hold it.
    """
    from safetensors.numpy import save

    header = {_HEADER_KEY: json_text({"schema_version": SCHEMA_VERSION, **record})}
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content = save(contiguous, metadata=header)
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(content)


def load_artifact(path: Path, family: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what `save_artifact` wrote.

    Parameters
    ----------
    path : Path
    family : str
        Which tokenizer it should be.

    Returns
    -------
    dict of str to ndarray
    dict

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind or version.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise InputError(path, "no such file", "codebooks", f"run `fit {family}` first")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(path, f"{path.stat().st_size} bytes", "codebooks")
    try:
        with safe_open(path, framework="np") as file:
            record = json.loads((file.metadata() or {})[_HEADER_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            path, f"cannot be read ({error})", "codebooks of this package", "run fit again"
        ) from error
    version = record.get("schema_version")
    if version != SCHEMA_VERSION or record.get("family") != family:
        raise InputError(
            path,
            f"{record.get('family')} codebooks of version {version}",
            f"{family} codebooks of version {SCHEMA_VERSION}",
            "run fit again",
        )
    return arrays, record


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal (str).

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a file") from error


def field_record(field: pa.Field) -> dict[str, Any]:
    """A hypercube's field as JSON can hold it: name, type of the values, metadata."""
    kind = field.type
    size = None
    if pa.types.is_fixed_size_list(kind):
        size = kind.list_size
    nested = size is not None or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    values = kind.value_type if nested else kind
    return {
        "name": field.name,
        "type": str(values),
        "list": nested,
        "list_size": size,
        "metadata": field_metadata(field),
    }


def field_from_record(record: dict[str, Any]) -> pa.Field:
    """The field that `field_record` described."""
    kind = _TYPES[record["type"]]
    if record["list"]:
        size = record["list_size"]
        kind = pa.list_(kind) if size is None else pa.list_(kind, int(size))
    return described(record["name"], kind, **record["metadata"])
