from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from splus_hypercube.mock.light_curves import damped_walk, eclipsing, rr_lyrae
from splus_hypercube.mock.sky import CONSTANT, DAMPED_WALK, ECLIPSING
from splus_hypercube.mock.ztf import BAD_CATFLAG, ZTF_SCHEMA, make_ztf


def test_a_damped_walk_has_the_variance_and_memory_of_its_process():
    walks, epochs, tau, sigma = 4000, 12, 100.0, 0.3
    time = np.tile(np.arange(epochs) * 50.0, walks)
    owner = np.repeat(np.arange(walks), epochs)
    ones = np.ones(len(time))
    rng = np.random.default_rng(2)
    offsets = damped_walk(time, owner, tau * ones, sigma * ones, rng).reshape(walks, epochs)
    np.testing.assert_allclose(offsets.std(axis=0), sigma, rtol=0.06)
    for lag in (1, 3):
        correlation = np.mean(offsets[:, 0] * offsets[:, lag]) / sigma**2
        assert correlation == pytest.approx(np.exp(-50.0 * lag / tau), abs=0.06)
    neighbours = np.mean(offsets[:-1, -1] * offsets[1:, 0]) / sigma**2
    assert abs(neighbours) < 0.06


def test_no_walk_of_no_epochs():
    empty = np.zeros(0)
    rng = np.random.default_rng(0)
    assert len(damped_walk(empty, empty.astype(np.int64), empty, empty, rng)) == 0


def test_pulsation_repeats_and_keeps_the_mean():
    time = np.linspace(0.0, 0.6, 6001)[:-1]
    ones = np.ones(len(time))
    curve = rr_lyrae(time, 0.6 * ones, 0.9 * ones, 0.25 * ones)
    again = rr_lyrae(time + 6.0, 0.6 * ones, 0.9 * ones, 0.25 * ones)
    np.testing.assert_allclose(curve, again, atol=1e-9)
    assert np.ptp(curve) == pytest.approx(0.9, abs=1e-3)
    assert curve.mean() == pytest.approx(0.0, abs=1e-3)
    # It brightens faster than it fades.
    assert (np.diff(curve) < 0).sum() < 0.3 * len(curve)


def test_eclipses_come_at_phases_zero_and_one_half():
    phase = np.linspace(0.0, 1.0, 1001)
    ones = np.ones(1001)
    curve = eclipsing(phase * 3.0, 3.0 * ones, 0.5 * ones, 0.0 * ones, 0.05 * ones)
    assert curve[0] == pytest.approx(0.5, abs=1e-6)
    assert curve[500] == pytest.approx(0.175, abs=1e-6)
    assert curve[250] == pytest.approx(0.0, abs=1e-6)


@pytest.fixture(scope="module")
def objects(mock_tree) -> pa.Table:
    paths = sorted((mock_tree / "ztf" / "dataset").glob("Norder=*/Dir=*/Npix=*.parquet"))
    # One file at a time: `Norder` in the path is no column of the file.
    return pa.concat_tables(pq.ParquetFile(path).read() for path in paths)


def test_objects_have_the_columns_and_lengths_that_they_state(objects):
    assert objects.schema.equals(ZTF_SCHEMA)
    for name in ("hmjd", "mag", "magerr", "clrcoeff", "catflags"):
        lengths = objects[name].combine_chunks().value_lengths()
        assert lengths.equals(objects["nepochs"].combine_chunks().cast(pa.int32()))
    assert set(objects["filterid"].to_pylist()) == {1, 2, 3}


def test_identifiers_do_not_survive_a_float(objects):
    identifiers = objects["objectid"].to_numpy()
    assert len(np.unique(identifiers)) == len(identifiers)
    assert identifiers.min() > 2**53
    assert (identifiers.astype(np.float64).astype(np.int64) != identifiers).mean() > 0.4


def test_epochs_hold_every_trap(objects):
    times = objects["hmjd"].to_pylist()
    unsorted = [np.any(np.diff(np.array(item)[np.isfinite(item)]) < 0) for item in times]
    assert 0.02 < np.mean(unsorted) < 0.4
    flat = {
        name: objects[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        for name in ("hmjd", "mag", "magerr", "catflags")
    }
    broken = [~np.isfinite(flat[name]) for name in ("hmjd", "mag", "magerr")]
    assert all(item.any() for item in broken)
    assert not (broken[0] & broken[1]).any()
    flagged = (flat["catflags"] & BAD_CATFLAG) != 0
    assert 0.02 < flagged.mean() < 0.1
    good = ~np.any(broken, axis=0) & ~flagged
    offsets = objects["hmjd"].combine_chunks().offsets.to_numpy()
    assert np.add.reduceat(good, offsets[:-1]).min() > 0


def test_some_sources_have_two_objects_in_one_filter(objects):
    keys = np.stack(
        [
            np.round(objects["objra"].to_numpy() * 1200.0),
            np.round(objects["objdec"].to_numpy() * 1200.0),
            objects["filterid"].to_numpy(),
        ],
        axis=1,
    )
    _, counts = np.unique(keys, axis=0, return_counts=True)
    assert (counts > 1).sum() > 5
    assert len(set(objects["rcid"].to_pylist())) == 2


def test_only_variable_sources_vary(mock_sky, mock_catalogue):
    observed = make_ztf(mock_sky, mock_catalogue)
    scatter: dict[int, list[float]] = {}
    bright = (observed.owner >= 0) & (mock_sky.mags["ztf_r"][observed.owner] < 19.5)
    for row in np.flatnonzero(bright & (observed.table["filterid"].to_numpy() == 2)).tolist():
        mag, error, flags = (
            observed.table[name][row].values.to_numpy() for name in ("mag", "magerr", "catflags")
        )
        good = np.isfinite(mag) & np.isfinite(error) & ((flags & BAD_CATFLAG) == 0)
        mean = np.average(mag[good], weights=error[good] ** -2.0)
        chi2 = np.mean(((mag - mean) / error)[good] ** 2)
        scatter.setdefault(int(mock_sky.variability[observed.owner[row]]), []).append(chi2)
    assert np.median(scatter[CONSTANT]) == pytest.approx(1.0, abs=0.05)
    assert len(scatter[DAMPED_WALK]) > 3
    assert np.median(scatter[DAMPED_WALK]) > 2.0
    assert np.median(scatter[ECLIPSING]) > 2.0


def test_filters_see_the_same_walk(mock_sky, mock_catalogue):
    observed = make_ztf(mock_sky, mock_catalogue)

    def curve(source: int, filterid: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = (observed.owner == source) & (observed.table["filterid"].to_numpy() == filterid)
        row = int(np.flatnonzero(chosen)[0])
        time, mag, flags = (
            observed.table[name][row].values.to_numpy() for name in ("hmjd", "mag", "catflags")
        )
        good = np.isfinite(time) & np.isfinite(mag) & ((flags & BAD_CATFLAG) == 0)
        order = np.argsort(time[good])
        return time[good][order], mag[good][order] - mag[good].mean()

    walking = (mock_sky.variability == DAMPED_WALK) & (mock_sky.mags["ztf_g"] < 19.8)
    filters = observed.table["filterid"].to_numpy()
    both = [set(observed.owner[filters == number].tolist()) for number in (1, 2)]
    sources = sorted(set(np.flatnonzero(walking).tolist()) & both[0] & both[1])
    assert len(sources) > 3
    products, squares = [], []
    for source in sources:
        (blue_time, blue), (red_time, red) = curve(source, 1), curve(source, 2)
        blue = np.interp(red_time, blue_time, blue)
        products.append(np.mean(blue * red))
        squares.append(np.std(blue) * np.std(red))
    assert np.sum(products) > 0.4 * np.sum(squares)


def test_hats_reads_the_catalogue(mock_tree, objects):
    hats = pytest.importorskip("hats")
    catalogue = hats.read_hats(mock_tree / "ztf")
    assert len(catalogue) == objects.num_rows
    pixels = catalogue.get_healpix_pixels()
    assert len({pixel.order for pixel in pixels}) >= 2
    healpix = objects["_healpix_29"].to_numpy()
    held = sum(((healpix >> 2 * (29 - pixel.order)) == pixel.pixel).sum() for pixel in pixels)
    assert held == objects.num_rows
    positions = hats.pixel_math.spatial_index.compute_spatial_index(
        objects["objra"].to_numpy(), objects["objdec"].to_numpy()
    )
    np.testing.assert_array_equal(positions, healpix)
