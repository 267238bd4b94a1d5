"""``manga-ssftt download``: released files by HTTP."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import (
    DONE,
    PARTLY_FAILED,
    add_common_options,
    add_unit_options,
    print_json,
)
from astro_common.errors import ConfigurationError
from manga_ssftt.commands.options import add_root

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "download",
        help="fetch MAPS and LOGCUBE files of galaxies",
        description="Fetch the released MAPS and LOGCUBE files of galaxies into ROOT/raw. Files "
        "that are there are left alone; a transfer that broke off goes on.",
    )
    parser.add_argument("galaxies", nargs="*", metavar="PLATEIFU")
    parser.add_argument(
        "--list", type=Path, metavar="FILE", help="plate-ifus, one per line, or a split's CSV"
    )
    add_root(parser)
    parser.add_argument("--base-url", metavar="URL", help="by default the SDSS archive, DR17")
    parser.add_argument("--daptype", metavar="NAME", help="by default SPX-MILESHC-MASTARSSP")
    parser.add_argument(
        "--checksums", type=Path, metavar="FILE", help="in the format of sha1sum and its relatives"
    )
    parser.add_argument("--maps-only", action="store_true", help="no LOGCUBE")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be fetched")
    add_unit_options(parser)
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetch the files; exit status 3 if some failed."""
    from astro_common.jobs import run_units
    from manga_ssftt.download import DEFAULT_BASE, fetch, fetches, read_checksums, read_list
    from manga_ssftt.layout import DEFAULT_DAPTYPE, Tree, check_plateifu

    names = [check_plateifu(name) for name in arguments.galaxies]
    if arguments.list is not None:
        names += read_list(arguments.list)
    names = list(dict.fromkeys(names))
    if not names:
        raise ConfigurationError("PLATEIFU", "none", "plate-ifus, or --list")
    tree = Tree(arguments.root, arguments.daptype or DEFAULT_DAPTYPE)
    checksums = {} if arguments.checksums is None else read_checksums(arguments.checksums)
    tasks = fetches(
        tree, names, arguments.base_url or DEFAULT_BASE, checksums, maps_only=arguments.maps_only
    )
    waiting = [name for name, task in tasks.items() if not task.path.exists()]
    if arguments.dry_run:
        if arguments.json:
            print_json({"would_fetch": [tasks[name].url for name in waiting]})
        else:
            for name in waiting:
                print(tasks[name].url)
        return DONE
    folder = tree.root / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    sizes: dict[str, int] = {}
    outcome = run_units(
        fetch,
        tasks,
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        failures=folder / "failures.jsonl",
        describe="product",
        is_done=lambda name: tasks[name].path.exists(),
        on_done=sizes.__setitem__,
        progress=not arguments.quiet,
    )
    if arguments.json:
        failed = [{"file": failure.unit, "reason": failure.reason} for failure in outcome.failed]
        print_json({"fetched": sizes, "skipped": outcome.skipped, "failed": failed})
    else:
        total = sum(sizes.values()) / 1e6
        print(
            f"{len(sizes)} fetched ({total:.1f} MB), {len(outcome.skipped)} skipped, "
            f"{len(outcome.failed)} failed"
        )
    return PARTLY_FAILED if outcome.failed else DONE
