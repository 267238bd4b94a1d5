"""The files of a data set, and the identifiers of their spectra."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from astro_common.errors import ConfigurationError, InputError

__all__ = ["SpectrumFile", "find_files", "row_id", "stem_of", "table_path"]

_CANDIDATE = re.compile(r"\.(fits|fit)(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True)
class SpectrumFile:
    """A candidate file.

    Attributes
    ----------
    path : Path
        Where it is.
    spec_id : str
        Identifier of its spectrum; unique in the data set.
    table_path : str
        Path as tables give it: below, and with, the folder of the data set.
    """

    path: Path
    spec_id: str
    table_path: str


def stem_of(path: PurePath) -> str:
    """File name without ``.fits``, ``.fit`` and ``.gz``."""
    return _CANDIDATE.sub("", path.name)


def row_id(file_id: str, row: int | None) -> str:
    """Identifier of a spectrum: that of the file, and the row in a file of many."""
    return file_id if row is None else f"{file_id}-{row:05d}"


def table_path(path: Path, root: Path) -> str:
    """Path as tables give it: at least parent folder and file name, with forward slashes."""
    folder = (root if root.is_dir() else root.parent).resolve()
    resolved = path.resolve()
    if not resolved.is_relative_to(folder):
        # A link to a file elsewhere.
        return "/".join(resolved.parts[-2:]).lstrip("/")
    return (Path(folder.name) / resolved.relative_to(folder)).as_posix()


def find_files(
    roots: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    strip_prefix: str = "",
    strip_suffix: str = "",
) -> list[SpectrumFile]:
    """Find candidate files, which end in ``.fits`` or ``.fit``, also with ``.gz``.

    Parameters
    ----------
    roots : path-like or sequence of path-like
        Folders, searched with all their subfolders, and files.
    strip_prefix, strip_suffix : str, optional
        Removed from the stems before they become identifiers.

    Returns
    -------
    list of SpectrumFile
        Sorted by path. The first of equal stems keeps the stem as its identifier, the others get
        ``-2``, ``-3`` and so on.

    Raises
    ------
    InputError
        A root does not exist, a folder cannot be read, or there is no candidate file at all.
    """
    given = [roots] if isinstance(roots, (str, os.PathLike)) else list(roots)
    found: dict[Path, Path] = {}
    for root in map(Path, given):
        if root.is_dir():
            for folder, names, files in os.walk(root, onerror=_refuse):
                names.sort()
                for name in files:
                    if _CANDIDATE.search(name) and not name.startswith("."):
                        found.setdefault(Path(folder) / name, root)
        elif root.exists():
            found.setdefault(root, root)
        else:
            raise InputError(root, "no such file or folder", "spectra, or a folder of them")
    if not found:
        raise InputError(
            given[0], "no file that ends in .fits, .fit, .fits.gz or .fit.gz", "SDSS spectra"
        )
    ordered = sorted((table_path(path, root), path) for path, root in found.items())
    taken: set[str] = set()
    stems = {_stripped(stem_of(path), strip_prefix, strip_suffix) for _, path in ordered}
    result = []
    for shown, path in ordered:
        stem = _stripped(stem_of(path), strip_prefix, strip_suffix)
        spec_id, number = stem, 1
        while spec_id in taken or (number > 1 and spec_id in stems):
            number += 1
            spec_id = f"{stem}-{number}"
        taken.add(spec_id)
        result.append(SpectrumFile(path, spec_id, shown))
    return result


def _refuse(error: OSError) -> None:
    # `os.walk` would pass over the folder, and its spectra would be missing without a word.
    raise InputError(error.filename, f"cannot be read ({error.strerror})", "a folder") from error


def _stripped(stem: str, prefix: str, suffix: str) -> str:
    short = stem.removeprefix(prefix).removesuffix(suffix)
    if not short:
        raise ConfigurationError(
            "--catalog-strip-prefix", f"nothing is left of {stem!r}", "a shorter prefix or suffix"
        )
    return short
