from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from astro_common.errors import ConfigurationError, InputError
from astro_common.jsonable import json_text, jsonable
from astro_common.provenance import (
    SAMPLE_BYTES,
    creation_time,
    fingerprint,
    provenance,
    same_content,
    versions,
)


def test_record_is_complete_and_json(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    path = tmp_path / "a.fits"
    path.write_bytes(b"SIMPLE")
    configuration = {"radius_arcsec": 1.2, "path": Path("x"), "rate": float("nan"), "n": (1, 2)}
    record = provenance("pyarrow", configuration, [path])
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["distribution"] == "pyarrow"
    assert record["created"] == "2023-11-14T22:13:20Z"
    assert record["versions"]["pyarrow"] == metadata.version("pyarrow")
    assert re.fullmatch(r"3\.\d+\.\d+\S*", record["python"])
    assert record["configuration"] == {
        "radius_arcsec": 1.2,
        "path": "x",
        "rate": None,
        "n": [1, 2],
    }
    assert record["inputs"] == [{"path": str(path), **fingerprint(path)}]


def test_equal_work_gives_equal_records(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    path = tmp_path / "a"
    path.write_bytes(b"x")
    assert json_text(provenance("pyarrow", {}, [path])) == json_text(
        provenance("pyarrow", {}, [path])
    )


def test_missing_input_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.fits"):
        provenance("pyarrow", {}, [tmp_path / "none.fits"])


def test_time_is_now_in_utc(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    text = creation_time()
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    assert before <= moment <= datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "1.5", "9" * 30])
def test_time_that_is_not_valid(monkeypatch, text):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(ConfigurationError, match="SOURCE_DATE_EPOCH"):
        creation_time()


def _install(folder, name, requires=()):
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.2"]
    lines += [f"Requires-Dist: {text}" for text in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")


def test_versions_are_of_what_is_needed_at_run_time(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    _install(tmp_path, "needed-one")
    _install(tmp_path, "only-for-dask")
    _install(
        tmp_path,
        "some-tool",
        [
            "needed-one[extra]>=1,<2; python_version >= '3'",
            "absent-package>=2",
            'only-for-dask>=1; extra == "dask"',
            "Numpy>=2",
        ],
    )
    assert versions("some-tool") == {
        "some-tool": "1.2",
        "needed-one": "1.2",
        "Numpy": metadata.version("numpy"),
    }
    assert next(iter(versions("some-tool"))) == "some-tool"


def test_versions_of_what_is_not_installed():
    assert versions("no-such-distribution") == {}


def test_fingerprint_of_a_small_file_covers_it(tmp_path):
    path = tmp_path / "a"
    data = bytes(range(256)) * (3 * SAMPLE_BYTES // 256)
    path.write_bytes(data)
    found = fingerprint(path)
    assert found == {
        "size": len(data),
        "mtime_ns": path.stat().st_mtime_ns,
        "sample_sha256": hashlib.sha256(data).hexdigest(),
    }
    assert fingerprint(path, checksum=True)["sha256"] == hashlib.sha256(data).hexdigest()


def test_fingerprint_of_an_empty_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert fingerprint(path)["size"] == 0


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_fingerprint_sees_changes_in_its_samples(tmp_path, place):
    path = tmp_path / "a"
    size = 20 * SAMPLE_BYTES + 13
    data = bytearray(np.random.default_rng(3).bytes(size))
    path.write_bytes(data)
    before = fingerprint(path)
    data[{"first": 0, "middle": size // 2, "last": size - 1}[place]] ^= 1
    path.write_bytes(data)
    assert not same_content(before, fingerprint(path))


def test_change_between_the_samples_needs_the_checksum(tmp_path):
    path = tmp_path / "a"
    data = bytearray(20 * SAMPLE_BYTES)
    path.write_bytes(data)
    before = fingerprint(path, checksum=True)
    data[3 * SAMPLE_BYTES] = 1
    path.write_bytes(data)
    assert same_content(before, fingerprint(path))
    assert not same_content(before, fingerprint(path, checksum=True))


def test_fingerprint_reads_little_of_a_large_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(500 << 20)
    read = 0
    real = Path.open

    class Counted:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def read(self, size):
            nonlocal read
            read += size
            return self.file.read(size)

    monkeypatch.setattr(Path, "open", lambda *arguments: Counted(real(*arguments)))
    assert fingerprint(path)["size"] == 500 << 20
    assert read <= 3 * SAMPLE_BYTES


def test_copy_with_another_time_is_the_same_content(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    shutil.copy(path, tmp_path / "b")
    os.utime(tmp_path / "b", ns=(1, 1))
    one, other = fingerprint(path), fingerprint(tmp_path / "b")
    assert one["mtime_ns"] != other["mtime_ns"]
    assert same_content(one, other)


def test_replaced_file_with_the_old_time_is_other_content(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    before = fingerprint(path)
    path.write_bytes(b"y" * 1000)
    os.utime(path, ns=(before["mtime_ns"], before["mtime_ns"]))
    after = fingerprint(path)
    assert after["mtime_ns"] == before["mtime_ns"]
    assert not same_content(before, after)


def test_incomplete_fingerprint_agrees_with_no_other():
    assert not same_content({}, {})
    assert not same_content({"size": 1}, {"size": 1})


@pytest.mark.parametrize("name", ["none", "folder"])
def test_input_that_is_not_a_file(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        fingerprint(tmp_path / name)


def test_jsonable_keeps_integers_exact():
    value = {"a": np.array([2**62 + 1]), "b": np.uint64(2**64 - 1), 3: True}
    assert jsonable(value) == {"a": [2**62 + 1], "b": 2**64 - 1, "3": True}


def test_jsonable_has_no_nan():
    assert jsonable([float("nan"), np.float32("inf"), np.array([[1.0, np.nan]])]) == [
        None,
        None,
        [[1.0, None]],
    ]


def test_jsonable_takes_what_configurations_hold():
    day = datetime.date(2024, 2, 29)
    assert jsonable({"p": Path("a/b"), "s": {"b", "a"}, "d": day, "n": None}) == {
        "p": "a/b",
        "s": ["a", "b"],
        "d": "2024-02-29",
        "n": None,
    }


@pytest.mark.parametrize("value", [object(), 1j, b"bytes", np.array([1j])])
def test_jsonable_refuses_the_rest(value):
    with pytest.raises(TypeError, match="no place in JSON"):
        jsonable(value)


def test_names_of_files_that_are_not_utf8_can_be_written():
    name = os.fsdecode(b"a\xff.fits")
    text = json_text({"path": name, "paths": [Path(name)], name: 1})
    assert json.loads(text.encode()) == {
        "path": "a\\udcff.fits",
        "paths": ["a\\udcff.fits"],
        "a\\udcff.fits": 1,
    }
