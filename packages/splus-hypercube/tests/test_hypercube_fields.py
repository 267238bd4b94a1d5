from __future__ import annotations

import pytest

from astro_common.errors import ConfigurationError, InputError
from splus_hypercube.fields import Field, read_fields, select_fields


def write(tmp_path, text):
    path = tmp_path / "fields.csv"
    path.write_text(text)
    return path


def test_an_index_column_other_order_and_case_are_tolerated(tmp_path):
    plain = write(tmp_path, "field,ra,dec\nSPLUS-s01,10.5,-30\nHYDRA,158,-27.5\n")
    expected = [Field("SPLUS-s01", 10.5, -30.0), Field("HYDRA", 158.0, -27.5)]
    assert read_fields(plain) == expected
    indexed = write(tmp_path, ",DEC,RA,Field\n0,-30,10.5,SPLUS-s01\n1,-27.5,158,HYDRA\n\n")
    assert read_fields(indexed) == expected


def test_exclusion_patterns(tmp_path):
    path = write(tmp_path, "field,ra,dec\nSPLUS-b01,1,1\nSPLUS-n01,1,1\nMC0001,1,1\n")
    kept = read_fields(path, ["SPLUS-b*", "MC*"])
    assert [field.name for field in kept] == ["SPLUS-n01"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "one column 'field'"),
        ("name,ra,dec\nA,1,1\n", "one column 'field'"),
        ("field,ra,ra,dec\nA,1,1,1\n", "one column 'ra'"),
        ("field,ra,dec\nA,1\n", "row 2"),
        ("field,ra,dec\nA,x,1\n", "row 2"),
        ("field,ra,dec\nA,1,nan\n", "row 2"),
        ("field,ra,dec\nA,1,95\n", "row 2"),
        ("field,ra,dec\nA,inf,5\n", "row 2"),
        ("field,ra,dec\n../A,1,5\n", "plain name"),
        ("field,ra,dec\nA\0B,1,5\n", "plain name"),
        ('field,ra,dec\n"A\nB",1,5\n', "plain name"),
        ("field,ra,dec\n\nA,1,5\n\nB,1,95\n", "row 5"),
        ("field,ra,dec\nA,1,5\nA,2,5\n", "twice"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path, text, part):
    with pytest.raises(InputError, match=r"fields\.csv") as caught:
        read_fields(write(tmp_path, text))
    assert part in str(caught.value)


def test_a_missing_list_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_fields(tmp_path / "none.csv")


def test_selection_keeps_the_order_of_the_list_and_names_what_is_unknown(tmp_path):
    fields = [Field(name, 1.0, 1.0) for name in "ABC"]
    assert select_fields(fields, [], tmp_path) == fields
    assert [field.name for field in select_fields(fields, ["C", "A"], tmp_path)] == ["A", "C"]
    with pytest.raises(ConfigurationError, match="--field D"):
        select_fields(fields, ["A", "D"], tmp_path)
