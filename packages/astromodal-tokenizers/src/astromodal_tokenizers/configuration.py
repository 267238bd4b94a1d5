"""The YAML configuration of a run: its keys, their defaults, and where its paths lead."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from astro_common.configuration import read_yaml, validated

__all__ = [
    "Configuration",
    "ImageSettings",
    "Kind",
    "ModalitySettings",
    "QuantizerName",
    "ScalarSettings",
    "SpectrumSettings",
    "SplitSettings",
    "XpSettings",
    "load_configuration",
]

Kind = Literal["scalar", "spectrum", "light_curve", "coefficients", "image"]
QuantizerName = Literal["kmeans", "residual", "fsq", "lfq"]
TransformName = Literal["auto", "identity", "asinh", "log"]

# Codes and the mark of a missing value share an unsigned 16-bit integer.
MAX_CODES = 65_535

Codes = Annotated[int, Field(ge=2, le=MAX_CODES)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ModalitySettings(_Section):
    """One line of the table of modalities.

    Attributes
    ----------
    name : str
        What its tokens are called.
    kind : str
    columns : dict of str to str or list of str
        Columns of the hypercube by their role: ``value`` of a scalar; ``flux``, ``ivar`` and
        perhaps ``wavelength`` of a spectrum; ``value``, ``error``, ``time`` of a light curve;
        ``coefficients``, ``errors`` and perhaps ``correlations``; ``bands``, a list, of an image.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
    kind: Kind
    columns: dict[str, str | tuple[str, ...]]


class ScalarSettings(_Section):
    """Columns with one number per source.

    Attributes
    ----------
    bins : int
        Codes of each column.
    columns : tuple of str or None
        Which columns; None takes all that the hypercube calls scalar.
    min_values : int
        A column with fewer values to learn from is left out, with a warning.
    max_values : int
        Values of a column that are kept, drawn at random from all files.
    quantile_share : float
        Share of the edges that follows the quantiles at least. As many of the others as needed
        make the squared error smallest, in units of the measurement errors where there are some, so
        that rare values keep theirs.
    transforms : dict of str to str
        Scale of single columns: ``identity``, ``asinh`` or ``log`` in place of ``auto``.
    """

    bins: Codes = 1024
    columns: Annotated[tuple[str, ...] | None, BeforeValidator(_as_list)] = None
    min_values: Count = 1000
    max_values: Annotated[int, Field(ge=100)] = 2_000_000
    quantile_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.65
    transforms: dict[str, TransformName] = {}


class XpSettings(_Section):
    """Gaia XP spectra.

    Attributes
    ----------
    representation : str
        ``sampled`` turns coefficients into samples; ``coefficients`` takes them as they are.
    start, stop : float
        First and last pseudo-wavelength.
    samples : int
    """

    representation: Literal["sampled", "coefficients"] = "sampled"
    start: Annotated[float, Field(ge=-10.0, le=70.0)] = 0.0
    stop: Annotated[float, Field(ge=-10.0, le=70.0)] = 60.0
    samples: Annotated[int, Field(ge=2, le=10_000)] = 600

    @model_validator(mode="after")
    def _rises(self) -> XpSettings:
        if self.stop <= self.start:
            raise ValueError("stop is not larger than start")
        return self


class SpectrumSettings(_Section):
    """Spectra and light curves.

    Attributes
    ----------
    codebook_size : int
    patch : int
        Pixels per token.
    levels : int
        Points of the tokenised level of a spectrum, between which it is interpolated.
    scale_codes : int
        Codes of levels, noise and times.
    quantizer : str
    max_samples : int
        Vectors of a group from which its codebook is learned, drawn at random from all files.
    epochs : int
        Passes of k-means over them.
    xp : XpSettings
    """

    codebook_size: Codes = 2048
    patch: Annotated[int, Field(ge=1, le=64)] = 1
    levels: Annotated[int, Field(ge=1, le=256)] = 24
    scale_codes: Codes = 1024
    quantizer: QuantizerName = "kmeans"
    max_samples: Annotated[int, Field(ge=100)] = 400_000
    epochs: Count = 12
    xp: XpSettings = XpSettings()


class ImageSettings(_Section):
    """Cutouts.

    Attributes
    ----------
    width : int
        Channels of the first layers of the autoencoder.
    latent : int
        Channels of the latent image.
    epochs, batch_size : int
    learning_rate : float
        The highest; it rises over the first steps and then falls.
    patience : int
        Epochs without a better validation loss after which training ends.
    ema_decay : float
        Of the average of the weights that is kept.
    codebook_size : int
    quantizer : str
    pixel_scale_arcsec : float
    apertures_arcsec : tuple of float
        Radii of the rings around the source whose flux has a token of its own.
    max_samples : int
        Latent vectors from which the codebook is learned.
    precision : str
        ``bf16-mixed``, ``32-true``, or ``auto``: the first where the device has it.
    strategy, devices, accelerator : str or int
        As Lightning's Trainer takes them.
    """

    width: Annotated[int, Field(ge=1, le=1024)] = 64
    latent: Annotated[int, Field(ge=1, le=64)] = 2
    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Count = 32
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 3e-3
    patience: Count = 3
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99
    codebook_size: Codes = 2048
    quantizer: QuantizerName = "kmeans"
    pixel_scale_arcsec: Annotated[float, Field(gt=0.0)] = 0.55
    apertures_arcsec: tuple[Annotated[float, Field(gt=0.0)], ...] = (1.5, 3.0)
    max_samples: Annotated[int, Field(ge=100)] = 400_000
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    strategy: str = "auto"
    devices: int | str = 1
    accelerator: str = "auto"

    @field_validator("apertures_arcsec")
    @classmethod
    def _radii_rise(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in itertools.pairwise(value)):
            raise ValueError("the radii do not rise")
        return value


class SplitSettings(_Section):
    """Which part of the sky teaches, checks and tests.

    Attributes
    ----------
    nside : int
        HEALPix resolution (NESTED); all sources of a pixel go together.
    fractions : tuple of float
        Of training, validation and test.
    """

    nside: Annotated[int, Field(ge=1, le=2**29)] = 1024
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)

    @field_validator("nside")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError("a power of two is needed")
        return value

    @field_validator("fractions")
    @classmethod
    def _add_up(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) < 0.0 or value[0] <= 0.0 or abs(sum(value) - 1.0) > 1e-6:
            raise ValueError("three fractions that add up to 1 are needed, the first above 0")
        return value


class Configuration(_Section):
    """A whole run.

    Attributes
    ----------
    hypercube : str
        Template with ``{field}`` of the hypercubes.
    fields : tuple of str or None
        Fields to learn from and to encode; None takes all that are there.
    output : Path
        Folder of codebooks and tokens.
    seed : int
    modalities : tuple of ModalitySettings or None
        Table of modalities; None reads it from the hypercubes.
    scalar, spectrum, image, split
    """

    hypercube: str = "hypercube/datacube_{field}.parquet"
    fields: Annotated[tuple[str, ...] | None, BeforeValidator(_as_list)] = None
    output: Path = Path("tokens")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    modalities: tuple[ModalitySettings, ...] | None = None
    scalar: ScalarSettings = ScalarSettings()
    spectrum: SpectrumSettings = SpectrumSettings()
    image: ImageSettings = ImageSettings()
    split: SplitSettings = SplitSettings()

    @field_validator("hypercube")
    @classmethod
    def _names_field(cls, value: str) -> str:
        try:
            value.format(field="x")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"the template may hold {{field}} alone ({error})") from None
        if value.count("{field}") != 1:
            raise ValueError("the template holds {field} once")
        return value

    def cube_path(self, field: str) -> Path:
        """The hypercube of a field (Path)."""
        return Path(self.hypercube.format(field=field))


def load_configuration(path: Path) -> Configuration:
    """Read and check a configuration file.

    Parameters
    ----------
    path : Path
        YAML file; relative paths in it resolve against its folder. An empty file gives the
        defaults.

    Returns
    -------
    Configuration

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a key or value is wrong; the message names it.
    """
    configuration = validated(Configuration, read_yaml(path), path)
    return resolved(configuration, path.resolve().parent)


def resolved(configuration: Configuration, folder: Path) -> Configuration:
    """The configuration with every relative path taken from a folder."""
    return configuration.model_copy(
        update={
            "hypercube": str(folder / Path(configuration.hypercube).expanduser()),
            "output": folder / configuration.output.expanduser(),
        }
    )
