"""For the tests of all packages."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

import pytest

_PACKAGES = (
    "astro_common",
    "astromodal_tokenizers",
    "astromodal_transformer",
    "cfht_iqa",
    "manga_ssftt",
    "scone_io",
    "sdss_spectra",
    "splus_hypercube",
)

# Some tests send Ctrl-C to a command. A run of the tests in the background ignores that signal, and
# the commands would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that runs in a test decides what is logged and where; the next test does not."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    loggers = [root, *map(logging.getLogger, _PACKAGES)]
    levels = [logger.level for logger in loggers]
    yield
    for handler in [item for item in root.handlers if item not in handlers]:
        root.removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
