"""Fit tokenizers: from hypercubes to codebook files and a vocabulary."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astro_common.errors import ConfigurationError, OutputError
from astro_common.provenance import provenance
from astromodal_tokenizers.artifacts import codebook_path, file_checksum, save_artifact
from astromodal_tokenizers.configuration import Configuration
from astromodal_tokenizers.hypercube import Cube, open_cubes
from astromodal_tokenizers.modalities import Modality, modality_table
from astromodal_tokenizers.split import split_record
from astromodal_tokenizers.tokenizers.loading import Tokenizer
from astromodal_tokenizers.vocabulary import write_vocabulary

__all__ = ["fit"]

logger = logging.getLogger(__name__)

DISTRIBUTION = "astromodal-tokenizers"
_ORDER = ("scalar", "spectrum", "image")
# What starts the processes of a distributed run tells each its number in one of these.
_NUMBERS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def fit(configuration: Configuration, family: str, *, overwrite: bool = False) -> dict[str, Any]:
    """Fit one tokenizer or all, and number their codes anew.

    Parameters
    ----------
    configuration : Configuration
    family : {'scalar', 'spectrum', 'image', 'all'}
        ``all`` leaves out what the hypercubes do not hold.
    overwrite : bool
        Replace codebooks that are there; tokens made with them are refused from then on.

    Returns
    -------
    dict
        ``output``; ``codebooks``: path and checksum by family; ``vocabulary_size``. Empty in all
        processes but the first of a distributed run.

    Raises
    ------
    InputError, ConfigurationError
        If the hypercubes do not hold what is to be learned.
    OutputError
        If codebooks exist.
    """
    cubes = open_cubes(configuration)
    table = modality_table(configuration, cubes)
    present = [name for name in _ORDER if any(item.family == name for item in table)]
    wanted = present if family == "all" else [family]
    if not wanted or wanted[0] not in present:
        raise ConfigurationError(
            "modalities", f"none for {family}", "columns of such a modality", "see `inspect`"
        )
    output = configuration.output
    if not _is_first_process(configuration):
        # The others help to train the network; the first one does all the rest.
        if "image" in wanted:
            _learn(configuration, cubes, table, "image")
        return {}
    for name in wanted:
        path = codebook_path(output, name)
        if path.exists() and not overwrite:
            raise OutputError(path, "the file exists", action="give --overwrite to replace it")
    codebook_path(output, "scalar").parent.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"output": str(output), "codebooks": {}}
    for name in wanted:
        path = codebook_path(output, name)
        tokenizer = _learn(configuration, cubes, table, name)
        if tokenizer is None:
            return {}
        arrays, record = tokenizer.state()
        record["family"] = name
        record["synthetic"] = any(cube.synthetic for cube in cubes)
        record["split"] = split_record(configuration.split, configuration.seed)
        record["provenance"] = _provenance(configuration, cubes)
        save_artifact(path, arrays, record)
        result["codebooks"][name] = {"path": str(path), "sha256": file_checksum(path)}
    vocabulary = write_vocabulary(output, split_record(configuration.split, configuration.seed))
    result["vocabulary_size"] = vocabulary["size"]
    return result


def _is_first_process(configuration: Configuration) -> bool:
    image = configuration.image
    if image.strategy == "auto" and image.devices == 1:
        return True
    return all(os.environ.get(name, "0") == "0" for name in _NUMBERS)


def _learn(
    configuration: Configuration, cubes: Sequence[Cube], table: Sequence[Modality], family: str
) -> Tokenizer | None:
    if family == "scalar":
        from astromodal_tokenizers.train.scalars import fit_scalars

        return fit_scalars(configuration, cubes, table)
    if family == "spectrum":
        from astromodal_tokenizers.train.spectra import fit_spectra

        return fit_spectra(configuration, cubes, table)
    from astromodal_tokenizers.train.images import fit_images

    return fit_images(configuration, cubes, table)


def _provenance(configuration: Configuration, cubes: Sequence[Cube]) -> dict[str, Any]:
    settings = configuration.model_dump(mode="json", exclude={"output", "hypercube"})
    record = provenance(DISTRIBUTION, settings, [cube.path for cube in cubes])
    # The same inputs give the same bytes, and so the same checksum, on whatever day and wherever.
    del record["created"]
    for item in record["inputs"]:
        del item["mtime_ns"]
        item["path"] = Path(item["path"]).name
    return record
