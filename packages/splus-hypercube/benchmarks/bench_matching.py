"""Nearest match of 200,000 sources to 1,000,000 within 1 arcsec: astropy, STILTS, LSDB and we."""

from __future__ import annotations

import re
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from astro_common.benchmarking import (
    Finished,
    Result,
    command_words,
    median_ratio,
    note,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
    run_process,
)
from splus_hypercube.matching import match_nearest

RADIUS_ARCSEC = 1.0


def positions(count: int, side_deg: float, random: Any) -> tuple[Any, Any]:
    """Uniform positions in a square around RA 0 h at declination -30 deg."""
    low, high = np.sin(np.deg2rad([-30.0 - side_deg / 2.0, -30.0 + side_deg / 2.0]))
    dec = np.rad2deg(np.arcsin(random.uniform(low, high, count)))
    width = side_deg / np.cos(np.deg2rad(30.0))
    return np.mod(random.uniform(-width / 2.0, width / 2.0, count), 360.0), dec


def catalogues(left: int, right: int, side_deg: float, seed: int) -> tuple[Table, Table]:
    """Two catalogues: four fifths of the left one are sources of the right one, 0.2 arcsec off."""
    random = np.random.default_rng(seed)
    ra, dec = positions(right, side_deg, random)
    common = random.permutation(right)[: left * 4 // 5]
    own_ra, own_dec = positions(left - len(common), side_deg, random)
    offset = random.normal(0.0, 0.2 / 3600.0, (2, len(common)))
    near_ra = ra[common] + offset[0] / np.cos(np.deg2rad(dec[common]))
    order = random.permutation(left)
    left_ra = np.mod(np.concatenate([near_ra, own_ra])[order], 360.0)
    left_dec = np.concatenate([dec[common] + offset[1], own_dec])[order]
    tables = [
        Table({"id": np.arange(len(a)), "ra": a, "dec": d})
        for a, d in ((left_ra, left_dec), (ra, dec))
    ]
    return tables[0], tables[1]


def ours(left: Table, right: Table) -> tuple[Any, Any]:
    """Row of the counterpart (-1 for none) and separation, by this package."""
    found = match_nearest(left["ra"], left["dec"], right["ra"], right["dec"], RADIUS_ARCSEC)
    return found.indexed, found.separation_arcsec


def by_astropy(left: Table, right: Table) -> tuple[Any, Any]:
    """The same by astropy, from arrays."""
    sources = SkyCoord(left["ra"] * u.deg, left["dec"] * u.deg)
    # astropy keeps its tree with the coordinates: they are made anew for every match.
    catalogue = SkyCoord(right["ra"] * u.deg, right["dec"] * u.deg)
    index, separation, _ = sources.match_to_catalog_sky(catalogue)
    distance = separation.to_value(u.arcsec)
    return np.where(distance <= RADIUS_ARCSEC, index, -1), distance


def same_pairs(name: str, ours_pairs: Any, pairs: Any) -> None:
    """Require equal counterparts and separations."""
    require(np.array_equal(ours_pairs[0], pairs[0]), f"{name} finds other counterparts")
    matched = ours_pairs[0] >= 0
    difference = np.abs(ours_pairs[1][matched] - pairs[1][matched])
    require(bool(difference.max(initial=0.0) < 1e-5), f"{name} finds other separations")


def file_programs(left: Table, right: Table, folder: Path) -> dict[str, Any]:
    """Whole processes that match the same two FITS files."""
    paths = [folder / "left.fits", folder / "right.fits"]
    for table, path in zip((left, right), paths, strict=True):
        table.write(path)
    command = command_words("splus_hypercube", "crossmatch", *paths, "--radius", str(RADIUS_ARCSEC))
    programs = {
        "splus-hypercube crossmatch, process": partial(
            run_process, [*command, "-o", folder / "ours.parquet", "--overwrite", "-q"]
        )
    }
    stilts = shutil.which("stilts")
    if stilts is None:
        note("no stilts command: that comparison is left out")
        return programs
    words = ["tmatch2", f"in1={paths[0]}", f"in2={paths[1]}", "matcher=sky"]
    words += ["values1=ra dec", "values2=ra dec", f"params={RADIUS_ARCSEC}", "join=1and2"]
    words += ["find=best1", f"out={folder / 'stilts.fits'}", "progress=none"]
    programs["STILTS tmatch2, process"] = partial(run_process, [stilts, *words])
    return programs


def stilts_version() -> dict[str, str]:
    """The installed version of STILTS, if there is one."""
    stilts = shutil.which("stilts")
    if stilts is None:
        return {}
    found = re.search(r"STILTS version (\S+)", run_process([stilts, "-version"]).stdout)
    return {"stilts": found[1]} if found else {}


def check_files(left: Table, ours_pairs: Any, folder: Path) -> None:
    """Require that the processes wrote the same pairs."""
    found = pq.read_table(folder / "ours.parquet")
    written = {
        "splus-hypercube crossmatch": (
            found["id_left"],
            found["id_right"],
            found["separation_arcsec"],
        )
    }
    if (folder / "stilts.fits").exists():
        table = Table.read(folder / "stilts.fits")
        written["STILTS"] = (table["id_1"], table["id_2"], table["Separation"])
    for name, columns in written.items():
        first, second, distance = (np.asarray(column) for column in columns)
        index = np.full(len(left), -1)
        separation = np.full(len(left), np.nan)
        index[first], separation[first] = second, distance
        same_pairs(name, ours_pairs, (index, separation))


def by_lsdb(left: Table, right: Table) -> Any:
    """LSDB's plan of the same match, from catalogues in memory."""
    import lsdb

    common = {"ra_column": "ra", "dec_column": "dec", "use_pyarrow_types": False}
    first = lsdb.from_dataframe(
        left.to_pandas(), catalog_name="left", margin_threshold=None, **common
    )
    second = lsdb.from_dataframe(
        right.to_pandas(), catalog_name="right", margin_threshold=2.0 * RADIUS_ARCSEC, **common
    )
    return first, second


def crossmatch_lsdb(first: Any, second: Any) -> Any:
    """Plan and compute."""
    plan = first.crossmatch(
        second, n_neighbors=1, radius_arcsec=RADIUS_ARCSEC, suffixes=("_left", "_right")
    )
    return plan.compute()


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--left", type=int, default=200_000, metavar="N")
    options.add_argument("--right", type=int, default=1_000_000, metavar="N")
    options.add_argument("--side-deg", type=float, default=10.0, help="side of the region (10)")
    options.add_argument("--without-lsdb", action="store_true")
    arguments = options.parse_args()
    left, right = catalogues(arguments.left, arguments.right, arguments.side_deg, arguments.seed)
    result = Result(
        "splus-hypercube",
        "Nearest match within 1 arcsec",
        f"{len(left):,} sources to {len(right):,} in {arguments.side_deg:g} x "
        f"{arguments.side_deg:g} deg across RA 0 h; all programs give the same pairs. Arrays in "
        "memory, or whole processes that read two FITS files and write the matched rows.",
        versions=peer_versions("astropy", "scipy") | stilts_version(),
    )
    expected = ours(left, right)
    same_pairs("astropy", expected, by_astropy(left, right))
    programs: dict[str, Any] = {
        "splus_hypercube.matching.match_nearest": lambda: ours(left, right),
        "astropy match_to_catalog_sky": lambda: by_astropy(left, right),
    }
    if not arguments.without_lsdb:
        result.versions |= peer_versions("lsdb", "dask")
        frames = by_lsdb(left, right)
        found = crossmatch_lsdb(*frames)
        index = np.full(len(left), -1)
        separation = np.full(len(left), np.nan)
        index[found["id_left"].to_numpy()] = found["id_right"].to_numpy()
        separation[found["id_left"].to_numpy()] = found["_dist_arcsec"].to_numpy()
        same_pairs("LSDB", expected, (index, separation))
        programs["LSDB crossmatch, compute()"] = lambda: crossmatch_lsdb(*frames)
    seconds = paired_seconds(programs, arguments.repeats)
    with tempfile.TemporaryDirectory() as folder:
        processes = file_programs(left, right, Path(folder))
        memory: dict[str, float] = {}

        def run_once(name: str) -> None:
            finished: Finished = processes[name]()
            memory[name] = max(memory.get(name, 0.0), finished.peak_memory_mb)

        for name in processes:
            run_once(name)
        check_files(left, expected, Path(folder))
        seconds |= paired_seconds(
            {name: partial(run_once, name) for name in processes}, arguments.repeats
        )
    for name, values in seconds.items():
        result.measured(name, float(np.median(values)), memory.get(name))
    first = "splus_hypercube.matching.match_nearest"
    result.at_least(
        "astropy / ours, arrays",
        median_ratio(seconds["astropy match_to_catalog_sky"], seconds[first]),
        3.0,
    )
    if "LSDB crossmatch, compute()" in seconds:
        result.at_least(
            "LSDB / ours, arrays",
            median_ratio(seconds["LSDB crossmatch, compute()"], seconds[first]),
            1.0,
        )
    whole = "splus-hypercube crossmatch, process"
    if "STILTS tmatch2, process" in seconds:
        result.at_least(
            "STILTS / ours, processes",
            median_ratio(seconds["STILTS tmatch2, process"], seconds[whole]),
            1.0,
        )
    report(result, arguments.output)


if __name__ == "__main__":
    main()
