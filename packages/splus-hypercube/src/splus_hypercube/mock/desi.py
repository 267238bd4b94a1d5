"""DESI: which sources get fibres on which tiles, and their spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splus_hypercube.mock.grid import SPECTROSCOPIC
from splus_hypercube.mock.objects import assemble_entries
from splus_hypercube.mock.population import GALAXY, QUASAR, STAR
from splus_hypercube.mock.sky import Sky
from splus_hypercube.mock.spectra import observed_spectra
from splus_hypercube.mock.sphere import offset
from splus_hypercube.mock.splus import SplusCatalogue

__all__ = ["ARMS", "DESI_RADIUS_ARCSEC", "DesiTile", "Targets", "arm_wavelength", "make_desi"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

DESI_RADIUS_ARCSEC = 1.0

# First wavelength (vacuum angstrom) and number of pixels of 0.8 angstrom of each arm.
ARMS = {"b": (3600.0, 2751), "r": (5760.0, 2326), "z": (7520.0, 2881)}
_STEP_ANGSTROM = 0.8
_MOST_TARGETS = 800
_FIBRE_RADIUS_ARCSEC = 0.75
_STAR_FIBRE_FRACTION = 0.78
_TARGET_EPOCH = 2016.0
_FLUX_UNIT = 1e-17
# The first tile is shallow, so that the better of two spectra is not the first to be found.
_TILE_NOISE = (1.9, 1.0)
_TILE_OFFSETS_ARCSEC = ((1100.0, 700.0), (-1900.0, 400.0))
_SHALLOW_ALONE = 0.2
_BOTH_TILES = 0.25
_BAD_FIBRES = 0.04


@dataclass(slots=True)
class Targets:
    """Targets of one field, whatever tiles they are on.

    Attributes
    ----------
    targetid : ndarray of int64, shape (n,)
    owner, template : ndarray of int64, shape (n,)
        Source observed (or -1) and source whose spectrum the target has.
    dimming : ndarray of float64, shape (n,)
        Factor from the template's flux to the target's.
    fibre_fraction : ndarray of float64, shape (n,)
        Part of the target's light in the fibre.
    ra, dec : ndarray of float64, shape (n,)
        Degrees.
    spectra : dict of str to ndarray of float64, shape (n, pixels of the arm)
        Noiseless flux in the fibre by arm, 1e-17 erg/s/cm2/angstrom.
    """

    targetid: Int
    owner: Int
    template: Int
    dimming: Float
    fibre_fraction: Float
    ra: Float
    dec: Float
    spectra: dict[str, Float]

    def __len__(self) -> int:
        return len(self.targetid)


@dataclass(slots=True)
class DesiTile:
    """One tile's fibres, in the order of its files.

    Attributes
    ----------
    tileid : int
    ra, dec : float
        Centre, degrees.
    noise : float
        Noise relative to a tile of full depth.
    target : ndarray of int64, shape (n,)
        Index into the targets, or -1 for a fibre without one.
    objtype : ndarray of str, shape (n,)
        ``TGT`` or ``SKY``.
    status : ndarray of int64, shape (n,)
        COADD_FIBERSTATUS; zero is good.
    fibre_id : ndarray of int64, shape (n,)
        TARGETID: the target's, or a negative number.
    fibre_ra, fibre_dec : ndarray of float64, shape (n,)
        Degrees; NaN for fibres without a position.
    night : int
        Last night of observation, YYYYMMDD.
    """

    tileid: int
    ra: float
    dec: float
    noise: float
    target: Int
    objtype: NDArray[np.str_]
    status: Int
    fibre_id: Int
    fibre_ra: Float
    fibre_dec: Float
    night: int

    def __len__(self) -> int:
        return len(self.target)

    @property
    def usable(self) -> Bool:
        """Fibres that a match may use."""
        return np.asarray((self.objtype == "TGT") & (self.status == 0) & np.isfinite(self.fibre_ra))


def arm_wavelength(arm: str) -> Float:
    """Wavelengths of an arm, vacuum angstrom."""
    first, count = ARMS[arm]
    return np.round(first + _STEP_ANGSTROM * np.arange(count), 1)


def make_desi(sky: Sky, catalogue: SplusCatalogue) -> tuple[Targets, list[DesiTile]]:
    """Choose targets and assign them to two tiles.

    Parameters
    ----------
    sky : Sky
    catalogue : SplusCatalogue

    Returns
    -------
    targets : Targets
    tiles : list of DesiTile
        Empty for a field that DESI did not observe.
    """
    rng = sky.field.random("desi")
    seen = _select(sky, rng)
    entries = assemble_entries(
        sky,
        catalogue,
        rng,
        seen=seen,
        epoch_jyear=_TARGET_EPOCH,
        scatter_arcsec=0.06,
        radius_arcsec=DESI_RADIUS_ARCSEC,
        strangers_per_seen=0.03,
        strangers_clear=True,
        outskirts_share=0.1,
    )
    # A neighbour planted within the radius of a target is a faint copy of it, so that the target
    # has the better spectrum as well as the smaller separation.
    inside = entries.planted & np.isin(entries.beside, seen)
    template = np.where(inside, entries.beside, entries.template)
    half_light = np.nan_to_num(sky.population.half_light_arcsec[template])
    extended = 1.0 - 0.5 ** (_FIBRE_RADIUS_ARCSEC / np.hypot(half_light, 0.35)) ** 1.2
    fraction = np.where(sky.kind[template] == GALAXY, extended, _STAR_FIBRE_FRACTION)
    dimming = 10.0 ** (-0.4 * entries.fainter)
    number = np.arange(len(entries), dtype=np.int64)
    targets = Targets(
        targetid=39_627_000_000_000_001 + (sky.field.index * 1_000_003 + number) * 1_000_002,
        owner=entries.owner,
        template=template,
        dimming=dimming,
        fibre_fraction=fraction,
        ra=entries.ra,
        dec=entries.dec,
        spectra=_spectra(sky, template, dimming * fraction),
    )
    if not len(targets):
        return targets, []
    lottery = rng.uniform(size=len(targets))
    # A planted neighbour goes on the same tile as its target.
    first_of = np.full(len(sky), -1, dtype=np.int64)
    first_of[entries.owner[: len(seen)]] = np.arange(len(seen))
    lottery[inside] = lottery[first_of[entries.beside[inside]]]
    on_shallow = lottery < _SHALLOW_ALONE + _BOTH_TILES
    on_deep = lottery >= _SHALLOW_ALONE
    on_shallow &= ~(inside & on_deep)
    return targets, [
        _tile(sky, catalogue, targets, np.flatnonzero(chosen), number, rng)
        for number, chosen in enumerate((on_shallow, on_deep))
    ]


def _select(sky: Sky, rng: np.random.Generator) -> Int:
    r_mag = sky.mags["r"]
    lottery = rng.uniform(size=len(sky))
    chance = np.select(
        [
            (sky.kind == GALAXY) & (r_mag < 20.3),
            (sky.kind == QUASAR) & (r_mag < 21.2),
            (sky.kind == STAR) & (r_mag > 15.0) & (r_mag < 19.4),
        ],
        [0.28, 0.60, 0.20],
        0.0,
    )
    chosen = np.flatnonzero((lottery < chance) & (sky.population.fast < 0))
    if sky.field.bare:
        chosen = chosen[:0]
    if len(chosen) > _MOST_TARGETS:
        chosen = np.sort(rng.choice(chosen, _MOST_TARGETS, replace=False))
    return chosen


def _spectra(sky: Sky, template: Int, factor: Float) -> dict[str, Float]:
    spectra = {arm: np.empty((len(template), count)) for arm, (_, count) in ARMS.items()}
    for start in range(0, len(template), 256):
        part = slice(start, start + 256)
        fine = observed_spectra(sky.population, template[part], SPECTROSCOPIC)
        fine *= factor[part, None] / _FLUX_UNIT
        for arm in ARMS:
            position = np.log(arm_wavelength(arm) / SPECTROSCOPIC.start_angstrom)
            position /= SPECTROSCOPIC.step
            left = np.floor(position).astype(np.int64)
            weight = position - left
            spectra[arm][part] = fine[:, left] * (1.0 - weight) + fine[:, left + 1] * weight
    return spectra


def _tile(
    sky: Sky,
    catalogue: SplusCatalogue,
    targets: Targets,
    chosen: Int,
    number: int,
    rng: np.random.Generator,
) -> DesiTile:
    """Fibres of a tile: targets, sky, broken positioners, in a random order."""
    ra, dec = offset(sky.field.ra, sky.field.dec, *_TILE_OFFSETS_ARCSEC[number])
    skies = max(4, len(chosen) // 12)
    lost = max(2, len(chosen) // 60)
    half = sky.field.half_size_arcsec
    sky_ra, sky_dec = offset(
        np.full(skies, sky.field.ra),
        np.full(skies, sky.field.dec),
        rng.uniform(-half, half, skies),
        rng.uniform(-half, half, skies),
    )
    # Two sky fibres point at sources, as happens when a source is missing from the target list.
    struck = rng.choice(len(sky), min(2, skies))
    sky_ra[: len(struck)], sky_dec[: len(struck)] = offset(
        catalogue.ra[struck], catalogue.dec[struck], 0.2, 0.1
    )
    target = np.concatenate([chosen, np.full(skies + lost, -1, dtype=np.int64)])
    objtype = np.array(["TGT"] * len(chosen) + ["SKY"] * skies + ["TGT"] * lost)
    missing = np.full(lost, np.nan)
    order = rng.permutation(len(target))
    bad = rng.uniform(size=len(target)) < _BAD_FIBRES
    status = np.where(bad, rng.choice([2, 8, 512, 8192], len(target)), 0)
    status[len(chosen) + skies :] = 0
    status[len(chosen) : len(chosen) + skies] = 0
    numbers = -1_000_000 * (number + 1) - np.arange(skies + lost, dtype=np.int64)
    return DesiTile(
        tileid=1000 + 10 * sky.field.index + number,
        ra=round(float(ra), 6),
        dec=round(float(dec), 6),
        noise=_TILE_NOISE[number],
        target=target[order],
        objtype=objtype[order],
        status=status[order],
        fibre_id=np.concatenate([targets.targetid[chosen], numbers])[order],
        fibre_ra=np.concatenate([targets.ra[chosen], sky_ra, missing])[order],
        fibre_dec=np.concatenate([targets.dec[chosen], sky_dec, missing])[order],
        night=20210401 + number,
    )
