"""Write a catalogue as HATS: Parquet files by HEALPix pixels of mixed orders.

Layout and names follow the HATS 1.0 specification (IVOA note on HATS; see hats.readthedocs.io).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

__all__ = ["HatsWriter"]

Int = NDArray[np.int64]

_FIRST_ORDER = 6
_EXTRA_ORDERS = 3
_MAX_ROWS = 40
_DIRECTORY_PIXELS = 10_000


class HatsWriter:
    """Collects partitions of a HATS catalogue.

    Parameters
    ----------
    root : Path
        New folder of the catalogue.
    name : str
        Name of the catalogue.
    schema : pyarrow.Schema
        Has ``_healpix_29``.
    ra_column, dec_column : str
    """

    def __init__(
        self, root: Path, name: str, schema: pa.Schema, ra_column: str, dec_column: str
    ) -> None:
        self.root = root
        self.name = name
        self.schema = schema.with_metadata({"synthetic": "true"})
        self.columns = (ra_column, dec_column)
        self._pixels: list[tuple[int, int, int]] = []
        self._metadata: list[pq.FileMetaData] = []
        (root / "dataset").mkdir(parents=True)

    def write(self, table: pa.Table) -> None:
        """Write rows; none of their pixels of order 6 may have been in an earlier call."""
        healpix = np.asarray(table.column("_healpix_29").to_numpy())
        order = np.argsort(healpix, kind="stable")
        table = table.take(pa.array(order)).cast(self.schema)
        for level, pixel, rows in _partition(healpix[order]):
            group = pixel // _DIRECTORY_PIXELS * _DIRECTORY_PIXELS
            inner = Path(f"Norder={level}") / f"Dir={group}" / f"Npix={pixel}.parquet"
            path = self.root / "dataset" / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            collector: list[pq.FileMetaData] = []
            pq.write_table(
                table.slice(rows.start, rows.stop - rows.start),
                path,
                compression="zstd",
                metadata_collector=collector,
            )
            collector[0].set_file_path(inner.as_posix())
            self._metadata.append(collector[0])
            self._pixels.append((level, pixel, rows.stop - rows.start))

    def close(self) -> None:
        """Write the files that describe the whole catalogue."""
        dataset = self.root / "dataset"
        pq.write_metadata(self.schema, dataset / "_common_metadata")
        if self._metadata:
            pq.write_metadata(self.schema, dataset / "_metadata", self._metadata)
        lines = [f"{level},{pixel}" for level, pixel, _ in sorted(self._pixels)]
        (self.root / "partition_info.csv").write_text("\n".join(["Norder,Npix", *lines]) + "\n")
        orders = [level for level, _, _ in self._pixels]
        fraction = sum(1.0 / (12 * 4**level) for level in orders)
        properties = {
            "obs_collection": self.name,
            "obs_title": f"Synthetic {self.name}",
            "dataproduct_type": "object",
            "hats_nrows": sum(rows for _, _, rows in self._pixels),
            "hats_col_ra": self.columns[0],
            "hats_col_dec": self.columns[1],
            "hats_col_healpix": "_healpix_29",
            "hats_col_healpix_order": 29,
            "hats_npix_suffix": ".parquet",
            "hats_order": max(orders, default=0),
            "hats_max_rows": max((rows for _, _, rows in self._pixels), default=0),
            "hats_builder": "splus-hypercube mock",
            "hats_version": "v1.0",
            "moc_sky_fraction": f"{fraction:.9f}",
            "synthetic": "true",
        }
        text = "#HATS catalog\n" + "".join(f"{key}={value}\n" for key, value in properties.items())
        for name in ("hats.properties", "properties"):
            (self.root / name).write_text(text)


def _partition(healpix: Int) -> list[tuple[int, int, slice]]:
    """Partitions of rows sorted by their pixels of order 29: order, pixel and rows of each.

    A pixel with many rows is split, down to an order that differs between the pixels of order 6, so
    that neighbouring partitions have different orders.
    """
    leaves = []
    pending = [
        (_FIRST_ORDER, pixel) for pixel in np.unique(healpix >> _shift(_FIRST_ORDER)).tolist()
    ]
    while pending:
        order, pixel = pending.pop()
        first, last = np.searchsorted(
            healpix, [pixel << _shift(order), (pixel + 1) << _shift(order)]
        ).tolist()
        if first == last:
            continue
        deepest = _FIRST_ORDER + (pixel >> 2 * (order - _FIRST_ORDER)) % _EXTRA_ORDERS
        if last - first > _MAX_ROWS and order < deepest:
            pending.extend((order + 1, 4 * pixel + child) for child in range(4))
        else:
            leaves.append((order, pixel, slice(first, last)))
    return sorted(leaves, key=lambda leaf: leaf[2].start)


def _shift(order: int) -> int:
    return 2 * (29 - order)
