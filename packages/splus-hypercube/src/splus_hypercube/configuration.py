"""The YAML configuration of a run: its keys, their defaults, and where its paths lead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from astro_common.configuration import read_yaml, validated
from astro_common.errors import ConfigurationError

__all__ = [
    "FIRST_EPOCH_JYEAR",
    "LAST_EPOCH_JYEAR",
    "MAX_CUTOUT_PX",
    "Apogee",
    "Configuration",
    "Cutouts",
    "Desi",
    "Gaia",
    "GaiaXp",
    "Specz",
    "Splus",
    "Vista",
    "Ztf",
    "load_configuration",
]

FIRST_EPOCH_JYEAR, LAST_EPOCH_JYEAR = 1900.0, 2100.0
"""Epochs of observations that are taken for real, Julian years."""
MAX_CUTOUT_PX = 1024

Radius = Annotated[float, Field(gt=0.0, le=60.0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Splus(_Section):
    """The S-PLUS catalogue and images.

    Attributes
    ----------
    catalogue : str
        Template with ``{field}``.
    images : tuple of str
        Templates with ``{field}`` and ``{band}``; the first that exists is read.
    epoch_jyear : float or None
        Epoch of the observations, Julian year; None reads it from the images' headers.
    """

    catalogue: str
    images: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    epoch_jyear: Annotated[float, Field(ge=FIRST_EPOCH_JYEAR, le=LAST_EPOCH_JYEAR)] | None = None

    @field_validator("catalogue")
    @classmethod
    def _catalogue_names_field(cls, value: str) -> str:
        return _with_names(value, {"field"})

    @field_validator("images")
    @classmethod
    def _images_name_field_and_band(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_with_names(template, {"field", "band"}) for template in value)


def _with_names(template: str, names: set[str]) -> str:
    try:
        filled = template.format(**dict.fromkeys(names, "x"))
    except (KeyError, IndexError, ValueError) as error:
        wanted = " and ".join(f"{{{name}}}" for name in sorted(names))
        raise ValueError(f"the template may hold {wanted} alone ({error})") from None
    missing = sorted(name for name in names if "{" + name + "}" not in template)
    if missing or not filled:
        raise ValueError(f"the template lacks {{{missing[0]}}}" if missing else "it is empty")
    return template


class Cutouts(_Section):
    """Size of the cutouts, and which sources get them.

    Attributes
    ----------
    size_px : int
        Side of a square cutout.
    rows : str
        ``all``, ``gaia`` (sources with a Gaia match), ``none``, or an expression over the
        catalogue's columns such as ``mag_pstotal_r < 20``.
    """

    size_px: Annotated[int, Field(ge=1, le=MAX_CUTOUT_PX)] = 96
    rows: str = "all"


class Gaia(_Section):
    """Gaia DR3 source files by HEALPix range."""

    directory: Path
    radius_arcsec: Radius = 1.2


class GaiaXp(_Section):
    """Gaia DR3 XP continuous mean spectra by HEALPix range."""

    directory: Path


class Ztf(_Section):
    """ZTF light curves in a HATS or HiPSCat tree.

    Attributes
    ----------
    bad_catflags : int
        Epochs with any of these ``catflags`` bits are dropped.
    """

    directory: Path
    radius_arcsec: Radius = 1.0
    bad_catflags: Annotated[int, Field(ge=0, lt=2**31)] = 0


class Desi(_Section):
    """DESI coadds: by tile where ``tiles`` is given, else by HEALPix pixel."""

    directory: Path
    tiles: Path | None = None
    radius_arcsec: Radius = 1.0


class Apogee(_Section):
    """The APOGEE allStar file."""

    file: Path
    radius_arcsec: Radius = 1.0


class Specz(_Section):
    """A compilation of spectroscopic redshifts in one file."""

    file: Path
    radius_arcsec: Radius = 1.0


class Vista(_Section):
    """VISTA photometry, one file per field (template with ``{field}``)."""

    file: str
    radius_arcsec: Radius = 1.0

    @field_validator("file")
    @classmethod
    def _file_names_field(cls, value: str) -> str:
        return _with_names(value, {"field"})


class Configuration(_Section):
    """A whole run. A survey whose section is left out is left out for every field.

    Attributes
    ----------
    fields : Path
        CSV file with the columns ``field``, ``ra``, ``dec``.
    exclude_fields : tuple of str
        Shell patterns of field names to leave out.
    output : Path
        Folder of the hypercubes.
    splus, cutouts, gaia, gaia_xp, ztf, desi, apogee, specz, vista
        The sections; None for a survey that is left out.
    """

    fields: Path
    exclude_fields: tuple[str, ...] = ()
    output: Path
    splus: Splus
    cutouts: Cutouts = Cutouts()
    gaia: Gaia | None = None
    gaia_xp: GaiaXp | None = None
    ztf: Ztf | None = None
    desi: Desi | None = None
    apogee: Apogee | None = None
    specz: Specz | None = None
    vista: Vista | None = None

    def catalogue_path(self, field: str) -> Path:
        """Where the S-PLUS catalogue of a field is (Path)."""
        return Path(self.splus.catalogue.format(field=field))

    def image_path(self, field: str, band: str) -> Path | None:
        """The image of a field in a band: the first that exists (Path), or None."""
        for template in self.splus.images:
            path = Path(template.format(field=field, band=band))
            if path.exists():
                return path
        return None

    def cube_path(self, field: str) -> Path:
        """Where the hypercube of a field is written (Path)."""
        return self.output / f"datacube_{field}.parquet"


def load_configuration(path: Path, *, output: Path | None = None) -> Configuration:
    """Read and check a configuration file.

    Parameters
    ----------
    path : Path
        YAML file; relative paths in it resolve against its folder.
    output : Path, optional
        Output folder in place of the file's.

    Returns
    -------
    Configuration

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a key or a value is wrong.
    """
    configuration = validated(Configuration, read_yaml(path), path)
    configuration = _resolved(configuration, path.resolve().parent)
    if output is not None:
        configuration = configuration.model_copy(update={"output": output.absolute()})
    _check_sections_agree(path, configuration)
    return configuration


def _resolved(configuration: Configuration, folder: Path) -> Configuration:
    """The configuration with relative paths resolved against a folder."""

    def resolve(value: Any, name: str) -> Any:
        if isinstance(value, Path):
            return folder / value.expanduser()
        if name in ("catalogue", "file"):
            return str(folder / Path(value).expanduser())
        if name == "images":
            return tuple(str(folder / Path(item).expanduser()) for item in value)
        return value

    updates: dict[str, Any] = {}
    for name in Configuration.model_fields:
        value = getattr(configuration, name)
        if isinstance(value, _Section):
            section = {key: resolve(getattr(value, key), key) for key in type(value).model_fields}
            updates[name] = value.model_copy(update=section)
        else:
            updates[name] = resolve(value, name)
    return configuration.model_copy(update=updates)


def _check_sections_agree(path: Path, configuration: Configuration) -> None:
    if configuration.gaia_xp is not None and configuration.gaia is None:
        raise ConfigurationError(
            path, "gaia_xp without gaia", "both", "XP spectra join by Gaia's source_id: add gaia"
        )
    if configuration.cutouts.rows == "gaia" and configuration.gaia is None:
        raise ConfigurationError(
            path, "cutouts.rows is 'gaia' without a gaia section", "all, none or an expression"
        )
    if configuration.splus.epoch_jyear is None and not configuration.splus.images:
        raise ConfigurationError(
            path, "splus.epoch_jyear is null and splus.images is empty", "one of the two"
        )
