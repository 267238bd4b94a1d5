from __future__ import annotations

import numpy as np
import pytest
import torch

from astromodal_tokenizers.apertures import impose_flux, ring_flux, ring_weights
from astromodal_tokenizers.autoencoder import Autoencoder
from astromodal_tokenizers.prefetching import Prefetch
from astromodal_tokenizers.train.images import fit_flux_bins


@pytest.mark.parametrize("radius_px", [1.0, 2.73, 5.45])
def test_rings_have_the_area_of_a_circle(radius_px):
    (disc,) = ring_weights(16, [radius_px])
    assert disc.sum() == pytest.approx(np.pi * radius_px**2, rel=0.02)
    assert disc[8, 8] == disc.max()


def test_rings_add_up_to_the_outer_disc():
    rings = ring_weights(16, [2.0, 4.0])
    assert np.allclose(rings.sum(axis=0), ring_weights(16, [4.0])[0])


def test_flux_of_a_flat_image_is_area_times_value_also_with_gaps():
    images = np.full((2, 1, 16, 16), 3.0, dtype=np.float32)
    images[1, 0, 8, 9] = np.nan
    rings = ring_weights(16, [3.0])
    assert np.allclose(ring_flux(images, rings), 3.0 * rings.sum(), rtol=1e-6)
    images[1, 0, 6:11] = np.nan
    assert np.isnan(ring_flux(images, rings)[1, 0, 0])


def test_an_imposed_flux_is_there_and_other_rings_stay():
    random = np.random.default_rng(0)
    images = random.normal(0.0, 1.0, (3, 2, 32, 32)).astype(np.float32)
    images[:, :, 16, 16] += 100.0
    rings = ring_weights(32, [2.73, 5.45])
    wanted = random.uniform(50.0, 500.0, (3, 2, 2))
    wanted[0, 0, 0] = np.nan
    before = ring_flux(images, rings)
    outside = images[:, :, :8].copy()
    impose_flux(images, wanted, rings, np.ones(2))
    wanted[0, 0, 0] = before[0, 0, 0]
    assert np.allclose(ring_flux(images, rings), wanted, rtol=1e-4)
    assert np.array_equal(images[:, :, :8], outside)


def test_codes_of_fluxes_resolve_faint_ones_by_the_noise_and_bright_ones_by_their_size():
    random = np.random.default_rng(1)
    flux = random.normal(size=(2, 40_000)) + random.pareto(0.8, size=(2, 40_000))
    flux = np.where(flux < 1e5, flux, 1.0)
    bins = fit_flux_bins(flux[0], 2048)
    error = np.abs(bins.decode(bins.encode(flux[1])) - flux[1])
    bright = flux[1] > 100.0
    assert np.mean(error[bright] < 0.02 * flux[1][bright]) > 0.95
    assert np.sqrt(np.mean(error[~bright] ** 2)) < 0.1
    assert len(np.unique(bins.encode(flux[1]))) >= 0.9 * bins.size


@pytest.mark.parametrize("size_px", [8, 16, 96])
def test_shapes_of_the_network(size_px):
    network = Autoencoder(12, 4, 2)
    with torch.inference_mode():
        latents = network.encode(torch.zeros(1, 12, size_px, size_px))
        assert latents.shape == (1, 2, size_px // 4, size_px // 4)
        assert network.decode(latents).shape == (1, 12, size_px, size_px)


def test_the_network_learns_one_batch_by_heart():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 8, 8)
    network = Autoencoder(3, 16, 48)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(300):
        loss = ((network(images) - images) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05


def test_prefetching_keeps_the_order_and_passes_errors_on():
    def source():
        yield from range(5)
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        seen.extend(iter(Prefetch(source())))
    assert list(Prefetch(range(7))) == list(range(7))


def test_prefetching_may_be_left_early():
    for item in Prefetch(iter(range(10**9))):
        if item == 3:
            break
    assert item == 3
