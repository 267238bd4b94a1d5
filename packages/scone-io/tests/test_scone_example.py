"""Payloads in every form that a protocol buffer may take."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
from sconeevents import SMALL, compressed, framed, make_event, make_events, same_event, write_shard

import scone_io
from scone_io.example import WireError, parse_event, serialise_event
from scone_io.example.event import _encoded, _message
from scone_io.example.wire import parse_features
from scone_io.grid import write_sidecar
from scone_io.shards import Shard


def message(number, *parts):
    return b"".join(_message(number, *parts))


def feature(key, *lists):
    return message(1, message(1, key), message(2, *lists))


def example(*features):
    return message(1, *features)


IMAGE = np.arange(48.0)
PARTS = {
    "id": feature(b"id", message(3, message(1, _encoded(7)))),
    "label": feature(b"label", message(3, message(1, _encoded(-1)))),
    "image": feature(b"image_raw", message(1, message(1, IMAGE.tobytes()))),
    "z": feature(b"z", message(2, message(1, struct.pack("<f", 0.25)))),
}


def parsed(*names, **changes):
    parts = {**PARTS, **changes}
    return parse_event(example(*(parts[name] for name in names)), SMALL.shape)


@pytest.mark.parametrize(
    "names",
    [("id", "label", "image", "z"), ("z", "image", "label", "id"), ("image", "id", "z", "label")],
)
def test_keys_come_in_any_order(names):
    event = parsed(*names)
    assert (event.snid, event.label, event.z, event.z_err) == (7, -1, 0.25, None)
    assert np.array_equal(event.image, IMAGE.reshape(4, 6, 2))


def test_lists_may_be_unpacked():
    event = parsed(
        "id",
        "label",
        "image",
        "z",
        id=feature(b"id", message(3, b"\x08" + _encoded(9))),
        z=feature(b"z", message(2, b"\x0d" + struct.pack("<f", 0.5))),
    )
    assert (event.snid, event.z) == (9, 0.5)


def test_unknown_keys_and_fields_are_skipped():
    extra = feature(b"more", message(3, message(1, bytes(range(100)))))
    strange = b"\x78\x05" + b"\x7d" + bytes(4) + b"\x79" + bytes(8) + b"\x7b\x08\x01\x7c"
    payload = strange + example(extra, *(PARTS[name] for name in ("id", "label", "image")), strange)
    event = parse_event(payload + strange, SMALL.shape)
    assert (event.snid, event.z) == (7, None)


def test_last_of_equal_keys_counts():
    again = feature(b"id", message(3, message(1, _encoded(8))))
    payload = example(PARTS["id"], PARTS["label"], PARTS["image"]) + example(again)
    assert parse_event(payload, SMALL.shape).snid == 8


@pytest.mark.parametrize("value", [0, 1, -1, 127, 128, 2**53 + 1, 2**63 - 1, -(2**63)])
def test_identifiers_of_64_bits_are_exact(value):
    rng = np.random.default_rng(0)
    event = make_event(1, rng, snid=value, label=-value // 2)
    assert same_event(parse_event(serialise_event(event), SMALL.shape), event)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": b""},
        {"image": b""},
        {"label": feature(b"label", message(2, message(1, bytes(4))))},
        {"id": feature(b"id", message(3, message(1, b"\x01\x02")))},
        {"id": feature(b"id", message(3, message(1, b"\xff" * 11)))},
        {"image": feature(b"image_raw", message(1, message(1, bytes(40))))},
        {"z": feature(b"z", message(2, message(1, bytes(3))))},
        {"z": b"\x0a\xff\xff\xff\xff\x0f"},
        {"z": b"\x0f"},
        {"z": b"\x0b"},
    ],
)
def test_what_is_no_event_is_refused(changes):
    with pytest.raises(WireError):
        parsed("id", "label", "image", "z", **changes)


def test_bombs_end_at_once_and_in_little_memory():
    bombs = [
        example(*(feature(b"%d" % number, b"") for number in range(40_000))),
        b"\x0b" * 1_000_000,
        example(feature(b"id", message(3, b"\x08\x01" * 3_000_000))),
        example(feature(b"id", message(3, message(1, bytes(5_000_000))))),
        b"\x08\x01" * 3_000_000,
    ]
    # A parser that follows every part takes minutes, and the suite's limit ends it.
    tracemalloc.start()
    for bomb in bombs:
        with pytest.raises(WireError):
            parse_event(bomb, SMALL.shape)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def test_parse_of_nothing_is_nothing():
    assert parse_features(b"") == {}


def test_uniform_shard_gives_views_and_mixed_lengths_the_same_events(tmp_path):
    events = make_events(40, first=100)  # identifiers of one and of two bytes
    path = write_shard(tmp_path / "x.tfrecord", events)
    batches = list(Shard(path).batches(size=28))
    assert [len(batch) for batch in batches] == [28, 12]
    view = batches[0].image
    assert not view.flags.owndata
    assert not view.flags.writeable
    assert view.shape == (28, 4, 6, 2)
    found = list(scone_io.open(path))
    assert all(map(same_event, found, events))


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
def test_records_of_every_kind_in_one_shard(tmp_path, compression):
    rng = np.random.default_rng(4)
    events, payloads = [], []
    for number in range(60):
        event = make_event(
            int(rng.choice([3, 300, 70_000, -5, 2**40])),
            rng,
            dtype=rng.choice(["<f4", "<f8"]),
            z=rng.choice([None, 0.5]),
            z_err=rng.choice([None, 0.25]),
            label=int(rng.integers(0, 3)),
        )
        payload = serialise_event(event)
        if number % 3 == 0:
            payload += bytes([0x78, number])  # an unknown field
        events.append(event)
        payloads.append(payload)
    path = tmp_path / "x.tfrecord"
    path.write_bytes(compressed(b"".join(map(framed, payloads)), compression))
    write_sidecar(path, SMALL)
    found = list(scone_io.open(path))
    assert len(found) == 60
    for ours, event in zip(found, events, strict=True):
        assert (ours.snid, ours.label, ours.z, ours.z_err) == (
            event.snid,
            event.label,
            event.z,
            event.z_err,
        )
        # A batch that mixes both types holds the wider one, in which every float32 is exact.
        assert np.array_equal(ours.image, event.image)


def test_python_interface(mock_folder):
    shards = scone_io.open(mock_folder)
    assert len(shards) == 60
    assert shards[-1].snid == shards.snids[-1]
    assert [event.snid for event in shards[28:33]] == shards.snids[28:33].tolist()
    event = shards.by_snid(int(shards.snids[31]))
    assert same_event(event, list(shards)[31])
    with pytest.raises(KeyError):
        shards.by_snid(-1)
    with pytest.raises(IndexError):
        shards[60]
    frame = shards.to_pandas()
    assert frame["snid"].tolist() == shards.snids.tolist()
