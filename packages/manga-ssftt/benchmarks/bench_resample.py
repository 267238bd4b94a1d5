"""Resampling of a whole cube with errors, against spectres and a copy of the cube in memory."""

from __future__ import annotations

import numpy as np
import spectres

from astro_common.benchmarking import (
    Result,
    note,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from manga_ssftt.resample import channel_range, log_edges, log_grid, resample

WAVE = 10.0 ** (np.log10(3621.596) + 1e-4 * np.arange(4563))
REDSHIFT = 0.03


def loop(flux, error, grid, n_spectra):
    """The first spectra one by one with spectres, as most scripts do it."""
    wave = WAVE / (1 + REDSHIFT)
    return [
        spectres.spectres(grid, wave, flux[:, number], error[:, number], verbose=False)
        for number in range(n_spectra)
    ]


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--size", type=int, default=74, metavar="P", help="spaxels (74)")
    options.add_argument("--loop-spectra", type=int, default=8, metavar="N", help="(8)")
    arguments = options.parse_args()
    n_spectra = arguments.size**2
    random = np.random.default_rng(arguments.seed)
    flux = random.normal(1.0, 0.3, (len(WAVE), n_spectra)).astype(np.float32)
    ivar = random.uniform(1, 50, (len(WAVE), n_spectra)).astype(np.float32)
    mask = np.zeros(flux.shape, dtype=np.int32)
    bad = mask != 0
    grid = log_grid(5000.0, 8000.0, 2040)
    edges_in, edges_out = log_edges(WAVE) / (1 + REDSHIFT), log_edges(grid)

    def ours():
        needed = channel_range(edges_in, edges_out)
        return resample(
            flux[needed],
            ivar[needed],
            bad[needed],
            edges_in[needed.start : needed.stop + 1],
            edges_out,
        )

    few = slice(0, arguments.loop_spectra)
    error = (1.0 / np.sqrt(ivar[:, few])).astype(np.float64)
    wide = flux[:, few].astype(np.float64)
    # For the comparison alone, with the edges of spectres: half way between centres, linearly.
    bins = spectres.spectral_resampling.make_bins
    same_in, same_out = bins(WAVE / (1 + REDSHIFT))[0], bins(grid)[0]
    found = resample(flux[:, few], ivar[:, few], bad[:, few], same_in, same_out)
    for number, (mean, sigma) in enumerate(loop(wide, error, grid, arguments.loop_spectra)):
        require(np.allclose(found.flux[number], mean, rtol=1e-6), f"flux of spectrum {number}")
        weight = found.ivar[number]
        require(np.allclose(weight, sigma**-2.0, rtol=1e-6), f"ivar of spectrum {number}")
    del found
    ours()  # the compiled loop is loaded
    seconds = paired_seconds(
        {
            "resample": ours,
            "copy": lambda: (flux.copy(), ivar.copy()),
            "copy of all three": lambda: (flux.copy(), ivar.copy(), mask.copy()),
            "spectres": lambda: loop(wide, error, grid, arguments.loop_spectra),
        },
        arguments.repeats,
    )
    best = {name: min(values) for name, values in seconds.items()}
    whole = best["spectres"] / arguments.loop_spectra * n_spectra
    note(f"spectres: {arguments.loop_spectra} spectra timed, {n_spectra} extrapolated")
    result = Result(
        "manga-ssftt",
        "Resample a cube",
        f"{arguments.size} x {arguments.size} x {len(WAVE)}, flux and ivar, to {len(grid)} pixels; "
        "best of the rounds",
        versions=peer_versions("spectres", "numpy"),
    )
    result.measured("resample, whole cube", best["resample"])
    result.measured("copy of flux and ivar", best["copy"])
    result.measured("copy of flux, ivar and int32 mask", best["copy of all three"])
    result.measured("spectres, whole cube (extrapolated)", whole)
    result.at_least("spectres / ours", whole / best["resample"], 50.0)
    result.at_most("ours / copy of flux and ivar", best["resample"] / best["copy"], 5.0)
    three = best["resample"] / best["copy of all three"]
    result.at_most("ours / copy of flux, ivar and mask", three, 5.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
