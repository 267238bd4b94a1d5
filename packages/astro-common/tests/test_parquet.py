from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import textwrap

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from astropy.io import votable
from astropy.table import Table

from astro_common.errors import OutputError
from astro_common.parquet import (
    ColumnOptions,
    ParquetWriter,
    check_parquet,
    described,
    field_metadata,
    read_metadata,
)

# No float holds it.
BIG = 2**62 + 1

SCHEMA = pa.schema(
    [
        described("source_id", pa.int64(), ucd="meta.id;meta.main", description="Gaia identifier"),
        described("ra", pa.float64(), unit="deg", ucd="pos.eq.ra", description="Right ascension"),
        described("n", pa.int32()),
        described("flag", pa.int16()),
        described("code", pa.uint8()),
        described("good", pa.bool_()),
        described("name", pa.string(), description="Name & <class>"),
        described("raw", pa.binary()),
        described("image", pa.list_(pa.float32(), 4), unit="mJy", survey="splus", modality="image"),
        described("mag", pa.list_(pa.float32()), unit="mag"),
        described("ids", pa.list_(pa.int64())),
    ]
)
ROWS = {
    "source_id": [BIG, None, 3],
    "ra": [359.5, None, float("nan")],
    "n": [1, None, 3],
    "flag": [-1, None, 3],
    "code": [255, None, 3],
    "good": [True, None, False],
    "name": ["Çelik", None, "b"],
    "raw": [b"ab", None, b""],
    "image": [[1, 2, 3, float("nan")], [0, 0, 0, 0], [5, 6, 7, 8]],
    "mag": [[1.5], None, []],
    "ids": [[BIG, BIG + 1], None, []],
}


@pytest.fixture
def table():
    return pa.table(ROWS, schema=SCHEMA)


@pytest.fixture
def path(tmp_path, table):
    path = tmp_path / "table.parquet"
    with ParquetWriter(path, SCHEMA, metadata={"tool": {"schema_version": 1}}) as writer:
        writer.write(table)
        writer.write(table.slice(0, 1))
    return path


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _write(path, schema, *tables, then=None, **options):
    """Write a file; ``then`` is raised before the block ends."""
    with ParquetWriter(path, schema, **options) as writer:
        for table in tables:
            writer.write(table)
        if then is not None:
            raise then


def _both(table):
    return pa.concat_tables([table, table.slice(0, 1)])


def test_rows_come_back(path, table):
    read = pq.read_table(path)
    assert read.schema.equals(SCHEMA)
    # NaN differs from itself; the text of a table does not.
    assert str(read.to_pydict()) == str(_both(table).to_pydict())
    assert pq.read_metadata(path).num_row_groups == 2


def test_row_groups_are_split_only_on_demand(tmp_path, table):
    path = tmp_path / "a.parquet"
    with ParquetWriter(path, SCHEMA, max_rows=2) as writer:
        writer.write(table)
        writer.write(table.to_batches()[0])
        writer.write(table.slice(0, 0))
        assert writer.num_rows == 6
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(i).num_rows for i in range(4)] == [2, 1, 2, 1]


def test_table_without_rows(tmp_path):
    path = tmp_path / "a.parquet"
    with ParquetWriter(path, SCHEMA) as writer:
        writer.write(SCHEMA.empty_table())
    check_parquet(path)
    assert pq.read_table(path).num_rows == 0
    assert pq.read_schema(path).equals(SCHEMA)
    assert list(pd.read_parquet(path).columns) == SCHEMA.names
    assert pl.read_parquet(path).columns == SCHEMA.names
    assert Table.read(path, format="parquet").colnames == SCHEMA.names
    assert duckdb.read_parquet(str(path)).fetchall() == []


def test_field_metadata_come_back(path):
    read = pq.read_schema(path)
    for field in SCHEMA:
        assert field_metadata(read.field(field.name)) == field_metadata(field)
    assert field_metadata(read.field("image")) == {
        "unit": "mJy",
        "survey": "splus",
        "modality": "image",
    }
    assert field_metadata(read.field("n")) == {}
    assert field_metadata(ds.dataset(path).schema.field("ra"))["unit"] == "deg"


def test_metadata_are_json(path):
    assert read_metadata(path) == {"tool": {"schema_version": 1}}
    assert json.loads(pq.read_schema(path).metadata[b"tool"]) == {"schema_version": 1}


def test_metadata_may_change_until_the_end(tmp_path, table):
    path = tmp_path / "a.parquet"
    with ParquetWriter(path, SCHEMA, metadata={"a": 1, "b": 1}) as writer:
        writer.write(table)
        writer.metadata["b"] = {"rate": np.float32("nan"), "ids": np.array([BIG])}
        writer.metadata["c"] = ["ü", None]
    assert read_metadata(path) == {"a": 1, "b": {"rate": None, "ids": [BIG]}, "c": ["ü", None]}


def test_metadata_key_of_the_writer_itself_is_refused(tmp_path, table):
    with pytest.raises(OutputError, match="the key pandas; expected another key"):
        _write(tmp_path / "a.parquet", SCHEMA, table, metadata={"pandas": 1})
    assert _names(tmp_path) == []


def test_metadata_are_checked_before_any_row(tmp_path):
    for metadata, error in (({"pandas": 1}, OutputError), ({"a": 1j}, TypeError)):
        with pytest.raises(error):
            ParquetWriter(tmp_path / "a.parquet", SCHEMA, metadata=metadata)


def test_entries_of_other_programs_are_left_out(tmp_path, table):
    path = tmp_path / "a.parquet"
    pq.write_table(table.replace_schema_metadata({"text": "not JSON", "number": "7"}), path)
    assert read_metadata(path) == {"number": 7}


def test_voparquet_describes_the_columns_in_order(path):
    footer = pq.read_metadata(path).metadata
    assert footer[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    document = votable.parse(
        io.BytesIO(footer[b"IVOA.VOTable-Parquet.content"]), verify="exception"
    )
    described_table = document.get_first_table()
    assert [field.name for field in described_table.fields] == SCHEMA.names
    ra = described_table.get_field_by_id_or_name("ra")
    assert (ra.datatype, str(ra.unit), ra.ucd) == ("double", "deg", "pos.eq.ra")
    assert ra.description == "Right ascension"
    image = described_table.get_field_by_id_or_name("image")
    assert (image.datatype, image.arraysize) == ("float", "4")


def test_pandas_keeps_integers_exact_and_nullable(path):
    frame = pd.read_parquet(path)
    assert {name: str(frame[name].dtype) for name in SCHEMA.names} == {
        "source_id": "Int64",
        "ra": "float64",
        "n": "Int32",
        "flag": "Int16",
        "code": "UInt8",
        "good": "boolean",
        "name": "str",
        "raw": "object",
        "image": "object",
        "mag": "object",
        "ids": "object",
    }
    assert frame["source_id"][0] == BIG
    assert frame["source_id"][1] is pd.NA
    assert frame["good"][1] is pd.NA
    assert list(frame["ids"][0]) == [BIG, BIG + 1]
    assert frame["ids"][1] is None
    np.testing.assert_array_equal(frame["image"][2], np.float32([5, 6, 7, 8]))


def test_polars_reads_it(path):
    frame = pl.read_parquet(path)
    assert frame.schema["source_id"] == pl.Int64
    assert frame.schema["image"] == pl.Array(pl.Float32, 4)
    assert frame.schema["ids"] == pl.List(pl.Int64)
    assert frame["source_id"].to_list() == [BIG, None, 3, BIG]
    assert frame["ids"].to_list() == [[BIG, BIG + 1], None, [], [BIG, BIG + 1]]
    assert frame["name"].to_list() == ["Çelik", None, "b", "Çelik"]


def test_duckdb_reads_it(path):
    rows = duckdb.read_parquet(str(path)).select("source_id", "name", "image", "ids").fetchall()
    assert rows[0][0] == BIG
    assert rows[0][3] == [BIG, BIG + 1]
    assert rows[1][:2] == (None, None)
    assert list(rows[2][2]) == [5, 6, 7, 8]


def test_datasets_read_many_of_them(tmp_path, path, table):
    with ParquetWriter(tmp_path / "other.parquet", SCHEMA) as writer:
        writer.write(table)
    dataset = ds.dataset(tmp_path)
    assert dataset.count_rows() == 7
    chosen = dataset.to_table(columns=["source_id"], filter=ds.field("source_id") == BIG)
    assert chosen["source_id"].to_pylist() == [BIG] * 3


def test_astropy_reads_it(path):
    read = Table.read(path, format="parquet")
    assert read.colnames == SCHEMA.names
    assert len(read) == 4
    assert read["ra"].unit == "deg"
    assert read["ra"].description == "Right ascension"
    assert read["source_id"].description == "Gaia identifier"
    assert read["image"].shape == (4, 4)
    assert read["image"].unit == "mJy"
    assert read["image"].meta == {"survey": "splus", "modality": "image"}
    assert read["ra"].meta == {"ucd": "pos.eq.ra"}
    assert list(read["ids"][0]) == [BIG, BIG + 1]
    assert read["mag"][1] is None
    assert read["name"][0] == "Çelik"
    # astropy has no missing text; it must at least not fail on one, nor cut it.
    assert read["name"][1] == "None"


def test_astropy_keeps_identifiers_without_missing_ones_exact(tmp_path):
    schema = pa.schema([described("id", pa.int64()), described("image", pa.list_(pa.float32(), 2))])
    path = tmp_path / "a.parquet"
    with ParquetWriter(path, schema) as writer:
        writer.write(pa.table({"id": [BIG, -BIG], "image": [None, None]}, schema=schema))
    read = Table.read(path, format="parquet")
    assert read["id"].dtype == np.int64
    assert read["id"].tolist() == [BIG, -BIG]
    assert read["image"].tolist() == [None, None]


def test_astropy_reads_the_voparquet_metadata(tmp_path):
    schema = pa.schema(
        [
            described("id", pa.int64(), ucd="meta.id"),
            described("pm", pa.float64(), unit="mas/yr", ucd="pos.pm", description="Motion"),
            described("name", pa.string()),
        ]
    )
    path = tmp_path / "a.parquet"
    with ParquetWriter(path, schema) as writer:
        writer.write(pa.table({"id": [BIG], "pm": [1.5], "name": ["a"]}, schema=schema))
    read = Table.read(path, format="parquet.votable")
    assert read["id"].tolist() == [BIG]
    assert read["pm"].unit == "mas / yr"
    assert read["pm"].description == "Motion"
    assert read["pm"].meta["ucd"] == "pos.pm"


def test_names_and_texts_with_awkward_characters(tmp_path):
    names = ["a.b", "mag [AB]", "1st", 'q"uote', "new\nline", "ctrl\x01", "Ünï"]
    schema = pa.schema(
        [described(name, pa.float32(), description=f"of {name} \x07") for name in names]
    )
    path = tmp_path / "a.parquet"
    with ParquetWriter(path, schema) as writer:
        writer.write(pa.table([[1.0]] * len(names), schema=schema))
    assert pq.read_schema(path).equals(schema, check_metadata=True) is False
    assert pq.read_schema(path).names == names
    content = pq.read_metadata(path).metadata[b"IVOA.VOTable-Parquet.content"]
    assert len(votable.parse(io.BytesIO(content)).get_first_table().fields) == len(names)
    assert Table.read(path, format="parquet").colnames == names
    assert list(pd.read_parquet(path).columns) == names


def _chunks(path):
    group = pq.read_metadata(path).row_group(0)
    return {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}


MIXED = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("image", pa.list_(pa.float32(), 1024)),
        ("wave", pa.list_(pa.float64())),
    ]
)


def _mixed():
    rng = np.random.default_rng(1)
    wave = np.linspace(3600, 5800, 500)
    return pa.table(
        {
            "id": np.arange(20),
            "name": ["STAR"] * 20,
            "image": list(rng.normal(size=(20, 1024)).astype(np.float32)),
            "wave": [wave] * 20,
        },
        schema=MIXED,
    )


def test_encodings_follow_the_kind_of_column(tmp_path):
    path = tmp_path / "a.parquet"
    with ParquetWriter(path, MIXED) as writer:
        writer.write(_mixed())
    chunks = _chunks(path)
    assert chunks["name"].has_dictionary_page
    assert not chunks["id"].has_dictionary_page
    assert not chunks["image.list.element"].has_dictionary_page
    assert chunks["id"].is_stats_set
    assert chunks["id"].statistics.max == 19
    assert not chunks["image.list.element"].is_stats_set
    assert chunks["id"].compression == "ZSTD"
    assert chunks["image.list.element"].compression == "UNCOMPRESSED"
    assert pl.read_parquet(path)["image"].to_numpy().shape == (20, 1024)
    assert [len(row[0]) for row in duckdb.read_parquet(str(path)).select("image").fetchall()] == [
        1024
    ] * 20


def test_options_by_column_name(tmp_path):
    path = tmp_path / "a.parquet"
    options = {
        "wave": ColumnOptions(dictionary=True),
        "image": ColumnOptions(
            byte_stream_split=True, compression="zstd", compression_level=3, statistics=True
        ),
        "id": ColumnOptions(compression="none", statistics=False),
    }
    with ParquetWriter(path, MIXED, column_options=options) as writer:
        writer.write(_mixed())
    chunks = _chunks(path)
    assert chunks["wave.list.element"].has_dictionary_page
    # 20 equal arrays of 500 values; the dictionary holds one.
    assert chunks["wave.list.element"].total_uncompressed_size < 2 * 500 * 8 + 20 * 500 * 2
    assert "BYTE_STREAM_SPLIT" in chunks["image.list.element"].encodings
    assert chunks["image.list.element"].compression == "ZSTD"
    assert chunks["image.list.element"].is_stats_set
    assert chunks["id"].compression == "UNCOMPRESSED"
    assert not chunks["id"].is_stats_set
    assert pq.read_table(path).equals(_mixed())


def test_options_by_a_function_of_the_field(tmp_path):
    path = tmp_path / "a.parquet"

    def options(field):
        return ColumnOptions(dictionary=True) if pa.types.is_list(field.type) else None

    with ParquetWriter(path, MIXED, column_options=options, compression="snappy") as writer:
        writer.write(_mixed())
    chunks = _chunks(path)
    assert chunks["wave.list.element"].has_dictionary_page
    assert not chunks["image.list.element"].has_dictionary_page
    assert {chunk.compression for chunk in chunks.values()} == {"SNAPPY"}


def test_options_for_an_unknown_column(tmp_path):
    with pytest.raises(KeyError, match="nonsense"):
        ParquetWriter(tmp_path / "a.parquet", MIXED, column_options={"nonsense": ColumnOptions()})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1], "c": ["x"]}, "column c; expected column b there"),
        ({"a": [1]}, "1 columns; expected 2 columns"),
        ({"a": [1.5], "b": ["x"]}, "column a of type double; expected int64"),
        ({"a": [None], "b": ["x"]}, "column a of type null; expected int64"),
        ({"a": pa.array([None], pa.int64()), "b": ["x"]}, "column a: missing values"),
    ],
)
def test_rows_that_do_not_fit_the_schema(tmp_path, columns, message):
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False), ("b", pa.string())])
    with pytest.raises(OutputError, match=message):
        _write(tmp_path / "a.parquet", schema, pa.table(columns))
    assert _names(tmp_path) == []


def test_nullable_column_without_nulls_fits_one_that_is_not_nullable(tmp_path):
    """As in tables from pandas or a join, where every column is nullable."""
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False), ("b", pa.string())])
    path = tmp_path / "a.parquet"
    _write(
        path,
        schema,
        pa.table(
            {"a": [BIG], "b": [None]}, schema=pa.schema([("a", pa.int64()), ("b", pa.string())])
        ),
    )
    assert pq.read_schema(path).equals(schema)
    assert pq.read_table(path).to_pydict() == {"a": [BIG], "b": [None]}


def test_two_columns_of_one_name(tmp_path):
    schema = pa.schema([("a", pa.int64()), ("a", pa.int64())])
    with pytest.raises(OutputError, match="two columns a"):
        ParquetWriter(tmp_path / "a.parquet", schema)


def test_existing_file(path, table):
    before = path.read_bytes()
    with pytest.raises(OutputError, match="the file exists"):
        _write(path, SCHEMA, table)
    assert path.read_bytes() == before
    with ParquetWriter(path, SCHEMA, overwrite=True) as writer:
        writer.write(table.slice(0, 1))
    assert pq.read_metadata(path).num_rows == 1


def test_nothing_is_left_when_the_block_raises(tmp_path, table):
    with pytest.raises(ZeroDivisionError):
        _write(tmp_path / "a.parquet", SCHEMA, table, then=ZeroDivisionError())
    assert _names(tmp_path) == []


def test_direct_writing_gives_the_same_file(tmp_path, table):
    many = pa.concat_tables([table] * 40_000).combine_chunks()
    for name, direct in (("cached", False), ("direct", True)):
        with ParquetWriter(
            tmp_path / name, SCHEMA, metadata={"k": 1}, compression="none", direct=direct
        ) as writer:
            for _ in range(6):
                writer.write(many)
    content = (tmp_path / "direct").read_bytes()
    # More than both buffers, so that each has been used again.
    assert len(content) > 20 << 20
    assert content == (tmp_path / "cached").read_bytes()


def test_nothing_is_left_of_a_direct_file_when_the_block_raises(tmp_path, table):
    with pytest.raises(ZeroDivisionError):
        _write(tmp_path / "a.parquet", SCHEMA, table, then=ZeroDivisionError(), direct=True)
    assert _names(tmp_path) == []


def test_missing_folder(tmp_path):
    with pytest.raises(OutputError, match="create the folder"):
        _write(tmp_path / "none" / "a.parquet", SCHEMA)


def test_same_rows_give_the_same_bytes(tmp_path, table):
    for name in ("a", "b"):
        with ParquetWriter(tmp_path / name, SCHEMA, metadata={"k": {"x": 1}}) as writer:
            writer.write(table)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("blocks", [0, 1])
def test_full_disk(tmp_path, monkeypatch, blocks):
    """The device is full from the start, or when the footer is written."""
    real = pa.OSFile
    monkeypatch.setattr(pa, "OSFile", lambda _path, mode: real("/dev/full", mode))
    path = tmp_path / "a.parquet"
    with pytest.raises(OutputError, match=r"cannot be written \(No space left") as caught:
        _write(path, MIXED, *[_mixed()] * blocks)
    assert caught.value.source == str(path)
    assert _names(tmp_path) == []


_LIMITED = """
import resource, sys
import numpy as np, pyarrow as pa
from astro_common.errors import OutputError
from astro_common.parquet import ParquetWriter

schema = pa.schema([("image", pa.list_(pa.float32(), 1024))])
pixels = np.random.default_rng(0).normal(size=256 * 1024).astype(np.float32)
images = pa.FixedSizeListArray.from_arrays(pa.array(pixels), 1024)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    with ParquetWriter(sys.argv[1], schema, direct=sys.argv[3] == "direct") as writer:
        for _ in range(32):
            writer.write(pa.table([images], schema=schema))
except OutputError as error:
    print(error)
    sys.exit(error.exit_status)
"""


@pytest.mark.parametrize("way", ["cached", "direct"])
@pytest.mark.parametrize("limit", [100, 3_000_000, 17_000_001])
def test_file_that_outgrows_what_the_system_allows(tmp_path, limit, way):
    path = tmp_path / "a.parquet"
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(path), str(limit), way],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.startswith(f"{path}: cannot be written (File too large)")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert _names(tmp_path) == []


_ENDLESS = """
import sys
import pyarrow as pa
from astro_common.parquet import ParquetWriter

schema = pa.schema([("a", pa.list_(pa.float32(), 1024))])
rows = pa.table([[[0.5] * 1024] * 16], schema=schema)
with ParquetWriter(sys.argv[1], schema) as writer:
    while True:
        writer.write(rows)
        print(writer.num_rows, flush=True)
"""


def test_killed_writer_leaves_nothing_that_looks_finished(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_ENDLESS), str(tmp_path / "cube.parquet")],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while int(process.stdout.readline()) < 160:
            continue
        process.send_signal(signal.SIGKILL)
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".partial")
    assert left.stat().st_size > 0
    assert list(tmp_path.glob("*.parquet")) == []


_LARGE = """
import resource, sys
import numpy as np, pyarrow as pa
from astro_common.parquet import ParquetWriter

schema = pa.schema([("image", pa.list_(pa.float32(), 9216))])
pixels = np.random.default_rng(0).normal(size=256 * 9216).astype(np.float32)
images = pa.FixedSizeListArray.from_arrays(pa.array(pixels), 9216)
rows = pa.table([images], schema=schema)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
with ParquetWriter(sys.argv[1], schema) as writer:
    for _ in range(3):
        writer.write(rows)
    before = peak()
    for _ in range(30):
        writer.write(rows)
print(peak() - before, rows.nbytes)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "a.parquet"
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, str(path)], capture_output=True, text=True, check=True
    )
    growth, group = map(int, done.stdout.split())
    assert path.stat().st_size > 30 * group
    assert growth < 2 * group
