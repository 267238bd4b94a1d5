from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.table import Column, MaskedColumn, Table

from astro_common.ecsv import open_ecsv, read_ecsv
from astro_common.errors import InputError

BIG = (1 << 62) + 1

GAIA = f"""\
# %ECSV 1.0
# ---
# delimiter: ','
# datatype:
# -
#   name: solution_id
#   datatype: int64
#   description: Solution Identifier
#   meta:
#     ucd: meta.version
# -
#   name: source_id
#   datatype: int64
#   description: Unique source
#     identifier
#   meta:
#     ucd: meta.id;meta.main
# -
#   name: ra
#   datatype: float64
#   unit: deg
# -
#   name: parallax
#   datatype: float32
#   unit: mas
# -
#   name: astrometric_params_solved
#   datatype: int8
# -
#   name: has_xp_continuous
#   datatype: bool
# -
#   name: libname_gspphot
#   datatype: string
# -
#   name: bp_coefficients
#   datatype: string
#   subtype: float64[3]
# -
#   name: correlations
#   datatype: string
#   subtype: 'float32[null]'
solution_id,source_id,ra,parallax,astrometric_params_solved,has_xp_continuous,libname_gspphot,bp_coefficients,correlations
1636148068921376768,{BIG},44.99615537864534,0.35,31,"True","MARCS","[1.0, 2.0, 3.0]","(0.5,0.25)"
1636148068921376768,4295806721,45.00,null,3,False,null,null,"[]"
null,9,nan,-1.5,,"False","",,"[null]"
"""

GAIA_ROWS: dict[str, list[Any]] = {
    "solution_id": [1636148068921376768, 1636148068921376768, None],
    "source_id": [BIG, 4295806721, 9],
    "ra": [44.99615537864534, 45.0, float("nan")],
    "parallax": [float(np.float32(0.35)), None, -1.5],
    "astrometric_params_solved": [31, 3, None],
    "has_xp_continuous": [True, False, False],
    "libname_gspphot": ["MARCS", None, None],
    "bp_coefficients": [[1.0, 2.0, 3.0], None, None],
    "correlations": [[0.5, 0.25], None, [None]],
}


def write(path: Path, text: str | bytes, *, compressed: bool = False) -> Path:
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if compressed else content)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_gaia_file(tmp_path: Path, compressed: bool, line_end: str) -> None:
    text = GAIA.replace("\n", line_end)
    path = write(tmp_path / "GaiaSource_000000-003111.csv", text, compressed=compressed)
    table = read_ecsv(path)
    found = table.to_pydict()
    assert found.pop("ra")[:2] == GAIA_ROWS["ra"][:2]
    assert np.isnan(table.column("ra")[2].as_py())
    assert found == {key: value for key, value in GAIA_ROWS.items() if key != "ra"}
    table.validate(full=True)


def test_the_schema_carries_the_header(tmp_path: Path) -> None:
    with open_ecsv(write(tmp_path / "gaia.csv", GAIA)) as reader:
        schema = reader.schema
    assert schema.types == [
        pa.int64(), pa.int64(), pa.float64(), pa.float32(), pa.int8(), pa.bool_(), pa.string(),
        pa.list_(pa.float64()), pa.list_(pa.float32()),
    ]  # fmt: skip
    assert schema.field("source_id").metadata == {
        b"ucd": b"meta.id;meta.main",
        b"description": b"Unique source identifier",
    }
    assert schema.field("ra").metadata == {b"unit": b"deg"}
    assert schema.field("bp_coefficients").metadata == {b"shape": b"3"}
    assert schema.field("correlations").metadata == {b"shape": b"null"}
    assert schema.field("has_xp_continuous").metadata is None
    assert read_ecsv(tmp_path / "gaia.csv").schema.equals(schema, check_metadata=True)


def test_columns_are_those_asked_for_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "gaia.csv", GAIA)
    table = read_ecsv(path, ["correlations", "source_id"])
    expected = {name: GAIA_ROWS[name] for name in ("correlations", "source_id")}
    assert table.to_pydict() == expected
    assert table.column_names == list(expected)
    with pytest.raises(InputError, match="no column 'colour'; expected one of solution_id, source"):
        read_ecsv(path, ["colour"])


def test_blocks_cut_the_rows_anywhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 1 << 62, 5000)
    lists = [rng.normal(size=n).tolist() for n in rng.integers(1, 9, 5000)]
    text = (
        "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n"
        "# - {name: source_id, datatype: int64}\n"
        "# - {name: v, datatype: string, subtype: 'float64[null]'}\nsource_id,v\n"
    )
    text += "".join(f'{i},"{v}"\n' for i, v in zip(ids, lists, strict=True))
    path = write(tmp_path / "many.csv.gz", text, compressed=True)
    counts = []
    with open_ecsv(path) as reader:
        for batch_bytes in (1000, 40_000, 16 << 20):
            batches = list(reader.batches(batch_bytes=batch_bytes))
            counts.append(len(batches))
            whole = pa.concat_tables(batches)
            assert whole.column("source_id").to_pylist() == ids.tolist()
            assert whole.column("v").to_pylist() == lists
        # A reader may be left in the middle and asked again.
        assert next(iter(reader.batches(batch_bytes=1000))).num_rows < 5000
        assert sum(batch.num_rows for batch in reader.batches(["v"])) == 5000
    assert counts[0] > 100
    assert 5 < counts[1] < 100
    assert counts[2] == 1


def test_plain_csv_is_inferred(tmp_path: Path) -> None:
    text = (
        "source_id,obj_id,n,x,empty,flag,name,array,ints,designation_id\n"
        f'{BIG},null,1,1.5,null,true,a,"[1.5, null]","(1, 2)",x1\n'
        f'{BIG + 2},,2,nan,,false,"b,c","[nan]",,x2\n'
    )
    table = read_ecsv(write(tmp_path / "plain.csv", text))
    assert table.schema.types == [
        pa.int64(), pa.int64(), pa.int64(), pa.float64(), pa.float64(), pa.bool_(), pa.string(),
        pa.list_(pa.float64()), pa.list_(pa.int64()), pa.string(),
    ]  # fmt: skip
    assert table.column("source_id").to_pylist() == [BIG, BIG + 2]
    assert table.column("obj_id").to_pylist() == [None, None]
    assert table.column("name").to_pylist() == ["a", "b,c"]
    assert table.column("array")[0].as_py() == [1.5, None]
    assert table.column("ints").to_pylist() == [[1, 2], None]
    assert np.isnan(table.column("x")[1].as_py())


def test_integers_beside_nan_are_floats_unless_digits_would_be_lost(tmp_path: Path) -> None:
    table = read_ecsv(write(tmp_path / "nan.csv", "n,m\n1,5\nnan,6\n3,7\n"))
    assert table.schema.types == [pa.float64(), pa.int64()]
    assert np.isnan(table.column("n")[1].as_py())
    path = write(tmp_path / "id.csv", f"objid\n{BIG}\nnan\n")
    with pytest.raises(InputError, match=r"line 3, column 'objid': .*'nan'; expected .* int64"):
        read_ecsv(path)


def test_types_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "plain.csv", 'a,b,c\n1,null,"[1, 2]"\n')
    types = {"a": pa.float32(), "b": pa.int16(), "c": pa.list_(pa.float32()), "absent": pa.int8()}
    with open_ecsv(path, types=types) as reader:
        assert reader.schema.types == [pa.float32(), pa.int16(), pa.list_(pa.float32())]
        assert [batch.to_pydict() for batch in reader.batches()] == [
            {"a": [1.0], "b": [None], "c": [[1.0, 2.0]]}
        ]


@pytest.mark.parametrize("text", ["a,b\n", "a,b", 'a,"b"\n\n'])
def test_no_rows(tmp_path: Path, text: str) -> None:
    table = read_ecsv(write(tmp_path / "none.csv", text))
    assert (table.num_rows, table.column_names) == (0, ["a", "b"])
    header = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int8}\na\n"
    assert read_ecsv(write(tmp_path / "none.ecsv", header)).schema == pa.schema([("a", pa.int8())])


def test_what_astropy_writes_is_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    table = Table()
    table["id"] = MaskedColumn(rng.integers(1 << 60, 1 << 62, 30), mask=rng.random(30) < 0.3)
    table["flux"] = Column(rng.normal(size=30), unit="Jy", description="of the star")
    table["small"] = rng.normal(size=30).astype("f4")
    table["good"] = rng.random(30) < 0.5
    table["count"] = rng.integers(0, 255, 30).astype("u1")
    table["name"] = [f"star {i}" if i % 7 else "" for i in range(30)]
    table["spectrum"] = rng.normal(size=(30, 4))
    table["image"] = rng.integers(0, 9, (30, 2, 3))
    curves = np.empty(30, object)
    for row in range(30):
        curves[row] = rng.normal(size=row % 4 + 1)
    table["curve"] = curves
    for delimiter in (" ", ","):
        path = tmp_path / "table.ecsv"
        table.write(path, format="ascii.ecsv", delimiter=delimiter, overwrite=True)
        read = read_ecsv(path)
        assert read.column("id").to_pylist() == table["id"].tolist()
        # Empty text and masked text are written alike.
        assert read.column("name").to_pylist() == [name or None for name in table["name"]]
        for name in ("flux", "small", "good", "count"):
            assert read.column(name).to_pylist() == table[name].tolist()
        assert read.schema.field("flux").metadata[b"unit"] == b"Jy"
        assert read.schema.field("flux").metadata[b"description"] == b"of the star"
        for name in ("spectrum", "image", "curve"):
            expected = [np.asarray(row).reshape(-1).tolist() for row in table[name]]
            assert read.column(name).to_pylist() == expected
        assert read.schema.field("image").metadata == {b"shape": b"2,3"}
        assert read.schema.field("count").type == pa.uint8()


def test_tags_of_other_software_are_ignored(tmp_path: Path) -> None:
    text = (
        "# %ECSV 1.0\n# ---\n# datatype:\n"
        "# - {name: a, datatype: int64, unit: !astropy.units.Unit {unit: m}}\n"
        "# meta: !!omap\n# - time: !astropy.time.Time {jd1: 1, jd2: 2}\n# schema: astropy-2.0\n"
        "a\n5\n"
    )
    assert read_ecsv(write(tmp_path / "tags.ecsv", text)).to_pydict() == {"a": [5]}


def test_an_ordered_mapping_as_header(tmp_path: Path) -> None:
    text = (
        "# %ECSV 0.9\n# ---\n# !!omap\n# - delimiter: ','\n# - datatype:\n"
        "#   - {name: a, datatype: int64}\na\n5\n"
    )
    assert read_ecsv(write(tmp_path / "old.ecsv", text)).to_pydict() == {"a": [5]}


def test_a_byte_order_mark_and_other_comments(tmp_path: Path) -> None:
    assert read_ecsv(write(tmp_path / "bom.csv", b"\xef\xbb\xbfa\n5\n")).to_pydict() == {"a": [5]}
    header = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int8}\na\n5\n"
    table = read_ecsv(write(tmp_path / "bom.ecsv", b"\xef\xbb\xbf" + header.encode()))
    assert table.schema == pa.schema([("a", pa.int8())])
    text = "# made by hand\n# yesterday\na\n5\n"
    assert read_ecsv(write(tmp_path / "comments.csv", text)).to_pydict() == {"a": [5]}
