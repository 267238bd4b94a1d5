"""The file opens unchanged in the tools that its readers use."""

from __future__ import annotations

import subprocess
import sys
import warnings

import astropy.table
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.io.votable import parse
from surveytree import DESI_LENGTHS, SurveyTree

from splus_hypercube.__main__ import main

duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
polars = pytest.importorskip("polars", reason="polars is not installed")

BIG = 2**60 + 1


@pytest.fixture(scope="module")
def cubes(tmp_path_factory):
    """Two fields, one without any survey's rows, in one folder."""
    root = tmp_path_factory.mktemp("interoperability")
    output = root / "hypercube"
    trees = [
        SurveyTree(root / "a", field_name="SPLUS-a", settings={"output": str(output)}),
        SurveyTree(
            root / "b",
            field_name="SPLUS-b",
            ra=350.0,
            surveys_have_rows=False,
            settings={"output": str(output)},
        ),
    ]
    for tree in trees:
        tree.write()
        assert main(["build", "--config", str(tree.config), "-q"]) == 0
    return sorted(output.glob("*.parquet"))


def gaia_identifiers(path):
    return pq.read_table(path, columns=["gaia_source_id"])["gaia_source_id"].to_pylist()


def test_pandas_reads_identifiers_as_nullable_integers(cubes):
    for path in cubes:
        frame = pd.read_parquet(path)
        for name in ("gaia_source_id", "ztf_objectid", "desi_TARGETID", "vista_sourceid", "big"):
            assert frame[name].dtype == pd.Int64Dtype(), name
        found = [None if pd.isna(item) else int(item) for item in frame["gaia_source_id"]]
        assert found == gaia_identifiers(path)
    assert len(frame["splus_cut_R"][3]) == 9216


def test_astropy_reads_the_file_with_the_package_alone(cubes):
    for path in cubes:
        table = astropy.table.Table.read(path, format="parquet")
        assert len(table) == 16
        assert table["big"][0] == BIG


def test_polars_reads_many_fields(cubes):
    frame = polars.scan_parquet([str(path) for path in cubes]).select(
        "id", "big", "gaia_source_id", "splus_cut_R", "ztf_objectids"
    )
    frame = frame.collect()
    assert frame.height == 32
    assert frame["gaia_source_id"].dtype == polars.Int64
    assert frame["gaia_source_id"].to_list()[:16] == gaia_identifiers(cubes[0])


def test_duckdb_queries_many_fields(cubes):
    pattern = str(cubes[0].parent / "datacube_*.parquet")
    matched = duckdb.read_parquet(pattern).filter("gaia_source_id is not null").order("big")
    rows = matched.project("id, big, gaia_source_id, len(splus_cut_R)").fetchall()
    assert [row[2] for row in rows] == [item for item in gaia_identifiers(cubes[0]) if item]
    assert {row[3] for row in rows} == {9216}


def test_a_dataset_of_many_fields_has_one_schema(cubes):
    dataset = pa.dataset.dataset([str(path) for path in cubes])
    table = dataset.to_table(filter=pa.dataset.field("vista_n_candidates") > 0)
    assert table.num_rows == 16
    table = dataset.to_table(columns=["splus_cut_Z", "desi_flux_b"])
    assert table.num_rows == 32


def test_the_votable_in_the_footer_describes_the_columns(cubes, tmp_path):
    footer = pq.read_metadata(cubes[0]).metadata
    assert footer[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    path = tmp_path / "schema.xml"
    path.write_bytes(footer[b"IVOA.VOTable-Parquet.content"])
    with warnings.catch_warnings():
        # VOUnits 1.1 would have 0.1nm; people and all tools read Angstrom.
        warnings.filterwarnings("ignore", message="The unit 'Angstrom' has been deprecated")
        table = parse(path, verify="exception").get_first_table()
    assert [field.name for field in table.fields] == pq.read_schema(cubes[0]).names
    fields = {field.name: field for field in table.fields}
    assert fields["gaia_pmra"].unit == units.mas / units.yr
    assert fields["ra"].ucd == "pos.eq.ra;meta.main"
    assert fields["gaia_source_id"].datatype == "long"
    assert fields["splus_cut_R"].datatype == "float"


def test_it_can_be_imported_to_hats(cubes, tmp_path):
    lsdb = pytest.importorskip("lsdb", reason="LSDB is not installed")
    columns = ["id", "ra", "dec", "big", "gaia_source_id", "ztf_mag_g"]
    frame = pd.concat(
        pd.read_parquet(path, columns=columns, dtype_backend="pyarrow") for path in cubes
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LSDB's and Dask's own
        catalogue = lsdb.from_dataframe(frame, ra_column="ra", dec_column="dec")
        catalogue.write_catalog(tmp_path / "hats", catalog_name="cubes")
        back = lsdb.open_catalog(tmp_path / "hats").compute()
    assert sorted(back["big"]) == sorted(frame["big"])
    known = back["gaia_source_id"].dropna()
    assert sorted(int(item) for item in known) == sorted(
        item for item in gaia_identifiers(cubes[0]) if item
    )


def test_wavelengths_are_stored_once_per_row_group(tmp_path):
    tree = SurveyTree(tmp_path / "tree", bands=()).write()
    fibres = [
        {"TARGETID": 7 + k, "type": "TGT", "status": 0, "snr": 9.0}
        | dict(zip(("ra", "dec"), tree.at(k), strict=True))
        for k in range(tree.num_sources)
    ]
    tree.write_coadd(tree.root / "desi/101/20230101/coadd-0-101-thru20230101.fits", fibres, seed=3)
    assert main(["build", "--config", str(tree.config), "-q"]) == 0
    metadata = pq.read_metadata(tree.cube)
    assert metadata.num_row_groups == 1
    names = [metadata.schema.column(k).path.split(".")[0] for k in range(metadata.num_columns)]
    column = metadata.row_group(0).column(names.index("desi_wave_b"))
    assert column.num_values == 16 * DESI_LENGTHS["b"]
    assert "RLE_DICTIONARY" in column.encodings
    # The wavelengths of one row, and for each value of all rows a number of a few bits.
    assert column.total_uncompressed_size < 4 * 8 * DESI_LENGTHS["b"]


def test_two_workers_and_a_dask_cluster_give_the_same_bytes(tmp_path):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    tree = SurveyTree(tmp_path / "tree").write()
    options = ["build", "--config", str(tree.config), "-q"]
    outputs = {name: tmp_path / name for name in ("one", "two", "dask")}
    assert main([*options, "--out", str(outputs["one"])]) == 0
    # A process of its own: workers are started from the main module.
    command = [sys.executable, "-m", "splus_hypercube", *options]
    subprocess.run([*command, "--out", str(outputs["two"]), "--workers", "2"], check=True)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        scheduler = ["--scheduler", cluster.scheduler_address]
        assert main([*options, "--out", str(outputs["dask"]), *scheduler]) == 0
    contents = [
        path.read_bytes() for folder in outputs.values() for path in folder.glob("*.parquet")
    ]
    assert len(contents) == 3
    assert len(set(contents)) == 1
