"""Writing and reading the HDF5 file of a processed galaxy."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import h5py
import numpy as np
import numpy.typing as npt
from astropy.io.fits import Header
from astropy.utils.exceptions import AstropyWarning

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from astro_common.jsonable import json_text
from manga_ssftt.cubes import FLUX_UNIT, celestial_header
from manga_ssftt.galaxy_file.chunks import write_chunked
from manga_ssftt.galaxy_file.rounding import (
    FLUX_STEPS_PER_SIGMA,
    IVAR_BITS,
    round_flux,
    round_ivar,
)
from manga_ssftt.labels import BPT_DESCRIPTION, LabelMaps
from manga_ssftt.resample import Resampled

__all__ = ["SCHEMA_VERSION", "Galaxy", "GalaxyFile", "write_galaxy"]

SCHEMA_VERSION: Final = "1.0"

# Spaxels along each side of a chunk; a chunk holds whole spectra.
_CHUNK_SPAXELS: Final = 8
_IVAR_UNIT: Final = f"1 / ({FLUX_UNIT})^2"


@dataclass(frozen=True, eq=False)
class Galaxy:
    """What is written of a galaxy besides its spectra.

    Attributes
    ----------
    plateifu, mangaid : str
    redshift : float
    wave : ndarray of float64, shape (n_wave,)
        Rest-frame vacuum wavelength, angstrom.
    shape : (int, int)
        ``(n_y, n_x)``.
    labels : LabelMaps
    wcs : astropy.io.fits.Header
    coordinates : mapping of str to (ndarray of float64, str)
        Maps of shape (n_y, n_x) with their units.
    key : str
        Identifies configuration and inputs.
    provenance : mapping
    synthetic : bool
    """

    plateifu: str
    mangaid: str
    redshift: float
    wave: npt.NDArray[np.float64]
    shape: tuple[int, int]
    labels: LabelMaps
    wcs: Header
    coordinates: Mapping[str, tuple[npt.NDArray[np.float64], str]]
    key: str
    provenance: Mapping[str, Any]
    synthetic: bool


def write_galaxy(
    path: Path,
    galaxy: Galaxy,
    spectra: Resampled,
    *,
    compact: bool = False,
    overwrite: bool = False,
) -> None:
    """Write the file of a galaxy.

    Parameters
    ----------
    path : Path
        Its folder is made.
    galaxy : Galaxy
    spectra : Resampled
        With ``n_y * n_x`` spectra, x fastest.
    compact : bool, optional
        Leave out digits far below the errors, see `rounding`.
    overwrite : bool, optional
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*galaxy.shape, len(galaxy.wave))
    side = _CHUNK_SPAXELS
    chunks = (min(side, shape[0]), min(side, shape[1]), shape[2])
    # HDF5's own lock would meet the one by which `atomic_path` marks the file as being written.
    with (
        atomic_path(path, overwrite=overwrite) as partial,
        h5py.File(partial, "w", locking=False) as file,
    ):
        file.attrs.update(
            schema_version=SCHEMA_VERSION,
            plateifu=galaxy.plateifu,
            mangaid=galaxy.mangaid,
            redshift=galaxy.redshift,
            key=galaxy.key,
            synthetic=galaxy.synthetic,
            wcs=galaxy.wcs.tostring(sep="\n", endcard=False, padding=False),
            provenance=json_text(galaxy.provenance),
        )
        flux, ivar, rounding = spectra.flux, spectra.ivar, ""
        if compact:
            flux, ivar = round_flux(flux, ivar), round_ivar(ivar)
            rounding = f"flux to sigma / {FLUX_STEPS_PER_SIGMA}, ivar to {IVAR_BITS} bits"
        file.attrs["rounding"] = rounding
        datasets: tuple[tuple[str, npt.NDArray[Any], str, str], ...] = (
            ("cube", flux, FLUX_UNIT, "flux density, observed, not multiplied by 1 + z"),
            ("ivar", ivar, _IVAR_UNIT, "inverse variance of the flux density"),
            ("mask", spectra.mask, "", "true where no good input pixel overlaps"),
            (
                "coverage",
                spectra.coverage.astype(np.float16),
                "",
                "fraction of the pixel that good input pixels cover",
            ),
        )
        for name, values, unit, description in datasets:
            dataset = write_chunked(file, name, values.reshape(shape), chunks)
            dataset.attrs.update(unit=unit, description=description)
        _write_small(file, "wave", galaxy.wave, "Angstrom", "rest-frame vacuum wavelength")
        labels = galaxy.labels
        _write_small(file, "labels/BPT", labels.bpt, "", BPT_DESCRIPTION)
        _write_small(file, "labels/logOH", labels.log_oh, "dex", "12 + log(O/H), NaN where absent")
        _write_small(
            file, "labels/logOH_err", labels.log_oh_err, "dex", "error from the line fluxes alone"
        )
        _write_small(
            file, "ratios/N2", labels.n2, "dex", "log10 of [NII]6585/H-alpha, NaN where absent"
        )
        for name, (place, unit) in galaxy.coordinates.items():
            _write_small(file, f"coordinates/{name}", place, unit, "of the centre of the spaxel")


def _write_small(
    file: h5py.File, name: str, values: npt.NDArray[Any], unit: str, description: str
) -> None:
    dataset = file.create_dataset(name, data=values)
    dataset.attrs.update(unit=unit, description=description)


class GalaxyFile:
    """An open file of a processed galaxy, to be used in a ``with`` block.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If the file is missing, damaged, or not the file of a processed galaxy.

    Attributes
    ----------
    plateifu, mangaid, key : str
    redshift : float
    synthetic : bool
    shape : (int, int, int)
        ``(n_y, n_x, n_wave)``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            found = "no such file" if not path.exists() else f"cannot be read ({error})"
            raise InputError(path, found, "the HDF5 file of a processed galaxy") from error
        try:
            attributes = self._file.attrs
            version = str(attributes["schema_version"])
            self.plateifu = str(attributes["plateifu"])
            self.mangaid = str(attributes["mangaid"])
            self.redshift = float(attributes["redshift"])
            self.key = str(attributes["key"])
            self.synthetic = bool(attributes["synthetic"])
            shapes = [self._file[name].shape for name in ("cube", "ivar", "mask")]
            n_wave = self._file["wave"].shape
            self.shape: tuple[int, int, int] = shapes[0]
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            self._file.close()
            raise InputError(path, f"lacks {error}", "the file of a processed galaxy") from error
        if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
            self._file.close()
            raise InputError(path, f"schema version {version}", f"version {SCHEMA_VERSION}")
        if len(self.shape) != 3 or len(set(shapes)) != 1 or n_wave != self.shape[2:]:
            self._file.close()
            raise InputError(path, f"datasets of shapes {shapes}, {n_wave}", "one shape")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self, name: str, where: Any = ()) -> npt.NDArray[Any]:
        """Read a dataset, or a part of it.

        Parameters
        ----------
        name : str
            Such as ``cube`` or ``labels/BPT``.
        where : index, optional
            As h5py takes it; everything by default.

        Raises
        ------
        InputError
            If there is no such dataset or it is damaged.
        """
        try:
            return np.asarray(self._file[name][where])
        except (KeyError, OSError) as error:
            raise InputError(self.path, f"dataset {name} cannot be read ({error})") from error

    def label(self, task: str) -> npt.NDArray[Any]:
        """Label map of a task: uint8 (BPT) or float64 (logOH), shape (n_y, n_x)."""
        return self.read(f"labels/{task}")

    @property
    def wcs(self) -> Header:
        """Celestial coordinates of the spaxels (astropy.io.fits.Header); may be an `InputError`."""
        text = self._text("wcs")
        with warnings.catch_warnings():
            # Of a damaged card astropy warns; what then is missing, `celestial_header` refuses.
            warnings.simplefilter("ignore", AstropyWarning)
            return celestial_header(Header.fromstring(text, sep="\n"), self.path)

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, configuration and inputs behind the file (dict); may be an `InputError`."""
        try:
            return dict(json.loads(self._text("provenance")))
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(
                self.path, f"attribute provenance is no JSON object ({error})"
            ) from error

    def _text(self, name: str) -> str:
        try:
            return str(self._file.attrs[name])
        except (KeyError, OSError, ValueError, TypeError) as error:
            raise InputError(self.path, f"attribute {name} cannot be read ({error})") from error
