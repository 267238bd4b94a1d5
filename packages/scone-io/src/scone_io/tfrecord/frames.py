"""Records one after the other: length, its checksum, payload, its checksum.

``uint64 length; uint32 masked_crc32c(length); byte payload[length]; uint32
masked_crc32c(payload)``, all little-endian, with nothing before, between or after
(``tensorflow/core/lib/io/record_writer.h``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scone_io.tfrecord.checksums import length_checks, masked_checksum
from scone_io.tfrecord.content import Bytes, Content

__all__ = [
    "FOOTER_BYTES",
    "HEADER_BYTES",
    "MAX_RECORD_BYTES",
    "BadFrame",
    "Frame",
    "FrameReader",
]

HEADER_BYTES = 12
FOOTER_BYTES = 4
# A heatmap takes 92 kB. A record that claims to be longer than this is refused unread.
MAX_RECORD_BYTES = 64 << 20

_SEARCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """A sound record.

    Attributes
    ----------
    offset, end : int
        Where it begins and ends, in bytes of the uncompressed stream.
    payload : ndarray of uint8, shape (length,)
    """

    offset: int
    end: int
    payload: Bytes


@dataclass(frozen=True, slots=True)
class BadFrame:
    """Bytes that hold no sound record.

    Attributes
    ----------
    offset : int
        Where the bad record begins, in bytes of the uncompressed stream.
    end : int
        Where reading goes on.
    reason : str
    """

    offset: int
    end: int
    reason: str


class FrameReader:
    """Reads the records of a content in order.

    Parameters
    ----------
    content : Content
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        # A fault of the compressed stream is reported once, with the record that it hits.
        self._said_fault = False

    def __iter__(self) -> Iterator[Frame | BadFrame]:
        place = 0
        while (found := self.at(place)) is not None:
            yield found
            place = found.end
            self._content.release(place)

    def at(self, offset: int) -> Frame | BadFrame | None:
        """Read the record that begins at an offset.

        Parameters
        ----------
        offset : int
            Where a record should begin.

        Returns
        -------
        Frame, BadFrame or None
            None where the content ends.
        """
        header = self._content.block(offset, HEADER_BYTES)
        fault = self._content.fault()
        if not len(header):
            # A sound last record may be followed by a damaged end of the compressed stream.
            return self._stream_fault(offset, fault)
        if len(header) < HEADER_BYTES:
            return self._torn(offset, len(header), f"a header of {HEADER_BYTES}", fault)
        length = int.from_bytes(header[:8].tobytes(), "little")
        if masked_checksum(header[:8]) != int.from_bytes(header[8:].tobytes(), "little"):
            return self._skipped(offset, offset + 1, "the checksum of the length is wrong")
        if length > MAX_RECORD_BYTES:
            reason = f"a record of {length} bytes, more than the {MAX_RECORD_BYTES} allowed"
            return self._skipped(offset, offset + 1, reason)
        body = self._content.block(offset + HEADER_BYTES, length + FOOTER_BYTES)
        if len(body) < length + FOOTER_BYTES:
            found = HEADER_BYTES + len(body)
            wanted = str(HEADER_BYTES + length + FOOTER_BYTES)
            return self._torn(offset, found, wanted, self._content.fault())
        payload = body[:length]
        end = offset + HEADER_BYTES + length + FOOTER_BYTES
        if masked_checksum(payload) == int.from_bytes(body[length:].tobytes(), "little"):
            return Frame(offset, end, payload)
        return self._damaged(offset, end)

    def _damaged(self, offset: int, end: int) -> BadFrame:
        """A record whose payload is bad; the next one begins after it, unless bytes are missing."""
        reason = "the checksum of the data is wrong"
        following = self._content.block(end, HEADER_BYTES)
        if len(following) == HEADER_BYTES and not _is_header(following):
            # Bytes were lost or added inside: what follows may begin before this record's end.
            found, _ = self._search(offset + 1, end)
            if found is not None:
                return BadFrame(offset, found, reason)
        return BadFrame(offset, end, reason)

    def _skipped(self, offset: int, start: int, reason: str) -> BadFrame:
        found, searched = self._search(start, None)
        if found is not None:
            return BadFrame(offset, found, reason)
        return BadFrame(offset, self._end(searched), reason)

    def _torn(self, offset: int, found: int, wanted: str, fault: str) -> BadFrame:
        self._said_fault = self._said_fault or bool(fault)
        why = f" ({fault})" if fault else ""
        reason = f"the record is torn: {found} bytes of {wanted}{why}"
        return self._skipped(offset, offset + 1, reason)

    def _stream_fault(self, offset: int, fault: str) -> BadFrame | None:
        if not fault or self._said_fault:
            return None
        self._said_fault = True
        return BadFrame(offset, offset, fault)

    def _end(self, offset: int) -> int:
        """Where the content ends; reads a compressed stream to its end."""
        place = offset
        while len(block := self._content.block(place, _SEARCH_BYTES)):
            place += len(block)
            self._content.release(place)
        self._said_fault = self._said_fault or bool(self._content.fault())
        return place

    def _search(self, start: int, stop: int | None) -> tuple[int | None, int]:
        """First offset from `start` on, before `stop`, where a sound record begins.

        Also returns how far the content was searched; what lies before may be gone.
        """
        place = start
        while stop is None or place < stop:
            block = self._content.block(place, _SEARCH_BYTES + HEADER_BYTES - 1)
            if len(block) < HEADER_BYTES:
                return None, place
            for candidate in _candidates(block):
                offset = place + candidate
                if stop is not None and offset >= stop:
                    return None, place
                if self._is_sound(offset):
                    return offset, place
            place += len(block) - HEADER_BYTES + 1
            if stop is None:
                self._content.release(place)
        return None, place

    def _is_sound(self, offset: int) -> bool:
        header = self._content.block(offset, HEADER_BYTES)
        length = int.from_bytes(header[:8].tobytes(), "little")
        body = self._content.block(offset + HEADER_BYTES, length + FOOTER_BYTES)
        if len(body) < length + FOOTER_BYTES:
            return False
        return masked_checksum(body[:length]) == int.from_bytes(body[length:].tobytes(), "little")


def _is_header(header: Bytes) -> bool:
    return masked_checksum(header[:8]) == int.from_bytes(header[8:].tobytes(), "little")


def _candidates(block: Bytes) -> list[int]:
    """Places in a block where a length of at most 64 MiB and its checksum stand."""
    count = len(block) - HEADER_BYTES + 1
    # Bytes 4 to 7 of such a length are zero, and byte 3 is at most 4.
    likely = block[3 : 3 + count] <= MAX_RECORD_BYTES >> 24
    for place in range(4, 8):
        likely &= block[place : place + count] == 0
    places = np.flatnonzero(likely)
    words = np.lib.stride_tricks.sliding_window_view(block, 4)
    lengths = np.ascontiguousarray(words[places]).view("<u4")[:, 0]
    stored = np.ascontiguousarray(words[places + 8]).view("<u4")[:, 0]
    sound = (length_checks(lengths) == stored) & (lengths <= MAX_RECORD_BYTES)
    return [int(place) for place in places[sound]]
