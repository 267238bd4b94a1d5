from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from iqaframes import star_field, write_mef

from astro_common.parquet import read_metadata
from cfht_iqa.mock.ccd import FULL_SHAPE
from cfht_iqa.report.representatives_hdf5 import write_hdf5
from cfht_iqa.representatives import schema
from cfht_iqa.som import load_map


@pytest.fixture(scope="module")
def rows(chain):
    return pq.read_table(chain.rep / "representatives.parquet").to_pylist()


def test_columns_and_shares(chain, rows):
    table = pq.read_table(chain.rep / "representatives.parquet")
    assert table.column_names == [
        *("exposure", "ccd", "image", "cluster_hits", "node_hits", "n_sources"),
        *("cutout_x", "cutout_y", "cutout_background"),
    ]
    assert len(rows) == 40
    for row in rows:
        assert len(row["image"]) == 25 * 500
        assert len(row["cluster_hits"]) == 20
        assert len(row["node_hits"]) == 42
        assert sum(row["cluster_hits"]) == pytest.approx(1.0)
        assert sum(row["node_hits"]) == pytest.approx(1.0)


def test_what_is_synthetic_stays_marked_and_nothing_else_is(run, chain, exposure, tmp_path):
    catalogue, som = tmp_path / "c.parquet", tmp_path / "som"
    for words in (
        ("extract", exposure, "--output", tmp_path),
        ("catalogue", tmp_path / "1234567o.cat.fits", "--output", catalogue),
        ("train-som", catalogue, "--output", som, "--height", 4, "--width", 5),
    ):
        assert run(*words)[0] == 0
    assert read_metadata(chain.catalogue)["synthetic"] is True
    assert load_map(chain.som).record["synthetic"] is True
    assert read_metadata(chain.rep / "representatives.parquet")["synthetic"] is True
    assert read_metadata(catalogue)["synthetic"] is False
    assert load_map(som).record["synthetic"] is False


def test_image_is_raw_minus_background_at_the_largest_eligible_source(chain, rows):
    catalogue = pq.read_table(chain.catalogue).to_pandas()
    trained = load_map(chain.som)
    groups = trained.node_cluster.ravel()
    row = rows[7]
    own = catalogue[(catalogue.exposure == row["exposure"]) & (catalogue.ccd == row["ccd"])]
    own = own.reset_index(drop=True)
    assert row["n_sources"] == len(own)
    features = {name: own[name].to_numpy(float) for name in trained.scaling.features}
    nodes = trained.nodes(features, np.zeros(len(own), np.intp))
    shares = np.bincount(nodes, minlength=42) / len(own)
    assert row["node_hits"] == pytest.approx(shares)
    clusters = groups[nodes]
    assert row["cluster_hits"] == pytest.approx(np.bincount(clusters, minlength=20) / len(own))
    path = next(item for item in chain.exposures if item.name.startswith(row["exposure"]))
    with fits.open(path) as file:
        pixels = file[row["ccd"]].data[:448, 32 : 32 + 384].astype(float)
    image = np.array(row["image"]).reshape(25, 500)
    column = np.floor(own.x_image - 0.5).astype(int)
    line = np.floor(own.y_image - 0.5).astype(int)
    inside = (column >= 12) & (column <= 384 - 13) & (line >= 12) & (line <= 448 - 13)
    n_filled = 0
    for cluster in range(20):
        tile = image[:, 25 * cluster : 25 * cluster + 25]
        members = own[(clusters == cluster) & inside]
        if not len(members):
            assert row["cutout_x"][cluster] is None
            assert row["cutout_y"][cluster] is None
            assert not tile.any()
            continue
        n_filled += 1
        best = members.iso0.astype(int).idxmax()
        assert row["cutout_x"][cluster] == own.x_image[best]
        assert row["cutout_y"][cluster] == own.y_image[best]
        level = own.background[best]
        assert row["cutout_background"][cluster] == pytest.approx(level)
        x, y = column[best], line[best]
        expected = pixels[y - 12 : y + 13, x - 12 : x + 13] - level
        assert tile == pytest.approx(expected, abs=0.01)
    assert n_filled >= 4


def test_edges_decide_who_is_eligible(run, tmp_path):
    """A source whose middle pixel is 12 pixels from the edge is in, one at 11 is out."""
    image = np.random.default_rng(0).normal(300.0, 5.0, (200, 200))
    y, x = np.mgrid[:200, :200]
    for px, py, peak in [(12, 60, 3000), (11, 120, 9000), (187, 150, 4000), (188, 30, 9000)]:
        image += peak * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.5**2))
    path = write_mef(tmp_path / "1o.fits", {"ccd00": image})
    assert run("extract", path, "--output", tmp_path)[0] == 0
    catalogue = tmp_path / "c.parquet"
    assert run("catalogue", tmp_path / "1o.cat.fits", "--output", catalogue)[0] == 0
    words = ["--features", "iso0,y_image", "--height", 2, "--width", 2, "--clusters", 4]
    assert run("train-som", catalogue, "--output", tmp_path / "som", *words)[0] == 0
    words = ["--catalogue", catalogue, "--som", tmp_path / "som", "--output", tmp_path / "rep"]
    assert run("represent", path, *words)[0] == 0
    (row,) = pq.read_table(tmp_path / "rep" / "representatives.parquet").to_pylist()
    chosen = {round(value) for value in row["cutout_x"] if value is not None}
    assert chosen <= {13, 188}
    assert chosen
    assert row["n_sources"] >= 4


@pytest.mark.parametrize("pick", ["centroid", "random"])
def test_picks(run, chain, tmp_path, pick):
    words = ["--catalogue", chain.catalogue, "--som", chain.som, "--pick", pick]
    one, two = chain.exposures[:2]
    assert run("represent", one, two, *words, "--output", tmp_path / "a", "--seed", 1)[0] == 0
    assert run("represent", two, one, *words, "--output", tmp_path / "b", "--seed", 1)[0] == 0
    assert run("represent", one, two, *words, "--output", tmp_path / "c", "--seed", 2)[0] == 0
    a, b, c = (
        sorted(
            pq.read_table(tmp_path / name / "representatives.parquet").to_pylist(),
            key=lambda row: (row["exposure"], row["ccd"]),
        )
        for name in "abc"
    )
    assert a == b
    assert (a == c) is (pick == "centroid")


def test_ccd_without_sources_has_a_row_and_no_hits(run, tmp_path):
    blank = np.random.default_rng(1).normal(300.0, 5.0, (200, 200))
    path = write_mef(tmp_path / "1o.fits", {"ccd00": star_field(1), "ccd01": blank})
    assert run("extract", path, "--output", tmp_path)[0] == 0
    catalogue = tmp_path / "c.parquet"
    assert run("catalogue", tmp_path / "1o.cat.fits", "--output", catalogue)[0] == 0
    assert run("train-som", catalogue, "--output", tmp_path / "som", "--epochs", 2)[0] == 0
    words = ["--catalogue", catalogue, "--som", tmp_path / "som", "--output", tmp_path / "rep"]
    assert run("represent", path, *words, "--png", tmp_path / "png")[0] == 0
    rows = pq.read_table(tmp_path / "rep" / "representatives.parquet").to_pylist()
    assert rows[1]["n_sources"] == 0
    assert rows[1]["cluster_hits"] is None
    assert not any(rows[1]["image"])
    assert set(rows[1]["cutout_x"]) == {None}
    assert (tmp_path / "png" / "1o.png").stat().st_size > 5000


def test_exposure_that_is_not_in_the_catalogue(run, chain, exposure, tmp_path):
    words = ["--catalogue", chain.catalogue, "--som", chain.som, "--output", tmp_path]
    status, _, err = run("represent", exposure, chain.exposures[0], *words)
    assert status == 3
    assert "no source of exposure 1234567o" in err
    assert "1234567o" in (tmp_path / "failures.jsonl").read_text()
    status, _, err = run("represent", exposure, *words, "--overwrite")
    assert status == 1


def test_representative_image_is_far_smaller_than_the_ccd():
    """The image and the hits of a map of 15 x 15 nodes, against the pixels of a CCD."""
    kinds = [field.type for field in schema(20, 225)]
    size = sum(kind.list_size for kind in kinds if hasattr(kind, "list_size"))
    assert FULL_SHAPE[0] * FULL_SHAPE[1] / size > 700


def test_hdf5_holds_what_parquet_holds(run_json, run, chain, tmp_path, rows):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    words = ["--catalogue", chain.catalogue, "--som", chain.som, "--output", tmp_path, "--hdf5"]
    status, result = run_json("represent", *chain.exposures, *words)
    assert status == 0
    with h5py.File(result["hdf5"]) as file:
        assert file["image"].shape == (40, 25, 500)
        assert file["image"].attrs["unit"] == "count"
        assert file["exposure"].asstr()[:].tolist() == [row["exposure"] for row in rows]
        assert file["n_sources"][:].tolist() == [row["n_sources"] for row in rows]
        for name in ("image", "cluster_hits", "node_hits", "cutout_x", "cutout_background"):
            wanted = np.array([row[name] for row in rows], float).reshape(file[name].shape)
            np.testing.assert_array_equal(file[name][:], wanted.astype(file[name].dtype))
        assert np.isnan(file["cutout_x"][:]).any()
        assert file.attrs["pick"] == '"largest"'
    status, _, err = run("represent", *chain.exposures, *words)
    assert (status, "--overwrite" in err) == (1, True)


def test_hdf5_of_a_ccd_without_hits(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    shape = schema(2, 3)
    rows = [
        {"exposure": "e", "ccd": f"ccd{k}", "image": [float(k)] * 1250, "n_sources": k}
        | {"cluster_hits": [0.5, 0.5] if k else None, "node_hits": [1.0, 0, 0] if k else None}
        | {"cutout_x": [None, 5.0], "cutout_y": [None, 6.0], "cutout_background": [None, 7.0]}
        for k in range(3)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=shape), tmp_path / "r.parquet")
    write_hdf5(tmp_path / "r.parquet", tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5") as file:
        assert np.isnan(file["cluster_hits"][0]).all()
        assert file["cluster_hits"][1].tolist() == [0.5, 0.5]
        assert file["image"][2, 0, 0] == 2.0
        assert np.isnan(file["cutout_y"][0, 0])
