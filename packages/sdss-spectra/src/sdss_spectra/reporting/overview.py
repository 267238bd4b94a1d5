"""Tables A, B and D of the report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from sdss_spectra.dataset import Dataset
from sdss_spectra.metadata import COLUMNS as METADATA
from sdss_spectra.model.bins import class_order
from sdss_spectra.preprocessing.log import COLUMNS as LOG
from sdss_spectra.tables import column

__all__ = ["TABLE_A", "TABLE_B", "TABLE_D", "log_summary", "metadata_sources", "overview"]

TABLE_A: Final = (
    column("stellar_class", "string", "class for training"),
    column("count", "int64", "spectra"),
    column("median_sn", "float64", "median of the signal-to-noise ratios per pixel"),
    column("wavelength_min_A", "float64", "median shortest good wavelength, vacuum", "Angstrom"),
    column("wavelength_max_A", "float64", "median longest good wavelength, vacuum", "Angstrom"),
    column("resolving_power", "float64", "median resolving power"),
    column("release", "string", "data releases"),
)
TABLE_B: Final = (
    column("metadata_column", "string", "column of the metadata table"),
    column("fits_keywords", "string", "where it is looked for, in this order"),
    column("description", "string", "what it is"),
    column("filled", "int64", "spectra of this data set that have it"),
    column("spectra", "int64", "all spectra"),
)
TABLE_D: Final = (
    column("step_order", "int64", "place of the step"),
    column("step_name", "string", "name of the step"),
    column("carried_out", "int64", "spectra"),
    column("skipped", "int64", "spectra for which it was skipped"),
    column("with_warning", "int64", "spectra with another warning"),
    column("commonest_warning", "string", "the commonest text under warnings"),
)

_SOURCES: Final = {
    "spec_id": "(derived from the file name)",
    "obj_id": "OBJID, CATALOGID, APOGEE_ID, MANGAID, TARGETID, BESTOBJID, OBJNAME, OBJECT",
    "file_path": "(the file)",
    "plate": "PLATEID (HDU 0), PLATE",
    "mjd": "MJD, MJD5",
    "fiber": "FIBERID, FIBER, FIBERIDR",
    "instrument": "INSTRUME, INSTRUMENT, TELESCOP",
    "resolution_r": "SPECRES, RESOLUTN, SPEC_R, R; else wdisp or DISP of the pixels",
    "exptime_s": "EXPTIME, TEXPTIME, EXPOSURE",
    "ra_deg": "PLUG_RA, RACAT, RAOBJ, OBJRA, RA (never the boresight of a spec file)",
    "dec_deg": "PLUG_DEC, DECCAT, DECOBJ, OBJDEC, DEC",
    "z_or_rv_kms": "VHELIO, VRAD, RVEL, VELOCITY, HELIOVEL, HELIOV; else c times Z",
    "heliocentric_corr_applied": "known of SDSS files; else HELIO, HELIOCOR, HC, LHELIO, HELIO_AP",
    "sn_median": "SN_MEDIAN_ALL, SNR_MEDIAN, SN_MEDIAN, SNR; else sn_per_pixel",
    "sn_per_pixel": "(flux and ivar); else SNR_PER_PIXEL, SN_PERPIX",
    "ebv_sfd": "EBV, SFD_EBV, EBMV, E_BV; else EXTINCTION; else A_V / 3.1",
    "mask_frac_bad": "MASKFRAC, FRAC_BAD, FRACMASK, FRAC_BADPIX; else ivar and and_mask",
    "quality_flags": "ZWARNING, PLATEQUALITY, ANDMASK, ORMASK, BADMASK, QUALFLAG, DQ, masks",
    "wavelength_frame": "VACUUM, AIRORVAC, WAVEFORM; known of SDSS formats",
    "flux_unit": "BUNIT, FLUXUNIT",
    "data_release": "(declared); else RUN2D, DR",
    "resolution_source": "(what gave resolution_r)",
    "ebv_source": "(what gave ebv_sfd)",
    "reader": "(the content of the file)",
}


def overview(dataset: Dataset) -> list[dict[str, Any]]:
    """Table A: a row for each class; None where no spectrum has the value."""
    rows = []
    names = dataset.names
    for name in class_order(names):
        items = [item for item, of in zip(dataset.items, names, strict=True) if of == name]
        releases = sorted({item.data_release for item in items if item.data_release})
        rows.append(
            {
                "stellar_class": name,
                "count": len(items),
                "median_sn": _median([item.signal_to_noise for item in items]),
                "wavelength_min_A": _median([item.wavelength_min for item in items]),
                "wavelength_max_A": _median([item.wavelength_max for item in items]),
                "resolving_power": _median([item.resolution for item in items]),
                "release": ", ".join(releases) or None,
            }
        )
    return rows


def metadata_sources(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Table B: each metadata column, where it comes from and how many spectra have it."""
    return [
        {
            "metadata_column": field.name,
            "fits_keywords": _SOURCES.get(field.name, "(declared by the user)"),
            "description": (field.metadata or {}).get(b"description", b"").decode(),
            "filled": sum(row.get(field.name) is not None for row in rows),
            "spectra": len(rows),
        }
        for field in METADATA
    ]


def log_summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Table D: each step of the preprocessing log with how often it was carried out."""
    steps: dict[tuple[int, str], list[str | None]] = defaultdict(list)
    for row in rows:
        steps[row["step_order"], row["step_name"]].append(row["warnings"])
    found = []
    for (order, name), warnings in sorted(steps.items()):
        skipped = sum(text is not None and text.startswith("skipped") for text in warnings)
        texts = Counter(text for text in warnings if text)
        common = min(texts, key=lambda t: (-texts[t], t)) if texts else None
        found.append(
            {
                "step_order": order,
                "step_name": name,
                "carried_out": len(warnings) - skipped,
                "skipped": skipped,
                "with_warning": sum(text is not None for text in warnings) - skipped,
                "commonest_warning": common,
            }
        )
    return found


def log_columns() -> list[dict[str, str]]:
    """The columns of the preprocessing log with what they hold."""
    return [
        {
            "column": field.name,
            "description": (field.metadata or {}).get(b"description", b"").decode(),
        }
        for field in LOG
    ]


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.median(known)) if known else None
