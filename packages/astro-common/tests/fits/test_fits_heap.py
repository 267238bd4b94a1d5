from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_common.errors import InputError
from astro_common.fits import open_fits, read_table

WriteTable = Callable[..., Path]

LETTERS = {"B": "u1", "I": "i2", "J": "i4", "K": "i8", "E": "f4", "D": "f8", "C": "c8", "M": "c16"}


def descriptors(pairs: list[tuple[int, int]], dtype: str = ">i4") -> bytes:
    return np.array(pairs, dtype).tobytes()


@pytest.mark.parametrize(
    ("form", "heap", "counts", "expected"),
    [
        ("PB()", bytes(range(6)), [2, 0, 4], [[0, 1], [], [2, 3, 4, 5]]),
        ("1PI(3)", np.arange(4, dtype=">i2").tobytes(), [1, 3, 0], [[0], [1, 2, 3], []]),
        ("PL(3)", b"TFT\0", [3, 0, 1], [[True, False, True], [], [None]]),
        ("PA(5)", b"M 31  NGC", [6, 3, 0], ["M 31", "NGC", ""]),
        ("PX(9)", b"\xa0\x80\xff\x40", [9, 2, 3], None),
        ("PC(1)", np.array([1j, 2], ">c8").tobytes(), [1, 1, 0], [[[0, 1]], [[2, 0]], []]),
    ],
)
def test_elements_of_every_kind(
    write_raw_table: WriteTable, form: str, heap: bytes, counts: list[int], expected: Any
) -> None:
    if expected is None:
        expected = [[True, False, True] + [False] * 5 + [True], [True, True], [False, True, False]]
        offsets = [0, 2, 3]
    else:
        size = {"B": 1, "I": 2, "L": 1, "A": 1, "C": 8}[form.strip("1")[1]]
        offsets = (np.cumsum([0, *counts[:-1]]) * size).tolist()
    pairs = list(zip(counts, offsets, strict=True))
    path = write_raw_table(8, 3, [form], descriptors(pairs), heap)
    table = read_table(path)
    assert table.column("c1").to_pylist() == expected
    table.validate(full=True)


def test_64_bit_descriptors_and_a_gap_before_the_heap(write_raw_table: WriteTable) -> None:
    data = descriptors([(2, 8), (1, 0)], ">i8")
    heap = b"....." + np.array([1.5, 2.5, 3.5], ">f8").tobytes()
    path = write_raw_table(16, 2, ["QD(2)"], data, heap, THEAP=37)
    assert read_table(path).column("c1").to_pylist() == [[2.5, 3.5], [1.5]]


def test_scale_and_null_apply_to_elements(write_raw_table: WriteTable) -> None:
    heap = np.array([-32768, 9, 1], ">i2").tobytes()
    data = descriptors([(3, 0), (2, 2)])
    path = write_raw_table(8, 2, ["PI"], data, heap, TNULL1=9, TZERO1=32768)
    column = read_table(path).column("c1")
    assert column.type == pa.list_(pa.uint16())
    assert column.to_pylist() == [[0, None, 32769], [None, 32769]]


def test_rows_may_share_an_array(write_raw_table: WriteTable) -> None:
    path = write_raw_table(8, 3, ["PB"], descriptors([(3, 1)] * 3), bytes(range(5)))
    assert read_table(path).column("c1").to_pylist() == [[1, 2, 3]] * 3


def test_a_row_may_be_asked_for_often(write_raw_table: WriteTable) -> None:
    path = write_raw_table(8, 2, ["PB"], descriptors([(4, 0), (4, 4)]), bytes(range(8)))
    read = read_table(path, rows=[1] * 1000 + [0])
    assert read.column("c1").to_pylist() == [[4, 5, 6, 7]] * 1000 + [[0, 1, 2, 3]]


def test_a_column_of_no_width(write_raw_table: WriteTable) -> None:
    path = write_raw_table(1, 2, ["0PJ(3)", "B"], b"\1\2")
    assert read_table(path).column("c1").to_pylist() == [None, None]


@settings(max_examples=60, deadline=None)
@given(
    letter=st.sampled_from(sorted(LETTERS)),
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    seed=st.integers(0, 1 << 30),
    data=st.data(),
)
def test_what_astropy_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    letter: str,
    lengths: list[int],
    seed: int,
    data: st.DataObject,
) -> None:
    rng = np.random.default_rng(seed)
    dtype = np.dtype(LETTERS[letter])
    arrays = np.empty(len(lengths), object)
    for row, length in enumerate(lengths):
        arrays[row] = np.frombuffer(rng.bytes(length * dtype.itemsize), dtype)
    columns = [
        fits.Column("n", "J", array=np.arange(len(lengths))),
        fits.Column("v", f"{data.draw(st.sampled_from('PQ'))}{letter}()", array=arrays),
    ]
    path = tmp_path_factory.mktemp("vla") / "vla.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=20))
    for chosen in (None, rows):
        table = read_table(path, rows=chosen)
        wanted = range(len(lengths)) if chosen is None else chosen
        assert table.column("n").to_pylist() == list(wanted)
        flat = table.column("v").combine_chunks()
        assert np.diff(flat.offsets).tolist() == [lengths[row] for row in wanted]
        values = flat.flatten()
        if letter in "CM":
            values = values.flatten()
        expected = np.concatenate([np.empty(0, dtype), *(arrays[row] for row in wanted)])
        if letter in "CM":
            expected = expected.view(expected.real.dtype)
        np.testing.assert_array_equal(values.to_numpy(zero_copy_only=False), expected)
    path.unlink()


@pytest.mark.parametrize("interleaved", [False, True])
def test_long_and_interleaved_arrays(tmp_path: Path, interleaved: bool) -> None:
    # More than one read of the heap, in the order of the file and against it.
    rng = np.random.default_rng(4)
    lengths = rng.integers(0, 9000, 400)
    arrays = np.array([rng.normal(size=n) for n in lengths] + [None], object)[:-1]
    columns = [fits.Column("a", "PD()", array=arrays)]
    if interleaved:
        columns.append(fits.Column("b", "PD()", array=arrays[::-1]))
    path = tmp_path / "long.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    order = rng.permutation(400)
    for rows in (None, order):
        wanted = np.arange(400) if rows is None else order
        found = read_table(path, columns=["a"], rows=rows).column("a").combine_chunks()
        np.testing.assert_array_equal(found.flatten(), np.concatenate(arrays[wanted]))


HEAP = bytes(range(16))


@pytest.mark.parametrize(
    ("form", "pair", "message"),
    [
        ("PJ", (5, 0), "row 1 of column 'c1' claims 5 elements at byte 0 of the heap"),
        ("PJ", (4, 1), "claims 4 elements at byte 1 of the heap; expected an array inside its 16"),
        ("PJ", (1, -4), "claims 1 elements at byte -4"),
        ("PJ", (-1, 0), "claims -1 elements at byte 0"),
        ("PJ", (2147483647, 2147483647), "claims 2147483647 elements"),
        ("QJ", (1 << 62, 0), f"claims {1 << 62} elements"),
        ("QJ", ((1 << 63) - 1, (1 << 63) - 1), "claims 9223372036854775807 elements"),
        ("QJ", (1, (1 << 63) - 1), "at byte 9223372036854775807"),
        ("PX", (129, 0), "claims 129 elements"),
        ("PA", (17, 0), "claims 17 elements"),
    ],
)
def test_descriptors_outside_the_heap(
    write_raw_table: WriteTable, form: str, pair: tuple[int, int], message: str
) -> None:
    dtype = ">i4" if form[0] == "P" else ">i8"
    path = write_raw_table(
        8 if form[0] == "P" else 16, 2, [form], descriptors([(1, 0), pair], dtype), HEAP
    )
    with pytest.raises(InputError, match=f"raw.fits: HDU 1: .*{message}"):
        read_table(path)
    assert read_table(path, rows=[0, 0]).num_rows == 2


@pytest.mark.parametrize("form", ["QB", "QA"])
def test_an_array_beyond_what_arrow_counts(write_raw_table: WriteTable, form: str) -> None:
    # A sparse file: the heap is there, and takes no space on the disk.
    count = 1 << 30
    path = write_raw_table(16, 1, [form], descriptors([(count, 0)], ">i8"), PCOUNT=0)
    content = path.read_bytes()
    path.write_bytes(
        content.replace(b"PCOUNT  =                    0", b"PCOUNT  =           1073741824")
    )
    with path.open("r+b") as file:
        file.truncate(len(content) + count)
    with pytest.raises(InputError, match=f"column 'c1' has an array of {count} elements"):
        read_table(path)


def test_an_empty_array_may_point_anywhere(write_raw_table: WriteTable) -> None:
    path = write_raw_table(8, 2, ["PJ"], descriptors([(0, 1 << 30), (0, -5)]), HEAP)
    assert read_table(path).column("c1").to_pylist() == [[], []]


def test_a_small_heap_cannot_be_claimed_a_million_times(write_raw_table: WriteTable) -> None:
    n_rows = 100_000
    path = write_raw_table(8, n_rows, ["PB"], descriptors([(10_000, 0)] * n_rows), bytes(10_000))
    with pytest.raises(InputError, match="add up to 1000000000 bytes; expected at most 16 times"):
        read_table(path)
    with open_fits(path) as file:
        assert file.table().read(rows=[5]).column(0).to_pylist() == [[0] * 10_000]
