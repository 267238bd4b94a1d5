"""``sdss-spectra lines``: the lines of one spectrum."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from astro_common.command import DONE, print_json
from sdss_spectra.commands.options import add_output, add_verb

__all__ = ["add_parser"]


def add_parser(verbs: Any) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(
        verbs,
        "lines",
        "lines of a spectrum with significance, equivalent width and identification",
        "Find absorption and emission lines in the continuum-normalised spectrum at rest.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="one spectrum")
    add_output(parser, "CSV", "the table, .csv or .parquet")
    parser.add_argument("--row", type=int, metavar="N", help="which spectrum of a file of many (0)")
    parser.add_argument("--min-significance", type=float, default=5.0, metavar="X", help="(5)")
    parser.add_argument("--min-depth", type=float, default=0.02, metavar="X", help="(0.02)")
    parser.add_argument("--tolerance-kms", type=float, default=250.0, metavar="X", help="(250)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table."""
    from astro_common.errors import ConfigurationError
    from sdss_spectra.lines import COLUMNS, LineSettings, spectrum_lines
    from sdss_spectra.readers import read_spectrum
    from sdss_spectra.tables import check_table, write_table

    for name in ("min_significance", "min_depth", "tolerance_kms"):
        if not getattr(arguments, name) > 0:
            raise ConfigurationError(
                f"--{name.replace('_', '-')}", f"{getattr(arguments, name):g}", "above 0"
            )
    check_table(arguments.output, None, arguments.overwrite)
    settings = LineSettings(
        min_significance=arguments.min_significance,
        min_depth=arguments.min_depth,
        tolerance_kms=arguments.tolerance_kms,
    )
    rows, _, _ = spectrum_lines(read_spectrum(arguments.file, arguments.row), settings)
    write_table(arguments.output, COLUMNS, rows, overwrite=arguments.overwrite)
    known = sum(row["elem"] is not None for row in rows)
    if arguments.json:
        print_json({"output": str(arguments.output), "lines": len(rows), "identified": known})
    else:
        print(f"{arguments.output}: {len(rows)} lines, {known} identified")
    return DONE
