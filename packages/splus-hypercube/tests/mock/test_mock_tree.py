from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from astro_common.errors import ConfigurationError, OutputError
from splus_hypercube.mock import tree as tree_module
from splus_hypercube.mock import write_mock
from splus_hypercube.mock.fields import mock_fields
from splus_hypercube.mock.sphere import separation_arcsec, unit_vectors

SMALL = {"sources": 40, "image_size_px": 128, "seed": 4}
# What belongs to the whole sky rather than to one field.
SHARED = {
    "allStar-dr17-synspec_rev1.fits",
    "desi_tiles.csv",
    "fields.csv",
    "specz_compilation.parquet",
    "truth.parquet",
    "truth_spectra.parquet",
    "ztf/dataset/_metadata",
    "ztf/hats.properties",
    "ztf/partition_info.csv",
    "ztf/properties",
}


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def one_field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one") / "tree"
    write_mock(folder, fields=1, **SMALL)
    return folder


def test_the_same_seed_gives_the_same_bytes(one_field, tmp_path):
    write_mock(tmp_path / "again", fields=1, **SMALL)
    assert digests(tmp_path / "again") == digests(one_field)


def test_another_seed_gives_another_sky(one_field, tmp_path):
    write_mock(tmp_path / "other", fields=1, **{**SMALL, "seed": 5})
    other = digests(tmp_path / "other")
    same = {name for name, digest in digests(one_field).items() if other.get(name) == digest}
    constant = {
        "README.txt",
        "desi_tiles.csv",
        "fields.csv",
        "hypercube.yaml",
        "ztf/dataset/_common_metadata",
    }
    # The pixels that have light curves are those of the field, which may differ or not.
    assert same - {"ztf/partition_info.csv"} == constant


def test_a_field_does_not_depend_on_the_number_of_fields(one_field, tmp_path):
    write_mock(tmp_path / "two", fields=2, **SMALL)
    both, alone = digests(tmp_path / "two"), digests(one_field)
    differing = {name for name in alone if both.get(name) != alone[name]}
    assert differing == SHARED
    for name in ("truth.parquet", "truth_spectra.parquet", "specz_compilation.parquet"):
        first = pq.read_table(one_field / name)
        assert pq.read_table(tmp_path / "two" / name).slice(0, first.num_rows).equals(first)


def test_the_configuration_names_the_files_that_are_there(mock_tree):
    configuration = yaml.safe_load((mock_tree / "hypercube.yaml").read_text())
    assert set(configuration) == {
        "fields",
        "exclude_fields",
        "output",
        "splus",
        "cutouts",
        "gaia",
        "gaia_xp",
        "ztf",
        "desi",
        "apogee",
        "specz",
        "vista",
    }
    names = [row.split(",")[0] for row in (mock_tree / "fields.csv").read_text().split()[1:]]
    assert len(names) == 4
    for name in names:
        assert (mock_tree / configuration["splus"]["catalogue"].format(field=name)).is_file()
        for template in configuration["splus"]["images"]:
            assert (mock_tree / template.format(field=name, band="F378")).is_file()
        assert (mock_tree / configuration["vista"]["file"].format(field=name)).is_file()
    for survey in ("gaia", "gaia_xp", "ztf", "desi"):
        assert any((mock_tree / configuration[survey]["directory"]).iterdir())
    assert (mock_tree / configuration["desi"]["tiles"]).is_file()
    assert "SYNTHETIC" in (mock_tree / "hypercube.yaml").read_text().splitlines()[0]


def test_an_existing_folder_is_refused(tmp_path):
    place = tmp_path / "here"
    place.mkdir()
    with pytest.raises(OutputError, match="it exists already"):
        write_mock(place, fields=1, **SMALL)
    assert list(tmp_path.iterdir()) == [place]
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fields": 0}, "--fields: 0; expected at least 1"),
        ({"fields": 100_000}, "--fields: 100000"),
        ({"sources": 0}, "--sources: 0"),
        ({"sources": 100_000}, "would blend"),
        ({"image_size_px": 10}, "--image-size: 10"),
        ({"seed": -1}, "--seed: -1"),
        ({"cutout_size_px": 1025}, "--cutout-size: 1025; expected at most 1024"),
    ],
)
def test_senseless_numbers_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        write_mock(tmp_path / "new", **{"fields": 1, **SMALL, **changes})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt]
)
def test_what_fails_leaves_nothing_behind(tmp_path, monkeypatch, error):
    def fail(*_arguments):
        raise error

    monkeypatch.setattr(tree_module, "write_specz", fail)
    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_mock(tmp_path / "new", fields=1, **SMALL)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_mock(tmp_path / "file" / "new", fields=1, **SMALL)


@pytest.mark.parametrize("sources", [1, 9])
def test_tiny_skies_are_written_too(tmp_path, sources):
    write_mock(tmp_path / "tiny", fields=2, sources=sources, image_size_px=64, seed=1)
    truth = pq.read_table(tmp_path / "tiny" / "truth.parquet")
    assert truth.num_rows == 2 * sources


def test_fields_lie_apart_from_each_other():
    fields = mock_fields(150, size_px=11_000, seed=0)
    vectors = unit_vectors([f.ra for f in fields], [f.dec for f in fields])
    gaps = separation_arcsec(vectors[:, None], vectors[None]) / 3600.0
    gaps[range(len(fields)), range(len(fields))] = 180.0
    assert gaps.min() > 5.0
    assert len({field.name for field in fields}) == len(fields)


def test_the_second_field_straddles_the_meridian_and_the_third_has_the_pole(mock_truth):
    names = mock_truth["field"].unique().to_pylist()
    second = mock_truth.filter(pc.equal(mock_truth["field"], names[1]))
    ra = second["ra"].to_numpy()
    assert (ra < 1.0).any()
    assert (ra > 359.0).any()
    assert ((ra < 1.0) | (ra > 359.0)).all()
    third = mock_truth.filter(pc.equal(mock_truth["field"], names[2]))
    for quarter in range(4):
        inside = pc.equal(pc.floor(pc.divide(third["ra"], 90.0)), float(quarter))
        assert pc.any(inside).as_py()
    assert pc.max(third["dec"]).as_py() < -89.9


def test_progress_goes_to_stderr(tmp_path, capsys):
    tiny = {"sources": 5, "image_size_px": 64, "seed": 1}
    write_mock(tmp_path / "new", fields=1, **tiny, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "SPLUS-s02s05 (1 of 1)\n"


def test_size_of_the_cutouts_is_in_the_configuration(tmp_path):
    write_mock(tmp_path / "mock", fields=1, sources=8, image_size_px=80, seed=1, cutout_size_px=24)
    settings = yaml.safe_load((tmp_path / "mock" / "hypercube.yaml").read_text())
    assert settings["cutouts"] == {"size_px": 24, "rows": "all"}
    with pytest.raises(ConfigurationError, match="--cutout-size"):
        write_mock(tmp_path / "no", fields=1, sources=8, image_size_px=80, seed=1, cutout_size_px=0)
