from __future__ import annotations

import io
import shutil
import subprocess

import pyarrow as pa
import pytest
from astropy import units
from astropy.io import votable

from astro_common.arrow_fields import described
from astro_common.votable import printable, votable_xml


def _parse(schema, **options):
    text = votable_xml(schema, **options)
    document = votable.parse(io.BytesIO(text.encode()), verify="exception")
    return document.get_first_table()


def _one(field, **options):
    return _parse(pa.schema([field]), **options).fields[0]


@pytest.mark.parametrize(
    ("kind", "datatype", "arraysize"),
    [
        (pa.bool_(), "boolean", None),
        (pa.uint8(), "unsignedByte", None),
        (pa.int8(), "short", None),
        (pa.int16(), "short", None),
        (pa.uint16(), "int", None),
        (pa.int32(), "int", None),
        (pa.uint32(), "long", None),
        (pa.int64(), "long", None),
        (pa.uint64(), "long", None),
        (pa.float16(), "float", None),
        (pa.float32(), "float", None),
        (pa.float64(), "double", None),
        (pa.string(), "char", "*"),
        (pa.large_string(), "char", "*"),
        (pa.binary(), "unsignedByte", "*"),
        (pa.dictionary(pa.int8(), pa.string()), "char", "*"),
        (pa.dictionary(pa.int8(), pa.int32()), "int", None),
        (pa.list_(pa.float32(), 9216), "float", "9216"),
        (pa.list_(pa.int64()), "long", "*"),
        (pa.large_list(pa.float64()), "double", "*"),
        (pa.list_(pa.string()), "char", "*"),
        (pa.list_(pa.list_(pa.float32())), "char", "*"),
        (pa.struct([("a", pa.int32())]), "char", "*"),
        (pa.timestamp("us"), "char", "*"),
        (pa.null(), "char", "*"),
    ],
)
def test_datatypes(kind, datatype, arraysize):
    field = _one(pa.field("x", kind))
    assert (field.datatype, field.arraysize) == (datatype, arraysize)


def test_fields_are_in_order_and_described():
    table = _parse(
        pa.schema(
            [
                described("b", pa.float32(), unit="mag", ucd="phot.mag", description="A < B & C"),
                described("a", pa.int64()),
            ]
        ),
        name="stars",
        description="Some stars",
    )
    assert [field.name for field in table.fields] == ["b", "a"]
    assert (table.name, table.description) == ("stars", "Some stars")
    assert table.fields[0].ucd == "phot.mag"
    assert table.fields[0].description == "A < B & C"
    assert str(table.fields[0].unit) == "mag"
    assert table.fields[1].unit is None
    assert table.fields[1].description is None


def test_document_has_no_data():
    text = votable_xml(pa.schema([("a", pa.int8())]))
    assert "DATA" not in text
    assert 'xmlns="http://www.ivoa.net/xml/VOTable/v1.3"' in text


def test_known_text_lengths():
    schema = pa.schema([("a", pa.string()), ("b", pa.int8()), ("c", pa.list_(pa.string()))])
    text = votable_xml(schema, text_lengths={"a": 12, "c": 7})
    assert 'name="a" datatype="char" arraysize="12*"' in text
    assert 'name="c" datatype="char" arraysize="*"' in text


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("deg", "deg"),
        ("mas/yr", "mas.yr**-1"),
        ("km s-1", "km.s**-1"),
        ("Angstrom", "0.1nm"),
        ("h:m:s", "h:m:s"),
    ],
)
def test_units_are_vounits_where_they_can_be(unit, written):
    assert f'unit="{written}"' in votable_xml(pa.schema([described("x", pa.int8(), unit=unit)]))


@pytest.mark.parametrize(
    "text",
    [
        "deg",
        "mas / yr",
        "Angstrom",
        "1e-17 erg / (s cm2 Angstrom)",
        "G",
        "MJy / sr",
        "mag",
    ],
)
def test_units_mean_the_same(text):
    """Parsing warns of nothing, deprecated units included (warnings are errors here)."""
    field = _one(described("x", pa.float32(), unit=text))
    assert field.unit == units.Unit(text)


def test_invalid_ucd_is_left_out():
    assert _one(described("x", pa.int8(), ucd="not a ucd")).ucd is None
    assert _one(described("x", pa.int8(), ucd="pos.eq.ra;meta.main")).ucd == "pos.eq.ra;meta.main"


def test_characters_that_xml_does_not_allow():
    text = "a\x00b\x1bc\ud800d\ufffee\tf\x85g\U0001d6fc"
    assert printable(text) == "a?b?c?d?e\tf\x85g\U0001d6fc"
    field = pa.field("na\x01me", pa.int8(), metadata={"description": b"bell \x07 and \xff bytes"})
    content = votable_xml(pa.schema([field])).encode()
    (read,) = votable.parse(io.BytesIO(content)).get_first_table().fields
    assert read.name == "na?me"
    assert read.description == "bell ? and \\xff bytes"


@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
def test_stilts_finds_no_fault(tmp_path):
    schema = pa.schema(
        [
            described("id", pa.int64(), ucd="meta.id;meta.main", description="A < B"),
            described("wave", pa.list_(pa.float64()), unit="Angstrom", ucd="em.wl"),
            described("image", pa.list_(pa.float32(), 9216), unit="adu"),
            described("mag [AB]", pa.float32(), unit="mag", ucd="phot.mag;em.opt.R"),
            described("name", pa.string()),
            described("good", pa.bool_()),
            described("time", pa.timestamp("us")),
        ]
    )
    path = tmp_path / "a.vot"
    path.write_text(votable_xml(schema, name="stars", text_lengths={"name": 4}), encoding="utf-8")
    done = subprocess.run(
        ["stilts", "votlint", f"votable={path}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
