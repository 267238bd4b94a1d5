"""The embedded engine against the SExtractor program, on a CCD of full size; and an exposure."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from astro_common.benchmarking import (
    Result,
    note,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
    run_process,
)
from cfht_iqa.extraction import ExtractionSettings, extract_ccd
from cfht_iqa.megacam import iterate_ccds, read_exposure
from cfht_iqa.mock import MockPlan, write_mock


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--ccds", type=int, default=36, metavar="N", help="of the exposure (36)")
    options.add_argument("--sources", type=float, default=7500.0, metavar="N", help="drawn (7500)")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = MockPlan(
            per_class=1,
            classes=("GOOD",),
            n_ccds=arguments.ccds,
            sources_per_ccd=arguments.sources,
            filters=("r.MP9601",),
            exptime_s=300.0,
            seed=arguments.seed,
        )
        (path,) = write_mock(folder, plan, progress=False)
        exposure = read_exposure(path)
        ccd = next(iterate_ccds(exposure))

        def extract(engine: str) -> dict[str, np.ndarray]:
            return extract_ccd(
                ccd,
                ExtractionSettings(engine=engine),
                pixel_scale_arcsec=exposure.pixel_scale_arcsec,
                saturation_adu=exposure.saturation_adu,
                source=path,
            )

        ours, theirs = extract("sep"), extract("sextractor")
        tree = cKDTree(np.c_[theirs["X_IMAGE"], theirs["Y_IMAGE"]])
        distance, index = tree.query(np.c_[ours["X_IMAGE"], ours["Y_IMAGE"]])
        matched = distance < 0.5
        require(matched.mean() > 0.98, f"only {matched.mean():.3f} of the sources match")
        gap = np.abs(ours["ISO0"] - theirs["ISO0"][index])[matched]
        require(float(np.median(gap)) == 0.0, "isophotal areas")
        note(f"{len(ours['ISO0'])} sources, {matched.mean():.4f} of them in both catalogues")
        timed = paired_seconds(
            {"sep": lambda: extract("sep"), "sextractor": lambda: extract("sextractor")},
            arguments.repeats,
        )
        fast = {key: min(values) for key, values in timed.items()}
        words = [sys.executable, "-m", "cfht_iqa", "extract", path, "--output", folder / "cat"]
        whole = run_process([*words, "--workers", "2", "-q", "--overwrite"])
    result = Result(
        "cfht-iqa",
        "Extract sources",
        f"a CCD of 2048 x 4612 pixels with {len(ours['ISO0']):,} sources; an exposure of "
        f"{arguments.ccds} such CCDs by the whole command with two workers",
        versions=peer_versions("sep", "astropy", "numpy"),
    )
    result.measured("sep, one CCD", fast["sep"])
    result.measured("SExtractor, one CCD, its files written and read", fast["sextractor"])
    result.measured(f"extract, {arguments.ccds} CCDs", whole.seconds, whole.peak_memory_mb)
    result.at_least("SExtractor / sep", fast["sextractor"] / fast["sep"], 1.0)
    result.at_most("exposure of 36 CCDs, s", whole.seconds * 36 / arguments.ccds, 30.0)
    result.at_most("peak memory of all processes / 1 GB", whole.peak_memory_mb / 1000.0, 1.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
