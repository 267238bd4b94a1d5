"""Match statistics of hypercubes, counted in their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.inspection import inspect_cube
from splus_hypercube.view.cube import Cube, open_cube
from splus_hypercube.view.matches import SURVEY_TITLES

__all__ = ["CubeStatistics", "SurveyStatistics", "cube_statistics", "pooled"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class SurveyStatistics:
    """The matches of one survey.

    Attributes
    ----------
    survey, title : str
    rows : int
        Sources of S-PLUS.
    matches : int
        Sources with a counterpart, counted in the columns.
    recorded_matches : int or None
        What the footer says.
    radius_arcsec : float or None
        None where the survey is joined by identifier.
    separation_arcsec : ndarray of float64, shape (matches,)
        Empty where the survey is joined by identifier.
    n_candidates : ndarray of int64, shape (matches,)
    chance_matches : float or None
        Expected number of sources with a counterpart by chance.
    """

    survey: str
    title: str
    rows: int
    matches: int
    recorded_matches: int | None
    radius_arcsec: float | None
    separation_arcsec: Float
    n_candidates: NDArray[np.int64]
    chance_matches: float | None

    @property
    def fraction(self) -> float | None:
        """Share of the sources that have a counterpart; None without sources."""
        return self.matches / self.rows if self.rows else None

    @property
    def median_separation_arcsec(self) -> float | None:
        """None without any separation."""
        return float(np.median(self.separation_arcsec)) if len(self.separation_arcsec) else None

    @property
    def false_match_rate(self) -> float | None:
        """Expected share of the matches that are by chance; None where it is not known."""
        if self.chance_matches is None or not self.matches:
            return None
        return min(self.chance_matches / self.matches, 1.0)


@dataclass(frozen=True)
class CubeStatistics:
    """What a report says of one hypercube.

    Attributes
    ----------
    path : Path
    report : mapping
        As `splus_hypercube.inspection.inspect_cube` gives it.
    surveys : tuple of SurveyStatistics
        In the order of the columns.
    """

    path: Path
    report: Mapping[str, Any]
    surveys: tuple[SurveyStatistics, ...]

    @property
    def field(self) -> str:
        """Name of the field (str)."""
        return str(self.report.get("field", self.path.stem))

    @property
    def rows(self) -> int:
        """Number of sources (int)."""
        return int(self.report["rows"])

    @property
    def synthetic(self) -> bool:
        """Whether the file says that its data are simulated (bool)."""
        return bool(self.report.get("synthetic", False))


def cube_statistics(path: Path) -> CubeStatistics:
    """Read the match columns of a hypercube; its cutouts are not read.

    Raises
    ------
    InputError
        If the file is missing, damaged or no hypercube.
    """
    report = inspect_cube(path)
    with open_cube(path) as cube:
        recorded: Mapping[str, Any] = cube.metadata.get("surveys", {})
        surveys = tuple(
            _survey_statistics(cube, survey, title, recorded[survey])
            for survey, title in SURVEY_TITLES.items()
            if survey in recorded
        )
    return CubeStatistics(path, report, surveys)


def _survey_statistics(
    cube: Cube, survey: str, title: str, recorded: Mapping[str, Any]
) -> SurveyStatistics:
    separation = cube.column_name(f"{survey}_separation_arcsec")
    candidates = cube.column_name(f"{survey}_n_candidates")
    identifier = cube.column_name(f"{survey}_source_id")
    distances, counts, matches = np.empty(0), np.empty(0, dtype=np.int64), 0
    if separation is not None:
        table = cube.columns([separation, *([candidates] if candidates else [])])
        matched = table[separation].is_valid()
        table = table.filter(matched)
        matches = table.num_rows
        distances = table[separation].to_numpy().astype(np.float64)
        if candidates is not None:
            counts = table[candidates].fill_null(0).to_numpy().astype(np.int64)
    elif identifier is not None:
        column = cube.columns([identifier])[identifier]
        matches = len(column) - column.null_count
    said = recorded.get("matches")
    return SurveyStatistics(
        survey=survey,
        title=title,
        rows=cube.num_rows,
        matches=matches,
        recorded_matches=None if said is None else int(said),
        radius_arcsec=recorded.get("radius_arcsec"),
        separation_arcsec=distances,
        n_candidates=counts,
        chance_matches=recorded.get("chance_matches"),
    )


def pooled(statistics: Sequence[CubeStatistics]) -> list[SurveyStatistics]:
    """The matches of each survey over several hypercubes.

    Parameters
    ----------
    statistics : sequence of CubeStatistics

    Returns
    -------
    list of SurveyStatistics
        The expected chance matches are summed; None if any file lacks them. The radius is the
        largest.
    """
    result = []
    for survey, title in SURVEY_TITLES.items():
        parts = [part for cube in statistics for part in cube.surveys if part.survey == survey]
        if not parts:
            continue
        chance = [part.chance_matches for part in parts]
        recorded = [part.recorded_matches for part in parts]
        radii = [part.radius_arcsec for part in parts if part.radius_arcsec is not None]
        result.append(
            SurveyStatistics(
                survey=survey,
                title=title,
                rows=sum(part.rows for part in parts),
                matches=sum(part.matches for part in parts),
                recorded_matches=_total(recorded),
                radius_arcsec=max(radii, default=None),
                separation_arcsec=np.concatenate([part.separation_arcsec for part in parts]),
                n_candidates=np.concatenate([part.n_candidates for part in parts]),
                chance_matches=_total(chance),
            )
        )
    return result


def _total(values: Sequence[Any]) -> Any:
    return None if any(value is None for value in values) else sum(values)
