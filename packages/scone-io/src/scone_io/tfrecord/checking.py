"""Verify the checksums of a shard, and copy it without its bad records."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astro_common.errors import ConfigurationError
from scone_io.tfrecord.content import Compression, open_content
from scone_io.tfrecord.frames import BadFrame, FrameReader
from scone_io.tfrecord.writing import record_writer

__all__ = ["FileCheck", "check_file", "repair_file"]


@dataclass
class FileCheck:
    """What `check_file` found.

    Attributes
    ----------
    file : str
    compression : str
    records : int
        Sound records.
    bad : list of BadFrame
    """

    file: str
    compression: Compression = "none"
    records: int = 0
    bad: list[BadFrame] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The check as ``verify --json`` prints it."""
        bad = [{"offset": item.offset, "reason": item.reason} for item in self.bad]
        return {"file": self.file, "records": self.records, "bad": bad}


def check_file(path: str | os.PathLike[str]) -> FileCheck:
    """Verify both checksums of every record.

    Parameters
    ----------
    path : path-like
        A shard, plain or compressed.

    Returns
    -------
    FileCheck
        After a damaged length the scan goes on at the next offset whose length and data agree with
        their checksums; the bytes between are one bad record. So is a torn tail.

    Raises
    ------
    InputError
        If the file is missing or cannot be read.
    """
    with open_content(path) as content:
        check = FileCheck(os.fspath(path), content.compression)
        for frame in FrameReader(content):
            if isinstance(frame, BadFrame):
                check.bad.append(frame)
            else:
                check.records += 1
    return check


def repair_file(
    source: str | os.PathLike[str], target: str | os.PathLike[str], *, overwrite: bool = False
) -> FileCheck:
    """Copy the sound records of a shard, byte for byte, into a new plain file.

    Parameters
    ----------
    source, target : path-like
        Two different files.
    overwrite : bool
        Replace a target that exists.

    Returns
    -------
    FileCheck
        Of the source.

    Raises
    ------
    ConfigurationError
        If source and target are one file.
    InputError
        If the source is missing or cannot be read.
    OutputError
        If the target exists or cannot be written.
    """
    source, target = Path(source), Path(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise ConfigurationError("-o", f"{target}, which is the input", "another file")
    with open_content(source) as content:
        check = FileCheck(str(source), content.compression)
        with record_writer(target, overwrite=overwrite) as writer:
            for frame in FrameReader(content):
                if isinstance(frame, BadFrame):
                    check.bad.append(frame)
                else:
                    check.records += 1
                    writer.write(frame.payload.data)
    return check
