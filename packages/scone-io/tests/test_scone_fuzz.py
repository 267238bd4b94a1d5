"""Thousands of damaged shards: each is reported or harmless, none gives a wrong number."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from sconeevents import SMALL, compressed, make_event, make_events, write_shard

from astro_common.errors import AstroError
from astro_common.testing import damaged
from scone_io.example import serialise_event
from scone_io.grid import write_sidecar
from scone_io.shards import Shard, event_of
from scone_io.tfrecord import check_file, repair_file

TRIALS = 900


def key(event):
    return (event.snid, event.label, event.z, event.z_err, event.image.tobytes())


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
@pytest.mark.parametrize("below", [False, True])
def test_mutated_shards(tmp_path, compression, below):
    """`below`: the damage is in the records, under a sound compressed stream."""
    rng = np.random.default_rng([7, below, len(compression)])
    events = make_events(6)
    path = write_shard(tmp_path / "x.tfrecord", events)
    plain = path.read_bytes()
    known = {key(event) for event in events}
    reported = 0
    for trial in range(TRIALS // 2):
        if below or compression == "none":
            path.write_bytes(compressed(damaged(plain, rng), compression))
        else:
            path.write_bytes(damaged(compressed(plain, compression), rng))
        check = check_file(path)
        shard = Shard(path, on_bad="skip")
        found = [event_of(batch, row) for batch in shard.batches(4) for row in range(len(batch))]
        # Splicing repeats or removes whole records; none may be another than was written.
        assert {key(event) for event in found} <= known, trial
        assert len(found) == check.records
        assert shard.num_bad == len(check.bad)
        try:
            for _ in Shard(path).batches():
                pass
            strict = None
        except AstroError as error:
            strict = str(error)
            assert "\n" not in strict
            assert f"offset {check.bad[0].offset}" in strict
        assert (strict is not None) == bool(check.bad)
        reported += bool(check.bad)
        offsets = [bad.offset for bad in check.bad]
        assert offsets == sorted(offsets)
        if trial % 10 == 0:
            mended = tmp_path / "y.tfrecord"
            repair_file(path, mended, overwrite=True)
            again = check_file(mended)
            assert (again.records, again.bad) == (check.records, [])
    assert reported > TRIALS // 4


def test_mutated_payloads_under_sound_checksums(tmp_path):
    """What a faulty writer leaves: the checksums hold and the Example is broken."""
    rng = np.random.default_rng(11)
    path = tmp_path / "x.tfrecord"
    write_sidecar(path, SMALL)
    payload = serialise_event(make_event(7, rng))
    from sconeevents import framed

    refused = 0
    for _ in range(TRIALS):
        broken = bytearray(damaged(payload, rng))
        path.write_bytes(framed(payload) + framed(bytes(broken)) + framed(payload))
        shard = Shard(path, on_bad="skip")
        count = sum(len(batch) for batch in shard.batches())
        assert count + shard.num_bad == 3
        refused += shard.num_bad
    assert refused > TRIALS // 4


def test_commands_on_mutated_shards(run, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    rng = np.random.default_rng(5)
    events = make_events(5)
    path = write_shard(tmp_path / "x.tfrecord", events)
    plain = path.read_bytes()
    for trial in range(40):
        path.write_bytes(damaged(plain, rng))
        status, out, _ = run("verify", path, "--json")
        bad = json.loads(out)["num_bad"]
        assert status == (1 if bad else 0)
        target = tmp_path / f"{trial}.parquet"
        for words in (
            ("info", path),
            ("extract", path, "-o", target),
            ("convert", path, "-o", tmp_path / f"{trial}.npz"),
        ):
            status, _, err = run(*words)
            assert status == (1 if bad else 0), words
            if bad:
                assert "offset" in err.strip().splitlines()[-1]
        assert target.exists() == (not bad)
