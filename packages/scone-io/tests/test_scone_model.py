"""The network: its size, that it learns, and that what is saved predicts the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sconeevents import make_events, write_shard

import scone_io
from astro_common.errors import InputError
from scone_io.grid import GridSpec

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from scone_io.model.files import load_model  # noqa: E402 - after the libraries are known to be here
from scone_io.model.network import NetworkConfiguration, SconeNetwork  # noqa: E402
from scone_io.model.prediction import predict  # noqa: E402
from scone_io.model.training import split_by_snid  # noqa: E402
from scone_io.torch_data import HeatmapDataset  # noqa: E402

TINY = GridSpec(num_wavelength_bins=8, num_time_bins=12)


@pytest.mark.parametrize(("classes", "total"), [(2, 22_449), (6, 22_614)])
def test_size_is_that_of_the_paper(classes, total):
    network = SconeNetwork(NetworkConfiguration(num_classes=classes))
    trainable = sum(parameter.numel() for parameter in network.parameters())
    moving = [value for name, value in network.named_buffers() if "running" in name]
    assert trainable == total - 8
    assert trainable + sum(value.numel() for value in moving) == total


def test_one_batch_can_be_learned_by_heart():
    torch.manual_seed(0)
    network = SconeNetwork(NetworkConfiguration(8, 12))
    images = torch.rand(8, 8, 12, 2)
    labels = torch.tensor([0.0, 1.0] * 4)
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for _ in range(150):
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(images), labels)
        torch.autograd.backward(loss)
        optimiser.step()
    assert loss.item() < 0.05


def test_one_event_is_predicted_as_in_a_batch():
    torch.manual_seed(1)
    network = SconeNetwork(NetworkConfiguration(8, 12, 4)).eval()
    images = torch.rand(5, 8, 12, 2)
    with torch.no_grad():
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    assert together.shape == (5, 4)
    assert torch.allclose(together, alone, atol=1e-6)


def test_dataset_is_normalised(mock_folder):
    data = HeatmapDataset(scone_io.open(mock_folder))
    image, redshift, label = data[3]
    event = scone_io.open(mock_folder)[3]
    assert image.dtype == torch.float32
    assert float(image[..., 0].max()) == 1.0
    assert np.allclose(image.numpy(), event.image / event.flux.max(), rtol=1e-6)
    assert redshift.tolist() == pytest.approx([event.z, event.z_err])
    assert label == event.label
    assert len(data) == 60


def test_split_keeps_supernovae_together():
    snids = np.repeat(np.arange(100), 2)
    parts = split_by_snid(snids, 3)
    assert [len(part) for part in parts] == [160, 20, 20]
    assert sorted(np.concatenate(parts)) == list(range(200))
    assert not set(snids[parts[0]]) & set(snids[parts[2]])


def test_train_predict_and_evaluate(run, tmp_path):
    made = make_events(120, grid=TINY)
    for event in made:
        if event.label:
            event.image[:4, :6, 0] += 500.0
    path = write_shard(tmp_path / "x.tfrecord", made, grid=TINY)
    folder, table = tmp_path / "model", tmp_path / "p.csv"
    words = ["--epochs", "12", "--learning-rate", "0.005", "--json", "-q"]
    status, out, _ = run("train", path, "-o", folder, *words)
    assert status == 0
    held_out = json.loads(out)["held_out"]
    assert held_out["num_matched"] == 12
    assert held_out["accuracy"] >= 0.9
    low, high = held_out["accuracy_interval_95"]
    assert 0.0 < low < high <= 1.0
    description = json.loads((folder / "model.json").read_text())
    assert len(description["training"]["held_out_snids"]) == 12
    assert run("predict", path, "--model", folder, "-o", table)[0] == 0
    assert table.read_text().splitlines()[0] == "snid,PROB_SCONE"
    first = predict(load_model(folder), scone_io.open(path))
    again = predict(load_model(folder), scone_io.open(path))
    assert np.array_equal(first.probability, again.probability)
    status, out, _ = run("evaluate", path, "--predictions", table, "--json")
    assert json.loads(out)["num_matched"] == 120
    assert run("train", path, "-o", folder, *words)[0] == 1  # it exists
    other = write_shard(tmp_path / "y.tfrecord", made, grid=GridSpec(8, 12, time_min_days=-50.0))
    assert run("predict", other, "--model", folder, "-o", tmp_path / "q.csv")[0] == 2


def test_what_cannot_be_trained_on_is_refused(run, tmp_path):
    one = write_shard(tmp_path / "a.tfrecord", make_events(20, grid=TINY, label=0), grid=TINY)
    few = write_shard(tmp_path / "b.tfrecord", make_events(3, grid=TINY), grid=TINY)
    for path in (one, few):
        status, _, err = run("train", path, "-o", tmp_path / "m")
        assert status == 1
        assert str(path) in err.splitlines()[-1]


def test_damaged_models_are_one_error(tmp_path):
    with pytest.raises(InputError):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(InputError):
        load_model(tmp_path)
    grid = TINY.as_json()
    description = {"network": NetworkConfiguration(8, 12).as_json(), "grid": grid}
    (tmp_path / "model.json").write_text(json.dumps(description))
    (tmp_path / "model.safetensors").write_bytes(b"noise")
    with pytest.raises(InputError):
        load_model(tmp_path)


def test_folds_hold_each_supernova_out_once():
    snids = np.repeat(np.arange(23), 2)
    parts = [split_by_snid(snids, 3, (number, 4)) for number in range(1, 5)]
    held_out = np.concatenate([part[2] for part in parts])
    assert sorted(held_out) == list(range(46))
    for training, validation, out in parts:
        assert sorted(np.concatenate([training, validation, out])) == list(range(46))
        assert not (set(snids[training]) | set(snids[validation])) & set(snids[out])


@pytest.mark.parametrize("fold", ["0/5", "6/5", "1/1", "x", "1/"])
def test_fold_that_is_none_is_a_usage_error(run, mock_folder, tmp_path, capsys, fold):
    with pytest.raises(SystemExit) as stop:
        run("train", mock_folder, "-o", tmp_path / "m", "--fold", fold)
    assert stop.value.code == 2
    assert "expected K" in capsys.readouterr().err
