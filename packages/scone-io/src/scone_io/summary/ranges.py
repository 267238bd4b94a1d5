"""Stretches of a shard that processes can work on side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scone_io.tfrecord.checksums import masked_checksum
from scone_io.tfrecord.content import open_content
from scone_io.tfrecord.frames import FOOTER_BYTES, HEADER_BYTES, MAX_RECORD_BYTES

__all__ = ["Range", "ranges_of"]

_RECORDS = 1024


@dataclass(frozen=True)
class Range:
    """A stretch of a file, from the beginning of a record to that of another.

    Attributes
    ----------
    start : int
    stop : int or None
        None for the end of the file.
    """

    start: int
    stop: int | None


def ranges_of(path: Path) -> list[Range]:
    """Cut a shard into stretches of about a thousand records.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Range
        A compressed file is one stretch; of a damaged one, all from the first damaged length on is
        one, since nobody knows where its records begin.
    """
    with open_content(path) as content:
        if content.compression != "none":
            return [Range(0, None)]
        starts = [0]
        place = count = 0
        while len(header := content.block(place, HEADER_BYTES)) == HEADER_BYTES:
            length = int.from_bytes(header[:8].tobytes(), "little")
            stored = int.from_bytes(header[8:].tobytes(), "little")
            if length > MAX_RECORD_BYTES or masked_checksum(header[:8]) != stored:
                break
            if count and count % _RECORDS == 0:
                starts.append(place)
            place += HEADER_BYTES + length + FOOTER_BYTES
            count += 1
    return [Range(*ends) for ends in zip(starts, [*starts[1:], None], strict=True)]
