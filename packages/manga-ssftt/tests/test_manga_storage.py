"""How spectra lie in HDF5: packed chunks, and digits below the errors left out by option."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manga_ssftt.galaxy_file.chunks import write_chunked
from manga_ssftt.galaxy_file.rounding import round_flux, round_ivar
from manga_ssftt.mock.tree import DAPALL_NAME


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.bool_, np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(8, 8, 30), (13, 9, 31), (3, 17, 1)])
def test_chunks_are_read_by_hdf5(tmp_path, dtype, shape):
    random = np.random.default_rng(3)
    values = (random.normal(size=shape) * 50).astype(dtype)
    chunks = (min(8, shape[0]), min(8, shape[1]), shape[2])
    with h5py.File(tmp_path / "ours.h5", "w") as file:
        write_chunked(file, "values", values, chunks)
    with h5py.File(tmp_path / "ours.h5") as file:
        dataset = file["values"]
        assert (dataset.compression, dataset.shuffle, dataset.chunks) == ("gzip", True, chunks)
        assert dataset.dtype == values.dtype
        np.testing.assert_array_equal(dataset[()], values)
        np.testing.assert_array_equal(dataset[1:3, 2:], values[1:3, 2:])


def test_chunks_are_hardly_larger_than_those_of_hdf5(tmp_path):
    random = np.random.default_rng(4)
    values = random.normal(1.0, 0.1, (16, 16, 500)).astype(np.float32)
    values[:4] = 0.0
    sizes = []
    with h5py.File(tmp_path / "both.h5", "w") as file:
        for name in ("ours", "theirs"):
            if name == "ours":
                dataset = write_chunked(file, name, values, (8, 8, 500))
            else:
                dataset = file.create_dataset(
                    name, data=values, chunks=(8, 8, 500), compression="gzip", shuffle=True
                )
            file.flush()
            sizes.append(dataset.id.get_storage_size())
    assert sizes[0] < 1.05 * sizes[1]


@settings(max_examples=200, deadline=None)
@given(
    flux=st.floats(-1e6, 1e6, width=32),
    sigma=st.floats(2.0**-20, 2.0**20, width=32),
)
def test_rounded_flux_stays_within_its_error(flux, sigma):
    values, ivar = np.float32([flux]), np.float32([1.0 / sigma**2])
    error = 1.0 / np.sqrt(ivar.astype(np.float64))
    found = round_flux(values, ivar)
    # A flux of millions of errors has no digits to spare, and keeps those that float32 holds.
    limit = error / 128 + abs(flux) * 2.0**-24
    assert abs(float(found[0]) - float(values[0])) <= limit * (1 + 1e-5)
    np.testing.assert_array_equal(round_flux(found, ivar), found)


@settings(max_examples=200, deadline=None)
@given(ivar=st.floats(2.0**-100, 2.0**100, width=32))
def test_rounded_ivar_keeps_ten_bits(ivar):
    found = round_ivar(np.float32([ivar]))
    assert abs(float(found[0]) / ivar - 1.0) <= 2.0**-11
    assert int(found.view(np.uint32)[0]) & 0x1FFF == 0
    np.testing.assert_array_equal(round_ivar(found), found)


def test_masked_pixels_stay_as_they_are():
    np.testing.assert_array_equal(round_ivar(np.zeros(3, np.float32)), np.zeros(3))
    np.testing.assert_array_equal(round_flux(np.float32([0, 1.1]), np.float32([0, 0])),
                                  np.float32([0, 1.1]))  # fmt: skip


def test_compact_files_are_smaller_and_say_so(own_tree, tree, run_json, plateifus):
    name = plateifus[0]
    words = ("process", name, "--root", own_tree, "--catalog", own_tree / DAPALL_NAME)
    run_json(*words, "--compact")
    paths = [root / f"processed/cubes/{name.split('-')[0]}/{name}.h5" for root in (own_tree, tree)]
    with h5py.File(paths[0]) as small, h5py.File(paths[1]) as exact:
        assert "sigma / 64" in small.attrs["rounding"]
        assert exact.attrs["rounding"] == ""
        good = ~exact["mask"][()]
        sigma = exact["ivar"][()][good] ** -0.5
        difference = np.abs(small["cube"][()][good] - exact["cube"][()][good])
        assert (difference <= sigma / 128 * (1 + 1e-3)).all()
        assert difference.max() > 0
        for dataset in ("mask", "coverage", "labels/BPT", "labels/logOH"):
            np.testing.assert_array_equal(small[dataset][()], exact[dataset][()])
        sizes = [
            sum(file[key].id.get_storage_size() for key in ("cube", "ivar"))
            for file in (small, exact)
        ]
        assert sizes[0] < 0.6 * sizes[1]
