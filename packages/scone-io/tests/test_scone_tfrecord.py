"""Records, checksums, compressed streams, and what is wrong with them."""

from __future__ import annotations

import gzip
import json
import struct
import zlib

import numpy as np
import pytest
from sconeevents import compressed, framed, make_events, write_shard

import scone_io
from astro_common.errors import ConfigurationError, InputError
from scone_io.tfrecord import MAX_RECORD_BYTES, check_file, open_content, repair_file
from scone_io.tfrecord.checksums import header_bytes, length_checks, masked_checksum
from scone_io.tfrecord.content import sniff_compression

PAYLOADS = [bytes([number]) * (50 + 7 * number) for number in range(8)]


def offsets(payloads=PAYLOADS):
    return np.cumsum([0] + [len(payload) + 16 for payload in payloads]).tolist()


@pytest.fixture
def content():
    return b"".join(map(framed, PAYLOADS))


@pytest.fixture
def check(tmp_path):
    def write_and_check(data):
        path = tmp_path / "x.tfrecord"
        path.write_bytes(data)
        return check_file(path)

    return write_and_check


def test_checksum_of_the_standard_vector():
    assert masked_checksum(b"123456789") == 0xC78AB0E5


def test_empty_record_has_the_known_bytes():
    assert framed(b"").hex() == "000000000000000029039807d8ea82a2"


def test_checksums_of_many_lengths_are_those_of_each():
    lengths = np.random.default_rng(1).integers(0, 1 << 32, size=200, dtype=np.uint32)
    expected = [struct.unpack("<I", header_bytes(int(length))[8:])[0] for length in lengths]
    assert length_checks(lengths).tolist() == expected


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
def test_sound_files_are_sound(check, content, compression):
    found = check(compressed(content, compression))
    assert (found.records, found.bad, found.compression) == (8, [], compression)


def test_empty_file_has_no_records(check):
    found = check(b"")
    assert (found.records, found.bad) == (0, [])


def test_concatenated_gzip_members_and_padding_are_one_stream(check, content):
    half = offsets()[4]
    data = gzip.compress(content[:half]) + gzip.compress(content[half:]) + bytes(700)
    found = check(data)
    assert (found.records, found.bad) == (8, [])


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
def test_damaged_data_is_one_bad_record(check, content, compression):
    data = bytearray(content)
    data[offsets()[3] + 20] ^= 4
    found = check(compressed(bytes(data), compression))
    assert found.records == 7
    assert [bad.offset for bad in found.bad] == [offsets()[3]]
    assert "data" in found.bad[0].reason


@pytest.mark.parametrize("place", range(12))
def test_damaged_header_is_one_bad_record(check, content, place):
    data = bytearray(content)
    data[offsets()[5] + place] ^= 0x10
    found = check(bytes(data))
    assert found.records == 7
    assert [bad.offset for bad in found.bad] == [offsets()[5]]


def test_damaged_data_before_a_damaged_length_are_two_bad_records(check, content):
    data = bytearray(content)
    data[offsets()[2] + 20] ^= 1
    data[offsets()[3]] ^= 1
    found = check(bytes(data))
    assert [bad.offset for bad in found.bad] == [offsets()[2], offsets()[3]]
    assert found.records == 6


def test_bytes_lost_inside_a_record_cost_that_record_alone(check, content):
    start = offsets()[4]
    found = check(content[: start + 30] + content[start + 40 :])
    assert [bad.offset for bad in found.bad] == [start]
    assert found.records == 7


@pytest.mark.parametrize("kept", [1, 11, 12, 40])
def test_torn_tail_is_one_bad_record(check, content, kept):
    found = check(content[: offsets()[7] + kept])
    assert [bad.offset for bad in found.bad] == [offsets()[7]]
    assert "torn" in found.bad[0].reason
    assert found.records == 7


def test_scan_resumes_across_the_edge_of_a_search_block(check):
    damaged = bytearray(framed(bytes((1 << 20) + 5)))
    damaged[0] ^= 1
    found = check(bytes(damaged) + framed(b"after"))
    assert [bad.offset for bad in found.bad] == [0]
    assert found.records == 1


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_every_way_to_cut_a_compressed_stream_short_is_one_bad_record(check, content, compression):
    stream = compressed(content, compression)
    for length in range(20, len(stream)):
        found = check(stream[:length])
        assert len(found.bad) == 1, length
        assert found.bad[0].offset in offsets()
        assert found.bad[0].offset == offsets()[found.records]


def test_wrong_trailer_of_gzip_is_reported_after_sound_records(check, content):
    stream = bytearray(gzip.compress(content))
    stream[-8] ^= 1
    found = check(bytes(stream))
    assert found.records == 8
    assert [bad.offset for bad in found.bad] == [offsets()[8]]


@pytest.mark.parametrize("length", [MAX_RECORD_BYTES + 1, 1 << 60, (1 << 64) - 1])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_absurd_length_is_refused_before_it_is_read(tmp_path, content, length, compression):
    path = tmp_path / "x.tfrecord"
    path.write_bytes(compressed(content + header_bytes(length) + bytes(100), compression))
    found = check_file(path)
    assert [bad.offset for bad in found.bad] == [offsets()[8]]
    assert str(length) in found.bad[0].reason


def test_compressed_bomb_is_read_in_bounded_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "bomb.tfrecord"
    worker = zlib.compressobj(9)
    path.write_bytes(worker.compress(bytes(200 << 20)) + worker.flush())
    tracemalloc.start()
    found = check_file(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.bad) == 1
    assert peak < 100 << 20


def test_compression_is_told_by_content(content):
    assert sniff_compression(content) == "none"
    assert sniff_compression(gzip.compress(content)) == "gzip"
    assert sniff_compression(zlib.compress(content)) == "zlib"
    # A sound record whose length has the first bytes of a gzip or zlib stream.
    assert sniff_compression(header_bytes(0x088B1F) + b"..") == "none"
    assert sniff_compression(header_bytes(0x9C78) + b"..") == "none"
    assert sniff_compression(b"\x78\x9c neither") == "none"


def test_repair_keeps_good_records_byte_for_byte(tmp_path, content):
    damaged, mended = tmp_path / "a.tfrecord", tmp_path / "b.tfrecord"
    data = bytearray(content[:-3])
    data[offsets()[2] + 14] ^= 1
    damaged.write_bytes(bytes(data))
    check = repair_file(damaged, mended)
    assert [bad.offset for bad in check.bad] == [offsets()[2], offsets()[7]]
    kept = [payload for number, payload in enumerate(PAYLOADS) if number not in (2, 7)]
    assert mended.read_bytes() == b"".join(map(framed, kept))
    assert damaged.read_bytes() == bytes(data)
    with pytest.raises(ConfigurationError):
        repair_file(damaged, damaged, overwrite=True)


def test_plain_blocks_are_views_that_cannot_be_written(tmp_path, content):
    path = tmp_path / "x.tfrecord"
    path.write_bytes(content)
    with open_content(path) as opened:
        block = opened.block(3, 10)
        assert not block.flags.writeable
        assert not block.flags.owndata
        assert block.tobytes() == content[3:13]


def test_verify_command(run, tmp_path):
    good = write_shard(tmp_path / "good.tfrecord", make_events(3))
    assert run("verify", good)[0] == 0
    bad = tmp_path / "bad.tfrecord"
    bad.write_bytes(good.read_bytes()[:-1])
    status, out, _ = run("verify", good, bad, "--json")
    report = json.loads(out)
    assert status == 1
    assert (report["records"], report["num_bad"]) == (5, 1)
    assert [entry["records"] for entry in report["files"]] == [3, 2]
    (entry,) = report["files"][1]["bad"]
    assert entry["offset"] == 2 * good.stat().st_size // 3
    same = run("verify", good, bad, "--json", "--workers", "2")
    assert json.loads(same[1]) == report


def test_repair_command_refuses_its_input(run, shard):
    before = shard.read_bytes()
    status, _, err = run("repair", shard, "-o", shard, "--overwrite")
    assert status == 2
    assert len(err.strip().splitlines()) == 1
    assert shard.read_bytes() == before


@pytest.mark.parametrize("policy", ["strict", "warn", "skip"])
def test_bad_records_are_dealt_with_as_asked(tmp_path, policy, caplog):
    path = write_shard(tmp_path / "x.tfrecord", make_events(10))
    data = bytearray(path.read_bytes())
    stride = len(data) // 10
    data[4 * stride + 100] ^= 1
    path.write_bytes(bytes(data))
    shards = scone_io.open(path, on_bad=policy)
    if policy == "strict":
        with pytest.raises(InputError, match=f"offset {4 * stride}"):
            list(shards)
        return
    assert [event.snid for event in shards] == [*range(1000, 1004), *range(1005, 1010)]
    assert shards.shards[0].num_bad == 1
    assert (f"offset {4 * stride}" in caplog.text) == (policy == "warn")
