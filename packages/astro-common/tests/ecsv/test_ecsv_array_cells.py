from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_common.ecsv import array_cells
from astro_common.ecsv.array_cells import ArrayCellError, parse_array_cells


def parse(*cells: str | None, of: pa.DataType | None = None) -> list[Any]:
    return parse_array_cells(pa.array(cells, pa.string()), of or pa.float64()).to_pylist()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("[1.0, 2.0]", [1.0, 2.0]),
        ("(1.0, 2.0)", [1.0, 2.0]),
        ("[1,2,3]", [1.0, 2.0, 3.0]),
        ("  [ 1 ,\t2 ]  ", [1.0, 2.0]),
        ("[-1e-300]", [-1e-300]),
        ("[1.5E+3,inf,-Infinity]", [1500.0, float("inf"), -float("inf")]),
        ("[1, null, None, ]", [1.0, None, None, None]),
        ("[[1, 2], [3, 4]]", [1.0, 2.0, 3.0, 4.0]),
        ("((1, 2), (3, 4))", [1.0, 2.0, 3.0, 4.0]),
        ("[null]", [None]),
        ("[]", None),
        ("()", None),
        ("[ ]", None),
        ("[[]]", None),
        ("", None),
        ("null", None),
        (" null ", None),
        (None, None),
    ],
)
def test_cells_become_lists(cell: str | None, expected: list[float] | None) -> None:
    # Neighbours show that the cell is cut where it ends.
    assert parse("[7, 8]", cell, None, "[9]") == [[7.0, 8.0], expected, None, [9.0]]


def test_nan_is_a_value() -> None:
    values = parse("[nan, NaN, 1]")[0]
    assert values[0] != values[0]
    assert values[1] != values[1]
    assert values[2] == 1.0


def test_integers_and_booleans_are_exact() -> None:
    big = (1 << 62) + 1
    assert parse(f"[{big}, -{big}]", of=pa.int64()) == [[big, -big]]
    assert parse("[true, False, null]", of=pa.bool_()) == [[True, False, None]]


def test_float32_is_rounded_once() -> None:
    text = "1.00000017881393432617187499"  # just below the middle of two float32 numbers
    assert parse(f"[{text}]", of=pa.float32()) == [[1.00000011920928955078125]]


def test_no_cells_and_no_values() -> None:
    assert parse() == []
    assert parse(None, None) == [None, None]
    assert parse_array_cells(pa.array([], pa.string()), pa.int16()).type == pa.list_(pa.int16())


@pytest.mark.parametrize(
    ("cell", "found", "expected"),
    [
        ("1, 2", "'1, 2'", "brackets are missing"),
        ("[1, 2", "'[1, 2'", "brackets are missing"),
        ("1, 2]", "'1, 2]'", "brackets are missing"),
        ("x", "'x'", "brackets are missing"),
        ("[1 2]", "'[1 2]'", "commas are missing"),
        ("[1][2]", "'[1][2]'", "commas are missing"),
        ("[1,[2]3]", "'[1,[2]3]'", "commas are missing"),
        ("[1, a]", "'a'", "elements of type double"),
        ("[1.5.2]", "'1.5.2'", "elements of type double"),
        ("[1\n2]", "1\n2", "elements of type double"),
        ("[é]", "'é'", "elements of type double"),
        ("[" + "9" * 200, "'[" + "9" * 59 + "...'", "brackets"),
    ],
)
def test_cells_that_are_not_arrays(cell: str, found: str, expected: str) -> None:
    with pytest.raises(ArrayCellError) as caught:
        parse("[1]", None, "[]", cell, "[5]")
    assert caught.value.row == 3
    assert found in caught.value.found
    assert expected in caught.value.expected


def test_a_fraction_is_not_an_integer() -> None:
    with pytest.raises(ArrayCellError) as caught:
        parse("[1]", "[2, 2.5]", of=pa.int64())
    assert caught.value.row == 1


NUMBERS = st.none() | st.floats(allow_nan=False) | st.integers(-(10**15), 10**15).map(float)
LISTS = st.lists(st.none() | st.lists(NUMBERS, min_size=1, max_size=12), max_size=40)


@settings(max_examples=150, deadline=None)
@given(values=LISTS, blanks=st.booleans(), slice_bytes=st.sampled_from([1, 50, 1 << 20]))
def test_round_trip_in_slices_of_any_size(
    values: list[list[float | None] | None], blanks: bool, slice_bytes: int
) -> None:
    separators = (", ", ": ") if blanks else (",", ":")
    cells = [None if v is None else json.dumps(v, separators=separators) for v in values]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_cells, "_SLICE_BYTES", slice_bytes)
        assert parse(*cells) == values
        # A slice of a larger array has offsets that do not begin at 0.
        whole = pa.array(["[99]", *cells], pa.string())
        assert parse_array_cells(whole.slice(1), pa.float64()).to_pylist() == values
