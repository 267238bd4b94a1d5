from __future__ import annotations

import errno
import gzip
import io
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_common.errors import InputError, OutputError
from astro_common.fits import open_fits, read_image
from astro_common.fits.content import DEFLATE_RATIO, open_content

IMAGE = np.random.default_rng(1).normal(size=(300, 200)).astype(np.float32)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(IMAGE).writeto(path)
    return path


def test_gzip_is_known_by_its_content(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "no_suffix"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(read_image(path), IMAGE)


def test_a_plain_file_may_have_the_suffix_of_gzip(plain: Path) -> None:
    path = plain.rename(plain.with_suffix(".fits.gz"))
    np.testing.assert_array_equal(read_image(path), IMAGE)


def test_members_one_after_the_other_and_zeros_behind(plain: Path, tmp_path: Path) -> None:
    content = plain.read_bytes()
    path = tmp_path / "members.fits.gz"
    parts = [content[:1000], b"", content[1000:100_000], content[100_000:]]
    path.write_bytes(b"".join(map(gzip.compress, parts)) + bytes(5000))
    np.testing.assert_array_equal(read_image(path), IMAGE)


def test_every_cut_of_a_gzip_stream_is_refused(plain: Path, tmp_path: Path) -> None:
    whole = gzip.compress(plain.read_bytes(), 1)
    path = tmp_path / "cut.fits.gz"
    for size in [2, 9, 10, 50, len(whole) // 2, len(whole) - 8, len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"cut.fits.gz: the gzip stream is cut short"):
            open_fits(path)


def test_a_wrong_checksum_is_refused(plain: Path, tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(plain.read_bytes(), 1))
    whole[-6] ^= 1
    path = tmp_path / "crc.fits.gz"
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"the gzip stream is damaged .*incorrect data check"):
        open_fits(path)


def test_bytes_behind_the_stream_are_refused(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "tail.fits.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()) + b"\0\0tail")
    with pytest.raises(InputError, match="bytes that are not gzip follow"):
        open_fits(path)


def header_of(n_bytes: int) -> bytes:
    header = fits.Header()
    header["SIMPLE"] = True
    header["BITPIX"] = 8
    header["NAXIS"] = 1
    header["NAXIS1"] = n_bytes
    return header.tostring().encode()


def test_no_stream_expands_beyond_the_bound(tmp_path: Path) -> None:
    # The bound is a property of deflate; the best case is a long run of one byte.
    compressed = zlib.compress(bytes(50 << 20), 9)
    assert 1000 < (50 << 20) / len(compressed) < DEFLATE_RATIO


def test_a_claim_beyond_what_deflate_can_hold_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "claim.fits.gz"
    path.write_bytes(gzip.compress(header_of(1 << 60) + bytes(1 << 20)))
    with pytest.raises(InputError, match=f"NAXIS1 = {1 << 60} claim {1 << 60}"):
        open_fits(path)


class WatchedFile(io.FileIO):
    """Stands in for the temporary file and notes how far it grew."""

    largest = 0

    def write(self, data: bytes) -> int:
        count = super().write(data)
        self.largest = max(self.largest, self.tell())
        return count


class FullFile(io.FileIO):
    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_bomb_behind_the_last_hdu_stops_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressor = zlib.compressobj(9, wbits=31)
    bomb = [compressor.compress(header_of(1000) + bytes(2880))]
    bomb += [compressor.compress(bytes(1 << 20)) for _ in range(400)]
    path = tmp_path / "bomb.fits.gz"
    path.write_bytes(b"".join(bomb) + compressor.flush())
    watched = WatchedFile(tmp_path / "inflated", "w+")
    monkeypatch.setattr("astro_common.fits.content._temporary_file", lambda path: watched)
    with pytest.raises(InputError, match="follow the last HDU, which ends at byte 5760"):
        open_fits(path)
    # One megabyte of padding is allowed, and one more is decompressed to see that it ends.
    assert watched.largest < 4 << 20


def test_a_bomb_of_no_content_ends_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "members.fits.gz"
    path.write_bytes(gzip.compress(b"") * 1000)
    with pytest.raises(InputError, match="starts with b''"):
        open_fits(path)


def test_a_full_disk_is_an_output_error(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.fits.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    full = FullFile(tmp_path / "inflated", "w+")
    monkeypatch.setattr("astro_common.fits.content._temporary_file", lambda path: full)
    with pytest.raises(
        OutputError, match=r"cannot hold the decompressed .*No space left on device"
    ):
        open_fits(path)
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(OutputError, match="set TMPDIR"):
        open_fits(path)


def test_a_file_that_shrinks_while_it_is_open(plain: Path) -> None:
    with open_fits(plain) as file:
        os.truncate(plain, 5000)
        with pytest.raises(InputError, match="the file ends at byte 5000"):
            file.image().read()


def test_nothing_is_read_once_the_file_is_closed(plain: Path, tmp_path: Path) -> None:
    # The system gives the number of a closed file to the next one that is opened.
    other = tmp_path / "other.fits"
    other.write_bytes(bytes(plain.stat().st_size))
    with open_fits(plain) as file:
        image = file.image()
    with other.open("rb"), pytest.raises(ValueError, match="closed file"):
        image.read()


def test_reading_past_the_end_names_the_file(plain: Path) -> None:
    content = open_content(plain)
    try:
        size = plain.stat().st_size
        assert content.upper_bound == content.reserve(0) == size
        with pytest.raises(InputError, match=r"image.fits: the file ends"):
            content.read_at(size - 1, 2)
    finally:
        content.close()
