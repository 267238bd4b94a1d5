from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from astro_common.atomic import atomic_path, remove_partials
from astro_common.errors import OutputError


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _write(path, *, then=lambda _partial: None, **options):
    """Write a file; ``then`` happens before the block ends."""
    with atomic_path(path, **options) as partial:
        partial.write_bytes(b"ours")
        then(partial)


def _raise(error):
    def raise_it(_partial):
        raise error

    return raise_it


def test_file_appears_whole(tmp_path):
    path = tmp_path / "cube.parquet"
    with atomic_path(path) as partial:
        partial.write_bytes(b"first")
        assert not path.exists()
        assert partial.parent == tmp_path
        assert list(tmp_path.glob("*.parquet")) == []
    assert path.read_bytes() == b"first"
    assert _names(tmp_path) == ["cube.parquet"]


def test_name_of_the_partial(tmp_path):
    with atomic_path(tmp_path / "cube.parquet") as partial:
        assert partial.name.startswith(".cube.parquet.")
        assert partial.name.endswith(".partial")


def test_permissions_follow_the_umask(tmp_path):
    previous = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "a") as partial:
            partial.write_bytes(b"")
    finally:
        os.umask(previous)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_nothing_is_left_when_the_block_raises(tmp_path, error):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(type(error)) as caught:
        _write(path, overwrite=True, then=_raise(error))
    assert caught.value is error
    assert _names(tmp_path) == ["a"]
    assert path.read_bytes() == b"old"


def test_existing_file_stays_without_overwrite(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="the file exists; give --overwrite"):
        _write(path, then=lambda _: pytest.fail("the block must not run"))
    assert path.read_bytes() == b"old"


def test_overwrite_replaces(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(b"new")
    assert path.read_bytes() == b"new"


def test_file_that_another_run_finished_meanwhile_stays(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(OutputError, match="the file exists"):
        _write(path, then=lambda _: path.write_bytes(b"theirs"))
    assert path.read_bytes() == b"theirs"
    assert _names(tmp_path) == ["a"]


def test_file_system_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_arguments, **_keywords):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with atomic_path(tmp_path / "a") as partial:
        partial.write_bytes(b"x")
    assert _names(tmp_path) == ["a"]
    with pytest.raises(OutputError, match="the file exists"):
        _write(tmp_path / "b", then=lambda _: (tmp_path / "b").write_bytes(b"theirs"))
    assert (tmp_path / "b").read_bytes() == b"theirs"


def test_folder_in_the_place_of_the_file(tmp_path):
    with pytest.raises(OutputError, match="a folder; expected the name of a file"):
        _write(tmp_path, overwrite=True)


def test_missing_folder(tmp_path):
    with pytest.raises(OutputError, match=r"No such file.*create the folder") as caught:
        _write(tmp_path / "none" / "a")
    assert caught.value.source == str(tmp_path / "none" / "a")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_names_the_output(tmp_path, code):
    path = tmp_path / "a"
    with pytest.raises(OutputError, match="cannot be written") as caught:
        _write(path, then=_raise(OSError(code, os.strerror(code))))
    assert caught.value.source == str(path)
    assert caught.value.action
    assert _names(tmp_path) == []


def test_full_device_is_met_by_a_real_write(tmp_path):
    with pytest.raises(OutputError, match="No space left"):
        _write(tmp_path / "a", then=lambda _: Path("/dev/full").write_bytes(b"x" * 100000))
    assert _names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_refusal_by_the_system_names_the_output(tmp_path, code):
    def refuse(partial):
        raise OSError(code, os.strerror(code), str(partial))

    path = tmp_path / "a"
    with pytest.raises(OutputError, match="write elsewhere") as caught:
        _write(path, then=refuse)
    assert caught.value.source == str(path)


def test_error_about_an_input_is_not_ours(tmp_path):
    error = PermissionError(errno.EACCES, "Permission denied", "/input.fits")
    with pytest.raises(PermissionError):
        _write(tmp_path / "a", then=_raise(error))
    assert _names(tmp_path) == []


def test_long_names(tmp_path):
    name = "ä" * 127
    with atomic_path(tmp_path / name) as partial:
        partial.write_bytes(b"x")
    assert _names(tmp_path) == [name]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a"
    with atomic_path(path, overwrite=True) as one, atomic_path(path, overwrite=True) as two:
        assert one != two
        one.write_bytes(b"1")
        two.write_bytes(b"2")
    assert path.read_bytes() == b"1"


_KILLED = """
import os, signal, sys
from pathlib import Path
from astro_common.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half of it")
    print("written", flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def _writer(path, how):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_KILLED), str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_writer_leaves_only_a_partial_which_is_removed(tmp_path):
    with _writer(tmp_path / "cube.parquet", "die") as process:
        process.wait(timeout=60)
    assert process.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".partial")
    assert list(tmp_path.glob("*.parquet")) == []
    assert remove_partials(tmp_path, "other.parquet") == []
    assert remove_partials(tmp_path, "cube.parquet") == [left]
    assert list(tmp_path.iterdir()) == []


def test_the_next_run_removes_what_a_killed_one_left(tmp_path):
    for name in ("cube.parquet", "other.parquet"):
        with _writer(tmp_path / name, "die") as process:
            process.wait(timeout=60)
    with _writer(tmp_path / "cube.parquet", "wait") as running:
        assert running.stdout.readline() == "written\n"
        _write(tmp_path / "cube.parquet")
        names = _names(tmp_path)
        assert [name[:11] for name in names] == [".cube.parqu", ".other.parq", "cube.parque"]
        running.stdin.close()
        running.wait(timeout=60)


def test_a_partial_taken_for_a_leftover_is_made_again(tmp_path, monkeypatch):
    opened = os.open
    taken = []

    def open_and_lose(name, *arguments):
        descriptor = opened(name, *arguments)
        if not taken:
            taken.append(name)
            Path(name).unlink()
        return descriptor

    monkeypatch.setattr("astro_common.atomic.os.open", open_and_lose)
    with atomic_path(tmp_path / "a") as partial:
        assert taken
        assert partial != taken[0]
        partial.write_bytes(b"x")
    monkeypatch.undo()
    assert _names(tmp_path) == ["a"]


def test_a_leftover_is_removed_under_its_lock(tmp_path, monkeypatch):
    """Else another run could begin to write it after the look and before the removal."""
    leftover = tmp_path / ".a.01234567.partial"
    leftover.touch()
    unlink = Path.unlink
    refused = []

    def unlink_when_locked(path, **options):
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refused.append(path)
        finally:
            os.close(descriptor)
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", unlink_when_locked)
    assert remove_partials(tmp_path) == [leftover]
    assert refused == [leftover]


def test_a_partial_that_is_being_removed_is_made_again(tmp_path, monkeypatch):
    """Another run holds its lock, and is about to remove it."""
    opened = os.open
    others = []

    def open_and_lock(name, *arguments):
        descriptor = opened(name, *arguments)
        if not others:
            others.append(opened(name, os.O_RDONLY))
            fcntl.flock(others[0], fcntl.LOCK_EX)
        return descriptor

    monkeypatch.setattr("astro_common.atomic.os.open", open_and_lock)
    with atomic_path(tmp_path / "a") as partial:
        os.close(others[0])
        assert remove_partials(tmp_path) == []
        partial.write_bytes(b"x")
    assert _names(tmp_path) == ["a"]


def test_partial_of_a_running_writer_is_not_removed(tmp_path):
    with _writer(tmp_path / "cube.parquet", "wait") as process:
        assert process.stdout.readline() == "written\n"
        assert remove_partials(tmp_path) == []
        process.stdin.close()
        process.wait(timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "cube.parquet").read_bytes() == b"half of it"


def test_other_hidden_files_are_not_removed(tmp_path):
    for name in (".hidden", ".a.partial", "a.01234567.partial", ".a.0123456z.partial"):
        (tmp_path / name).write_bytes(b"")
    leftover = tmp_path / ".a.01234567.partial"
    leftover.write_bytes(b"")
    assert remove_partials(tmp_path) == [leftover]
    assert len(list(tmp_path.iterdir())) == 4


def test_folder_that_is_not_there_holds_no_leftovers(tmp_path):
    assert remove_partials(tmp_path / "none") == []
