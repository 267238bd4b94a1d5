"""A configuration with the tokens that it names: vocabulary, codebooks, slots, model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError, InputError
from astromodal_transformer.checkpoints import SCHEMA_VERSION, Checkpoint, read_checkpoint
from astromodal_transformer.codebooks import Codebooks, load_codebooks
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.layout import Layout, make_layout
from astromodal_transformer.store import TokenStore
from astromodal_transformer.vocabulary import Vocabulary, load_vocabulary

if TYPE_CHECKING:
    from astromodal_transformer.model import Transformer

__all__ = ["Project", "model_from_checkpoint", "model_record"]


@dataclass(frozen=True)
class Project:
    """What a run works on.

    Attributes
    ----------
    configuration : Configuration
    vocabulary : Vocabulary
    books : Codebooks
    layout : Layout
    """

    configuration: Configuration
    vocabulary: Vocabulary
    books: Codebooks
    layout: Layout

    @classmethod
    def open(cls, configuration: Configuration, record: dict[str, Any] | None = None) -> Project:
        """Read vocabulary and codebooks, and lay out the slots.

        Parameters
        ----------
        configuration : Configuration
        record : dict, optional
            ``config.json`` of a model whose slots shall be used instead of the configured ones.

        Raises
        ------
        InputError
            If files are missing or damaged, or the model knows another vocabulary.
        """
        folder = configuration.tokens
        vocabulary = load_vocabulary(folder)
        if record is not None:
            own = Vocabulary.from_record(record["vocabulary"])
            if own.digest != vocabulary.digest:
                raise InputError(
                    folder / "vocabulary.json",
                    f"another vocabulary ({vocabulary.digest[:12]})",
                    f"{own.digest[:12]}, with which the model was trained",
                    "use the tokens of its training, or train anew",
                )
        books = load_codebooks(folder, vocabulary)
        sequences = configuration.sequences.model_dump()
        data = configuration.data.model_dump()
        if record is not None:
            sequences, data = record["sequences"], record["data"]
        layout = make_layout(vocabulary, books, sequences, data["include"], data["exclude"])
        return cls(configuration, vocabulary, books, layout)

    def store(self, fields: Sequence[str] | None = None) -> TokenStore:
        """The tokens of some fields, of all by default."""
        return TokenStore(self.configuration.tokens, self.vocabulary, self.layout, fields)

    @cached_property
    def centroids(self) -> list[NDArray[np.float32]]:
        """What the codes of each block stand for, standardised (list of ndarray)."""
        return [self.books.centroids(block.name) for block in self.vocabulary.blocks]

    def new_model(self) -> Transformer:
        """A model that has learned nothing, with the weights of the configured seed.

        Raises
        ------
        ConfigurationError
            If its shape is impossible.
        """
        import torch

        from astromodal_transformer.model import Transformer
        from astromodal_transformer.shape import ModelShape

        torch.manual_seed(self.configuration.seed)
        shape = ModelShape.from_settings(self.configuration.model)
        try:
            return Transformer.for_layout(shape, self.vocabulary, self.layout, self.centroids)
        except ValueError as error:
            raise ConfigurationError(
                "model.d_model and model.heads", str(error), "d_model a multiple of 4 * heads"
            ) from error


def model_record(project: Project, synthetic: bool) -> dict[str, Any]:
    """What ``config.json`` says of a model of a project.

    Parameters
    ----------
    project : Project
    synthetic : bool
        Whether it was trained on simulated sources.
    """
    from astro_common.provenance import creation_time, versions
    from astromodal_transformer.shape import ModelShape

    configuration = project.configuration
    data = configuration.data.model_dump(mode="json")
    return {
        "schema_version": SCHEMA_VERSION,
        "shape": ModelShape.from_settings(configuration.model).record(),
        "vocabulary": project.vocabulary.record(),
        "dimensions": [c.shape[1] for c in project.centroids],
        "slots": project.layout.size,
        "modalities": list(project.layout.modalities),
        "sequences": configuration.sequences.model_dump(mode="json"),
        "data": {"include": data["include"], "exclude": data["exclude"]},
        "objective": configuration.model.objective,
        "loss": configuration.loss.model_dump(mode="json"),
        "seed": configuration.seed,
        "synthetic": synthetic,
        "created": creation_time(),
        "versions": versions("astromodal-transformer"),
    }


def model_from_checkpoint(source: Path | Checkpoint, device: str = "cpu") -> Transformer:
    """Load a model, ready to answer.

    Parameters
    ----------
    source : Path or Checkpoint
    device : str

    Returns
    -------
    Transformer

    Raises
    ------
    InputError
        If the files are missing, damaged or do not fit one another.
    """
    from astromodal_transformer.model import Transformer
    from astromodal_transformer.shape import ModelShape

    found = read_checkpoint(source) if isinstance(source, Path) else source
    try:
        vocabulary = Vocabulary.from_record(found.record["vocabulary"])
        shape = ModelShape(**found.record["shape"])
        tensors = found.tensors
        slots = {
            "block": tensors["slot_block"].numpy(),
            "group": tensors["slot_group"].numpy(),
            "position": tensors["slot_position"].numpy(),
        }
        table = tensors["centroids"].numpy()
        centroids = [
            table[block.offset : block.offset + block.size, :dimensions]
            for block, dimensions in zip(vocabulary.blocks, found.record["dimensions"], strict=True)
        ]
        model = Transformer(shape, vocabulary, slots, centroids)
        model.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise InputError(
            found.path, f"not complete ({error})", "a model of this package", "use another one"
        ) from error
    model.refresh()
    return model.to(device).eval()
