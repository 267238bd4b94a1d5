"""A VOTable document without data, which describes the columns of a Parquet file.

VOParquet 1.0 (IVOA Note, M. Taylor et al., 2025) keeps such a document in the footer, with one
FIELD per column, in order. Each has the closest datatype that VOTable 1.4 offers.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import lru_cache
from xml.etree import ElementTree

import pyarrow as pa

from astro_common.arrow_fields import field_metadata

__all__ = ["printable", "votable_xml"]

_NAMESPACE = "http://www.ivoa.net/xml/VOTable/v1.3"

# Characters that XML 1.0 and YAML do not allow, even escaped.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# The syntax of a UCD in the schema of VOTable.
_UCD = re.compile(r"[A-Za-z0-9_.,;\-]+")

_DATATYPES = {
    pa.bool_(): "boolean",
    pa.uint8(): "unsignedByte",
    # VOTable has no signed byte, and no unsigned integer above the byte: the next wider one holds
    # all values, except those of uint64 that exceed 2^63.
    pa.int8(): "short",
    pa.int16(): "short",
    pa.uint16(): "int",
    pa.int32(): "int",
    pa.uint32(): "long",
    pa.int64(): "long",
    pa.uint64(): "long",
    pa.float16(): "float",
    pa.float32(): "float",
    pa.float64(): "double",
}


def votable_xml(
    schema: pa.Schema,
    *,
    name: str = "",
    description: str = "",
    text_lengths: Mapping[str, int] | None = None,
) -> str:
    """Describe the columns of a table as a VOTable without data.

    Parameters
    ----------
    schema : pyarrow.Schema
        Columns; their metadata may hold ``unit``, ``ucd`` and ``description``.
    name, description : str, optional
        Name and description of the table.
    text_lengths : mapping of str to int, optional
        The length of the longest text of a column, in characters, if known. astropy cannot combine
        texts of unknown length with the data.

    Returns
    -------
    str
        A VOTable 1.4 document. Units are in VOUnits syntax if they can be parsed. An invalid UCD is
        left out, and types that VOTable lacks are declared as text.
    """
    votable = ElementTree.Element("VOTABLE", {"version": "1.4", "xmlns": _NAMESPACE})
    resource = ElementTree.SubElement(votable, "RESOURCE")
    table = ElementTree.SubElement(resource, "TABLE")
    if name:
        table.set("name", printable(name))
    if description:
        ElementTree.SubElement(table, "DESCRIPTION").text = printable(description)
    lengths = text_lengths or {}
    for field in schema:
        table.append(_field(field, lengths.get(field.name)))
    return ElementTree.tostring(votable, encoding="unicode")


def printable(text: str) -> str:
    """Replace characters that XML or YAML cannot hold with question marks."""
    return _UNPRINTABLE.sub("?", text)


def _field(field: pa.Field, text_length: int | None) -> ElementTree.Element:
    texts = field_metadata(field)
    datatype = _datatype(field.type)
    if text_length is not None and field.type in (pa.string(), pa.large_string()):
        datatype["arraysize"] = f"{text_length}*"
    element = ElementTree.Element("FIELD", {"name": printable(field.name), **datatype})
    unit = texts.get("unit", "").strip()
    if unit:
        element.set("unit", _vounit(printable(unit)))
    ucd = texts.get("ucd", "").strip()
    if _UCD.fullmatch(ucd):
        element.set("ucd", ucd)
    if texts.get("description"):
        ElementTree.SubElement(element, "DESCRIPTION").text = printable(texts["description"])
    return element


def _datatype(kind: pa.DataType) -> dict[str, str]:
    if pa.types.is_dictionary(kind):
        return _datatype(kind.value_type)
    if kind in _DATATYPES:
        return {"datatype": _DATATYPES[kind]}
    if pa.types.is_fixed_size_list(kind) and kind.value_type in _DATATYPES:
        return {"datatype": _DATATYPES[kind.value_type], "arraysize": str(kind.list_size)}
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and kind.value_type in _DATATYPES:
        return {"datatype": _DATATYPES[kind.value_type], "arraysize": "*"}
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return {"datatype": "unsignedByte", "arraysize": "*"}
    if pa.types.is_timestamp(kind):
        return {"datatype": "char", "arraysize": "*", "xtype": "timestamp"}
    return {"datatype": "char", "arraysize": "*"}


@lru_cache(maxsize=4096)
def _vounit(text: str) -> str:
    """Write a unit in VOUnits 1.1 syntax, without the units that it deprecates."""
    from astropy import units

    current = {
        units.Angstrom: 0.1 * units.nm,
        units.erg: 1e-7 * units.J,
        units.G: 1e-4 * units.T,
        units.barn: 1e-28 * units.m**2,
    }
    with warnings.catch_warnings():
        # About a careless spelling, which the result corrects.
        warnings.simplefilter("ignore", units.UnitsWarning)
        for style in ("vounit", "generic", "fits", "cds"):
            try:
                unit = units.Unit(text, format=style)
                # Magnitudes and other logarithms are not products of powers.
                factors = zip(getattr(unit, "bases", ()), getattr(unit, "powers", ()), strict=True)
                product = units.Unit(getattr(unit, "scale", 1.0))
                for base, power in factors:
                    product *= units.Unit(current.get(base, base)) ** power
                return str((product if product == unit else unit).to_string("vounit"))
            except (ValueError, TypeError):
                continue
    return text
