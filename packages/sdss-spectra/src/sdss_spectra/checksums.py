"""SHA-1 sums that the SDSS archive keeps beside its files.

A folder of the Science Archive Server has a file ``*.sha1sum`` with a line for each of its files,
as ``sha1sum`` writes them. Its name differs from release to release, and is taken from the listing
of the folder.
"""

from __future__ import annotations

import http.client
import logging
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from typing import Final

from astro_common.errors import InputError

__all__ = ["ArchiveSums", "read_sums"]

logger = logging.getLogger(__name__)

_LINE: Final = re.compile(r"^([0-9a-fA-F]{40})\s+\*?(.+?)\s*$")
_MAX_BYTES: Final = 16 << 20
_TIMEOUT_S: Final = 30.0
_NOT_THERE: Final = (401, 403, 404, 410)


def read_sums(text: str) -> dict[str, str]:
    """Sums by file name, of the lines of a ``sha1sum`` file; other lines do not count."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            found[match[2].replace("\\", "/").rsplit("/", 1)[-1]] = match[1].lower()
    return found


class ArchiveSums:
    """The sums of the folders of an archive, each read once.

    Parameters
    ----------
    retries : int
        How often a request that gets no answer is made again.
    """

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._folders: dict[str, dict[str, str] | InputError] = {}

    def of(self, url: str) -> str | None:
        """SHA-1 of a file of the archive; None where the archive has none.

        Raises
        ------
        InputError
            The archive does not answer.
        """
        folder, name = url.rsplit("/", 1)
        if folder not in self._folders:
            try:
                self._folders[folder] = self._read(f"{folder}/")
            except InputError as error:
                # A folder that did not answer is not asked again for each of its files.
                self._folders[folder] = error
        found = self._folders[folder]
        if isinstance(found, InputError):
            raise found
        return found.get(name)

    def _read(self, folder: str) -> dict[str, str]:
        listing = self._text(folder)
        names = [] if listing is None else _links(listing, folder)
        found: dict[str, str] = {}
        for name in names:
            text = self._text(folder + name)
            found.update(read_sums(text or ""))
        if not found:
            logger.warning(
                "%s: no sha1sum file: spectra are checked by length and content alone", folder
            )
        return found

    def _text(self, url: str) -> str | None:
        """What an address gives; None where there is nothing."""
        request = urllib.request.Request(url, headers={"User-Agent": "sdss-spectra"})  # noqa: S310
        for attempt in range(self._retries + 1):
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                    data = answer.read(_MAX_BYTES + 1)
                break
            # A ValueError is a host name that cannot be encoded.
            except (OSError, ValueError, http.client.HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code in _NOT_THERE:
                    return None
                if attempt == self._retries:
                    raise InputError(
                        url, f"no answer ({error})", "the archive", "try again"
                    ) from error
                time.sleep(min(2.0**attempt * 0.2, 10.0))
        if len(data) > _MAX_BYTES:
            raise InputError(url, "more than 16 MiB", "a listing, or sums, of one folder")
        return str(data, "utf-8", "replace")


class _Listing(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for key, value in attrs if key == "href" and value]


def _links(listing: str, folder: str) -> list[str]:
    """Names of sha1sum files in a listing, of this very folder alone."""
    parser = _Listing()
    parser.feed(listing)
    names = []
    for link in parser.links:
        address = urllib.parse.urljoin(folder, link)
        name = address.removeprefix(folder)
        if address.startswith(folder) and re.fullmatch(r"[\w.+-]+\.sha1sum", name):
            names.append(name)
    return sorted(set(names))
