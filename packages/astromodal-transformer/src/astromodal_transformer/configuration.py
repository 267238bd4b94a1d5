"""The YAML configuration of a run: defaults, the user's file over them, single keys last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from astro_common.configuration import read_yaml, validated
from astro_common.errors import ConfigurationError

__all__ = [
    "Configuration",
    "DataSettings",
    "EvaluationSettings",
    "LossSettings",
    "MaskingSettings",
    "ModelSettings",
    "SequenceSettings",
    "TrainingSettings",
    "default_text",
    "load_configuration",
]

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_PRECISIONS = {
    **dict.fromkeys(("32", "32-true", "float32"), "fp32"),
    **dict.fromkeys(("bf16-mixed", "bfloat16"), "bf16"),
    **dict.fromkeys(("16", "16-mixed", "float16"), "fp16"),
}
_BATCH_SIZES = {"tiny": 128, "small": 64, "base": 16, "large": 16}


def _precision(value: Any) -> Any:
    """Lightning's names are as good as ours."""
    return _PRECISIONS.get(str(value), value)


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class _Section(BaseModel):
    # Defaults are in defaults.yaml alone, where the user reads them.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSettings(_Section):
    """Which modalities the model sees, and how rows are shuffled."""

    include: Names
    exclude: Names
    block_rows: Count
    balance: Share


class SequenceSettings(_Section):
    """How many tokens of a source stand in a sequence."""

    max_tokens: Annotated[int, Field(ge=2)]
    image_tokens: Annotated[int, Field(ge=0)]
    spectrum_tokens: Annotated[int, Field(ge=0)]
    light_curve_tokens: Annotated[int, Field(ge=0)]
    visible_tokens: Count | None
    query_tokens: Count | None
    shuffle: bool


class MaskingSettings(_Section):
    """What training hides from the masked model."""

    whole_modality: Share
    questions: Share
    besides: Share
    fewest_visible: Share
    most_visible: Share

    @model_validator(mode="after")
    def _ordered(self) -> MaskingSettings:
        if self.fewest_visible > self.most_visible:
            raise ValueError("fewest_visible is above most_visible")
        return self


class ModelSettings(_Section):
    """Size and form of the network; null takes the value of the preset."""

    preset: Literal["tiny", "small", "base", "large"]
    objective: Literal["masked", "causal"]
    layers: Count | None
    d_model: Annotated[int, Field(ge=4)] | None
    heads: Count | None
    feed_forward: Count | None
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    norm: Literal["rms", "layer"]
    positions: Literal["rotary", "learned"]
    embedding: Literal["codebook", "free", "both"] | None
    tie_weights: bool
    digest: bool | None

    @model_validator(mode="after")
    def _possible(self) -> ModelSettings:
        if self.digest and self.objective == "causal":
            raise ValueError("digest is true, and the causal model must not look ahead")
        return self


class LossSettings(_Section):
    """Weights of the two terms and of the modalities."""

    reconstruction: Weight
    cross_entropy: Weight
    weights: dict[str, Weight]
    balance: Share
    chunk_elements: Annotated[int, Field(ge=1024)]

    @model_validator(mode="after")
    def _some(self) -> LossSettings:
        if self.reconstruction == 0.0 and self.cross_entropy == 0.0:
            raise ValueError("reconstruction and cross_entropy are both 0")
        return self


class TrainingSettings(_Section):
    """How the network is trained."""

    fields: Names | None
    max_steps: Count | None
    max_minutes: Positive | None
    epochs: Count
    schedule_steps: Count | None
    batch_size: Count
    accumulate: Count
    learning_rate: Positive | None
    weight_decay: Weight
    betas: tuple[Share, Share]
    clip: Weight
    schedule: Literal["cosine", "wsd"]
    warmup_steps: Annotated[int, Field(ge=0)] | None
    decay_share: Share
    final_share: Share
    ema: Annotated[float, Field(ge=0.0, lt=1.0)]
    gradient_checkpointing: bool
    compile: bool
    precision: Annotated[Literal["fp32", "bf16", "fp16"], BeforeValidator(_precision)]
    accelerator: str
    devices: int | str
    strategy: str
    workers: Annotated[int, Field(ge=0, le=256)]
    threads: Count | None
    log_every_steps: Count
    validate_every_steps: Count | None
    validation_sources: Annotated[int, Field(ge=0)]
    checkpoint_every_steps: Count
    keep_checkpoints: Annotated[int, Field(ge=2)]
    tensorboard: bool
    progress: bool


class EvaluationSettings(_Section):
    """What is measured on held-out sources."""

    targets: Names | None
    subsets: dict[str, Names] | None
    split: Literal["train", "validation", "test", "all"]
    max_sources: Count
    baselines: tuple[Literal["column_mean", "nearest_neighbours", "gradient_boosting", "mlp"], ...]
    batch_size: Count


class Configuration(_Section):
    """A whole run.

    Attributes
    ----------
    tokens : Path
        Folder that astromodal-tokenizers wrote.
    hypercube : str or None
        Path of the hypercubes with ``{field}`` in it.
    output : Path
        Folder of the run.
    seed : int
    data, sequences, masking, model, loss, training, evaluation
        The sections.
    """

    tokens: Path
    hypercube: str | None
    output: Path
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    data: DataSettings
    sequences: SequenceSettings
    masking: MaskingSettings
    model: ModelSettings
    loss: LossSettings
    training: TrainingSettings
    evaluation: EvaluationSettings


def load_configuration(path: Path | None, changes: Sequence[str] = ()) -> Configuration:
    """Read and check a configuration.

    Parameters
    ----------
    path : Path, optional
        YAML file; relative paths in it resolve against its folder, those of `changes` against the
        working folder. Without it the defaults are taken.
    changes : sequence of str
        ``key=value`` with dots between section and key; the value is read as YAML.

    Returns
    -------
    Configuration

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a key or value is wrong; the message names it.
    """
    values = _defaults()
    folder = Path.cwd()
    source = "configuration" if path is None else str(path)
    if path is not None:
        own = read_yaml(path)
        _known(own, values, source)
        values = _merged(values, own)
        folder = path.resolve().parent
    _resolve(values, folder)
    for change in changes:
        values = _merged(values, _changed(change, values))
    _resolve(values, Path.cwd())
    if values["training"]["batch_size"] is None:
        preset = str(values["model"]["preset"])
        values["training"] = {**values["training"], "batch_size": _BATCH_SIZES.get(preset, 16)}
    return validated(Configuration, values, source)


def default_text() -> str:
    """The packaged defaults, with their comments (str)."""
    return resources.files("astromodal_transformer").joinpath("defaults.yaml").read_text("utf-8")


def _defaults() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(default_text())
    return values


# Sections whose keys are names that the user chooses.
_OPEN = ("loss.weights", "evaluation.subsets")


def _known(own: Mapping[str, Any], known: Mapping[str, Any], source: str, prefix: str = "") -> None:
    for key, value in own.items():
        if key not in known:
            raise ConfigurationError(
                source,
                f"unknown key {prefix}{key}",
                f"one of {', '.join(known)}",
                "remove or correct it",
            )
        if isinstance(known[key], dict) and f"{prefix}{key}" not in _OPEN:
            if not isinstance(value, dict):
                raise ConfigurationError(source, f"{prefix}{key} is {value!r}", "a mapping of keys")
            _known(value, known[key], source, f"{prefix}{key}.")


def _merged(base: Mapping[str, Any], over: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(base.get(key), dict)
        if nested and f"{prefix}{key}" not in _OPEN:
            result[key] = _merged(base[key], value, f"{prefix}{key}.")
        else:
            result[key] = value
    return result


def _changed(change: str, known: Mapping[str, Any]) -> dict[str, Any]:
    key, sign, text = change.partition("=")
    if not sign or not key.strip():
        raise ConfigurationError("--set", repr(change), "key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError("--set", repr(change), "a value in YAML") from error
    nested: Any = value
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    result: dict[str, Any] = nested
    _known(result, known, "--set")
    return result


def _resolve(values: dict[str, Any], folder: Path) -> None:
    for key in ("tokens", "hypercube", "output"):
        if isinstance(values.get(key), str):
            values[key] = str(folder / Path(values[key]).expanduser())
