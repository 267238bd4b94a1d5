"""The diagnostic lines of stellar spectra, from published laboratory wavelengths.

Wavelengths are in standard air above 2000 angstrom, as the NIST Atomic Spectra Database prints
them (Kramida, Ralchenko, Reader & NIST ASD Team, https://physics.nist.gov/asd); the vacuum values
follow by the formula of Ciddor 1996, so that both columns agree. Of H the wavelengths are means of
the fine structure. Of bands the wavelength is that of the head, from Pearse & Gaydon 1976, "The
Identification of Molecular Spectra", 4th edition; a head is the edge of a band, not its centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sdss_spectra.tables import column, csv_text
from sdss_spectra.wavelength import air_to_vacuum

__all__ = ["COLUMNS", "LINES", "Line", "line_list", "line_list_csv", "nearest_line"]

_NIST: Final = "NIST ASD"
_BANDS: Final = "Pearse & Gaydon 1976"

COLUMNS: Final = (
    column("elem", "string", "atom, ion or molecule"),
    column("transition", "string", "common name of the line"),
    column("lambda_rest_A", "float64", "rest wavelength in vacuum", "Angstrom"),
    column("lambda_air_A", "float64", "rest wavelength in standard air", "Angstrom"),
    column("lower_upper_levels", "string", "lower and upper level, or the bands of a molecule"),
    column("ref", "string", "source of the wavelength"),
    column("use_flag", "bool", "whether detected lines are identified with it"),
)

# elem, transition, air wavelength, lower -> upper level, whether it serves to identify lines.
_ATOMS: Final[tuple[tuple[str, str, float, str, bool], ...]] = (
    ("H I", "H\u03b1", 6562.79, "n = 2 -> 3", True),
    ("H I", "H\u03b2", 4861.35, "n = 2 -> 4", True),
    ("H I", "H\u03b3", 4340.472, "n = 2 -> 5", True),
    ("H I", "H\u03b4", 4101.734, "n = 2 -> 6", True),
    ("H I", "H\u03b5", 3970.075, "n = 2 -> 7", True),
    ("H I", "H8", 3889.064, "n = 2 -> 8", True),
    ("H I", "H9", 3835.397, "n = 2 -> 9", True),
    ("H I", "H10", 3797.909, "n = 2 -> 10", True),
    ("H I", "Pa 14", 8598.392, "n = 3 -> 14", True),
    ("H I", "Pa 12", 8750.472, "n = 3 -> 12", True),
    ("H I", "Pa 11", 8862.782, "n = 3 -> 11", True),
    ("H I", "Pa 10", 9014.909, "n = 3 -> 10", True),
    ("He I", "He I 4026", 4026.191, "2p 3P* -> 5d 3D", True),
    ("He I", "He I 4388", 4387.929, "2p 1P* -> 5d 1D", True),
    ("He I", "He I 4471", 4471.480, "2p 3P* -> 4d 3D", True),
    ("He I", "He I 4713", 4713.146, "2p 3P* -> 4s 3S", True),
    ("He I", "He I 4922", 4921.931, "2p 1P* -> 4d 1D", True),
    ("He I", "He I 5016", 5015.678, "2s 1S -> 3p 1P*", True),
    ("He I", "He I 5876", 5875.621, "2p 3P* -> 3d 3D", True),
    ("He I", "He I 6678", 6678.152, "2p 1P* -> 3d 1D", True),
    ("He I", "He I 7065", 7065.190, "2p 3P* -> 3s 3S", True),
    ("He II", "He II 4542", 4541.591, "n = 4 -> 9", True),
    ("He II", "He II 4686", 4685.71, "n = 3 -> 4", True),
    ("He II", "He II 5412", 5411.521, "n = 4 -> 7", True),
    ("Ca II", "Ca II K", 3933.663, "4s 2S1/2 -> 4p 2P*3/2", True),
    ("Ca II", "Ca II H", 3968.469, "4s 2S1/2 -> 4p 2P*1/2", True),
    ("Ca II", "Ca II 8498", 8498.023, "3d 2D3/2 -> 4p 2P*3/2", True),
    ("Ca II", "Ca II 8542", 8542.091, "3d 2D5/2 -> 4p 2P*3/2", True),
    ("Ca II", "Ca II 8662", 8662.141, "3d 2D3/2 -> 4p 2P*1/2", True),
    ("Ca I", "Ca I 4227", 4226.728, "4s2 1S0 -> 4s4p 1P*1", True),
    ("Ca I", "Ca I 6162", 6162.173, "4s4p 3P*2 -> 4s5s 3S1", True),
    ("Fe I", "Fe I 4046", 4045.812, "3d7 4s a3F4 -> 3d7 4p y3F*4", True),
    ("Fe I", "Fe I 4272", 4271.760, "3d7 4s a3F4 -> 3d7 4p z3G*5", True),
    ("Fe I", "Fe I 4384", 4383.545, "3d7 4s a3F4 -> 3d7 4p z5G*5", True),
    ("Fe I", "Fe I 5270", 5269.537, "3d7 4s a5F5 -> 3d6 4s4p z5D*4", True),
    ("Fe I", "Fe I 5328", 5328.039, "3d7 4s a5F4 -> 3d6 4s4p z5D*3", True),
    ("Fe I", "Fe I 5406", 5405.775, "3d7 4s a5F2 -> 3d6 4s4p z5D*1", False),
    ("Fe II", "Fe II 4924", 4923.927, "3d5 4s2 a6S5/2 -> 3d6 4p z6P*3/2 (42)", True),
    ("Fe II", "Fe II 5018", 5018.440, "3d5 4s2 a6S5/2 -> 3d6 4p z6P*5/2 (42)", True),
    ("Fe II", "Fe II 5169", 5169.033, "3d5 4s2 a6S5/2 -> 3d6 4p z6P*7/2 (42)", True),
    ("Mg I", "Mg b1", 5183.604, "3s3p 3P*2 -> 3s4s 3S1", True),
    ("Mg I", "Mg b2", 5172.684, "3s3p 3P*1 -> 3s4s 3S1", True),
    ("Mg I", "Mg b4", 5167.322, "3s3p 3P*0 -> 3s4s 3S1", True),
    ("Mg II", "Mg II 4481", 4481.21, "3d 2D -> 4f 2F*", True),
    ("Na I", "Na D1", 5895.924, "3s 2S1/2 -> 3p 2P*1/2", True),
    ("Na I", "Na D2", 5889.951, "3s 2S1/2 -> 3p 2P*3/2", True),
    ("Na I", "Na I 8183", 8183.256, "3p 2P*1/2 -> 3d 2D3/2", True),
    ("Na I", "Na I 8195", 8194.824, "3p 2P*3/2 -> 3d 2D5/2", True),
    ("K I", "K I 7665", 7664.899, "4s 2S1/2 -> 4p 2P*3/2", True),
    ("K I", "K I 7699", 7698.965, "4s 2S1/2 -> 4p 2P*1/2", True),
    ("Sr II", "Sr II 4077", 4077.709, "5s 2S1/2 -> 5p 2P*3/2", True),
    ("Si II", "Si II 6347", 6347.11, "4s 2S1/2 -> 4p 2P*3/2", True),
)
_HEADS: Final[tuple[tuple[str, str, float, str, bool], ...]] = (
    ("CH", "G band", 4314.2, "A 2Delta - X 2Pi, (0,0)", True),
    ("MgH", "MgH 5211", 5211.1, "A 2Pi - X 2Sigma, (0,0)", True),
    ("CN", "CN 3883", 3883.4, "B 2Sigma - X 2Sigma, (0,0)", False),
    ("CN", "CN 4216", 4216.0, "B 2Sigma - X 2Sigma, (0,1)", False),
    ("TiO", "TiO 4761", 4761.0, "alpha, C 3Delta - X 3Delta, (2,0)", True),
    ("TiO", "TiO 4955", 4954.5, "alpha, C 3Delta - X 3Delta, (1,0)", True),
    ("TiO", "TiO 5167", 5166.8, "alpha, C 3Delta - X 3Delta, (0,0)", True),
    ("TiO", "TiO 5448", 5448.2, "alpha, C 3Delta - X 3Delta, (0,1)", True),
    ("TiO", "TiO 6159", 6158.5, "gamma', B 3Pi - X 3Delta, (0,0)", True),
    ("TiO", "TiO 6651", 6651.3, "gamma, A 3Phi - X 3Delta, (1,0)", True),
    ("TiO", "TiO 7054", 7054.5, "gamma, A 3Phi - X 3Delta, (0,0)", True),
    ("TiO", "TiO 7589", 7589.0, "gamma, A 3Phi - X 3Delta, (0,1)", True),
    ("CaH", "CaH 6385", 6385.0, "B 2Sigma - X 2Sigma, (0,0)", True),
    ("CaH", "CaH 6921", 6921.0, "A 2Pi - X 2Sigma, (0,0)", True),
    ("VO", "VO 7334", 7333.8, "B 4Pi - X 4Sigma, (1,0)", True),
    ("VO", "VO 7865", 7865.0, "B 4Pi - X 4Sigma, (0,0)", True),
)


@dataclass(frozen=True)
class Line:
    """A line of the list.

    Attributes
    ----------
    elem, transition : str
        Species and name.
    vacuum_A, air_A : float
        Rest wavelengths, angstrom.
    levels : str
        Lower and upper level.
    ref : str
        Source.
    use : bool
        Whether it serves to identify lines.
    """

    elem: str
    transition: str
    vacuum_A: float  # noqa: N815 - the unit is the angstrom
    air_A: float  # noqa: N815
    levels: str
    ref: str
    use: bool


def _lines() -> tuple[Line, ...]:
    found = []
    for entries, ref in ((_ATOMS, _NIST), (_HEADS, _BANDS)):
        for elem, transition, air, levels, use in entries:
            vacuum = round(float(air_to_vacuum(air)), 3)
            found.append(Line(elem, transition, vacuum, air, levels, ref, use))
    return tuple(sorted(found, key=lambda line: line.vacuum_A))


LINES: Final = _lines()


def line_list() -> list[dict[str, Any]]:
    """Rows of the line list, by wavelength."""
    return [
        {
            "elem": line.elem,
            "transition": line.transition,
            "lambda_rest_A": line.vacuum_A,
            "lambda_air_A": line.air_A,
            "lower_upper_levels": line.levels,
            "ref": line.ref,
            "use_flag": line.use,
        }
        for line in LINES
    ]


def line_list_csv() -> str:
    """The line list as the text of ``supplement/line_list.csv``."""
    return csv_text([field.name for field in COLUMNS], line_list())


def nearest_line(wavelength: float, tolerance: float, lines: Sequence[Line] = LINES) -> Line | None:
    """The nearest line in use within a tolerance, both in angstrom in vacuum."""
    used = [line for line in lines if line.use]
    distance = np.abs(np.array([line.vacuum_A for line in used]) - wavelength)
    best = int(distance.argmin())
    return used[best] if distance[best] <= tolerance else None
