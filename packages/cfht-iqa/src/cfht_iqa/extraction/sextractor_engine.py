"""Sources by the SExtractor program (Bertin & Arnouts 1996, A&AS 117, 393)."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import tempfile
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from astro_common.errors import ConfigurationError, InputError
from astro_common.fits import open_fits
from cfht_iqa.extraction.sep_engine import stellarity
from cfht_iqa.extraction.settings import COLUMNS, ExtractionSettings, Sources, no_sources

__all__ = ["extract_with_sextractor", "find_network", "find_sextractor"]

logger = logging.getLogger(__name__)

_PROGRAMS: Final = ("source-extractor", "sex", "sextractor")
_NETWORK: Final = "default.nnw"
_SHARES: Final = ("source-extractor", "sextractor")
_TIMEOUT_SECONDS: Final = 600.0


def find_sextractor() -> Path:
    """Find the program.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    ConfigurationError
        If it is not installed.
    """
    for name in _PROGRAMS:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise ConfigurationError(
        "--engine sextractor",
        f"none of {', '.join(_PROGRAMS)} on the PATH",
        "SExtractor",
        "install it, or use --engine sep",
    )


def find_network(program: Path) -> Path | None:
    """Find the neural network for CLASS_STAR that comes with the program; None if it does not."""
    prefixes = (program.resolve().parents[1], program.absolute().parents[1], Path("/usr"))
    for prefix in dict.fromkeys(prefixes):
        for share in _SHARES:
            candidate = prefix / "share" / share / _NETWORK
            if candidate.is_file():
                return candidate
    return None


def extract_with_sextractor(
    pixels: npt.NDArray[np.float32],
    mask: npt.NDArray[np.bool_] | None,
    settings: ExtractionSettings,
    *,
    pixel_scale_arcsec: float,
    saturation_adu: float,
    source: Path,
    ccd: str,
) -> Sources:
    """Find the sources of a CCD; arguments and result as of `extract_with_sep`.

    Raises
    ------
    ConfigurationError
        If SExtractor is not installed.
    InputError
        If it fails, crashes, takes longer than ten minutes, or leaves no sound catalogue.
    """
    program = find_sextractor()
    network = find_network(program)
    with tempfile.TemporaryDirectory(prefix="cfht-iqa-") as name:
        folder = Path(name)
        words = _words(program, folder, settings, pixel_scale_arcsec, saturation_adu, network)
        fits.PrimaryHDU(_without_nan(pixels)).writeto(folder / "ccd.fits")
        if mask is not None and mask.any():
            weight = np.where(mask, 0, 1).astype(np.uint8)
            fits.PrimaryHDU(weight).writeto(folder / "weight.fits")
            words += ["-WEIGHT_TYPE", "MAP_WEIGHT", "-WEIGHT_IMAGE", str(folder / "weight.fits")]
        _run(words, source, ccd)
        sources = _read(folder / "ccd.cat", source, ccd)
    if network is None:
        fwhm = np.where(sources["FWHM_IMAGE"] > 0, sources["FWHM_IMAGE"], np.nan)
        scaled = fwhm.astype(np.float64) * pixel_scale_arcsec
        sources["CLASS_STAR"] = stellarity(scaled, settings.seeing_arcsec)
    return sources


def _words(
    program: Path,
    folder: Path,
    settings: ExtractionSettings,
    pixel_scale_arcsec: float,
    saturation_adu: float,
    network: Path | None,
) -> list[str]:
    shipped = resources.files("cfht_iqa.extraction") / "sextractor_files"
    names = (shipped / "megacam.param").read_text(encoding="utf-8")
    if network is None:
        names = names.replace("CLASS_STAR\n", "")
    (folder / "ccd.param").write_text(names, encoding="utf-8")
    text = (shipped / "megacam.sex").read_text(encoding="utf-8")
    (folder / "ccd.sex").write_text(text, encoding="utf-8")
    values = {
        "CATALOG_NAME": folder / "ccd.cat",
        "PARAMETERS_NAME": folder / "ccd.param",
        "DETECT_MINAREA": settings.min_area_px,
        "DETECT_THRESH": settings.threshold_sigma,
        "ANALYSIS_THRESH": settings.threshold_sigma,
        "DEBLEND_NTHRESH": settings.deblend_levels,
        "DEBLEND_MINCONT": settings.deblend_contrast,
        "BACK_SIZE": settings.mesh_px,
        "BACK_FILTERSIZE": settings.mesh_filter,
        "SATUR_LEVEL": saturation_adu - 0.5,
        "PIXEL_SCALE": pixel_scale_arcsec,
        "SEEING_FWHM": settings.seeing_arcsec,
    }
    if network is not None:
        values["STARNNW_NAME"] = network
    words = [str(program), str(folder / "ccd.fits"), "-c", str(folder / "ccd.sex")]
    for key, value in values.items():
        words += [f"-{key}", str(value)]
    return words


def _without_nan(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    finite = np.isfinite(pixels)
    if finite.all():
        return pixels
    # SExtractor has no NaN; the weight map tells it to leave these pixels alone.
    return np.where(finite, pixels, np.float32(np.median(pixels[finite])))


def _run(words: list[str], source: Path, ccd: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            words, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            source, f"{ccd}: SExtractor ran for more than {_TIMEOUT_SECONDS:.0f} s"
        ) from error
    except OSError as error:
        raise InputError(
            source, f"{ccd}: {words[0]} cannot be started ({error.strerror})"
        ) from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
        if done.returncode < 0:
            how = f"was killed by {signal.Signals(-done.returncode).name}"
        else:
            how = f"ended with status {done.returncode}"
        raise InputError(source, f"{ccd}: SExtractor {how} ({last})", action="try --engine sep")


def _read(path: Path, source: Path, ccd: str) -> Sources:
    try:
        with open_fits(path) as file:
            table = file.table("LDAC_OBJECTS").read()
    except InputError as error:
        raise InputError(
            source, f"{ccd}: SExtractor left no sound catalogue ({error.reason})"
        ) from error
    sources = no_sources()
    for name in COLUMNS:
        if name in table.column_names:
            values = table[name].to_numpy()
            sources[name] = values.astype(sources[name].dtype)
        elif name == "CLASS_STAR":
            sources[name] = np.full(table.num_rows, 0.5, np.float32)
        else:
            raise InputError(source, f"{ccd}: no column {name} in SExtractor's catalogue")
    return sources
