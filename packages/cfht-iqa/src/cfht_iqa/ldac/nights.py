"""The night in which an exposure was taken, named by the date at which it began in Hawaii."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["DATE_KEYS", "night_of"]

DATE_KEYS: Final = ("MJD-OBS", "DATE-OBS", "UTC-OBS")
# Noon in Hawaii, ten hours behind UTC.
_NOON_UTC_DAYS: Final = 22.0 / 24.0
_MJD_EPOCH: Final = datetime.date(1858, 11, 17)
_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:T(.+))?\Z")
_TIME: Final = re.compile(r"(\d{1,2}):(\d{2}):(\d{2}(?:\.\d*)?)\Z")


def night_of(header: Mapping[str, Any]) -> str | None:
    """Find the night of an exposure.

    Parameters
    ----------
    header : mapping of str to object
        With MJD-OBS; or with DATE-OBS, and the time in it or in UTC-OBS.

    Returns
    -------
    str or None
        Date, as ``2003-10-22``, of the noon in Hawaii before the exposure; None if the header does
        not say when that was, for a date in UTC alone may belong to either of two nights.
    """
    mjd = header.get("MJD-OBS")
    if isinstance(mjd, bool) or not isinstance(mjd, (int, float)) or not 0.0 < mjd < 2e5:
        mjd = _mjd(header)
    if mjd is None:
        return None
    days = math.floor(mjd - _NOON_UTC_DAYS)
    return (_MJD_EPOCH + datetime.timedelta(days=days)).isoformat()


def _mjd(header: Mapping[str, Any]) -> float | None:
    date = _DATE.match(str(header.get("DATE-OBS", "")).strip())
    if date is None:
        return None
    time = _TIME.match((date[4] or str(header.get("UTC-OBS", ""))).strip())
    if time is None:
        return None
    try:
        day = datetime.date(int(date[1]), int(date[2]), int(date[3]))
    except ValueError:
        return None
    seconds = 3600.0 * int(time[1]) + 60.0 * int(time[2]) + float(time[3])
    return (day - _MJD_EPOCH).days + seconds / 86400.0
