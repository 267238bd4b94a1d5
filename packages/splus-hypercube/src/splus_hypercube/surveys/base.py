"""The interface of a survey: the field it is matched to, and what a match gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from splus_hypercube.fields import Field
from splus_hypercube.region import SkyRegion
from splus_hypercube.scratch import Scratch

__all__ = ["Survey", "SurveyMatches", "Target"]

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
        Its columns begin with this name and an underscore.
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
            If no file that would tell can be read.
        """

    @abstractmethod
    def inputs(self, target: Target) -> list[Path]:
        """The files that a field needs (list of Path).

        Raises
        ------
        InputError
            If the survey's folder or its list of files cannot be read.
        """

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

        Raises
        ------
        InputError
            If a file that the field needs is missing or damaged.
        OutputError
            If temporary files cannot be written.
        """
