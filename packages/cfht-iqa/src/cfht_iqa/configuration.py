"""The YAML configuration of a run: its keys, their defaults, and where its paths lead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from astro_common.configuration import read_yaml, validated
from cfht_iqa.features import DEFAULT_FEATURES

__all__ = ["RunConfiguration", "load_configuration"]

Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ExtractSection(_Section):
    """How sources are found; see `ExtractionSettings`."""

    engine: Literal["sep", "sextractor"] = "sep"
    format: Literal["fits-ldac", "fits-1.0"] = "fits-ldac"
    threshold_sigma: Positive = 5.0
    min_area_px: Count = 5
    mesh_px: Count = 64
    seeing_arcsec: Positive = 0.7
    subtract_bias: bool = False
    exptime_s: Positive | None = None
    pixel_scale_arcsec: Positive | None = None


class SomSection(_Section):
    """How the map is trained; see `MapTraining`."""

    features: tuple[str, ...] = DEFAULT_FEATURES
    scale: Literal["none", "default"] = "default"
    height: Count = 15
    width: Count = 15
    clusters: Count = 20
    topology: Literal["rectangular", "hexagonal"] = "rectangular"
    initialisation: Literal["pca", "random"] = "pca"
    epochs: Count = 20
    engine: Literal["native", "minisom"] = "native"


class RepresentSection(_Section):
    """How representative sources are chosen."""

    pick: Literal["largest", "centroid", "random"] = "largest"


class SplitSection(_Section):
    """How exposures are dealt out."""

    group: Literal["exposure", "night", "run"] = "exposure"


class TrainSection(_Section):
    """How the network is trained; see `Training`."""

    epochs: Count = 30
    patience: Count = 15


class RunConfiguration(_Section):
    """A whole run.

    Attributes
    ----------
    exposures : tuple of str
        Paths or patterns of the exposures.
    labels : tuple of str
        Files of labels.
    output : str
        Folder of everything that is made.
    judge : tuple of str
        Exposures that the report shows; by default those of the test split.
    seed : int
        Of every step.
    """

    exposures: tuple[str, ...]
    labels: tuple[str, ...]
    output: str
    judge: tuple[str, ...] = ()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    extract: ExtractSection = ExtractSection()
    som: SomSection = SomSection()
    represent: RepresentSection = RepresentSection()
    split: SplitSection = SplitSection()
    train: TrainSection = TrainSection()


def load_configuration(path: Path) -> RunConfiguration:
    """Read a configuration; relative paths in it lead from its own folder.

    Parameters
    ----------
    path : Path
        A YAML file.

    Returns
    -------
    RunConfiguration
        With absolute paths.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, a key is unknown or missing, or a value is wrong.
    """
    configuration = validated(RunConfiguration, read_yaml(path), path)
    folder = path.resolve().parent
    return configuration.model_copy(
        update={
            "exposures": tuple(str(folder / item) for item in configuration.exposures),
            "labels": tuple(str(folder / item) for item in configuration.labels),
            "judge": tuple(str(folder / item) for item in configuration.judge),
            "output": str(folder / configuration.output),
        }
    )
