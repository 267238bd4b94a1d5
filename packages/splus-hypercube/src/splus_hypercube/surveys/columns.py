"""The columns that surveys give: their names in the hypercube, and one schema out of many files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from astro_common.errors import InputError
from astro_common.parquet import described

__all__ = ["conform", "match_fields", "merge_schemas", "prefixed", "schema_of_files"]


def prefixed(survey: str, name: str) -> str:
    """The name of a survey's column in the hypercube."""
    return f"{survey}_{name}"


def merge_schemas(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """One schema with the columns of all.

    The first schema that has a column decides its place and its metadata. Where types differ, the
    column has a type that holds both: a wider number, or else text.
    """
    merged: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            known = merged.get(field.name)
            if known is None:
                merged[field.name] = field
            elif known.type != field.type:
                merged[field.name] = known.with_type(_common_type(known.type, field.type))
    return pa.schema(list(merged.values()))


def _common_type(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    fields = [pa.schema([pa.field("x", kind)]) for kind in (first, second)]
    try:
        return pa.unify_schemas(fields, promote_options="permissive").field("x").type
    except pa.ArrowException:
        # Lists of other lengths, or text in one file and numbers in another.
        if _is_list(first) and _is_list(second):
            return pa.list_(_common_type(first.value_type, second.value_type))
        return pa.string()


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with exactly the columns of a schema: cast where types differ, null where missing.

    Raises
    ------
    InputError
        If a cast would change a value, such as that of a 64-bit identifier in a column that
        another file of the run holds as floating-point numbers.
    """
    columns = []
    for field in schema:
        if field.name in table.column_names:
            column = table[field.name]
            if column.type != field.type:
                column = _cast(column, field)
        else:
            column = pa.nulls(table.num_rows, field.type)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        raise InputError(
            f"column {field.name}",
            f"{column.type}, which does not fit the {field.type} of this run ({error})",
            "one type in all files of the survey",
        ) from error


def schema_of_files(
    survey: str,
    paths: Sequence[Path],
    file_schema: Callable[[Path], pa.Schema],
    *,
    extra: Sequence[pa.Field] = (),
) -> pa.Schema:
    """The union of the schemas of several files.

    A file that cannot be read is left out here; the fields that need it fail on it later.

    Parameters
    ----------
    survey : str
    paths : sequence of Path
    file_schema : callable
        Gives the schema of one file.
    extra : sequence of pyarrow.Field
        Put after the columns of the files.

    Raises
    ------
    InputError
        The first file's error, if none of them can be read.
    """
    schemas, errors = [], []
    for path in paths:
        try:
            schemas.append(file_schema(path))
        except InputError as error:
            errors.append(error)
    if not schemas:
        raise errors[0] if errors else InputError(survey, "no file at all", "at least one")
    return merge_schemas([*schemas, pa.schema(list(extra))])


def match_fields(survey: str) -> list[pa.Field]:
    """The columns by which a user judges a match.

    ``<survey>_separation_arcsec`` and ``<survey>_n_candidates``.
    """
    return [
        described(
            f"{survey}_separation_arcsec",
            pa.float64(),
            unit="arcsec",
            ucd="pos.angDistance",
            description="Separation of the match from the S-PLUS position",
            survey=survey,
            modality="match",
        ),
        described(
            f"{survey}_n_candidates",
            pa.int32(),
            ucd="meta.number",
            description="Rows of the survey within the radius, after quality cuts",
            survey=survey,
            modality="match",
        ),
    ]
