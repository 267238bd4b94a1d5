"""What other programs rely on: file names, datasets, columns, keys and rules."""

from __future__ import annotations

import csv
import json

import h5py
import numpy as np
import pytest
import spectres
from astropy.io import fits
from astropy.wcs import WCS
from safetensors.numpy import load_file

from manga_ssftt.mock.tree import DAPALL_NAME


def raw_cube(root, plateifu):
    plate, ifu = plateifu.split("-")
    stem = root / "raw" / plate / ifu / f"manga-{plateifu}"
    return fits.open(f"{stem}-LOGCUBE-SPX-MILESHC-MASTARSSP.fits.gz")


def galaxy(root, plateifu):
    return root / "processed" / "cubes" / plateifu.split("-")[0] / f"{plateifu}.h5"


def test_mock_writes_the_raw_tree_the_catalogue_and_the_truth(mock_raw, plateifus):
    assert len(plateifus) == 6
    assert (mock_raw / DAPALL_NAME).is_file()
    for name in plateifus:
        plate, ifu = name.split("-")
        folder = mock_raw / "raw" / plate / ifu
        for kind in ("LOGCUBE", "MAPS"):
            assert (folder / f"manga-{name}-{kind}-SPX-MILESHC-MASTARSSP.fits.gz").is_file()
        assert (mock_raw / "truth" / f"{name}.fits").is_file()


def test_mock_has_the_layout_of_dr17(mock_raw, plateifus):
    with raw_cube(mock_raw, plateifus[0]) as hdus:
        assert [hdu.name for hdu in hdus] == [
            *("PRIMARY", "FLUX", "IVAR", "MASK", "LSF", "WAVE", "REDCORR", "MODEL", "MODEL_MASK"),
            *("EMLINE", "STELLAR", "STELLAR_MASK", "BINID"),
        ]
        assert hdus["FLUX"].shape == (4563, 14, 14)
        np.testing.assert_allclose(np.diff(np.log10(hdus["WAVE"].data)), 1e-4, rtol=1e-6)
        path = hdus.filename().replace("LOGCUBE", "MAPS")
    with fits.open(path) as maps:
        names = [hdu.name for hdu in maps]
        places = {"SPX_SKYCOO": 1, "BINID": 6, "STELLAR_SIGMA": 18, "EMLINE_SFLUX": 23}
        places |= {"EMLINE_GFLUX": 30, "EMLINE_GEW": 33, "EMLINE_GVEL": 37, "EMLINE_GSIGMA": 40}
        places |= {"EMLINE_INSTSIGMA": 43, "EMLINE_GA": 45, "EMLINE_FOM": 47, "EMLINE_LFOM": 48}
        assert {name: names.index(name) for name in places} == places
        assert len(names) == 49
        header = maps["EMLINE_GFLUX"].header
        channels = [header[f"C{number:02d}"] for number in range(1, 36)]
    assert len(channels) == 35
    assert [channels.index(name) + 1 for name in ("Hb-4862", "Ha-6564", "SII-6718")] == [15, 24, 26]


def test_processed_file_has_its_datasets(tree, plateifus):
    for name in plateifus:
        with h5py.File(galaxy(tree, name)) as file:
            assert file["cube"].shape == file["ivar"].shape == file["mask"].shape == (14, 14, 2040)
            assert file["wave"].shape == (2040,)
            np.testing.assert_allclose(file["wave"][[0, -1]], [5000.0, 8000.0])
            for label in ("BPT", "logOH", "logOH_err"):
                assert file[f"labels/{label}"].shape == (14, 14)
            assert file["cube"].chunks is not None
            assert file["cube"].compression == "gzip"
            assert file["cube"].attrs["unit"]
            assert file.attrs["synthetic"]
            assert "versions" in json.loads(file.attrs["provenance"])


def test_redshift_falls_back_from_nsa_z_to_z(tree, catalog, plateifus):
    table = fits.getdata(catalog, 1)
    assert (table["NSA_Z"] < 0).sum() == 1
    for row, name in enumerate(plateifus):
        wanted = table["NSA_Z"][row] if table["NSA_Z"][row] > 0 else table["Z"][row]
        with h5py.File(galaxy(tree, name)) as file:
            assert file.attrs["redshift"] == pytest.approx(wanted, rel=1e-12)


def test_cube_agrees_with_spectres_and_keeps_flux_density(tree, plateifus):
    name = plateifus[1]
    with raw_cube(tree, name) as hdus, h5py.File(galaxy(tree, name)) as file:
        wave = hdus["WAVE"].data.astype(float) / (1 + file.attrs["redshift"])
        bits = (1 << 0) | (1 << 2) | (1 << 3) | (1 << 4)
        checked = 0
        for y, x in ((7, 7), (5, 8), (9, 6)):
            flux, ivar = (hdus[hdu].data[:, y, x].astype(float) for hdu in ("FLUX", "IVAR"))
            bad = (hdus["MASK"].data[:, y, x] & bits != 0) | (ivar <= 0)
            grid = file["wave"][()]
            error = np.where(bad, 0.0, np.where(bad, 1.0, ivar) ** -0.5)
            mean, sigma = spectres.spectres(grid, wave, flux, error, verbose=False)
            spoiled = spectres.spectres(grid, wave, bad.astype(float), verbose=False) > 0
            clean = slice(1, -1), ~spoiled[1:-1]
            np.testing.assert_allclose(
                file["cube"][y, x][1:-1][clean[1]], mean[1:-1][clean[1]], rtol=1e-6, atol=1e-8
            )
            np.testing.assert_allclose(
                file["ivar"][y, x][1:-1][clean[1]], sigma[1:-1][clean[1]] ** -2.0, rtol=1e-5
            )
            checked += clean[1].sum()
        assert checked > 6000


def test_pixels_without_good_coverage_are_masked(tree, plateifus):
    name = plateifus[0]
    with raw_cube(tree, name) as hdus, h5py.File(galaxy(tree, name)) as file:
        outside = (hdus["MASK"].data & 1 != 0).all(axis=0)
        mask = file["mask"][()]
        assert mask[outside].all()
        assert outside.any()
        assert not mask[~outside].all(axis=1).any()
        assert np.all(file["ivar"][()][mask] == 0)


def test_bits_about_the_model_do_not_exclude(own_tree, run, plateifus):
    name = plateifus[0]
    path = next((own_tree / "raw").glob(f"*/*/manga-{name}-LOGCUBE-*.fits.gz"))
    with fits.open(path) as hdus:
        hdus["MASK"].data[2000, 7, 7] |= 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9
        hdus["MASK"].data[2010:2014, 7, 7] = 1 << 4
        hdus["IVAR"].data[2020:2024, 7, 7] = 0
        hdus["FLUX"].data[2030:2034, 7, 7] = np.nan
        hdus["FLUX"].data[2000, 7, 7] = 77.0
        wave = hdus["WAVE"].data.astype(float)
        hdus.writeto(path, overwrite=True)
    command = ("process", name, "--root", own_tree, "--catalog", own_tree / DAPALL_NAME)
    assert run(*command)[0] == 0
    with h5py.File(galaxy(own_tree, name)) as file:
        rest = wave / (1 + file.attrs["redshift"])

        def at(channel):
            return int(np.argmin(np.abs(file["wave"][()] - rest[channel])))

        assert file["cube"][7, 7, at(2000)] > 20
        assert file["coverage"][7, 7, at(2000)] > 0.99
        for start in (2010, 2020, 2030):
            assert file["mask"][7, 7, at(start + 1) : at(start + 2) + 1].any()
            assert np.isfinite(file["cube"][7, 7]).all()


def test_label_files(tree, plateifus):
    for name in plateifus:
        folder = tree / "processed" / "labels"
        for task in ("BPT", "logOH"):
            values = np.load(folder / task / f"{name}.npy", allow_pickle=False)
            assert values.shape == (14, 14)
            with fits.open(folder / task / f"{name}.fits") as hdus:
                np.testing.assert_array_equal(hdus[0].data, values)
                assert WCS(hdus[0].header).has_celestial
            assert (folder / task / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
            with h5py.File(galaxy(tree, name)) as file:
                np.testing.assert_array_equal(file[f"labels/{task}"][()], values)
        classes = np.load(folder / "BPT" / f"{name}.npy")
        abundance = np.load(folder / "logOH" / f"{name}.npy")
        assert set(np.unique(classes)) <= {0, 1, 2, 3, 4, 5}
        assert np.all(classes[np.isfinite(abundance)] == 1)


def test_maps_only_needs_no_cube_and_no_catalogue(own_tree, run_json, plateifus):
    for path in (own_tree / "raw").glob("*/*/*LOGCUBE*"):
        path.unlink()
    found = run_json(
        *("process", "--root", own_tree, "--maps-only", "--map-mask", "any", "--bpt", "kewley06"),
        *("--snr-min", 5),
    )
    assert found["done"] == plateifus[:2]
    assert (own_tree / "processed/labels/BPT" / f"{plateifus[0]}.npy").is_file()
    assert not (own_tree / "processed/cubes").exists()


def test_process_takes_a_window_and_tells_its_times(own_tree, run_json, plateifus):
    found = run_json(
        *("process", plateifus[0], "--root", own_tree, "--catalog", own_tree / DAPALL_NAME),
        *("--window", 4750, 7000, "--n-pixels", 500),
    )
    assert found["timings_s"]["resample"] > 0
    with h5py.File(galaxy(own_tree, plateifus[0])) as file:
        assert file["cube"].shape == (14, 14, 500)
        np.testing.assert_allclose(file["wave"][[0, -1]], [4750.0, 7000.0])


def test_process_takes_a_file(own_tree, run_json, plateifus):
    path = next((own_tree / "raw").glob(f"*/*/manga-{plateifus[1]}-LOGCUBE-*.fits.gz"))
    found = run_json("process", path, "--root", own_tree, "--catalog", own_tree / DAPALL_NAME)
    assert found["done"] == [plateifus[1]]
    again = run_json("process", path, "--root", own_tree, "--catalog", own_tree / DAPALL_NAME)
    assert (again["done"], again["skipped"]) == ([], [plateifus[1]])


@pytest.mark.parametrize("norm", ["global", "spatial", "spectral", "PCA"])
def test_patchify(tree, run_json, plateifus, norm, tmp_path):
    name = plateifus[0]
    words = ("patchify", name, "--root", tree, "--label-task", "BPT", "--patch-norm", norm)
    words += ("--patch-size", 5, "--stats", tree / "stats.safetensors", "--overwrite")
    run_json(*words)
    folder = tree / "processed" / "patches" / "BPT" / norm / name
    patches = np.load(folder / f"{name}.npy", allow_pickle=False)
    with (folder / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["y", "x", "label"]
    with h5py.File(galaxy(tree, name)) as file:
        labels, cube, mask = file["labels/BPT"][()], file["cube"][()], file["mask"][()]
    wanted = (labels != 0) & ~mask.all(axis=2)
    assert len(rows) == len(patches) == wanted.sum()
    scaled = expected_scaling(cube, mask, norm, tree / "stats.safetensors")
    assert patches.shape == (len(rows), 5, 5, scaled.shape[2])
    padded = np.pad(scaled, ((2, 2), (2, 2), (0, 0)))
    for row, patch in zip(rows, patches, strict=True):
        y, x = int(row["y"]), int(row["x"])
        assert int(row["label"]) == labels[y, x]
        np.testing.assert_allclose(patch[2, 2], scaled[y, x], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(patch, padded[y : y + 5, x : x + 5], rtol=1e-4, atol=1e-5)


def expected_scaling(cube, mask, norm, stats):
    cube = cube.astype(float)
    if norm == "PCA":
        tensors = load_file(stats)
        standard = np.where(mask, 0.0, (cube - tensors["mean"]) / tensors["std"])
        return standard @ tensors["components"].T
    axes = {"global": (0, 1, 2), "spatial": (0, 1), "spectral": (2,)}[norm]
    values = np.ma.masked_array(cube, mask)
    low, high = values.min(axis=axes, keepdims=True), values.max(axis=axes, keepdims=True)
    return ((values - low) / (high - low)).filled(0.0)


def test_stats(tree):
    tensors = load_file(tree / "stats.safetensors")
    assert set(tensors) == {"mean", "std", "components"}
    assert tensors["mean"].shape == tensors["std"].shape == (2040,)
    assert tensors["components"].shape == (12, 2040)
    with (tree / "split" / "train.csv").open() as file:
        names = [row["plateifu"] for row in csv.DictReader(file)]
    spectra, masks = [], []
    for name in names:
        with h5py.File(galaxy(tree, name)) as file:
            flux, mask = (file[key][()].reshape(-1, 2040) for key in ("cube", "mask"))
        spectra.append(flux[~mask.all(axis=1)])
        masks.append(mask[~mask.all(axis=1)])
    values = np.ma.masked_array(np.concatenate(spectra).astype(float), np.concatenate(masks))
    np.testing.assert_allclose(tensors["mean"], values.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(tensors["std"], values.std(axis=0), rtol=1e-6)
    from sklearn.decomposition import PCA

    standard = ((values - tensors["mean"]) / tensors["std"]).filled(0.0)
    reference = PCA(12, svd_solver="full").fit(standard).components_
    overlap = np.abs(np.sum(reference * tensors["components"], axis=1))
    assert np.all(overlap[:4] > 0.999)


def test_split_columns_and_repeat_observations(tree, catalog, plateifus):
    parts = {}
    for part in ("train", "val", "test"):
        with (tree / "split" / f"{part}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert all(list(row) == ["plateifu"] for row in rows)
        parts[part] = {row["plateifu"] for row in rows}
        assert parts[part]
    assert sorted(set.union(*parts.values())) == sorted(plateifus)
    assert sum(map(len, parts.values())) == len(plateifus)
    table = fits.getdata(catalog, 1)
    by_id = {}
    for row in table:
        by_id.setdefault(row["MANGAID"], set()).add(row["PLATEIFU"])
    repeated = [names for names in by_id.values() if len(names) > 1]
    assert repeated
    for names in repeated:
        assert sum(bool(names & part) for part in parts.values()) == 1


@pytest.fixture(scope="module")
def trained(tree, tmp_path_factory):
    from manga_ssftt.__main__ import main

    out = tmp_path_factory.mktemp("models")
    for task in ("BPT", "logOH"):
        words = ["train", "--root", tree, "--split-dir", tree / "split", "--label-task", task]
        words += ["--patch-norm", "PCA", "--stats", tree / "stats.safetensors", "--model", "ssftt"]
        words += ["--patch-size", 5, "--epochs", 3, "--max-time-s", 100, "--batch-size", 64]
        words += ["--seed", 1, "--out", out / task, "-q"]
        assert main([str(word) for word in words]) == 0
    return out


@pytest.mark.parametrize("task", ["BPT", "logOH"])
def test_evaluate(tree, trained, run_json, tmp_path, task):
    found = run_json(
        *("evaluate", "--checkpoint", trained / task / "best.ckpt", "--root", tree),
        *("--split-dir", tree / "split", "--split", "test", "--out", tmp_path / "out"),
    )
    saved = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for figures in (found, saved):
        assert {"oa", "aa", "kappa", "macro_f1", "n", "confusion_matrix", "oa_ci"} <= set(figures)
    matrix = np.asarray(saved["confusion_matrix"])
    assert saved["n"] == matrix.sum()
    assert saved["oa"] == pytest.approx(np.trace(matrix) / matrix.sum())
    low, high = saved["oa_ci"]
    assert low <= saved["oa"] <= high
    with (tree / "split" / "test.csv").open() as file:
        names = [row["plateifu"] for row in csv.DictReader(file)]
    assert [entry["plateifu"] for entry in saved["per_galaxy"]] == names
    assert "majority" in saved["baselines"]
    assert "pca_random_forest" in saved["baselines"]
    if task == "logOH":
        assert saved["mae_dex"] > 0
        assert saved["baselines"]["n2_calibration"]["mae_dex"] > 0


@pytest.mark.parametrize("task", ["BPT", "logOH"])
def test_predict(tree, trained, run, tmp_path, plateifus, task):
    path = galaxy(tree, plateifus[0])
    out = tmp_path / "map.fits"
    assert run("predict", path, "--checkpoint", trained / task / "best.ckpt", "-o", out)[0] == 0
    with fits.open(out) as hdus, h5py.File(path) as file:
        assert {"PRED", "PROB"} <= {hdu.name for hdu in hdus}
        predicted, chance = hdus["PRED"].data, hdus["PROB"].data
        header = hdus["PROB"].header
        ids = [header[f"CLASS{number}"] for number in range(1, len(chance) + 1)]
        assert f"CLASS{len(chance) + 1}" not in header
        seen = ~file["mask"][()].all(axis=2)
        np.testing.assert_allclose(chance.sum(axis=0)[seen], 1.0, rtol=1e-5)
        assert np.isnan(chance[:, ~seen]).all()
        wcs = WCS(hdus["PRED"].header)
        ra, _ = wcs.wcs_pix2world(3, 5, 0)
        assert ra == pytest.approx(file["coordinates/ra"][5, 3], abs=1e-9)
        if task == "BPT":
            best = np.asarray(ids)[np.nan_to_num(chance).argmax(axis=0)]
            np.testing.assert_array_equal(predicted[seen], best[seen])
            assert np.all(predicted[~seen] == 0)
        else:
            assert np.all((predicted[seen] > 7.5) & (predicted[seen] < 9.5))
            assert np.isnan(predicted[~seen]).all()


def test_checkpoint_is_lightnings_and_holds_plain_values(trained):
    import torch

    content = torch.load(trained / "BPT" / "best.ckpt", weights_only=True)
    assert "pytorch-lightning_version" in content
    assert "state_dict" in content
    tensors = load_file(trained / "BPT" / "best.safetensors")
    for name, value in tensors.items():
        np.testing.assert_array_equal(content["state_dict"][name].numpy(), value)
    assert any(name.startswith("network.") for name in tensors)


def test_ssftt_of_the_package():
    import torch

    from manga_ssftt.model import SSFTT

    network = SSFTT(n_bands=30, patch_size=13, n_classes=16)
    assert sum(p.numel() for p in network.parameters()) == 153_224
    assert network(torch.zeros(2, 1, 30, 13, 13)).shape == (2, 16)
    long = SSFTT(2040, 7, 4)
    assert sum(p.numel() for p in long.parameters()) < 500_000
    assert long(torch.zeros(2, 1, 2040, 7, 7)).shape == (2, 4)


def test_hsi_benchmark(run_json, tmp_path):
    from scipy.io import savemat

    from manga_ssftt.hsi.scene import mock_image

    truth = np.zeros((40, 44), dtype=np.uint8)
    truth[2:18, 2:20], truth[2:18, 24:42], truth[22:38, 2:42] = 1, 2, 5
    savemat(tmp_path / "gt.mat", {"gt": truth})
    image = mock_image(truth.astype(np.int64), n_bands=24, noise=0.03, seed=2)
    savemat(tmp_path / "image.mat", {"cube": image})
    found = run_json(
        *("hsi-benchmark", "--image", tmp_path / "image.mat"),
        *("--ground-truth", tmp_path / "gt.mat", "--split", "both", "--train-fraction", 0.1),
        *("--patch-size", 5, "--n-components", 8, "--epochs", 4, "--seed", 1),
        *("--out", tmp_path / "out"),
    )
    for name in ("random", "disjoint"):
        figures = found[name]
        split = np.load(tmp_path / "out" / f"{name}_split.npy", allow_pickle=False)
        predicted = np.load(tmp_path / "out" / f"{name}_prediction.npy", allow_pickle=False)
        assert set(np.unique(split)) <= {0, 1, 2}
        assert figures["n_train"] == (split == 1).sum()
        assert figures["n_test"] == (split == 2).sum()
        assert figures["leaky"] is (name == "random")
        assert figures["oa"] == pytest.approx(np.mean((predicted == truth)[split == 2]))
        assert {"aa", "kappa"} <= set(figures)
        assert set(figures["svm"]) == {"oa", "aa", "kappa"}
        assert figures["svm"]["oa"] > 0.5
        assert set(truth[split == 1]) == {1, 2, 5}
    split = np.load(tmp_path / "out" / "disjoint_split.npy")
    for y, x in np.argwhere(split == 2):
        patch = split[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        assert not (patch == 1).any()
