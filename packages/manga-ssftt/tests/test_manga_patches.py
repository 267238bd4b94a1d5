from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_common.errors import ConfigurationError
from manga_ssftt.catalog import Catalog
from manga_ssftt.galaxy_file import GalaxyFile
from manga_ssftt.layout import Tree
from manga_ssftt.normalize import normalise
from manga_ssftt.patch_loader import PatchLoader, PatchRecipe, find_samples
from manga_ssftt.patches import cut_patches, labelled_spaxels
from manga_ssftt.splits import PARTS, easy_split, hard_split
from manga_ssftt.targets import Target

CLASSES = Target("BPT", "classification", (1, 2, 3))


@settings(max_examples=50, deadline=None)
@given(
    n_y=st.integers(1, 12),
    n_x=st.integers(1, 12),
    half=st.integers(0, 4),
    seed=st.integers(0, 1000),
)
def test_the_centre_of_a_patch_is_its_spaxel(n_y, n_x, half, seed):
    size = 2 * half + 1
    random = np.random.default_rng(seed)
    cube = np.zeros((n_y, n_x, 3), np.float32)
    cube[..., 0], cube[..., 1] = np.indices((n_y, n_x)) + 1
    labels = random.integers(0, 3, (n_y, n_x)).astype(np.uint8)
    cube[..., 2] = labels
    spaxels = labelled_spaxels(labels, np.zeros((n_y, n_x, 3), bool))
    padded = np.pad(cube, ((half, half), (half, half), (0, 0)))
    patches = cut_patches(padded, spaxels.y, spaxels.x, size)
    assert len(patches) == np.sum(labels > 0)  # none is lost at the edges
    centre = patches[:, half, half]
    np.testing.assert_array_equal(centre[:, 0], spaxels.y + 1)
    np.testing.assert_array_equal(centre[:, 1], spaxels.x + 1)
    np.testing.assert_array_equal(centre[:, 2], spaxels.label)
    for patch, y, x in zip(patches, spaxels.y, spaxels.x, strict=True):
        for dy in range(-half, half + 1):
            for dx in range(-half, half + 1):
                inside = 0 <= y + dy < n_y and 0 <= x + dx < n_x
                wanted = cube[y + dy, x + dx] if inside else np.zeros(3)
                np.testing.assert_array_equal(patch[dy + half, dx + half], wanted)


def test_spaxels_without_a_spectrum_have_no_patch():
    labels = np.ones((3, 3), np.uint8)
    mask = np.zeros((3, 3, 5), bool)
    mask[1, 1], mask[0, 0, :4] = True, True
    found = labelled_spaxels(labels, mask)
    assert len(found) == 8
    assert (1, 1) not in set(zip(found.y.tolist(), found.x.tolist(), strict=True))


@pytest.mark.parametrize("norm", ["global", "spatial", "spectral"])
def test_scalings_are_linear_within_a_cube(norm):
    random = np.random.default_rng(5)
    cube = random.normal(2, 3, (4, 5, 30)).astype(np.float32)
    bad = random.random(cube.shape) < 0.1
    cube[bad] = 1e20
    scaled = normalise(cube, bad, norm)
    assert scaled[~bad].min() == pytest.approx(0, abs=1e-6)
    assert scaled[~bad].max() == pytest.approx(1, abs=1e-6)
    assert np.all(scaled[bad] == 0)
    again = normalise(np.where(bad, 0, 7 * cube - 3).astype(np.float32), bad, norm)
    np.testing.assert_allclose(again, scaled, atol=2e-5)


def test_a_cube_without_range_becomes_zero():
    flat = np.full((2, 2, 4), 3.0, np.float32)
    for norm in ("global", "spatial", "spectral"):
        assert np.all(normalise(flat, np.zeros(flat.shape, bool), norm) == 0)
        assert np.all(normalise(flat, np.ones(flat.shape, bool), norm) == 0)


def test_pca_needs_its_statistics():
    with pytest.raises(ConfigurationError, match="--stats"):
        normalise(np.zeros((2, 2, 4), np.float32), np.zeros((2, 2, 4), bool), "PCA")


def loader(tree, names, **options):
    samples = find_samples(Tree(tree), dict.fromkeys(names), "BPT")
    return samples, PatchLoader(samples, PatchRecipe("spectral", 5), CLASSES, 50, **options)


def test_lazy_patches_are_those_of_the_cube(tree, plateifus):
    samples, batches = loader(tree, plateifus[:3])
    found = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    wanted, labels = [], []
    for sample in samples:
        with GalaxyFile(sample.path) as file:
            scaled = normalise(file.read("cube"), file.read("mask"), "spectral")
        padded = np.pad(scaled, ((2, 2), (2, 2), (0, 0)))
        wanted.append(cut_patches(padded, sample.y, sample.x, 5))
        labels.append(sample.label)
    wanted = np.concatenate(wanted).transpose(0, 3, 1, 2)[:, np.newaxis]
    np.testing.assert_array_equal(found[0].numpy(), wanted)
    np.testing.assert_array_equal(found[1].numpy(), CLASSES.indices(np.concatenate(labels)))
    assert len(batches) == -(-len(wanted) // 50)
    sizes = {len(batch[1]) for batch in batches}
    assert max(sizes) <= 50
    assert max(sizes) - min(sizes) <= 1


def test_small_pools_give_the_same_patches(tree, plateifus):
    _, one = loader(tree, plateifus[:4])
    samples, many = loader(tree, plateifus[:4], pool_bytes=1)
    # Each galaxy is a pool of its own, and no batch joins two of them.
    assert len(many) == sum(-(-len(sample) // 50) for sample in samples) > len(one)
    sums = [torch.cat([batch[0].sum(dim=(1, 2, 3, 4)) for batch in side]) for side in (one, many)]
    torch.testing.assert_close(*sums)


def test_reused_memory_holds_the_same_patches(tree, plateifus):
    _, fresh = loader(tree, plateifus[:2], shuffle=True, seed=2)
    _, reused = loader(tree, plateifus[:2], shuffle=True, seed=2, reuse=True)
    addresses = set()
    for one, other in zip(fresh, reused, strict=True):
        assert torch.equal(one[0], other[0])
        addresses.add(other[0].data_ptr())
    assert len(addresses) <= 4 < len(fresh)


def test_ranks_share_an_epoch(tree, plateifus):
    samples, _ = loader(tree, plateifus[:2])
    total = sum(map(len, samples))
    counts = []
    for rank in range(3):
        _, own = loader(tree, plateifus[:2], rank=rank, world=3)
        batches = list(own)
        counts.append(sum(len(batch[1]) for batch in batches))
        assert len(batches) == len(own)
    assert len(set(counts)) == 1
    assert total <= sum(counts) < total + 3


def test_augmented_patches_keep_their_centre(tree, plateifus):
    _, plain = loader(tree, plateifus[:1])
    _, turned = loader(tree, plateifus[:1], augment=True, seed=3)
    for (one, label, _), (other, other_label, _) in zip(plain, turned, strict=True):
        torch.testing.assert_close(one[..., 2, 2], other[..., 2, 2])
        assert torch.equal(label, other_label)
        torch.testing.assert_close(one.sum(dim=(3, 4)), other.sum(dim=(3, 4)), rtol=1e-4, atol=1e-3)


def test_balanced_batches_hold_all_classes_alike(tree, plateifus):
    _, batches = loader(tree, plateifus, balanced=True, shuffle=True, seed=1)
    index = torch.cat([batch[1] for batch in batches]).numpy()
    counts = np.bincount(index[index >= 0], minlength=3)
    present = counts[counts > 0]
    assert present.max() < 1.5 * present.min()


def catalogue(n, repeats=0, seed=0):
    random = np.random.default_rng(seed)
    ids = [f"1-{i}" for i in range(n - repeats)] + [f"1-{i}" for i in range(repeats)]
    columns = {
        "PLATEIFU": np.asarray([f"8000-{1901 + i}" for i in range(n)]),
        "MANGAID": np.asarray(ids),
        "LOG_MASS": random.uniform(9, 11, n),
    }
    return Catalog(None, columns)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(6, 60), repeats=st.integers(0, 3), seed=st.integers(0, 100))
def test_hard_splits_never_part_a_galaxy(n, repeats, seed):
    catalog = catalogue(n, repeats)
    names = [str(name) for name in catalog.plateifu]
    split = hard_split(catalog, names, (0.6, 0.2, 0.2), seed, ["LOG_MASS"])
    parts = [set(split[part]) for part in PARTS]
    assert sorted(set.union(*parts)) == sorted(names)
    assert sum(map(len, parts)) == n
    ids = [{catalog.mangaid(name) for name in part} for part in parts]
    assert not ids[0] & ids[1]
    assert not ids[0] & ids[2]
    assert not ids[1] & ids[2]
    assert all(parts)
    again = hard_split(catalog, names[::-1], (0.6, 0.2, 0.2), seed, ["LOG_MASS"])
    assert {part: list(split[part]) for part in PARTS} == {p: list(again[p]) for p in PARTS}


def test_hard_splits_are_stratified():
    catalog = catalogue(300)
    names = [str(name) for name in catalog.plateifu]
    split = hard_split(catalog, names, (0.6, 0.2, 0.2), 4, ["LOG_MASS"])
    sizes = [len(split[part]) for part in PARTS]
    np.testing.assert_allclose(sizes, [180, 60, 60], atol=2)
    thirds = np.quantile(catalog.columns["LOG_MASS"], [1 / 3, 2 / 3])
    for part in PARTS:
        values = np.digitize(catalog.numbers("LOG_MASS", list(split[part])), thirds)
        np.testing.assert_allclose(np.bincount(values) / len(values), 1 / 3, atol=0.03)


def test_another_seed_is_another_split():
    catalog = catalogue(40)
    names = [str(name) for name in catalog.plateifu]
    one, other = (hard_split(catalog, names, (0.8, 0.1, 0.1), seed, []) for seed in (1, 2))
    assert set(one["test"]) != set(other["test"])


def test_too_few_galaxies_are_refused():
    catalog = catalogue(3, repeats=1)
    with pytest.raises(ConfigurationError, match="2 independent galaxies"):
        hard_split(catalog, [str(n) for n in catalog.plateifu], (0.6, 0.2, 0.2), 1, [])


def test_easy_splits_hold_all_classes_in_all_parts():
    random = np.random.default_rng(2)
    labels = {}
    for name in ("1-1", "1-2", "1-3"):
        places = np.argwhere(np.ones((15, 15), bool))
        labels[name] = (places, random.choice([1, 2, 3], len(places), p=[0.7, 0.2, 0.1]))
    split = easy_split(labels, (0.8, 0.1, 0.1), 3)
    seen = [(name, y, x) for part in PARTS for name, at in split[part].items() for y, x in at]
    assert len(seen) == len(set(seen)) == 3 * 225
    for part in PARTS:
        assert set(split[part]) == set(labels)
