"""Small hypercubes, made from seeded random numbers, with the metadata of real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml

from astro_common.parquet import ParquetWriter, described

BANDS = ("R", "G", "U")
SIZE_PX = 16
PIXELS = 60
DESI_UNIT = "1e-17 erg / (s cm2 Angstrom)"


def survey_field(name, kind, modality, survey, **more):
    return described(name, kind, survey=survey, modality=modality, **more)


def hypercube_table(count=400, seed=0, *, ra=10.0, drop=(), change=None):
    """A table of sources: columns, spectra, light curves, coefficients and cutouts."""
    random = np.random.default_rng(seed)
    columns = {}

    def add(name, values, kind, modality, survey, **more):
        columns[name] = (
            survey_field(name, kind, modality, survey, **more),
            values if isinstance(values, pa.Array) else pa.array(values, kind),
        )

    mag = 23.0 - random.gamma(2.0, 1.2, count)
    error = 0.003 + 0.1 * 10 ** (0.3 * (mag - 21.0))
    names = [f"iDR6_{seed}_{number:06d}" for number in range(count)]
    add("id", names, pa.string(), "id", "splus", ucd="meta.id;meta.main")
    add("ra", (ra + random.uniform(0.0, 0.5, count)) % 360.0, pa.float64(), "position", "splus")
    add("dec", -30.0 + random.uniform(0.0, 0.5, count), pa.float64(), "position", "splus")
    undetected = random.uniform(size=count) < 0.1
    for band in ("r", "g"):
        noisy = mag + error * random.standard_normal(count)
        values = np.where(undetected & (band == "g"), 99.0, noisy).astype(np.float32)
        name = f"mag_pstotal_{band}"
        add(name, values, pa.float32(), "scalar", "splus", unit="mag", ucd="phot.mag;em.opt")
        add(f"err_{name}", error.astype(np.float32), pa.float32(), "scalar", "splus", unit="mag")
    flux = pa.array(10.0 ** random.normal(3.0, 1.0, count), mask=random.uniform(size=count) < 0.3)
    add("gaia_flux", flux, pa.float64(), "scalar", "gaia", unit="'electron'.s**-1")
    add("gaia_source_id", random.integers(2**60, 2**62, count), pa.int64(), "id", "gaia")
    add("visits", random.integers(1, 6, count), pa.int32(), "scalar", "gaia")
    absent = np.full(count, np.nan)
    add("apogee_TEFF", pa.array(absent, from_pandas=True), pa.float64(), "scalar", "apogee")
    _add_spectra(add, random, count)
    _add_curves(add, random, count)
    _add_coefficients(add, random, count)
    _add_images(add, random, mag)
    if change:
        change(columns)
    kept = {name: pair for name, pair in columns.items() if name not in drop}
    schema = pa.schema([field for field, _ in kept.values()])
    return pa.Table.from_arrays([array for _, array in kept.values()], schema=schema)


def lists(rows, kind):
    return pa.array(rows, pa.list_(kind))


def _add_spectra(add, random, count):
    wave = 3600.0 + 0.8 * np.arange(PIXELS)
    truth = random.lognormal(0.0, 1.0, count)[:, None] * (1.0 + 0.3 * np.sin(wave / 9.0))
    sigma = 0.1 + 0.05 * random.uniform(size=(count, 1)) + 0.05 * np.sqrt(truth)
    flux = truth + sigma * random.standard_normal((count, PIXELS))
    ivar = np.broadcast_to(sigma**-2, flux.shape).copy()
    ivar[random.uniform(size=ivar.shape) < 0.02] = 0.0
    present = random.uniform(size=count) < 0.7
    flux[3], present[3] = np.nan, True  # observed, and without a single number
    ivar[5], present[5] = 0.0, True  # fully masked
    flux[4, 10:13], present[4] = np.nan, True  # weights without numbers

    def some(values):
        return [row.tolist() if here else None for row, here in zip(values, present, strict=True)]

    grid = np.broadcast_to(wave, flux.shape)
    common = {"modality": "spectrum", "survey": "desi"}
    add("desi_wave_b", lists(some(grid), pa.float64()), pa.list_(pa.float64()), **common,
        unit="Angstrom", ucd="em.wl")  # fmt: skip
    add("desi_flux_b", lists(some(flux), pa.float32()), pa.list_(pa.float32()), **common,
        unit=DESI_UNIT, ucd="phot.flux.density;em.wl")  # fmt: skip
    add("desi_ivar_b", lists(some(ivar), pa.float32()), pa.list_(pa.float32()), **common,
        ucd="stat.weight")  # fmt: skip


def _add_curves(add, random, count):
    rows = {"mag": [], "magerr": [], "hmjd": []}
    for _ in range(count):
        epochs = int(random.integers(0, 30))
        here = random.uniform() < 0.8
        time = np.sort(random.uniform(58200.0, 60000.0, epochs))
        error = random.uniform(0.01, 0.1, epochs)
        mag = random.uniform(15.0, 20.0) + error * random.standard_normal(epochs)
        for name, values in (("mag", mag), ("magerr", error), ("hmjd", time)):
            rows[name].append(values.tolist() if here else None)
    described_as = {
        "mag": (pa.float32(), "mag", "phot.mag;em.opt"),
        "magerr": (pa.float32(), "mag", "stat.error;phot.mag"),
        "hmjd": (pa.float64(), "d", "time.epoch"),
    }
    for name, (kind, unit, ucd) in described_as.items():
        array = lists(rows[name], kind)
        add(f"ztf_{name}_g", array, pa.list_(kind), "light_curve", "ztf", unit=unit, ucd=ucd)


def _add_coefficients(add, random, count):
    present = random.uniform(size=count) < 0.5
    size = np.exp(-np.arange(55) / 6.0)
    value = (
        random.lognormal(3.0, 1.0, (count, 1)) * size * (1.0 + random.normal(0, 0.2, (count, 55)))
    )
    error = 0.05 * (1.0 + 0.1 * random.uniform(size=(count, 55)))
    correlation = random.uniform(-0.02, 0.02, (count, 1485))
    for name, values, kind, ucd in (
        ("coefficients", value, pa.float64(), "stat.fit.param"),
        ("coefficient_errors", error, pa.float32(), "stat.error"),
        ("coefficient_correlations", correlation, pa.float32(), "stat.correlation"),
    ):
        rows = [row.tolist() if here else None for row, here in zip(values, present, strict=True)]
        kind = pa.list_(kind)
        add(f"gaiaxp_bp_{name}", pa.array(rows, kind), kind, "coefficients", "gaiaxp", ucd=ucd)


def _add_images(add, random, mag):
    offset = np.arange(SIZE_PX) - SIZE_PX // 2
    profile = np.exp(-(offset[:, None] ** 2 + offset**2) / (2.0 * 1.6**2))
    profile /= profile.sum()
    total = 10.0 ** (-0.4 * (mag - 23.0))
    kind = pa.list_(pa.float32(), SIZE_PX**2)
    for number, band in enumerate(BANDS):
        images = total[:, None, None] * profile * (1.0 + 0.3 * number)
        images = images + 0.05 * random.standard_normal(images.shape)
        images[7, :, :6] = np.nan  # at the edge of the image
        flat = pa.array(images.astype(np.float32).ravel())
        missing = np.zeros(len(mag), dtype=bool)
        missing[11] = True
        missing[12] = band == "U"
        array = pa.FixedSizeListArray.from_arrays(flat, SIZE_PX**2, mask=pa.array(missing))
        add(f"splus_cut_{band}", array, kind, "image", "splus", ucd="phot.count;em.opt")


def write_cube(path: Path, table: pa.Table, *, field="F1", rows=100, **metadata) -> Path:
    """Write a table as a hypercube, in row groups of so many rows."""
    own = {
        "schema_version": 1,
        "field": field,
        "synthetic": True,
        "bands": list(BANDS),
        "cutout_size_px": SIZE_PX,
        "surveys": {},
        **metadata,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with ParquetWriter(path, table.schema, metadata={"splus_hypercube": own}, overwrite=True) as w:
        for start in range(0, table.num_rows, rows):
            w.write(table.slice(start, rows))
        if not table.num_rows:
            w.write(table)
    return path


class CubeRun:
    """Two hypercubes and a configuration that fits and encodes them in seconds."""

    def __init__(self, root: Path, **settings) -> None:
        self.root = root
        self.output = root / "tokens"
        self.config = root / "tokens.yaml"
        self.fields = ("F1", "F2")
        self.settings = {
            "hypercube": "cubes/datacube_{field}.parquet",
            "output": "tokens",
            "seed": 1,
            "scalar": {"bins": 64, "min_values": 100},
            "spectrum": {
                "codebook_size": 256,
                "scale_codes": 128,
                "levels": 4,
                "epochs": 4,
                "xp": {"samples": 80},
            },
            "image": {"width": 4, "epochs": 2, "codebook_size": 64, "batch_size": 16},
            "split": {"nside": 256, "fractions": [0.6, 0.2, 0.2]},
        }
        for key, value in settings.items():
            own = self.settings.get(key)
            self.settings[key] = {**own, **value} if isinstance(own, dict) else value

    def write(self, **options):
        for number, field in enumerate(self.fields):
            self.write_cube(field, hypercube_table(seed=number, ra=359.8 + number, **options))
        self.write_config()
        return self

    def write_cube(self, field, table, **metadata):
        return write_cube(self.cube(field), table, field=field, **metadata)

    def write_config(self):
        self.config.write_text(yaml.safe_dump(self.settings))

    def cube(self, field="F1"):
        return self.root / "cubes" / f"datacube_{field}.parquet"

    def tokens(self, family, field="F1"):
        stem = "tokens" if family == "image" else f"{family}_tokens"
        return self.output / f"{family}_tokens" / f"datacube_{field}_{stem}.npz"
