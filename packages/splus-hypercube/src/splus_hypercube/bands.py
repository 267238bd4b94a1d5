"""The twelve S-PLUS bands, defined once for the whole package.

Central wavelengths and widths are those of the S-PLUS filter system as used with the T80-South
camera: Mendes de Oliveira et al. 2019, MNRAS 489, 241, table 2.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BANDS", "BAND_NAMES", "CATALOGUE_NAMES", "Band", "band"]


@dataclass(frozen=True, slots=True)
class Band:
    """One S-PLUS filter.

    Attributes
    ----------
    name : str
        The name in image files and in the columns ``splus_cut_<name>``.
    catalogue_name : str
        The name in catalogue columns such as ``mag_pstotal_<catalogue_name>``.
    wavelength_angstrom : float
        Central wavelength.
    width_angstrom : float
        Full width at half maximum of the transmission.
    """

    name: str
    catalogue_name: str
    wavelength_angstrom: float
    width_angstrom: float


BANDS: tuple[Band, ...] = (
    Band("R", "r", 6258.0, 1465.0),
    Band("I", "i", 7690.0, 1506.0),
    Band("G", "g", 4751.0, 1545.0),
    Band("U", "u", 3536.0, 352.0),
    Band("Z", "z", 8831.0, 1182.0),
    Band("F378", "j0378", 3770.0, 151.0),
    Band("F395", "j0395", 3940.0, 103.0),
    Band("F410", "j0410", 4094.0, 201.0),
    Band("F430", "j0430", 4292.0, 201.0),
    Band("F515", "j0515", 5133.0, 207.0),
    Band("F660", "j0660", 6614.0, 147.0),
    Band("F861", "j0861", 8611.0, 408.0),
)
"""The bands in the order of the cutouts in a hypercube."""

BAND_NAMES: tuple[str, ...] = tuple(item.name for item in BANDS)
CATALOGUE_NAMES: tuple[str, ...] = tuple(item.catalogue_name for item in BANDS)

_BY_NAME = {
    name: item for item in BANDS for name in (item.name.lower(), item.catalogue_name.lower())
}


def band(name: str) -> Band:
    """Look a band up by its image name or its catalogue name, in any case.

    Parameters
    ----------
    name : str
        For example ``"F378"``, ``"j0378"`` or ``"r"``.

    Returns
    -------
    Band

    Raises
    ------
    KeyError
        If no S-PLUS band has this name.
    """
    try:
        return _BY_NAME[name.lower()]
    except KeyError:
        known = " ".join(BAND_NAMES)
        raise KeyError(f"no S-PLUS band is called {name!r}; the bands are {known}") from None
