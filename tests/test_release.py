"""What may be released, and how the workflows do it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

import check_release
from check_release import ReleaseError, changelog_section, check_internal_requirements
from isolated_install import Package

WORKFLOWS = ("tests.yml", "release.yml")


@pytest.fixture
def copied(root: Path, tmp_path: Path) -> Path:
    """A repository with the pyproject.toml and changelog of each package, and nothing else."""
    for path in root.glob("packages/*/pyproject.toml"):
        folder = tmp_path / "packages" / path.parent.name
        folder.mkdir(parents=True)
        shutil.copy(path, folder)
        shutil.copy(path.parent / "CHANGELOG.md", folder)
    return tmp_path


def test_every_package_could_be_released(package: Package, copied: Path) -> None:
    tag = f"{package.name}-v{package.version}"
    assert check_release.check_release(copied, tag) == (package.name, package.version)


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("scone-io", "expected <dist>-v<version>"),
        ("v0.1.0", "expected <dist>-v<version>"),
        ("scone-io-vnext", "expected <dist>-v<version>"),
        ("scone-io-v0.1.0x", "0.1.0x"),
        ("scone-io-v0.1.0-rc1", "written 0.1.0rc1"),
        ("no-such-v0.1.0", "no package no-such"),
        ("scone-io-v99.0.0", "has version"),
    ],
)
def test_tag_that_is_wrong(
    copied: Path,
    tag: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(check_release, "ROOT", copied)
    assert check_release.main([tag]) == 1
    captured = capsys.readouterr()
    assert reason in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_right_tag_is_printed_for_the_workflow(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(check_release, "ROOT", copied)
    version = check_release.read_project(copied / "packages" / "astro-common")["version"]
    assert check_release.main([f"astro-common-v{version}"]) == 0
    assert capsys.readouterr().out == f"dist=astro-common\nversion={version}\n"


def test_changelog_must_say_what_is_new(copied: Path) -> None:
    folder = copied / "packages" / "scone-io"
    (folder / "CHANGELOG.md").write_text("# Changelog\n\n## 2.0.0\n\n## 1.0.0\n\n- First.\n")
    assert changelog_section(folder, "1.0.0") == "- First."
    with pytest.raises(ReleaseError, match=r"nothing under 2\.0\.0"):
        changelog_section(folder, "2.0.0")
    with pytest.raises(ReleaseError, match=r"no section 1\.0"):
        changelog_section(folder, "1.0")


def test_requirement_between_packages_must_hold(copied: Path) -> None:
    check_internal_requirements(copied)
    path = copied / "packages" / "astro-common" / "pyproject.toml"
    text = re.sub(r'^version = ".*"$', 'version = "9.0.0"', path.read_text(), flags=re.MULTILINE)
    path.write_text(text)
    with pytest.raises(ReleaseError, match=r"needs astro-common.*here is 9\.0\.0"):
        check_internal_requirements(copied)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_commit(root: Path, name: str) -> None:
    text = (root / ".github" / "workflows" / name).read_text(encoding="utf-8")
    used = re.findall(r"uses: *(\S+)(.*)", text)
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v[0-9.]+", comment), action


@pytest.mark.parametrize("name", WORKFLOWS)
def test_jobs_may_do_little(root: Path, name: str) -> None:
    text = (root / ".github" / "workflows" / name).read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    for title, job in workflow["jobs"].items():
        rights = {"id-token": "write"} if title == "publish" else None
        assert job.get("permissions") == rights
        assert job["timeout-minutes"] <= 60
    # What a tag or a title says must not become a part of a shell's program.
    assert not [step for step in re.findall(r"run: .*", text) if "${{" in step]


def test_publishing_runs_none_of_the_code(root: Path) -> None:
    text = (root / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["publish"]["needs"] == "build"
    assert all("run" not in step for step in jobs["publish"]["steps"])
    assert jobs["publish"]["environment"]["name"] == "pypi-${{ needs.build.outputs.dist }}"
