from __future__ import annotations

import numpy as np
import pytest

from astro_common.errors import ConfigurationError
from astromodal_tokenizers.quantizers import QUANTIZERS, LFQuantizer, make_quantizer
from astromodal_tokenizers.quantizers.learned import LatticeQuantizer


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    monkeypatch.setattr(LatticeQuantizer, "steps", 200)


@pytest.fixture(scope="module")
def vectors():
    random = np.random.default_rng(0)
    return (random.normal(size=(6000, 3)) * (1.0, 5.0, 0.1)).astype(np.float32)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_codes_are_in_range_and_decode_to_the_table(vectors, name):
    quantizer = make_quantizer(name, 64, seed=1)
    quantizer.fit(vectors)
    codes = quantizer.encode(vectors)
    assert codes.shape == (6000,)
    assert codes.min() >= 0
    assert codes.max() < quantizer.size == 64
    assert np.array_equal(quantizer.decode(codes), quantizer.codebook[codes])
    spread = np.std(vectors, axis=0)
    error = (quantizer.decode(codes) - vectors) / spread
    assert np.sqrt(np.mean(error**2)) < 0.9  # better than no information


@pytest.mark.parametrize("name", QUANTIZERS)
def test_saved_and_loaded_gives_the_same_codes(vectors, name):
    quantizer = make_quantizer(name, 32, seed=1)
    quantizer.fit(vectors)
    other = make_quantizer(name, 32)
    other.load(quantizer.tensors())
    assert np.array_equal(other.encode(vectors), quantizer.encode(vectors))
    assert np.array_equal(other.codebook, quantizer.codebook)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_the_same_seed_gives_the_same_codebook(vectors, name):
    books = []
    for _ in range(2):
        quantizer = make_quantizer(name, 16, seed=4)
        quantizer.fit(vectors)
        books.append(quantizer.codebook)
    assert np.array_equal(*books)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_batch_of_one_equals_a_batch_of_many(vectors, name):
    quantizer = make_quantizer(name, 16, seed=4)
    quantizer.fit(vectors)
    many = quantizer.encode(vectors[:20])
    assert [int(quantizer.encode(vectors[n : n + 1])[0]) for n in range(20)] == many.tolist()


@pytest.mark.parametrize("name", ["fsq", "lfq"])
def test_lattice_points_are_their_own_codes(vectors, name):
    quantizer = make_quantizer(name, 128)
    points = quantizer.points()
    assert quantizer.codes(quantizer.round(points)).tolist() == list(range(128))
    assert len({tuple(point) for point in points.tolist()}) == 128


def test_the_signs_are_the_bits():
    quantizer = LFQuantizer(8)
    assert quantizer.points()[5].tolist() == [1.0, -1.0, 1.0]


@pytest.mark.parametrize("name", ["residual", "fsq", "lfq"])
def test_sizes_that_are_no_power_of_two_are_refused(vectors, name):
    with pytest.raises(ConfigurationError, match="power of two"):
        make_quantizer(name, 100).fit(vectors)


def test_an_unknown_quantizer_is_refused():
    with pytest.raises(ConfigurationError, match="quantizer"):
        make_quantizer("magic", 4)


def test_outer_codes_bound_the_error_of_far_vectors():
    vectors = np.random.default_rng(5).normal(size=(6000, 2)).astype(np.float32)
    inner, outer = (make_quantizer("kmeans", 128, 1, epochs=4, outer=count) for count in (0, 24))
    far = np.array([[20.0, 0.0], [-12.0, 0.5], [30.0, -0.5]], dtype=np.float32)
    errors = []
    for quantizer in (inner, outer):
        quantizer.fit(vectors)
        assert quantizer.codebook.shape == (128, 2)
        errors.append(np.abs(quantizer.decode(quantizer.encode(far)) - far)[:, 0])
    assert (errors[1] < 0.3 * errors[0]).all()
    near = quantizer.decode(quantizer.encode(vectors)) - vectors
    assert np.sqrt(np.mean(near**2)) < 0.15


def test_signs_use_all_codes_where_there_are_as_many_features(monkeypatch):
    monkeypatch.setattr(LatticeQuantizer, "steps", 600)
    vectors = np.random.default_rng(6).normal(size=(6000, 6)).astype(np.float32)
    quantizer = make_quantizer("lfq", 64, seed=2)
    quantizer.fit(vectors)
    codes = quantizer.encode(vectors)
    assert len(np.unique(codes)) > 57
    # A sign for each feature leaves 1 - 2 / pi of the variance of a normal distribution.
    error = np.mean((quantizer.decode(codes) - vectors) ** 2)
    assert error < 1.25 * (1.0 - 2.0 / np.pi)
