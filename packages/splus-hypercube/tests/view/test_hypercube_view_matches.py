from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from splus_hypercube.view.matches import Match, source_matches
from splus_hypercube.view.source import Source, read_source


@pytest.fixture(scope="module")
def cube_path(write_cube: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cube(tmp_path_factory.mktemp("matches") / "cube.parquet")


def by_survey(source: Source) -> dict[str, Match]:
    return {match.survey: match for match in source_matches(source)}


def test_all_surveys_are_listed(cube_path: Path) -> None:
    matches = by_survey(read_source(cube_path, "iDR6_F1_0000"))
    assert list(matches) == ["gaia", "gaiaxp", "ztf", "desi", "apogee", "specz", "vista"]
    assert [name for name, match in matches.items() if not match.found] == ["apogee"]


def test_identifiers_keep_all_digits(cube_path: Path) -> None:
    matches = by_survey(read_source(cube_path, "iDR6_F1_0000"))
    assert matches["gaia"].identifier == "2684354560000000001"
    assert matches["ztf"].identifier == "1234567890123456789"
    assert matches["desi"].identifier == "39627000000000123"
    assert matches["specz"].identifier == ""


def test_separation_and_candidates(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0000")
    match = by_survey(source)["desi"]
    assert match.separation_arcsec == source.get("desi_separation_arcsec")
    assert match.n_candidates == 1
    assert match.summary == "GALAXY, z 0.10000, ZWARN 0"
    xp = by_survey(source)["gaiaxp"]
    assert (xp.separation_arcsec, xp.n_candidates) == (None, None)


def test_why_there_is_none(cube_path: Path) -> None:
    matches = by_survey(read_source(cube_path, "iDR6_F1_0001"))
    assert not any(match.found for match in matches.values())
    assert matches["gaia"].summary == "no match within 1″"
    assert matches["gaiaxp"].summary == "no Gaia match"
    assert matches["apogee"].summary == "not in this hypercube"


def test_a_gaia_source_without_a_spectrum(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0000")
    values = {**source.values, "gaiaxp_source_id": None}
    bare = Source(source.path, 0, "x", source.metadata, values, {})
    assert by_survey(bare)["gaiaxp"].summary == "no XP spectrum of the Gaia source"


def test_values_are_given_with_units(cube_path: Path) -> None:
    source = read_source(cube_path, "iDR6_F1_0000")
    more = {"gaia_pmra": 3.0, "gaia_pmdec": -4.0, "gaia_parallax": -0.5, "gaia_parallax_error": 0.1}
    values = {**source.values, **more}
    summary = by_survey(Source(source.path, 0, "x", source.metadata, values, {}))["gaia"].summary
    minus = "\N{MINUS SIGN}"
    assert summary == f"G 17.25, ϖ {minus}0.50 ± 0.10 mas, μ 5.0 mas/yr"
