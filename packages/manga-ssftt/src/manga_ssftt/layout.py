"""Where the files of a MaNGA tree lie: the one place that knows their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from astro_common.errors import ConfigurationError, InputError

__all__ = [
    "DEFAULT_DAPTYPE",
    "LABEL_TASKS",
    "PATCH_NORMS",
    "Tree",
    "check_plateifu",
    "companion_maps",
    "plateifu_of_name",
]

DEFAULT_DAPTYPE: Final = "SPX-MILESHC-MASTARSSP"
LABEL_TASKS: Final = ("BPT", "logOH")
PATCH_NORMS: Final = ("global", "spatial", "spectral", "PCA")

_PLATEIFU = re.compile(r"(?P<plate>\d{1,6})-(?P<ifu>\d{1,6})")
_FILE_NAME = re.compile(
    r"manga-(?P<plateifu>\d+-\d+)-(?P<kind>LOGCUBE|MAPS)(?:-(?P<daptype>.+?))?\.fits(?:\.gz)?"
)


def check_plateifu(text: str) -> str:
    """Return a plate-ifu such as ``8485-1901``; anything else is a `ConfigurationError`."""
    if _PLATEIFU.fullmatch(text) is None:
        raise ConfigurationError("PLATEIFU", repr(text), "PLATE-IFU as in 8485-1901, or a file")
    return text


def plateifu_of_name(path: Path) -> str | None:
    """Plate-ifu in the name of a MaNGA file; None if it is no such name."""
    match = _FILE_NAME.fullmatch(path.name)
    return None if match is None else match["plateifu"]


def companion_maps(logcube: Path) -> Path:
    """The MAPS file beside a DAP model LOGCUBE."""
    return logcube.with_name(logcube.name.replace("LOGCUBE", "MAPS"))


@dataclass(frozen=True)
class Tree:
    """A MaNGA tree: ``raw`` as released, ``processed`` as made by this package.

    Attributes
    ----------
    root : Path
    daptype : str
        Which analysis of DR17, as in its file names.
    """

    root: Path
    daptype: str = DEFAULT_DAPTYPE

    def raw_folder(self, plateifu: str) -> Path:
        """Folder of a galaxy's released files."""
        plate, ifu = check_plateifu(plateifu).split("-")
        return self.root / "raw" / plate / ifu

    def logcube(self, plateifu: str) -> Path:
        """DAP model LOGCUBE of a galaxy: the ``.fits.gz``, or the ``.fits`` if only that exists."""
        return self._raw(plateifu, "LOGCUBE")

    def maps(self, plateifu: str) -> Path:
        """DAP MAPS of a galaxy: the ``.fits.gz``, or the ``.fits`` if only that exists."""
        return self._raw(plateifu, "MAPS")

    def _raw(self, plateifu: str, kind: str) -> Path:
        packed = self.raw_folder(plateifu) / f"manga-{plateifu}-{kind}-{self.daptype}.fits.gz"
        plain = packed.with_suffix("")
        return plain if plain.exists() and not packed.exists() else packed

    def raw_galaxies(self, kind: str = "LOGCUBE") -> list[str]:
        """Plate-ifus of all galaxies that have a released file of this kind, sorted."""
        found = set()
        for ending in (".fits.gz", ".fits"):
            for path in (self.root / "raw").glob(f"*/*/manga-*-{kind}-{self.daptype}{ending}"):
                name = plateifu_of_name(path)
                if name is not None and self.raw_folder(name) == path.parent:
                    found.add(name)
        return sorted(found)

    def galaxy(self, plateifu: str) -> Path:
        """HDF5 file of a processed galaxy."""
        plate = check_plateifu(plateifu).split("-")[0]
        return self.root / "processed" / "cubes" / plate / f"{plateifu}.h5"

    def galaxies(self) -> list[str]:
        """Plate-ifus of all processed galaxies, sorted."""
        paths = (self.root / "processed" / "cubes").glob("*/*.h5")
        names = (path.stem for path in paths if not path.name.startswith("."))
        return sorted(name for name in names if _PLATEIFU.fullmatch(name))

    def require_galaxy(self, plateifu: str) -> Path:
        """HDF5 file of a processed galaxy; an `InputError` if there is none."""
        path = self.galaxy(plateifu)
        if not path.is_file():
            raise InputError(path, "no such file", "a processed galaxy", "run process first")
        return path

    def label_folder(self, task: str) -> Path:
        """Folder of the label maps of a task."""
        return self.root / "processed" / "labels" / task

    def patch_folder(self, task: str, norm: str, plateifu: str) -> Path:
        """Folder of a galaxy's patches."""
        return self.root / "processed" / "patches" / task / norm / check_plateifu(plateifu)

    @property
    def failures(self) -> Path:
        """List of the galaxies that could not be processed."""
        return self.root / "processed" / "failures.jsonl"
