"""Options that several verbs have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_common.command import (
    DONE,
    PARTLY_FAILED,
    add_common_options,
    positive_int,
    print_json,
)

if TYPE_CHECKING:
    from sdss_spectra.dataset import Dataset
    from sdss_spectra.files import SpectrumFile
    from sdss_spectra.labels.catalogue import Catalogue
    from sdss_spectra.metadata import Declared
    from sdss_spectra.preprocessing.steps import Preprocessing
    from sdss_spectra.survey import Account

__all__ = [
    "add_catalogue",
    "add_data",
    "add_declared",
    "add_grid",
    "add_output",
    "add_seed",
    "add_strip",
    "add_verb",
    "add_workers",
    "catalogue_of",
    "check_distinct",
    "dataset_of",
    "declared_of",
    "failures_beside",
    "files_of",
    "finish_table",
    "preprocessing_of",
    "status_of",
]


def add_verb(verbs: Any, name: str, text: str, description: str) -> argparse.ArgumentParser:
    """Make the parser of a verb with the options that all verbs have."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=description)
    add_common_options(parser)
    return parser


def add_data(parser: argparse.ArgumentParser, *, many: bool = False) -> None:
    """Add the data set: a folder of FITS files."""
    text = "folder of .fits, .fit, .fits.gz and .fit.gz files, or one such file"
    if many:
        parser.add_argument("data", type=Path, nargs="+", metavar="FILES", help=text)
    else:
        parser.add_argument("data", type=Path, metavar="DATA", help=text)


def add_output(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    """Add ``-o`` and ``--overwrite``."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar=metavar, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``."""
    parser.add_argument(
        "--workers", type=positive_int, default=1, metavar="N", help="local processes (1)"
    )


def seed(text: str) -> int:
    """Parse a seed of at least 0."""
    if not text.isdecimal() or int(text) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^32 - 1")
    return int(text)


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add ``--seed``."""
    parser.add_argument(
        "--seed", type=seed, default=42, metavar="N", help="seed of all random numbers (42)"
    )


def add_strip(parser: argparse.ArgumentParser) -> None:
    """Add the options that shorten file stems to identifiers."""
    for where in ("prefix", "suffix"):
        parser.add_argument(
            f"--catalog-strip-{where}",
            default="",
            metavar="TEXT",
            help=f"{where} removed from file stems to make spec_id",
        )


def add_catalogue(parser: argparse.ArgumentParser) -> None:
    """Add the options of the label catalogue."""
    group = parser.add_argument_group("label catalogue")
    group.add_argument("--label-catalog", type=Path, metavar="FILE", help="CSV, FITS or Parquet")
    for name, text in (
        ("object", "identifiers"),
        ("spectral", "spectral classes"),
        ("luminosity", "luminosity classes"),
        ("teff", "effective temperatures, K"),
        ("logg", "log10 surface gravities, cgs"),
        ("feh", "metallicities [Fe/H], dex"),
        ("quality", "quality flags"),
    ):
        group.add_argument(f"--catalog-{name}-field", metavar="COLUMN", help=f"column of {text}")
    group.add_argument(
        "--catalog-source-label", metavar="TEXT", help="label_source in tables (the file's name)"
    )
    group.add_argument(
        "--catalog-match-radius-arcsec",
        type=float,
        default=2.0,
        metavar="X",
        help="largest distance where no identifier is shared (2)",
    )
    add_strip(parser)


def files_of(arguments: argparse.Namespace) -> list[SpectrumFile]:
    """The files of the data set, with their identifiers."""
    from sdss_spectra.files import find_files

    return find_files(
        arguments.data,
        strip_prefix=arguments.catalog_strip_prefix,
        strip_suffix=arguments.catalog_strip_suffix,
    )


def dataset_of(
    arguments: argparse.Namespace,
    preprocessing: Preprocessing,
    catalogue: Catalogue | None,
    failures: Path | None,
) -> Dataset:
    """The labelled spectra of the data set, cleaned."""
    from sdss_spectra.dataset import load_dataset

    return load_dataset(
        arguments.data,
        preprocessing,
        catalogue=catalogue,
        strip_prefix=arguments.catalog_strip_prefix,
        strip_suffix=arguments.catalog_strip_suffix,
        workers=arguments.workers,
        failures=failures,
    )


def catalogue_of(arguments: argparse.Namespace) -> Catalogue | None:
    """The catalogue that the options name."""
    if arguments.label_catalog is None:
        return None
    from sdss_spectra.labels.catalogue import CatalogueFields, read_catalogue

    fields = CatalogueFields(
        **{
            name: getattr(arguments, f"catalog_{name}_field")
            for name in ("object", "spectral", "luminosity", "teff", "logg", "feh", "quality")
        }
    )
    return read_catalogue(
        arguments.label_catalog,
        fields,
        source_label=arguments.catalog_source_label,
        radius_arcsec=arguments.catalog_match_radius_arcsec,
    )


def add_declared(parser: argparse.ArgumentParser) -> None:
    """Add what the user declares about the whole data set."""
    group = parser.add_argument_group("declared for all spectra")
    group.add_argument("--data-release", metavar="TEXT", help="such as DR17 (from RUN2D)")
    group.add_argument("--retrieval-date", metavar="DATE", help="when the data were fetched")
    for kind in ("wavelength", "flux"):
        group.add_argument(
            f"--survey-{kind}-calibrated",
            action=argparse.BooleanOptionalAction,
            default=None,
            help=f"whether the survey has calibrated the {kind}",
        )
    group.add_argument("--post-processing-steps", metavar="TEXT", help="what was done afterwards")
    group.add_argument(
        "--calibration-reference",
        action="append",
        default=[],
        metavar="TEXT",
        help="paper or page; may be given several times",
    )


def declared_of(arguments: argparse.Namespace) -> Declared:
    """What the user declares."""
    import datetime

    from astro_common.errors import ConfigurationError
    from sdss_spectra.metadata import Declared

    date = arguments.retrieval_date
    if date is not None:
        try:
            datetime.datetime.fromisoformat(date)
        except ValueError as error:
            raise ConfigurationError(
                "--retrieval-date", repr(date), "a date as 2024-01-15"
            ) from error
    return Declared(
        data_release=arguments.data_release,
        retrieval_date=date,
        survey_wavelength_calibrated=arguments.survey_wavelength_calibrated,
        survey_flux_calibrated=arguments.survey_flux_calibrated,
        post_processing_steps=arguments.post_processing_steps,
        calibration_references=tuple(arguments.calibration_reference),
    )


def add_grid(parser: argparse.ArgumentParser, *, training: bool = False) -> None:
    """Add the options of the common grid and of the steps.

    For training the grid is half as fine, telluric bands are masked, and the flux keeps its
    continuum, which the network takes apart itself.
    """
    step, pixels = (2e-4, 2048) if training else (1e-4, 4096)
    group = parser.add_argument_group("preprocessing")
    group.add_argument(
        "--loglam-start", type=float, default=3.55, metavar="X", help="log10 of angstrom (3.55)"
    )
    group.add_argument("--loglam-step", type=float, default=step, metavar="X", help=f"({step:g})")
    group.add_argument(
        "--n-pixels", type=positive_int, default=pixels, metavar="N", help=f"({pixels})"
    )
    group.add_argument(
        "--and-mask-bits", metavar="NAMES", help="bits of and_mask that reject a pixel, by comma"
    )
    group.add_argument(
        "--or-mask-bits", metavar="NAMES", help="bits of or_mask that reject a pixel, by comma"
    )
    group.add_argument(
        "--mask-telluric",
        action=argparse.BooleanOptionalAction,
        default=training,
        help="reject the strong bands of the Earth's atmosphere",
    )
    for name, text in (
        ("rest-frame", "do not remove velocities"),
        ("deredden", "do not remove the extinction by the Milky Way"),
    ):
        group.add_argument(f"--no-{name}", action="store_true", help=text)
    if training:
        parser.set_defaults(no_normalise=True)
    else:
        group.add_argument(
            "--no-normalise", action="store_true", help="do not divide by the continuum"
        )


def preprocessing_of(arguments: argparse.Namespace) -> Preprocessing:
    """The preprocessing that the options ask for."""
    from sdss_spectra.bitmasks import DEFAULT_BITS, bits_value
    from sdss_spectra.preprocessing.resample import LogGrid
    from sdss_spectra.preprocessing.steps import Preprocessing

    def names(text: str | None, default: tuple[str, ...]) -> tuple[str, ...]:
        if text is None:
            return default
        chosen = tuple(name.strip().upper() for name in text.split(",") if name.strip())
        bits_value(chosen)
        return chosen

    return Preprocessing(
        grid=LogGrid(arguments.loglam_start, arguments.loglam_step, arguments.n_pixels),
        and_bits=names(arguments.and_mask_bits, DEFAULT_BITS),
        or_bits=names(arguments.or_mask_bits, ()),
        rest_frame=not arguments.no_rest_frame,
        deredden=not arguments.no_deredden,
        normalise=not arguments.no_normalise,
        mask_telluric=arguments.mask_telluric,
    )


def check_distinct(**outputs: Path | None) -> None:
    """Make sure that no two outputs, by the names of their options, are one file.

    Raises
    ------
    ConfigurationError
        Two of them are.
    """
    from astro_common.errors import ConfigurationError

    options: dict[Path, str] = {}
    for name, path in outputs.items():
        if path is None:
            continue
        option = f"--{name.replace('_', '-')}"
        other = options.setdefault(path.resolve(), option)
        if other != option:
            raise ConfigurationError(option, f"{path}, as {other}", "a file of its own")


def failures_beside(output: Path) -> Path:
    """``failures.jsonl`` beside an output, or inside it where the output is a folder."""
    return (output if output.is_dir() else output.parent) / "failures.jsonl"


def status_of(account: Account) -> int:
    """Exit status of a pass over the files."""
    return PARTLY_FAILED if account.num_failed else DONE


def finish_table(
    arguments: argparse.Namespace, account: Account, text: str | None = None, **more: int
) -> int:
    """Say what was written, and give the exit status."""
    if arguments.json:
        print_json(
            {
                "output": str(arguments.output),
                "spectra": account.num_spectra,
                **more,
                "failed": account.num_failed,
            }
        )
    else:
        text = text or f"{account.num_spectra} spectra, {account.num_failed} files failed"
        print(f"{arguments.output}: {text}")
    return status_of(account)
