"""ZTF light curves: one object per source, filter and CCD, with its epochs as lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from astropy import units as u
from astropy_healpix import HEALPix
from numpy.typing import NDArray

from splus_hypercube.mock.light_curves import damped_walk, eclipsing, rr_lyrae
from splus_hypercube.mock.objects import Entries, assemble_entries
from splus_hypercube.mock.sky import CONSTANT, DAMPED_WALK, ECLIPSING, RR_LYRAE, Sky
from splus_hypercube.mock.sphere import offset
from splus_hypercube.mock.splus import SplusCatalogue

__all__ = ["BAD_CATFLAG", "ZTF_RADIUS_ARCSEC", "ZTF_SCHEMA", "ZtfObjects", "make_ztf"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

ZTF_RADIUS_ARCSEC = 1.0
BAD_CATFLAG = 32768
"""Bit of ``catflags`` that marks epochs of no use (ZTF Science Data System, section 10.3)."""

ZTF_SCHEMA = pa.schema(
    [
        ("_healpix_29", pa.int64()),
        ("objectid", pa.int64()),
        ("filterid", pa.int8()),
        ("fieldid", pa.int16()),
        ("rcid", pa.int8()),
        ("objra", pa.float64()),
        ("objdec", pa.float64()),
        ("nepochs", pa.int64()),
        ("hmjd", pa.list_(pa.float64())),
        ("mag", pa.list_(pa.float32())),
        ("magerr", pa.list_(pa.float32())),
        ("clrcoeff", pa.list_(pa.float32())),
        ("catflags", pa.list_(pa.int32())),
    ]
)

_FILTERS = (1, 2, 3)  # g, r, i
_BANDS = ("ztf_g", "ztf_r", "ztf_i")
_LIMITS = np.array([20.9, 20.8, 20.3])
_MEAN_EPOCHS = np.array([70.0, 90.0, 25.0])
_WALK_FACTORS = np.array([1.15, 1.0, 0.85])
_COVERAGE = np.array([0.97, 0.98, 0.45])
_SECOND_CCD = 0.12
_EPOCH_JYEAR = 2019.6
_FIRST_MJD, _LAST_MJD = 58_200.0, 60_300.0
_SEASON_D = 210.0
_UNSORTED = 0.15
_NOT_FINITE = 0.012
_FLAGGED = 0.05
_LEVEL_29 = HEALPix(1 << 29, order="nested")


@dataclass(slots=True)
class ZtfObjects:
    """Objects of one field.

    Attributes
    ----------
    objectid : ndarray of int64, shape (n,)
    owner : ndarray of int64, shape (n,)
        Source that each is an observation of, or -1.
    ra, dec : ndarray of float64, shape (n,)
        Degrees.
    table : pyarrow.Table
        With schema `ZTF_SCHEMA`.
    """

    objectid: Int
    owner: Int
    ra: Float
    dec: Float
    table: pa.Table


def make_ztf(sky: Sky, catalogue: SplusCatalogue) -> ZtfObjects:
    """Let ZTF observe a field for six years.

    Parameters
    ----------
    sky : Sky
    catalogue : SplusCatalogue

    Returns
    -------
    ZtfObjects
    """
    rng = sky.field.random("ztf")
    bright = np.any([sky.mags[b] < m for b, m in zip(_BANDS, _LIMITS, strict=True)], axis=0)
    if sky.field.bare:
        bright[:] = False
    seen = np.flatnonzero(bright & (rng.uniform(size=len(sky)) < 0.97))
    entries = assemble_entries(
        sky,
        catalogue,
        rng,
        seen=seen,
        epoch_jyear=_EPOCH_JYEAR,
        scatter_arcsec=None,
        radius_arcsec=ZTF_RADIUS_ARCSEC,
        strangers_per_seen=0.08,
    )
    row, band, second = _objects(sky, entries, rng)
    count = len(row)
    spread = np.where(entries.planted[row], 0.0, 0.07)
    ra, dec = offset(
        entries.ra[row],
        entries.dec[row],
        spread * rng.standard_normal(count),
        spread * rng.standard_normal(count),
    )
    fieldid = np.where(second, 1400, 1300) + sky.field.index % 90
    rcid = np.where(second, 41, 17)
    objectid = _object_ids(fieldid, rcid, band)
    healpix = np.asarray(_LEVEL_29.lonlat_to_healpix(ra * u.deg, dec * u.deg), dtype=np.int64)
    epochs = _epochs(sky, entries, row, band, rng)
    columns = {
        "_healpix_29": healpix,
        "objectid": objectid,
        "filterid": band + 1,
        "fieldid": fieldid,
        "rcid": rcid,
        "objra": ra,
        "objdec": dec,
        **epochs,
    }
    arrays = [pa.array(columns[item.name]).cast(item.type) for item in ZTF_SCHEMA]
    return ZtfObjects(
        objectid=objectid,
        owner=entries.owner[row],
        ra=ra,
        dec=dec,
        table=pa.table(arrays, schema=ZTF_SCHEMA),
    )


def _objects(
    sky: Sky, entries: Entries, rng: np.random.Generator
) -> tuple[Int, Int, NDArray[np.bool_]]:
    """For each object its entry, its band, and whether it is of the second CCD."""
    mags = np.stack([sky.mags[band][entries.template] for band in _BANDS], axis=1)
    mags += entries.fainter[:, None]
    listed = (mags < _LIMITS) & (rng.uniform(size=mags.shape) < _COVERAGE)
    # Every entry has an object in at least one filter.
    listed[np.arange(len(entries)), np.argmin(mags - _LIMITS, axis=1)] |= ~listed.any(axis=1)
    row, band = np.nonzero(listed)
    twice = np.flatnonzero(rng.uniform(size=len(row)) < _SECOND_CCD)
    second = np.concatenate([np.zeros(len(row), dtype=bool), np.ones(len(twice), dtype=bool)])
    return np.concatenate([row, row[twice]]), np.concatenate([band, band[twice]]), second


def _object_ids(fieldid: Int, rcid: Int, band: Int) -> Int:
    """Field, CCD, quadrant, filter and a running number, as decimal digits; odd, above 2^53."""
    number = 2 * np.arange(len(band), dtype=np.int64) + 1
    prefix = fieldid.astype(np.int64) * 10_000 + (rcid // 4 + 1) * 100 + (rcid % 4 + 1) * 10
    return (prefix + band + 1) * 1_000_000_000 + number


def _epochs(
    sky: Sky, entries: Entries, row: Int, band: Int, rng: np.random.Generator
) -> dict[str, Int | pa.ListArray]:
    mean = _MEAN_EPOCHS[band] * rng.lognormal(0.0, 0.25, len(row))
    length = np.maximum(rng.poisson(mean), 3)
    which = np.repeat(np.arange(len(row)), length)
    template = entries.template[row][which]
    year = rng.integers(0, int((_LAST_MJD - _FIRST_MJD) / 365.25) + 1, len(which))
    time = _FIRST_MJD + 365.25 * year + rng.uniform(0.0, _SEASON_D, len(which))
    order = np.lexsort((time, which))
    time = time[order]
    true = np.empty(len(which))
    for number, name in enumerate(_BANDS):
        part = band[which] == number
        true[part] = sky.mags[name][template[part]]
    true += entries.fainter[row][which]
    true += _variation(sky, entries.template[row], which, band, time, rng)
    error = np.hypot(0.012, 0.045 * 10.0 ** (0.33 * (true - 19.0)))
    mag = true + error * rng.standard_normal(len(which))
    flags = np.where(rng.uniform(size=len(which)) < 0.02, 2, 0)
    first = np.concatenate([[0], np.cumsum(length)])[:-1]
    spoilt = rng.uniform(size=len(which)) < _FLAGGED
    spoilt[first] = False
    mag[spoilt] += rng.normal(0.0, 0.8, int(spoilt.sum()))
    flags[spoilt] |= BAD_CATFLAG
    broken = rng.uniform(size=len(which)) < _NOT_FINITE
    broken[first] = False
    victim = rng.integers(0, 3, len(which))
    mag[broken & (victim == 0)] = np.nan
    error[broken & (victim == 1)] = np.inf
    time[broken & (victim == 2)] = np.nan
    # The epochs of some objects are in no order.
    jumble = np.where(
        (rng.uniform(size=len(row)) < _UNSORTED)[which],
        rng.uniform(size=len(which)),
        np.arange(len(which)) / max(len(which), 1),
    )
    order = np.lexsort((jumble, which))
    offsets = pa.array(np.concatenate([[0], np.cumsum(length)]).astype(np.int32))
    lists = {
        "hmjd": (time, pa.float64()),
        "mag": (mag, pa.float32()),
        "magerr": (error, pa.float32()),
        "clrcoeff": (np.full(len(which), -0.05), pa.float32()),
        "catflags": (flags, pa.int32()),
    }
    columns: dict[str, Int | pa.ListArray] = {"nepochs": length}
    for name, (values, kind) in lists.items():
        flat = pa.array(values[order]).cast(kind, safe=False)
        columns[name] = pa.ListArray.from_arrays(offsets, flat)
    return columns


def _variation(
    sky: Sky, template: Int, which: Int, band: Int, time: Float, rng: np.random.Generator
) -> Float:
    """Magnitude offsets at all epochs; every object of a source follows the same curve."""
    traits = sky.field.random("variability").uniform(size=(len(sky), 4))
    source = template[which]
    kind = sky.variability[source]
    change = np.zeros(len(which))
    part = np.flatnonzero(kind == RR_LYRAE)
    a, b, c, _ = traits[source[part]].T
    amplitude = (0.5 + 0.5 * b) * _WALK_FACTORS[band[which[part]]]
    change[part] = rr_lyrae(time[part], 0.35 + 0.35 * a, amplitude, c)
    part = np.flatnonzero(kind == ECLIPSING)
    a, b, c, d = traits[source[part]].T
    period = 0.4 * 10.0 ** (1.2 * a)
    change[part] = eclipsing(time[part], period, 0.2 + 0.6 * b, c, 0.03 + 0.04 * d)
    part = np.flatnonzero(kind == DAMPED_WALK)
    part = part[np.lexsort((time[part], source[part]))]
    a, b, _, _ = traits[source[part]].T
    walk = damped_walk(time[part], source[part], 60.0 * 10.0 ** (0.9 * a), 0.08 + 0.16 * b, rng)
    change[part] = walk * _WALK_FACTORS[band[which[part]]]
    change[kind == CONSTANT] = 0.0
    return change
