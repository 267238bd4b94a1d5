from __future__ import annotations

import argparse
import errno
import json
import logging
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from astro_common import command
from astro_common.errors import ConfigurationError, InputError


@pytest.fixture(autouse=True)
def _process_state():
    """Undo what a command does to the process: it expects to be the only one in it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    ours = {name: logging.getLogger(name).level for name in ("astro_common", "some_tool")}
    previous = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, previous)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, value in ours.items():
        logging.getLogger(name).setLevel(value)


def _parser(run, *, units=False):
    parser = argparse.ArgumentParser(prog="some-tool")
    verbs = parser.add_subparsers()
    verb = verbs.add_parser("work")
    command.add_common_options(verb)
    if units:
        command.add_unit_options(verb)
    verb.set_defaults(run=run)
    return parser


def _raise(error):
    def run(_arguments):
        raise error

    return run


@pytest.mark.parametrize("status", [command.DONE, command.FAILED, command.PARTLY_FAILED])
def test_status_of_the_verb_is_the_status_of_the_command(status):
    assert command.run_command(_parser(lambda _: status), ["work"]) == status


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("a.fits", "no END"), 1, "some-tool: a.fits: no END"),
        (ConfigurationError("size_px", "-1", "at least 1"), 2, "some-tool: size_px: -1; expected"),
        (OSError(errno.EIO, "Input/output error", "b.fits"), 1, "some-tool: b.fits: Input/output"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "some-tool: operating system: No sp"),
        (MemoryError(), 1, "some-tool: out of memory"),
        (KeyboardInterrupt(), 130, "some-tool: interrupted"),
    ],
)
def test_error_is_one_line_on_stderr_and_a_status(capsys, error, status, line):
    assert command.run_command(_parser(_raise(error)), ["work"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_traceback_only_with_two_v(capsys):
    parser = _parser(_raise(InputError("a.fits", "no END")))
    command.run_command(parser, ["work", "-v"])
    assert "Traceback" not in capsys.readouterr().err
    command.run_command(parser, ["work", "-vv"])
    assert "Traceback" in capsys.readouterr().err


def test_unforeseen_error_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        command.run_command(_parser(lambda _: 1 // 0), ["work"])


def test_without_a_verb_the_help_is_shown(capsys):
    assert command.run_command(_parser(lambda _: 0), []) == command.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: some-tool" in err


def test_unknown_option_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as caught:
        command.run_command(_parser(lambda _: 0), ["work", "--nonsense"])
    assert caught.value.code == command.USAGE
    assert "--nonsense" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ([], {"info", "warning", "error", "library warning"}),
        (["-v"], {"debug", "info", "warning", "error", "library warning"}),
        (["-q"], {"error"}),
    ],
)
def test_flags_decide_which_messages_are_shown(capsys, flags, shown):
    def run(_arguments):
        ours = logging.getLogger("some_tool.module")
        for level in ("debug", "info", "warning", "error"):
            getattr(ours, level)(level)
        logging.getLogger("library").info("library info")
        if "-q" not in flags:
            logging.getLogger("library").warning("library warning")
        return 0

    assert command.run_command(_parser(run), ["work", *flags]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert {line.rsplit(": ", 1)[1] for line in err.splitlines()} == shown


@pytest.mark.parametrize("text", ["0", "-2", "1.5", "many", ""])
def test_positive_int_refuses(text):
    with pytest.raises(argparse.ArgumentTypeError, match="at least 1"):
        command.positive_int(text)


def test_positive_int_accepts():
    assert command.positive_int("12") == 12


def test_workers_and_scheduler_exclude_each_other(capsys):
    parser = _parser(lambda _: 0, units=True)
    assert parser.parse_args(["work"]).workers == 1
    assert parser.parse_args(["work", "--workers", "3"]).workers == 3
    assert parser.parse_args(["work", "--scheduler", "tcp://h:1"]).scheduler == "tcp://h:1"
    with pytest.raises(SystemExit):
        parser.parse_args(["work", "--workers", "3", "--scheduler", "tcp://h:1"])
    assert "not allowed with" in capsys.readouterr().err


def test_json_is_one_object_without_nan(capsys):
    command.print_json(
        {
            "id": np.int64(2**62 + 1),
            "rate": np.float64("nan"),
            "limits": (float("inf"), 1.5),
            "name": "Çelik",
            "done": True,
            "none": None,
        }
    )
    text = capsys.readouterr().out
    assert json.loads(text) == {
        "id": 2**62 + 1,
        "rate": None,
        "limits": [None, 1.5],
        "name": "Çelik",
        "done": True,
        "none": None,
    }


_SCRIPT = """
import argparse, sys, time
from astro_common import interruption
from astro_common.command import run_command

def run(arguments):
    if arguments.verb == "wait":
        try:
            print("ready", flush=True)
            for _ in range(600):  # a signal in the moment before a sleep is handled after it
                time.sleep(0.1)
        finally:
            print("unwound", file=sys.stderr, flush=True)
    if arguments.verb == "pass-over":
        interruption._PATIENCE_S = 0.2
        for _ in range(2):
            try:
                print("ready", flush=True)
                for _ in range(600):
                    time.sleep(0.1)
            except BaseException:
                print("lost", file=sys.stderr, flush=True)
        for _ in range(600):
            time.sleep(0.1)
    if arguments.verb == "tidy":
        interruption._PATIENCE_S = 0.2
        try:
            print("ready", flush=True)
            for _ in range(600):
                time.sleep(0.1)
        finally:
            for _ in range(15):
                time.sleep(0.1)
            print("tidied", file=sys.stderr, flush=True)
    for _ in range(200000):
        print("a line of the result")
    return 0

parser = argparse.ArgumentParser(prog="some-tool")
parser.add_argument("verb")
parser.set_defaults(run=run)
sys.exit(run_command(parser))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(_SCRIPT))
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("verb", "lines"),
    [
        ("wait", ["unwound"]),
        # What a library passes over comes again.
        ("pass-over", ["lost", "lost"]),
        # But it does not disturb what removes temporary files.
        ("tidy", ["tidied"]),
    ],
)
def test_signal_unwinds_and_gives_130(script, number, verb, lines):
    with subprocess.Popen(
        [sys.executable, str(script), verb],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    assert process.returncode == command.INTERRUPTED
    assert err.splitlines() == [*lines, "some-tool: interrupted"]


def test_handlers_of_signals_are_those_of_before():
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    seen = []
    command.run_command(
        _parser(lambda _: seen.append(signal.getsignal(signal.SIGTERM)) or 0), ["work"]
    )
    assert seen[0] != before[1]
    assert [signal.getsignal(number) for number in numbers] == before


def test_reader_that_goes_away_is_not_an_error(script):
    with subprocess.Popen(
        [sys.executable, str(script), "print"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == command.DONE
    assert err == ""


def test_importing_takes_no_heavy_module():
    code = (
        "import sys, astro_common.command; print({'numpy', 'pyarrow', 'astropy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
