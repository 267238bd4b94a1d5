"""Training, validation and test sets that share no star."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from astro_common.errors import ConfigurationError
from sdss_spectra.dataset import Dataset
from sdss_spectra.stars import leakage_groups
from sdss_spectra.tables import column, write_table

__all__ = [
    "COLUMNS",
    "GROUPINGS",
    "PARTS",
    "check_fractions",
    "split_rows",
    "split_spectra",
    "write_splits",
]

PARTS: Final = ("train", "validation", "test")
GROUPINGS: Final = ("star", "star+plate-mjd")

COLUMNS: Final = (
    column("spec_id", "string", "identifier of the spectrum"),
    column("seed", "int64", "seed of the split"),
    column("leakage_group", "string", "group of the same star, or star, plate and night"),
    column("class", "string", "class for training"),
    column("signal_to_noise", "float64", "median signal-to-noise ratio per pixel"),
    column("wavelength_min_A", "float64", "shortest good wavelength, vacuum", "Angstrom"),
    column("wavelength_max_A", "float64", "longest good wavelength, vacuum", "Angstrom"),
    column("data_release", "string", "data release"),
)


def check_fractions(validation: float, test: float) -> None:
    """Raise a `ConfigurationError` unless something is left for training."""
    for name, value in (("--validation-fraction", validation), ("--test-fraction", test)):
        if not 0.0 <= value < 1.0:
            raise ConfigurationError(name, f"{value:g}", "from 0 to below 1")
    if validation + test >= 1.0:
        raise ConfigurationError("--test-fraction", f"{test:g}", "something left for training")


def split_spectra(
    classes: Sequence[str],
    groups: Sequence[str],
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> list[str]:
    """Assign each spectrum to a part.

    Groups are assigned as a whole, class by class (a group counts for the class of most of its
    spectra), the rarest class first, so that each part has its share of each class. A class with a
    single group goes to training, and one with two has none in validation. From three groups on,
    every part that was asked for has at least one.

    Parameters
    ----------
    classes, groups : sequence of str
        Of each spectrum.
    validation_fraction, test_fraction : float
        Fractions of the spectra.
    seed : int
        Seed of the order in which groups are assigned.

    Returns
    -------
    list of str
        ``train``, ``validation`` or ``test`` for each spectrum.
    """
    check_fractions(validation_fraction, test_fraction)
    members: dict[str, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        members[group].append(number)
    by_class: dict[str, list[str]] = defaultdict(list)
    for group, numbers in members.items():
        counts = Counter(classes[number] for number in numbers)
        common = min(counts, key=lambda name: (-counts[name], name))
        by_class[common].append(group)
    random = np.random.default_rng(seed)
    part_of: dict[str, str] = {}
    for name in sorted(by_class, key=lambda n: (len(by_class[n]), n)):
        dealt = sorted(by_class[name])
        random.shuffle(dealt)
        total = sum(len(members[group]) for group in dealt)
        wanted = {"test": test_fraction * total, "validation": validation_fraction * total}
        if len(dealt) == 1:
            part_of[dealt[0]] = "train"
            continue
        guard = ["test"] if len(dealt) == 2 else ["test", "validation"]
        rest = list(dealt)
        for part in ("test", "validation"):
            if wanted[part] <= 0 or part not in guard:
                continue
            filled = 0
            # At least one group, and at least one left for each part still to come.
            keep = 1 + (part == "test" and "validation" in guard and wanted["validation"] > 0)
            while len(rest) > keep:
                size = len(members[rest[0]])
                if filled and filled + 0.5 * size > wanted[part]:
                    break
                part_of[rest.pop(0)] = part
                filled += size
                if filled >= wanted[part]:
                    break
        for group in rest:
            part_of[group] = "train"
    return [part_of[group] for group in groups]


def split_rows(
    dataset: Dataset, grouping: str, seed: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of the split tables, and the leakage group of each spectrum."""
    if grouping not in GROUPINGS:
        raise ConfigurationError("--group-by", repr(grouping), " or ".join(GROUPINGS))
    groups = leakage_groups(
        [item.keys for item in dataset.items], with_plate_mjd=grouping != "star"
    )
    rows = [
        {
            "spec_id": item.spec_id,
            "seed": seed,
            "leakage_group": group,
            "class": label.name,
            "signal_to_noise": item.signal_to_noise,
            "wavelength_min_A": item.wavelength_min,
            "wavelength_max_A": item.wavelength_max,
            "data_release": item.data_release,
        }
        for item, label, group in zip(dataset.items, dataset.classes, groups, strict=True)
    ]
    return rows, groups


def write_splits(
    folder: Path, rows: Sequence[dict[str, Any]], parts: Sequence[str], *, overwrite: bool
) -> dict[str, Path]:
    """Write ``train_split.csv``, ``validation_split.csv`` and ``test_split.csv``."""
    paths = {}
    for part in PARTS:
        paths[part] = folder / f"{part}_split.csv"
        chosen = [row for row, of in zip(rows, parts, strict=True) if of == part]
        write_table(paths[part], COLUMNS, chosen, overwrite=overwrite)
    return paths
