#!/usr/bin/env python
"""Check that a tag may be released: `check_release.py scone-io-v0.1.0`.

The tag names a distribution and the version in its pyproject.toml, the changelog has a section of
that version with something in it, and every requirement between the packages of this repository
allows the version that lies here.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
_TAG = re.compile(r"^(?P<dist>[a-z][a-z0-9-]*)-v(?P<version>[0-9].*)$")


class ReleaseError(Exception):
    """The tag may not be released; the message says why, in one line."""


def read_project(folder: Path) -> dict[str, Any]:
    """Read the ``[project]`` table of a package's pyproject.toml."""
    path = folder / "pyproject.toml"
    table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return table


def parse_tag(tag: str) -> tuple[str, str]:
    """Split ``<dist>-v<version>``.

    Raises
    ------
    ReleaseError
        If the tag is no such name, or its version is none of PEP 440.
    """
    found = _TAG.match(tag)
    if found is None:
        raise ReleaseError(f"tag {tag!r}: expected <dist>-v<version>, as in scone-io-v0.1.0")
    try:
        version = Version(found["version"])
    except InvalidVersion as error:
        raise ReleaseError(f"tag {tag!r}: {error}") from error
    if str(version) != found["version"]:
        raise ReleaseError(f"tag {tag!r}: the version is written {version}")
    return found["dist"], found["version"]


def changelog_section(folder: Path, version: str) -> str:
    """Return the text of a version's section in CHANGELOG.md, which is what is new in it.

    Raises
    ------
    ReleaseError
        If there is no such section, or nothing in it.
    """
    path = folder / "CHANGELOG.md"
    parts = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for part in parts[1:]:
        heading, _, body = part.partition("\n")
        if re.split(r"[\s\]]", heading.strip("[ "))[0] == version:
            if not body.strip():
                raise ReleaseError(f"{folder.name}/CHANGELOG.md: nothing under {version}")
            return body.strip()
    raise ReleaseError(f"{folder.name}/CHANGELOG.md: no section {version}")


def check_internal_requirements(root: Path) -> None:
    """Check that each package allows the versions here of the other packages that it needs.

    Raises
    ------
    ReleaseError
        At the first that does not.
    """
    projects = {path.parent.name: path.parent for path in root.glob("packages/*/pyproject.toml")}
    tables = {name: read_project(folder) for name, folder in sorted(projects.items())}
    for name, table in tables.items():
        extras = table.get("optional-dependencies", {}).values()
        for text in [*table.get("dependencies", []), *(text for extra in extras for text in extra)]:
            needed = Requirement(text)
            if needed.name not in tables:
                continue
            version = tables[needed.name]["version"]
            if not needed.specifier.contains(version, prereleases=True):
                raise ReleaseError(f"{name}: needs {text}, and {needed.name} here is {version}")


def check_release(root: Path, tag: str) -> tuple[str, str]:
    """Check all; return distribution and version.

    Raises
    ------
    ReleaseError
        If the tag may not be released.
    """
    name, version = parse_tag(tag)
    folder = root / "packages" / name
    if not (folder / "pyproject.toml").is_file():
        raise ReleaseError(f"tag {tag!r}: no package {name} in this repository")
    found = read_project(folder)["version"]
    if found != version:
        raise ReleaseError(f"tag {tag!r}: {name}/pyproject.toml has version {found}")
    changelog_section(folder, version)
    check_internal_requirements(root)
    return name, version


def main(argv: list[str] | None = None) -> int:
    """Print the distribution and its version for a workflow to read; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tag", help="as <dist>-v<version>")
    arguments = parser.parse_args(argv)
    try:
        name, version = check_release(ROOT, arguments.tag)
    except ReleaseError as error:
        print(f"check_release: {error}", file=sys.stderr)
        return 1
    print(f"dist={name}\nversion={version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
