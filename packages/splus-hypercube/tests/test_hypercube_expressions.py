from __future__ import annotations

import numpy as np
import pytest

from astro_common.errors import ConfigurationError
from splus_hypercube.expressions import check_rows, parse_selection

VALUES = {
    "mag": np.array([15.0, 20.0, np.nan, 25.0]),
    "flags": np.array([0, 1, 4, 5]),
    "name": np.array(["a", "b", "", "a"]),
    "clean": np.array([True, False, False, True]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mag < 21", [True, True, False, False]),
        ("16 < mag <= 25", [False, True, False, True]),
        ("mag < 16 or mag > 24", [True, False, False, True]),
        ("not (mag < 21)", [False, False, True, True]),
        ("(flags & 4) == 0 and isfinite(mag)", [True, True, False, False]),
        ("name == 'a'", [True, False, False, True]),
        ("abs(mag - 20) < 5.5", [True, True, False, True]),
        ("-mag > -16", [True, False, False, False]),
        ("mag * 2 / 2 + 1 < 17 and flags != 3", [True, False, False, False]),
        ("1 < 2", [True, True, True, True]),
        ("clean and mag < 16", [True, False, False, False]),
        ("not clean", [False, True, True, False]),
    ],
)
def test_selections(text, expected):
    selection = parse_selection(text)
    assert selection.rows(VALUES, 4).tolist() == expected


def test_an_expression_without_a_column_holds_for_all_rows_or_none():
    assert parse_selection("1 < 2").rows({}, 3).tolist() == [True] * 3
    assert parse_selection("2 < 1").rows({}, 3).tolist() == [False] * 3


def test_columns_are_listed_without_the_functions():
    assert parse_selection("abs(mag) < sqrt(flags) and mag > 1").columns == ("flags", "mag")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "mag.__class__",
        "(lambda: 1)()",
        "[x for x in mag]",
        "mag if flags else 1",
        "mag ** 9999999999",
        "exec('1')",
        "abs(mag, 2)",
        "abs(mag, key=1)",
        "mag <",
        "",
        "mag := 3",
        "f'{mag}'",
        "mag[0] > 1",
        "mag @ flags",
        "mag is None",
        "'a' in name",
        "(" * 500 + "mag" + ")" * 500,
        "mag < 1 and " * 300 + "mag < 1",
        "1 < ...",
        "b'x' == name",
    ],
)
def test_everything_else_is_refused_in_one_line(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_selection(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "mag",
        "mag + 1",
        "name < 3",
        "flags & mag == 1",
        "1 / 0 < mag",
        "flags * 99999999999999999999 > 1",
        "-" * 1500 + "mag < 1",
    ],
)
def test_what_is_not_a_condition_or_has_no_value_is_refused_in_one_line(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_selection(text).rows(VALUES, 4)
    assert "\n" not in str(caught.value)


def test_the_named_choices_pass():
    for text in ("all", "gaia", "none", " all ", "mag < 3"):
        check_rows(text)
