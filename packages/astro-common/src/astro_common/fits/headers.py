"""The structure of a FITS file: its HDUs, their headers, and where their data lie.

The scan reads only the headers. Every size that a header claims is checked against the size of the
file before anything relies on it. Keywords and block sizes follow the FITS Standard 4.0
(https://fits.gsfc.nasa.gov/fits_standard.html), sections 3, 4 and 7.
"""

from __future__ import annotations

import math
import re
import sys
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from astropy.io.fits import Card, Header
from astropy.io.fits.verify import VerifyError

from astro_common.errors import InputError
from astro_common.fits.content import Content

__all__ = [
    "BLOCK_BYTES",
    "MAX_HEADER_BYTES",
    "HduInfo",
    "hdu_error",
    "header_integer",
    "header_number",
    "header_text",
    "scan",
]

BLOCK_BYTES = 2880
CARD_BYTES = 80

# All headers of one file together. A table of 999 columns with eight keywords each, or a mosaic of
# 190 detectors with 600 cards each, stays below 10 MB; parsed, a card takes about ten times its
# 80 bytes of memory.
MAX_HEADER_BYTES = 32 << 20

# Zeros or blanks after the last HDU come from tape blocks and preallocating writers.
MAX_PADDING_BYTES = 1 << 20

HduKind = Literal[
    "image", "table", "compressed_image", "compressed_table", "ascii_table", "empty", "other"
]

_BITPIX = (8, 16, 32, 64, -32, -64)
_END_CARD = re.compile(rb"END[ \x00]*\Z")
_PRINTABLE = bytes(byte if 32 <= byte <= 126 else ord("?") for byte in range(256))
_STRUCTURAL = re.compile(
    rb"(SIMPLE|XTENSION|BITPIX|NAXIS\d{0,3}|PCOUNT|GCOUNT|GROUPS|EXTNAME|ZIMAGE|ZTABLE) *="
)
_MISSING = object()


@dataclass(frozen=True)
class HduInfo:
    """One header-and-data unit.

    Attributes
    ----------
    index : int
        Its place in the file, 0 for the primary HDU.
    name : str
        EXTNAME; ``PRIMARY`` for a primary HDU without one, else empty.
    kind : str
        ``image``, ``table``, ``compressed_image``, ``compressed_table``, ``ascii_table``,
        ``empty`` (an image without pixels) or ``other``.
    cards : bytes
        The header as it stands in the file, without END.
    data_offset, data_bytes : int
        Offset of the data in the file, and their size without padding.
    """

    index: int
    name: str
    kind: HduKind
    cards: bytes
    data_offset: int
    data_bytes: int

    @cached_property
    def header(self) -> Header:
        """The header as it stands in the file, parsed on first use (astropy.io.fits.Header).

        A card that cannot be parsed is kept as a COMMENT.
        """
        return _parse_header(self.cards)


def hdu_error(
    path: Path, index: int, found: str, expected: str = "", action: str = ""
) -> InputError:
    """Build the error that says what is wrong in one HDU of a file."""
    return InputError(path, f"HDU {index}: {found}", expected, action)


def header_integer(
    path: Path,
    index: int,
    header: Header,
    keyword: str,
    *,
    minimum: int = 0,
    default: int | None = None,
) -> int:
    """Return an integer keyword as a Python int, which cannot overflow.

    Raises
    ------
    InputError
        The keyword is absent and has no default, is not an integer, or is below the minimum.
    """
    value = header.get(keyword, _MISSING)
    if value is _MISSING and default is not None:
        return default
    if value is _MISSING:
        raise hdu_error(path, index, f"no keyword {keyword}", "an integer")
    if isinstance(value, bool) or not isinstance(value, int):
        raise hdu_error(path, index, f"{keyword} = {value!r}", "an integer")
    if value < minimum:
        raise hdu_error(path, index, f"{keyword} = {value}", f"at least {minimum}")
    return value


def header_number(path: Path, index: int, header: Header, keyword: str) -> int | float | None:
    """Return a finite number, or None if the keyword is absent or has no value.

    Raises
    ------
    InputError
        The value is not a finite number.
    """
    value = header.get(keyword)
    if value is None or type(value).__name__ == "Undefined":
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not abs(value) <= sys.float_info.max:
        raise hdu_error(path, index, f"{keyword} = {value!r}", "a number")
    return value  # type: ignore[no-any-return]


def header_text(header: Header, keyword: str) -> str:
    """Return a string keyword without surrounding blanks; empty if it is absent or not a string."""
    value = header.get(keyword)
    return value.strip() if isinstance(value, str) else ""


def scan(content: Content) -> tuple[HduInfo, ...]:
    """Read all headers and check that the file holds the data they describe.

    Parameters
    ----------
    content : Content
        The open file.

    Returns
    -------
    tuple of HduInfo

    Raises
    ------
    InputError
        Not a FITS file, a header without END, a keyword that is missing or wrong, data larger
        than the file, or bytes after the last HDU that are not padding.
    """
    path = content.path
    hdus: list[HduInfo] = []
    offset = header_bytes = 0
    while True:
        available = content.reserve(offset + BLOCK_BYTES)
        if hdus and not _starts_extension(content, offset, available):
            _check_padding(content, offset)
            return tuple(hdus)
        cards, size = _read_header(content, len(hdus), offset, MAX_HEADER_BYTES - header_bytes)
        header_bytes += size
        info = _describe(path, len(hdus), cards, offset + size)
        hdus.append(info)
        _check_data(content, info)
        offset = info.data_offset + info.data_bytes + -info.data_bytes % BLOCK_BYTES


def _starts_extension(content: Content, offset: int, available: int) -> bool:
    return available >= offset + 8 and content.read_at(offset, 8) == b"XTENSION"


def _check_padding(content: Content, offset: int) -> None:
    size = content.reserve(offset + MAX_PADDING_BYTES + 1)
    if size > offset + MAX_PADDING_BYTES:
        raise InputError(
            content.path,
            f"more than {MAX_PADDING_BYTES} bytes follow the last HDU, which ends at byte {offset}",
            "the end of the file",
        )
    if size > offset and content.read_at(offset, size - offset).strip(b"\x00 "):
        raise InputError(
            content.path,
            f"bytes that are not a FITS extension follow the last HDU, which ends at byte {offset}",
            "the end of the file, or the keyword XTENSION",
            "the file is damaged or its sizes are wrong",
        )


def _read_header(content: Content, index: int, offset: int, limit: int) -> tuple[bytes, int]:
    path = content.path
    raw = bytearray()
    while True:
        start = offset + len(raw)
        size = content.reserve(start + BLOCK_BYTES)
        if index == 0 and not raw:
            head = bytes(content.read_at(0, min(size, 10)))
            if head[:6] != b"SIMPLE":
                raise InputError(path, f"starts with {head!r}", "a FITS file (SIMPLE = T)")
        if size < start + BLOCK_BYTES:
            raise hdu_error(
                path,
                index,
                f"the file ends at byte {size}, inside the header",
                "an END card",
                "the file is cut short; fetch it again",
            )
        if len(raw) + BLOCK_BYTES > limit:
            raise hdu_error(
                path, index, f"headers of more than {MAX_HEADER_BYTES} bytes", "an END card"
            )
        block = content.read_at(start, BLOCK_BYTES)
        raw += block
        for card in range(0, BLOCK_BYTES, CARD_BYTES):
            if _END_CARD.match(block, card, card + CARD_BYTES):
                return bytes(raw[: len(raw) - BLOCK_BYTES + card]), len(raw)


def _parse_header(raw: bytes) -> Header:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the cards that are replaced below
        header = Header.fromstring(raw.translate(_PRINTABLE).decode("ascii"))
        if all(map(_is_readable, header.cards)):
            return header
        return Header(card if _is_readable(card) else _as_comment(card) for card in header.cards)


def _is_readable(card: Card) -> bool:
    try:
        _ = card.keyword, card.value, card.comment
    except (VerifyError, ValueError, TypeError, IndexError, KeyError):
        return False
    return True


def _as_comment(card: Card) -> Card:
    # One malformed card does not make a file unreadable. If a required keyword was on it, that
    # keyword is reported as missing.
    return Card("COMMENT", card.image.strip()[:70])


def _describe(path: Path, index: int, cards: bytes, data_offset: int) -> HduInfo:
    header = _structure(cards)
    if index == 0 and header.get("SIMPLE") is not True:
        raise hdu_error(path, index, f"SIMPLE = {header.get('SIMPLE')!r}", "T")
    bitpix = header_integer(path, index, header, "BITPIX", minimum=-64)
    if bitpix not in _BITPIX:
        raise hdu_error(path, index, f"BITPIX = {bitpix}", f"one of {_BITPIX}")
    n_axes = header_integer(path, index, header, "NAXIS")
    if n_axes > 999:
        raise hdu_error(path, index, f"NAXIS = {n_axes}", "at most 999")
    axes = [header_integer(path, index, header, f"NAXIS{i}") for i in range(1, n_axes + 1)]
    groups = index == 0 and axes[:1] == [0] and header.get("GROUPS") is True
    n_values = math.prod(axes[1:] if groups else axes) if axes else 0
    extension = index > 0 or groups
    pcount = header_integer(path, index, header, "PCOUNT", default=0) if extension else 0
    gcount = header_integer(path, index, header, "GCOUNT", default=1, minimum=1) if extension else 1
    data_bytes = abs(bitpix) // 8 * gcount * (pcount + n_values)
    name = header_text(header, "EXTNAME") or ("PRIMARY" if index == 0 else "")
    kind: HduKind = "other" if groups else _kind(index, header, n_values)
    return HduInfo(index, name, kind, cards, data_offset, data_bytes)


def _kind(index: int, header: Header, n_values: int) -> HduKind:
    extension = "IMAGE" if index == 0 else header_text(header, "XTENSION")
    if extension in ("BINTABLE", "A3DTABLE"):
        if header.get("ZIMAGE") is True:
            return "compressed_image"
        return "compressed_table" if header.get("ZTABLE") is True else "table"
    if extension == "TABLE":
        return "ascii_table"
    if extension in ("IMAGE", "IUEIMAGE"):
        return "image" if n_values else "empty"
    return "other"


def _structure(cards: bytes) -> Header:
    # Parsing a card takes some 20 microseconds, and the scan needs only a few of hundreds.
    chosen: list[bytes] = []
    wanted = False
    for start in range(0, len(cards), CARD_BYTES):
        line = cards[start : start + CARD_BYTES]
        # A long EXTNAME is continued on the cards after it.
        wanted = bool(_STRUCTURAL.match(line)) or (wanted and line.startswith(b"CONTINUE"))
        if wanted:
            chosen.append(line)
    return _parse_header(b"".join(chosen))


def _check_data(content: Content, info: HduInfo) -> None:
    end = info.data_offset + info.data_bytes
    size = content.upper_bound
    if end <= size:
        size = content.reserve(end)
    if end > size:
        raise hdu_error(
            content.path,
            info.index,
            f"at most {max(0, size - info.data_offset)} bytes of data where "
            f"{_size_keywords(_structure(info.cards))} claim {info.data_bytes}",
            "all of them",
            "the file is cut short or its header is wrong",
        )


def _size_keywords(header: Header) -> str:
    names = ["BITPIX", *(f"NAXIS{i}" for i in range(1, min(int(header["NAXIS"]), 5) + 1))]
    names += [name for name in ("PCOUNT", "GCOUNT") if header.get(name, 0) not in (0, 1)]
    return ", ".join(f"{name} = {header[name]}" for name in names)
