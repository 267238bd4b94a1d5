"""What `validate` says of inputs: sound ones, and each with one fault."""

from __future__ import annotations

import json

import pytest
from surveytree import FIELD

from splus_hypercube.__main__ import main


def validate(tree, capsys, status=0):
    capsys.readouterr()
    assert main(["validate", str(tree.config), "--json"]) == status
    return json.loads(capsys.readouterr().out)


def test_sound_inputs_and_nothing_is_built(tree, capsys):
    report = validate(tree, capsys)
    assert report["problems"] == []
    assert report["num_fields"] == 1
    (field,) = report["fields"]
    assert (field["field"], field["rows"], field["epoch_jyear"]) == (FIELD, 16, 2019.5)
    # DESI: two coadds, one of them with a redrock file.
    assert field["files"]["desi"] == 3
    assert {field["files"][name] for name in ("gaia", "gaiaxp", "apogee", "vista")} <= {1}
    assert field["bands_without_image"] == []
    assert not tree.output.exists()
    assert main(["validate", str(tree.config)]) == 0
    assert f"{FIELD}: 16 sources; files: gaia 1" in capsys.readouterr().out
    assert main(["build", "--config", str(tree.config), "-q"]) == 0
    capsys.readouterr()
    assert validate(tree, capsys)["columns"] == report["columns"]


def test_a_band_without_an_image_is_said_and_is_no_problem(make_tree, capsys):
    tree = make_tree(bands=("R", "G"))
    (field,) = validate(tree, capsys)["fields"]
    assert len(field["bands_without_image"]) == 10


def no_vista(tree):
    (tree.root / f"vista/{FIELD}.parquet").unlink()


def no_gaia(tree):
    for path in (tree.root / "gaia_dr3").iterdir():
        path.unlink()


def no_catalogue(tree):
    (tree.root / f"main/{FIELD}_dual.fits").unlink()


def column_that_is_not_there(tree):
    tree.write_config(cutouts={"rows": "mag_auto_r < 20"})


def centre_elsewhere(tree):
    (tree.root / "fields.csv").write_text(f"field,ra,dec\n{FIELD},{tree.ra + 10},{tree.dec}\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_vista, f"vista/{FIELD}.parquet"),
        (no_gaia, "GaiaSource_<first>-<last>.csv.gz"),
        (no_catalogue, f"{FIELD}_dual.fits"),
        (column_that_is_not_there, "no column mag_auto_r"),
        (centre_elsewhere, "from the field's centre"),
    ],
)
def test_each_fault_is_a_problem(tree, capsys, spoil, said):
    spoil(tree)
    problems = validate(tree, capsys, status=1)["problems"]
    assert any(said in problem for problem in problems), problems
    assert not any("\n" in problem for problem in problems)
    assert main(["validate", str(tree.config)]) == 1
    assert "problem: " in capsys.readouterr().out


def test_a_wrong_selection_is_a_configuration_error(tree, capsys):
    tree.write_config(cutouts={"rows": "mag_pstotal_r <"})
    assert main(["validate", str(tree.config)]) == 2
    assert "cutouts.rows" in capsys.readouterr().err
