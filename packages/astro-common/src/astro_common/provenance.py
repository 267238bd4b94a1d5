"""The provenance of an output: programs, settings and inputs."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from astro_common.errors import ConfigurationError, InputError
from astro_common.jsonable import jsonable

__all__ = ["creation_time", "fingerprint", "provenance", "same_content", "versions"]

# A fingerprint reads this much at each of three places, whatever the size of the file.
SAMPLE_BYTES = 64 << 10

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def provenance(
    distribution: str,
    configuration: Mapping[str, Any],
    inputs: Iterable[str | os.PathLike[str]],
    *,
    checksum: bool = False,
) -> dict[str, Any]:
    """Record where an output comes from.

    Parameters
    ----------
    distribution : str
        The installed package that makes the output, such as ``splus-hypercube``.
    configuration : mapping
        Its settings.
    inputs : iterable of path-like
        The files that it reads.
    checksum : bool, optional
        Also compute a checksum of each whole input; see `fingerprint`.

    Returns
    -------
    dict
        ``distribution``, ``created`` (UTC, ISO 8601), ``python``, ``versions`` (of the package and
        of its dependencies), ``configuration`` and ``inputs`` (a list with the ``path`` and
        fingerprint of each), made of values that JSON has.

    Raises
    ------
    InputError
        If an input cannot be read.
    ConfigurationError
        If ``SOURCE_DATE_EPOCH`` is not a time.
    TypeError
        If a setting has no place in JSON.
    """
    return {
        "distribution": distribution,
        "created": creation_time(),
        "python": platform.python_version(),
        "versions": versions(distribution),
        "configuration": jsonable(configuration),
        "inputs": [
            {"path": os.fspath(path), **fingerprint(path, checksum=checksum)} for path in inputs
        ],
    }


def creation_time() -> str:
    """Return the time at which an output is made.

    Returns
    -------
    str
        The time now, or the value of the environment variable ``SOURCE_DATE_EPOCH`` (seconds since
        1970), which makes outputs reproducible byte by byte. UTC in ISO 8601, to the second.

    Raises
    ------
    ConfigurationError
        If ``SOURCE_DATE_EPOCH`` is not a time.
    """
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    if fixed is None:
        moment = datetime.datetime.now(datetime.UTC)
    else:
        try:
            moment = datetime.datetime.fromtimestamp(int(fixed), datetime.UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise ConfigurationError(
                "SOURCE_DATE_EPOCH", repr(fixed), "whole seconds since 1970-01-01"
            ) from error
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def versions(distribution: str) -> dict[str, str]:
    """Return the installed versions of a package and of its dependencies.

    Parameters
    ----------
    distribution : str
        Name of an installed package.

    Returns
    -------
    dict of str to str
        Version by name: the package first, the others in alphabetical order. Extras and packages
        that are not installed are left out.
    """
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return {}
    result = {distribution: found.version}
    for requirement in sorted(found.requires or [], key=str.lower):
        name = _NAME.match(requirement)
        if name is None or "extra ==" in requirement.replace("extra==", "extra =="):
            continue
        try:
            result[name[1]] = metadata.version(name[1])
        except metadata.PackageNotFoundError:
            continue
    return result


def fingerprint(path: str | os.PathLike[str], *, checksum: bool = False) -> dict[str, Any]:
    """Identify the content of a file without reading all of it.

    Parameters
    ----------
    path : path-like
        A file.
    checksum : bool, optional
        Also compute the SHA-256 of the whole file.

    Returns
    -------
    dict
        ``size`` (bytes), ``mtime_ns`` (time of the last change, ns since 1970),
        ``sample_sha256`` (of 64 KiB each at the start, in the middle and at the end, or of the
        whole file up to 192 KiB) and, if asked for, ``sha256``.

    Raises
    ------
    InputError
        If the file is missing or cannot be read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            size = status.st_size
            digest = hashlib.sha256()
            if size <= 3 * SAMPLE_BYTES:
                digest.update(file.read(3 * SAMPLE_BYTES))
            else:
                for start in (0, (size - SAMPLE_BYTES) // 2, size - SAMPLE_BYTES):
                    file.seek(start)
                    digest.update(file.read(SAMPLE_BYTES))
            result = {
                "size": size,
                "mtime_ns": status.st_mtime_ns,
                "sample_sha256": digest.hexdigest(),
            }
            if checksum:
                file.seek(0)
                result["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
            return result
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "a file") from error


def same_content(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two fingerprints belong to the same content, as far as they can tell.

    Size and samples decide, and the SHA-256 of the whole file if both fingerprints have it. A
    change that keeps the size and touches none of the samples is seen only with ``sha256``. The
    time of the last change does not count: a checkout or a restored backup changes it without
    changing the content, and some ways of copying keep it.

    Parameters
    ----------
    recorded, now : mapping
        Results of `fingerprint`.

    Returns
    -------
    bool
        True if they agree. A fingerprint without size or samples agrees with no other.
    """
    keys = ["size", "sample_sha256"]
    if "sha256" in recorded and "sha256" in now:
        keys.append("sha256")
    return all(recorded.get(key) is not None and recorded.get(key) == now.get(key) for key in keys)
