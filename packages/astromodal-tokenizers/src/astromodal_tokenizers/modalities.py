"""The table of modalities: what a hypercube holds that becomes tokens.

A hypercube says of each column what it is. From that the table follows, so that a new survey or
column needs no code; a table in the configuration takes its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from astro_common.errors import ConfigurationError, InputError
from astro_common.parquet import field_metadata
from astromodal_tokenizers.configuration import Configuration, ModalitySettings
from astromodal_tokenizers.hypercube import Cube

__all__ = ["FAMILY", "Modality", "image_size_px", "modality_table"]

FAMILY = {
    "scalar": "scalar",
    "spectrum": "spectrum",
    "light_curve": "spectrum",
    "coefficients": "spectrum",
    "image": "image",
}
"""Which of the three tokenizers a kind of modality belongs to."""

_REQUIRED = {
    "scalar": ("value",),
    "spectrum": ("flux", "ivar"),
    "light_curve": ("value", "error", "time"),
    "coefficients": ("coefficients", "errors"),
    "image": ("bands",),
}
_OPTIONAL = {"spectrum": ("wavelength",), "coefficients": ("correlations",)}

# The role of a column follows from the start of its UCD, or else from its name.
_ROLES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "spectrum": (
        ("wavelength", r"em\.wl", r"wave|wavelength|loglam"),
        ("ivar", r"stat\.weight", r"ivar"),
        ("flux", r"phot\.flux|phot\.count", r"flux"),
    ),
    "light_curve": (
        ("time", r"time\.", r"hmjd|mjd|jd|time"),
        ("error", r"stat\.error", r"magerr|fluxerr|err|error"),
        ("value", r"phot\.", r"mag|flux"),
    ),
    "coefficients": (
        ("correlations", r"stat\.correlation", r"coefficient_correlations"),
        ("errors", r"stat\.error", r"coefficient_errors"),
        ("coefficients", r"stat\.fit\.param", r"coefficients"),
    ),
}


@dataclass(frozen=True)
class Modality:
    """One modality.

    Attributes
    ----------
    name : str
        What its tokens are called.
    kind : str
        ``scalar``, ``spectrum``, ``light_curve``, ``coefficients`` or ``image``.
    columns : dict of str to tuple of str
        Columns of the hypercube by role, in order.
    """

    name: str
    kind: str
    columns: dict[str, tuple[str, ...]]

    @property
    def family(self) -> str:
        """Which tokenizer it belongs to: ``scalar``, ``spectrum`` or ``image`` (str)."""
        return FAMILY[self.kind]

    @property
    def all_columns(self) -> list[str]:
        """Every column that is read (list of str)."""
        return [name for names in self.columns.values() for name in names]

    def column(self, role: str) -> str:
        """The column of a role that has one column."""
        return self.columns[role][0]

    def has(self, role: str) -> bool:
        """Whether there is a column of this role."""
        return bool(self.columns.get(role))


def modality_table(configuration: Configuration, cubes: Sequence[Cube]) -> list[Modality]:
    """Decide what becomes tokens.

    Parameters
    ----------
    configuration : Configuration
    cubes : sequence of Cube
        Hypercubes of one run; they agree in their columns.

    Returns
    -------
    list of Modality
        Image first, then scalars and spectra in the order of the columns.

    Raises
    ------
    ConfigurationError
        If the configuration names a column that the hypercubes do not have, or a table that is
        not complete.
    InputError
        If the hypercubes do not agree.
    """
    schema = cubes[0].schema
    if configuration.modalities is not None:
        table = [_from_settings(item, cubes[0]) for item in configuration.modalities]
    else:
        table = list(_from_metadata(schema))
    table = _chosen_scalars(configuration, table, cubes[0])
    _check_names(table)
    for cube in cubes[1:]:
        for modality in table:
            for name in modality.all_columns:
                _check_column(cube, schema.field(name))
    order = {"image": 0, "scalar": 1, "spectrum": 2}
    return sorted(table, key=lambda modality: order[modality.family])


def _check_column(cube: Cube, wanted: pa.Field) -> None:
    if wanted.name not in cube.schema.names:
        raise InputError(
            cube.path, f"no column {wanted.name}", "the columns of the other hypercubes"
        )
    found = cube.schema.field(wanted.name).type
    if found != wanted.type:
        raise InputError(
            cube.path, f"column {wanted.name} of type {found}", f"{wanted.type} as elsewhere"
        )


def _check_names(table: Sequence[Modality]) -> None:
    seen = set()
    for modality in table:
        if modality.name in seen:
            raise ConfigurationError("modalities", f"the name {modality.name} twice", "one of it")
        seen.add(modality.name)
    if sum(modality.kind == "image" for modality in table) > 1:
        raise ConfigurationError("modalities", "more than one image", "at most one")


def _from_settings(settings: ModalitySettings, cube: Cube) -> Modality:
    columns = {
        role: (value,) if isinstance(value, str) else tuple(value)
        for role, value in settings.columns.items()
    }
    known = (*_REQUIRED[settings.kind], *_OPTIONAL.get(settings.kind, ()))
    for role in columns:
        if role not in known:
            raise ConfigurationError(
                f"modalities.{settings.name}.columns", f"role {role}", f"one of {', '.join(known)}"
            )
    for role in _REQUIRED[settings.kind]:
        if not columns.get(role):
            raise ConfigurationError(
                f"modalities.{settings.name}.columns", f"no role {role}", "it", "name its column"
            )
    for role, names in columns.items():
        if role != "bands" and len(names) != 1:
            raise ConfigurationError(
                f"modalities.{settings.name}.columns", f"{len(names)} columns as {role}", "one"
            )
        for name in names:
            _require_column(cube, name, f"modalities.{settings.name}")
            _require_type(cube, name, settings.kind, f"modalities.{settings.name}")
    return Modality(settings.name, settings.kind, columns)


def _require_column(cube: Cube, name: str, key: str) -> None:
    if name not in cube.schema.names:
        raise ConfigurationError(key, f"column {name}", f"a column of {cube.path}", "correct it")


def _require_type(cube: Cube, name: str, kind: str, key: str) -> None:
    found = cube.schema.field(name).type
    fits = _is_number(found) if kind == "scalar" else _is_list(found)
    if not fits:
        wanted = "numbers" if kind == "scalar" else "lists of numbers"
        raise ConfigurationError(key, f"column {name} of type {found}", wanted)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests) and _is_number(kind.value_type)


def _chosen_scalars(
    configuration: Configuration, table: list[Modality], cube: Cube
) -> list[Modality]:
    """Keep the scalars that the configuration lists, in its order, also those of other kinds."""
    wanted = configuration.scalar.columns
    if wanted is None:
        return table
    others = [modality for modality in table if modality.kind != "scalar"]
    scalars = []
    for name in dict.fromkeys(wanted):
        _require_column(cube, name, "scalar.columns")
        _require_type(cube, name, "scalar", "scalar.columns")
        scalars.append(Modality(name, "scalar", {"value": (name,)}))
    return others + scalars


def _from_metadata(schema: pa.Schema) -> Iterator[Modality]:
    described = [(field, field_metadata(field)) for field in schema]
    for field, own in described:
        # Vectors called scalar, such as abundances of many elements, have no single value.
        if own.get("modality") == "scalar" and _is_number(field.type):
            yield Modality(field.name, "scalar", {"value": (field.name,)})
    for kind in ("spectrum", "light_curve", "coefficients"):
        yield from _grouped(kind, [item for item in described if item[1].get("modality") == kind])
    bands = tuple(field.name for field, own in described if own.get("modality") == "image")
    if bands:
        yield Modality("image", "image", {"bands": bands})


def _grouped(kind: str, fields: Sequence[tuple[pa.Field, dict[str, str]]]) -> Iterator[Modality]:
    """Put the columns of one spectrum together: their names differ in the word for their role."""
    groups: dict[str, dict[str, tuple[str, ...]]] = {}
    for field, own in fields:
        if not _is_list(field.type):
            continue
        for role, ucd, words in _ROLES[kind]:
            name = _without(field.name, words)
            if name is not None and (re.match(ucd, own.get("ucd", "")) or not own.get("ucd")):
                groups.setdefault(name, {})[role] = (field.name,)
                break
    for name, columns in groups.items():
        if all(role in columns for role in _REQUIRED[kind]):
            yield Modality(name, kind, columns)


def _without(name: str, words: str) -> str | None:
    """A column's name without the word for its role; None if it has none."""
    match = re.fullmatch(rf"(?:(.+)_)?(?:{words})(?:_(.+))?", name)
    if match is None:
        return None
    return "_".join(part for part in match.groups() if part) or None


def image_size_px(cube: Cube, modality: Modality) -> int:
    """Side of the square cutouts of an image.

    Parameters
    ----------
    cube : Cube
    modality : Modality

    Returns
    -------
    int

    Raises
    ------
    InputError
        If the columns are no squares of one size that four divides.
    """
    sizes = set()
    for name in modality.columns["bands"]:
        kind: Any = cube.schema.field(name).type
        if not pa.types.is_fixed_size_list(kind):
            raise InputError(cube.path, f"column {name} of type {kind}", "lists of a fixed size")
        sizes.add(int(kind.list_size))
    side = math.isqrt(max(sizes))
    if len(sizes) != 1 or side * side != max(sizes) or side % 4:
        found = ", ".join(map(str, sorted(sizes)))
        raise InputError(
            cube.path, f"cutouts of {found} pixels", "one square whose side four divides"
        )
    return side
