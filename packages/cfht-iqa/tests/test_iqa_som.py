from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minisom import MiniSom
from safetensors.numpy import load_file

from cfht_iqa.som import SelfOrganizingMap, load_map
from cfht_iqa.som.clustering import cluster_nodes
from cfht_iqa.som.minisom_engine import from_minisom, read_weights, to_minisom, write_weights
from cfht_iqa.som.topology import are_neighbours


def blobs(n=3000, n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    middles = rng.normal(0, 3, (6, n_features))
    return (middles[rng.integers(0, 6, n)] + rng.normal(0, 0.6, (n, n_features))).astype(np.float32)


def brute(data, weights):
    return ((data[:, None, :].astype(float) - weights[None].astype(float)) ** 2).sum(-1)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 700),
    nodes=st.integers(1, 40),
    offset=st.floats(-1e4, 1e4),
    seed=st.integers(0, 99),
)
def test_nearest_node_is_that_of_brute_force(n, nodes, offset, seed):
    rng = np.random.default_rng(seed)
    data = (rng.normal(0, 1, (n, 5)) + offset).astype(np.float32)
    weights = (rng.normal(0, 1, (1, nodes, 5)) + offset).astype(np.float32)
    som = SelfOrganizingMap(1, nodes).set_weights(weights)
    distance = brute(data, weights[0])
    chosen = distance[np.arange(n), som.predict(data)]
    assert chosen == pytest.approx(distance.min(axis=1), rel=1e-4, abs=1e-4)


def test_errors_and_hits_are_those_of_minisom():
    data = blobs()
    som = SelfOrganizingMap(6, 5, epochs=6).fit(data)
    peer = to_minisom(som)
    wide = data.astype(float)
    assert som.quantisation_error(data) == pytest.approx(peer.quantization_error(wide), rel=1e-5)
    assert som.topographic_error(data) == pytest.approx(peer.topographic_error(wide), abs=0.002)
    assert np.array_equal(som.hits(data), peer.activation_response(wide))
    assert som.u_matrix().shape == peer.distance_map().shape
    back = from_minisom(peer)
    assert np.array_equal(back.weights_, som.weights_)


@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
@pytest.mark.parametrize("start", ["pca", "random"])
def test_no_worse_than_minisom_for_as_many_presentations(topology, start):
    data = blobs(4000, 5)
    som = SelfOrganizingMap(5, 4, topology=topology, initialisation=start, epochs=10).fit(data)
    peer = SelfOrganizingMap(
        5, 4, topology=topology, initialisation=start, epochs=10, engine="minisom"
    ).fit(data)
    assert som.n_presented_ == peer.n_presented_ == 40_000
    assert som.quantisation_error(data) <= peer.quantisation_error(data) * 1.001


def test_map_is_ordered():
    """Neighbouring nodes are more alike than nodes in random order."""
    rng = np.random.default_rng(2)
    data = rng.uniform(0, 1, (5000, 2)).astype(np.float32)
    som = SelfOrganizingMap(8, 8, epochs=15).fit(data)
    assert som.topographic_error(data) < 0.1
    flat = som.weights_.reshape(64, 2)
    touching = are_neighbours(8, 8, "rectangular")
    distance = np.sqrt(brute(flat, flat))
    assert distance[touching].mean() < 0.5 * distance.mean()


def test_threads_and_seed():
    data = blobs(150_000, 3)
    one = SelfOrganizingMap(4, 4, epochs=2, threads=1).fit(data)
    two = SelfOrganizingMap(4, 4, epochs=2, threads=2).fit(data)
    assert np.array_equal(one.weights_, two.weights_)
    assert np.array_equal(one.predict(data), two.predict(data))
    other = SelfOrganizingMap(4, 4, epochs=2, initialisation="random", seed=1).fit(data)
    again = SelfOrganizingMap(4, 4, epochs=2, initialisation="random", seed=1).fit(data)
    assert np.array_equal(other.weights_, again.weights_)


def test_interface_of_scikit_learn():
    data = blobs(500)
    som = SelfOrganizingMap(3, 4, epochs=3)
    assert som.get_params()["epochs"] == 3
    assert som.fit(data).predict(data).shape == (500,)
    distances = som.fit(data).transform(data)
    assert distances.shape == (500, 12)
    assert distances == pytest.approx(np.sqrt(brute(data, som.weights_.reshape(12, 4))), abs=1e-3)
    assert np.array_equal(distances.argmin(axis=1), som.predict(data))


def test_partial_fit_goes_on():
    data = blobs(4000)
    som = SelfOrganizingMap(4, 4, epochs=5).partial_fit(data[:2000])
    before = som.quantisation_error(data[2000:])
    for _ in range(3):
        som.partial_fit(data[2000:])
    assert som.quantisation_error(data[2000:]) <= before * 1.01
    assert som.n_presented_ == 5 * 2000 + 3 * 2000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.empty((0, 3)), "shape"),
        (np.ones(5), "shape"),
        (np.array([[1.0, np.nan]]), "finite"),
    ],
)
def test_bad_data_are_refused(data, words):
    with pytest.raises(ValueError, match=words):
        SelfOrganizingMap(2, 2).fit(data)


def test_hexagonal_neighbours():
    touching = are_neighbours(5, 5, "hexagonal")
    assert touching[12].sum() == 6
    assert are_neighbours(5, 5, "rectangular")[12].sum() == 8
    assert np.array_equal(touching, touching.T)


def test_constant_data_do_no_harm():
    som = SelfOrganizingMap(3, 3, epochs=3).fit(np.full((50, 2), 7.0))
    assert som.quantisation_error(np.full((5, 2), 7.0)) == pytest.approx(0.0, abs=1e-5)


def test_groups_of_nodes():
    som = SelfOrganizingMap(8, 6, epochs=4).fit(blobs())
    groups = cluster_nodes(som.weights_, 20)
    assert sorted(set(groups.ravel())) == list(range(20))
    means = [som.weights_[groups == k][:, 0].mean() for k in range(20)]
    assert means == sorted(means)
    direct = SelfOrganizingMap(4, 5, epochs=2).fit(blobs())
    assert np.array_equal(cluster_nodes(direct.weights_, 20).ravel(), np.arange(20))


def test_weights_of_minisom_from_and_to_a_file(tmp_path):
    peer = MiniSom(4, 3, 2, random_seed=1)
    np.save(tmp_path / "w.npy", peer.get_weights())
    som = read_weights(tmp_path / "w.npy")
    assert som.weights_ == pytest.approx(peer.get_weights(), abs=1e-6)
    write_weights(som, tmp_path / "again.npy")
    assert np.load(tmp_path / "again.npy") == pytest.approx(peer.get_weights(), abs=1e-6)
    np.save(tmp_path / "bad.npy", np.array([object()]))
    with pytest.raises(Exception, match="no weights of a map"):
        read_weights(tmp_path / "bad.npy")


@pytest.fixture
def catalogue(tmp_path):
    rng = np.random.default_rng(4)
    n = 2500
    table = pa.table(
        {
            "exposure": [f"{i // 500}o" for i in range(n)],
            "ccd": [f"ccd{i // 250 % 2:02d}" for i in range(n)],
            "a": rng.normal(0, 1, n),
            "iso0": rng.integers(5, 300, n),
            "ellipticity": rng.uniform(0, 1, n).astype(np.float32),
            "background": rng.normal(1000, 20, n).astype(np.float32),
            "class_star": rng.uniform(0, 1, n).astype(np.float32),
        }
    )
    pq.write_table(table, tmp_path / "c.parquet")
    return tmp_path / "c.parquet"


@pytest.mark.parametrize("engine", ["native", "minisom"])
def test_train_som_writes_what_was_promised(run_json, catalogue, tmp_path, engine):
    words = ["--features", "iso0,ellipticity", "--scale", "none", "--height", 5, "--width", 6]
    words += ["--clusters", 20, "--epochs", 4, "--seed", 3, "--engine", engine]
    out = tmp_path / "som"
    status, result = run_json("train-som", catalogue, "--output", out, *words)
    assert status == 0
    tensors = load_file(out / "som.safetensors")
    weights = tensors["weights"]
    assert weights.shape == (5, 6, 2)
    assert set(tensors["node_cluster"].ravel()) == set(range(20))
    assert json.loads((out / "som.json").read_text())["features"] == ["iso0", "ellipticity"]
    table = pq.read_table(catalogue)
    data = np.stack([table["iso0"].to_numpy(), table["ellipticity"].to_numpy()], axis=1)
    distance = np.sqrt(brute(data.astype(np.float32), weights.reshape(30, 2)))
    assert result["quantisation_error"] == pytest.approx(distance.min(axis=1).mean(), rel=1e-4)
    first, second = np.argsort(distance, axis=1)[:, :2].T
    steps = np.abs(np.divmod(first, 6) - np.array(np.divmod(second, 6))).max(axis=0)
    assert result["topographic_error"] == pytest.approx((steps > 1).mean(), abs=0.003)
    assert np.array_equal(np.ravel(result["hits"]), np.bincount(first, minlength=30))
    assert result["n_samples"] == 2500
    assert result["n_presented"] == 10_000


def test_default_scale_has_unit_variance(run, catalogue, tmp_path):
    assert run("train-som", catalogue, "--output", tmp_path / "som", "--epochs", 2)[0] == 0
    trained = load_map(tmp_path / "som")
    table = pq.read_table(catalogue)
    columns = {name: table[name].to_numpy().astype(float) for name in trained.scaling.features}
    ccds = np.repeat(np.arange(10), 250)
    values = trained.scaling.apply(columns, ccds)
    assert values.mean(axis=0) == pytest.approx(0.0, abs=1e-3)
    assert values.std(axis=0) == pytest.approx(1.0, abs=1e-3)
    # The background of a CCD is relative to its mean, whatever the level.
    doubled = {**columns, "background": columns["background"] * 2}
    assert trained.scaling.apply(doubled, ccds) == pytest.approx(values, abs=1e-4)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--features", "colour"], 2, "colour"),
        (["--features", "iso0,iso0"], 2, "each feature once"),
        (["--height", 3, "--width", 3, "--clusters", 20], 2, "9 nodes"),
        (["--features", "elongation"], 1, "elongation"),
    ],
)
def test_wrong_options_are_one_line(run, catalogue, tmp_path, words, status, said):
    found, _, err = run("train-som", catalogue, "--output", tmp_path / "som", *words)
    assert found == status
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "som").exists()


def test_sources_without_a_feature_are_left_out(run_json, catalogue, tmp_path):
    table = pq.read_table(catalogue)
    areas = table["iso0"].to_pylist()
    areas[:100] = [None] * 100
    pq.write_table(table.set_column(3, "iso0", pa.array(areas, pa.int64())), catalogue)
    words = ["--features", "iso0,ellipticity", "--epochs", 1]
    _, result = run_json("train-som", catalogue, "--output", tmp_path / "som", *words)
    assert (result["n_samples"], result["n_incomplete"]) == (2400, 100)


def test_damaged_map_is_one_line(run, catalogue, tmp_path):
    assert run("train-som", catalogue, "--output", tmp_path / "som", "--epochs", 1)[0] == 0
    weights = tmp_path / "som" / "som.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(Exception, match=r"som\.safetensors: cannot be read"):
        load_map(tmp_path / "som")
    status, _, err = run("train-som", catalogue, "--output", tmp_path / "som")
    assert (status, "--overwrite" in err) == (1, True)
