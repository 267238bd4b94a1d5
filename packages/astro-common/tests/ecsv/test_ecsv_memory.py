from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

MEASURE = """
import json, resource, sys
from astro_common.ecsv import open_ecsv

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

small, large = sys.argv[1:]
with open_ecsv(small) as reader:
    assert sum(batch.num_rows for batch in reader.batches()) == 20
before = peak()
with open_ecsv(large) as reader:
    count = sum(batch.num_rows for batch in reader.batches(batch_bytes=2 << 20))
print(json.dumps({"count": count, "grown": peak() - before}))
"""


def test_the_length_of_a_file_costs_no_memory(tmp_path: Path) -> None:
    rng = random.Random(1)
    header = (
        "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n"
        "# - {name: source_id, datatype: int64}\n"
        "# - {name: v, datatype: string, subtype: 'float64[null]'}\nsource_id,v\n"
    )
    rows = [f'{rng.getrandbits(60)},"{[rng.random() for _ in range(55)]}"\n' for _ in range(1000)]
    small = tmp_path / "small.csv.gz"
    small.write_bytes(gzip.compress((header + "".join(rows[:20])).encode()))
    large = tmp_path / "large.csv.gz"
    with gzip.open(large, "wb", compresslevel=1) as file:
        file.write(header.encode())
        block = "".join(rows).encode()
        for _ in range(60):
            file.write(block)
    assert len(block) * 60 > 60_000_000
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(small), str(large)],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(run.stdout)
    assert report["count"] == 60_000
    # A block of 2 MiB of text, its parsed form, and what the parser keeps ready.
    assert report["grown"] < 62 << 20
