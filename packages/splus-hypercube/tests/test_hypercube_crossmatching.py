from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.time import Time

from splus_hypercube import crossmatching
from splus_hypercube.__main__ import main
from splus_hypercube.catalogues import open_catalogue

BIG = 2**60 + 1


@pytest.fixture
def sky():
    """Two catalogues; half of the left has a counterpart, some have two."""
    rng = np.random.default_rng(9)
    left = Table(
        {
            "name": [f"L{k}" for k in range(300)],
            "number": BIG + np.arange(300),
            "ra": rng.uniform(359.5, 360.5, 300) % 360,
            "dec": rng.uniform(-1, 1, 300),
        }
    )
    near = left[::2]
    right = Table(
        {
            "RA": np.r_[near["ra"], near["ra"][:20]] % 360,
            "Dec": np.r_[near["dec"] + 0.5 / 3600, near["dec"][:20] - 0.3 / 3600],
            "number": BIG + 5000 + np.arange(170),
        }
    )
    return left, right


WRITERS = {
    "fits": lambda table, path: table.write(path),
    "fits.gz": lambda table, path: table.write(path),
    "csv": lambda table, path: table.write(path, format="ascii.csv"),
    "ecsv": lambda table, path: table.write(path, format="ascii.ecsv"),
    "xml": lambda table, path: table.write(path, format="votable"),
    "vot": lambda table, path: table.write(path, format="votable", tabledata_format="binary2"),
    "parquet": lambda table, path: pq.write_table(
        pa.table({name: pa.array(np.asarray(table[name])) for name in table.colnames}),
        path,
        row_group_size=37,
    ),
}


def run(tmp_path, left, right, *options, kinds=("parquet", "parquet"), status=0):
    paths = []
    for side, table, kind in (("left", left, kinds[0]), ("right", right, kinds[1])):
        path = tmp_path / f"{side}.{kind}"
        if not path.exists():
            WRITERS[kind](table, path)
        paths.append(str(path))
    output = tmp_path / "out.parquet"
    assert main(["crossmatch", *paths, "-o", str(output), "-q", *options]) == status
    return pq.read_table(output) if status == 0 else None


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_matches_with_exact_integers(tmp_path, sky, kind):
    matched = run(tmp_path, *sky, "--radius", "1", kinds=(kind, kind))
    assert matched.column_names == [
        "name",
        "number_left",
        "ra_left",
        "dec_left",
        "RA_right",
        "Dec_right",
        "number_right",
        "separation_arcsec",
    ]
    assert matched["number_left"].to_pylist() == [BIG + 2 * k for k in range(150)]
    expected = [BIG + 5000 + (150 + k if k < 20 else k) for k in range(150)]
    assert matched["number_right"].to_pylist() == expected
    separation = matched["separation_arcsec"].to_numpy()
    assert separation == pytest.approx([0.3] * 20 + [0.5] * 130, abs=1e-6)


def test_all_pairs_and_one_to_one(tmp_path, sky):
    pairs = run(tmp_path, *sky, "--radius", "1", "--mode", "all")
    assert pairs.num_rows == 170
    assert pairs["name"].to_pylist()[:3] == ["L0", "L0", "L2"]
    unique = run(tmp_path, *sky, "--radius", "1", "--mode", "one-to-one", "--overwrite")
    assert unique.num_rows == 150
    assert len(set(unique["number_right"].to_pylist())) == 150


def test_more_pairs_than_fit_into_memory_are_refused(tmp_path, sky, capsys, monkeypatch):
    monkeypatch.setattr(crossmatching, "MAX_PAIRS", 1000)
    for mode in ("all", "one-to-one"):
        run(tmp_path, *sky, "--radius", "324000", "--mode", mode, status=2)
        assert "more than 1,000 pairs" in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()
    assert run(tmp_path, *sky, "--radius", "1", "--mode", "all").num_rows == 170


def test_json_says_what_was_done(tmp_path, sky, capsys):
    run(tmp_path, *sky, "--radius", "1", "--json")
    result = json.loads(capsys.readouterr().out)
    assert (result["left_rows"], result["right_rows"], result["matches"]) == (300, 170, 150)


@pytest.mark.parametrize("moving", ["left", "right"])
def test_proper_motions_carry_one_side_to_the_epoch_of_the_other(tmp_path, moving):
    star = SkyCoord(
        10 * units.deg,
        20 * units.deg,
        pm_ra_cosdec=3000 * units.mas / units.yr,
        pm_dec=-4000 * units.mas / units.yr,
        distance=5 * units.pc,
        obstime=Time("J2016.0"),
    )
    later = star.apply_space_motion(new_obstime=Time("J2000.0"))
    catalogue = Table(
        {"ra": [10.0], "dec": [20.0], "pmra": [3000.0], "pmdec": [-4000.0], "parallax": [200.0]}
    )
    other = Table({"ra": [later.ra.deg], "dec": [later.dec.deg]})
    sides = (catalogue, other) if moving == "left" else (other, catalogue)
    epochs = ("2016", "2000") if moving == "left" else ("2000", "2016")
    options = ["--radius", "0.1", "--left-epoch", epochs[0], "--right-epoch", epochs[1]]
    assert run(tmp_path, *sides, *options).num_rows == 1
    assert run(tmp_path, *sides, "--radius", "0.1", "--overwrite").num_rows == 0


def test_other_column_names(tmp_path):
    left = Table({"alpha": [1.0], "delta": [2.0]})
    right = Table({"RAJ2000": [1.0], "DEJ2000": [2.0]})
    names = ["--left-ra", "alpha", "--left-dec", "delta"]
    names += ["--right-ra", "RAJ2000", "--right-dec", "DEJ2000"]
    assert run(tmp_path, left, right, "--radius", "1", *names).num_rows == 1


def test_no_match_gives_an_empty_table_with_all_columns(tmp_path, sky):
    left, right = sky
    right["Dec"] = right["Dec"] + 10.0
    matched = run(tmp_path, left, right, "--radius", "1")
    assert matched.num_rows == 0
    assert "separation_arcsec" in matched.column_names


def test_a_separation_column_of_the_input_is_kept_under_another_name(tmp_path):
    table = Table({"ra": [1.0], "dec": [2.0], "separation_arcsec": [7.0]})
    matched = run(tmp_path, table, Table({"ra": [1.0], "dec": [2.0]}), "--radius", "1")
    assert matched["separation_arcsec_left"].to_pylist() == [7.0]
    assert matched["separation_arcsec"].to_pylist() == [0.0]


def test_an_existing_output_is_kept_without_overwrite(tmp_path, sky, capsys):
    run(tmp_path, *sky, "--radius", "1")
    before = (tmp_path / "out.parquet").read_bytes()
    run(tmp_path, *sky, "--radius", "0.1", status=1)
    assert "out.parquet" in capsys.readouterr().err
    assert (tmp_path / "out.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "status", "part"),
    [
        (["--left-epoch", "2016"], 2, "both"),
        (["--left-epoch", "2016", "--right-epoch", "2000"], 2, "pmra"),
        (["--left-ra", "nonsense"], 1, "no column nonsense"),
    ],
)
def test_wrong_options_are_one_line(tmp_path, sky, capsys, options, status, part):
    run(tmp_path, *sky, "--radius", "1", *options, status=status)
    message = capsys.readouterr().err
    assert part in message
    assert len(message.strip().splitlines()) == 1
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("radius", ["-1", "wide", "nan", "1e9"])
def test_a_wrong_radius_is_a_usage_error(tmp_path, radius):
    with pytest.raises(SystemExit) as caught:
        main(["crossmatch", "a", "b", "--radius", radius, "-o", "c"])
    assert caught.value.code == 2


@pytest.mark.parametrize("epoch", ["nan", "inf", "soon", "2457389.0", "-1"])
def test_an_epoch_that_is_no_julian_year_is_a_usage_error(capsys, epoch):
    """A Julian date in its place would carry stars around the sky, and match nothing."""
    with pytest.raises(SystemExit) as caught:
        main(["crossmatch", "a", "b", "--radius", "1", "-o", "c", "--left-epoch", epoch])
    assert caught.value.code == 2
    assert "Julian year" in capsys.readouterr().err


def test_fits_that_carries_its_own_votable(tmp_path, sky):
    """TOPCAT and STILTS keep a table's VOTable header in the primary HDU of their FITS files."""
    left, right = sky
    described = io.BytesIO()
    left[:0].write(described, format="votable")
    primary = fits.PrimaryHDU(np.frombuffer(described.getvalue(), np.uint8))
    fits.HDUList([primary, fits.table_to_hdu(left)]).writeto(tmp_path / "left.fits")
    matched = run(tmp_path, left, right, "--radius", "1", kinds=("fits", "parquet"))
    assert matched.num_rows == 150


def test_ecsv_that_mentions_a_votable(tmp_path, sky):
    left, right = sky
    left.meta["comments"] = ["converted from a VOTABLE"]
    assert run(tmp_path, left, right, "--radius", "1", kinds=("ecsv", "fits")).num_rows == 150


def test_parquet_with_a_name_twice_is_one_line(tmp_path, sky, capsys):
    names = ["ra", "dec", "flux", "flux"]
    table = pa.Table.from_arrays([pa.array([1.0])] * 4, names=names)
    pq.write_table(table, tmp_path / "left.parquet")
    run(tmp_path, *sky, "--radius", "1", status=1)
    message = capsys.readouterr().err
    assert "left.parquet" in message
    assert "flux" in message
    assert len(message.strip().splitlines()) == 1


def test_votable_column_of_complex_numbers_is_one_line(tmp_path, sky, capsys):
    left, right = sky
    left["visibility"] = np.full(300, 1.0 + 2.0j)
    run(tmp_path, left, right, "--radius", "1", kinds=("xml", "fits"), status=1)
    message = capsys.readouterr().err
    assert "left.xml" in message
    assert "visibility" in message
    assert len(message.strip().splitlines()) == 1


@pytest.mark.parametrize("kind", ["parquet", "csv", "fits"])
def test_columns_are_kept_where_a_suffix_makes_a_name_that_is_taken(tmp_path, kind):
    Table({"ra": [1.0], "dec": [2.0], "ra_right": [7.0]}).write(tmp_path / "left.fits")
    Table({"ra": [1.0], "dec": [2.0]}).write(tmp_path / "right.fits")
    output = tmp_path / f"out.{kind}"
    words = [str(tmp_path / "left.fits"), str(tmp_path / "right.fits"), "--radius", "1"]
    assert main(["crossmatch", *words, "-o", str(output), "-q"]) == 0
    with open_catalogue(output) as catalogue:
        table = catalogue.read()
    assert table.num_columns == 6
    assert table["ra_right"].to_pylist() == [7.0]
    assert table["ra_right_right"].to_pylist() == [1.0]


@pytest.mark.parametrize("kind", ["fits", "parquet", "ecsv", "xml", "csv"])
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, sky, capsys, kind):
    left, right = sky
    WRITERS[kind](left, tmp_path / f"left.{kind}")
    path = tmp_path / f"left.{kind}"
    path.write_bytes(path.read_bytes()[: 2 * path.stat().st_size // 3] + b"\x00,\xff")
    run(tmp_path, left, right, "--radius", "1", kinds=(kind, "parquet"), status=1)
    message = capsys.readouterr().err
    assert f"left.{kind}" in message
    assert len(message.strip().splitlines()) == 1


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "fits.gz"])
def test_output_has_the_format_that_its_name_asks_for(tmp_path, sky, kind):
    left, right = sky
    # A missing text and a missing identifier must not become a value.
    left["number"] = MaskedColumn(left["number"], mask=np.arange(300) == 2)
    left["name"] = MaskedColumn(left["name"], mask=np.arange(300) == 4)
    left["ra"].unit = units.deg
    expected = run(tmp_path, left, right, "--radius", "1", kinds=("fits", "fits"))
    output = tmp_path / f"matched.{kind}"
    words = [str(tmp_path / "left.fits"), str(tmp_path / "right.fits"), "--radius", "1", "-q"]
    assert main(["crossmatch", *words, "-o", str(output)]) == 0
    with open_catalogue(output) as catalogue:
        table = catalogue.read()
    assert table.column_names == expected.column_names
    for name in ("number_left", "number_right"):
        assert table[name].to_pylist() == expected[name].to_pylist()
    assert table["number_left"].null_count == 1
    assert np.allclose(table["separation_arcsec"], expected["separation_arcsec"], atol=1e-12)
    texts = [[text or None for text in side["name"].to_pylist()] for side in (table, expected)]
    assert texts[0] == texts[1]
    if kind in ("fits", "vot", "xml", "ecsv"):
        assert Table.read(output)["ra_left"].unit == units.deg


@pytest.mark.parametrize(("name", "found"), [("out.txt", "'.txt'"), ("out", "'nothing'")])
def test_output_of_an_unknown_format_is_refused_before_any_work(tmp_path, sky, capsys, name, found):
    words = ["no.fits", "no.fits", "--radius", "1", "-o", str(tmp_path / name)]
    assert main(["crossmatch", *words]) == 2
    assert f"the ending {found}; expected one of .parquet" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_list_column_is_named_where_the_format_cannot_hold_it(tmp_path, sky, capsys):
    left, right = sky
    left["lags"] = np.arange(600.0).reshape(300, 2)
    left.write(tmp_path / "left.fits")
    right.write(tmp_path / "right.fits")
    words = [str(tmp_path / "left.fits"), str(tmp_path / "right.fits"), "--radius", "1"]
    assert main(["crossmatch", *words, "-o", str(tmp_path / "out.csv")]) == 1
    assert "column lags" in capsys.readouterr().err
    assert not list(tmp_path.glob("*out.csv*"))
    assert main(["crossmatch", *words, "-o", str(tmp_path / "out.fits")]) == 0
    made = Table.read(tmp_path / "out.fits")
    assert made["lags"].shape == (150, 2)
    assert np.array_equal(made["lags"], left["lags"][::2])


def match_with_itself(folder, values, kind):
    """Match three rows with themselves, the left ones with a column of values; the exit status."""
    places = {"ra": [1.0, 2.0, 3.0], "dec": [0.0, 0.0, 0.0]}
    pq.write_table(pa.table({**places, "value": values}), folder / "left.parquet")
    pq.write_table(pa.table(places), folder / "right.parquet")
    paths = [str(folder / "left.parquet"), str(folder / "right.parquet")]
    return main(["crossmatch", *paths, "--radius", "1", "-o", str(folder / f"out.{kind}"), "-q"])


COLUMNS = {
    "int8": pa.array([1, None, -3], pa.int8()),
    "uint8": pa.array([1, None, 255], pa.uint8()),
    "uint16": pa.array([1, None, 2**16 - 1], pa.uint16()),
    "uint32": pa.array([1, None, 2**32 - 1], pa.uint32()),
    "float16": pa.array([1.5, None, -2.0], pa.float16()),
    "boolean": pa.array([True, False, True]),
    "boolean with a null": pa.array([True, None, False]),
}


@pytest.mark.parametrize("kind", ["fits", "csv", "ecsv", "xml"])
@pytest.mark.parametrize("name", COLUMNS)
def test_values_and_nulls_of_every_type_survive_every_format(tmp_path, name, kind):
    expected = COLUMNS[name].to_pylist()
    assert match_with_itself(tmp_path, COLUMNS[name], kind) == 0
    with open_catalogue(tmp_path / f"out.{kind}") as catalogue:
        found = catalogue.read()["value"].to_pylist()
    found = [None if item is None or item != item else item for item in found]
    assert found == expected


@pytest.mark.parametrize("kind", ["fits", "ecsv", "xml"])
def test_units_that_no_standard_has_are_kept_without_a_word(tmp_path, capsys, kind):
    """The Gaia archive has such units; a line for each column would bury what matters."""
    units_of = {"flux": "'electron'.s**-1", "logg": "log(cm.s**-2)"}
    fields = [pa.field(name, pa.float64(), metadata={"unit": u}) for name, u in units_of.items()]
    schema = pa.schema([pa.field("ra", pa.float64()), pa.field("dec", pa.float64()), *fields])
    table = pa.table([[1.0], [2.0], [3.0], [4.0]], schema=schema)
    pq.write_table(table, tmp_path / "left.parquet")
    paths = [str(tmp_path / "left.parquet")] * 2
    output = tmp_path / f"out.{kind}"
    assert main(["crossmatch", *paths, "--radius", "1", "-o", str(output)]) == 0
    assert capsys.readouterr().err == ""
    with open_catalogue(output) as catalogue:
        unit = catalogue.schema.field("flux_left").metadata[b"unit"].decode()
    assert "electron" in unit


def test_votable_of_texts_of_any_length_stays_within_its_memory(tmp_path):
    """astropy's own default writes beyond a buffer; Python's debug allocator then ends it."""
    count = 600
    table = pa.table({"ra": np.arange(count) / 10.0, "dec": np.zeros(count)})
    texts = pa.array(["x" * length for length in range(count)])
    pq.write_table(table.append_column("text", texts), tmp_path / "left.parquet")
    pq.write_table(table, tmp_path / "right.parquet")
    paths = [tmp_path / "left.parquet", tmp_path / "right.parquet"]
    words = [sys.executable, "-m", "splus_hypercube", "crossmatch", *paths, "--radius", "1", "-q"]
    done = subprocess.run(
        [*words, "-o", tmp_path / "out.xml"],
        env={**os.environ, "PYTHONMALLOC": "debug"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with open_catalogue(tmp_path / "out.xml") as catalogue:
        assert catalogue.read()["text"].to_pylist()[1:] == texts.to_pylist()[1:]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array(["\N{ANGSTROM SIGN}", "b", None]), "fits"),
        (pa.array([b"\xff\xfe", b"a", None]), "fits"),
        (pa.array([b"\xff\xfe", b"a", None]), "csv"),
        (pa.array([1, 2, 2**64 - 1], pa.uint64()), "xml"),
    ],
)
def test_column_that_a_format_cannot_hold_is_one_line(tmp_path, capsys, values, kind):
    assert match_with_itself(tmp_path, values, kind) == 1
    message = capsys.readouterr().err
    assert "column value" in message
    assert "write Parquet" in message
    assert len(message.strip().splitlines()) == 1
    assert not list(tmp_path.glob("*out*"))
