"""Configuration files: YAML, read safely and checked, with errors that name the wrong key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from astro_common.errors import ConfigurationError

__all__ = ["as_yaml", "read_yaml", "validated"]

_Model = TypeVar("_Model", bound=BaseModel)
_SHOWN_CHARACTERS = 80


class _Loader(yaml.SafeLoader):
    """A safe YAML loader that refuses a key that appears twice, as YAML demands."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Check the keys of a mapping as they are written, before merges are resolved."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.composer.ComposerError(
                        None, None, f"the key {key.value} appears twice", key.start_mark
                    )
                seen.add(key.value)
        return node


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the keys and values of a YAML file; an empty file has none.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to object

    Raises
    ------
    ConfigurationError
        If the file cannot be read, is not valid YAML, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            path, f"cannot be read ({error})", "a YAML file", "see the README for its keys"
        ) from error
    try:
        loader = _Loader(text)
        try:
            values = loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigurationError(path, f"not valid YAML ({error})", "a YAML mapping") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError(path, f"a {type(values).__name__}", "a YAML mapping of keys")
    return values


def validated(model: type[_Model], values: Mapping[str, Any], source: Path | str) -> _Model:
    """Check keys and values against a model.

    Parameters
    ----------
    model : type
        A pydantic model; where it forbids extra keys, an unknown one is an error.
    values : mapping
        Value by key.
    source : Path or str
        Where the values come from, for errors.

    Returns
    -------
    pydantic.BaseModel
        An instance of the model.

    Raises
    ------
    ConfigurationError
        For the first key that is unknown or missing, or has a wrong value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _first_problem(model, source, error) from error


def as_yaml(model: BaseModel) -> str:
    """Write a configuration as YAML, every key included (str)."""
    values = model.model_dump(mode="json")
    return str(yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=100))


def _first_problem(
    model: type[BaseModel], source: Path | str, error: ValidationError
) -> ConfigurationError:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, problem["loc"][:-1])
        expected = f"one of {known}" if known else ""
        return ConfigurationError(source, f"unknown key {key}", expected, "remove it")
    if problem["type"] == "missing":
        return ConfigurationError(source, f"no key {key}", "this key", "add it")
    shown = str(problem["input"])[:_SHOWN_CHARACTERS]
    return ConfigurationError(source, f"{key} is {shown!r}", problem["msg"])


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    found: Any = model
    for part in location:
        # Indices, keys of mappings and members of unions stay at the same model.
        fields = getattr(_model_of(found), "model_fields", {})
        if part in fields:
            found = fields[part].annotation
    return ", ".join(getattr(_model_of(found), "model_fields", {}))


def _model_of(annotation: Any) -> Any:
    """Find the model in an annotation such as ``Section | None`` or ``tuple[Section, ...]``."""
    if hasattr(annotation, "model_fields"):
        return annotation
    inner = (_model_of(item) for item in getattr(annotation, "__args__", ()))
    return next((item for item in inner if item is not None), None)
