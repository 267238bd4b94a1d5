from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.cluster import MiniBatchKMeans as Peer
from sklearn.utils.estimator_checks import check_estimator

from astromodal_tokenizers.quantizers import MiniBatchKMeans, nearest_centroids


def blobs(count=4000, centers=12, dimensions=3, seed=0):
    random = np.random.default_rng(seed)
    places = random.uniform(-30.0, 30.0, (centers, dimensions))
    points = places[random.integers(centers, size=count)]
    return (points + random.normal(0.0, 0.3, points.shape)).astype(np.float32)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 16])
@pytest.mark.parametrize("count", [1, 7, 700, 30_000])
@pytest.mark.parametrize("centroids", [1, 5, 64, 700])
def test_nearest_is_nearest(dimensions, count, centroids):
    random = np.random.default_rng(count + centroids)
    points = torch.from_numpy(random.standard_t(2.0, (count, dimensions)) + 1000.0)
    places = torch.from_numpy(random.standard_t(2.0, (centroids, dimensions)) + 1000.0)
    found = nearest_centroids(points, places)
    best = torch.cat(
        [
            torch.cdist(part, places, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1)
            for part in points.split(4096)
        ]
    )
    distance = (points - places[found]).norm(dim=1)
    assert torch.allclose(distance, best, rtol=1e-6, atol=1e-9)


def test_nearest_in_two_dimensions_with_equal_and_distant_centroids():
    random = np.random.default_rng(1)
    places = random.normal(size=(400, 2)).astype(np.float32)
    places[:50] = places[50]  # equal
    places[60] = (1e4, -1e4)
    points = np.concatenate([random.normal(size=(30_000, 2)), random.uniform(-2e4, 2e4, (3000, 2))])
    points = torch.from_numpy(points.astype(np.float32))
    found = nearest_centroids(points, torch.from_numpy(places))
    best = torch.cdist(
        points.double(),
        torch.from_numpy(places).double(),
        compute_mode="donot_use_mm_for_euclid_dist",
    ).amin(dim=1)
    distance = (points.double() - torch.from_numpy(places)[found].double()).norm(dim=1)
    assert torch.allclose(distance, best, rtol=1e-4, atol=1e-4)


def test_no_points_have_no_nearest():
    assert nearest_centroids(torch.empty(0, 3), torch.zeros(2, 3)).shape == (0,)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_scikit_learn_accepts_the_estimator():
    found = check_estimator(MiniBatchKMeans(n_clusters=3, random_state=0), on_fail=None)
    failed = {item["check_name"]: item["exception"] for item in found if item["status"] == "failed"}
    assert failed == {}
    assert sum(item["status"] == "passed" for item in found) > 30


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_inertia_is_that_of_a_good_clustering(init):
    points = blobs()
    model = MiniBatchKMeans(12, batch_size=512, init=init, random_state=3, max_iter=30).fit(points)
    best = KMeans(12, n_init=10, random_state=0).fit(points).inertia_
    worst = 1.02 if init == "k-means++" else 60.0  # a random start may miss a cluster
    assert model.inertia_ < worst * best
    assert model.inertia_ == pytest.approx(-model.score(points), rel=1e-6)


def test_inertia_is_not_above_that_of_scikit_learn_for_large_codebooks():
    points = np.random.default_rng(2).standard_t(3.0, (20_000, 2)).astype(np.float32)
    ours = MiniBatchKMeans(256, random_state=0, compute_labels=False).fit(points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = Peer(256, random_state=0, n_init=1, compute_labels=False).fit(points)
    assert -ours.score(points) < -peer.score(points)


def test_every_code_of_a_large_codebook_is_used():
    random = np.random.default_rng(5)
    points = np.concatenate([random.normal(size=(20_000, 2)), random.normal(50, 9, (500, 2))])
    model = MiniBatchKMeans(512, random_state=1, max_iter=8, max_no_improvement=None)
    model.fit(points.astype(np.float32))
    assert len(np.unique(model.labels_)) > 0.98 * 512


def test_centroids_that_nobody_uses_are_revived():
    points = blobs(centers=4)
    start = np.full((6, 3), 1e6, dtype=np.float32)
    start[0] = 0.0
    model = MiniBatchKMeans(6, batch_size=256, init=start, random_state=0, max_no_improvement=None)
    model.set_params(max_iter=40).fit(points)
    assert len(np.unique(model.labels_)) == 6


def test_the_same_seed_gives_the_same_and_another_one_does_not():
    points = blobs()
    first, again, other = (
        MiniBatchKMeans(20, random_state=seed).fit(points).cluster_centers_ for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_partial_fits_come_close_to_a_fit():
    points = blobs()
    model = MiniBatchKMeans(12, random_state=0)
    for part in np.array_split(points, 20):
        model.partial_fit(part)
    assert -model.score(points) < 1.5 * MiniBatchKMeans(12, random_state=0).fit(points).inertia_


def test_predict_and_transform_agree():
    points = blobs(500)
    model = MiniBatchKMeans(9, random_state=0).fit(points)
    assert np.array_equal(model.transform(points).argmin(axis=1), model.predict(points))
    assert model.predict(points[:1])[0] == model.predict(points)[0]  # a batch of one


def test_data_are_left_alone():
    points = blobs(300)
    before = points.copy()
    points.setflags(write=False)
    MiniBatchKMeans(5, random_state=0).fit(points)
    assert np.array_equal(points, before)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"n_clusters": 0}, "n_clusters"),
        ({"n_clusters": 500}, "n_samples"),
        ({"init": "clever"}, "init"),
        ({"init": np.zeros((3, 9))}, "init"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_wrong_settings_are_named(settings, part):
    with pytest.raises(ValueError, match=part):
        MiniBatchKMeans(**{"n_clusters": 8, **settings}).fit(blobs(100))
