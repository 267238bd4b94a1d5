"""Label catalogues: CSV, FITS or Parquet tables of stars with types or parameters.

MaStar has no MK types: they follow from TEFF_MED and LOGG_MED. Spectra of APOGEE are of the
infrared: its stars are matched to optical spectra by position, or by an identifier that both have.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.errors import ConfigurationError, InputError
from astro_common.fits import open_fits
from astro_common.parquet import check_parquet
from sdss_spectra.labels.label import Label, parameter
from sdss_spectra.mkclass import parse_type, type_from_parameters

__all__ = ["Catalogue", "CatalogueFields", "read_catalogue"]

_MAX_CSV_BYTES: Final = 1 << 30
# Names that common catalogues use, in order of preference.
_KNOWN: Final[dict[str, tuple[str, ...]]] = {
    "object": (
        "spec_id", "specobjid", "apogee_id", "mangaid", "catalogid", "sdss_id", "objid", "obj_id",
        "object_id", "targetid", "source_id", "id",
    ),
    "spectral": (
        "spectral_class", "class_mk", "mk_class", "sp_type", "spectral_type", "sptype", "spectype",
        "subclass", "class",
    ),
    "luminosity": ("luminosity_class", "lum_class", "luminosity"),
    "teff": ("teff_med", "teff", "teff_k", "t_eff"),
    "logg": ("logg_med", "logg", "logg_cgs", "log_g"),
    "feh": ("feh_med", "fe_h", "feh", "fe_h_dex", "m_h"),
    "quality": ("label_quality", "quality", "aspcapflag", "paramflag"),
    "ra": ("ra_deg", "ra", "plug_ra", "raj2000", "ifura", "objra"),
    "dec": ("dec_deg", "dec", "plug_dec", "dej2000", "ifudec", "objdec"),
}  # fmt: skip
# ASPCAPFLAG: TEFF_BAD, LOGG_BAD, M_H_BAD and STAR_BAD.
_BAD_BITS: Final = {"teff": 16, "logg": 17, "feh": 19, "star": 23}


@dataclass(frozen=True)
class CatalogueFields:
    """Column names that the user gives; None means one of the known names."""

    object: str | None = None
    spectral: str | None = None
    luminosity: str | None = None
    teff: str | None = None
    logg: str | None = None
    feh: str | None = None
    quality: str | None = None


class Catalogue:
    """Labels by identifier and by position.

    Parameters
    ----------
    labels : sequence of Label
        One per star.
    identifiers : sequence of str or None
        Of each star.
    ra, dec : ndarray of float64
        Degrees; NaN where unknown.
    radius_arcsec : float
        Largest distance of a match by position.
    """

    def __init__(
        self,
        labels: Sequence[Label],
        identifiers: Sequence[str | None],
        ra: npt.NDArray[np.float64],
        dec: npt.NDArray[np.float64],
        radius_arcsec: float,
    ) -> None:
        self.labels = list(labels)
        self.radius_arcsec = radius_arcsec
        self._by_id: dict[str, int] = {}
        for number, name in enumerate(identifiers):
            if name:
                self._by_id.setdefault(name, number)
        self._located = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
        self._tree: Any = None
        if len(self._located):
            from scipy.spatial import cKDTree

            self._tree = cKDTree(_unit_vectors(ra[self._located], dec[self._located]))

    def __len__(self) -> int:
        return len(self.labels)

    def find(
        self, identifiers: Sequence[str | None], position: tuple[float, float] | None
    ) -> Label | None:
        """The label of a star by the first identifier that is known, else by position."""
        for name in identifiers:
            if name and name in self._by_id:
                return self.labels[self._by_id[name]]
        if position is None or self._tree is None:
            return None
        point = _unit_vectors(np.asarray([position[0]]), np.asarray([position[1]]))[0]
        limit = 2.0 * math.sin(math.radians(self.radius_arcsec / 3600.0) / 2.0)
        distance, place = self._tree.query(point, distance_upper_bound=limit * (1.0 + 1e-9))
        return self.labels[int(self._located[place])] if np.isfinite(distance) else None


def _unit_vectors(
    ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def read_catalogue(
    path: Path,
    fields: CatalogueFields | None = None,
    *,
    source_label: str | None = None,
    radius_arcsec: float = 2.0,
) -> Catalogue:
    """Read a catalogue.

    Parameters
    ----------
    path : Path
        ``.csv``, ``.parquet`` or a FITS file with a table.
    fields : CatalogueFields, optional
        Column names.
    source_label : str, optional
        What the label table calls the catalogue; by default its file name.
    radius_arcsec : float, optional
        Largest distance of a match by position.

    Raises
    ------
    InputError
        The catalogue cannot be read.
    ConfigurationError
        A column that was asked for is not in it, or it has neither identifiers nor positions.
    """
    fields = fields or CatalogueFields()
    if not math.isfinite(radius_arcsec) or not 0.0 < radius_arcsec <= 3600.0:
        raise ConfigurationError(
            "--catalog-match-radius-arcsec", f"{radius_arcsec:g}", "above 0, up to 3600"
        )
    names, columns = _read_columns(path, fields)
    if "object" not in names and not {"ra", "dec"} <= set(names):
        raise ConfigurationError(
            str(path),
            "neither identifiers nor positions",
            "a column of identifiers",
            "name it with --catalog-object-field",
        )
    count = len(next(iter(columns.values()), []))
    source = source_label or path.name
    labels = [_label(columns, number, source) for number in range(count)]
    identifiers = [_identifier(value) for value in columns.get("object", [None] * count)]
    ra, dec = (
        np.array([_float(value) for value in columns.get(name, [None] * count)])
        for name in ("ra", "dec")
    )
    return Catalogue(labels, identifiers, ra, dec, radius_arcsec)


def _label(columns: Mapping[str, Sequence[Any]], number: int, source: str) -> Label:
    def value(name: str) -> Any:
        return columns[name][number] if name in columns else None

    teff, logg, feh = (parameter(kind, value(kind)) for kind in ("teff", "logg", "feh"))
    flags = _integer(value("aspcapflag"))
    if flags is not None:
        star_bad = flags >> _BAD_BITS["star"] & 1
        teff = None if star_bad or flags >> _BAD_BITS["teff"] & 1 else teff
        logg = None if star_bad or flags >> _BAD_BITS["logg"] & 1 else logg
        feh = None if star_bad or flags >> _BAD_BITS["feh"] & 1 else feh
    text = _text(value("spectral"))
    luminosity = _text(value("luminosity"))
    if luminosity is not None and math.isfinite(_float(luminosity)):
        luminosity = None  # a luminosity in units of the Sun's, say, is no class
    class_mk = None
    if text is not None:
        whole = text + (luminosity or "")
        parsed = parse_type(whole)
        # A class that is no MK type, such as a survey's own, stays as it is.
        class_mk = "".join(whole.split()) if parsed is None else parsed.mk
    else:
        derived = type_from_parameters(teff, logg)
        if derived is not None:
            class_mk = derived.mk
            source = f"{source} (Teff)"
    return Label(class_mk, teff, logg, feh, source, _quality(value("quality")))


def _read_columns(
    path: Path, fields: CatalogueFields
) -> tuple[dict[str, str], dict[str, list[Any]]]:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError(path, "no such file", "a label catalogue")
    if suffix in (".parquet", ".pq"):
        check_parquet(path)
        names = _chosen(path, pq.read_schema(path).names, fields)
        table = pq.read_table(path, columns=list(dict.fromkeys(names.values())))
        return names, _lists(table, names)
    with path.open("rb") as file:
        start = file.read(9)
    if start.startswith((b"SIMPLE  =", b"\x1f\x8b")):
        with open_fits(path) as opened:
            fits_table = opened.table()
            names = _chosen(path, fits_table.column_names, fields)
            table = fits_table.read(list(dict.fromkeys(names.values())))
        return names, _lists(table, names)
    return _read_csv(path, fields)


def _read_csv(path: Path, fields: CatalogueFields) -> tuple[dict[str, str], dict[str, list[Any]]]:
    if path.stat().st_size > _MAX_CSV_BYTES:
        raise InputError(path, "more than 1 GiB of text", "Parquet or FITS at this size")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line and not line[0].startswith("#")]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, f"not CSV ({error})", "a table in UTF-8 text") from error
    if not lines:
        raise InputError(path, "an empty file", "a first line with column names")
    header = [name.strip() for name in lines[0]]
    names = _chosen(path, header, fields)
    columns: dict[str, list[Any]] = {}
    for role, name in names.items():
        place = header.index(name)
        cells = [line[place].strip() if place < len(line) else "" for line in lines[1:]]
        columns[role] = [cell or None for cell in cells]
    return names, columns


def _chosen(path: Path, available: Sequence[str], fields: CatalogueFields) -> dict[str, str]:
    by_lower = {name.lower(): name for name in reversed(available)}
    names: dict[str, str] = {}
    for role, known in _KNOWN.items():
        given = getattr(fields, role, None)
        if given is not None:
            found = given if given in available else by_lower.get(given.lower())
            if found is None:
                raise ConfigurationError(
                    f"{path}", f"no column {given!r}", f"one of {', '.join(available[:40])}"
                )
            names[role] = found
            continue
        for candidate in known:
            if candidate in by_lower:
                names[role] = by_lower[candidate]
                break
    if "aspcapflag" in by_lower:
        names["aspcapflag"] = by_lower["aspcapflag"]
    return names


def _lists(table: pa.Table, names: Mapping[str, str]) -> dict[str, list[Any]]:
    return {role: table.column(name).to_pylist() for role, name in names.items()}


def _identifier(value: Any) -> str | None:
    if isinstance(value, float):
        # 64-bit identifiers kept as floats have lost their last digits: they match nothing.
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else None
    return _text(value)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    return text if text and text.lower() not in ("nan", "null", "none") else None


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else None


def _quality(value: Any) -> str | None:
    if isinstance(value, (list, tuple)):
        return json.dumps(value)
    return _text(value)
