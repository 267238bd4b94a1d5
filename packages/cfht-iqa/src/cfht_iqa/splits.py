"""Exposures dealt out to training, validation and test, never their sources or CCDs."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq

from astro_common.atomic import atomic_path
from astro_common.errors import InputError
from astro_common.jobs import Failure
from astro_common.parquet import parquet_errors, read_metadata
from cfht_iqa.leakage import FeatureAudit, audit_features

__all__ = ["SPLITS", "Splitting", "assign_splits", "read_splits", "split_catalogue", "write_splits"]

logger = logging.getLogger(__name__)

SPLITS: Final = ("train", "validation", "test")
SHARES: Final = (0.6, 0.2, 0.2)
# Exposures of a class from which on each split gets one.
_LEAST_FOR_ALL: Final = 3


@dataclass
class Splitting:
    """What came of a split.

    Attributes
    ----------
    splits : dict of str to str
        Split by exposure.
    unlabelled : list of str
        Exposures of the catalogue without a label, which are in no split.
    unknown : list of Failure
        Labels of exposures that the catalogue does not have.
    audits : list of FeatureAudit
        Of the features.
    """

    splits: dict[str, str] = field(default_factory=dict)
    unlabelled: list[str] = field(default_factory=list)
    unknown: list[Failure] = field(default_factory=list)
    audits: list[FeatureAudit] = field(default_factory=list)


def split_catalogue(
    catalogue: Path,
    labels: Mapping[str, Sequence[str]],
    features: Sequence[str],
    *,
    group: str = "exposure",
    seed: int = 42,
    shares: Sequence[float] = SHARES,
) -> Splitting:
    """Audit the features of a catalogue, and deal out its labelled exposures.

    Parameters
    ----------
    catalogue : Path
        Made by `build_catalogue`.
    labels : mapping of str to sequence of str
        By exposure.
    features : sequence of str
        Columns that a map or a model is to see.
    group : str, optional
        ``exposure``; ``run``: exposures of one RUNID stay together; ``night``: those of one night.
    seed : int, optional
        Of the order.
    shares : sequence of float, optional
        Of training, validation and test.

    Returns
    -------
    Splitting

    Raises
    ------
    InputError
        If a feature identifies the exposure, no exposure of the catalogue has a label, or exposures
        are to stay with their run or night and none says which that is.
    ConfigurationError
        If a feature is not a column.
    """
    result = Splitting(audits=audit_features(catalogue, features))
    for audit in result.audits:
        if audit.identifies:
            raise InputError(
                catalogue,
                f"feature {audit.feature} is constant within each of the {audit.n_exposures} "
                "exposures and unique to each, so it gives the label away",
                "features that do not identify the exposure",
                f"leave {audit.feature} out of --features",
            )
        if audit.is_constant and audit.n_unique:
            logger.warning(
                "feature %s is constant within exposures and unique to %d of %d",
                audit.feature,
                audit.n_unique,
                audit.n_exposures,
            )
    runs = _runs(catalogue)
    for exposure in labels:
        if exposure not in runs:
            reason = f"has a label, and is not in {catalogue}"
            result.unknown.append(Failure(exposure, str(catalogue), reason))
            logger.warning("exposure %s %s", exposure, reason)
    known = {name: run for name, run in runs.items() if name in labels}
    result.unlabelled = [name for name in runs if name not in labels]
    if result.unlabelled:
        logger.warning("%d exposures have no label and are in no split", len(result.unlabelled))
    if not known:
        raise InputError(catalogue, "none of its exposures has a label", "labels of its exposures")
    groups = _groups(catalogue, known, group)
    classes = {name: labels[name][0] for name in known}
    result.splits = assign_splits(classes, groups, seed=seed, shares=shares)
    return result


def _groups(catalogue: Path, runs: Mapping[str, str | None], group: str) -> dict[str, str]:
    """Group by exposure; an exposure that does not say its run or night is a group of its own."""
    if group == "exposure":
        return {name: name for name in runs}
    said = runs if group == "run" else read_metadata(catalogue).get("nights", {})
    missing = [name for name in runs if not said.get(name)]
    keys = "RUNID" if group == "run" else "MJD-OBS, nor DATE-OBS with UTC-OBS"
    if len(missing) == len(runs):
        raise InputError(
            catalogue, f"no {keys} for any exposure", f"its {group}", "use --group exposure"
        )
    if missing:
        logger.warning("%d exposures have no %s, and are not kept together", len(missing), keys)
    return {name: said.get(name) or name for name in runs}


def assign_splits(
    classes: Mapping[str, str],
    groups: Mapping[str, str],
    *,
    seed: int = 42,
    shares: Sequence[float] = SHARES,
) -> dict[str, str]:
    """Deal out groups of exposures so that each class is spread by the shares.

    Groups are taken in random order, those of rare classes first, and each goes where its classes
    are most short of their share.

    Parameters
    ----------
    classes : mapping of str to str
        Class by exposure.
    groups : mapping of str to str
        Group by exposure; a group stays together.
    seed : int, optional
        Of the order.
    shares : sequence of float, optional
        Of training, validation and test.

    Returns
    -------
    dict of str to str
        ``train``, ``validation`` or ``test`` by exposure, in the order of `classes`.
    """
    generator = np.random.default_rng(seed)
    names = sorted(set(classes.values()))
    members: dict[str, list[str]] = {}
    for exposure in classes:
        members.setdefault(groups[exposure], []).append(exposure)
    total = np.array([list(classes.values()).count(name) for name in names], float)
    counts = {
        group: np.array([sum(classes[item] == name for item in items) for name in names], float)
        for group, items in members.items()
    }
    order = list(members)
    generator.shuffle(order)
    rarity = {group: float((counts[group] / total).max()) for group in order}
    order.sort(key=lambda group: -rarity[group])
    wanted = np.array(shares)[:, None] * total
    given = np.zeros_like(wanted)
    # Validation and test are small: by their shares alone, few exposures would leave them empty.
    preference = np.array([0.0, 1e-6, 2e-6])
    wants_one = (total >= _LEAST_FOR_ALL) * np.array([0.0, 0.5, 0.5])[:, None]
    chosen: dict[str, str] = {}
    for group in order:
        urgent = wants_one * (given == 0)
        need = ((wanted - given + urgent) * counts[group] / total).sum(axis=1)
        place = int(np.argmax(need + preference))
        given[place] += counts[group]
        for exposure in members[group]:
            chosen[exposure] = SPLITS[place]
    return {exposure: chosen[exposure] for exposure in classes}


def write_splits(splits: Mapping[str, str], path: Path, *, overwrite: bool) -> None:
    """Write CSV with columns ``exposure, split``; OutputError if it cannot be written."""
    with atomic_path(path, overwrite=overwrite) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["exposure", "split"])
        writer.writerows(splits.items())


def read_splits(path: Path) -> dict[str, str]:
    """Read what `write_splits` wrote.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to str
        Split by exposure.

    Raises
    ------
    InputError
        If the file cannot be read, or a line is not as it should be.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", "a table of splits") from error
    splits: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        exposure, split = row.get("exposure"), row.get("split")
        if not exposure or split not in SPLITS:
            raise InputError(path, f"line {number}: {split!r}", f"exposure,{' | '.join(SPLITS)}")
        splits[exposure] = split
    if not splits:
        raise InputError(path, "no line", "exposure,split")
    return splits


def _runs(catalogue: Path) -> dict[str, str | None]:
    """RUNID by exposure, in the order of the catalogue."""
    runs: dict[str, str | None] = {}
    with parquet_errors(catalogue):
        file = pq.ParquetFile(catalogue)
        for batch in file.iter_batches(250_000, columns=["exposure", "runid"]):
            part = batch.to_pydict()
            for exposure, run in zip(part["exposure"], part["runid"], strict=True):
                runs.setdefault(exposure, run)
    return runs
