"""The emission lines of the DR17 MAPS: names, vacuum wavelengths and fixed ratios."""

from __future__ import annotations

from typing import Final

__all__ = ["LINES", "TIED"]

# In the order of the channels: name, rest-frame vacuum wavelength in angstrom.
LINES: Final[tuple[tuple[str, float], ...]] = (
    ("OII-3727", 3727.092),
    ("OII-3729", 3729.875),
    ("H12-3751", 3751.219),
    ("H11-3771", 3771.704),
    ("Hthe-3798", 3798.979),
    ("Heta-3836", 3836.475),
    ("NeIII-3869", 3869.86),
    ("HeI-3889", 3889.749),
    ("Hzet-3890", 3890.153),
    ("NeIII-3968", 3968.59),
    ("Heps-3971", 3971.198),
    ("Hdel-4102", 4102.897),
    ("Hgam-4341", 4341.691),
    ("HeII-4687", 4687.015),
    ("Hb-4862", 4862.691),
    ("OIII-4960", 4960.295),
    ("OIII-5008", 5008.240),
    ("NI-5199", 5199.349),
    ("NI-5201", 5201.705),
    ("HeI-5877", 5877.252),
    ("OI-6302", 6302.046),
    ("OI-6365", 6365.536),
    ("NII-6549", 6549.86),
    ("Ha-6564", 6564.632),
    ("NII-6585", 6585.27),
    ("SII-6718", 6718.295),
    ("SII-6732", 6732.674),
    ("HeI-7067", 7067.138),
    ("ArIII-7137", 7137.76),
    ("ArIII-7753", 7753.24),
    ("Peta-9017", 9017.384),
    ("SIII-9071", 9071.1),
    ("Pzet-9231", 9231.546),
    ("SIII-9533", 9533.2),
    ("Peps-9548", 9548.588),
)

# Lines whose flux the DAP ties to a stronger one: that line and the ratio.
TIED: Final[dict[str, tuple[str, float]]] = {
    "OIII-4960": ("OIII-5008", 0.35),
    "OI-6365": ("OI-6302", 0.32),
    "NII-6549": ("NII-6585", 0.34),
}
