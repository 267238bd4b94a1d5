from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from astro_common.errors import AstroError, ConfigurationError, InputError, OutputError


def test_message_is_source_found_expected_action():
    error = InputError("a.fits", "NAXIS1 = -3", "at least 0", "fetch it again")
    assert str(error) == "a.fits: NAXIS1 = -3; expected at least 0; fetch it again"
    assert error.reason == "NAXIS1 = -3; expected at least 0; fetch it again"


def test_message_leaves_out_what_is_not_given():
    assert str(OutputError("a", "exists")) == "a: exists"
    assert str(OutputError("a", "exists", action="remove it")) == "a: exists; remove it"


def test_message_is_one_line_whatever_is_quoted():
    error = ConfigurationError("key", "first\n  second\r\n\tthird", "x\ny")
    assert str(error) == "key: first second third; expected x y"


@pytest.mark.parametrize(
    ("kind", "status"),
    [(AstroError, 1), (InputError, 1), (OutputError, 1), (ConfigurationError, 2)],
)
def test_class_decides_exit_status(kind, status):
    error = kind("x", "y")
    assert isinstance(error, AstroError)
    assert error.exit_status == status


def test_source_may_be_a_path():
    error = InputError(Path("/data/a.fits"), "nothing")
    assert error.source == "/data/a.fits"
    assert error.path == Path("/data/a.fits")


@pytest.mark.parametrize("kind", [AstroError, InputError, OutputError, ConfigurationError])
def test_error_survives_the_way_between_processes(kind):
    error = kind(Path("a"), "b", "c", "d")
    # As multiprocessing sends an exception from a worker.
    copy = ForkingPickler.loads(ForkingPickler.dumps(error))
    assert type(copy) is kind
    assert (copy.source, copy.found, copy.expected, copy.action) == ("a", "b", "c", "d")
    assert str(copy) == str(error)
