from __future__ import annotations

import pydantic
import pytest

from astro_common.configuration import as_yaml, read_yaml, validated
from astro_common.errors import ConfigurationError


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    radius_arcsec: float = 1.0


class Settings(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    output: str
    seed: pydantic.NonNegativeInt = 0
    gaia: Section | None = None
    surveys: tuple[Section, ...] = ()
    bands: dict[str, Section] = {}
    choice: Section | int = 0


def test_keys_of_a_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("output: there\ngaia: {radius_arcsec: 2.5}\n")
    settings = validated(Settings, read_yaml(path), path)
    assert settings.gaia.radius_arcsec == 2.5
    path.write_text(as_yaml(settings))
    assert validated(Settings, read_yaml(path), path) == settings


def test_merged_keys_may_be_overridden(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(
        "base: &base {a: 1, b: 2}\n"
        "outer: {inner: &inner {<<: *base, b: 3}}\n"
        "last: {<<: *inner, a: 4}\n"
    )
    values = read_yaml(path)
    assert values["outer"]["inner"] == {"a": 1, "b": 3}
    assert values["last"] == {"a": 4, "b": 3}


def test_empty_file_has_no_keys(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("# nothing yet\n")
    assert read_yaml(path) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a list\n", "a list; expected a YAML mapping"),
        (b"key: [1,\n", "not valid YAML"),
        (b"!!python/object/apply:os.system ['true']\n", "not valid YAML"),
        (b"a: &a [*a, *a]\nb: \xff\n", "cannot be read"),
        (b"[" * 100_000, "not valid YAML"),
        (b"seed: 1\noutput: x\nseed: 2\n", "not valid YAML .*the key seed appears twice.*line 3"),
        (b"gaia: {radius: 1, radius: 2}\n", "not valid YAML .*the key radius appears twice"),
    ],
)
def test_file_that_is_not_a_mapping_is_one_line(tmp_path, content, message):
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)


def test_absent_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"absent\.yaml.*cannot be read"):
        read_yaml(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"output": "x", "sed": 1}, "unknown key sed; expected one of output, seed, gaia, surveys"),
        ({"output": "x", "bands": {"g": {"r": 1}}}, r"unknown key bands\.g\.r.*one of radius_arcs"),
        ({"output": "x", "bands": {"radius_arcsec": {"r": 1}}}, "unknown key bands.radius_arcsec"),
        ({"output": "x", "choice": {"r": 1}}, r"unknown key choice\.Section\.r.*one of radius_arc"),
        ({"output": "x", "gaia": {"radius": 1}}, "unknown key gaia.radius.*one of radius_arcsec"),
        ({"output": "x", "surveys": [{"r": 1}]}, r"unknown key surveys\.0\.r.*one of radius_arc"),
        ({}, "no key output"),
        ({"output": "x", "seed": -1}, "seed is '-1'; expected"),
    ],
)
def test_first_wrong_key_is_named(values, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        validated(Settings, values, "run.yaml")
    assert str(caught.value).startswith("run.yaml")
