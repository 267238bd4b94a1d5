"""The manifest of spectra beside plain SHA-256 sums of the same files."""

from __future__ import annotations

import hashlib
import tempfile
import time
from functools import partial
from pathlib import Path

from astro_common.benchmarking import Result, note, parser, peer_versions, report, require
from sdss_spectra.files import find_files
from sdss_spectra.manifest import ManifestSettings, manifest_row
from sdss_spectra.mock import write_mock
from sdss_spectra.survey import Account, each_spectrum


def plain(folder: Path) -> dict[str, str]:
    """Sums alone, as sha256sum computes them."""
    sums = {}
    for path in sorted(folder.rglob("*.fits")):
        with path.open("rb") as file:
            sums[path.stem] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def ours(folder: Path) -> dict[str, str]:
    """Rows of the manifest."""
    settings = ManifestSettings("2024-01-01T00:00:00+00:00")
    rows = each_spectrum(find_files(folder), partial(manifest_row, settings=settings), Account())
    return {row["spec_id"]: row["checksum"] for row in rows}


def main() -> None:
    arguments = parser(__doc__ or "").parse_args()
    result = Result(
        "sdss-spectra",
        "Manifest",
        "700 synthetic spec-lite files",
        versions=peer_versions("numpy", "astropy"),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_mock(folder, per_class=100, seed=arguments.seed)
        size = sum(path.stat().st_size for path in folder.rglob("*.fits"))
        require(plain(folder) == ours(folder), "checksums")
        best = {"plain": float("inf"), "ours": float("inf")}
        for _ in range(arguments.repeats):
            for kind, function in (("plain", plain), ("ours", ours)):
                start = time.perf_counter()
                function(folder)
                best[kind] = min(best[kind], time.perf_counter() - start)
            note(f"  plain {best['plain']:.2f} s, manifest {best['ours']:.2f} s")
    result.measured("SHA-256 alone", best["plain"])
    result.measured("manifest", best["ours"])
    result.at_least("manifest, MB per second", size / 1e6 / best["ours"], 50.0)
    result.at_most("manifest / SHA-256 alone", best["ours"] / best["plain"], 10.0)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
