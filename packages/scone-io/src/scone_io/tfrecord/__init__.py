"""TFRecord files: records with checksums, plain or compressed."""

from __future__ import annotations

from scone_io.tfrecord.checking import FileCheck, check_file, repair_file
from scone_io.tfrecord.content import Compression, Content, open_content
from scone_io.tfrecord.frames import MAX_RECORD_BYTES, BadFrame, Frame, FrameReader
from scone_io.tfrecord.writing import RecordWriter, record_writer

__all__ = [
    "MAX_RECORD_BYTES",
    "BadFrame",
    "Compression",
    "Content",
    "FileCheck",
    "Frame",
    "FrameReader",
    "RecordWriter",
    "check_file",
    "open_content",
    "record_writer",
    "repair_file",
]
