from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from astromodal_tokenizers.normalization import Transform, choose_transform
from astromodal_tokenizers.reservoir import Reservoir
from astromodal_tokenizers.tokenizers.bins import MISSING, Bins, fit_bins
from astromodal_tokenizers.tokenizers.density import (
    expected_ranks,
    predicted_means,
    smoothed_density,
)
from astromodal_tokenizers.tokenizers.edges import laid_edges
from astromodal_tokenizers.tokenizers.occupancy import attainable_codes, expected_use
from astromodal_tokenizers.tokenizers.resolution import Need, expected_error

FINITE = st.floats(-1e12, 1e12, allow_nan=False, width=64)


@settings(max_examples=150, deadline=None)
@given(arrays(np.float64, st.integers(1, 400), elements=FINITE), st.integers(2, 80))
def test_any_column_has_rising_edges_and_codes_in_range(values, size):
    bins = fit_bins(values, size)
    assert 1 <= bins.size <= size
    assert len(bins.edges) == bins.size - 1
    assert (np.diff(bins.edges) > 0).all()
    codes = bins.encode(values)
    assert codes.max() < bins.size
    assert np.array_equal(codes, np.searchsorted(bins.edges, values, side="right"))
    assert np.isfinite(bins.decode(codes)).all()


@settings(max_examples=100, deadline=None)
@given(arrays(np.int64, st.integers(1, 300), elements=st.integers(-40, 40)))
def test_few_distinct_values_come_back_exactly(values):
    values = values.astype(np.float64)
    bins = fit_bins(values, 128)
    assert np.array_equal(bins.decode(bins.encode(values)), values)


def test_missing_is_no_code():
    bins = fit_bins(np.arange(1000.0), 64)
    codes = bins.encode(np.array([np.nan, 5.0]))
    assert codes[0] == MISSING
    assert codes[1] < 64
    decoded = bins.decode(codes)
    assert np.isnan(decoded[0])
    assert decoded[1] == pytest.approx(5.0, abs=16)


@pytest.mark.parametrize("kind", ["normal", "heavy", "lognormal", "shared"])
def test_the_fast_search_finds_the_same_bins(kind):
    random = np.random.default_rng(4)
    values = {
        "normal": lambda: random.normal(20.0, 2.0, 200_000),
        "heavy": lambda: random.standard_t(1.2, 200_000),
        "lognormal": lambda: np.exp(random.normal(0.0, 4.0, 200_000)),
        "shared": lambda: np.where(
            random.uniform(size=200_000) < 0.2, 99.0, random.normal(size=200_000)
        ),
    }[kind]()
    bins = fit_bins(values[:50_000], 1024)
    probe = np.concatenate(
        [values, bins.edges, np.nextafter(bins.edges, -np.inf), [np.inf, -np.inf]]
    )
    assert np.array_equal(bins.encode(probe), np.searchsorted(bins.edges, probe, side="right"))
    probe[::7] = np.nan
    assert (bins.encode(probe)[::7] == MISSING).all()


def test_a_shared_value_has_a_bin_of_its_own():
    random = np.random.default_rng(5)
    values = np.concatenate([random.normal(20.0, 1.0, 5000), np.full(400, 99.0)])
    bins = fit_bins(values, 256)
    assert bins.decode(bins.encode(np.array([99.0])))[0] == 99.0
    # A value between must not decode as the shared one.
    assert abs(bins.decode(bins.encode(np.array([25.0])))[0] - 99.0) > 1.0


def test_outer_bins_decode_to_the_mean_of_their_values():
    values = np.random.default_rng(6).normal(size=10_000)
    bins = fit_bins(values, 32)
    codes = bins.encode(values)
    for code in (0, 31):
        assert bins.values[code] == pytest.approx(values[codes == code].mean(), rel=1e-9)


def test_a_column_that_is_evenly_spread_has_the_error_of_even_bins():
    values = np.random.default_rng(7).uniform(0.0, 1.0, 100_000)
    bins = fit_bins(values, 100)
    error = bins.decode(bins.encode(values)) - values
    assert np.sqrt(np.mean(error**2)) == pytest.approx(0.01 / np.sqrt(12.0), rel=0.1)


def test_codes_are_used_on_values_that_did_not_teach():
    random = np.random.default_rng(8)
    for draw in (random.normal, random.standard_cauchy, random.lognormal):
        bins = fit_bins(draw(size=200_000), 1024)
        used = len(np.unique(bins.encode(draw(size=100_000))))
        assert used >= 0.9 * 1024


@pytest.mark.parametrize("name", ["identity", "asinh", "log"])
def test_transforms_invert(name):
    values = np.array([1e-3, 1.0, 4.0, 1e5])
    transform = choose_transform(values, name)
    assert transform.name == name
    assert np.allclose(transform.inverse(transform.forward(values)), values, rtol=1e-9)
    assert Transform.from_record(transform.record()) == transform


def test_transforms_are_chosen_by_the_tails():
    random = np.random.default_rng(9)
    assert choose_transform(random.normal(size=5000)).name == "identity"
    assert choose_transform(np.exp(random.normal(0, 3, 5000))).name == "log"
    assert choose_transform(random.standard_cauchy(5000)).name == "asinh"
    assert choose_transform(np.array([-1.0, 2.0]), "log").name == "asinh"  # no logarithm of -1


def test_a_reservoir_is_an_even_sample_whatever_the_parts():
    stream = np.arange(100_000)
    whole, parts = Reservoir(2000, 1), Reservoir(2000, 1)
    whole.add(stream)
    for part in np.array_split(stream, 37):
        parts.add(part)
    assert np.array_equal(np.sort(whole.items()), np.sort(parts.items()))
    assert len(whole.items()) == 2000
    assert whole.seen == 100_000
    assert whole.items().mean() == pytest.approx(50_000, rel=0.05)


def test_a_reservoir_keeps_all_of_a_short_stream():
    sample = Reservoir(10, 1)
    sample.add(np.arange(6.0).reshape(3, 2))
    assert sample.items().tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert len(Reservoir(10, 1).items()) == 0


def test_one_far_value_does_not_spoil_its_neighbours():
    random = np.random.default_rng(11)
    values = np.concatenate([random.normal(20.0, 1.0, 3000), [99.0]])
    bins = fit_bins(values, 256)
    decoded = bins.decode(bins.encode(np.array([99.0, values[:-1].max(), 24.5])))
    assert decoded[0] == 99.0
    assert np.abs(decoded[1:] - [values[:-1].max(), 24.5]).max() < 2.0


def test_errors_decide_where_bins_are_fine():
    random = np.random.default_rng(12)
    values = np.maximum(24.0 - random.gamma(2.0, 1.2, 40_000), random.uniform(13, 15, 40_000))
    errors = 0.003 + 0.1 * 10 ** (0.3 * (values - 21.0))
    probe = np.maximum(24.0 - random.gamma(2.0, 1.2, 20_000), random.uniform(13, 15, 20_000))
    sigma = 0.003 + 0.1 * 10 ** (0.3 * (probe - 21.0))

    def pull(bins):
        return np.sqrt(np.mean(((bins.decode(bins.encode(probe)) - probe) / sigma) ** 2))

    by_errors = fit_bins(values, 512, errors=errors)
    assert pull(by_errors) < 0.85 * pull(fit_bins(values, 512))
    errors[::3] = np.nan  # some are not known
    assert pull(fit_bins(values, 512, errors=errors)) < 0.85 * pull(fit_bins(values, 512))
    none = np.full_like(errors, np.nan)
    assert np.array_equal(fit_bins(values, 512, errors=none).edges, fit_bins(values, 512).edges)


def test_few_values_have_fewer_codes():
    values = np.random.default_rng(13).normal(size=300)
    assert fit_bins(values, 1024, per_code=2).size == 150
    assert fit_bins(values, 64, per_code=2).size == 64
    whole = np.arange(300.0)
    assert fit_bins(whole, 1024, per_code=2).size == 300  # each may be a class of its own


def test_counts_are_those_of_the_values_that_taught():
    values = np.random.default_rng(14).normal(size=5000)
    bins = fit_bins(values, 100)
    assert np.array_equal(bins.counts, np.bincount(bins.encode(values), minlength=100))


def test_bins_are_made_anew_from_their_state():
    bins = fit_bins(np.exp(np.random.default_rng(15).normal(0.0, 3.0, 5000)), 100)
    arrays = bins.arrays("x")
    again = Bins.from_state(arrays, "x", bins.record())
    assert np.array_equal(again.values, bins.values)
    assert np.array_equal(again.counts, bins.counts)
    assert again.transform == bins.transform
    assert arrays["x.codebook"].shape == (100, 1)
    assert np.allclose(arrays["x.codebook"][:, 0], bins.normalised(bins.values), rtol=1e-6)


def test_values_beyond_those_that_taught_decode_to_something_near():
    random = np.random.default_rng(16)
    values = 14.0 + random.gamma(3.0, 2.0, 3000)
    bins = fit_bins(values, 512)
    span = values.max() - values.min()
    for far in (
        values.min() - np.array([0.1, 0.2]) * span,
        values.max() + np.array([0.1, 0.25]) * span,
    ):
        beyond = np.minimum(np.abs(far - values.min()), np.abs(far - values.max()))
        assert (np.abs(bins.decode(bins.encode(far)) - far) < 0.5 * beyond).all()


def test_what_never_was_negative_does_not_become_so():
    values = np.random.default_rng(17).uniform(0.0, 1.0, 5000)
    assert fit_bins(values, 256).values.min() >= 0.0


@pytest.mark.parametrize("count", [300, 1500, 30_000])
def test_nearly_all_bins_have_values(count):
    random = np.random.default_rng(18)
    values = np.where(random.uniform(size=count) < 0.03, 13.0, 20.0) + random.normal(size=count)
    errors = np.full(count, 0.01)
    assert (fit_bins(values, 1024, errors=errors).counts > 0).mean() >= 0.87


def test_the_density_of_edges_goes_with_the_cube_root_of_that_of_the_values():
    # The density 2 x: the best edges have the density x^(1/3), and so lie at (i / n)^(3 / 4).
    values = np.sort(np.sqrt(np.random.default_rng(19).uniform(size=400_000)))
    settings = {"quantile_share": 0.0, "need": None, "spare": 0, "whole": False}
    edges = laid_edges(Transform(), values, 63, **settings)
    assert len(edges) == 63
    assert np.abs(edges - (np.arange(1, 64) / 64) ** 0.75).max() < 0.01
    quantiles = laid_edges(Transform(), values, 63, **{**settings, "quantile_share": 1.0})
    assert np.abs(quantiles - (np.arange(1, 64) / 64) ** 0.5).max() < 0.01


@pytest.mark.parametrize("spare", [0, 5, 20])
def test_no_more_bins_than_allowed_are_empty(spare):
    values = np.sort(np.random.default_rng(20).standard_t(2.0, 400))
    edges = laid_edges(
        Transform(), values, 127, quantile_share=0.5, need=None, spare=spare, whole=False
    )
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=128)
    assert len(edges) == 127
    assert (counts == 0).sum() <= spare + 1


def test_expected_means_are_those_of_values_spread_evenly_in_the_gaps():
    place, counts = np.array([0.0, 1.0, 4.0]), np.array([1, 1, 1])
    # Of two gaps alone the density is the same in both.
    means = predicted_means(place, counts, np.array([0.5, 2.0]))
    assert means == pytest.approx([0.25, 1.25, 3.0])
    outside = predicted_means(place, counts, np.array([-2.0, 0.5, 6.0]))
    assert np.isnan(outside[[0, 3]]).all()
    # Far from each other, dense and thin gaps keep their densities.
    place = np.concatenate([np.arange(40.0), 40.0 + 10.0 * np.arange(40.0)])
    ranks = expected_ranks(place, np.ones(80, dtype=np.int64))
    assert ranks[30] / ranks[-1] == pytest.approx(30 / 79, rel=0.15)
    assert np.diff(ranks)[10] == pytest.approx(np.diff(ranks)[70], rel=1e-9)
    means = predicted_means(place, np.ones(80, dtype=np.int64), np.array([35.0, 85.0]))
    assert means[0] == pytest.approx(17.5)
    assert 50.0 < means[1] < 62.5


def test_the_density_of_a_gap_is_judged_by_its_neighbours_too():
    random = np.random.default_rng(24)
    width = random.exponential(size=1000) / 50.0
    density = smoothed_density(width, np.ones(1000))
    assert (density * width).sum() == pytest.approx(1000.0)
    assert np.std(np.log(density)) < 0.5 < np.std(np.log(width))
    # A gap so narrow that sums of the others swallow it has no density, and does no harm.
    narrow = smoothed_density(np.array([1e-300, 1.0, 1.0]), np.ones(3))
    assert np.isfinite(narrow).all()
    assert not smoothed_density(np.zeros(3), np.ones(3)).any()


def test_rare_bright_sources_keep_a_small_error():
    random = np.random.default_rng(21)

    def draw(count):
        values = 23.0 - random.gamma(2.0, 1.2, count)
        return values, 0.003 + 0.1 * 10 ** (0.3 * (values - 21.0))

    values, errors = draw(6000)
    bins = fit_bins(values, 1024, errors=errors)
    assert (bins.counts > 0).mean() >= 0.9
    probe, sigma = draw(6000)
    pull = (bins.decode(bins.encode(probe)) - probe) / sigma
    even = fit_bins(values, 1024, errors=errors, quantile_share=1.0)
    by_quantiles = (even.decode(even.encode(probe)) - probe) / sigma
    assert np.sqrt(np.mean(pull**2)) < min(0.6, 0.6 * np.sqrt(np.mean(by_quantiles**2)))
    assert np.median(np.abs(pull)) < 0.05


def test_the_error_to_expect_is_that_of_bins_of_even_values():
    place = np.linspace(0.0, 1.0, 5001)
    counts = np.ones(len(place), dtype=np.int64)
    inner = np.arange(1, 20) / 20.0
    even = 0.05 / np.sqrt(12.0)
    assert expected_error(place, counts, inner, None) == pytest.approx(even, rel=1e-3)
    need = Need(Transform(), place, np.full(len(place), 0.01))
    assert expected_error(place, counts, inner, need) == pytest.approx(100.0 * even, rel=1e-3)


def test_bins_follow_the_quantiles_where_that_is_fine_enough():
    random = np.random.default_rng(22)
    values, probe = random.normal(size=(2, 20_000))
    coarse = fit_bins(values, 256, errors=np.full(len(values), 0.1))
    fine = fit_bins(values, 256, errors=np.full(len(values), 1e-4))
    inside = coarse.counts[8:-8]
    assert inside.std() < 0.25 * inside.mean()
    assert fine.counts.std() > 0.3 * fine.counts.mean()
    used = [len(np.unique(bins.encode(probe[:1500]))) for bins in (coarse, fine)]
    assert used[0] > used[1]
    pull = (coarse.decode(coarse.encode(probe)) - probe) / 0.1
    assert np.sqrt(np.mean(pull**2)) < 0.4


def test_the_end_where_errors_are_small_has_most_of_the_outer_bins():
    random = np.random.default_rng(23)
    values = 24.0 - random.gamma(2.0, 1.2, 5000)
    bins = fit_bins(values, 1024, errors=0.003 + 0.1 * 10 ** (0.3 * (values - 21.0)))
    bright = (bins.edges < values.min()).sum()
    faint = (bins.edges > values.max()).sum()
    assert faint >= 2
    assert bright >= 5 * faint


def test_a_small_sample_resolves_rare_bright_sources():
    pulls = []
    for seed in range(12):
        random = np.random.default_rng([25, seed])
        values = 23.0 - random.gamma(3.0, 0.8, 3000)
        errors = 0.003 + 0.1 * 10 ** (0.3 * (values - 21.0))
        bins = fit_bins(values[:2000], 1024, errors=errors[:2000])
        pull = (bins.decode(bins.encode(values[2000:])) - values[2000:]) / errors[2000:]
        pulls.append(np.sqrt(np.mean(pull**2)))
    assert np.median(pulls) < 0.42


@pytest.mark.parametrize("seed", range(3))
def test_tails_too_long_to_resolve_do_not_take_the_codes_of_the_many(seed):
    random = np.random.default_rng([26, seed])
    values = 5.0 * random.standard_t(2.0, 25_000)
    bins = fit_bins(values[:19_000], 1024, errors=np.full(19_000, 1e-4))
    counts = np.bincount(bins.encode(values[19_000:]), minlength=bins.size)
    assert (counts > 0).sum() >= 0.9 * attainable_codes(bins.size, 6000, 19_000)


def test_the_use_to_expect_is_that_of_other_values():
    random = np.random.default_rng(27)
    values, probe = random.normal(size=(2, 20_000))
    place, counts = np.unique(values, return_counts=True)
    for inner in (np.quantile(values, np.arange(1, 500) / 500), np.linspace(-3.5, 3.5, 499)):
        used = len(np.unique(np.searchsorted(inner, probe[:5000])))
        expected = expected_use(place, counts, inner) * attainable_codes(500, 5000, 20_000)
        assert expected == pytest.approx(used, rel=0.03)
