"""20,000 cutouts of 96 x 96 from one 11,000 x 11,000 Rice-compressed image.

The cutting is measured against `astropy.nddata.Cutout2D` on the image in memory; the whole, from
the compressed file, against decompressing the image once and copying as many bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_common.benchmarking import (
    Result,
    median_ratio,
    note,
    paired_seconds,
    parser,
    peer_versions,
    report,
    require,
)
from astro_common.fits import open_fits
from splus_hypercube.cutouts import ImageStrips, SourcePixels, cut, source_pixels
from splus_hypercube.scratch import Scratch

SIZE_PX = 96
PIXEL_SCALE_DEG = 0.55 / 3600.0
GROUP_ROWS = 256
STRIP_MEMORY_BYTES = 64 << 20

Image = NDArray[np.float32]


def image_wcs(image_size: int) -> Any:
    """Tangent-plane WCS, as S-PLUS images have it."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [150.0, -30.0]
    wcs.wcs.crpix = [0.5 * (image_size + 1), 0.5 * (image_size + 1)]
    wcs.wcs.cd = np.array([[-PIXEL_SCALE_DEG, 0.0], [0.0, PIXEL_SCALE_DEG]])
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def make_image(image_size: int, seed: int) -> Path:
    """Write the image, or find it where an earlier run has left it."""
    folder = Path(tempfile.gettempdir()) / "splus-hypercube-benchmarks"
    folder.mkdir(exist_ok=True)
    path = folder / f"image-{image_size}-{seed}.fits.fz"
    if path.exists():
        return path
    note(f"making {path.name} ...")
    random = np.random.default_rng(seed)
    pixels = random.standard_normal((image_size, image_size), dtype=np.float32)
    pixels *= 3.0
    for _ in range(image_size**2 // 5000):
        column, row = random.integers(8, image_size - 8, 2)
        patch = pixels[row - 8 : row + 9, column - 8 : column + 9]
        across = np.arange(-8, 9) ** 2
        patch += random.exponential(300.0) * np.exp(-(across[:, None] + across) / 8.0)
    header = image_wcs(image_size).to_header()
    unfinished = path.with_suffix(".partial")
    fits.CompImageHDU(
        pixels, header, compression_type="RICE_1", tile_shape=(1, image_size), quantize_level=16
    ).writeto(unfinished, overwrite=True)
    unfinished.replace(path)
    return path


def groups(count: int) -> Iterator[slice]:
    """Consecutive sources whose cutouts share one buffer."""
    for start in range(0, count, GROUP_ROWS):
        yield slice(start, min(start + GROUP_ROWS, count))


def cut_ours(image: Image, pixels: SourcePixels, buffer: Image) -> Iterator[Image]:
    """This package's cutting, from an image in memory."""
    for group in groups(len(pixels.x)):
        out = buffer[: group.stop - group.start]
        x, y = pixels.x[group], pixels.y[group]
        out[at_edge(x, y, image.shape)] = np.nan
        cut(image, x, y, out)
        yield out


def at_edge(x: Any, y: Any, shape: tuple[int, ...]) -> Any:
    """Which cutouts the image does not cover as a whole."""
    half = SIZE_PX // 2
    n_y, n_x = shape
    return (x < half) | (y < half) | (x > n_x - half) | (y > n_y - half)


def cut_by_position(image: Image, wcs: Any, sources: Any, buffer: Image) -> Iterator[Image]:
    """One Cutout2D per source, at its position on the sky, as users write it."""
    for group in groups(len(sources)):
        for place, number in enumerate(range(group.start, group.stop)):
            buffer[place] = Cutout2D(
                image, sources[number], SIZE_PX, wcs=wcs, mode="partial", fill_value=np.nan
            ).data
        yield buffer[: group.stop - group.start]


def cut_by_pixel(image: Image, pixels: SourcePixels, buffer: Image) -> Iterator[Image]:
    """One Cutout2D per source, at its pixel, without a WCS."""
    # An even cutout has its centre between two pixels: half a pixel before the source's.
    centres = np.stack([pixels.x - 0.5, pixels.y - 0.5], axis=1).tolist()
    for group in groups(len(centres)):
        for place, centre in enumerate(centres[group]):
            buffer[place] = Cutout2D(
                image, tuple(centre), SIZE_PX, mode="partial", fill_value=np.nan
            ).data
        yield buffer[: group.stop - group.start]


def whole_ours(path: Path, ra: Any, dec: Any, buffer: Image) -> Iterator[Image]:
    """This package's way from the compressed file to the cutouts, strip by strip."""
    with open_fits(path) as file, Scratch(Path(tempfile.gettempdir())) as scratch:
        image = file.image()
        pixels = source_pixels(image.header, ra, dec, path)
        strips = ImageStrips(
            lambda start, stop: np.asarray(image.read(rows=slice(start, stop)), np.float32),
            (int(image.shape[0]), int(image.shape[1])),
            pixels.y,
            SIZE_PX,
            scratch,
            STRIP_MEMORY_BYTES,
        )
        for group in groups(len(ra)):
            out = buffer[: group.stop - group.start]
            strips.cut(group.start, pixels.x[group], pixels.y[group], out)
            yield out


def decompress_and_copy(read: Callable[[], Image], count: int, buffer: Image) -> Iterator[Image]:
    """Decompress once, then copy as many bytes as the cutouts have."""
    flat = read().reshape(-1)
    length = SIZE_PX**2
    for group in groups(count):
        out = buffer[: group.stop - group.start]
        start = group.start * length % max(len(flat) - out.size, 1)
        np.copyto(out.reshape(-1), flat[start : start + out.size])
        yield out


def drain(results: Iterator[Image]) -> None:
    """Make all cutouts, and keep none."""
    for _ in results:
        continue


def require_equal(statement: str, first: Iterator[Image], second: Iterator[Image]) -> None:
    """Compare two ways to the same cutouts, group by group."""
    for one, other in zip(first, second, strict=True):
        require(np.array_equal(one, other, equal_nan=True), statement)


def main() -> None:
    options = parser((__doc__ or "").splitlines()[0])
    options.add_argument("--image-size", type=int, default=11_000, metavar="PX")
    options.add_argument("--sources", type=int, default=20_000, metavar="N")
    arguments = options.parse_args()
    path = make_image(arguments.image_size, arguments.seed)
    random = np.random.default_rng([arguments.seed, arguments.sources])
    # A catalogue runs roughly along y, as SExtractor writes it; some sources lie at the edges.
    x, y = random.uniform(0.0, arguments.image_size - 1.0, (2, arguments.sources))
    order = np.argsort(y + random.normal(0.0, 6.0, len(y)))
    wcs = image_wcs(arguments.image_size)
    ra, dec = wcs.all_pix2world(x[order], y[order], 0)
    image = np.ascontiguousarray(fits.getdata(path, 1), np.float32)
    pixels = source_pixels(wcs.to_header(), ra, dec, path)
    shape = (GROUP_ROWS, SIZE_PX, SIZE_PX)
    buffer, second = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    # Moved by half a pixel, so that an even Cutout2D has the source at index 48 as ours has.
    centres = wcs.all_pix2world(pixels.x - 0.5, pixels.y - 0.5, 0)
    sources = SkyCoord(*centres, unit=u.deg)
    count = len(ra)

    by_position = "Cutout2D per source, SkyCoord and wcs"
    by_pixel = "Cutout2D per source, pixel position"
    require_equal(by_pixel, cut_ours(image, pixels, buffer), cut_by_pixel(image, pixels, second))
    require_equal(
        by_position, cut_ours(image, pixels, buffer), cut_by_position(image, wcs, sources, second)
    )
    require_equal("strips", whole_ours(path, ra, dec, second), cut_ours(image, pixels, buffer))
    require(
        np.array_equal(image, fitsio.read(path, ext=1).astype(np.float32)), "astropy and fitsio"
    )

    ours_cutting = "cutting: splus_hypercube, pixel positions"
    ours_from_sky = "cutting: splus_hypercube, sky positions"
    header = wcs.to_header()

    def cut_from_sky() -> None:
        drain(cut_ours(image, source_pixels(header, ra, dec, path), buffer))

    seconds = paired_seconds(
        {
            ours_cutting: lambda: drain(cut_ours(image, pixels, buffer)),
            ours_from_sky: cut_from_sky,
            f"cutting: {by_pixel}": lambda: drain(cut_by_pixel(image, pixels, buffer)),
            f"cutting: {by_position}": lambda: drain(cut_by_position(image, wcs, sources, buffer)),
        },
        arguments.repeats,
    )
    readers: dict[str, Callable[[], Image]] = {
        "astropy": lambda: fits.getdata(path, 1),
        "fitsio": lambda: fitsio.read(path, ext=1),
    }
    ours_whole = "whole: splus_hypercube, from the file"
    wholes: dict[str, Callable[[], None]] = {
        ours_whole: lambda: drain(whole_ours(path, ra, dec, buffer))
    }
    for name, read in readers.items():
        wholes[f"whole: decompress with {name}, copy the bytes"] = partial(
            lambda read: drain(decompress_and_copy(read, count, buffer)), read
        )
    seconds |= paired_seconds(wholes, arguments.repeats)

    result = Result(
        "splus-hypercube",
        "Cutouts",
        f"{count:,} cutouts of {SIZE_PX} x {SIZE_PX} from one {arguments.image_size:,} x "
        f"{arguments.image_size:,} image, Rice-compressed in row tiles "
        f"({path.stat().st_size / 1e6:.0f} MB), into one reused buffer of {GROUP_ROWS} cutouts; "
        "all programs give the same pixels.",
        versions=peer_versions("astropy", "fitsio"),
    )
    for name, values in seconds.items():
        result.measured(name, float(np.median(values)))
    # Like with like: a peer that converts sky positions against our way that does so too.
    ratios = {
        by_pixel: median_ratio(seconds[f"cutting: {by_pixel}"], seconds[ours_cutting]),
        by_position: median_ratio(seconds[f"cutting: {by_position}"], seconds[ours_from_sky]),
    }
    for name, ratio in ratios.items():
        label = " (the faster peer)" if ratio == min(ratios.values()) else ""
        result.at_least(f"{name} / ours, cutting{label}", ratio, 20.0)
    copies = {name: seconds[f"whole: decompress with {name}, copy the bytes"] for name in readers}
    quicker = min(copies, key=lambda name: float(np.median(copies[name])))
    result.at_most(
        f"ours / decompressing with {quicker} and copying, whole",
        median_ratio(seconds[ours_whole], copies[quicker]),
        1.5,
    )
    report(result, arguments.output)


if __name__ == "__main__":
    main()
