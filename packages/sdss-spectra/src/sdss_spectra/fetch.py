"""Spectra from the SDSS archive, by plate, MJD and fibre.

Files are downloaded beside their place, continued where a run was cut off, checked, and renamed.
A file must have the SHA-1 sum that the archive keeps beside it, see `ArchiveSums`, and the sum that
the list gives; it must be as long as the server said, and be the spectrum that was asked for.
"""

from __future__ import annotations

import csv
import hashlib
import http.client
import logging
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from astro_common.atomic import atomic_path
from astro_common.errors import AstroError, ConfigurationError, InputError
from sdss_spectra.checksums import ArchiveSums
from sdss_spectra.readers import read_spectrum

__all__ = ["Request", "check_archive", "fetch_one", "read_requests", "url_of"]

logger = logging.getLogger(__name__)

BASE_URL: Final = "https://data.sdss.org/sas/dr17/eboss/spectro/redux"
LEGACY_URL: Final = "https://data.sdss.org/sas/dr17/sdss/spectro/redux"
_LEGACY_RUNS: Final = ("26", "103", "104")
_MAX_BYTES: Final = 64 << 20
_CHUNK_BYTES: Final = 1 << 16
_TIMEOUT_S: Final = 30.0
_TRIPLE: Final = re.compile(r"^\s*(?:spec-)?(\d{1,6})[-,\s]+(\d{5})[-,\s]+(\d{1,4})(?!\d)")
# It becomes part of an address and must not lead elsewhere.
_RUN2D: Final = re.compile(r"[\w.]*\w[\w.]*")


@dataclass(frozen=True)
class Request:
    """One spectrum to be fetched.

    Attributes
    ----------
    plate, mjd, fiber : int
        Which.
    run2d : str
        Reduction.
    checksum : str or None
        SHA-256 or SHA-1, hexadecimal, that the file must have.
    """

    plate: int
    mjd: int
    fiber: int
    run2d: str
    checksum: str | None = None

    @property
    def name(self) -> str:
        """Name of the file (str)."""
        return f"spec-{self.plate:04d}-{self.mjd:05d}-{self.fiber:04d}.fits"


def check_archive(run2d: str, base_url: str | None) -> None:
    """Make sure that a reduction and an address may be asked for.

    Raises
    ------
    ConfigurationError
        One of them is of another form.
    """
    if not _RUN2D.fullmatch(run2d):
        raise ConfigurationError("--run2d", repr(run2d), "such as v5_13_2 or 26")
    if base_url is None:
        return
    try:
        parts = urllib.parse.urlsplit(base_url)
        # Reading the port checks it.
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_address = is_address and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigurationError("--base-url", repr(base_url), "an address with http or https")


def read_requests(path: Path, run2d: str) -> list[Request]:
    """Read a list: lines ``plate-mjd-fiber``, or CSV with columns plate, mjd, fiber.

    CSV may also have ``run2d`` and ``checksum`` (SHA-256 or SHA-1).

    Raises
    ------
    InputError
        The list cannot be read, is empty, or a line names no spectrum.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a list of spectra") from error
    except UnicodeDecodeError as error:
        raise InputError(path, "not text in UTF-8", "a list of spectra") from error
    kept = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    if not kept:
        raise InputError(path, "an empty list", "lines plate-mjd-fiber")
    header = [name.strip().lower() for name in kept[0][1].split(",")]
    if {"plate", "mjd"} <= set(header) and ({"fiber", "fiberid"} & set(header)):
        return _from_csv(path, header, kept[1:], run2d)
    found = []
    for number, line in kept:
        match = _TRIPLE.match(line)
        if match is None:
            raise InputError(path, f"line {number}: {line.strip()[:60]!r}", "plate-mjd-fiber")
        plate, mjd, fiber = (int(text) for text in match.groups())
        found.append(Request(plate, mjd, fiber, run2d))
    return list(dict.fromkeys(found))


def _from_csv(
    path: Path, header: Sequence[str], lines: Sequence[tuple[int, str]], run2d: str
) -> list[Request]:
    found = []
    for number, line in lines:
        try:
            cells = dict(zip(header, (c.strip() for c in next(csv.reader([line]))), strict=False))
            plate, mjd = int(cells["plate"]), int(cells["mjd"])
            fiber = int(cells.get("fiber") or cells["fiberid"])
        except (KeyError, ValueError, csv.Error) as error:
            raise InputError(path, f"line {number}: {line[:60]!r}", "plate, mjd, fiber") from error
        own_run2d = cells.get("run2d") or run2d
        if not _RUN2D.fullmatch(own_run2d):
            raise InputError(
                path, f"line {number}: run2d {own_run2d!r}", "a reduction such as v5_13_2"
            )
        checksum = (cells.get("checksum") or "").lower() or None
        if checksum is not None and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", checksum):
            raise InputError(path, f"line {number}: checksum {checksum!r}", "SHA-256 or SHA-1")
        found.append(Request(plate, mjd, fiber, own_run2d, checksum))
    return list(dict.fromkeys(found))


def url_of(request: Request, base_url: str | None, *, lite: bool = True) -> str:
    """Address of a spectrum in the archive's layout."""
    base = base_url or (LEGACY_URL if request.run2d in _LEGACY_RUNS else BASE_URL)
    kind = "spectra/lite" if lite else "spectra/full"
    return f"{base.rstrip('/')}/{request.run2d}/{kind}/{request.plate:04d}/{request.name}"


def fetch_one(
    request: Request,
    folder: Path,
    *,
    base_url: str | None,
    lite: bool,
    retries: int,
    sums: ArchiveSums | None = None,
) -> tuple[Path, str]:
    """Fetch one spectrum.

    Parameters
    ----------
    request : Request
        Which.
    folder : Path
        It goes into a folder of its plate below this one.
    base_url : str or None
        Another archive of the same layout.
    lite : bool
        Without the single exposures.
    retries : int
        How often a download that breaks off is continued.
    sums : ArchiveSums, optional
        Sums of the archive; none are asked for without it.

    Returns
    -------
    (Path, str)
        The file, and what it was checked against beside its content: ``list``, ``archive``,
        ``list and archive`` or ``length``.

    Raises
    ------
    InputError
        The archive has no such file, does not answer, or sends another file.
    """
    target = folder / f"{request.plate:04d}" / request.name
    url = url_of(request, base_url, lite=lite)
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise InputError(url, "another kind of address", "http or https")
    stated = {"list": request.checksum, "archive": None if sums is None else sums.of(url)}
    expected = {name: value for name, value in stated.items() if value is not None}
    checked = " and ".join(expected) or "length"
    if target.exists():
        try:
            _verify(target, request, expected)
        except AstroError:
            logger.warning("%s: damaged; it is fetched again", target)
        else:
            return target, checked
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    for attempt in range(retries + 1):
        try:
            _download(url, part)
            break
        except InputError:
            raise
        # A ValueError: a host name that cannot be encoded, or a length that is no number.
        except (OSError, ValueError, http.client.HTTPException) as error:
            if attempt == retries:
                raise InputError(url, f"no answer ({error})", "the archive", "try again") from error
            time.sleep(min(2.0**attempt * 0.2, 10.0))
    try:
        _verify(part, request, expected)
    except AstroError as error:
        # What is whole and wrong would never become right by continuing it.
        part.unlink(missing_ok=True)
        raise InputError(url, error.reason, "the spectrum", "try again") from error
    with atomic_path(target, overwrite=True) as partial:
        part.replace(partial)
    return target, checked


def _download(url: str, part: Path) -> None:
    """Download to `part`, after what it holds already."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "sdss-spectra"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310 - checked above
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            # Nothing is left to send: the part is whole, or of another file.
            return
        if error.code in (404, 403, 410):
            raise InputError(url, f"HTTP {error.code}", "a file of the archive") from error
        raise
    with answer:
        continued = have > 0 and answer.status == 206
        length = answer.headers.get("Content-Length")
        expected = None if length is None else int(length) + (have if continued else 0)
        size = have if continued else 0
        with part.open("ab" if continued else "wb") as file:
            while chunk := answer.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > _MAX_BYTES:
                    raise InputError(url, "more than 64 MiB", "one spectrum")
                file.write(chunk)
    if expected is not None and size != expected:
        raise ConnectionError(f"{size} of {expected} bytes came")


def _verify(path: Path, request: Request, expected: Mapping[str, str]) -> None:
    for source, checksum in expected.items():
        kind = "sha256" if len(checksum) == 64 else "sha1"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        if found != checksum:
            raise InputError(path, f"{kind} {found}", f"{checksum}, as the {source} says")
    cards: Any = read_spectrum(path).cards
    own = cards.integer("PLATE", "PLATEID"), cards.integer("MJD"), cards.integer("FIBERID")
    wanted = request.plate, request.mjd, request.fiber
    if all(value is not None for value in own) and own != wanted:
        raise InputError(path, f"spectrum {own}", f"{wanted}")
