from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cubefile import hypercube_table, write_cube

from astro_common.errors import ConfigurationError, InputError
from astromodal_tokenizers.configuration import Configuration, load_configuration
from astromodal_tokenizers.hypercube import chosen_fields, open_cubes
from astromodal_tokenizers.modalities import modality_table

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_configuration_that_ships_is_valid(path):
    assert load_configuration(path).output == path.resolve().parent / "tokens"


def test_an_empty_file_gives_the_defaults_of_the_interface(tmp_path):
    path = tmp_path / "tokens.yaml"
    path.write_text("")
    configuration = load_configuration(path)
    assert configuration.scalar.bins == 1024
    assert configuration.scalar.min_values == 1000
    assert configuration.spectrum.codebook_size == 2048
    assert configuration.spectrum.xp.samples == 600
    assert configuration.image.codebook_size == 2048
    assert configuration.output == tmp_path / "tokens"
    assert configuration.cube_path("F") == tmp_path / "hypercube/datacube_F.parquet"


@pytest.mark.parametrize("text", ["- a\n", "a: [1", "!!python/object/apply:os.system ['true']"])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "tokens.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"tokens\.yaml"):
        load_configuration(path)


def test_fields_are_those_that_are_there_unless_named(tmp_path):
    for name in ("B", "A_2", ".hidden"):
        write_cube(tmp_path / f"datacube_{name}.parquet", hypercube_table(20), field=name)
    (tmp_path / ".datacube_C.parquet.01234567.partial").touch()
    template = str(tmp_path / "datacube_{field}.parquet")
    configuration = Configuration(hypercube=template)
    assert chosen_fields(configuration) == ["A_2", "B"]
    assert chosen_fields(configuration, ["X", "X"]) == ["X"]
    named = Configuration(hypercube=template, fields="B")
    assert [cube.field for cube in open_cubes(named)] == ["B"]


@pytest.fixture
def cube(tmp_path):
    write_cube(tmp_path / "datacube_F.parquet", hypercube_table(20), field="F")
    return str(tmp_path / "datacube_{field}.parquet")


def test_the_table_follows_from_the_metadata(cube):
    configuration = Configuration(hypercube=cube)
    table = {item.name: item for item in modality_table(configuration, open_cubes(configuration))}
    assert table["image"].columns["bands"] == ("splus_cut_R", "splus_cut_G", "splus_cut_U")
    assert table["desi_b"].kind == "spectrum"
    assert table["desi_b"].column("wavelength") == "desi_wave_b"
    assert table["ztf_g"].column("error") == "ztf_magerr_g"
    assert table["gaiaxp_bp"].column("correlations") == "gaiaxp_bp_coefficient_correlations"
    assert {"mag_pstotal_r", "visits"} <= table.keys()
    assert not {"id", "ra", "gaia_source_id"} & table.keys()


def test_columns_may_be_listed_and_a_table_given(cube):
    modalities = [{"name": "spec", "kind": "spectrum",
                   "columns": {"flux": "desi_flux_b", "ivar": "desi_ivar_b"}}]  # fmt: skip
    configuration = Configuration(
        hypercube=cube, modalities=modalities, scalar={"columns": ["visits", "ra"]}
    )
    table = modality_table(configuration, open_cubes(configuration))
    assert [(item.name, item.kind) for item in table] == [
        ("visits", "scalar"),
        ("ra", "scalar"),
        ("spec", "spectrum"),
    ]


def test_hypercubes_that_disagree_are_refused(tmp_path):
    write_cube(tmp_path / "datacube_A.parquet", hypercube_table(20), field="A")
    other = hypercube_table(20, drop=("gaia_flux",))
    write_cube(tmp_path / "datacube_B.parquet", other, field="B")
    configuration = Configuration(hypercube=str(tmp_path / "datacube_{field}.parquet"))
    with pytest.raises(InputError, match="gaia_flux"):
        modality_table(configuration, open_cubes(configuration))


def test_the_defaults_are_yaml():
    from astro_common.configuration import as_yaml

    assert Configuration.model_validate(yaml.safe_load(as_yaml(Configuration()))) == (
        Configuration()
    )
