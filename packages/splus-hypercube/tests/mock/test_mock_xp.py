from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from splus_hypercube.mock.gaia import make_gaia
from splus_hypercube.mock.grid import OPTICAL
from splus_hypercube.mock.spectra import observed_spectra
from splus_hypercube.mock.xp import XP_COLUMNS, true_coefficients, write_xp
from splus_hypercube.mock.xp_basis import ARMS, N_COEFFICIENTS, xp_arm

ARRAYS = [column.name for column in XP_COLUMNS if column.array]


def parse(cell: str) -> np.ndarray:
    return np.array(cell.strip('"[]').split(","), dtype=float)


@pytest.fixture(scope="module")
def gaia(mock_sky, mock_catalogue):
    return make_gaia(mock_sky, mock_catalogue)


@pytest.fixture(scope="module")
def written(mock_sky, gaia, tmp_path_factory):
    """All XP rows of the field, array cells parsed, and the folder of the files."""
    folder = tmp_path_factory.mktemp("xp")
    write_xp(folder, mock_sky, gaia)
    frames = [
        pd.read_csv(path, comment="#", na_values="null") for path in sorted(folder.glob("*.csv.gz"))
    ]
    frame = pd.concat([item for item in frames if len(item)], ignore_index=True)
    for name in ARRAYS:
        frame[name] = frame[name].map(parse)
    return folder, frame


@pytest.fixture(scope="module")
def gaiaxpy():
    """GaiaXPy, without the changes that importing it makes to matplotlib's settings."""
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context():
        return pytest.importorskip("gaiaxpy")


def truth_of(frame, gaia):
    """Rows of the Gaia catalogue, in the order of the file."""
    order = np.argsort(gaia.source_id)
    return order[np.searchsorted(gaia.source_id[order], frame["source_id"].to_numpy())]


def test_columns_are_those_of_the_archive(written):
    folder, frame = written
    assert frame.columns.tolist() == [column.name for column in XP_COLUMNS]
    assert frame["source_id"].dtype == np.int64
    assert frame["source_id"].is_unique
    lengths = {
        "coefficients": N_COEFFICIENTS,
        "coefficient_errors": N_COEFFICIENTS,
        "coefficient_correlations": N_COEFFICIENTS * (N_COEFFICIENTS - 1) // 2,
    }
    for arm in ARMS:
        for name, length in lengths.items():
            assert set(frame[f"{arm}_{name}"].map(len)) == {length}
    for path in folder.glob("*.csv.gz"):
        text = gzip.decompress(path.read_bytes()).decode()
        assert text.startswith("# %ECSV 1.0\n")
        assert "#   subtype: 'float64[null]'\n" in text
        assert path.read_bytes()[4:8] == b"\0\0\0\0"


def test_the_noise_obeys_the_errors_and_correlations(written, gaia, mock_sky):
    _, frame = written
    truth = true_coefficients(mock_sky, gaia, truth_of(frame, gaia))
    for arm in ARMS:
        whitened = []
        for place in range(len(frame)):
            row = frame.iloc[place]
            matrix = np.eye(N_COEFFICIENTS)
            matrix[np.tril_indices(N_COEFFICIENTS, -1)] = row[f"{arm}_coefficient_correlations"]
            matrix = np.tril(matrix) + np.tril(matrix, -1).T
            draw = (row[f"{arm}_coefficients"] - truth[arm][place]) / row[
                f"{arm}_coefficient_errors"
            ]
            whitened.append(np.linalg.solve(np.linalg.cholesky(matrix), draw))
        whitened = np.array(whitened)
        assert whitened.std() == pytest.approx(1.0, abs=0.03)
        assert abs(whitened.mean()) < 0.03
        cross = np.corrcoef(whitened.T)[np.triu_indices(N_COEFFICIENTS, 1)]
        assert np.abs(cross).mean() < 1.3 * np.sqrt(2.0 / np.pi / len(frame))


def smoothed(values, samples):
    return np.apply_along_axis(np.convolve, 1, values, np.ones(samples) / samples, "valid")


def test_coefficients_hold_the_spectra(gaia, mock_sky):
    rows = np.flatnonzero(gaia.has_xp & (gaia.g_mag < 17.0) & (gaia.entries.owner >= 0))
    spectra = observed_spectra(mock_sky.population, gaia.entries.template[rows], OPTICAL)
    coefficients = true_coefficients(mock_sky, gaia, rows)
    warm = mock_sky.population.teff[gaia.entries.template[rows]] > 4500.0
    assert warm.sum() > 20
    for arm, low, high, tolerance in (("bp", 400.0, 640.0, 0.03), ("rp", 650.0, 980.0, 0.01)):
        instrument = xp_arm(arm)
        wave = instrument.wavelength_nm
        # W/m2/nm of one erg/s/cm2/angstrom is 0.01.
        true = np.array([np.interp(wave * 10, OPTICAL.wavelength, item) for item in spectra]) * 0.01
        window = (wave > low) & (wave < high)
        found = smoothed(instrument.flux(coefficients[arm])[:, window], 61)
        expected = smoothed(true[:, window], 61)
        error = np.abs(found / expected - 1.0)
        assert np.median(error[warm]) < tolerance
        assert np.percentile(error[warm], 95) < 4 * tolerance
        # Order by order they fall, as those of real spectra do.
        size = np.sqrt(np.mean((coefficients[arm] / coefficients[arm][:, :1]) ** 2, axis=0))
        assert size[20:].max() < 0.02
        assert size[45:].max() < 0.005


def test_what_the_basis_can_hold_comes_back():
    rng = np.random.default_rng(1)
    decay = np.exp(-np.arange(N_COEFFICIENTS) / 4.0)
    for arm in ARMS:
        instrument = xp_arm(arm)
        coefficients = rng.normal(size=(4, N_COEFFICIENTS)) * decay
        counted = coefficients @ instrument.design
        back = counted @ instrument.projection
        error = np.abs((back - coefficients) @ instrument.design).max()
        assert error < 0.12 * np.abs(counted).max()


# What GaiaXPy's own code and its dependencies warn of is not ours to mend.
@pytest.mark.filterwarnings("ignore")
def test_gaiaxpy_gives_the_spectra_back(gaiaxpy, written, gaia, mock_sky, tmp_path):
    folder, frame = written
    path = next(
        path
        for path in sorted(folder.glob("*.csv.gz"))
        if len(pd.read_csv(path, comment="#", usecols=["source_id"]))
    )
    plain = tmp_path / "spectra.csv"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    sampling = np.arange(336.0, 1018.0, 2.0)
    calibrated, _ = gaiaxpy.calibrate(str(plain), sampling=sampling, save_file=False)
    converted, _ = gaiaxpy.convert(str(plain), save_file=False)
    ours = frame.set_index("source_id")
    rows = truth_of(calibrated, gaia)
    template = gaia.entries.template[rows]
    spectra = observed_spectra(mock_sky.population, template, OPTICAL)
    spectra *= 0.01 * 10 ** (-0.4 * gaia.entries.fainter[rows])[:, None]
    bright = np.flatnonzero((gaia.g_mag[rows] < 16.5) & (gaia.g_mag[rows] > 13.0))
    ratios = []
    for place in bright.tolist():
        source = int(calibrated["source_id"][place])
        flux = np.asarray(calibrated["flux"][place])
        # Our own sampling of the same coefficients, where one arm alone counts.
        for arm, part in (("bp", sampling < 635.0), ("rp", sampling > 643.0)):
            instrument = xp_arm(arm)
            mine = instrument.flux(ours.loc[source, f"{arm}_coefficients"][None])[0]
            seen = part & (sampling < 1000.0)
            sampled = np.interp(sampling[seen], instrument.wavelength_nm, mine)
            np.testing.assert_allclose(sampled, flux[seen], rtol=1e-6, atol=1e-6 * flux.max())
        true = np.interp(sampling * 10.0, OPTICAL.wavelength, spectra[place])
        wide = np.ones(20) / 20.0
        window = (sampling > 420.0) & (sampling < 990.0)
        ratios.append(
            np.convolve(flux[window], wide, "valid") / np.convolve(true[window], wide, "valid")
        )
    assert len(ratios) >= 5
    error = np.abs(np.array(ratios) - 1.0)
    assert np.median(error) < 0.01
    assert np.percentile(error, 90) < 0.06
    # The internal representation is a spectrum too: counts, not noise around zero.
    for flux in converted["flux"][:6]:
        assert np.min(flux) > -0.05 * np.max(flux)


@pytest.mark.filterwarnings("ignore")
def test_the_shipped_numbers_are_those_of_gaiaxpy(gaiaxpy, capsys):
    assert gaiaxpy.__name__ == "gaiaxpy"
    script = Path(__file__).parents[2] / "tools" / "make_xp_basis.py"
    if not script.is_file():
        pytest.skip(f"{script} is part of the source distribution only")
    spec = importlib.util.spec_from_file_location("make_xp_basis", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with np.load(module.OUTPUT, allow_pickle=False) as shipped:
        for arm in ARMS:
            for name, values in module.arm_arrays(arm).items():
                np.testing.assert_allclose(
                    shipped[f"{arm}_{name}"], values, rtol=1e-12, atol=1e-300
                )
    capsys.readouterr()
