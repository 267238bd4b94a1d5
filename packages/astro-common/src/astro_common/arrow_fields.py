"""Arrow fields with units and descriptions."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["described", "field_metadata"]


def described(
    field_name: str,
    type: pa.DataType,  # noqa: A002 - as in pyarrow.field
    *,
    unit: str = "",
    ucd: str = "",
    description: str = "",
    nullable: bool = True,
    **extra: str,
) -> pa.Field:
    """Make a field with unit, UCD and description.

    Parameters
    ----------
    field_name : str
        Name of the column.
    type : pyarrow.DataType
        Type of its values.
    unit : str, optional
        Unit, such as ``mas / yr``; empty if the values have none.
    ucd : str, optional
        Unified Content Descriptor (IVOA UCD1+), such as ``pos.pm;pos.eq.ra``.
    description : str, optional
        Of the values, in words.
    nullable : bool, optional
        Whether values may be missing.
    **extra : str
        Further metadata of the field.

    Returns
    -------
    pyarrow.Field
        With the texts that are not empty as metadata, in UTF-8.
    """
    texts = {"unit": unit, "ucd": ucd, "description": description, **extra}
    metadata = {key.encode(): text.encode() for key, text in texts.items() if text}
    return pa.field(field_name, type, nullable=nullable, metadata=metadata or None)


def field_metadata(field: pa.Field) -> dict[str, str]:
    """Return a field's metadata as text, with escapes for bytes that are not UTF-8."""
    return {
        key.decode("utf-8", "backslashreplace"): value.decode("utf-8", "backslashreplace")
        for key, value in (field.metadata or {}).items()
    }
