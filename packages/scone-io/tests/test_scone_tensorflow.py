"""TensorFlow as the judge: it writes what we read, and reads what we write."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from sconeevents import make_events, same_event, write_shard

import scone_io
from scone_io.example import serialise_event
from scone_io.grid import PRESETS
from scone_io.tfrecord import check_file

# PyTorch's optimisers load Triton where it is installed. Both it and TensorFlow hold LLVM, and the
# process is aborted if Triton comes second.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

OPTIONS = {"none": "", "gzip": "GZIP", "zlib": "ZLIB"}


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def example(event):
    features = {
        "image_raw": feature(event.image.tobytes()),
        "id": feature(event.snid),
        "label": feature(event.label),
    }
    for key, value in (("z", event.z), ("z_err", event.z_err)):
        if value is not None:
            features[key] = feature(value)
    return tf.train.Example(features=tf.train.Features(feature=features))


def events():
    made = make_events(5, grid=PRESETS["scone"])
    made += make_events(3, first=2**40, grid=PRESETS["scone"], z=None, label=-3)
    return made + make_events(2, first=-70, grid=PRESETS["scone"], z_err=None)


@pytest.mark.parametrize("compression", OPTIONS)
def test_what_tensorflow_writes_we_read(tmp_path, compression):
    path = str(tmp_path / "tf.tfrecord")
    with tf.io.TFRecordWriter(path, options=OPTIONS[compression]) as writer:
        for event in events():
            writer.write(example(event).SerializeToString())
    check = check_file(path)
    assert (check.records, check.bad, check.compression) == (10, [], compression)
    found = list(scone_io.open(path, grid="scone"))
    assert all(map(same_event, found, events()))


@pytest.mark.parametrize("compression", OPTIONS)
def test_what_we_write_tensorflow_reads(tmp_path, compression):
    path = write_shard(tmp_path / "ours.tfrecord", events(), compression=compression)
    description = {
        "id": tf.io.FixedLenFeature([], tf.int64),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "image_raw": tf.io.FixedLenFeature([], tf.string),
        "z": tf.io.FixedLenFeature([], tf.float32, default_value=-99.0),
        "z_err": tf.io.FixedLenFeature([], tf.float32, default_value=-99.0),
    }
    records = list(tf.data.TFRecordDataset([str(path)], compression_type=OPTIONS[compression]))
    assert len(records) == 10
    for record, event in zip(records, events(), strict=True):
        parsed = tf.io.parse_single_example(record, description)
        assert int(parsed["id"]) == event.snid
        assert int(parsed["label"]) == event.label
        assert float(parsed["z"]) == (-99.0 if event.z is None else event.z)
        assert float(parsed["z_err"]) == (-99.0 if event.z_err is None else event.z_err)
        image = tf.io.decode_raw(parsed["image_raw"], tf.float64).numpy()
        assert np.array_equal(image, event.image.ravel())


def test_our_payloads_are_the_same_messages_of_the_same_length():
    for event in events():
        ours = serialise_event(event)
        assert tf.train.Example.FromString(ours) == example(event)
        assert len(ours) == len(example(event).SerializeToString())


def test_plain_file_of_ours_is_that_of_tensorflow(tmp_path):
    ours = write_shard(tmp_path / "ours.tfrecord", events())
    theirs = tmp_path / "theirs.tfrecord"
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for event in events():
            writer.write(serialise_event(event))
    assert ours.read_bytes() == theirs.read_bytes()


def test_adapter_gives_all_events_normalised(mock_folder):
    from scone_io.heatmap import normalised
    from scone_io.tensorflow_data import heatmap_dataset

    shards = scone_io.open(mock_folder)
    parts = list(heatmap_dataset(shards, batch_size=25))
    assert [len(part["id"]) for part in parts] == [25, 5, 25, 5]
    ids = np.concatenate([part["id"].numpy() for part in parts])
    assert ids.tolist() == shards.snids.tolist()
    expected = normalised(np.array(shards[7].image)).astype(np.float32)
    assert np.array_equal(parts[0]["image"][7].numpy(), expected)
