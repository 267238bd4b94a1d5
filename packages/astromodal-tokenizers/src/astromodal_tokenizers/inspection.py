"""Say what a file of a run holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from astro_common.errors import InputError
from astromodal_tokenizers.artifacts import FAMILIES, codebook_path, file_checksum, load_artifact
from astromodal_tokenizers.npz import check_npz, read_npz

__all__ = ["inspect_file", "text_report"]


def inspect_file(path: Path) -> dict[str, Any]:
    """Describe a configuration, codebook, token file, shard or vocabulary.

    Parameters
    ----------
    path : Path
        Told apart by the suffix: yaml, safetensors, npz, arrow, json.

    Returns
    -------
    dict
        ``file``, ``kind`` and what the kind has.

    Raises
    ------
    InputError
        If the file is missing, damaged or of no such kind.
    """
    kinds = {
        ".yaml": _configuration,
        ".yml": _configuration,
        ".safetensors": _codebook,
        ".npz": _tokens,
        ".arrow": _shard,
        ".json": _vocabulary,
    }
    if path.suffix not in kinds:
        raise InputError(path, f"suffix {path.suffix!r}", f"one of {', '.join(kinds)}")
    if not path.is_file():
        raise InputError(path, "no such file", "a file of a run")
    return {"file": str(path), **kinds[path.suffix](path)}


def _configuration(path: Path) -> dict[str, Any]:
    from astromodal_tokenizers.configuration import load_configuration
    from astromodal_tokenizers.hypercube import open_cubes
    from astromodal_tokenizers.modalities import modality_table

    configuration = load_configuration(path)
    cubes = open_cubes(configuration)
    table = modality_table(configuration, cubes)
    return {
        "kind": "configuration",
        "fields": {cube.field: cube.num_rows for cube in cubes},
        "synthetic": any(cube.synthetic for cube in cubes),
        "fitted": [name for name in FAMILIES if codebook_path(configuration.output, name).exists()],
        "modalities": [
            {"name": item.name, "kind": item.kind, "columns": item.all_columns} for item in table
        ],
    }


def _codebook(path: Path) -> dict[str, Any]:
    family = path.stem
    arrays, record = load_artifact(path, family)
    return {
        "kind": f"{family} codebooks",
        "sha256": file_checksum(path),
        "synthetic": record.get("synthetic"),
        "split": record.get("split"),
        "arrays": len(arrays),
        "parameters": int(sum(array.size for array in arrays.values())),
    }


def _tokens(path: Path) -> dict[str, Any]:
    check_npz(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = list(arrays.files)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(path, f"cannot be read ({error})", "tokens", "encode again") from error
    found = {name: read_npz(path, name) for name in names}
    return {
        "kind": "tokens",
        "codebook_sha256": str(found.get("codebook_sha256", "")),
        "arrays": {
            name: {"shape": list(array.shape), "type": str(array.dtype)}
            for name, array in sorted(found.items())
        },
    }


def _shard(path: Path) -> dict[str, Any]:
    try:
        with pa.memory_map(str(path)) as source:
            file = pa.ipc.open_file(source)
            header = json.loads((file.schema.metadata or {})[b"astromodal_tokenizers"])
            rows = sum(file.get_batch(n).num_rows for n in range(file.num_record_batches))
            columns = {item.name: str(item.type) for item in file.schema}
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise InputError(path, f"cannot be read ({error})", "a store of tokens") from error
    return {"kind": "store", "rows": rows, "columns": columns, **header}


def _vocabulary(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, f"cannot be read ({error})", "a vocabulary") from error
    if not isinstance(found, dict) or "blocks" not in found:
        raise InputError(path, "no key blocks", "a vocabulary")
    return {"kind": "vocabulary", **found}


def text_report(report: dict[str, Any]) -> list[str]:
    """The description as lines of text."""
    lines = []
    for key, value in report.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{key}: {len(value)}")
            lines.extend("  " + _one_line(item) for item in value)
        elif isinstance(value, dict):
            lines.append(f"{key}:")
            lines.extend(f"  {name}: {_one_line(item)}" for name, item in value.items())
        else:
            lines.append(f"{key}: {_one_line(value)}")
    return lines


def _one_line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_one_line(item)}" for name, item in value.items())
    if isinstance(value, list):
        # An array of no dimension is one value.
        return " ".join(map(str, value)) or "()"
    return str(value)
