from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from astro_common.errors import InputError
from splus_hypercube.view.examples import best_covered
from splus_hypercube.view.separation_figure import separation_svg
from splus_hypercube.view.statistics import SurveyStatistics, cube_statistics, pooled

WriteCube = Callable[..., Path]


@pytest.fixture(scope="module")
def cube_path(write_cube: WriteCube, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cube(tmp_path_factory.mktemp("statistics") / "datacube_F1.parquet")


def survey(separations: list[float], **changes: object) -> SurveyStatistics:
    values: dict[str, object] = {
        "survey": "gaia",
        "title": "Gaia DR3",
        "rows": 100,
        "matches": len(separations),
        "recorded_matches": len(separations),
        "radius_arcsec": 1.0,
        "separation_arcsec": np.array(separations),
        "n_candidates": np.ones(len(separations), dtype=np.int64),
        "chance_matches": 0.5,
    }
    return SurveyStatistics(**{**values, **changes})  # type: ignore[arg-type]


def test_matches_are_counted_in_the_columns(cube_path: Path) -> None:
    statistics = cube_statistics(cube_path)
    table = pq.read_table(cube_path, columns=["gaia_separation_arcsec", "gaiaxp_source_id"])
    by_name = {item.survey: item for item in statistics.surveys}
    assert list(by_name) == ["gaia", "gaiaxp", "ztf", "desi", "specz", "vista"]
    separation = table["gaia_separation_arcsec"].drop_null().to_numpy()
    gaia = by_name["gaia"]
    # Every fourth row of the fixture has no counterpart.
    assert (gaia.matches, gaia.rows, gaia.recorded_matches) == (7, 10, 7)
    np.testing.assert_array_equal(gaia.separation_arcsec, separation)
    assert gaia.median_separation_arcsec == np.median(separation)
    assert gaia.fraction == 0.7
    assert gaia.false_match_rate == pytest.approx(0.25 / 7)
    np.testing.assert_array_equal(gaia.n_candidates, np.ones(7))
    xp = by_name["gaiaxp"]
    assert (xp.matches, xp.radius_arcsec, xp.false_match_rate) == (7, None, None)
    assert xp.median_separation_arcsec is None


def test_several_files_together(write_cube: WriteCube, tmp_path: Path, cube_path: Path) -> None:
    other = write_cube(tmp_path / "other.parquet", rows=4, without=("vista",), field="F2", seed=1)
    both = pooled([cube_statistics(cube_path), cube_statistics(other)])
    by_name = {item.survey: item for item in both}
    assert (by_name["gaia"].rows, by_name["gaia"].matches) == (14, 10)
    assert by_name["gaia"].chance_matches == 0.5
    assert len(by_name["gaia"].separation_arcsec) == 10
    # A share of the sources of the fields that have the survey.
    assert (by_name["vista"].rows, by_name["vista"].matches) == (10, 7)


def test_a_field_without_sources(write_cube: WriteCube, tmp_path: Path) -> None:
    statistics = cube_statistics(write_cube(tmp_path / "empty.parquet", rows=0))
    gaia = statistics.surveys[0]
    assert (gaia.matches, gaia.fraction, gaia.false_match_rate) == (0, None, None)
    assert gaia.median_separation_arcsec is None


def test_more_chance_than_matches_is_a_rate_of_one() -> None:
    assert survey([0.1], chance_matches=3.0).false_match_rate == 1.0


def test_a_file_that_is_no_hypercube(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match=r"x\.parquet"):
        cube_statistics(tmp_path / "x.parquet")


def test_histograms_take_the_colours_of_the_page() -> None:
    svg = separation_svg([survey([0.1, 0.2, 0.9])], synthetic=True)
    assert svg.startswith('<svg role="img" aria-label="Histograms of match separations for Gaia')
    assert svg.endswith("</svg>")
    assert "var(--data)" in svg
    assert "#fe00" not in svg
    assert "SYNTHETIC DATA" in svg
    assert "Gaia DR3 (3)" in svg
    assert "date" not in svg.lower()
    assert separation_svg([survey([0.1, 0.2, 0.9])], synthetic=True) == svg
    assert "SYNTHETIC" not in separation_svg([survey([0.1])], synthetic=False)


@pytest.mark.parametrize("changes", [{"radius_arcsec": None}, {"separation_arcsec": np.empty(0)}])
def test_nothing_to_draw(changes: dict[str, object]) -> None:
    assert separation_svg([survey([0.1], **changes)], synthetic=False) == ""


def test_examples_take_each_class_in_turn(cube_path: Path) -> None:
    examples = best_covered([cube_path], 3)
    # Rows 0, 2, 3 of the fixture are the first with counterparts: a galaxy, a star, a quasar; that
    # of row 2 is cut by the edge of the image, so that row 6 stands for the stars.
    assert {(item.spectral_type, item.row) for item in examples} == {
        ("GALAXY", 0),
        ("STAR", 6),
        ("QSO", 3),
    }
    assert all(item.surveys == 6 and item.epochs == 60 for item in examples)


def test_more_examples_than_classes(cube_path: Path) -> None:
    examples = best_covered([cube_path], 20)
    assert len(examples) == 10
    assert len({item.row for item in examples}) == 10
    # The classes have had their turn before any has its second.
    assert len({item.spectral_type for item in examples[:4]}) == 4
    unmatched = {item.row for item in examples if item.surveys == 0}
    assert unmatched == {1, 5, 9}


def test_examples_of_an_empty_field(write_cube: WriteCube, tmp_path: Path) -> None:
    assert best_covered([write_cube(tmp_path / "empty.parquet", rows=0)], 4) == []
