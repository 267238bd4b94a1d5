"""Figures of the site, made by the commands of the packages from their own mock data.

Each scene runs in an empty folder. What the site shows of it is kept in build/site under a name
that holds the package's version and a checksum of its source, so that a figure is made again
exactly when its package has changed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SCENES", "Scene", "SceneError", "make_scene"]


class SceneError(RuntimeError):
    """A command of a scene failed, or wrote something else than expected."""


@dataclass(frozen=True)
class Scene:
    """What is run, and what of it is kept.

    Attributes
    ----------
    distribution : str
        Whose commands they are.
    commands : tuple of tuple of str
        The words after the command's name. A word ``glob:PATTERN`` stands for all files that fit
        it, ``source:PATTERN`` for the identifier of the source of a hypercube of which most is
        known.
    keep : dict of str to str
        Pattern of a file by the name under which it is kept; the first that fits is taken.
    """

    distribution: str
    commands: tuple[tuple[str, ...], ...]
    keep: dict[str, str]


SCENES: dict[str, Scene] = {
    "hypercube": Scene(
        "splus-hypercube",
        (
            (
                *("mock", "mock", "--fields", "1", "--sources", "60", "--image-size", "300"),
                *("--cutout-size", "48", "--seed", "1"),
            ),
            ("build", "--config", "mock/hypercube.yaml", "--out", "cubes"),
            (
                *("plot", "glob:cubes/*.parquet", "--id", "source:cubes/*.parquet"),
                *("-o", "source.png"),
            ),
        ),
        {"source.png": "source.png", "cube.parquet": "cubes/*.parquet"},
    ),
    "heatmap": Scene(
        "scone-io",
        (
            ("mock", "mock", "--events", "12", "--seed", "1"),
            ("plot", "mock", "-o", "figures"),
        ),
        {"event.png": "figures/snid_*.png"},
    ),
    "spectrum": Scene(
        "sdss-spectra",
        (
            ("mock", "data", "--per-class", "1", "--classes", "G", "--seed", "1"),
            ("plot", "glob:data/G/*.fits", "-o", "spectrum.png"),
        ),
        {"spectrum.png": "spectrum.png"},
    ),
    "galaxy": Scene(
        "manga-ssftt",
        (
            ("mock", "--root", "tree", "--n-galaxies", "1", "--size", "20", "--seed", "1"),
            ("process", "--root", "tree", "--catalog", "tree/dapall-v3_1_1-3.1.0.fits"),
            ("plot", "glob:tree/processed/cubes/*/*.h5", "-o", "figures"),
        ),
        {"galaxy.png": "figures/*.png", "galaxy.h5": "tree/processed/cubes/*/*.h5"},
    ),
    "map": Scene(
        "cfht-iqa",
        (
            (
                *("mock", "mock", "--per-class", "1", "--ccds", "2", "--ccd-size", "512x768"),
                *("--seed", "1"),
            ),
            ("extract", "glob:mock/*.fits", "-o", "catalogues"),
            ("catalogue", "glob:catalogues/*.cat.fits", "-o", "catalogue.parquet"),
            ("train-som", "catalogue.parquet", "-o", "som"),
            ("som-report", "som", "-o", "figures"),
        ),
        {"map.png": "figures/map.png"},
    ),
}


def make_scene(root: Path, name: str) -> Path:
    """Return the folder with what is kept of a scene; it is made unless it is there already.

    Parameters
    ----------
    root : Path
        The repository.
    name : str
        One of `SCENES`.

    Raises
    ------
    SceneError
        A command failed or wrote no such file.
    """
    scene = SCENES[name]
    folder = root / "build" / "site" / f"{name}-{_key(root, scene)}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{name}-") as work:
        _run(scene, Path(work))
        kept = Path(work) / "kept"
        kept.mkdir()
        for target, pattern in scene.keep.items():
            shutil.move(_found(Path(work), pattern)[0], kept / target)
        try:
            kept.rename(folder)
        except OSError:
            # Another build of the site was quicker; its files are the same.
            if not folder.is_dir():
                raise
    for earlier in folder.parent.glob(f"{name}-*-????????????"):
        if earlier != folder:
            shutil.rmtree(earlier)
    return folder


def _key(root: Path, scene: Scene) -> str:
    package = root / "packages" / scene.distribution
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    digest = hashlib.sha256(repr(scene).encode())
    for path in sorted((package / "src").rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{project['version']}-{digest.hexdigest()[:12]}"


def _run(scene: Scene, work: Path) -> None:
    module = scene.distribution.replace("-", "_")
    for command in scene.commands:
        words = [word for given in command for word in _words(given, work)]
        done = subprocess.run(
            [sys.executable, "-m", module, *words],
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SceneError(f"{scene.distribution} {' '.join(words)}\n{done.stderr.strip()}")


def _words(word: str, work: Path) -> Sequence[str]:
    kind, _, pattern = word.partition(":")
    if kind == "glob":
        return [str(path.relative_to(work)) for path in _found(work, pattern)]
    if kind == "source":
        return [_best_source(_found(work, pattern)[0])]
    return [word]


def _found(work: Path, pattern: str) -> list[Path]:
    paths = sorted(work.glob(pattern))
    if not paths:
        raise SceneError(f"no file {pattern}")
    return paths


def _best_source(cube: Path) -> str:
    # Slow to import, and needed only where a figure is made anew.
    import pyarrow.parquet as pq

    from splus_hypercube.view.examples import best_covered

    examples = best_covered([cube], 4)
    chosen = next((example for example in examples if example.spectral_type), examples[0])
    identifiers = pq.read_table(cube, columns=["id"])["id"]
    return str(identifiers[chosen.row].as_py())
