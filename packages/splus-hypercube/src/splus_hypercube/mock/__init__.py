"""A synthetic sky in the surveys' own file formats, with the truth beside it.

One model spectrum per source drives everything: S-PLUS photometry and images, Gaia and XP, ZTF,
DESI, APOGEE and VISTA. `write_mock` writes the tree that ``splus-hypercube build`` reads.
"""

from __future__ import annotations

from splus_hypercube.mock.tree import write_mock

__all__ = ["write_mock"]
