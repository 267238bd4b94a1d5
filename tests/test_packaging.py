"""The wheels and sdists: what is in them, what they say of themselves, what they depend on."""

from __future__ import annotations

import ast
import email
import email.message
import hashlib
import importlib.metadata
import re
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from isolated_install import Package
from refresh_constraints import normalise

# What an sdist may hold besides the folders.
SDIST_FILES = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
# What provides a module of an extra that the developer's environment does without.
NOT_INSTALLED = {"umap": "umap-learn"}
SDIST_FOLDERS = {"benchmarks", "configs", "notebooks", "src", "supplement", "tests", "tools"}


def build(package: Package, folder: Path, finish: Callable, *options: str) -> None:
    """Build a package into a folder with the tools of this environment."""
    done = finish(
        *(sys.executable, "-m", "build", "--no-isolation", *options),
        *("--outdir", folder, package.folder),
    )
    assert done.status == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, finish: Callable
) -> Callable[[Package], tuple[Path, Path]]:
    """Build each package once: ``built(package)`` gives its wheel and its sdist."""
    known: dict[str, tuple[Path, Path]] = {}

    def files(package: Package) -> tuple[Path, Path]:
        if package.name not in known:
            folder = tmp_path_factory.mktemp(package.name)
            build(package, folder, finish)
            (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
            known[package.name] = (wheel, sdist)
        return known[package.name]

    return files


def metadata(wheel: Path) -> email.message.Message:
    """Parse a wheel's METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def project(package: Package) -> dict[str, Any]:
    """Read the [project] table of a package."""
    text = (package.folder / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]


def requirement_name(requirement: str) -> str:
    """Return the distribution that a requirement names."""
    return normalise(re.split(r"[\s<>=!~;\[@]", requirement)[0])


def sources(package: Package) -> set[str]:
    """List the files of a package's import package, relative to src/."""
    base = package.folder / "src"
    files = {path.relative_to(base) for path in base.rglob("*") if path.is_file()}
    # What Python and numba keep of earlier runs.
    return {path.as_posix() for path in files if "__pycache__" not in path.parts}


def imports(path: Path) -> Iterator[str]:
    """Yield the top-level name of everything that a module imports, lazily or not."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_wheel_holds_the_sources_and_nothing_else(package: Package, built: Callable) -> None:
    wheel, _ = built(package)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"{package.import_name}-{package.version}.dist-info"
    outside = {name for name in names if not name.startswith(f"{info}/")}
    assert outside == sources(package)
    assert f"{package.import_name}/py.typed" in outside
    expected = {"METADATA", "RECORD", "WHEEL", "licenses/LICENSE"}
    expected |= {"entry_points.txt"} if package.commands else set()
    assert names - outside == {f"{info}/{name}" for name in expected}


def test_wheel_metadata(package: Package, built: Callable) -> None:
    found = metadata(built(package)[0])
    assert found["Metadata-Version"] == "2.4"
    assert (found["Name"], found["Version"]) == (package.name, package.version)
    assert found["License-Expression"] == "BSD-3-Clause"
    assert found.get_all("License-File") == ["LICENSE"]
    assert found["Requires-Python"] == ">=3.11"
    assert found["Description-Content-Type"] == "text/markdown"
    readme = (package.folder / "README.md").read_text(encoding="utf-8")
    # email parses bytes that are not ASCII into surrogates; get them back.
    body = found.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode("utf-8").strip() == readme.strip()


def test_wheel_holds_the_licence(package: Package, built: Callable, root: Path) -> None:
    with zipfile.ZipFile(built(package)[0]) as archive:
        info = f"{package.import_name}-{package.version}.dist-info"
        licence = archive.read(f"{info}/licenses/LICENSE")
    assert licence == (package.folder / "LICENSE").read_bytes()
    assert licence == (root / "LICENSE").read_bytes()


def test_sdist_holds_what_builds_and_tests_the_package(package: Package, built: Callable) -> None:
    _, sdist = built(package)
    top = f"{package.import_name}-{package.version}/"
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert all(name.startswith(top) for name in names)
    inside = {name.removeprefix(top) for name in names}
    assert {f"src/{name}" for name in sources(package)} <= inside
    assert inside >= SDIST_FILES - {".gitignore"}
    assert {name.split("/")[0] for name in inside} <= SDIST_FILES | SDIST_FOLDERS
    assert not [name for name in inside if "__pycache__" in name or name.endswith(".partial")]
    assert any(re.fullmatch(r"tests/(.*/)?test_\w+\.py", name) for name in inside)


def test_upload_tool_accepts_both(package: Package, built: Callable, finish: Callable) -> None:
    done = finish(sys.executable, "-m", "twine", "check", "--strict", *built(package))
    assert done.status == 0, done.stdout + done.stderr


def test_same_sources_give_the_same_bytes(
    package: Package, built: Callable, finish: Callable, tmp_path: Path
) -> None:
    build(package, tmp_path, finish)
    for first in built(package):
        second = tmp_path / first.name
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, second)]
        assert digests[0] == digests[1], first.name


def test_changelog_has_the_version(package: Package) -> None:
    text = (package.folder / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(package.version)}\b", text, re.MULTILINE)


def test_every_import_is_declared(package: Package) -> None:
    table = project(package)
    groups = [table.get("dependencies", []), *table.get("optional-dependencies", {}).values()]
    declared = {requirement_name(text) for group in groups for text in group}
    distributions = importlib.metadata.packages_distributions()
    undeclared = set()
    for path in (package.folder / "src").rglob("*.py"):
        for name in set(imports(path)) - {package.import_name, "__future__"}:
            if name in sys.stdlib_module_names:
                continue
            known = distributions.get(name, [NOT_INSTALLED.get(name, name)])
            providers = {normalise(dist) for dist in known}
            if not providers & declared:
                undeclared.add(f"{path.name}: {name}")
    assert undeclared == set()


def test_every_declared_dependency_is_imported(package: Package) -> None:
    files = (package.folder / "src").rglob("*.py")
    imported = {name for path in files for name in imports(path)}
    distributions = importlib.metadata.packages_distributions()
    used = {normalise(dist) for name in imported for dist in distributions.get(name, [name])}
    declared = {requirement_name(text) for text in project(package).get("dependencies", [])}
    assert declared - used == set()


def test_projects_depend_on_astro_common_alone(package: Package, root: Path) -> None:
    own = {path.parent.name for path in root.glob("packages/*/pyproject.toml")}
    declared = {requirement_name(text) for text in project(package).get("dependencies", [])}
    assert declared & own <= {"astro-common"} - {package.name}


def test_internal_requirement_allows_the_version_here(package: Package, root: Path) -> None:
    from packaging.requirements import Requirement

    for text in project(package).get("dependencies", []):
        requirement = Requirement(text)
        path = root / "packages" / requirement.name / "pyproject.toml"
        if path.exists():
            version = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["version"]
            assert requirement.specifier.contains(version), text
