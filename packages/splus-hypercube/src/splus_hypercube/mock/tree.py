"""Write the whole mock: a tree of survey files as they come from the archives, with its truth."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from astro_common.errors import ConfigurationError, OutputError
from splus_hypercube.configuration import MAX_CUTOUT_PX
from splus_hypercube.mock.apogee import ApogeeRows, make_apogee, write_apogee
from splus_hypercube.mock.desi import make_desi
from splus_hypercube.mock.desi_files import write_tile
from splus_hypercube.mock.fields import EPOCH_JYEAR, MockField, mock_fields
from splus_hypercube.mock.gaia import make_gaia, source_identifiers, write_by_range
from splus_hypercube.mock.gaia_columns import GAIA_COLUMNS
from splus_hypercube.mock.hats import HatsWriter
from splus_hypercube.mock.images import write_images
from splus_hypercube.mock.objects import CatalogueRows
from splus_hypercube.mock.sky import make_sky
from splus_hypercube.mock.specz import make_specz, write_specz
from splus_hypercube.mock.splus import make_catalogue, write_catalogue
from splus_hypercube.mock.truth import SurveyRows, spectra_table, truth_table
from splus_hypercube.mock.vista import make_vista, write_vista
from splus_hypercube.mock.xp import write_xp
from splus_hypercube.mock.ztf import BAD_CATFLAG, ZTF_SCHEMA, make_ztf

__all__ = ["write_mock"]

_LOG = logging.getLogger(__name__)

_SMALLEST_IMAGE_PX = 64

_APOGEE_FILE = "allStar-dr17-synspec_rev1.fits"
_SPECZ_FILE = "specz_compilation.parquet"
_TILES_FILE = "desi_tiles.csv"

_CONFIGURATION = f"""\
# SYNTHETIC DATA: every file here was made by splus-hypercube mock; nothing was observed.
# The layout and the formats are those of the surveys' public files; see README.txt.
fields: fields.csv
exclude_fields: ["SPLUS-b*", "SPLUS-d*", "MC*"]
output: hypercube
splus:
  catalogue: "main/{{field}}_dual.fits"
  images: ["idr6/{{field}}/{{field}}_{{band}}.fits.fz"]
  epoch_jyear: {EPOCH_JYEAR}
cutouts: {{size_px: <size>, rows: all}}
gaia: {{directory: gaia_dr3, radius_arcsec: 1.2}}
gaia_xp: {{directory: gaia_xp}}
ztf: {{directory: ztf, radius_arcsec: 1.0, bad_catflags: {BAD_CATFLAG}}}
desi: {{directory: desi, tiles: {_TILES_FILE}, radius_arcsec: 1.0}}
apogee: {{file: {_APOGEE_FILE}, radius_arcsec: 1.0}}
specz: {{file: {_SPECZ_FILE}, radius_arcsec: 1.0}}
vista: {{file: "vista/{{field}}.parquet", radius_arcsec: 1.0}}
"""

_README = """\
Synthetic survey files for splus-hypercube

Nothing here was observed. A seeded program drew stars, galaxies and quasars, gave each of them one
spectrum, and wrote what each survey would have published, in the surveys' own formats:

hypercube.yaml                   configuration for `splus-hypercube build`
fields.csv                       the fields
main/, idr6/                     S-PLUS catalogues and images
gaia_dr3/, gaia_xp/              Gaia DR3 sources at epoch 2016.0 and XP continuous spectra
ztf/                             ZTF light curves as HATS
desi/, desi_tiles.csv            DESI coadds and redshifts by tile
allStar-dr17-synspec_rev1.fits   APOGEE
specz_compilation.parquet        redshifts from the literature
vista/                           VISTA photometry by field
truth.parquet                    one row per S-PLUS source: what it is, its true magnitudes, and the
                                 entry of each survey that a correct match finds
truth_spectra.parquet            noiseless spectra of all DESI targets, 1e-17 erg/s/cm2/angstrom
"""


def write_mock(
    directory: Path,
    *,
    fields: int,
    sources: int,
    image_size_px: int,
    seed: int,
    progress: bool = False,
    cutout_size_px: int = 96,
) -> None:
    """Write a synthetic tree of survey files and the truth about it.

    Parameters
    ----------
    directory : Path
        Folder to make; it must not exist. It appears once everything in it is complete.
    fields : int
        Number of fields. The first lies on the equator, the second straddles RA 0 h, the third
        contains the south pole, the fourth was observed by S-PLUS and Gaia alone.
    sources : int
        S-PLUS sources per field.
    image_size_px : int
        Width and height of the images, pixels of 0.55 arcsec.
    seed : int
        Not negative. The same arguments give the same bytes, and a field is the same however many
        fields there are.
    progress : bool, optional
        Say on stderr which field is being written.
    cutout_size_px : int, optional
        Width and height of the cutouts that the configuration asks for.

    Raises
    ------
    ConfigurationError
        If a number is out of range, or the sources do not fit into the image.
    OutputError
        If the folder exists or cannot be written.
    """
    _check(fields, sources, image_size_px, seed, cutout_size_px)
    directory = Path(directory)
    chosen = mock_fields(fields, size_px=image_size_px, seed=seed)
    if directory.exists() or directory.is_symlink():
        raise OutputError(
            directory, "it exists already", "a folder to be made", "name another or remove it first"
        )
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise OutputError(directory, error.strerror or str(error), "a writable place") from error
    try:
        _write_tree(place, chosen, sources, progress)
        configuration = _CONFIGURATION.replace("<size>", str(cutout_size_px))
        (place / "hypercube.yaml").write_text(configuration)
        _flush(place)
        # Only their owner can read folders that mkdtemp makes.
        place.chmod(0o777 & ~_umask())
        place.rename(directory)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise OutputError(directory, error.strerror or str(error), "room to write") from error
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _check(fields: int, sources: int, image_size_px: int, seed: int, cutout_size_px: int) -> None:
    for option, value, least in (
        ("--fields", fields, 1),
        ("--sources", sources, 1),
        ("--image-size", image_size_px, _SMALLEST_IMAGE_PX),
        ("--seed", seed, 0),
        ("--cutout-size", cutout_size_px, 1),
    ):
        if value < least:
            raise ConfigurationError(option, f"{value}", f"at least {least}")
    if cutout_size_px > MAX_CUTOUT_PX:
        raise ConfigurationError("--cutout-size", f"{cutout_size_px}", f"at most {MAX_CUTOUT_PX}")


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _write_tree(place: Path, fields: tuple[MockField, ...], sources: int, progress: bool) -> None:
    for name in ("main", "idr6", "gaia_dr3", "gaia_xp", "desi", "vista"):
        (place / name).mkdir()
    ztf = HatsWriter(place / "ztf", "ztf_lightcurves", ZTF_SCHEMA, "objra", "objdec")
    apogee: list[ApogeeRows] = []
    specz: list[CatalogueRows] = []
    # The survey's own list also has tiles that no field lies on.
    tiles = ["TILEID,TILERA,TILEDEC,SURVEY,PROGRAM", "42,150.1000,32.5000,main,dark"]
    with (
        _GrowingTable(place / "truth.parquet") as truth,
        _GrowingTable(place / "truth_spectra.parquet") as spectra,
    ):
        for number, field in enumerate(fields):
            if progress:
                print(f"{field.name} ({number + 1} of {len(fields)})", file=sys.stderr, flush=True)
            rows, table = _write_field(place, field, sources, ztf)
            apogee.append(rows.apogee)
            specz.append(rows.specz)
            tiles.extend(
                f"{tile.tileid},{tile.ra:.6f},{tile.dec:.6f},main,dark" for tile in rows.tiles
            )
            truth.write(table)
            spectra.write(spectra_table(rows.targets))
    ztf.close()
    write_apogee(place / _APOGEE_FILE, apogee)
    write_specz(place / _SPECZ_FILE, specz)
    (place / _TILES_FILE).write_text("\n".join(tiles) + "\n")
    lines = [f"{field.name},{field.ra:.6f},{field.dec:.6f}" for field in fields]
    (place / "fields.csv").write_text("\n".join(["field,ra,dec", *lines]) + "\n")
    (place / "README.txt").write_text(_README)


def _write_field(
    place: Path, field: MockField, sources: int, ztf: HatsWriter
) -> tuple[SurveyRows, pa.Table]:
    """Write everything that belongs to one field alone."""
    sky = make_sky(field, sources)
    folder = place / "idr6" / field.name
    folder.mkdir()
    apertures = write_images(folder, sky)
    catalogue = make_catalogue(sky, apertures)
    write_catalogue(place / "main" / f"{field.name}_dual.fits", catalogue)
    gaia = make_gaia(sky, catalogue)
    write_by_range(place / "gaia_dr3", "GaiaSource", field, GAIA_COLUMNS, gaia.table)
    write_xp(place / "gaia_xp", sky, gaia)
    light_curves = make_ztf(sky, catalogue)
    ztf.write(light_curves.table)
    targets, tiles = make_desi(sky, catalogue)
    petals = [write_tile(place / "desi", sky, targets, tile) for tile in tiles]
    apogee = make_apogee(sky, catalogue, source_identifiers(gaia, len(sky)))
    vista = make_vista(sky, catalogue)
    write_vista(place / "vista" / f"{field.name}.parquet", vista)
    rows = SurveyRows(
        gaia=gaia,
        ztf=light_curves,
        targets=targets,
        tiles=tiles,
        petals=petals,
        apogee=apogee,
        specz=make_specz(sky, catalogue),
        vista=vista,
    )
    _LOG.debug("%s: written", field.name)
    return rows, truth_table(sky, catalogue, apertures, rows)


class _GrowingTable:
    """A Parquet file that takes its schema from the first table written to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _GrowingTable:
        return self

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def __exit__(self, *_error: object) -> None:
        if self._writer is not None:
            self._writer.close()


def _flush(folder: Path) -> None:
    """Wait until every file below a folder is on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
