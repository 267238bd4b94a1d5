from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

RawHdu = tuple[Mapping[str, Any], bytes]


def card(keyword: str, value: Any) -> bytes:
    if isinstance(value, bytes):  # the rest of the card as it stands
        return (keyword.ljust(8).encode() + value).ljust(80)
    if isinstance(value, bool):
        text = ("T" if value else "F").rjust(20)
    elif isinstance(value, str):
        text = f"'{value:8}'"
    else:
        text = str(value).rjust(20)
    return f"{keyword:8}= {text}".ljust(80).encode("latin-1")


def raw_hdu(keywords: Mapping[str, Any], data: bytes = b"") -> bytes:
    header = b"".join(card(keyword, value) for keyword, value in keywords.items())
    header += b"END".ljust(80)
    header = header.ljust(-(-len(header) // 2880) * 2880)
    return header + data.ljust(-(-len(data) // 2880) * 2880, b"\0")


PRIMARY = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "EXTEND": True}


def table_keywords(
    row_bytes: int, n_rows: int, forms: list[str], heap_bytes: int = 0, **more: Any
) -> dict[str, Any]:
    keywords: dict[str, Any] = {
        "XTENSION": "BINTABLE",
        "BITPIX": 8,
        "NAXIS": 2,
        "NAXIS1": row_bytes,
        "NAXIS2": n_rows,
        "PCOUNT": heap_bytes,
        "GCOUNT": 1,
        "TFIELDS": len(forms),
    }
    for number, form in enumerate(forms, 1):
        keywords[f"TTYPE{number}"] = f"c{number}"
        keywords[f"TFORM{number}"] = form
    keywords.update(more)
    return keywords


WriteRaw = Callable[..., Path]
WriteTable = Callable[..., Path]


@pytest.fixture
def write_raw(tmp_path: Path) -> WriteRaw:
    """Write HDUs of any keywords and bytes, valid or not: (keywords, data) pairs."""

    def write(*hdus: RawHdu, name: str = "raw.fits") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(raw_hdu(*hdu) for hdu in hdus))
        return path

    return write


@pytest.fixture
def write_raw_table(write_raw: WriteRaw) -> WriteTable:
    """Write one binary table behind an empty primary HDU."""

    def write(
        row_bytes: int, n_rows: int, forms: list[str], data: bytes, heap: bytes = b"", **more: Any
    ) -> Path:
        keywords = table_keywords(row_bytes, n_rows, forms, len(heap), **more)
        return write_raw((PRIMARY, b""), (keywords, data + heap))

    return write


@pytest.fixture
def primary() -> dict[str, Any]:
    return dict(PRIMARY)
