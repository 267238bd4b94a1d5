"""Options of the network and of its training."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from astro_common.command import positive_int

if TYPE_CHECKING:
    from sdss_spectra.model.run import RunSettings
    from sdss_spectra.preprocessing.steps import Preprocessing

__all__ = ["add_split", "add_training", "run_settings_of"]


def add_split(parser: argparse.ArgumentParser) -> None:
    """Add the options of the split."""
    group = parser.add_argument_group("split")
    group.add_argument(
        "--group-by",
        choices=("star", "star+plate-mjd"),
        default="star",
        help="what stays together: spectra of a star (default), or of a plate and night too",
    )
    group.add_argument(
        "--validation-fraction", type=float, default=0.15, metavar="X", help="(0.15)"
    )
    group.add_argument("--test-fraction", type=float, default=0.2, metavar="X", help="(0.2)")


def add_training(parser: argparse.ArgumentParser, *, epochs: int = 35) -> None:
    """Add the options of network and training."""
    group = parser.add_argument_group("network and training")
    group.add_argument(
        "--architecture", choices=("cnn", "resnet"), default="resnet", help="(resnet)"
    )
    group.add_argument("--depth", type=positive_int, default=5, metavar="N", help="stages (5)")
    group.add_argument("--width", type=positive_int, default=16, metavar="N", help="filters (16)")
    group.add_argument(
        "--kernels", default="9,7,5", metavar="N,N", help="kernel sizes of the stages (9,7,5)"
    )
    group.add_argument("--dropout", type=float, default=0.5, metavar="X", help="(0.5)")
    group.add_argument("--l2", type=float, default=1e-4, metavar="X", help="(1e-4)")
    group.add_argument(
        "--epochs", type=positive_int, default=epochs, metavar="N", help=f"({epochs})"
    )
    group.add_argument("--batch-size", type=positive_int, default=32, metavar="N", help="(32)")
    group.add_argument("--learning-rate", type=float, default=3e-3, metavar="X", help="(3e-3)")
    group.add_argument(
        "--patience",
        type=int,
        default=15,
        metavar="N",
        help="epochs without improvement before training stops; 0: never (15)",
    )
    group.add_argument(
        "--members", type=positive_int, default=2, metavar="N", help="networks averaged (2)"
    )
    group.add_argument("--no-class-weights", action="store_true", help="weight all spectra equally")
    group.add_argument("--no-augmentation", action="store_true", help="use the spectra as they are")
    group.add_argument(
        "--no-templates", action="store_true", help="use the network alone, without mean spectra"
    )
    group.add_argument(
        "--no-alignment",
        action="store_true",
        help="leave spectra at the velocity that their file gives them",
    )
    group.add_argument(
        "--with-ivar", action="store_true", help="signal-to-noise ratio of each pixel as a channel"
    )
    group.add_argument(
        "--with-shape", action="store_true", help="the shape of the continuum as a channel"
    )
    group.add_argument("--without-mask", action="store_true", help="no mask channel")
    group.add_argument("--wavelets", action="store_true", help="Haar wavelet scales as channels")
    group.add_argument("--mixed-precision", action="store_true", help="float16 on accelerators")
    group.add_argument(
        "--strategy",
        choices=("none", "mirrored", "multi-worker"),
        default="none",
        help="tf.distribute strategy (none)",
    )


def run_settings_of(arguments: argparse.Namespace, preprocessing: Preprocessing) -> RunSettings:
    """The settings that the options ask for."""
    from astro_common.errors import ConfigurationError
    from sdss_spectra.model.architecture import Network
    from sdss_spectra.model.augmentation import Augmentation
    from sdss_spectra.model.inputs import InputSettings
    from sdss_spectra.model.run import RunSettings
    from sdss_spectra.model.training import TrainingSettings
    from sdss_spectra.splits import check_fractions

    try:
        kernels = tuple(int(text) for text in arguments.kernels.split(","))
    except ValueError as error:
        raise ConfigurationError("--kernels", repr(arguments.kernels), "sizes as 9,7,5") from error
    check_fractions(arguments.validation_fraction, arguments.test_fraction)
    if arguments.patience < 0:
        raise ConfigurationError("--patience", str(arguments.patience), "at least 0")
    network = Network(
        architecture=arguments.architecture,
        depth=arguments.depth,
        width=arguments.width,
        kernels=kernels,
        dropout=arguments.dropout,
        l2=arguments.l2,
    )
    pixels = preprocessing.grid.n_pixels // 4 // 2 ** (arguments.depth - 1)
    if pixels < 1:
        raise ConfigurationError(
            "--depth",
            str(arguments.depth),
            f"fewer stages for {preprocessing.grid.n_pixels} pixels",
        )
    return RunSettings(
        preprocessing=preprocessing,
        network=network,
        inputs=InputSettings(
            with_mask=not arguments.without_mask,
            with_ivar=arguments.with_ivar,
            with_shape=arguments.with_shape,
            wavelets=arguments.wavelets,
        ),
        training=TrainingSettings(
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            patience=arguments.patience,
            members=arguments.members,
            class_weights=not arguments.no_class_weights,
            mixed_precision=arguments.mixed_precision,
            strategy=arguments.strategy,
        ),
        augmentation=None if arguments.no_augmentation else Augmentation(),
        with_templates=not arguments.no_templates,
        with_alignment=not arguments.no_alignment,
        group_by=arguments.group_by,
        validation_fraction=arguments.validation_fraction,
        test_fraction=arguments.test_fraction,
        seed=arguments.seed,
    )
