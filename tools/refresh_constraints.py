#!/usr/bin/env python
"""Resolve every requirement of the repository together and write constraints.txt.

The requirements of all packages with all their extras, and every dependency group of the root
pyproject.toml, are resolved by ``uv pip compile`` in one go. Versions already in constraints.txt
stay unless ``--upgrade`` is given. The file holds names and versions only: no index address, no
path, and no local version label such as the ``+cpu`` of one build of torch.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = """\
# The versions that were tested together, on the oldest Python that is supported.
# Written by tools/refresh_constraints.py; names and versions only.
"""
_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!]+)(?:\+\S+)?")


def normalise(name: str) -> str:
    """Return the canonical form of a distribution's name (PyPA name normalisation)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def clean_pins(lines: Iterable[str], own: Iterable[str] = ()) -> list[str]:
    """Reduce the output of a resolver to sorted ``name==version`` lines.

    Parameters
    ----------
    lines : iterable of str
        Lines of a requirements file; comments and empty lines are dropped.
    own : iterable of str
        Distributions of this repository, which are installed from their folders and get no pin.

    Returns
    -------
    list of str
        One pin per distribution, without local version labels.

    Raises
    ------
    ValueError
        A line is not a plain pin: an address, a path, an option or an environment marker.
    """
    skipped = {normalise(name) for name in own}
    pins: dict[str, str] = {}
    for line in lines:
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        match = _PIN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a plain name==version")
        name = normalise(match["name"])
        if name not in skipped:
            pins[name] = match["version"]
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def package_requirements(root: Path) -> dict[str, str]:
    """Map each distribution under packages/ to a requirement on its folder with all its extras."""
    requirements = {}
    for path in sorted(root.glob("packages/*/pyproject.toml")):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        extras = ",".join(sorted(project.get("optional-dependencies", {})))
        name = project["name"]
        requirements[name] = f"{name}[{extras}] @ {path.parent.as_uri()}"
    return requirements


def dependency_groups(root: Path) -> list[str]:
    """Return the names of the dependency groups of the root pyproject.toml."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    return sorted(tomllib.loads(text)["dependency-groups"])


def oldest_python(root: Path) -> str:
    """Return the oldest Python that all packages support, as ``3.11``.

    Raises
    ------
    ValueError
        The packages do not agree, or ask for something else than a minimum.
    """
    asked = set()
    for path in root.glob("packages/*/pyproject.toml"):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        asked.add(project["requires-python"])
    match = re.fullmatch(r">=\s*(3\.\d+)", asked.pop()) if len(asked) == 1 else None
    if match is None:
        raise ValueError("requires-python: expected the same minimum in all packages")
    return match[1]


def resolve(root: Path, pinned: str, *, upgrade: bool) -> list[str]:
    """Run the resolver over the repository and return its pins, cleaned."""
    packages = package_requirements(root)
    build = root / "build"
    build.mkdir(exist_ok=True)
    # The resolver keeps the versions that it finds in its output file. torch is left out there: its
    # plain version would mean the CUDA build, with twenty pins that other machines cannot use.
    output = build / "constraints.txt"
    kept = [line for line in pinned.splitlines(keepends=True) if not line.startswith("torch==")]
    output.write_text("".join(kept), encoding="utf-8")
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet"]
    # Some releases leave out the first patches of a Python; 3.11 here means 3.11.0.
    command += ["--python", sys.executable, "--python-version", oldest_python(root)]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command += [option for name in packages for option in ("--no-emit-package", name)]
    command += [option for group in dependency_groups(root) for option in ("--group", group)]
    command += ["--upgrade"] if upgrade else []
    command += ["--output-file", str(output), "-"]
    environment = dict(os.environ)
    # uv reads no pip settings: a folder of wheels that pip knows is passed on. Without one, the CPU
    # build of torch comes from its own index.
    environment.setdefault("UV_FIND_LINKS", ",".join(os.environ.get("PIP_FIND_LINKS", "").split()))
    if not environment["UV_FIND_LINKS"]:
        environment.setdefault("UV_TORCH_BACKEND", "cpu")
    subprocess.run(
        command,
        input="\n".join(packages.values()),
        text=True,
        check=True,
        cwd=root,
        env=environment,
    )
    return clean_pins(output.read_text(encoding="utf-8").splitlines(), packages)


def main(argv: list[str] | None = None) -> int:
    """Write constraints.txt, or with ``--check`` tell whether it would change."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 on a change")
    arguments = parser.parse_args(argv)
    target = ROOT / "constraints.txt"
    before = target.read_text(encoding="utf-8") if target.exists() else ""
    try:
        pins = resolve(ROOT, before, upgrade=arguments.upgrade)
    except subprocess.CalledProcessError as error:
        print(f"refresh_constraints: uv ended with status {error.returncode}", file=sys.stderr)
        return 1
    after = HEADER + "".join(f"{pin}\n" for pin in pins)
    if after == before:
        print(f"constraints.txt holds all {len(pins)} pins")
        return 0
    if arguments.check:
        print("constraints.txt is out of date: run `make constraints`", file=sys.stderr)
        return 1
    target.write_text(after, encoding="utf-8")
    print(f"constraints.txt written: {len(pins)} pins")
    return 0


if __name__ == "__main__":
    sys.exit(main())
