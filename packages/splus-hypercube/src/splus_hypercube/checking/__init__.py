"""An independent second derivation of some rows of a finished hypercube.

Nothing here uses the package's own matching, astrometry, cutouts or readers: the survey files are
read with astropy, numpy and pyarrow, positions are propagated with ERFA and compared with
`astropy.coordinates`, so that a fault in the package shows as a difference.
"""

from __future__ import annotations

from splus_hypercube.checking.check import CheckReport, check_cube
from splus_hypercube.checking.comparison import Mismatch

__all__ = ["CheckReport", "Mismatch", "check_cube"]
