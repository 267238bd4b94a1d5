"""A model by itself: weights and what describes them, without the state of its training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_common.atomic import atomic_path, output_error
from astro_common.errors import OutputError
from astromodal_transformer.checkpoints import CONFIG_FILE, MODEL_FILE, read_checkpoint

if TYPE_CHECKING:
    from astromodal_transformer.model import Transformer

__all__ = ["export_model", "load_model"]


def load_model(path: str | Path, device: str = "cpu") -> Transformer:
    """Load a model that was exported, or that of a checkpoint.

    Parameters
    ----------
    path : path-like
        Folder with ``model.safetensors`` and ``config.json``.
    device : str

    Returns
    -------
    Transformer
        Ready to answer.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    from astromodal_transformer.project import model_from_checkpoint

    return model_from_checkpoint(Path(path), device)


def export_model(checkpoint: Path, folder: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write ``model.safetensors`` and ``config.json`` into a folder.

    Parameters
    ----------
    checkpoint : Path
    folder : Path
        Made if it is missing.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    dict
        ``output``, ``parameters``, ``step``.

    Raises
    ------
    InputError
        If the checkpoint is damaged.
    OutputError
        If the files exist or cannot be written.
    """
    found = read_checkpoint(checkpoint)
    model = load_model(found.path)
    for name in (MODEL_FILE, CONFIG_FILE):
        if (folder / name).exists() and not overwrite:
            raise OutputError(
                folder / name, "the file exists", action="give --overwrite to replace it"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    with atomic_path(folder / MODEL_FILE, overwrite=overwrite) as partial:
        shutil.copyfile(found.path / MODEL_FILE, partial)
    with atomic_path(folder / CONFIG_FILE, overwrite=overwrite) as partial:
        partial.write_text(json.dumps(found.record, indent=2) + "\n", encoding="utf-8")
    return {
        "output": str(folder),
        "parameters": model.num_parameters,
        "step": found.record.get("step"),
    }
