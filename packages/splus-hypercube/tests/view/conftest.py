from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from astro_common.parquet import ParquetWriter, described
from splus_hypercube.bands import BANDS
from splus_hypercube.schema import METADATA_KEY, SCHEMA_VERSION

# Identifiers that no float64 can hold.
GAIA_ID = 2_684_354_560_000_000_001
ZTF_ID = 1_234_567_890_123_456_789
DESI_ID = 39_627_000_000_000_123
GROUP_ROWS = 4

WriteCube = Callable[..., Path]


def _image(rng: np.random.Generator, size: int, brightness: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size // 2
    star = brightness * np.exp(-0.5 * (x**2 + y**2) / 2.0**2)
    return (star + rng.normal(5.0, 1.0, (size, size))).astype(np.float32)


def _columns(rows: int, size: int, missing: tuple[str, ...], seed: int) -> list[tuple[Any, list]]:
    """Fields and values. Row 0 has all surveys, row 1 none, row 2 lies at the edge of the image."""
    rng = np.random.default_rng(seed)
    matched = [row % 4 != 1 for row in range(rows)]

    def field(name: str, kind: Any, survey: str, modality: str, unit: str = "") -> Any:
        return described(name, kind, unit=unit, survey=survey, modality=modality)

    def only(values: Any) -> list:
        return [value if known else None for value, known in zip(values, matched, strict=True)]

    f64, f32 = pa.float64(), pa.float32()
    columns: list[tuple[Any, list]] = [
        (field("FIELD", pa.string(), "splus", "auxiliary"), ["F1"] * rows),
        (field("id", pa.string(), "splus", "id"), [f"iDR6_F1_{row:04d}" for row in range(rows)]),
        (field("ra", f64, "splus", "position", "deg"), list(10.0 + 0.01 * np.arange(rows))),
        (field("dec", f64, "splus", "position", "deg"), [-30.0] * rows),
    ]
    for band in BANDS:
        mags = rng.uniform(15.0, 21.0, rows)
        if band.name == "F378":
            mags[:1] = 99.0
        name = f"mag_pstotal_{band.catalogue_name}"
        columns.append((field(name, f32, "splus", "scalar", "mag"), list(mags)))
        columns.append((field(f"err_{name}", f32, "splus", "scalar", "mag"), [0.05] * rows))
    for band in BANDS:
        images: list[Any] = []
        for row in range(rows):
            image = _image(rng, size, 300.0 / (row + 1))
            if row == 2:
                image[:, : size // 3] = np.nan
            if row == 3 and band.name == "Z":
                image[:] = np.nan
            images.append(None if band.name in missing else image.reshape(-1))
        kind = pa.list_(f32, size * size)
        columns.append((field(f"splus_cut_{band.name}", kind, "splus", "image"), images))
    offsets = rng.uniform(-0.5, 0.5, (2, rows))
    for axis, values in zip(("dx", "dy"), offsets, strict=True):
        columns.append((field(f"splus_cut_{axis}_px", f64, "splus", "auxiliary", "pix"), values))

    i64, i32 = pa.int64(), pa.int32()
    epochs = 30
    hmjd = np.sort(rng.uniform(58200.0, 60200.0, epochs))
    gaia = [GAIA_ID + row for row in range(rows)]
    values: dict[str, list[tuple[str, Any, str, str, Any]]] = {
        "gaia": [
            ("source_id", i64, "id", "", gaia),
            ("parallax", f64, "scalar", "mas", [0.5] * rows),
            ("phot_g_mean_mag", f64, "scalar", "mag", [17.25] * rows),
        ],
        "gaiaxp": [("source_id", i64, "id", "", gaia)],
        "ztf": [
            ("objectid", i64, "id", "", [ZTF_ID + row for row in range(rows)]),
            ("objectids", pa.list_(i64), "id", "", [[ZTF_ID + row, ZTF_ID] for row in range(rows)]),
        ],
        "desi": [
            ("TARGETID", i64, "id", "", [DESI_ID + row for row in range(rows)]),
            ("Z", f64, "scalar", "", [0.1] * rows),
            ("ZERR", f64, "scalar", "", [0.0001] * rows),
            ("ZWARN", i64, "auxiliary", "", [0] * rows),
            (
                "SPECTYPE",
                pa.string(),
                "auxiliary",
                "",
                [("GALAXY", "", "STAR", "QSO")[row % 4] for row in range(rows)],
            ),
        ],
        "specz": [("z", f64, "scalar", "", [0.1001] * rows)],
        "vista": [
            ("sourceid", i64, "id", "", list(range(rows))),
            ("japermag3", f64, "scalar", "mag", [16.0] * rows),
            ("japermag3err", f64, "scalar", "mag", [0.02] * rows),
        ],
    }
    for arm in ("bp", "rp"):
        coefficients = np.concatenate([[500.0, -40.0], rng.normal(0.0, 1.0, 53)])
        values["gaiaxp"] += [
            (f"{arm}_n_relevant_bases", i32, "auxiliary", "", [20] * rows),
            (f"{arm}_coefficients", pa.list_(f64), "coefficients", "", [coefficients] * rows),
            (
                f"{arm}_coefficient_errors",
                pa.list_(f64),
                "coefficients",
                "",
                [np.full(55, 0.9)] * rows,
            ),
        ]
    for band, mag in (("g", 18.0), ("r", 17.0), ("i", 16.8)):
        has = epochs if band != "i" else 0
        values["ztf"] += [
            (f"mag_{band}", pa.list_(f32), "light_curve", "mag", [[mag] * has] * rows),
            (f"magerr_{band}", pa.list_(f32), "light_curve", "mag", [[0.03] * has] * rows),
            (f"hmjd_{band}", pa.list_(f64), "light_curve", "d", [hmjd[:has]] * rows),
            (f"nepochs_{band}", i32, "auxiliary", "", [has] * rows),
        ]
    for arm, (low, high) in {"b": (3600, 5800), "r": (5760, 7620), "z": (7520, 9824)}.items():
        wave = np.arange(low, high, 8.0)
        line = 6.0 * np.exp(-0.5 * ((wave - 6564.61 * 1.1) / 8.0) ** 2)
        flux = 2.0 + line + rng.normal(0.0, 0.3, len(wave))
        ivar = np.full(len(wave), 1.0 / 0.3**2)
        ivar[5:9] = 0.0
        for name, array in (("wave", wave), ("flux", flux), ("ivar", ivar)):
            kind = pa.list_(f64 if name == "wave" else f32)
            values["desi"].append((f"{name}_{arm}", kind, "spectrum", "", [array] * rows))
    for survey, entries in values.items():
        for name, kind, modality, unit, column in entries:
            columns.append((field(f"{survey}_{name}", kind, survey, modality, unit), only(column)))
        if survey != "gaiaxp":
            separations = only(rng.uniform(0.0, 1.0, rows))
            name = f"{survey}_separation_arcsec"
            columns.append((field(name, f64, survey, "match", "arcsec"), separations))
            candidates = [1 if known else 0 for known in matched]
            columns.append((field(f"{survey}_n_candidates", i32, survey, "match"), candidates))
    return columns


@pytest.fixture(scope="session")
def write_cube() -> WriteCube:
    """Writes a small hypercube in the real layout, of simple values; gives its path."""

    def write(
        path: Path,
        *,
        rows: int = 10,
        size_px: int = 24,
        missing_bands: tuple[str, ...] = (),
        without: tuple[str, ...] = (),
        synthetic: bool = True,
        field: str = "F1",
        seed: int = 7,
    ) -> Path:
        columns = _columns(rows, size_px, missing_bands, seed)
        prefixes = tuple(f"{survey}_" for survey in without)
        if prefixes:
            columns = [item for item in columns if not item[0].name.startswith(prefixes)]
        schema = pa.schema([item[0] for item in columns])
        table = pa.Table.from_arrays(
            [pa.array(values, item.type) for item, values in columns], schema=schema
        )
        matches = sum(row % 4 != 1 for row in range(rows))
        surveys: dict[str, Any] = {"splus": {"rows": rows, "epoch_jyear": 2019.5}}
        for name in ("gaia", "gaiaxp", "ztf", "desi", "specz", "vista"):
            if name == "gaiaxp":
                surveys[name] = {"join": "source_id", "matches": matches}
            elif name not in without:
                surveys[name] = {
                    "radius_arcsec": 1.0,
                    "matches": matches,
                    "chance_matches": 0.25,
                    "false_match_rate": 0.25 / matches if matches else None,
                }
        surveys = {name: value for name, value in surveys.items() if name not in without}
        metadata = {
            "images": {band.name: {"pixel_scale_arcsec": 0.55} for band in BANDS},
            "schema_version": SCHEMA_VERSION,
            "field": field,
            "synthetic": synthetic,
            "bands": [band.name for band in BANDS],
            "cutout_size_px": size_px,
            "surveys": surveys,
            "provenance": {
                "distribution": "splus-hypercube",
                "versions": {"splus-hypercube": "0.1.0", "numpy": "2.0.0"},
                "created": "2026-01-02T03:04:05Z",
                "python": "3.11.0",
                "missing_bands": list(missing_bands),
                "inputs": [{"path": f"{field}_dual.fits", "size": 1, "sample_sha256": "0" * 64}],
                "configuration": {"cutouts": {"size_px": size_px, "rows": "all"}},
            },
        }
        with ParquetWriter(path, schema, metadata={METADATA_KEY: metadata}) as writer:
            for start in range(0, rows, GROUP_ROWS):
                writer.write(table.slice(start, GROUP_ROWS))
            if not rows:
                writer.write(table)
        return path

    return write
