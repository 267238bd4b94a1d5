from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from astro_common.errors import InputError
from astro_common.fits import arrays, open_fits, read_table, tables
from astro_common.fits.arrays import text_array

WriteTable = Callable[..., Path]

BIG = (1 << 63) - 25  # no float64 holds it


def big_endian(values: list[Any], dtype: str) -> bytes:
    return np.array(values, dtype).tobytes()


@pytest.mark.parametrize(
    ("form", "data", "keywords", "expected", "expected_type"),
    [
        ("L", b"TF\0", {}, [True, False, None], pa.bool_()),
        ("2L", b"TFF\0TT", {}, [[True, False], [False, None], [True, True]], None),
        ("X", b"\x80\x00\xff", {}, [True, False, True], pa.bool_()),
        (
            "10X",
            b"\xa0\x40\x00\x80\xff\xff",
            {},
            [
                [True, False, True] + [False] * 6 + [True],
                [False] * 8 + [True, False],
                [True] * 10,
            ],
            pa.list_(pa.bool_(), 10),
        ),
        ("B", b"\x00\x7f\xff", {}, [0, 127, 255], pa.uint8()),
        ("B", b"\x00\x80\xff", {"TZERO1": -128}, [-128, 0, 127], pa.int8()),
        ("I", big_endian([-32768, 0, 7], ">i2"), {}, [-32768, 0, 7], pa.int16()),
        (
            "I",
            big_endian([-32768, 0, 32767], ">i2"),
            {"TZERO1": 32768},
            [0, 32768, 65535],
            pa.uint16(),
        ),
        ("J", big_endian([-1, 0, 7], ">i4"), {}, [-1, 0, 7], pa.int32()),
        (
            "J",
            big_endian([-(1 << 31), 0, (1 << 31) - 1], ">i4"),
            {"TZERO1": 2147483648.0},
            [0, 1 << 31, (1 << 32) - 1],
            pa.uint32(),
        ),
        ("K", big_endian([BIG, -BIG, 0], ">i8"), {}, [BIG, -BIG, 0], pa.int64()),
        (
            "K",
            big_endian([-(1 << 63), -25, (1 << 63) - 1], ">i8"),
            {"TZERO1": 1 << 63},
            [0, BIG, (1 << 64) - 1],
            pa.uint64(),
        ),
        ("K", big_endian([BIG, 0, 1], ">i8"), {"TZERO1": 5}, [BIG + 5, 5, 6], pa.int64()),
        (
            "J",
            big_endian([1, 2, 3], ">i4"),
            {"TZERO1": 1 << 40},
            [(1 << 40) + i for i in (1, 2, 3)],
            pa.int64(),
        ),
        (
            "I",
            big_endian([1, 2, -3], ">i2"),
            {"TSCAL1": 0.5, "TZERO1": 10},
            [10.5, 11, 8.5],
            pa.float64(),
        ),
        (
            "E",
            big_endian([1.5, -0.0, 1e30], ">f4"),
            {},
            [1.5, -0.0, float(np.float32(1e30))],
            pa.float32(),
        ),
        ("E", big_endian([1.5, 2, 3], ">f4"), {"TSCAL1": 2.0}, [3.0, 4.0, 6.0], pa.float64()),
        ("D", big_endian([1.5, 1e300, -2], ">f8"), {}, [1.5, 1e300, -2], pa.float64()),
        (
            "C",
            big_endian([1 + 2j, 0, -1j], ">c8"),
            {},
            [[1, 2], [0, 0], [0, -1]],
            pa.list_(pa.float32(), 2),
        ),
        (
            "2M",
            big_endian([1 + 2j, 3, 4, 5j, 6, 7], ">c16"),
            {},
            [[[1, 2], [3, 0]], [[4, 0], [0, 5]], [[6, 0], [7, 0]]],
            pa.list_(pa.list_(pa.float64(), 2), 2),
        ),
        ("3A", b"ab cd\0\0\0\0", {}, ["ab", "cd", ""], pa.string()),
        ("4A", b"a\0bc x   \0zz", {}, ["a", " x", ""], pa.string()),
        ("3A", b"\xe9t\xe9\xff  caf", {}, ["été", "ÿ", "caf"], pa.string()),
        (
            "6A2",
            b"a b ccdd  ee      ",
            {},
            [["a", "b", "cc"], ["dd", "", "ee"], ["", "", ""]],
            None,
        ),
        (
            "6A",
            b"a b ccdd  ee      ",
            {"TDIM1": "(2,3)"},
            [["a", "b", "cc"], ["dd", "", "ee"], [""] * 3],
            None,
        ),
        (
            "2I",
            big_endian([1, 2, 3, 4, 5, 6], ">i2"),
            {},
            [[1, 2], [3, 4], [5, 6]],
            pa.list_(pa.int16(), 2),
        ),
        ("0J", b"", {}, [None, None, None], pa.int32()),
        ("0A", b"", {}, [None, None, None], pa.string()),
        # What is not there stays not there.
        ("B", b"\x00\x07\xff", {"TNULL1": 7}, [0, None, 255], pa.uint8()),
        ("I", big_endian([-1, 2, -1], ">i2"), {"TNULL1": -1}, [None, 2, None], pa.int16()),
        ("K", big_endian([BIG, -1, 3], ">i8"), {"TNULL1": -1}, [BIG, None, 3], pa.int64()),
        (
            "I",
            big_endian([-32768, 0, 1], ">i2"),
            {"TNULL1": 0, "TZERO1": 32768},
            [0, None, 32769],
            pa.uint16(),
        ),
        (
            "K",
            big_endian([BIG, 1, 2], ">i8"),
            {"TNULL1": BIG, "TZERO1": 100},
            [None, 101, 102],
            pa.int64(),
        ),
        (
            "I",
            big_endian([9, 1, 2], ">i2"),
            {"TNULL1": 9, "TSCAL1": 0.5},
            [None, 0.5, 1],
            pa.float64(),
        ),
        (
            "2I",
            big_endian([1, 9, 9, 9, 5, 6], ">i2"),
            {"TNULL1": 9},
            [[1, None], [None, None], [5, 6]],
            None,
        ),
        ("B", b"\x00\x07\xff", {"TNULL1": 300}, [0, 7, 255], pa.uint8()),
    ],
)
def test_every_form(
    write_raw_table: WriteTable,
    form: str,
    data: bytes,
    keywords: dict[str, Any],
    expected: list[Any],
    expected_type: pa.DataType | None,
) -> None:
    # A column of known bytes behind the one under test catches a wrong offset.
    rows = [data[i * len(data) // 3 : (i + 1) * len(data) // 3] for i in range(3)]
    packed = b"".join(row + bytes([index]) for index, row in enumerate(rows))
    path = write_raw_table(len(packed) // 3, 3, [form, "B"], packed, **keywords)
    table = read_table(path)
    assert table.column("c1").to_pylist() == expected
    assert table.column("c2").to_pylist() == [0, 1, 2]
    if expected_type is not None:
        assert table.schema.field("c1").type == expected_type
    table.validate(full=True)


TEXTS = st.lists(st.binary(max_size=9).map(lambda text: text.replace(b"\x01", b"\0")), max_size=30)


@settings(max_examples=100, deadline=None)
@given(texts=TEXTS, slice_bytes=st.sampled_from([1, 20, 1 << 20]))
def test_texts_end_at_the_first_nul_without_blanks(texts: list[bytes], slice_bytes: int) -> None:
    expected = [text.split(b"\0")[0].decode("latin-1").rstrip(" ") for text in texts]
    characters = np.frombuffer(b"".join(texts), np.uint8)
    lengths = np.array([len(text) for text in texts], np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "_SLICE_BYTES", slice_bytes)
        found = text_array(characters, lengths)
    found.validate(full=True)
    assert found.to_pylist() == expected


def test_nan_is_not_null_and_keeps_its_sign(write_raw_table: WriteTable) -> None:
    values = [float("nan"), float("inf"), -float("inf"), 0.0]
    path = write_raw_table(8, 4, ["D"], big_endian(values, ">f8"), TNULL1=5)
    column = read_table(path).column("c1")
    assert column.null_count == 0
    np.testing.assert_array_equal(column.to_numpy(), values)


def test_fields_carry_what_the_header_says(write_raw_table: WriteTable) -> None:
    path = write_raw_table(
        32,
        1,
        ["D", "2E", "3I", "A", "A", "C"],
        bytes(32),
        TTYPE1=b"= 'ra      '           / right ascension",
        TTYPE2=b"= 'flux    '           / label for field   2",
        TUNIT1="deg",
        TUCD1="pos.eq.ra",
        TBUCD2="phot.flux",
        TCOMM2="flux of the star",
        TDIM2="(2,1)",
        TUNIT3=" ",
    )
    with open_fits(path) as file:
        schema = file.table().schema
    assert schema.field("ra").metadata == {
        b"unit": b"deg",
        b"ucd": b"pos.eq.ra",
        b"description": b"right ascension",
    }
    assert schema.field("flux").metadata == {
        b"ucd": b"phot.flux",
        b"description": b"flux of the star",
        b"tdim": b"2,1",
    }
    assert schema.field("c3").metadata is None
    assert schema.field("c6").metadata == {b"complex": b"real, imaginary"}
    assert read_table(path).schema.equals(schema, check_metadata=True)


def test_a_column_without_a_name_is_numbered(write_raw_table: WriteTable) -> None:
    path = write_raw_table(2, 1, ["B", "B"], b"\1\2", TTYPE2="")
    assert read_table(path).column_names == ["c1", "col2"]


@pytest.fixture
def stars(tmp_path: Path) -> tuple[Path, pa.Table]:
    rng = np.random.default_rng(3)
    n = 5000
    columns = [
        fits.Column("id", "K", array=rng.integers(1 << 60, 1 << 62, n)),
        fits.Column("name", "12A", array=[f"star {i}" for i in range(n)]),
        fits.Column("flux", "7E", array=rng.normal(size=(n, 7)).astype("f4"), unit="Jy"),
        fits.Column("flags", "11X", array=rng.random((n, 11)) < 0.5),
        fits.Column(
            "curve",
            "PD()",
            array=np.array([rng.normal(size=i % 5) for i in range(n)], dtype=object),
        ),
    ]
    path = tmp_path / "stars.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    return path, read_table(path)


@pytest.mark.parametrize(
    "rows",
    [
        slice(None),
        slice(10, 20),
        slice(4990, 6000),
        slice(20, 10),
        slice(None, None, 7),
        slice(None, None, -1),
        slice(-3, None),
        [],
        [4999],
        [7, 7, 0, 4999, 7],
        range(100, 200),
        np.array([3, 1, 2], np.uint8),
        np.random.default_rng(1).integers(0, 5000, 3000),
        np.sort(np.random.default_rng(2).choice(5000, 40)),
    ],
)
def test_rows_and_columns_are_those_asked_for(stars: tuple[Path, pa.Table], rows: Any) -> None:
    path, whole = stars
    names = ["curve", "id", "flags", "name"]
    read = read_table(path, columns=names, rows=rows)
    numbers = range(5000)[rows] if isinstance(rows, slice) else rows
    expected = whole.select(names).take(pa.array(np.asarray(numbers, np.int64)))
    assert read.equals(expected)
    assert read.column_names == names


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_scattered_rows_of_narrow_and_wide_tables(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    width = data.draw(st.sampled_from([1, 7, 5000, 70_000]))
    n_rows = data.draw(st.integers(1, 60))
    rows = data.draw(st.lists(st.integers(0, n_rows - 1), max_size=80))
    path = tmp_path_factory.mktemp("wide") / "wide.fits"
    values = np.arange(n_rows * width, dtype=np.uint32).reshape(n_rows, width).astype(np.uint8)
    number = np.arange(n_rows, dtype=np.int16)
    columns = [
        fits.Column("a", f"{width}B", array=values),
        fits.Column("n", "I", array=number),
        fits.Column("b", f"{width}B", array=values[::-1]),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path)
    read = read_table(path, columns=["b", "n"], rows=rows)
    assert read.column("n").to_pylist() == number[rows].tolist()
    found = np.array(read.column("b").to_pylist(), np.uint8).reshape(len(rows), width)
    np.testing.assert_array_equal(found, values[::-1][rows])
    path.unlink()


def test_chunks_hold_the_same_rows(
    stars: tuple[Path, pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, whole = stars
    monkeypatch.setattr(tables, "CHUNK_ELEMENTS", 100)
    read = read_table(path)
    assert read.column("curve").num_chunks > 50
    assert read.column("name").num_chunks > 50
    assert read.equals(whole)


def test_a_column_may_be_asked_for_twice(stars: tuple[Path, pa.Table]) -> None:
    path, whole = stars
    read = read_table(path, columns=["id", "name", "id"], rows=[4, 2])
    assert read.column(0).equals(read.column(2))
    assert read.column(0).to_pylist() == whole.column("id").take([4, 2]).to_pylist()


def test_rows_outside_the_table_are_an_index_error(stars: tuple[Path, pa.Table]) -> None:
    path, _ = stars
    with pytest.raises(IndexError, match="row 5000 of 5000"):
        read_table(path, rows=[5000])
    with pytest.raises(IndexError, match="row -1 of 5000"):
        read_table(path, rows=[3, -1])
    with pytest.raises(TypeError, match="type float64"):
        read_table(path, rows=np.array([1.0]))
    with pytest.raises(TypeError, match="2 dimensions"):
        read_table(path, rows=np.zeros((2, 2), int))


def test_an_unknown_column_is_named(stars: tuple[Path, pa.Table]) -> None:
    path, _ = stars
    with pytest.raises(InputError, match=r"HDU 1: no column 'ID'; expected one of id, .*mean 'id'"):
        read_table(path, columns=["ID"])
    with pytest.raises(InputError, match="no column 'colour'"):
        read_table(path, columns=["colour"])


def test_tables_without_rows_keep_their_types(write_raw_table: WriteTable) -> None:
    forms = ["K", "5A", "3E", "PD", "QA", "2X", "L", "M"]
    path = write_raw_table(8 + 5 + 12 + 8 + 16 + 1 + 1 + 16, 0, forms, b"")
    table = read_table(path)
    assert table.num_rows == 0
    with open_fits(path) as file:
        assert table.schema == file.table().schema
        assert file.table().num_rows == 0


def test_a_table_without_columns(write_raw_table: WriteTable) -> None:
    assert read_table(write_raw_table(0, 0, [], b"")).num_columns == 0


ELEMENTS = {
    "L": hnp.arrays(bool, (6, 1)),
    "B": hnp.arrays(np.uint8, (6, 3)),
    "I": hnp.arrays(np.int16, (6, 1)),
    "J": hnp.arrays(np.int32, (6, 2)),
    "K": hnp.arrays(np.int64, (6, 1)),
    "E": hnp.arrays(np.float32, (6, 2)),
    "D": hnp.arrays(np.float64, (6, 1)),
    "C": hnp.arrays(np.complex64, (6, 1)),
    "M": hnp.arrays(np.complex128, (6, 3)),
    "X": hnp.arrays(bool, (6, 13)),
    "uint16": hnp.arrays(np.uint16, (6, 1)),
    "uint32": hnp.arrays(np.uint32, (6, 2)),
    "uint64": hnp.arrays(np.uint64, (6, 1)),
    "A": hnp.arrays(
        "S5",
        (6, 1),
        elements=st.binary(max_size=5).map(lambda text: bytes(32 + byte % 95 for byte in text)),
    ),
}
UNSIGNED = {"uint16": ("I", 1 << 15), "uint32": ("J", 1 << 31), "uint64": ("K", 1 << 63)}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_what_astropy_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    codes = data.draw(st.lists(st.sampled_from(sorted(ELEMENTS)), min_size=1, max_size=5))
    columns, arrays = [], []
    for number, code in enumerate(codes):
        array = data.draw(ELEMENTS[code])
        repeat = 5 if code == "A" else array.shape[1]
        letter, zero = UNSIGNED.get(code, (code, None))
        values = array[:, 0] if array.shape[1] == 1 else array
        columns.append(fits.Column(f"c{number}", f"{repeat}{letter}", array=values, bzero=zero))
        arrays.append(values)
    path = tmp_path_factory.mktemp("astropy") / "table.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    table = read_table(path)
    path.unlink()
    for number, values in enumerate(arrays):
        flat = table.column(number).combine_chunks()
        while pa.types.is_fixed_size_list(flat.type):
            flat = flat.flatten()
        found = flat.to_numpy(zero_copy_only=False)
        if values.dtype.kind == "S":
            expected = [text.decode().rstrip() for text in values]
            assert flat.to_pylist() == expected
            continue
        if values.dtype.kind == "c":
            values = np.ascontiguousarray(values).view(values.real.dtype)
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values.reshape(-1))


@pytest.mark.parametrize(
    ("forms", "keywords", "message"),
    [
        (["J"], {"TFIELDS": 2}, "TFORM2 = None"),
        (["J"], {"TFIELDS": 1000}, "TFIELDS = 1000; expected at most 999"),
        (["J"], {"TFIELDS": -1}, "TFIELDS = -1"),
        (["Z"], {}, "TFORM1 = 'Z'; expected a repeat count and one of"),
        (["-1J"], {}, "TFORM1 = '-1J'"),
        (["1.5J"], {}, "TFORM1 = '1.5J'"),
        (["99999999999999999999J"], {}, "TFORM1"),
        (["J"], {"TFORM1": 5}, "TFORM1 = 5"),
        (["2PJ"], {}, "TFORM1 = '2PJ'; expected 1PJ"),
        (["PP"], {}, "TFORM1 = 'PP'"),
        (["I"], {}, "the TFORMs describe rows of 2 bytes; expected NAXIS1 = 4"),
        (["999999999999999999J"], {}, "describe rows of 3999999999999999996 bytes"),
        (["2000000000A"], {}, "TFORM1 = '2000000000A'; expected at most 1073741823 characters"),
        (["4B"], {"TDIM1": "(5,7)"}, "TDIM1 = '\\(5,7\\)'; expected the 4 elements of TFORM1"),
        (["4B"], {"TDIM1": "(4"}, "TDIM1 = '\\(4'"),
        (["4B"], {"TDIM1": "(-4,-1)"}, "TDIM1"),
        (["J"], {"TNULL1": 1.5}, "TNULL1 = 1.5; expected an integer"),
        (["J"], {"TNULL1": "x"}, "TNULL1 = 'x"),
        (["J"], {"TSCAL1": "x"}, "TSCAL1 = 'x.*; expected a number"),
        (["J"], {"TZERO1": True}, "TZERO1 = True; expected a number"),
        (["2B", "2B"], {"TTYPE2": "c1"}, "two columns named 'c1'; expected unique names"),
        (["J"], {"NAXIS": 1}, "NAXIS = 1; expected 2 in a table"),
        (["J"], {"BITPIX": 16}, "BITPIX = 16; expected 8 in a table"),
        (["J"], {"GCOUNT": 2, "NAXIS2": 1}, "GCOUNT = 2; expected 1 in a table"),
        (["J"], {"THEAP": 1}, "THEAP = 1; expected between 8"),
        (["J"], {"THEAP": 9}, "THEAP = 9; expected between 8"),
        (["J"], {"THEAP": 1 << 70}, "THEAP = 11"),
        (["0J"], {"NAXIS1": 0, "NAXIS2": 1 << 60}, "rows of 0 bytes; expected NAXIS1 > 0"),
    ],
)
def test_headers_that_do_not_add_up(
    write_raw_table: WriteTable, forms: list[str], keywords: dict[str, Any], message: str
) -> None:
    path = write_raw_table(4, 2, forms, bytes(8), **keywords)
    with open_fits(path) as file, pytest.raises(InputError, match=f"raw.fits: HDU 1: .*{message}"):
        file.table(1)


def test_a_byte_that_is_not_a_logical_value(write_raw_table: WriteTable) -> None:
    path = write_raw_table(2, 2, ["L", "B"], b"T\1x\2")
    with pytest.raises(InputError, match="HDU 1: byte 0x78 in logical column 'c1'"):
        read_table(path)
    assert read_table(path, columns=["c2"]).column("c2").to_pylist() == [1, 2]


def test_an_offset_that_gives_values_beyond_64_bits(write_raw_table: WriteTable) -> None:
    path = write_raw_table(8, 1, ["K"], big_endian([BIG], ">i8"), TZERO1=100)
    with pytest.raises(InputError, match="TZERO1 = 100 gives values beyond 64 bits"):
        read_table(path)


def test_values_may_overflow_to_infinity(write_raw_table: WriteTable) -> None:
    path = write_raw_table(8, 1, ["D"], big_endian([1e300], ">f8"), TSCAL1=1e299)
    assert read_table(path).column("c1").to_pylist() == [float("inf")]


def test_a_compressed_table_is_pointed_out(write_raw_table: WriteTable) -> None:
    path = write_raw_table(8, 1, ["PB"], bytes(8), ZTABLE=True)
    with (
        open_fits(path) as file,
        pytest.raises(InputError, match=r"tile-compressed table.*funpack"),
    ):
        file.table()
