"""Released files by HTTP: resumed where a transfer broke off, and checked before they count."""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final

from astro_common.errors import ConfigurationError, InputError
from manga_ssftt.layout import Tree, check_plateifu

__all__ = ["DEFAULT_BASE", "Fetch", "fetch", "fetches", "read_checksums", "read_list"]

DEFAULT_BASE: Final = "https://data.sdss.org/sas/dr17/manga/spectro/analysis/v3_1_1/3.1.0"

_BLOCK = 1 << 20
_MAX_LIST_BYTES = 64 << 20
_ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256"}
_CHECKSUM_LINE = re.compile(r"(?P<digest>[0-9a-fA-F]{32,64})\s+\*?(?P<name>\S+)")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True)
class Fetch:
    """One file to fetch.

    Attributes
    ----------
    url : str
    path : Path
    digest : str or None
        MD5, SHA-1 or SHA-256 in hexadecimal digits.
    timeout_s : float
        Longest wait for the next bytes.
    """

    url: str
    path: Path
    digest: str | None
    timeout_s: float = 60.0


def read_list(path: Path) -> list[str]:
    """Read plate-ifus, one per line; empty lines and those that begin with # do not count.

    Raises
    ------
    InputError
        If the file cannot be read.
    ConfigurationError
        If a line is no plate-ifu.
    """
    names = [line for line in _lines(path) if line and not line.startswith("#")]
    # A CSV of the verb split serves too.
    return [check_plateifu(name.split(",")[0]) for name in names if name != "plateifu"]


def read_checksums(path: Path) -> dict[str, str]:
    """Read checksums in the format of md5sum, sha1sum and sha256sum, by file name.

    Raises
    ------
    InputError
        If the file cannot be read or a line is no checksum.
    """
    found = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line or line.startswith("#"):
            continue
        match = _CHECKSUM_LINE.fullmatch(line)
        if match is None or len(match["digest"]) not in _ALGORITHMS:
            raise InputError(path, f"line {number} is {line[:60]!r}", "a checksum and a file name")
        found[Path(match["name"]).name] = match["digest"].lower()
    return found


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _MAX_LIST_BYTES:
            raise InputError(path, "more than 64 MiB", "a list")
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", "a list") from error


def fetches(
    tree: Tree, plateifus: list[str], base: str, checksums: Mapping[str, str], *, maps_only: bool
) -> dict[str, Fetch]:
    """What has to be fetched for galaxies: MAPS and, unless not wanted, LOGCUBE.

    Raises
    ------
    ConfigurationError
        If the address is not one of HTTP.
    """
    if not base.startswith(("http://", "https://")):
        raise ConfigurationError(
            "--base-url", base, "an address that begins with http:// or https://"
        )
    result = {}
    for plateifu in plateifus:
        plate, ifu = check_plateifu(plateifu).split("-")
        for kind in ("MAPS",) if maps_only else ("MAPS", "LOGCUBE"):
            name = f"manga-{plateifu}-{kind}-{tree.daptype}.fits.gz"
            url = f"{base.rstrip('/')}/{tree.daptype}/{plate}/{ifu}/{name}"
            path = tree.raw_folder(plateifu) / name
            result[name] = Fetch(url, path, checksums.get(name))
    return result


def fetch(task: Fetch) -> int:
    """Fetch a file, going on from what an earlier transfer has left beside it.

    Parameters
    ----------
    task : Fetch

    Returns
    -------
    int
        Its size, bytes.

    Raises
    ------
    InputError
        If the server does not have it, the transfer breaks off (the next call goes on), or the
        content is damaged or of another checksum (it is removed).
    """
    task.path.parent.mkdir(parents=True, exist_ok=True)
    part = task.path.with_name(f".{task.path.name}.part")
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(task.url)  # noqa: S310 - `fetches` admits http and https alone
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with urllib.request.urlopen(request, timeout=task.timeout_s) as answer:  # noqa: S310
            _receive(task, answer, part, start)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # the part is whole already, or the file has changed
            _check(task, part)
            part.replace(task.path)
            return task.path.stat().st_size
        raise InputError(task.url, f"the server answers {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise InputError(
            task.url, f"the transfer broke off ({error})", action="run again to go on"
        ) from error
    _check(task, part)
    part.replace(task.path)
    return task.path.stat().st_size


def _receive(task: Fetch, answer: HTTPResponse, part: Path, start: int) -> None:
    length = answer.headers.get("Content-Length", "")
    expected = int(length) if length.isdecimal() else None
    mode = "wb"
    if answer.status == 206:
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != start:
            raise InputError(task.url, "the server sends another range than asked for")
        mode, expected = "ab", int(match[3]) - start
    received = 0
    with part.open(mode) as file:
        while block := answer.read(_BLOCK):
            file.write(block)
            received += len(block)
    if expected is not None and received != expected:
        raise InputError(
            task.url,
            f"the transfer broke off after {received} of {expected} bytes",
            action="run again to go on",
        )


def _check(task: Fetch, part: Path) -> None:
    """Raise an `InputError` and remove the file if it is not what it should be."""
    try:
        if task.digest is not None:
            algorithm = _ALGORITHMS[len(task.digest)]
            with part.open("rb") as file:
                found = hashlib.file_digest(file, algorithm).hexdigest()
            if found != task.digest:
                raise InputError(task.url, f"{algorithm} {found}", task.digest, "run again")
        elif task.path.suffix == ".gz":
            _check_gzip(task, part)
    except InputError:
        part.unlink()
        raise


def _check_gzip(task: Fetch, part: Path) -> None:
    """Without a checksum, the one inside a gzip stream tells whether it is whole."""
    stream = zlib.decompressobj(wbits=31)
    try:
        with part.open("rb") as file:
            while block := file.read(_BLOCK):
                while block and not stream.eof:
                    stream.decompress(block, _BLOCK)
                    block = stream.unconsumed_tail
    except zlib.error as error:
        raise InputError(
            task.url, f"a damaged gzip stream ({error})", action="run again"
        ) from error
    if not stream.eof:
        raise InputError(task.url, "a gzip stream that is cut short", action="run again")
