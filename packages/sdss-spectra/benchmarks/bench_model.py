"""Prediction beside Keras on the same weights, and how long training waits for its input.

Prediction is measured in CPU seconds, training in seconds of the clock.
"""

from __future__ import annotations

import time

import numpy as np

from astro_common.benchmarking import Result, note, parser, peer_versions, report, require
from sdss_spectra.model.alignment import fit_alignment
from sdss_spectra.model.architecture import Network, forward
from sdss_spectra.model.augmentation import Augmentation
from sdss_spectra.model.bins import Bins
from sdss_spectra.model.classifier import Model
from sdss_spectra.model.inputs import InputSettings, channels
from sdss_spectra.model.keras_network import build, load_tensorflow, ordered_weights
from sdss_spectra.model.templates import fit_templates, log_flux
from sdss_spectra.model.training import Labelled, TrainingSettings, train_network
from sdss_spectra.preprocessing.resample import LogGrid
from sdss_spectra.preprocessing.steps import Preprocessing

CLASSES = tuple("OBAFGKM")


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--spectra", type=int, default=4096, metavar="N", help="(4096)")
    arguments = options.parse_args()
    grid, inputs, network, bins = (
        LogGrid(3.55, 2e-4, 2048),
        InputSettings(),
        Network(),
        Bins(CLASSES),
    )
    random = np.random.default_rng(arguments.seed)
    flux = random.normal(1.0, 0.05, (arguments.spectra, 2048)).astype(np.float32)
    # Lines of seven kinds: spectra of noise alone would be moved at random.
    kind = np.arange(arguments.spectra) % len(CLASSES)
    flux[(np.arange(2048)[None] // 8 % 29 == 4 * kind[:, None] + 1)] *= 0.6
    mask = np.zeros(flux.shape, bool)
    tf = load_tensorflow()
    keras_model = build(tf, network, (2048, inputs.num_channels), len(bins.codes))
    weights = ordered_weights(keras_model)
    model = Model(network, inputs, bins, Preprocessing(grid=grid), [weights])
    some = channels(flux[:64], flux[:64], mask[:64], 2e-4, inputs)
    peer = keras_model.predict(some, verbose=0)
    require(np.allclose(forward(network, weights, some), peer, atol=1e-3), "logits")
    classes = np.arange(350) % 7
    code = 10.0 * classes + np.arange(350) % 10
    members = TrainingSettings().members
    whole = Model(
        network, inputs, bins, Preprocessing(grid=grid), [weights] * members,
        templates=fit_templates(*log_flux(flux[:350], mask[:350]), classes, code),
        alignment=fit_alignment(flux[:350], mask[:350], classes, code, 2e-4),
    )  # fmt: skip
    seconds = {"ours": np.inf, "Keras": np.inf, "whole": np.inf}
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        whole.predict(flux, flux, mask)
        seconds["whole"] = min(seconds["whole"], time.perf_counter() - start)
        start = time.perf_counter()
        model.predict(flux, flux, mask)
        seconds["ours"] = min(seconds["ours"], time.perf_counter() - start)
        start = time.perf_counter()
        values = channels(flux, flux, mask, 2e-4, inputs)
        keras_model.predict(values, batch_size=128, verbose=0)
        seconds["Keras"] = min(seconds["Keras"], time.perf_counter() - start)
        note(f"  ours {seconds['ours']:.2f} s, Keras {seconds['Keras']:.2f} s")
    data = Labelled(flux[:350], flux[:350], mask[:350], classes, classes * 10.0 + 5.0)
    _, history = train_network(
        data,
        Labelled(flux[:0], flux[:0], mask[:0], classes[:0], np.zeros(0)),
        loglam=grid.loglam,
        network=network,
        inputs=inputs,
        bins=bins,
        augmentation=Augmentation(),
        settings=TrainingSettings(epochs=4, members=1),
        seed=arguments.seed,
    )
    result = Result(
        "sdss-spectra",
        "Prediction and training input",
        f"{arguments.spectra} spectra of 2,048 pixels; the default model is {members} networks, "
        "the templates and the alignment",
        versions=peer_versions("numpy", "tensorflow"),
    )
    result.measured("default model, without TensorFlow", seconds["whole"])
    result.measured("one network, without TensorFlow", seconds["ours"])
    result.measured("Keras on the same channels", seconds["Keras"])
    result.at_least("predictions per second", arguments.spectra / seconds["whole"], 2000.0)
    result.at_least("Keras' time / ours, one network", seconds["Keras"] / seconds["ours"], 0.3)
    share = history.waiting_seconds / history.seconds
    result.at_most("share of the training spent waiting for input", share, 0.05)
    report(result, arguments.output)


if __name__ == "__main__":
    main()
