from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdssfiles import write_classes

from sdss_spectra.__main__ import main
from sdss_spectra.dataset import load_dataset
from sdss_spectra.model.alignment import REACH_KMS, Alignment, fit_alignment, moved
from sdss_spectra.model.files import load_model

STEP, N_PIXELS = 2e-4, 1024
PLACES = {0: (150, 300, 520, 800), 1: (90, 410, 620, 905), 2: (200, 350, 700, 960)}


def lined_spectra(count, seed, shift=0.0, noise=0.01):
    """Spectra of three kinds, each with lines of its own and any slope and unit."""
    random = np.random.default_rng(seed)
    kind = np.arange(count) % 3
    pixel = np.arange(N_PIXELS)
    flux = np.ones((count, N_PIXELS))
    for row, number in enumerate(kind):
        for place in PLACES[number]:
            flux[row] -= 0.4 * np.exp(-0.5 * ((pixel - place - shift) / 2.0) ** 2)
    flux += random.normal(0, noise, flux.shape)
    flux *= np.exp(random.uniform(-1, 1, (count, 1)) * (pixel / N_PIXELS - 0.5))
    return flux * 10.0 ** random.uniform(-15, 2, (count, 1)), np.zeros(flux.shape, bool), kind


@pytest.fixture(scope="module")
def alignment():
    flux, mask, kind = lined_spectra(30, 1)
    return fit_alignment(flux, mask, kind, kind * 10.0 + 32.0, STEP)


@given(st.lists(st.integers(-14, 14), min_size=1, max_size=8))
def test_rows_move_by_whole_pixels(shifts):
    values = np.arange(len(shifts) * 12.0).reshape(len(shifts), 12) + 1.0
    found = moved(values, np.array(shifts), -1.0)
    for row, shift in enumerate(shifts):
        expected = [values[row, k - shift] if 0 <= k - shift < 12 else -1.0 for k in range(12)]
        assert found[row].tolist() == expected


@pytest.mark.parametrize(("step", "count"), [(2e-4, 13), (1e-4, 25), (1e-5, 25), (6e-3, 3)])
def test_the_reach_is_that_of_halo_stars(step, count):
    places = Alignment(np.zeros((1, 4096), np.float32), step).places
    assert places[0] == 0
    assert (np.diff(np.abs(places)) >= 0).all()
    assert len(places) == len(set(places)) <= count
    assert 10.0 ** (places.max() * step) - 1.0 >= REACH_KMS / 299792.458
    # Less than a resolution element of SDSS is left.
    assert np.diff(np.sort(places)).max() * step <= max(step, 1.1e-4)
    assert np.array_equal(np.sort(places), -np.sort(places)[::-1])


def test_a_grid_of_few_pixels_is_no_fault():
    flux = np.ones((3, 8))
    lined = fit_alignment(flux, flux == 0, np.arange(3), np.full(3, np.nan), 1e-6)
    assert np.abs(lined.places).max() < 16
    assert lined.shifts(flux, flux == 0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("shift", [-5, -2, 0, 1, 6])
def test_velocities_are_found(alignment, shift):
    flux, mask, _ = lined_spectra(12, 2, shift=shift)
    assert (alignment.shifts(flux, mask) == shift).all()
    back, _, gone = alignment.aligned(flux, flux, mask)
    at_rest, _, _ = lined_spectra(12, 2)
    inside = ~gone
    assert np.allclose((back / at_rest)[inside], 1.0, atol=0.15)
    assert gone.sum() == 12 * abs(shift)


@pytest.mark.parametrize("hidden", [slice(0, 400), slice(600, 1024), slice(250, 450)])
def test_velocities_are_found_of_what_is_covered(alignment, hidden):
    flux, mask, _ = lined_spectra(12, 3, shift=-3)
    mask[:, hidden] = True
    flux[:, hidden] = 1e9
    assert (alignment.shifts(flux, mask) == -3).all()


def test_what_has_no_data_stays(alignment):
    flux, mask, _ = lined_spectra(3, 4, shift=2)
    assert alignment.shifts(flux, ~mask).tolist() == [0, 0, 0]
    assert alignment.shifts(flux[:0], mask[:0]).shape == (0,)
    same = alignment.aligned(flux[:0], flux[:0], mask[:0])
    assert [part.shape for part in same] == [(0, N_PIXELS)] * 3


OPTIONS = [
    "--epochs", "2", "--members", "1", "--width", "4", "--depth", "3", "--n-pixels", "512",
    "--loglam-step", "0.0008", "--seed", "1",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set of four easy classes, and a tiny model of it."""
    folder = tmp_path_factory.mktemp("aligned")
    write_classes(folder / "data", per_class=6)
    assert main(["train", str(folder / "data"), "-o", str(folder / "m"), *OPTIONS]) == 0
    return folder


def test_a_model_tells_moving_stars_as_those_at_rest(trained):
    model = load_model(trained / "m")
    assert model.alignment is not None
    flux, ivar, mask = load_dataset(trained / "data", model.preprocessing).arrays()
    one = np.ones(len(flux), np.int64)
    own = model.alignment.shifts(flux, mask)
    for pixels in (-1, 1):
        there = [moved(flux, pixels * one, 0), moved(ivar, pixels * one, 0)]
        hidden = moved(mask, pixels * one, True)
        assert (model.alignment.shifts(there[0], hidden) - own == pixels).mean() > 0.9
        told = model.predict(*there, hidden)[0]
        assert np.abs(told - model.predict(flux, ivar, mask)[0]).max(axis=1).mean() < 0.05


def test_predictions_are_those_of_spectra_moved_back(trained):
    model = load_model(trained / "m")
    flux, ivar, mask = load_dataset(trained / "data", model.preprocessing).arrays()
    # Some at rest, some not, in one batch.
    places = np.arange(len(flux)) % 3 - 1
    there = moved(flux, places, 0), moved(ivar, places, 0), moved(mask, places, True)
    back = model.alignment.aligned(*there)
    bare = replace(model, alignment=None)
    for inputs in (model.inputs, replace(model.inputs, clip=1.2)):
        model.inputs = bare.inputs = inputs
        assert np.array_equal(model.predict(*there)[0], bare.predict(*back)[0])


def test_spectra_may_stay_where_their_file_has_them(trained, tmp_path, run):
    words = ["train", trained / "data", "-o", tmp_path / "m", "--no-alignment", *OPTIONS]
    assert run(*words, "--epochs", 1)[0] == 0
    assert load_model(tmp_path / "m").alignment is None


@pytest.mark.parametrize("change", [None, (slice(None), slice(-1)), (slice(0), slice(None))])
def test_a_model_without_its_mean_lines_is_one_clear_line(trained, tmp_path, run, change):
    model = tmp_path / "m"
    shutil.copytree(trained / "m", model)
    with np.load(model / "weights.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    lines = arrays.pop("alignment")
    if change is not None:
        arrays["alignment"] = lines[change]
    np.savez(model / "weights.npz", **arrays)
    status, _, error = run("predict", trained / "data", "--model", model, "-o", tmp_path / "p.csv")
    assert status == 1
    assert "weights.npz" in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "p.csv").exists()
