"""A real DESI spectrum: the marks stand on the lines that are known to be there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from matplotlib.figure import Figure

from splus_hypercube.view.source import Source
from splus_hypercube.view.spectrum import desi_arms, draw_spectrum, smoothed
from splus_hypercube.view.theme import LIGHT

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def galaxy() -> Source:
    """A galaxy with emission lines at z = 0.3687 (tile 80613 of the early data release)."""
    default = Path(__file__).parents[5] / "shared" / "data"
    folder = Path(os.environ.get("ASTRO_REAL_DATA", default)) / "surveys" / "desi"
    name = "4-80613-thru20210324.fits"
    if not (folder / f"coadd-{name}").is_file():
        pytest.skip(f"no DESI coadd in {folder}; set ASTRO_REAL_DATA to the folder of real data")
    values: dict[str, object] = {}
    with fits.open(folder / f"coadd-{name}") as coadd:
        for arm in "brz":
            letter = arm.upper()
            mask = coadd[f"{letter}_MASK"].data[0] != 0
            values[f"desi_wave_{arm}"] = coadd[f"{letter}_WAVELENGTH"].data.astype(float)
            values[f"desi_flux_{arm}"] = coadd[f"{letter}_FLUX"].data[0].astype(float)
            ivar = coadd[f"{letter}_IVAR"].data[0].astype(float)
            values[f"desi_ivar_{arm}"] = np.where(mask, 0.0, ivar)
    with fits.open(folder / f"redrock-{name}") as redrock:
        row = redrock["REDSHIFTS"].data[0]
        values["desi_TARGETID"] = int(row["TARGETID"])
        values["desi_Z"] = float(row["Z"])
        values["desi_ZERR"] = float(row["ZERR"])
        values["desi_ZWARN"] = int(row["ZWARN"])
        values["desi_SPECTYPE"] = str(row["SPECTYPE"])
    return Source(Path("coadd"), 0, "x", {"surveys": {"desi": {}}}, values, {})


def test_strong_lines_peak_at_their_marks(galaxy: Source) -> None:
    axes = Figure().add_subplot()
    assert draw_spectrum(axes, galaxy, LIGHT)
    marks = sorted(line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1])
    names = [text.get_text() for text in axes.texts]
    assert len(names) == len(marks)
    spectra = [(arm.wavelength, smoothed(arm.flux, arm.ivar, 2.0)) for arm in desi_arms(galaxy)]
    # The strongest lines of a galaxy that forms stars; [O II] is a blend of changing shape.
    expected = {"H\N{GREEK SMALL LETTER ALPHA}", "H\N{GREEK SMALL LETTER BETA}", "[O III]"}
    checked = set()
    for mark, name in zip(marks, names, strict=True):
        if name not in expected:
            continue
        for wavelength, flux in spectra:
            near = np.abs(wavelength - mark) < 10.0
            if near.sum() > 20:
                continuum = np.nanmedian(flux[np.abs(wavelength - mark) < 80.0])
                peak = np.nanargmax(flux[near])
                assert flux[near][peak] > 3.0 * continuum
                assert abs(wavelength[near][peak] - mark) < 0.8, name
                checked.add(name)
    assert checked == expected


def test_the_title_tells_the_redshift_with_its_error(galaxy: Source) -> None:
    axes = Figure().add_subplot()
    draw_spectrum(axes, galaxy, LIGHT)
    title = axes.get_title(loc="left")
    assert "TARGETID 39633345008634465, GALAXY, z = 0.36874" in title
    assert "0.00000 " not in f"{title} "
