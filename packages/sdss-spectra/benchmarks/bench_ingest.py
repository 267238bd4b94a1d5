"""Reading, quality control, resampling and normalising spec-lite files, beside a specutils loop."""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from astro_common.benchmarking import (
    Result,
    command_words,
    note,
    parser,
    peer_versions,
    report,
    require,
    run_process,
)
from sdss_spectra.mock import write_mock
from sdss_spectra.preprocessing.resample import LogGrid
from sdss_spectra.preprocessing.steps import Preprocessing, clean
from sdss_spectra.readers import read_spectrum

DISTINCT = 140
GRID = LogGrid(3.58, 1e-4, 3800)


def make_files(folder: Path, count: int, seed: int) -> list[Path]:
    """Distinct synthetic files, and hard links to them up to the number asked for."""
    originals = write_mock(folder / "originals", per_class=DISTINCT // 7, seed=seed)
    (folder / "all").mkdir()
    paths = []
    for number in range(count):
        path = folder / "all" / f"spec-{number:05d}.fits"
        os.link(originals[number % len(originals)], path)
        paths.append(path)
    return paths


def peer_one(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same work as a user writes it with specutils."""
    from astropy import units as u
    from astropy.nddata import InverseVariance
    from specutils import Spectrum
    from specutils.fitting import fit_generic_continuum
    from specutils.manipulation import FluxConservingResampler

    spectrum = Spectrum.read(path, format="SDSS-III/IV spec")
    good = spectrum.uncertainty.array > 0
    kept = Spectrum(
        spectral_axis=spectrum.spectral_axis[good],
        flux=spectrum.flux[good],
        uncertainty=InverseVariance(spectrum.uncertainty.array[good] / spectrum.flux.unit**2),
    )
    resampled = FluxConservingResampler()(kept, GRID.wavelength * u.AA)
    curve = fit_generic_continuum(resampled)(resampled.spectral_axis)
    return resampled.flux.value, (resampled.flux / curve).value


def ours_one(path: Path, *, normalise: bool = True) -> np.ndarray:
    """Our work on a file."""
    settings = Preprocessing(
        grid=GRID, rest_frame=False, deredden=False, normalise=normalise, quality_control=normalise
    )
    return clean(read_spectrum(path), settings).flux


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--files", type=int, default=5000, metavar="N", help="(5000)")
    options.add_argument("--peer-files", type=int, default=40, metavar="N", help="(40)")
    arguments = options.parse_args()
    warnings.simplefilter("ignore")
    result = Result(
        "sdss-spectra",
        "Ingest of spec-lite files",
        f"{arguments.files} synthetic files of 4,620 pixels onto {GRID.n_pixels}; the peer does "
        f"{arguments.peer_files} of them",
        versions=peer_versions("numpy", "specutils", "astropy"),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        note("making the files ...")
        paths = make_files(folder, arguments.files, arguments.seed)
        flux, _ = peer_one(paths[3])
        mine = ours_one(paths[3], normalise=False)
        inner = slice(10, -10)
        # Around rejected pixels the peer averages over the gap, we over what overlaps.
        close = np.isclose(mine[inner], flux[inner], rtol=1e-3)
        require(close.mean() > 0.98, f"resampled flux ({close.mean():.3f} of the pixels)")
        best_ours, best_peer = np.inf, np.inf
        for _ in range(arguments.repeats):
            start = time.process_time()
            for path in paths[:600]:
                ours_one(path)
            best_ours = min(best_ours, (time.process_time() - start) / len(paths[:600]))
            start = time.process_time()
            for path in paths[: arguments.peer_files]:
                peer_one(path)
            best_peer = min(best_peer, (time.process_time() - start) / arguments.peer_files)
            note(f"  ours {1 / best_ours:.0f}/s, peer {1 / best_peer:.1f}/s")
        small = folder / "small"
        small.mkdir()
        for path in paths[: max(1, len(paths) // 10)]:
            os.link(path, small / path.name)
        runs = {}
        for kind, data in (("a tenth", small), ("all", folder / "all")):
            words = command_words("sdss_spectra",
                "preprocess", data, "-o", folder / f"{kind[-3:]}.parquet", "--preproc-log",
                folder / f"{kind[-3:]}.csv",
            )  # fmt: skip
            runs[kind] = run_process(words)
            result.measured(
                f"preprocess command, {kind} of the files", runs[kind].seconds,
                runs[kind].peak_memory_mb,
            )  # fmt: skip
    result.measured("ours, per spectrum", best_ours)
    result.measured("specutils, per spectrum", best_peer)
    result.at_least("specutils' time / ours", best_peer / best_ours, 10.0)
    result.at_least("spectra per second and core", 1.0 / best_ours, 200.0)
    growth = runs["all"].peak_memory_mb / runs["a tenth"].peak_memory_mb
    result.at_most("memory, all files / a tenth of them", growth, 1.3)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
