"""What the surveys have in common: the field they are matched to, and what a match gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import InputError
from splus_hypercube.fields import Field
from splus_hypercube.region import SkyRegion
from splus_hypercube.scratch import Scratch

__all__ = [
    "Survey",
    "SurveyMatches",
    "Target",
    "conform",
    "merge_schemas",
    "prefixed",
    "schema_of_files",
]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """The S-PLUS sources of one field, as the surveys see them.

    Attributes
    ----------
    field : str
        Name of the field.
    ra, dec : ndarray of float64, shape (n_rows,)
        ICRS degrees at `epoch_jyear`, in catalogue order; NaN where the catalogue has none.
    epoch_jyear : float
        Epoch of the S-PLUS observations, Julian year.
    region : SkyRegion
        Everything within reach of a source.
    scratch : Scratch
        Gives temporary files.
    bucket_rows : int
        Number of consecutive rows that `SurveyMatches.rows` is asked for at once.
    """

    field: str
    ra: Float
    dec: Float
    epoch_jyear: float
    region: SkyRegion
    scratch: Scratch
    bucket_rows: int

    def __len__(self) -> int:
        return len(self.ra)


class SurveyMatches(ABC):
    """A survey's counterparts of a field's sources.

    Attributes
    ----------
    statistics : dict
        Radius, number of matches, false-match rate and the like, for the file's metadata.
    """

    statistics: dict[str, Any]

    @abstractmethod
    def rows(self, start: int, stop: int) -> pa.Table:
        """The survey's columns for consecutive sources; null where a source has no match.

        Parameters
        ----------
        start, stop : int
            Source rows; a run within one bucket.

        Returns
        -------
        pyarrow.Table
            Exactly the survey's schema, ``stop - start`` rows.
        """


class Survey(ABC):
    """One survey on disk.

    Attributes
    ----------
    name : str
        Also the prefix of its columns, before an underscore.
    """

    name: str

    @abstractmethod
    def schema(self, fields: Sequence[Field]) -> pa.Schema:
        """The columns that the survey adds to every field of a run, prefixed and described.

        Parameters
        ----------
        fields : sequence of Field
            All fields of the run.

        Raises
        ------
        InputError
            If no file can be read that would tell.
        """

    @abstractmethod
    def inputs(self, target: Target) -> list[Path]:
        """The files that a field needs, sorted."""

    @abstractmethod
    def match(
        self, target: Target, schema: pa.Schema, earlier: Mapping[str, SurveyMatches]
    ) -> SurveyMatches:
        """Find the counterparts of a field's sources.

        Parameters
        ----------
        target : Target
        schema : pyarrow.Schema
            What `schema` returned for the run.
        earlier : mapping of str to SurveyMatches
            Surveys already matched to this field, by name.
        """


def prefixed(survey: str, name: str) -> str:
    """The name of a survey's column in the hypercube."""
    return f"{survey}_{name}"


def merge_schemas(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """One schema with the columns of all, numbers widened where files disagree.

    The first schema that has a column decides its place and its metadata.
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
    """A table with exactly the columns of a schema: cast where types differ, null where missing."""
    columns = []
    for field in schema:
        if field.name in table.column_names:
            column = table[field.name]
            if column.type != field.type:
                column = column.cast(field.type)
        else:
            column = pa.nulls(table.num_rows, field.type)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def schema_of_files(
    survey: str,
    paths: Sequence[Path],
    file_schema: Callable[[Path], pa.Schema],
    *,
    extra: Sequence[pa.Field] = (),
) -> pa.Schema:
    """The union of what several files give; a file that cannot be read fails its own field later.

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
