"""``sdss-spectra plot``: one spectrum as a figure."""

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
        "plot",
        "a spectrum as observed and normalised, with its lines, as a figure",
        "Draw one spectrum. Triangles mark absorption, circles emission, ticks the line list.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="one spectrum")
    add_output(parser, "PNG", "the figure, .png, .svg or .pdf")
    parser.add_argument("--row", type=int, metavar="N", help="which spectrum of a file of many (0)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw."""
    from astro_common.errors import ConfigurationError
    from sdss_spectra.readers import read_spectrum
    from sdss_spectra.reporting.spectrum_figure import draw_spectrum
    from sdss_spectra.tables import check_output

    if arguments.output.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ConfigurationError(str(arguments.output), "another extension", ".png, .svg or .pdf")
    check_output(arguments.output, arguments.overwrite)
    spectrum = read_spectrum(arguments.file, arguments.row)
    rows = draw_spectrum(spectrum, arguments.output, overwrite=arguments.overwrite)
    if arguments.json:
        print_json({"output": str(arguments.output), "lines": len(rows)})
    else:
        print(f"{arguments.output}: {len(rows)} lines")
    return DONE
