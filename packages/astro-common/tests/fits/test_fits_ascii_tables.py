from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

from astro_common.errors import InputError
from astro_common.fits import ascii_tables, open_fits, read_table

WriteRaw = Callable[..., Path]
Write = Callable[..., Path]


@pytest.fixture
def write(write_raw: WriteRaw, primary: dict[str, Any]) -> Write:
    """Write rows of text under columns given as (TFORM, TBCOL)."""

    def write(rows: list[str], forms: list[tuple[str, int]], **more: Any) -> Path:
        keywords: dict[str, Any] = {
            "XTENSION": "TABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": len(rows[0]) if rows else 0,
            "NAXIS2": len(rows), "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": len(forms),
        }  # fmt: skip
        for number, (form, first) in enumerate(forms, 1):
            keywords[f"TTYPE{number}"] = f"c{number}"
            keywords[f"TFORM{number}"] = form
            keywords[f"TBCOL{number}"] = first
        return write_raw((primary, b""), (keywords | more, "".join(rows).encode("latin-1")))

    return write


def test_every_form(write: Write) -> None:
    rows = [
        "M 31    12   1.50 1.5E+03 2.5D-01 -7",
        "NGC 1   -3  -2.25 1.5E-03 2.5D+10   ",
        "       +99    0.0 1.0E+00 1.0D+00 99",
    ]
    forms = [("A5", 1), ("I4", 7), ("F6.2", 12), ("E7.1", 19), ("D7.1", 27), ("I2", 35)]
    table = read_table(write(rows, forms, TNULL6="99", TUNIT3="mag"))
    assert table.to_pydict() == {
        "c1": ["M 31", "NGC 1", ""],
        "c2": [12, -3, 99],
        "c3": [1.5, -2.25, 0.0],
        "c4": [1500.0, 0.0015, 1.0],
        "c5": [0.25, 2.5e10, 1.0],
        "c6": [-7, None, None],
    }
    types = [pa.string(), pa.int64(), *[pa.float64()] * 3, pa.int64()]
    assert table.schema.types == types
    assert table.schema.field("c3").metadata == {b"unit": b"mag"}


def test_identifiers_are_exact_and_scales_apply(write: Write) -> None:
    rows = ["9223372036854775782 10", "                    20"]
    path = write(rows, [("I19", 1), ("I2", 21)], TSCAL2=0.5, TZERO2=1)
    assert read_table(path).to_pydict() == {"c1": [9223372036854775782, None], "c2": [6.0, 11.0]}


def test_an_undefined_value_may_be_given_as_a_number(write: Write) -> None:
    # The Standard wants text; CFITSIO takes the number as it is written.
    path = write([" 1  -99", "-99 1.5"], [("I3", 1), ("F4.1", 4)], TNULL1=-99, TNULL2=-99)
    assert read_table(path).to_pydict() == {"c1": [1, None], "c2": [None, 1.5]}


def test_what_astropy_writes_is_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    columns = [
        fits.Column("name", "A8", ascii=True, array=[f"s{i}" for i in range(50)]),
        fits.Column("n", "I10", ascii=True, array=rng.integers(-(10**8), 10**8, 50)),
        fits.Column("x", "E15.7", ascii=True, array=rng.normal(size=50)),
        fits.Column("y", "D25.17", ascii=True, array=rng.normal(size=50)),
    ]
    path = tmp_path / "ascii.fits"
    fits.TableHDU.from_columns(columns).writeto(path)
    with fits.open(path) as hdus:
        expected = {name: hdus[1].data[name].tolist() for name in hdus[1].columns.names}
    expected["name"] = [name.rstrip() for name in expected["name"]]
    assert read_table(path).to_pydict() == expected
    rows = [40, 3, 3]
    some = read_table(path, columns=["y", "name"], rows=rows)
    assert some.to_pydict() == {key: [expected[key][row] for row in rows] for key in ("y", "name")}


@pytest.mark.parametrize(
    ("forms", "keywords", "message"),
    [
        ([("I3", 1)], {}, "in column 'c1': .*'x'"),
        ([("F3.1", 1)], {}, "in column 'c1': .*'x'"),
        ([("Q3", 1)], {}, "TFORM1 = 'Q3'; expected such as A10"),
        ([("A3", 2)], {}, "column 1 of 3 bytes at byte 2; expected a place within the 3 bytes"),
        ([("A3", 0)], {}, "TBCOL1 = 0"),
        ([("A0", 1)], {}, "column 1 of 0 bytes"),
        ([("A999999999", 1)], {}, "column 1 of 999999999 bytes"),
        ([("A1", 1), ("A1", 2)], {"TTYPE2": "c1"}, "two columns named 'c1'; expected unique names"),
        ([("A3", 1)], {"TFIELDS": 2}, "TFORM2 = ''"),
        ([("A3", 1)], {"BITPIX": -32}, None),
    ],
)
def test_headers_and_fields_that_are_wrong(
    write: Write, forms: list[tuple[str, int]], keywords: dict[str, Any], message: str | None
) -> None:
    path = write(["  x", "  1"], forms, **keywords)
    if message is None:  # larger pixels than the table needs are harmless
        assert read_table(path).num_rows == 2
        return
    with pytest.raises(InputError, match=f"HDU 1: .*{message}"):
        read_table(path)


def test_rows_of_0_bytes_and_unknown_columns(write: Write) -> None:
    with pytest.raises(InputError, match="rows of 0 bytes"):
        read_table(write([], [], NAXIS2=1 << 60))
    with open_fits(write(["a"], [("A1", 1)])) as file:
        assert file.hdus[1].kind == "ascii_table"
        with pytest.raises(InputError, match="no column 'C1'; expected one of c1"):
            file.table().read(["C1"])
    assert read_table(write([], [("A1", 1)], NAXIS1=1)).num_rows == 0


@pytest.mark.parametrize("form", ["F8.2", "E8.3", "D8.0"])
def test_a_number_without_a_point_has_it_where_the_format_says(write: Write, form: str) -> None:
    rows = [
        "    1234",
        "   -1234",
        "       5",
        "    1.25",
        "   -12E2",
        "   +7D-1",
        "   1.E+2",
        "     .5 ",
    ]
    path = write(rows, [(form, 1)])
    expected = fitsio.read(str(path), ext=1)["c1"]
    np.testing.assert_allclose(read_table(path).column("c1").to_numpy(), expected, rtol=1e-15)


def test_an_exponent_needs_no_letter(write: Write) -> None:
    # FITS Standard 4.0, section 7.2.5: a sign alone may begin the exponent.
    path = write(["1.5+3 ", "-2.5-1", "  12+1"], [("E6.1", 1)])
    assert read_table(path).column("c1").to_pylist() == [1500.0, -0.25, 12.0]


def test_chunks_of_rows_are_joined(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ascii_tables, "CHUNK_ELEMENTS", 10)
    rows = [f"{f's{n}':4}{n:3}" for n in range(20)]
    table = read_table(write(rows, [("A4", 1), ("I3", 5)], TNULL1="s3", TNULL2="4"))
    assert table.column("c1").num_chunks == 10
    assert table.column("c1").to_pylist() == [None if n == 3 else f"s{n}" for n in range(20)]
    assert table.column("c2").to_pylist() == [None if n == 4 else n for n in range(20)]
