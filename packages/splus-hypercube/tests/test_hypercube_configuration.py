from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from astro_common.errors import ConfigurationError
from splus_hypercube.configuration import load_configuration

FULL = {
    "fields": "fields.csv",
    "exclude_fields": ["SPLUS-b*", "MC*"],
    "output": "hypercube",
    "splus": {
        "catalogue": "main/{field}_dual.fits",
        "images": ["a/{field}/{field}_{band}.fits.fz", "/b/{field}_{band}.fits"],
        "epoch_jyear": 2019.5,
    },
    "cutouts": {"size_px": 96, "rows": "all"},
    "gaia": {"directory": "gaia_dr3", "radius_arcsec": 1.2},
    "gaia_xp": {"directory": "gaia_xp"},
    "ztf": {"directory": "ztf", "radius_arcsec": 1.0, "bad_catflags": 0},
    "desi": {"directory": "desi", "tiles": "desi_tiles.csv", "radius_arcsec": 1.0},
    "apogee": {"file": "allStar.fits", "radius_arcsec": 1.0},
    "specz": {"file": "specz.parquet", "radius_arcsec": 1.0},
    "vista": {"file": "vista/{field}.parquet", "radius_arcsec": 1.0},
}


def write(tmp_path, values):
    path = tmp_path / "hypercube.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


def without(*keys, **changes):
    values = {key: value for key, value in FULL.items() if key not in keys}
    return {**values, **changes}


def test_every_key_of_the_interface_is_read_and_paths_resolve_against_the_file(tmp_path):
    configuration = load_configuration(write(tmp_path, FULL))
    assert configuration.fields == tmp_path / "fields.csv"
    assert configuration.catalogue_path("S1") == tmp_path / "main/S1_dual.fits"
    assert configuration.desi.tiles == tmp_path / "desi_tiles.csv"
    assert configuration.splus.images[1] == "/b/{field}_{band}.fits"
    assert configuration.cube_path("S1") == tmp_path / "hypercube/datacube_S1.parquet"


def test_the_first_image_that_exists_is_taken(tmp_path):
    configuration = load_configuration(write(tmp_path, FULL))
    assert configuration.image_path("S1", "R") is None
    path = tmp_path / "a/S1/S1_R.fits.fz"
    path.parent.mkdir(parents=True)
    path.touch()
    assert configuration.image_path("S1", "R") == path


def test_sections_left_out_are_none_and_defaults_hold(tmp_path):
    values = {key: FULL[key] for key in ("fields", "output", "splus")}
    configuration = load_configuration(write(tmp_path, values))
    assert configuration.gaia is None
    assert configuration.vista is None
    assert (configuration.cutouts.size_px, configuration.cutouts.rows) == (96, "all")


def test_one_template_may_be_plain_text_and_out_replaces_output(tmp_path):
    splus = {**FULL["splus"], "images": "a/{field}/{field}_{band}.fits.fz"}
    path = write(tmp_path, without(splus=splus))
    configuration = load_configuration(path, output=Path("/elsewhere"))
    assert len(configuration.splus.images) == 1
    assert configuration.output == Path("/elsewhere")


@pytest.mark.parametrize(
    ("values", "part"),
    [
        (without(typo=1), "unknown key typo"),
        (without(gaia={"directory": "x", "radius": 1}), "unknown key gaia.radius"),
        (without("output"), "no key output"),
        (without(splus={"images": []}), "no key splus.catalogue"),
        (without(splus={"catalogue": "main.fits", "epoch_jyear": 2019}), "splus.catalogue"),
        (without(splus={**FULL["splus"], "images": ["{field}.fits"]}), "splus.images"),
        (without(splus={**FULL["splus"], "catalogue": "{field}_{x}"}), "splus.catalogue"),
        (without(vista={"file": "one.parquet"}), "vista.file"),
        (without(gaia={"directory": "x", "radius_arcsec": -1}), "gaia.radius_arcsec"),
        (without(gaia={"directory": "x", "radius_arcsec": "wide"}), "gaia.radius_arcsec"),
        (without(gaia={"directory": "x", "radius_arcsec": float("nan")}), "gaia.radius_arcsec"),
        (without(ztf={"directory": "x", "bad_catflags": 1.5}), "ztf.bad_catflags"),
        (without(cutouts={"size_px": 0}), "cutouts.size_px"),
        (without("gaia"), "gaia_xp without gaia"),
        (without("gaia", "gaia_xp", cutouts={"rows": "gaia"}), "cutouts.rows"),
        (without(splus={"catalogue": "{field}.fits"}), "epoch_jyear"),
        ("- a\n- b\n", "a list"),
        ("a: [1, 2", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("", "no key fields"),
    ],
)
def test_a_wrong_configuration_is_one_line_with_exit_status_2(tmp_path, values, part):
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(write(tmp_path, values))
    assert part in str(caught.value)
    assert "hypercube.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


def test_an_absent_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none.yaml: cannot be read"):
        load_configuration(tmp_path / "none.yaml")
