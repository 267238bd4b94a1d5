from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from astro_common.parquet import direct
from astro_common.parquet.direct import DirectFile


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.touch()
    return path


@pytest.fixture(params=["direct", "cached"])
def way(request, monkeypatch):
    """With direct writing, if the file system of the tests has it, and without."""
    if request.param == "cached":
        monkeypatch.setattr(direct.os, "O_DIRECT", 0, raising=False)


SIZES = [0, 1, 4095, 4096, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, 25_000_003]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("size", SIZES)
def test_bytes_are_those_that_were_given(path, size):
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    with DirectFile(path) as file:
        place = 0
        for step in (1, 7, 5000, 3_000_000, 9_000_000, size):
            assert file.write(data[place : place + step]) == len(data[place : place + step])
            place = min(place + step, size)
            assert file.tell() == place
    assert path.read_bytes() == data


def test_any_object_with_bytes_is_taken(path):
    values = np.arange(10.0)
    with DirectFile(path) as file:
        file.write(values)
        file.write(memoryview(values))
    assert path.read_bytes() == values.tobytes() * 2


def test_error_of_the_thread_reaches_the_writer(path, monkeypatch):
    def full(_descriptor, _data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = DirectFile(path)
    monkeypatch.setattr(direct.os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        file.write(bytes(25 << 20))
    file.close()
    assert file.closed


def test_error_of_the_last_bytes_comes_with_close(path, monkeypatch):
    def full(_descriptor, _data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = DirectFile(path)
    file.write(b"few")
    monkeypatch.setattr(direct.os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        file.close()
    assert file.closed
    file.close()


def test_short_writes_go_on_where_they_ended(path, monkeypatch):
    real = os.write
    monkeypatch.setattr(direct.os, "write", lambda where, data: real(where, data[:4_096_000]))
    data = np.random.default_rng(3).bytes(20 << 20)
    with DirectFile(path) as file:
        file.write(data)
    assert path.read_bytes() == data


def test_writing_goes_on_through_the_cache_where_blocks_are_cut(path, monkeypatch):
    """As after a short write on a disk that is nearly full."""
    real = os.write
    lengths = [4_999_999]

    def cut(where, data):
        return real(where, data[: lengths.pop()] if lengths else data)

    data = np.random.default_rng(3).bytes(20 << 20)
    with DirectFile(path) as file:
        monkeypatch.setattr(direct.os, "write", cut)
        file.write(data)
    assert path.read_bytes() == data
