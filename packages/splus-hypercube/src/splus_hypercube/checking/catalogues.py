"""Surveys whose positions hold at any epoch derived again: APOGEE, redshifts, VISTA."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from splus_hypercube.checking.comparison import Row
from splus_hypercube.checking.neighbours import Candidate, Sample, alternatives, near_pairs
from splus_hypercube.checking.tables import column_name, open_table
from splus_hypercube.configuration import Apogee, Specz

__all__ = ["apogee_rows", "nearest_rows", "specz_rows", "vista_rows"]

# SDSS DR17 bit mask APOGEE_EXTRATARG: bit 4 marks a duplicate observation.
_APOGEE_DUPLICATE = 16


def nearest_rows(
    survey: str,
    path: Path,
    sample: Sample,
    radius_arcsec: float,
    ra_names: tuple[str, ...],
    dec_names: tuple[str, ...],
    duplicate_bits: tuple[str, int] | None = None,
) -> list[list[Row]]:
    """What each source's columns of a catalogue may hold.

    Parameters
    ----------
    survey : str
    path : Path
    sample : Sample
    radius_arcsec : float
    ra_names, dec_names : tuple of str
        What the columns of the positions may be called.
    duplicate_bits : (str, int), optional
        Rows with these bits set in this column are left out.

    Returns
    -------
    list of list of mapping
    """
    table = open_table(path)
    columns = [column_name(table, *ra_names), column_name(table, *dec_names)]
    if duplicate_bits is not None:
        columns.append(column_name(table, duplicate_bits[0]))
    candidates: list[list[Candidate]] = [[] for _ in range(len(sample))]
    for first, block in table.blocks(columns):
        ra, dec = (np.asarray(block[name], np.float64) for name in columns[:2])
        if duplicate_bits is not None:
            bits = np.nan_to_num(np.asarray(block[columns[2]])).astype(np.int64)
            dec = np.where(bits & duplicate_bits[1], np.nan, dec)
        pairs = near_pairs(sample, ra, dec, radius_arcsec + 1e-6)
        for source, row, separation in zip(*(part.tolist() for part in pairs), strict=True):
            candidates[source].append(Candidate(separation, first + row))

    def own_columns(candidate: Candidate) -> Row:
        row = table.rows(np.array([candidate.key], np.int64))[0]
        return {f"{survey}_{name}": value for name, value in row.items()}

    return [alternatives(survey, found, radius_arcsec, own_columns) for found in candidates]


def apogee_rows(section: Apogee, sample: Sample) -> list[list[Row]]:
    """What each source's APOGEE columns may hold; duplicate observations are left out."""
    return nearest_rows(
        "apogee",
        section.file,
        sample,
        section.radius_arcsec,
        ("RA",),
        ("DEC",),
        ("EXTRATARG", _APOGEE_DUPLICATE),
    )


def specz_rows(section: Specz, sample: Sample) -> list[list[Row]]:
    """What each source's columns of the redshift compilation may hold."""
    ra_names, dec_names = ("RA", "RAJ2000", "ra_deg"), ("DEC", "DEJ2000", "DECJ2000", "dec_deg")
    return nearest_rows("specz", section.file, sample, section.radius_arcsec, ra_names, dec_names)


def vista_rows(path: Path, radius_arcsec: float, sample: Sample) -> list[list[Row]]:
    """What each source's VISTA columns may hold."""
    ra_names, dec_names = ("ra2000", "RAJ2000", "ra"), ("dec2000", "DEJ2000", "dec")
    return nearest_rows("vista", path, sample, radius_arcsec, ra_names, dec_names)
