"""``sdss-spectra fetch``: spectra from the SDSS archive."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, PARTLY_FAILED, print_json
from sdss_spectra.commands.options import add_verb

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "fetch",
        "download spectra by plate, MJD and fibre; interrupted downloads are continued",
        "Download spectra of a list from the SDSS archive into DIR/PLATE/, check them against the "
        "archive's SHA-1 sums, and write DIR/fetched.csv. Files that are there and sound are not "
        "fetched again.",
    )
    parser.add_argument(
        "list", type=Path, metavar="LIST", help="lines plate-mjd-fiber, or CSV with these columns"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder")
    parser.add_argument("--run2d", default="v5_13_2", metavar="TEXT", help="reduction (v5_13_2)")
    parser.add_argument("--full", action="store_true", help="with single exposures, not lite")
    parser.add_argument("--base-url", metavar="URL", help="another archive of the same layout")
    parser.add_argument("--retries", type=int, default=3, metavar="N", help="(3)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetch."""
    import logging

    from astro_common.errors import ConfigurationError, InputError
    from astro_common.jobs.attempt import Failure
    from astro_common.jobs.failures import FailureFile
    from sdss_spectra.checksums import ArchiveSums
    from sdss_spectra.fetch import check_archive, fetch_one, read_requests, url_of
    from sdss_spectra.manifest import sha256_of
    from sdss_spectra.tables import column, write_table

    if arguments.retries < 0:
        raise ConfigurationError("--retries", str(arguments.retries), "at least 0")
    check_archive(arguments.run2d, arguments.base_url)
    requests = read_requests(arguments.list, arguments.run2d)
    arguments.output.mkdir(parents=True, exist_ok=True)
    record = FailureFile(arguments.output / "failures.jsonl", "path")
    rows: list[dict[str, Any]] = []
    failed = 0
    sums = ArchiveSums(arguments.retries)
    for request in requests:
        url = url_of(request, arguments.base_url, lite=not arguments.full)
        name = f"{request.plate:04d}/{request.name}"
        try:
            path, checked = fetch_one(
                request,
                arguments.output,
                base_url=arguments.base_url,
                lite=not arguments.full,
                retries=arguments.retries,
                sums=sums,
            )
        except InputError as error:
            failed += 1
            record.add(Failure(name, error.source, error.reason))
            logging.getLogger(__name__).error("%s", error)
            continue
        record.discard(name)
        rows.append(
            {
                "file_path": name,
                "url": url,
                "checksum": sha256_of(path),
                "checked_against": checked,
            }
        )
    columns = [
        column("file_path", "string", "file below the folder"),
        column("url", "string", "where it came from"),
        column("checksum", "string", "SHA-256, hexadecimal"),
        column("checked_against", "string", "sums of the archive, of the list, or length alone"),
    ]
    write_table(arguments.output / "fetched.csv", columns, rows, overwrite=True)
    if arguments.json:
        print_json({"output": str(arguments.output), "spectra": len(rows), "failed": failed})
    else:
        print(f"{arguments.output}: {len(rows)} spectra, {failed} failed")
    return PARTLY_FAILED if failed else DONE
