"""Reads damaged copies of FITS files in bounded memory; run by test_fits_faults.py.

Usage: read_mutants.py FOLDER SEED COUNT. Each file of the folder is damaged COUNT times. Prints one
JSON object: per file how many copies were refused and how many were read, and every outcome that
is neither.
"""

from __future__ import annotations

import gzip
import json
import random
import resource
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from astro_common.errors import InputError
from astro_common.fits import open_fits

MEMORY_BYTES = 3 << 30
CPU_SECONDS = 300


def flip_bits(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 2, 10, 100])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def overwrite(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    size = rng.choice([1, 4, 80, 3000])
    fill = rng.choice([b"\x00", b"\xff", b" ", b"9", b"\x7f"])
    stop = min(start + size, len(content))
    content[start:stop] = fill * (stop - start)


def truncate(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content)) :]


def remove(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    del content[start : start + rng.choice([1, 80, 2880])]


def repeat(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    part = content[start : start + rng.choice([1, 80, 2880])]
    content[start:start] = part


VALUES = [
    0, -1, 1, 2, 7, 255, 999, 1000, 65536, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 60, 1 << 63,
    10**30, -(1 << 31), 1.5, "'text    '", "T", "F", "''", "1E400", "'1PB(9)  '", "'8X      '", "",
]  # fmt: skip


def edit_card(content: bytearray, rng: random.Random) -> None:
    cards = [
        start
        for start in range(0, len(content) - 79, 80)
        if content[start + 8 : start + 10] == b"= " and content[start : start + 1].isalpha()
    ]
    if cards:
        start = rng.choice(cards)
        text = str(rng.choice(VALUES))
        content[start + 10 : start + 80] = text.rjust(20).ljust(70).encode()


def edit_header(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        edit_card(content, rng)


MUTATIONS = [flip_bits, overwrite, truncate, remove, repeat, edit_header, edit_header, edit_header]


def damage(original: bytes, rng: random.Random) -> bytes:
    # Half of the gzip files are damaged inside, where the checksum does not see it.
    inside = original[:2] == b"\x1f\x8b" and rng.random() < 0.5
    content = bytearray(gzip.decompress(original) if inside else original)
    rng.choice(MUTATIONS)(content, rng)
    return gzip.compress(bytes(content), 1) if inside else bytes(content)


def read_all(path: Path, rng: random.Random) -> None:
    with open_fits(path) as file:
        for info in file.hdus:
            header = file.header(info.index)
            for card in header.cards:
                str(card.value)
            if info.kind in ("table", "ascii_table"):
                table = file.table(info.index)
                read = table.read()
                read.validate(full=True)
                if table.column_names:
                    assert read.num_rows == table.num_rows
                    rows = [rng.randrange(table.num_rows)] * 2 if table.num_rows else []
                    assert table.read(table.column_names[-1:], rows).num_rows == len(rows)
            elif info.kind in ("image", "compressed_image"):
                image = file.image(info.index)
                assert image.read().shape == image.shape
                assert image.read([0, 0]).shape == (2, *image.shape[1:])


def main(folder: Path, seed: int, count: int) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    warnings.simplefilter("error")
    report: dict[str, Any] = {"read": {}, "refused": {}, "wrong": []}
    mutant = folder / "mutant"
    for path in sorted(folder.glob("*.f*")):
        original = path.read_bytes()
        report["read"][path.name] = report["refused"][path.name] = 0
        for number in range(count):
            rng = random.Random(f"{seed} {path.name} {number}")
            mutant.write_bytes(damage(original, rng))
            try:
                read_all(mutant, rng)
                report["read"][path.name] += 1
            except InputError as error:
                report["refused"][path.name] += 1
                if error.source != str(mutant) or "\n" in str(error):
                    report["wrong"].append([path.name, number, str(error)])
            except Exception:  # noqa: BLE001 - whatever escapes is what this looks for
                report["wrong"].append([path.name, number, traceback.format_exc()])
    return report


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
