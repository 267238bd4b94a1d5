from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astro_common.errors import InputError
from astro_common.fits import open_fits, read_header
from astro_common.fits.headers import BLOCK_BYTES, MAX_HEADER_BYTES, MAX_PADDING_BYTES

WriteRaw = Callable[..., Path]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """One HDU of each kind."""
    path = tmp_path / "mixed.fits"
    image = np.arange(12, dtype=np.int16).reshape(3, 4)
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1, 2])], name="Stars")
    text = fits.TableHDU.from_columns([fits.Column("a", "I5", ascii=True, array=[1, 2])])
    compressed = fits.CompImageHDU(image, name="SKY", compression_type="RICE_1")
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(image, name="sci"), table, text, compressed]
    fits.HDUList(hdus).writeto(path)
    return path


def test_hdus_are_named_and_classified(mixed: Path) -> None:
    with open_fits(mixed) as file:
        found = [(info.index, info.name, info.kind) for info in file.hdus]
    assert found == [
        (0, "PRIMARY", "empty"),
        (1, "SCI", "image"),
        (2, "STARS", "table"),
        (3, "", "ascii_table"),
        (4, "SKY", "compressed_image"),
    ]


def test_hdus_are_found_by_number_and_by_name_of_any_case(mixed: Path) -> None:
    with open_fits(mixed) as file:
        assert file.has("stars")
        assert file.has(4)
        assert not file.has("planets")
        assert not file.has(5)
        assert not file.has(-1)
        assert file.table("sTaRs").num_rows == 2
        assert file.header("sky")["NAXIS1"] == 4
        with pytest.raises(InputError, match=r"no HDU 'planets'; expected one of 0 PRIMARY, 1 SCI"):
            file.header("planets")
        with pytest.raises(InputError, match="HDU 1: of kind image; expected a table"):
            file.table(1)
        with pytest.raises(InputError, match="HDU 2: of kind table; expected an image"):
            file.image(2)


def test_defaults_are_the_first_table_and_the_first_image(mixed: Path) -> None:
    with open_fits(mixed) as file:
        assert file.table().column_names == ["a"]
        assert file.image().shape == (3, 4)


def test_the_first_two_dimensional_image_is_preferred(tmp_path: Path) -> None:
    path = tmp_path / "many.fits"
    shapes = [(5,), (2, 3, 4), (3, 7)]
    images = [fits.ImageHDU(np.zeros(shape, np.float32)) for shape in shapes]
    fits.HDUList([fits.PrimaryHDU(), *images[:2]]).writeto(path)
    with open_fits(path) as file:
        assert file.image().shape == (5,)
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path, overwrite=True)
    with open_fits(path) as file:
        assert file.image().shape == (3, 7)


def test_a_file_without_what_is_asked_for_says_so(write_raw: WriteRaw, primary: Any) -> None:
    with open_fits(write_raw((primary, b""))) as file:
        with pytest.raises(InputError, match="no table in its 1 HDUs"):
            file.table()
        with pytest.raises(InputError, match="no image in its 1 HDUs"):
            file.image()


def test_headers_keep_values_comments_and_long_strings(tmp_path: Path) -> None:
    header = fits.Header()
    header["OBJECT"] = ("M 31", "target")
    header["LONGTEXT"] = "x" * 200
    header["HIERARCH ESO DET ID"] = 7
    header["COMMENT"] = "seen through cloud"
    path = tmp_path / "header.fits"
    fits.PrimaryHDU(header=header).writeto(path)
    read = read_header(path)
    assert read["OBJECT"] == "M 31"
    assert read.comments["OBJECT"] == "target"
    assert read["LONGTEXT"] == "x" * 200
    assert read["ESO DET ID"] == 7
    assert list(read["COMMENT"]) == ["seen through cloud"]


def test_a_name_that_goes_on_in_the_next_card(tmp_path: Path) -> None:
    name = "NAME " * 20 + "END"
    path = tmp_path / "long.fits"
    hdu = fits.ImageHDU(np.zeros((2, 3), np.int16), name=name)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    with open_fits(path) as file:
        assert file.hdus[1].name == name
        assert file.image(name).shape == (2, 3)


def test_an_odd_card_becomes_a_comment(write_raw: WriteRaw, primary: Any) -> None:
    path = write_raw((primary | {"WRONG": b"= 1.2.3.4", "AFTER": 5, "BAD\xff": 6}, b""))
    header = read_header(path)
    assert header["AFTER"] == 5
    assert "WRONG" not in header
    assert "1.2.3.4" in str(header["COMMENT"])
    for card in header.cards:
        assert isinstance(card.comment, str)


IMAGE = {"SIMPLE": True, "BITPIX": 16, "NAXIS": 2, "NAXIS1": 3, "NAXIS2": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SIMPLE": False}, "SIMPLE = False; expected T"),
        ({"BITPIX": 12}, "BITPIX = 12; expected one of"),
        ({"BITPIX": "sixteen"}, "BITPIX = 'sixteen'; expected an integer"),
        ({"BITPIX": 16.0}, "BITPIX = 16.0; expected an integer"),
        ({"BITPIX": True}, "BITPIX = True; expected an integer"),
        ({"NAXIS": -1}, "NAXIS = -1; expected at least 0"),
        ({"NAXIS": 1000}, "NAXIS = 1000; expected at most 999"),
        ({"NAXIS": 3}, "no keyword NAXIS3"),
        ({"NAXIS1": -3}, "NAXIS1 = -3; expected at least 0"),
        ({"NAXIS1": 1 << 60}, f"NAXIS1 = {1 << 60}, NAXIS2 = 2 claim {1 << 62}"),
        ({"NAXIS1": 1 << 40, "NAXIS2": 1 << 40}, f"claim {1 << 81}"),
        ({"NAXIS1": 10**60}, f"claim {4 * 10**60}"),
        ({"NAXIS1": 1441}, "at most 2880 bytes of data where .* claim 5764"),
    ],
)
def test_sizes_are_checked_before_any_data(
    write_raw: WriteRaw, change: dict[str, Any], message: str
) -> None:
    path = write_raw((IMAGE | change, bytes(12)))
    with pytest.raises(InputError, match=f"raw.fits: HDU 0: .*{message}"):
        open_fits(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"PCOUNT": -1}, "HDU 1: PCOUNT = -1; expected at least 0"),
        ({"GCOUNT": 0}, "HDU 1: GCOUNT = 0; expected at least 1"),
        ({"GCOUNT": 1 << 60}, f"HDU 1: .*GCOUNT = {1 << 60} claim"),
        ({"PCOUNT": 1 << 60}, f"HDU 1: .*PCOUNT = {1 << 60} claim {(1 << 60) + 8}"),
    ],
)
def test_counts_of_extensions_are_checked(
    write_raw: WriteRaw, primary: Any, change: dict[str, Any], message: str
) -> None:
    keywords = {"XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 4, "NAXIS2": 2}
    path = write_raw((primary, b""), (keywords | {"PCOUNT": 0, "GCOUNT": 1} | change, bytes(8)))
    with pytest.raises(InputError, match=message):
        open_fits(path)


@pytest.mark.parametrize("size", [1, 79, 2879, 2880, 2881, 5759, 5760, 5761, 5770])
def test_a_file_cut_short_is_refused(write_raw: WriteRaw, primary: Any, size: int) -> None:
    table = {"XTENSION": "IMAGE", "BITPIX": 8, "NAXIS": 1, "NAXIS1": 100, "PCOUNT": 0, "GCOUNT": 1}
    path = write_raw((primary, b""), (table, bytes(range(1, 101))))
    content = path.read_bytes()
    path.write_bytes(content[:size])
    if size == 2880:  # a whole file with one HDU
        with open_fits(path) as file:
            assert len(file.hdus) == 1
    else:
        with pytest.raises(InputError):
            open_fits(path)


def test_missing_padding_at_the_end_is_accepted(write_raw: WriteRaw) -> None:
    path = write_raw((IMAGE, bytes(range(12))))
    path.write_bytes(path.read_bytes()[: BLOCK_BYTES + 12])
    with open_fits(path) as file:
        assert file.image().read().tolist() == [[1, 515, 1029], [1543, 2057, 2571]]


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (bytes(MAX_PADDING_BYTES), None),
        (b" " * 28800, None),
        (bytes(MAX_PADDING_BYTES + 1), "follow the last HDU, which ends at byte 2880"),
        (b"junk", "bytes that are not a FITS extension follow the last HDU"),
        (b"XTENSIO\0", "bytes that are not a FITS extension follow"),
        (b"XTENSION= 'IMAGE   '", "HDU 1: the file ends at byte 2900, inside the header"),
    ],
)
def test_what_follows_the_last_hdu(
    write_raw: WriteRaw, primary: Any, tail: bytes, message: str | None
) -> None:
    path = write_raw((primary, b""))
    path.write_bytes(path.read_bytes() + tail)
    if message is None:
        with open_fits(path) as file:
            assert len(file.hdus) == 1
    else:
        with pytest.raises(InputError, match=message):
            open_fits(path)


def test_a_header_without_end_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "endless.fits"
    start = b"SIMPLE  =                    T".ljust(80)
    path.write_bytes(start + b"COMMENT x".ljust(80) * ((MAX_HEADER_BYTES + BLOCK_BYTES) // 80))
    with pytest.raises(InputError, match=f"HDU 0: headers of more than {MAX_HEADER_BYTES} bytes"):
        open_fits(path)


def test_files_that_are_not_fits_are_named(tmp_path: Path) -> None:
    for name, content, message in [
        ("empty.fits", b"", "an empty file; expected a FITS file"),
        ("page.fits", b"<!DOCTYPE html>" * 500, r"starts with b'<!DOCTYPE '; expected a FITS file"),
        ("short.fits", b"SIMP", "starts with b'SIMP'"),
        ("a.fits.bz2", b"BZh91AY&SY" * 400, "a file compressed with bzip2"),
        ("a.fits.xz", b"\xfd7zXZ\x00" * 800, "a file compressed with xz"),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=message) as caught:
            open_fits(path)
        assert caught.value.path == path


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent.fits: no such file"):
        open_fits(tmp_path / "absent.fits")
    with pytest.raises(InputError, match="not a regular file"):
        open_fits(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: not a regular file"):
        open_fits(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot be read"):
        open_fits("with\0zero.fits")


def test_random_groups_and_unknown_extensions_are_skipped(
    write_raw: WriteRaw, primary: Any
) -> None:
    groups = {
        "SIMPLE": True, "BITPIX": 16, "NAXIS": 3, "NAXIS1": 0, "NAXIS2": 2, "NAXIS3": 3,
        "GROUPS": True, "PCOUNT": 1, "GCOUNT": 2,
    }  # fmt: skip
    dump = {"XTENSION": "DUMP", "BITPIX": 8, "NAXIS": 1, "NAXIS1": 5, "PCOUNT": 0, "GCOUNT": 1}
    image = {"XTENSION": "IMAGE", "BITPIX": 8, "NAXIS": 1, "NAXIS1": 4, "PCOUNT": 0, "GCOUNT": 1}
    path = write_raw((groups, bytes(28)), (dump, b"abcde"), (image, b"\1\2\3\4"))
    with open_fits(path) as file:
        assert [info.kind for info in file.hdus] == ["other", "other", "image"]
        assert file.image().read().tolist() == [1, 2, 3, 4]


def test_nothing_stays_open_after_an_error(write_raw: WriteRaw) -> None:
    # A file left open is a ResourceWarning, which fails the run.
    path = write_raw((IMAGE | {"NAXIS1": 9999}, bytes(12)))
    before = set(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        with pytest.raises(InputError):
            open_fits(path)
    assert len(set(Path("/proc/self/fd").iterdir())) == len(before)
