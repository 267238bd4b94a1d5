from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from astropy.io import fits

from astro_common.testing import damaged


@pytest.fixture(scope="module")
def image():
    buffer = io.BytesIO()
    fits.PrimaryHDU(np.arange(600, dtype=np.int16).reshape(20, 30)).writeto(buffer)
    return buffer.getvalue()


def test_the_same_state_gives_the_same_damage(image):
    first, second = (
        [damaged(image, rng) for _ in range(50)]
        for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert first == second
    assert sum(copy != image for copy in first) > 40


def test_files_get_shorter_and_longer_and_stay_as_long(image):
    rng = np.random.default_rng(0)
    lengths = np.array([len(damaged(image, rng)) for _ in range(200)])
    for kind in (lengths < len(image), lengths > len(image), lengths == len(image)):
        assert kind.sum() > 15


def test_values_of_a_header_change(image):
    rng = np.random.default_rng(0)
    cards = {card.keyword for card in fits.Header.fromstring(image[:2880].decode()).cards}
    changed = set()
    for _ in range(300):
        copy = damaged(image, rng)
        places = [i for i in range(0, 2880, 80) if copy[i : i + 80] != image[i : i + 80]]
        if len(copy) == len(image) and len(places) == 1 and places[0] % 80 == 0:
            changed.add(copy[places[0] : places[0] + 8].decode("latin-1").strip())
    assert {"SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2"} <= changed & cards


def test_gzip_is_damaged_inside_and_outside(image):
    rng = np.random.default_rng(0)
    packed = gzip.compress(image, mtime=0)
    inside = 0
    for _ in range(100):
        try:
            inside += gzip.decompress(damaged(packed, rng)) != image
        except (OSError, EOFError, gzip.zlib.error):
            continue
    assert 30 < inside < 70


def test_a_file_of_one_byte():
    rng = np.random.default_rng(0)
    assert all(isinstance(damaged(b"x", rng), bytes) for _ in range(100))
