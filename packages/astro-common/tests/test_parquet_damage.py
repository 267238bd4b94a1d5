from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from astro_common.errors import InputError
from astro_common.parquet import (
    ParquetWriter,
    check_parquet,
    described,
    parquet_errors,
    read_metadata,
)
from astro_common.parquet.layout import LayoutError, check_layout

SCHEMA = pa.schema(
    [
        described("id", pa.int64(), description="Identifier"),
        described("name", pa.string()),
        described("image", pa.list_(pa.float32(), 4), unit="mJy"),
        described("mag", pa.list_(pa.float64())),
    ]
)


def _table():
    rng = np.random.default_rng(7)
    return pa.table(
        {
            "id": np.arange(50) + 2**60,
            "name": [f"star{i % 5}" for i in range(50)],
            "image": list(rng.normal(size=(50, 4)).astype(np.float32)),
            "mag": [list(rng.normal(size=i % 4)) for i in range(50)],
        },
        schema=SCHEMA,
    )


def _ours(path):
    with ParquetWriter(path, SCHEMA, metadata={"tool": {"field": "A"}}) as writer:
        writer.write(_table())
        writer.write(_table())


def _foreign(path):
    pq.write_table(_table(), path, row_group_size=30)


@pytest.fixture(params=[_ours, _foreign], ids=["ours", "foreign"])
def whole(request, tmp_path):
    path = tmp_path / "whole.parquet"
    request.param(path)
    return path.read_bytes()


def _footer_size(data):
    return int.from_bytes(data[-8:-4], "little")


def _check(tmp_path, data):
    path = tmp_path / "damaged.parquet"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        check_parquet(path)
    assert caught.value.source == str(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_whole_file_passes(tmp_path, whole):
    path = tmp_path / "copy.parquet"
    path.write_bytes(whole)
    assert check_parquet(path) == read_metadata(path)


def test_metadata_of_a_whole_file(tmp_path):
    path = tmp_path / "a.parquet"
    _ours(path)
    assert check_parquet(path) == {"tool": {"field": "A"}}


def test_missing_file(tmp_path):
    for function in (check_parquet, read_metadata):
        with pytest.raises(InputError, match="no such file"):
            function(tmp_path / "none.parquet")


def test_folder(tmp_path):
    with pytest.raises(InputError):
        check_parquet(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1PAR1", b"PAR1" + bytes(4) + b"PAR1"])
def test_too_short(tmp_path, data):
    _check(tmp_path, data)


def test_other_format(tmp_path):
    assert "starts b'PAR1'" in _check(tmp_path, b"SIMPLE  =                    T" * 100)


def test_every_truncation(tmp_path, whole):
    for size in {*range(0, len(whole), 37), *range(len(whole) - 20, len(whole))}:
        _check(tmp_path, whole[:size])


def test_bytes_missing_in_the_middle(tmp_path, whole):
    data_end = len(whole) - 8 - _footer_size(whole)
    # Some versions of Arrow leave room behind each column, so that a little may go unseen there.
    for count in (data_end // 2, data_end - 4):
        assert "data" in _check(tmp_path, whole[:4] + whole[4 + count :])


def test_one_byte_missing_in_a_file_of_ours(tmp_path):
    path = tmp_path / "a.parquet"
    _ours(path)
    whole = path.read_bytes()
    assert "the data end at" in _check(tmp_path, whole[:100] + whole[101:])


def test_footer_longer_than_the_file(tmp_path, whole):
    for size in (len(whole), 2**31, 2**32 - 1):
        message = _check(tmp_path, whole[:-8] + size.to_bytes(4, "little") + b"PAR1")
        assert f"a footer of {size} bytes" in message


def _read(path):
    with parquet_errors(path):
        pq.read_table(path)


def _refusal(function, path):
    """The error that a function raises on purpose, if any; no other may come."""
    try:
        function(path)
    except InputError as error:
        return error
    return None


def test_seeded_mutations_of_the_footer(tmp_path, whole):
    """No mutation does anything but pass or end in the one error, checking or reading."""
    rng = random.Random(20240601)
    footer = _footer_size(whole)
    start, size = len(whole) - 8 - footer, len(whole)
    path = tmp_path / "mutated.parquet"
    refused = 0
    for _ in range(600):
        data = bytearray(whole)
        kind = rng.randrange(4)
        place = rng.randrange(start, size - 8)
        if kind == 0:
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(start, size)] = rng.randrange(256)
        elif kind == 1:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[place : place + rng.randrange(1, 20)]
        else:
            byte = rng.choice([0xFF, 0x7F, 0x80, 0xFC])
            data[place : place + 1] = bytes([byte]) * rng.randrange(1, 12)
        path.write_bytes(data)
        refusal = _refusal(check_parquet, path)
        if refusal is not None:
            assert refusal.source == str(path)
            assert "\n" not in str(refusal)
            refused += 1
        refusal = _refusal(_read, path)
        assert refusal is None or refusal.source == str(path)
    assert refused > 100


def _varint(value):
    data = bytearray()
    while value > 127:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


# FileMetaData with version 1 and the header of field 2, the list of schema elements.
_START = bytes([0x15, 2, 0x19])
_HUGE_LIST = _START + bytes([0xFC]) + _varint(2**31 - 1)
_DEEP = bytes([0x1C]) * 100_000
_LONG_TEXT = bytes([0x18]) + _varint(2**40)
_LONG_NUMBER = bytes([0x16]) + b"\xff" * 50_000


@pytest.mark.parametrize(
    "footer",
    [_HUGE_LIST, _DEEP, _LONG_TEXT, _LONG_NUMBER, b"", b"\x00", b"\xff" * 100],
    ids=["huge list", "deep", "long text", "long number", "empty", "stop", "noise"],
)
def test_thrift_bombs(tmp_path, footer):
    with pytest.raises(LayoutError):
        check_layout(footer + b"\x16", 4)
    _check(tmp_path, b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")


_PEAK = """
import resource, sys
from astro_common.errors import InputError
from astro_common.parquet import check_parquet
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
before = peak()
try:
    check_parquet(sys.argv[1])
except InputError:
    print(peak() - before)
"""


def test_memory_of_a_bomb_is_bounded(tmp_path):
    """A list that claims as many elements as the default limit of Arrow's reader allows."""
    footer = _START + bytes([0xFC]) + _varint(999_999) + bytes(2000)
    path = tmp_path / "bomb.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 64 << 20


def test_layout_agrees_with_arrow(tmp_path):
    """The largest end of a column is accepted as the data's end, one byte less is not."""
    path = tmp_path / "a.parquet"
    _foreign(path)
    data = path.read_bytes()
    footer = data[-8 - _footer_size(data) : -8]
    metadata = pq.read_metadata(path)
    ends = []
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            column = metadata.row_group(group).column(place)
            start = column.data_page_offset
            if column.has_dictionary_page:
                start = min(start, column.dictionary_page_offset)
            ends.append(start + column.total_compressed_size)
    check_layout(footer, max(ends))
    with pytest.raises(LayoutError, match="lies at bytes"):
        check_layout(footer, max(ends) - 1)


def test_errors_of_the_block_name_the_file(tmp_path):
    with (
        pytest.raises(InputError, match=r"x\.parquet: cannot be read as Parquet \(two lines\)"),
        parquet_errors(tmp_path / "x.parquet"),
    ):
        raise pa.ArrowInvalid("two\nlines")


def test_a_file_rewritten_by_another_program_is_whole(tmp_path):
    """pyarrow copies the schema's metadata, among them the length of the data of the first file."""
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    schema = pa.schema([described("x", pa.int64())])
    with ParquetWriter(first, schema, metadata={"key": 5}) as writer:
        writer.write(pa.table({"x": list(range(1000))}, schema=schema))
    pq.write_table(pq.read_table(first).slice(0, 10), second)
    assert check_parquet(second)["key"] == 5
