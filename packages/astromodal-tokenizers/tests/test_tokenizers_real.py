"""Real Gaia XP coefficients, DESI coadds, ZTF light curves and images there and back."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cubefile import CubeRun, survey_field, write_cube

from astro_common.ecsv import read_ecsv
from astro_common.fits import open_fits
from astromodal_tokenizers.__main__ import main
from astromodal_tokenizers.apertures import ring_flux, ring_weights
from astromodal_tokenizers.xp import sample_xp, sample_xp_errors

REAL = Path(
    os.environ.get("ASTRO_REAL_DATA", Path(__file__).parents[4] / "shared" / "data")
).resolve()

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.is_dir(), reason=f"no real survey files at {REAL}"),
]

XP = REAL / "gaia/xp_continuous/XP_CONTINUOUS_RAW.ecsv"
COADDS = ("coadd-4-80613-thru20210324.fits", "coadd-5-169-thru20210419.fits")
ARMS = {"b": "B", "r": "R", "z": "Z"}
ROWS, SIZE_PX = 64, 48


def reference_samples():
    """GaiaXPy's published result for the same file: (source, arm) to flux and errors."""
    folder = REAL / "gaia/xp_sampled_reference"
    with (folder / "converter_solution_0_60_481.csv").open() as stream:
        rows = list(csv.DictReader(stream))

    def numbers(text):
        return np.array(text.strip("()[]").split(","), dtype=np.float64)

    return {
        (int(row["source_id"]), row["xp"].lower()): (
            numbers(row["flux"]),
            numbers(row["flux_error"]),
        )
        for row in rows
    }


def test_xp_samples_agree_with_the_published_ones():
    table = read_ecsv(XP)
    sampling = np.linspace(0.0, 60.0, 481)
    wanted = reference_samples()
    checked = 0
    for row, source in enumerate(table["source_id"].to_pylist()):
        for arm in ("bp", "rp"):
            if (source, arm) not in wanted:
                continue
            flux, error = wanted[source, arm]
            values = table[f"{arm}_coefficients"][row].as_py()
            ours = sample_xp(values, arm, sampling)
            assert np.abs(ours - flux).max() < 1e-6 * np.abs(flux).max()
            errors = [table[f"{arm}_coefficient_errors"][row].as_py()]
            pairs = [table[f"{arm}_coefficient_correlations"][row].as_py()]
            ours = sample_xp_errors(errors, pairs, arm, sampling)[0]
            assert np.allclose(ours, error, rtol=1e-4)
            checked += 1
    assert checked >= 2


def real_columns():
    """Columns of a hypercube of real measurements, unrelated sources side by side."""
    columns = []

    def add(name, rows, kind, modality, survey, **more):
        rows = [*rows, *[None] * (ROWS - len(rows))][:ROWS]
        columns.append((survey_field(name, kind, modality, survey, **more), pa.array(rows, kind)))

    number, single = pa.list_(pa.float64()), pa.list_(pa.float32())
    table = read_ecsv(XP)
    for arm in ("bp", "rp"):
        for name, ucd in (
            ("coefficients", "stat.fit.param"),
            ("coefficient_errors", "stat.error"),
            ("coefficient_correlations", "stat.correlation"),
        ):
            rows = table[f"{arm}_{name}"].to_pylist()
            add(f"gaiaxp_{arm}_{name}", rows, number, "coefficients", "gaiaxp", ucd=ucd)
    for arm, extension in ARMS.items():
        spectra = {"wave": [], "flux": [], "ivar": []}
        for name in COADDS:
            with open_fits(REAL / "surveys/desi" / name) as file:
                count = file.image(f"{extension}_FLUX").shape[0]
                spectra["wave"] += [file.image(f"{extension}_WAVELENGTH").read().tolist()] * count
                ivar = file.image(f"{extension}_IVAR").read()
                ivar[file.image(f"{extension}_MASK").read() != 0] = 0.0
                spectra["flux"] += file.image(f"{extension}_FLUX").read().tolist()
                spectra["ivar"] += ivar.tolist()
        for name, kind, ucd in (
            ("wave", number, "em.wl"),
            ("flux", single, "phot.flux.density;em.wl"),
            ("ivar", single, "stat.weight"),
        ):
            add(f"desi_{name}_{arm}", spectra[name], kind, "spectrum", "desi", ucd=ucd)
    curves = {"mag": [], "magerr": [], "hmjd": []}
    for path in sorted((REAL / "supernova/ztf_bts_snia/light-curves").glob("*.csv"))[:ROWS]:
        with path.open() as stream:
            rows = [row for row in csv.DictReader(stream) if row["band"] == "g"]
        for name, key in (("mag", "mag"), ("magerr", "magerr"), ("hmjd", "time")):
            curves[name].append([float(row[key]) for row in rows])
    for name, kind, ucd in (
        ("mag", single, "phot.mag"),
        ("magerr", single, "stat.error"),
        ("hmjd", number, "time.epoch"),
    ):
        add(f"ztf_{name}_g", curves[name], kind, "light_curve", "ztf", ucd=ucd)
    return columns


def brightest(image):
    """Pixels that stand out, away from the border and from each other."""
    chosen = []
    work = np.nan_to_num(image.copy())
    half = SIZE_PX // 2
    work[:half] = work[-half:] = 0.0
    work[:, :half] = work[:, -half:] = 0.0
    while len(chosen) < ROWS:
        y, x = np.unravel_index(int(work.argmax()), work.shape)
        if work[y, x] <= 0.0:
            break
        chosen.append((y, x))
        work[y - half : y + half, x - half : x + half] = 0.0
    return chosen


@pytest.fixture(scope="module")
def real_run(tmp_path_factory):
    run = CubeRun(
        tmp_path_factory.mktemp("real") / "run",
        split={"fractions": [1.0, 0.0, 0.0]},
        scalar={"min_values": 10},
        spectrum={"codebook_size": 2048, "levels": 24, "scale_codes": 1024, "epochs": 8,
                  "xp": {"samples": 600}},
        image={"width": 8, "epochs": 3, "pixel_scale_arcsec": 0.262, "codebook_size": 256},
    )  # fmt: skip
    columns = [
        (survey_field("id", pa.string(), "id", "splus"), [f"row{n}" for n in range(ROWS)]),
        (survey_field("ra", pa.float64(), "position", "splus"), np.linspace(9.0, 11.0, ROWS)),
        (survey_field("dec", pa.float64(), "position", "splus"), np.linspace(-1.0, 1.0, ROWS)),
        *real_columns(),
    ]
    images = {}
    for band in "gz":
        with open_fits(REAL / f"surveys/image/legacysurvey-0959p805-image-{band}.fits.fz") as file:
            images[band] = file.image().read().astype(np.float32)
    places = brightest(images["z"])
    half = SIZE_PX // 2
    kind = pa.list_(pa.float32(), SIZE_PX**2)
    for band, image in images.items():
        cut = [image[y - half : y + half, x - half : x + half].ravel() for y, x in places]
        field = survey_field(f"splus_cut_{band}", kind, "image", "splus", ucd="phot.count")
        rows = [row.tolist() for row in cut]
        columns.append((field, rows + [None] * (ROWS - len(rows))))
    arrays = [pa.array(values, field.type) for field, values in columns]
    table = pa.Table.from_arrays(arrays, schema=pa.schema([field for field, _ in columns]))
    write_cube(run.cube("real"), table, field="real", rows=32, synthetic=False)
    run.write_config()
    assert main(["fit", "all", "--config", str(run.config), "-q"]) == 0
    assert main(["encode", "--config", str(run.config), "-q"]) == 0
    out = run.root / "decoded.parquet"
    words = ["decode", "--config", str(run.config), "--field", "real", "--out", str(out), "-q"]
    assert main(words) == 0
    return table, pq.read_table(out)


@pytest.mark.parametrize("arm", ARMS)
def test_real_desi_spectra_come_back_within_their_errors(real_run, arm):
    table, decoded = real_run
    checked = 0
    for row in range(ROWS):
        flux, ivar = (table[f"desi_{name}_{arm}"][row].as_py() for name in ("flux", "ivar"))
        back = decoded[f"desi_flux_{arm}"][row].as_py()
        if flux is None or not any(ivar):
            assert back is None
            continue
        flux, ivar, back = (np.array(item, dtype=float) for item in (flux, ivar, back))
        valid = ivar > 0.0
        assert np.isfinite(back[valid]).all()
        assert np.mean((ivar * (back - flux) ** 2)[valid]) < 0.1
        checked += 1
    assert checked >= 1


@pytest.mark.parametrize("arm", ["bp", "rp"])
def test_real_xp_spectra_come_back_within_their_errors(real_run, arm):
    table, decoded = real_run
    sampling = np.linspace(0.0, 60.0, 600)
    name = f"gaiaxp_{arm}"
    for row in range(2):
        values = table[f"{name}_coefficients"][row].as_py()
        pairs = [table[f"{name}_coefficient_correlations"][row].as_py()]
        errors = [table[f"{name}_coefficient_errors"][row].as_py()]
        sigma = sample_xp_errors(errors, pairs, arm, sampling)[0]
        flux = sample_xp(values, arm, sampling)
        back = np.array(decoded[f"{name}_flux"][row].as_py())
        assert np.mean(((back - flux) / sigma) ** 2) < 0.3
    assert decoded[f"{name}_flux"].null_count == ROWS - 2


def test_real_light_curves_come_back(real_run):
    table, decoded = real_run
    pulls = []
    for row in range(ROWS):
        mag, error, time = (table[f"ztf_{n}_g"][row].as_py() for n in ("mag", "magerr", "hmjd"))
        if not mag:
            continue
        back = np.array(decoded["ztf_mag_g"][row].as_py())
        assert len(back) == len(mag)
        pulls.append((back - np.array(mag)) / np.array(error))
        shift = np.array(decoded["ztf_hmjd_g"][row].as_py()) - np.array(time)
        assert np.abs(shift).max() < 10.0
    assert np.sqrt(np.mean(np.concatenate(pulls) ** 2)) < 0.5


def test_real_images_keep_the_flux_of_their_sources(real_run):
    table, decoded = real_run
    rings = ring_weights(SIZE_PX, [1.5 / 0.262])
    for band in "gz":
        name = f"splus_cut_{band}"
        seen = table[name].is_valid().to_numpy()
        before, after = (
            np.array(t[name].combine_chunks().drop_null().to_pylist(), dtype=np.float32)
            for t in (table, decoded)
        )
        assert np.array_equal(decoded[name].is_valid().to_numpy(), seen)
        shape = (int(seen.sum()), 1, SIZE_PX, SIZE_PX)
        flux, back = (ring_flux(x.reshape(shape), rings)[:, 0, 0] for x in (before, after))
        bright = flux > np.median(flux)
        assert np.median(np.abs(back / flux - 1.0)[bright]) < 0.02
