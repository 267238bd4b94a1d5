"""``manga-ssftt process``: released files into label maps and HDF5 files."""

from __future__ import annotations

import argparse
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_common.command import (
    DONE,
    PARTLY_FAILED,
    add_common_options,
    add_unit_options,
    positive_int,
    print_json,
)
from astro_common.errors import ConfigurationError, InputError
from manga_ssftt.commands.options import add_root, add_task_options

if TYPE_CHECKING:
    from astro_common.jobs import Failure, Outcome
    from manga_ssftt.catalog import Catalog
    from manga_ssftt.labels import LabelRecipe
    from manga_ssftt.layout import Tree
    from manga_ssftt.process import CubeRecipe, Task

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "process",
        help="make label maps and resampled HDF5 cubes of DAP or DRP files",
        description="De-redshift and resample each galaxy's LOGCUBE and make its BPT and abundance "
        "maps from its MAPS. A galaxy that is done already is skipped.",
    )
    parser.add_argument(
        "galaxies",
        nargs="*",
        metavar="PLATEIFU|FILE",
        help="galaxies, or LOGCUBE (with --maps-only: MAPS) files; by default all under ROOT/raw",
    )
    add_root(parser)
    parser.add_argument(
        "--catalog", type=Path, metavar="DAPALL", help="dapall or drpall (FITS or CSV): redshifts"
    )
    parser.add_argument(
        "--daptype", metavar="NAME", help="analysis, by default SPX-MILESHC-MASTARSSP"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--maps-only", action="store_true", help="only label maps; no cube is read")
    what.add_argument(
        "--skip-fits",
        action="store_true",
        help="leave FITS files alone: only cut patches of galaxies that are processed",
    )
    labels = parser.add_argument_group("labels")
    labels.add_argument(
        "--map-mask",
        choices=("donotuse", "any"),
        default="donotuse",
        help="which bits of a line's mask exclude a spaxel (donotuse)",
    )
    labels.add_argument(
        "--bpt",
        choices=("nii", "sii", "oi", "kewley06", "schawinski07"),
        default="nii",
        help="diagnostic diagram (nii)",
    )
    labels.add_argument("--snr-min", type=float, default=3.0, metavar="S", help="per line (3)")
    labels.add_argument(
        "--min-ew-ha",
        type=float,
        metavar="A",
        help="least EW(H-alpha) in angstrom; below it gas is retired and gets no label",
    )
    labels.add_argument(
        "--calibration",
        default="marino13-o3n2",
        metavar="NAME",
        help="of the abundance: a name or a .json file (marino13-o3n2)",
    )
    spectra = parser.add_argument_group("spectra")
    spectra.add_argument(
        "--window",
        nargs=2,
        type=float,
        default=(5000.0, 8000.0),
        metavar=("LO", "HI"),
        help="rest-frame wavelength, angstrom (5000 8000); H-beta needs LO of at most 4850",
    )
    spectra.add_argument("--n-pixels", type=positive_int, default=2040, metavar="N", help="(2040)")
    spectra.add_argument(
        "--velocity",
        choices=("systemic", "spaxel"),
        default="systemic",
        help="de-redshift the galaxy as one, or each spaxel by its own velocity",
    )
    spectra.add_argument("--deredden", action="store_true", help="undo the Milky Way's extinction")
    spectra.add_argument(
        "--compact",
        action="store_true",
        help="store flux to 1/64 of its error and ivar to 10 bits: half the size",
    )
    patches = parser.add_argument_group("patches (cut after processing when --patch-norm is given)")
    add_task_options(patches, required=False)
    patches.add_argument("--stats", type=Path, metavar="F", help="statistics for PCA patches")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Process the galaxies; exit status 3 if some failed."""
    from astro_common.jobs import run_units
    from manga_ssftt.abundances import named_calibration
    from manga_ssftt.catalog import read_catalog
    from manga_ssftt.commands.patchify import cut_all
    from manga_ssftt.labels import LabelRecipe
    from manga_ssftt.layout import DEFAULT_DAPTYPE, Tree
    from manga_ssftt.process import CubeRecipe, is_done, process_lazily

    _check(arguments)
    tree = Tree(arguments.root, arguments.daptype or DEFAULT_DAPTYPE)
    results: list[dict[str, Any]] = []
    failed: list[Failure] = []
    skipped: list[str] = []
    calibration = named_calibration(arguments.calibration)
    units = _units(arguments, tree)
    if not arguments.skip_fits:
        labels = LabelRecipe(
            bpt=arguments.bpt,
            map_mask=arguments.map_mask,
            snr_min=arguments.snr_min,
            min_ew_ha=arguments.min_ew_ha,
            calibration=calibration,
        )
        cube = CubeRecipe(
            tuple(arguments.window),
            arguments.n_pixels,
            arguments.velocity,
            arguments.deredden,
            arguments.compact,
        )
        catalog = None
        if arguments.catalog is not None:
            catalog = read_catalog(arguments.catalog, tree.daptype)
        tree.failures.parent.mkdir(parents=True, exist_ok=True)
        job = _Job(tree, catalog, labels, cube, arguments.overwrite)
        outcome = run_units(
            process_lazily,
            {name: partial(job.task, name, paths) for name, paths in units.items()},
            workers=arguments.workers,
            scheduler=arguments.scheduler,
            failures=tree.failures,
            describe="plateifu",
            is_done=lambda name: is_done(job.task(name, units[name])),
            on_done=lambda _name, result: results.append(result),
            progress=not arguments.quiet,
        )
        skipped = outcome.skipped
        failed = outcome.failed
    patches: tuple[list[str], Outcome] | None = None
    if arguments.patch_norm is not None:
        without = {failure.unit for failure in failed}
        patches = cut_all(arguments, tree, [name for name in units if name not in without])
        failed = failed + patches[1].failed
    _report(arguments, results, skipped, failed, patches)
    return PARTLY_FAILED if failed else DONE


def _check(arguments: argparse.Namespace) -> None:
    low, high = arguments.window
    if not 0 < low < high < math.inf:
        raise ConfigurationError("--window", f"{low} {high}", "LO below HI, both positive")
    if arguments.n_pixels < 2:
        raise ConfigurationError("--n-pixels", str(arguments.n_pixels), "at least 2")
    if not 0 <= arguments.snr_min < math.inf:
        raise ConfigurationError("--snr-min", str(arguments.snr_min), "0 or more")
    if arguments.catalog is None and not (arguments.maps_only or arguments.skip_fits):
        raise ConfigurationError(
            "--catalog", "not given", "a dapall or drpall file, which tells the redshifts"
        )
    if arguments.patch_norm == "PCA" and arguments.stats is None:
        raise ConfigurationError("--stats", "not given", "the file that the verb stats writes")
    if arguments.skip_fits and arguments.patch_norm is None:
        raise ConfigurationError("--skip-fits", "no --patch-norm", "how patches are normalised")


class _Job:
    """What all galaxies of a run share."""

    def __init__(
        self,
        tree: Tree,
        catalog: Catalog | None,
        labels: LabelRecipe,
        cube: CubeRecipe,
        overwrite: bool,
    ) -> None:
        self.tree, self.catalog = tree, catalog
        self.labels, self.cube, self.overwrite = labels, cube, overwrite

    def task(self, plateifu: str, paths: tuple[Path | None, Path]) -> Task:
        """The task of one galaxy; an `InputError` if the catalogue gives no redshift."""
        from manga_ssftt.process import CubeSource, Task

        logcube, maps = paths
        source = None
        if logcube is not None and self.catalog is not None:
            redshift, mangaid = self.catalog.redshift(plateifu), self.catalog.mangaid(plateifu)
            source = CubeSource(logcube, redshift, mangaid, self.cube)
        return Task(self.tree, plateifu, maps, self.labels, source, self.overwrite)


def _units(arguments: argparse.Namespace, tree: Tree) -> dict[str, tuple[Path | None, Path]]:
    """LOGCUBE (None with --maps-only) and MAPS of each galaxy."""
    from manga_ssftt.layout import check_plateifu

    names = arguments.galaxies
    if not names and arguments.skip_fits:
        names = tree.galaxies()
        if not names:
            raise InputError(
                tree.root,
                "no processed galaxy",
                "processed/cubes/PLATE/PLATEIFU.h5",
                "run process without --skip-fits first",
            )
    elif not names:
        names = tree.raw_galaxies("MAPS" if arguments.maps_only else "LOGCUBE")
        if not names:
            raise InputError(
                tree.root / "raw", "no galaxy", f"raw/PLATE/IFU/manga-*-{tree.daptype}.fits.gz"
            )
    units: dict[str, tuple[Path | None, Path]] = {}
    for text in names:
        path = Path(text)
        if path.name.endswith((".fits", ".fits.gz")):
            plateifu, pair = _of_file(path, tree, maps_only=arguments.maps_only)
        else:
            plateifu = check_plateifu(text)
            cube = None if arguments.maps_only else tree.logcube(plateifu)
            pair = (cube, tree.maps(plateifu))
        units[plateifu] = pair
    return units


def _of_file(path: Path, tree: Tree, *, maps_only: bool) -> tuple[str, tuple[Path | None, Path]]:
    from astro_common.fits import read_header
    from manga_ssftt.layout import check_plateifu, companion_maps, plateifu_of_name

    plateifu = plateifu_of_name(path)
    if plateifu is None:
        plateifu = check_plateifu(str(read_header(path).get("PLATEIFU", "")).strip())
    if "MAPS" in path.name:
        if maps_only:
            return plateifu, (None, path)
        raise ConfigurationError(path, "a MAPS file", "a LOGCUBE, or --maps-only")
    beside = companion_maps(path)
    maps = beside if beside != path and beside.exists() else tree.maps(plateifu)
    return plateifu, (None if maps_only else path, maps)


def _report(
    arguments: argparse.Namespace,
    results: list[dict[str, Any]],
    skipped: list[str],
    failed: list[Failure],
    patches: tuple[list[str], Outcome] | None,
) -> None:
    timings: dict[str, float] = {}
    for result in results:
        for name, seconds in result["timings_s"].items():
            timings[name] = timings.get(name, 0.0) + seconds
    written, skipped_patches = ([], []) if patches is None else (patches[0], patches[1].skipped)
    if arguments.json:
        print_json(
            {
                "done": [result["plateifu"] for result in results],
                "skipped": skipped,
                "failed": [
                    {"plateifu": failure.unit, "file": failure.file, "reason": failure.reason}
                    for failure in failed
                ],
                "timings_s": timings,
                "galaxies": results,
                "patches": written,
                "skipped_patches": skipped_patches,
            }
        )
        return
    for result in results:
        counts = ", ".join(f"{name} {n}" for name, n in result["counts"].items() if n)
        print(f"{result['plateifu']}: {counts}")
    if not arguments.skip_fits:
        n_failed = len(failed) - (0 if patches is None else len(patches[1].failed))
        print(f"{len(results)} done, {len(skipped)} skipped, {n_failed} failed")
    if patches is not None:
        n_failed = len(patches[1].failed)
        print(f"patches: {len(written)} done, {len(skipped_patches)} skipped, {n_failed} failed")
