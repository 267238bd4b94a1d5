"""The metadata table: what the headers say about each spectrum, and what its pixels say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from astropy.coordinates import Angle
from astropy.units import UnitsError

from sdss_spectra.bitmasks import DEFAULT_BITS, bit_names, bits_value, has_bits
from sdss_spectra.preprocessing.extinction import find_reddening
from sdss_spectra.readers.generic import stated_frame
from sdss_spectra.releases import release_of
from sdss_spectra.spectrum import Cards, Spectrum
from sdss_spectra.tables import column
from sdss_spectra.velocity import velocity_kms

__all__ = ["COLUMNS", "Declared", "metadata_row", "object_id", "position_deg", "resolving_power"]

COLUMNS: Final = (
    column("spec_id", "string", "identifier of the spectrum"),
    column("obj_id", "string", "survey identifier of the object"),
    column("file_path", "string", "file, below the folder of the data set"),
    column("plate", "int64", "SDSS plate"),
    column("mjd", "int64", "modified Julian date of the observation", "d"),
    column("fiber", "int64", "fibre of the plate"),
    column("instrument", "string", "spectrograph, else telescope"),
    column("resolution_r", "float64", "resolving power, lambda / FWHM"),
    column("exptime_s", "float64", "exposure time", "s"),
    column("ra_deg", "float64", "right ascension of the target", "deg"),
    column("dec_deg", "float64", "declination of the target", "deg"),
    column("z_or_rv_kms", "float64", "radial velocity, or c times the redshift", "km / s"),
    column("heliocentric_corr_applied", "bool", "whether wavelengths are heliocentric"),
    column("sn_median", "float64", "SN_MEDIAN_ALL, else sn_per_pixel"),
    column("sn_per_pixel", "float64", "median of flux sqrt(ivar) over pixels with ivar > 0"),
    column("ebv_sfd", "float64", "E(B-V) of the Milky Way's dust", "mag"),
    column("mask_frac_bad", "float64", "fraction of pixels with ivar <= 0 or a default mask bit"),
    column("quality_flags", "string", "JSON object of quality keywords and mask bits"),
    column("wavelength_frame", "string", "vacuum or air, where the file tells"),
    column("flux_unit", "string", "unit of the flux as the file gives it"),
    column("data_release", "string", "data release"),
    column("retrieval_date", "string", "date on which the data were fetched"),
    column("survey_wavelength_calibrated", "bool", "declared by the user"),
    column("survey_flux_calibrated", "bool", "declared by the user"),
    column("post_processing_steps", "string", "declared by the user"),
    column("calibration_references", "string", "declared by the user"),
    column("resolution_source", "string", "where resolution_r comes from"),
    column("ebv_source", "string", "where ebv_sfd comes from; A_V/3.1 where only A(V) is known"),
    column("reader", "string", "format that was recognised"),
)

_OBJECT_KEYS: Final = (
    "OBJID", "CATALOGID", "APOGEE_ID", "APOGEEID", "MANGAID", "TARGETID", "BESTOBJID", "DESIGNID",
    "OBJNAME", "OBJECT",
)  # fmt: skip
_RESOLUTION_KEYS: Final = ("SPECRES", "RESOLUTN", "SPEC_R", "R")
_QUALITY_KEYS: Final = (
    "ZWARNING", "PLATEQUALITY", "ANDMASK", "ORMASK", "BADMASK", "QUALFLAG", "DQ", "QUALITY",
    "STARFLAG", "ASPCAPFLAG", "MJDQUAL", "BADPIXFRAC",
)  # fmt: skip
_MASK_KEYS: Final = ("MASKFRAC", "FRAC_BAD", "FRACMASK", "FRAC_BADPIX")
_HELIO_KEYS: Final = ("HELIO", "HELIOCOR", "HC", "LHELIO", "HELIO_AP")
# Below this no spectrograph of these surveys works; `R` is a magnitude in some libraries.
_MIN_RESOLUTION: Final = 50.0


@dataclass(frozen=True)
class Declared:
    """What the user declares about the whole data set."""

    data_release: str | None = None
    retrieval_date: str | None = None
    survey_wavelength_calibrated: bool | None = None
    survey_flux_calibrated: bool | None = None
    post_processing_steps: str | None = None
    calibration_references: tuple[str, ...] = ()


def metadata_row(
    spectrum: Spectrum, spec_id: str, file_path: str, declared: Declared
) -> dict[str, Any]:
    """One row of the table.

    Parameters
    ----------
    spectrum : Spectrum
        As read.
    spec_id, file_path : str
        Its identifier and path.
    declared : Declared
        What the user declares.

    Returns
    -------
    dict
        Values by column; None where nothing is known.
    """
    cards = spectrum.cards
    velocity = velocity_kms(cards)
    signal = spectrum.signal_to_noise()
    keyword_signal = cards.number("SNR_PER_PIXEL", "SN_PERPIX") if signal is None else None
    per_pixel = signal if signal is not None else keyword_signal
    median = cards.number("SN_MEDIAN_ALL", "SNR_MEDIAN", "SN_MEDIAN", "SNR", "S2N")
    position = position_deg(spectrum)
    resolution, source = resolving_power(spectrum)
    reddening = find_reddening(cards)
    return {
        "spec_id": spec_id,
        "obj_id": object_id(cards),
        "file_path": file_path,
        "plate": _plate(cards),
        "mjd": cards.integer("MJD", "MJD5"),
        "fiber": cards.integer("FIBERID", "FIBER", "FIBERIDR"),
        "instrument": cards.text("INSTRUME", "INSTRUMENT", "TELESCOP"),
        "resolution_r": resolution,
        "resolution_source": source,
        "exptime_s": cards.number("EXPTIME", "TEXPTIME", "EXPOSURE"),
        "ra_deg": None if position is None else position[0],
        "dec_deg": None if position is None else position[1],
        "z_or_rv_kms": None if velocity is None else velocity[0],
        "heliocentric_corr_applied": _heliocentric(spectrum),
        "sn_median": per_pixel if median is None else median,
        "sn_per_pixel": per_pixel,
        "ebv_sfd": None if reddening is None else reddening.ebv,
        "ebv_source": None if reddening is None else reddening.source,
        "mask_frac_bad": _bad_fraction(spectrum),
        "quality_flags": _quality(spectrum),
        "wavelength_frame": stated_frame(spectrum),
        "flux_unit": spectrum.flux_unit,
        "data_release": declared.data_release or release_of(cards),
        "retrieval_date": declared.retrieval_date,
        "survey_wavelength_calibrated": declared.survey_wavelength_calibrated,
        "survey_flux_calibrated": declared.survey_flux_calibrated,
        "post_processing_steps": declared.post_processing_steps,
        "calibration_references": "; ".join(declared.calibration_references) or None,
        "reader": spectrum.reader,
    }


def object_id(cards: Cards) -> str | None:
    """Identifier of the object as text: integers of 64 bits never pass through a float."""
    for name in _OBJECT_KEYS:
        value = cards.get(name)
        if isinstance(value, str):
            return value
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
        # 0 and -1 are placeholders of surveys for "no identifier".
        if whole and int(value) > 0:  # type: ignore[arg-type]
            return str(int(value))  # type: ignore[arg-type]
    return None


def position_deg(spectrum: Spectrum) -> tuple[float, float] | None:
    """Right ascension and declination of the target in degrees.

    RA and DEC in the primary header of a spec file are the telescope's, so that PLUG_RA and
    PLUG_DEC of any HDU come first there; positions of another equinox than 2000 do not count.
    """
    cards = spectrum.cards
    pairs = [("PLUG_RA", "PLUG_DEC"), ("RACAT", "DECCAT"), ("RAOBJ", "DECOBJ"), ("OBJRA", "OBJDEC")]
    if spectrum.reader in ("spec", "sdss-v"):
        table = [cards.origin(name) not in (None, "HDU 0") for name in ("RA", "DEC")]
        if all(table):
            pairs.append(("RA", "DEC"))
    else:
        pairs += [("RA", "DEC"), ("ALPHA", "DELTA")]
        equinox = str(cards.get("EQUINOX", "2000")).strip().upper().lstrip("JB")
        if spectrum.reader == "image" and not equinox.startswith("2000"):
            pairs = []
    for ra_name, dec_name in pairs:
        ra = _degrees(cards.get(ra_name), is_hours=True)
        dec = _degrees(cards.get(dec_name), is_hours=False)
        if ra is not None and dec is not None and 0.0 <= ra <= 360.0 and abs(dec) <= 90.0:
            return ra, dec
    return None


def resolving_power(spectrum: Spectrum) -> tuple[float | None, str | None]:
    """Resolving power of a keyword, else the median over the good pixels, and which it is."""
    for name in _RESOLUTION_KEYS:
        value = spectrum.cards.number(name)
        if value is not None and value > _MIN_RESOLUTION:
            return value, name
    if spectrum.resolution is None:
        return None, None
    good = np.isfinite(spectrum.resolution)
    if spectrum.ivar is not None:
        good &= spectrum.ivar > 0
    if not good.any():
        return None, None
    source = "DISP" if spectrum.reader == "mastar" else "wdisp"
    return float(np.median(spectrum.resolution[good])), source


def _degrees(value: Any, *, is_hours: bool) -> float | None:
    if isinstance(value, str):
        if ":" not in value and " " not in value.strip():
            try:
                return float(value)
            except ValueError:
                return None
        try:
            return float(Angle(value.strip(), unit="hourangle" if is_hours else "deg").deg)
        except (ValueError, UnitsError):
            return None
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        return None
    return float(value) if np.isfinite(value) else None


def _plate(cards: Cards) -> int | None:
    # PLATEID of HDU 2 is a 64-bit identifier; only PLATE there is the plate's number.
    if cards.origin("PLATEID") in ("HDU 0", "HDU 1"):
        plate = cards.integer("PLATEID")
        if plate is not None:
            return plate
    return cards.integer("PLATE")


def _heliocentric(spectrum: Spectrum) -> bool | None:
    if spectrum.is_heliocentric is not None:
        return spectrum.is_heliocentric
    for name in _HELIO_KEYS:
        value = spectrum.cards.get(name)
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
        if isinstance(value, str) and value.strip().lower() in ("t", "true", "yes", "1"):
            return True
        if isinstance(value, str) and value.strip().lower() in ("f", "false", "no", "0"):
            return False
    return None


def _bad_fraction(spectrum: Spectrum) -> float | None:
    stated = spectrum.cards.number(*_MASK_KEYS)
    if stated is not None:
        return stated
    if spectrum.ivar is None:
        return None
    bad = ~(spectrum.ivar > 0)
    if spectrum.and_mask is not None:
        bad = bad | has_bits(spectrum.and_mask, bits_value(DEFAULT_BITS))
    return float(bad.mean())


def _quality(spectrum: Spectrum) -> str | None:
    found: dict[str, Any] = {}
    cards: Mapping[str, Any] = spectrum.cards
    for name in _QUALITY_KEYS:
        value = cards.get(name)
        if isinstance(value, (float, np.floating)) and not np.isfinite(value):
            continue
        if isinstance(value, (str, bool, int, np.integer, float, np.floating)):
            found[name] = value.item() if isinstance(value, np.generic) else value
    for name, mask in (("ANYANDMASK", spectrum.and_mask), ("ANYORMASK", spectrum.or_mask)):
        value = cards.get(name)
        if isinstance(value, (int, np.integer)):
            found[name] = int(value)
        elif mask is not None:
            found[name] = int(np.bitwise_or.reduce(mask)) if len(mask) else 0
        if name in found:
            found[f"{name}_BITS"] = bit_names(int(found[name]) & 0xFFFFFFFF)
    return json.dumps(found, sort_keys=True) if found else None
