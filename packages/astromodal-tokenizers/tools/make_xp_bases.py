# ruff: noqa: INP001
"""Write the published basis functions of Gaia XP mean spectra that `sample_xp` needs.

Run in an environment with GaiaXPy (BSD-3-Clause, DPAC):

    python tools/make_xp_bases.py

It reads the definition of the bases from GaiaXPy's converter (identifiers 56 and 57, those of Gaia
DR3) and writes ``src/astromodal_tokenizers/data/xp_bases.npz``: for each arm the range of the
pseudo-wavelength, the range that it is scaled to, and the matrix that turns Hermite functions into
basis functions. Sources: Carrasco et al. 2021, A&A 652, A86 (basis functions); De Angeli et al.
2023, A&A 674, A2 (processing).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gaiaxpy.config.paths import hermite_bases_file
from gaiaxpy.converter.config import get_bands_config, parse_config

OUTPUT = Path(__file__).parents[1] / "src" / "astromodal_tokenizers" / "data" / "xp_bases.npz"


def main() -> None:
    """Write the file."""
    functions = get_bands_config(parse_config(hermite_bases_file))
    arrays = {}
    for arm in ("bp", "rp"):
        bases = getattr(functions, f"{arm}Config")
        shape = (int(bases.dimension), int(bases.transformedSetDimension))
        matrix = np.asarray(bases.transformationMatrix, dtype=np.float64).reshape(shape)
        arrays[f"{arm}_identifier"] = np.int64(bases.uniqueId)
        arrays[f"{arm}_range"] = np.array(bases.range, dtype=np.float64)
        arrays[f"{arm}_normalised_range"] = np.array(bases.normalizedRange, dtype=np.float64)
        arrays[f"{arm}_transformation"] = matrix
    OUTPUT.parent.mkdir(exist_ok=True)
    np.savez_compressed(OUTPUT, **arrays)
    print(OUTPUT)


if __name__ == "__main__":
    main()
