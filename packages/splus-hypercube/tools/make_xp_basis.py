# ruff: noqa: INP001
"""Write the published numbers of the Gaia XP external calibration that the mock needs.

Run in an environment with GaiaXPy (BSD-3-Clause, DPAC):

    python tools/make_xp_basis.py

It reads GaiaXPy's dispersion, response and inverse bases of BP and RP (models v375wi and v142r of
Gaia DR3) and writes ``src/splus_hypercube/mock/data/xp_basis.npz``, with dispersion and response
interpolated by the same cubic splines onto a regular grid. Sources: Carrasco et al. 2021, A&A 652,
A86 (basis functions); De Angeli et al. 2023, A&A 674, A2 (processing); Montegriffo et al. 2023,
A&A 674, A3 (external calibration).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gaiaxpy.calibrator.external_instrument_model import ExternalInstrumentModel
from gaiaxpy.config.paths import config_path
from gaiaxpy.core import nature, satellite
from scipy.interpolate import splev, splrep

MODELS = {"bp": "v375wi", "rp": "v142r"}
# The basis functions reach beyond the wavelengths at which the photometers see anything.
GRID_NM = {"bp": np.arange(300.0, 720.25, 0.5), "rp": np.arange(560.0, 1200.25, 0.5)}
OUTPUT = Path(__file__).parents[1] / "src" / "splus_hypercube" / "mock" / "data" / "xp_basis.npz"


def arm_arrays(arm: str) -> dict[str, np.ndarray]:
    """Everything that describes one arm, by name without the arm's prefix."""
    stem = Path(config_path) / f"{arm}C03_{MODELS[arm]}_"
    model = ExternalInstrumentModel.from_config_csv(
        f"{stem}dispersion.csv", f"{stem}response.csv", f"{stem}bases.csv"
    )
    bases = model.bases
    wavelength = GRID_NM[arm]
    spline = splrep(model.response["wavelength"], model.response["response"], s=0)
    measured = model.response["wavelength"]
    inside = (wavelength >= np.min(measured)) & (wavelength <= np.max(measured))
    response = np.where(inside, np.maximum(splev(wavelength, spline), 0.0), 0.0)
    return {
        "wavelength_nm": wavelength,
        "pseudo_wavelength": np.asarray(model.wl_to_pwl(wavelength)),
        "response": response,
        "inverse_bases": np.asarray(bases["inverseBasesCoefficients"]),
        "transformation": np.asarray(bases["transformationMatrix"]),
        "pseudo_range": np.array([bases["pwlRangeMin"], bases["pwlRangeMax"]], dtype=np.float64),
        "normalised_range": np.array(
            [bases["normRangeMin"], bases["normRangeMax"]], dtype=np.float64
        ),
    }


def main() -> None:
    """Write the file."""
    arrays = {
        "pupil_area_m2": np.float64(satellite.TELESCOPE_PUPIL_AREA),
        "planck_times_c": np.float64(nature.C * nature.PLANCK),
    }
    for arm in MODELS:
        arrays.update({f"{arm}_{name}": values for name, values in arm_arrays(arm).items()})
    OUTPUT.parent.mkdir(exist_ok=True)
    np.savez_compressed(OUTPUT, **arrays)
    print(OUTPUT)


if __name__ == "__main__":
    main()
