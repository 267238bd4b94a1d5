"""How often sources are seen, so that rare modalities are not drowned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from astromodal_transformer.store import TokenStore

__all__ = ["balanced_rows"]

_ROWS_AT_A_TIME = 4096
_MOST_VIEWS = 16
# Multiples of the golden ratio are as evenly spread as can be (Weyl 1916, Math. Ann. 77, 313).
_GOLDEN = (5.0**0.5 - 1.0) / 2.0


def balanced_rows(store: TokenStore, rows: NDArray[np.int64], balance: float) -> NDArray[np.int64]:
    """Rows of a pass, in which sources with a rare modality stand several times.

    A source stands so often as the rarest of its modalities says: the power `balance` of the number
    of sources over that of those that have it, rounded, and 16 at most. The pass goes so many times
    through the files as the most frequent source stands in it, and the others take part in some of
    these rounds: the mixture of sources is the same in every stretch of a pass.

    Parameters
    ----------
    store : TokenStore
    rows : ndarray of int64, shape (n,)
        Of the training part.
    balance : float
        Between 0, all alike, and 1.

    Returns
    -------
    ndarray of int64, shape (m,)
        The k-th appearance of a row has the number ``row + k * len(store)``, so that other tokens
        are hidden of it each time; see `Batcher.drawn`.
    """
    if balance == 0.0:
        return rows
    names = store.layout.modalities
    own = [store.layout.slots([name]) for name in names]
    has = np.zeros((len(rows), len(names)), dtype=bool)
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        part = slice(start, start + _ROWS_AT_A_TIME)
        known = store.codes(rows[part]) != store.vocabulary.missing
        has[part] = np.stack([known[:, slots].any(axis=1) for slots in own], axis=1)
    counts = np.maximum(has.sum(axis=0), 1)
    views = np.where(has, (len(rows) / counts) ** balance, 1.0).max(axis=1)
    views = np.minimum(np.rint(views), _MOST_VIEWS).astype(np.int64)
    source = np.repeat(np.arange(len(rows)), views)
    view = np.arange(len(source)) - np.repeat(np.cumsum(views) - views, views)
    # Where the first view falls: evenly spread, whatever the number of views.
    phase = (rows * _GOLDEN) % 1.0
    turn = ((view + phase[source]) * views.max() / views[source]).astype(np.int64)
    return np.asarray((rows[source] + view * len(store))[np.lexsort([source, turn])])
