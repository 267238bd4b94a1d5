"""DESI coadded spectra of good target fibres; of several, the one of the best signal-to-noise."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy import units as u
from astropy_healpix import HEALPix
from numpy.typing import NDArray

from astro_common.errors import InputError
from astro_common.fits import FitsFile, open_fits
from astro_common.parquet import described
from splus_hypercube.astrometry import ARCSEC_PER_DEG
from splus_hypercube.catalogues import float_column
from splus_hypercube.descriptions import describe_column
from splus_hypercube.fields import FIELD_RADIUS_DEG, Field
from splus_hypercube.matching import PositionIndex
from splus_hypercube.region import SkyRegion
from splus_hypercube.surveys.base import Survey, SurveyMatches, Target
from splus_hypercube.surveys.columns import conform, match_fields, schema_of_files
from splus_hypercube.surveys.desi_files import (
    HEALPIX_ORDER,
    TILE_RADIUS_DEG,
    any_coadd,
    healpix_coadds,
    redrock_beside,
    tile_coadds,
)
from splus_hypercube.surveys.nearest import BestRows, Candidates

__all__ = ["ARMS", "DesiSurvey"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

ARMS = ("b", "r", "z")
_REDROCK = {
    "Z": pa.float64(),
    "ZERR": pa.float64(),
    "ZWARN": pa.int64(),
    "SPECTYPE": pa.string(),
}
_FLUX_UNIT = "1e-17 erg / (s cm2 Angstrom)"
_IVAR_UNIT = "1e34 s2 cm4 Angstrom2 / erg2"
_ARM_COLUMNS = (
    ("wave", pa.float64(), "Angstrom", "em.wl", "Vacuum wavelength"),
    ("flux", pa.float32(), _FLUX_UNIT, "phot.flux.density;em.wl", "Flux density"),
    ("ivar", pa.float32(), _IVAR_UNIT, "stat.weight", "Inverse variance, 0 where masked"),
)
_OPEN_FILES = 8


def _fibermap_name(name: str) -> str:
    """A FIBERMAP column's name in the hypercube.

    Names are unique ignoring case, and ``desi_flux_r`` is a spectrum.
    """
    return f"desi_fibermap_{name}" if name.upper().startswith("FLUX_") else f"desi_{name}"


class DesiSurvey(Survey):
    """DESI coadds.

    Parameters
    ----------
    directory : Path
    tiles : Path or None
        Table of tiles for the tile layout; None for the HEALPix layout.
    radius_arcsec : float
    """

    name = "desi"

    def __init__(self, directory: Path, tiles: Path | None, radius_arcsec: float) -> None:
        self.directory = directory
        self.tiles = tiles
        self.radius_arcsec = radius_arcsec

    def _coadds(self, region: SkyRegion) -> list[Path]:
        if self.tiles is None:
            pixels = region.pixels_of_order(HEALPIX_ORDER).tolist()
            return healpix_coadds(self.directory, pixels)
        return tile_coadds(
            self.directory,
            self.tiles,
            lambda ra, dec: region.contains(ra, dec, extra_deg=TILE_RADIUS_DEG),
        )

    def _coadds_of_run(self, fields: Sequence[Field]) -> list[Path]:
        """All coadds that any field of the run could need; if there are none, any one."""
        near = self._coadds_near(fields)
        return near or any_coadd(self.directory, healpix=self.tiles is None)

    def _coadds_near(self, fields: Sequence[Field]) -> list[Path]:
        if self.tiles is None:
            grid = HEALPix(nside=1 << HEALPIX_ORDER, order="nested")
            pixels: set[int] = set()
            for field in fields:
                centre, radius = (field.ra * u.deg, field.dec * u.deg), FIELD_RADIUS_DEG * u.deg
                pixels.update(grid.cone_search_lonlat(*centre, radius).tolist())
            return healpix_coadds(self.directory, pixels)
        reach_arcsec = (TILE_RADIUS_DEG + FIELD_RADIUS_DEG) * ARCSEC_PER_DEG
        centres = PositionIndex([f.ra for f in fields], [f.dec for f in fields], reach_arcsec)

        def near_a_field(ra: Float, dec: Float) -> NDArray[np.bool_]:
            near = np.zeros(len(ra), dtype=bool)
            near[centres.pairs(ra, dec).query] = True
            return near

        return tile_coadds(self.directory, self.tiles, near_a_field)

    def schema(self, fields: Sequence[Field]) -> pa.Schema:
        """See `Survey.schema`; the FIBERMAP columns are the union over all coadds near a field."""
        fixed: list[pa.Field] = []
        for name, kind in _REDROCK.items():
            field = pa.field(name, kind)
            fixed.append(describe_column(self.name, name, field, f"desi_{name}"))
        for arm in ARMS:
            for name, kind, unit, ucd, text in _ARM_COLUMNS:
                fixed.append(
                    described(
                        f"desi_{name}_{arm}",
                        pa.list_(kind),
                        unit=unit,
                        ucd=ucd,
                        description=f"{text}, DESI {arm} arm",
                        survey=self.name,
                        modality="spectrum",
                    )
                )
        fixed.append(
            described(
                "desi_desi_file",
                pa.string(),
                ucd="meta.ref",
                description="Coadd, relative to the configured DESI folder",
                survey=self.name,
                modality="auxiliary",
            )
        )
        return schema_of_files(
            self.name,
            self._coadds_of_run(fields),
            self._fibermap_schema,
            extra=[*fixed, *match_fields(self.name)],
        )

    def _fibermap_schema(self, path: Path) -> pa.Schema:
        with open_fits(path) as file:
            own = file.table("FIBERMAP").schema
        return pa.schema(
            [
                describe_column(self.name, field.name, field, _fibermap_name(field.name))
                for field in own
            ]
        )

    def inputs(self, target: Target) -> list[Path]:
        """See `Survey.inputs`."""
        paths = []
        for coadd in self._coadds(target.region):
            redrock = redrock_beside(coadd)
            paths.extend([coadd] if redrock is None else [coadd, redrock])
        return paths

    def match(
        self, target: Target, schema: pa.Schema, earlier: Mapping[str, SurveyMatches]
    ) -> SurveyMatches:
        """See `Survey.match`."""
        matches = _DesiMatches(target, self, schema)
        for path in self._coadds(target.region):
            with open_fits(path) as file:
                matches.add(path, file)
        return matches.finish()


class _DesiMatches(SurveyMatches):
    """Best coadd of each source: FIBERMAP rows wait on disk, spectra are read when asked for."""

    def __init__(self, target: Target, survey: DesiSurvey, schema: pa.Schema) -> None:
        self.statistics = {}
        self._survey = survey
        self._schema = schema
        self._target = target
        self._candidates = Candidates(target, survey.radius_arcsec)
        late = {f"desi_{name}_{arm}" for name, *_ in _ARM_COLUMNS for arm in ARMS}
        late |= {"desi_desi_file", "desi_separation_arcsec", "desi_n_candidates"}
        self._best = BestRows(target, pa.schema([f for f in schema if f.name not in late]))
        self._files: list[Path] = []
        count = len(target)
        self._file = np.full(count, -1, dtype=np.int32)
        self._row = np.full(count, -1, dtype=np.int64)
        self._snr = np.full(count, -np.inf)
        self._separation = np.full(count, np.nan)
        self._open: OrderedDict[Path, tuple[FitsFile, ExitStack]] = OrderedDict()
        target.scratch.on_close(self._close_files)

    def add(self, path: Path, file: FitsFile) -> None:
        """Match the good target fibres of one coadd."""
        fibermap = file.table("FIBERMAP")
        for name in ("TARGETID", "TARGET_RA", "TARGET_DEC", "OBJTYPE", "COADD_FIBERSTATUS"):
            if name not in fibermap.column_names:
                raise InputError(path, f"no FIBERMAP column {name}", "a DESI coadd")
        table = fibermap.read()
        if table["TARGETID"].null_count:
            raise InputError(path, "a null TARGETID", "an integer in every row")
        ra = float_column(table, "TARGET_RA", path)
        dec = float_column(table, "TARGET_DEC", path)
        status = float_column(table, "COADD_FIBERSTATUS", path)
        target_fibre = np.array([kind == "TGT" for kind in table["OBJTYPE"].to_pylist()], bool)
        good = (
            target_fibre
            & (status == 0.0)
            & np.isfinite(ra)
            & np.isfinite(dec)
            & self._target.region.contains(ra, dec)
        )
        # Row numbers stay those of the file: the flux arrays have the same rows.
        fibre = np.flatnonzero(good)
        source, found, separation = self._candidates.find(ra[fibre], dec[fibre])
        if not len(source):
            return
        row = fibre[found]
        snr = self._signal_to_noise(path, file, table.num_rows, row)
        order = np.lexsort((row, separation, -snr, source))
        source, row = source[order], row[order]
        separation, snr = separation[order], snr[order]
        first = np.ones(len(source), dtype=bool)
        first[1:] = source[1:] != source[:-1]
        known, distance = self._snr[source], self._separation[source]
        better = first & ((snr > known) | ((snr == known) & (separation < distance)))

        def values(rows: Int) -> pa.Table:
            chosen = table.take(pa.array(rows))
            chosen = chosen.rename_columns([_fibermap_name(name) for name in chosen.column_names])
            for name, column in self._redshifts(path, table["TARGETID"].take(rows)).items():
                chosen = chosen.append_column(name, column)
            return chosen

        self._best.offer(source, row, better, values)
        taken = source[better]
        self._file[taken] = len(self._files)
        self._files.append(path)
        self._row[taken] = row[better]
        self._snr[taken] = snr[better]
        self._separation[taken] = separation[better]

    def _signal_to_noise(self, path: Path, file: FitsFile, count: int, rows: Int) -> Float:
        """Signal-to-noise of some fibres, -1 where unknown.

        The mean over the arms of the pipeline's medians; without these the median over all pixels.
        """
        if file.has("SCORES"):
            scores = file.table("SCORES")
            names = [f"MEDIAN_COADD_SNR_{arm.upper()}" for arm in ARMS]
            names = [name for name in names if name in scores.column_names]
            if names:
                if scores.num_rows != count:
                    raise InputError(path, f"{scores.num_rows} SCORES", f"{count}, as FIBERMAP")
                table = scores.read(columns=names, rows=rows)
                values = np.stack([float_column(table, name, path) for name in names])
                mean: Float = np.nan_to_num(values.mean(axis=0), nan=-1.0)
                return mean
        unique, place = np.unique(rows, return_inverse=True)
        pixels = []
        for arm in ARMS:
            if file.has(f"{arm.upper()}_FLUX"):
                _, flux, ivar = self._arm(path, file, arm, unique)
                pixels.append(flux * np.sqrt(np.maximum(ivar, 0.0)))
        if not pixels:
            return np.zeros(len(rows))
        median = np.median(np.concatenate(pixels, axis=1), axis=1)
        signal: Float = np.nan_to_num(median.astype(np.float64), nan=-1.0)
        return signal[place]

    def _arm(
        self, path: Path, file: FitsFile, arm: str, rows: Int
    ) -> tuple[Float, NDArray[np.float32], NDArray[np.float32]]:
        """Wavelength, flux and inverse variance of some fibres in one arm."""
        letter = arm.upper()
        wave = file.image(f"{letter}_WAVELENGTH").read()
        flux = file.image(f"{letter}_FLUX")
        ivar = file.image(f"{letter}_IVAR")
        expected = (file.table("FIBERMAP").num_rows, *wave.shape)
        for name, image in (("FLUX", flux), ("IVAR", ivar)):
            if wave.ndim != 1 or tuple(image.shape) != expected:
                raise InputError(
                    path, f"{letter}_{name} of shape {tuple(image.shape)}", f"{expected}"
                )
        weights = ivar.read(rows=rows).astype(np.float32)
        if file.has(f"{letter}_MASK"):
            mask = file.image(f"{letter}_MASK")
            if tuple(mask.shape) != expected:
                raise InputError(path, f"{letter}_MASK of shape {mask.shape}", f"{expected}")
            weights[mask.read(rows=rows) != 0] = 0.0
        return wave.astype(np.float64), flux.read(rows=rows).astype(np.float32), weights

    def _redshifts(self, coadd: Path, identifiers: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
        """Redrock's columns for some targets; null where it has none."""
        path = redrock_beside(coadd)
        if path is None:
            return {}
        with open_fits(path) as file:
            table = file.table("REDSHIFTS")
            missing = {"TARGETID", *_REDROCK} - set(table.column_names)
            if missing:
                raise InputError(path, f"no column {sorted(missing)[0]}", "a redrock file")
            redshifts = table.read(columns=["TARGETID", *_REDROCK])
        if redshifts["TARGETID"].null_count:
            raise InputError(path, "a null TARGETID", "an integer in every row")
        known = redshifts["TARGETID"].to_numpy()
        if not len(known):
            return {}
        order = np.argsort(known, kind="stable")
        wanted = identifiers.to_numpy()
        place = order[np.minimum(np.searchsorted(known[order], wanted), len(order) - 1)]
        indices = pa.array(place, mask=known[place] != wanted)
        return {f"desi_{name}": redshifts[name].take(indices) for name in _REDROCK}

    def finish(self) -> _DesiMatches:
        """Estimate the false matches once all coadds are in."""
        self.statistics = self._candidates.statistics()
        return self

    def rows(self, start: int, stop: int) -> pa.Table:
        """See `SurveyMatches.rows`."""
        table = self._best.rows(start, stop)
        folder = self._survey.directory
        names = {
            number: self._files[number].relative_to(folder).as_posix()
            for number in np.unique(self._file[start:stop]).tolist()
            if number >= 0
        }
        columns: dict[str, Any] = {
            "desi_desi_file": pa.array(
                [names.get(number) for number in self._file[start:stop].tolist()], pa.string()
            ),
            "desi_n_candidates": pa.array(self._candidates.count[start:stop]),
        }
        separation = self._separation[start:stop]
        columns["desi_separation_arcsec"] = pa.array(separation, mask=np.isnan(separation))
        for arm in ARMS:
            columns.update(self._spectra(arm, start, stop))
        for name, column in columns.items():
            table = table.append_column(name, column)
        return conform(table, self._schema)

    def _spectra(self, arm: str, start: int, stop: int) -> dict[str, pa.Array]:
        """One arm's list columns for consecutive sources."""
        file, row = self._file[start:stop], self._row[start:stop]
        count = stop - start
        parts: dict[int, list[Any]] = {}
        for number in np.unique(file[file >= 0]).tolist():
            path = self._files[number]
            opened = self._opened(path)
            if opened.has(f"{arm.upper()}_FLUX"):
                where = np.flatnonzero(file == number)
                wave, flux, ivar = self._arm(path, opened, arm, row[where])
                waves = np.broadcast_to(wave, flux.shape)
                for place, *values in zip(where.tolist(), waves, flux, ivar, strict=True):
                    parts[place] = values
        valid = np.zeros(count, dtype=bool)
        valid[list(parts)] = True
        lengths = np.zeros(count, dtype=np.int64)
        for place, values in parts.items():
            lengths[place] = len(values[0])
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
        columns = {}
        for position, (name, kind, *_) in enumerate(_ARM_COLUMNS):
            pieces = [parts[place][position] for place in sorted(parts)]
            flat = np.concatenate(pieces) if pieces else np.empty(0)
            columns[f"desi_{name}_{arm}"] = pa.ListArray.from_arrays(
                offsets, pa.array(flat, kind), mask=pa.array(~valid)
            )
        return columns

    def _opened(self, path: Path) -> FitsFile:
        """An open coadd; the few used last stay open."""
        if path in self._open:
            self._open.move_to_end(path)
        else:
            while len(self._open) >= _OPEN_FILES:
                self._open.popitem(last=False)[1][1].close()
            stack = ExitStack()
            self._open[path] = (stack.enter_context(open_fits(path)), stack)
        return self._open[path][0]

    def _close_files(self) -> None:
        while self._open:
            self._open.popitem()[1][1].close()
