"""The columns of an ECSV or CSV file, as its first lines describe them.

The header of an ECSV file is YAML in lines that begin with ``#`` (Astropy Proposal for Enhancement
6).
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import reprlib
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import yaml

from astro_common.ecsv.array_cells import ArrayCellError, parse_array_cells
from astro_common.ecsv.text import MAX_LINE_BYTES, TableText
from astro_common.errors import InputError

__all__ = ["ARROW_PLACE", "FALSE", "NULLS", "TRUE", "Cells", "Layout", "read_layout"]

NULLS: Final = ["", "null", "NULL"]
TRUE: Final = ["True", "true", "TRUE", "T", "1"]
FALSE: Final = ["False", "false", "FALSE", "F", "0"]

_NAN: Final = ["nan", "NaN"]
_MAX_EXACT_FLOAT: Final = 1 << 53

# How Arrow names the place of an error in a CSV file: column from 0, row from 1, reason.
ARROW_PLACE: Final = re.compile(
    r"(?:In CSV column #(\d+): )?(?:CSV parse error: )?Row #(\d+): (.*)", re.DOTALL
)

# The header of gaia_source, with 152 columns, takes 27 kB; YAML of this size parses in seconds.
_MAX_HEADER_BYTES: Final = 1 << 20

# The types of a CSV file without a header are inferred from this much text.
_SAMPLE_BYTES: Final = 4 << 20

_TYPES: Final[dict[str, pa.DataType]] = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "float16": pa.float32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "float128": pa.float64(),
    "string": pa.string(),
}
_SUBTYPE: Final = re.compile(r"(\w+)\[((?:null|\d{1,9})(?:,(?:null|\d{1,9}))*)\]\Z")
_IDENTIFIER: Final = re.compile(r"(\A|_)id\Z", re.IGNORECASE)
_ARRAY_CELL: Final = r"^\s*[\[(].*[\])]\s*$"


@dataclass(frozen=True)
class Cells:
    """How to read the cells of one column.

    Attributes
    ----------
    field : pyarrow.Field
        The column as it is returned; of list type where the cells hold arrays.
    array_length : int or None
        Number of elements of each array, if the header gives it.
    """

    field: pa.Field
    array_length: int | None = None

    @property
    def is_array(self) -> bool:
        """Whether the cells hold arrays, written as text (bool)."""
        return bool(pa.types.is_list(self.field.type))

    @property
    def parsed_type(self) -> pa.DataType:
        """The type that the CSV parser gives (pyarrow.DataType)."""
        return pa.string() if self.is_array else self.field.type


@dataclass(frozen=True)
class Layout:
    """The columns of a file, their delimiter, and the number of lines before the rows."""

    columns: tuple[Cells, ...]
    delimiter: str
    header_lines: int


def read_layout(text: TableText) -> Layout:
    """Read a file up to its first row, or further if types must be inferred.

    Raises
    ------
    InputError
        The header is not valid YAML, is incomplete, or does not agree with the line of column
        names; a name is missing or used twice.
    """
    header, delimiter = _read_header(text)
    names = _read_names(text, delimiter)
    lines = text.lines
    if header is None:
        return Layout(_infer(text, names, delimiter), delimiter, lines)
    columns = tuple(_describe(text, item) for item in header)
    declared = [column.field.name for column in columns]
    if declared != names:
        raise InputError(
            text.path,
            f"line {lines} names {len(names)} columns, {_difference(names, declared)}",
            f"the {len(declared)} of the header, in their order",
        )
    return Layout(columns, delimiter, lines)


# A value that does not fit its tag (`!!bool maybe`) raises an error of any of these classes.
_YAML_FAULTS: Final = (
    yaml.YAMLError,
    RecursionError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)


class _HeaderLoader(yaml.SafeLoader):
    """A safe YAML loader that ignores values with tags of other software (units, times)."""

    def ignore(self, _suffix: str, _node: yaml.Node) -> None:
        """Return None for a value whose tag is unknown."""

    def flatten_mapping(self, _node: yaml.MappingNode) -> None:
        """Leave merge keys alone: nested merges grow without bound, and ECSV uses none."""


_HeaderLoader.add_multi_constructor("", _HeaderLoader.ignore)


def _read_header(text: TableText) -> tuple[list[Any] | None, str]:
    lines: list[str] = []
    size = 0
    while text.peek().removeprefix(codecs.BOM_UTF8 if not lines else b"").startswith(b"#"):
        line = text.read_line()
        size += len(line)
        if size > _MAX_HEADER_BYTES:
            raise InputError(
                text.path, f"a header of more than {_MAX_HEADER_BYTES} bytes", "an ECSV file"
            )
        lines.append(_decode(text, line).rstrip("\r\n"))
    if not lines or not lines[0].startswith("# %ECSV"):
        return None, ","
    header = _load_yaml(text, "\n".join(line[2:] for line in lines[1:]))
    if isinstance(header, list):
        # An ordered mapping, which older writers use, arrives as pairs.
        header = {pair[0]: pair[1] for pair in header if isinstance(pair, tuple)}
    datatype = header.get("datatype") if isinstance(header, dict) else None
    if not isinstance(datatype, list) or not datatype:
        raise InputError(text.path, "no list of columns under 'datatype'", "an ECSV header")
    delimiter = header.get("delimiter", " ")
    if delimiter not in (" ", ","):
        raise InputError(text.path, f"delimiter {_shown(delimiter)}", "a comma or a blank")
    return datatype, delimiter


def _load_yaml(text: TableText, content: str) -> Any:
    # Not with libyaml, which a deeply nested header can crash.
    try:
        loader = _HeaderLoader(content)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except _YAML_FAULTS as error:
        raise InputError(
            text.path, f"the header is not valid YAML ({error})"[:300], "an ECSV header"
        ) from error


def _decode(text: TableText, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig" if text.lines == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(text.path, f"line {text.lines} is not UTF-8", "text") from error


def _read_names(text: TableText, delimiter: str) -> list[str]:
    raw = text.read_line()
    if not raw.strip():
        raise InputError(text.path, "no line with the names of the columns", "ECSV or CSV")
    if len(raw) >= MAX_LINE_BYTES:
        raise InputError(text.path, f"a line of {MAX_LINE_BYTES} bytes or more", "names of columns")
    try:
        line = _decode(text, raw).rstrip("\r\n")
        names = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise InputError(text.path, f"line {text.lines}: {error}", "names of columns") from error
    seen: set[str] = set()
    for name in names:
        if not name.strip() or name in seen:
            fault = f"has {name!r} twice" if name.strip() else "has a column without a name"
            raise InputError(text.path, f"line {text.lines} {fault}"[:200], "names of columns")
        seen.add(name)
    return names


def _difference(names: list[str], declared: list[str]) -> str:
    for name, expected in zip(names, declared, strict=False):
        if name != expected:
            return f"{name!r} where the header has {expected!r}"[:200]
    return "not as many as the header"


def _describe(text: TableText, item: Any) -> Cells:
    # One entry of `datatype` in the header.
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise InputError(text.path, f"column {_shown(item)}", "a mapping with a name")
    name, datatype, meta = item["name"], item.get("datatype"), item.get("meta")
    metadata = {
        "unit": _as_text(item.get("unit")),
        "ucd": _as_text(meta.get("ucd")) if isinstance(meta, dict) else "",
        "description": _as_text(item.get("description")),
    }
    if not isinstance(datatype, str) or datatype not in _TYPES:
        raise InputError(
            text.path,
            f"column {_shown(name)} of datatype {_shown(datatype)}",
            f"one of {', '.join(_TYPES)}",
        )
    data_type = _TYPES[datatype]
    length: int | None = None
    subtype = _as_text(item.get("subtype")).replace(" ", "")
    match = _SUBTYPE.match(subtype) if datatype == "string" else None
    if match is not None and match[1] in _TYPES and match[1] != "string":
        data_type = pa.list_(_TYPES[match[1]])
        metadata["shape"] = match[2]
        if "null" not in match[2]:
            length = math.prod(map(int, match[2].split(",")))
    elif subtype:
        metadata["subtype"] = subtype
    kept = {key: value for key, value in metadata.items() if value}
    return Cells(pa.field(name, data_type, metadata=kept or None), length)


def _as_text(value: Any) -> str:
    return " ".join(str(value).split()) if isinstance(value, (str, int, float)) else ""


def _shown(value: Any) -> str:
    # Aliases let a short header build a value whose full text is enormous.
    return reprlib.repr(value)


def _infer(text: TableText, names: list[str], delimiter: str) -> tuple[Cells, ...]:
    sample = text.read(_SAMPLE_BYTES)
    if len(sample) == _SAMPLE_BYTES:
        sample = sample[: sample.rfind(b"\n") + 1]
        if not sample:
            raise InputError(text.path, f"a line of more than {_SAMPLE_BYTES} bytes", "rows")
    if not sample.strip():
        return tuple(Cells(pa.field(name, pa.float64())) for name in names)
    table = _parse_sample(text, sample, names, delimiter, [*NULLS, *_NAN])
    with_nan = _parse_sample(text, sample, names, delimiter, NULLS)
    return tuple(
        Cells(pa.field(name, _inferred_type(name, table.column(name), with_nan.column(name))))
        for name in names
    )


def _parse_sample(
    text: TableText, sample: bytes, names: list[str], delimiter: str, nulls: list[str]
) -> pa.Table:
    try:
        return pacsv.read_csv(
            io.BytesIO(sample),
            read_options=pacsv.ReadOptions(
                use_threads=False, block_size=len(sample) + 1, column_names=names
            ),
            parse_options=pacsv.ParseOptions(delimiter=delimiter),
            convert_options=pacsv.ConvertOptions(
                null_values=nulls,
                true_values=TRUE[:3],
                false_values=FALSE[:3],
                strings_can_be_null=True,
                timestamp_parsers=[],
            ),
        )
    except pa.ArrowInvalid as error:
        match = ARROW_PLACE.search(str(error))
        found = f"line {text.lines + int(match[2])}: {match[3]}" if match else str(error)
        raise InputError(text.path, found[:300], f"{len(names)} columns of text") from error


def _inferred_type(name: str, sample: pa.ChunkedArray, with_nan: pa.ChunkedArray) -> pa.DataType:
    found = sample.type
    if _IDENTIFIER.search(name) and not pa.types.is_string(found):
        return pa.int64()
    if pa.types.is_integer(found) and pa.types.is_floating(with_nan.type):
        # Only a float can be NaN. A column of integers that a float would round stays one, and
        # reading the rows reports where the NaN is.
        extremes = pc.min_max(sample).as_py().values()
        return pa.float64() if max(map(abs, extremes)) <= _MAX_EXACT_FLOAT else found
    if pa.types.is_integer(found) or pa.types.is_boolean(found) or pa.types.is_floating(found):
        return found
    if pa.types.is_null(found):
        return pa.float64()
    if pa.types.is_binary(found):
        return pa.string()  # not valid UTF-8: reading the rows reports where
    cells = pc.drop_null(pc.cast(sample, pa.string())).combine_chunks()
    if pc.all(pc.match_substring_regex(cells, _ARRAY_CELL)).as_py():
        for element in (pa.int64(), pa.float64()):
            try:
                parse_array_cells(cells, element)
            except ArrayCellError:
                continue
            return pa.list_(element)
    return pa.string()
