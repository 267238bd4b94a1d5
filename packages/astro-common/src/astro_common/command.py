"""What all commands of these packages share: options, messages and exit statuses.

A package has one module per verb. Its ``add_parser`` defines the options of the verb and, with
``set_defaults(run=...)``, the function that runs it. `command_parser` collects the verbs, and
`run_command` runs one. A verb imports what it needs inside its function: ``--help`` must be fast.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from astro_common.errors import AstroError
from astro_common.interruption import interruptible

__all__ = [
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "PARTLY_FAILED",
    "USAGE",
    "Verb",
    "add_common_options",
    "add_unit_options",
    "command_parser",
    "positive_int",
    "print_json",
    "run_command",
]

DONE = 0
FAILED = 1
USAGE = 2
PARTLY_FAILED = 3
INTERRUPTED = 130


class Verb(Protocol):
    """A module that adds one verb to a command."""

    def add_parser(self, verbs: Any, /) -> None:
        """Add the parser of the verb to the subparsers of argparse."""


def command_parser(
    program: str, version: str, description: str, verbs: Iterable[Verb]
) -> argparse.ArgumentParser:
    """Build the parser of a command with all its verbs.

    Parameters
    ----------
    program : str
        The name of the command.
    version : str
        Printed after the name by ``--version``.
    description : str
        What the command does, for ``--help``.
    verbs : iterable of modules
        In the order in which ``--help`` lists them.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--version", action="version", version=f"%(prog)s {version}")
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB")
    for verb in verbs:
        verb.add_parser(subparsers)
    return parser


def positive_int(text: str) -> int:
    """Parse an integer of at least 1, for use as an argparse ``type``."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return value


def add_common_options(parser: argparse.ArgumentParser, *, json_output: bool = True) -> None:
    """Add ``-v``, ``-q`` and (by default) ``--json`` to a verb."""
    if json_output:
        parser.add_argument(
            "--json", action="store_true", help="print the result as one JSON object on stdout"
        )
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="say more on stderr; -vv also shows the traceback of an error",
    )
    volume.add_argument("-q", "--quiet", action="store_true", help="only errors on stderr")


def add_unit_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers`` and ``--scheduler``, for verbs whose units are independent."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=positive_int,
        default=1,
        metavar="N",
        help="local processes that work side by side (default: 1)",
    )
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="work on the Dask cluster at this address instead"
    )


def print_json(value: Mapping[str, Any]) -> None:
    """Print a mapping as one JSON object on stdout; `jsonable` converts its values."""
    from astro_common.jsonable import jsonable

    print(json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False))


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the chosen verb and turn its outcome into an exit status.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The subparser of each verb sets ``run``, a function that takes the parsed namespace and
        returns an exit status.
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        0 done, 1 failed, 2 usage or configuration, 3 some units failed, 130 interrupted.
    """
    arguments = parser.parse_args(argv)
    if not hasattr(arguments, "run"):
        parser.print_help(sys.stderr)
        return USAGE
    verbosity = getattr(arguments, "verbose", 0)
    _configure_logging(parser.prog, verbosity, getattr(arguments, "quiet", False))
    try:
        with interruptible():
            status = int(arguments.run(arguments))
            sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        return _fail(parser.prog, "interrupted", INTERRUPTED, verbosity)
    except BrokenPipeError:
        # The program that reads stdout (head, less) has ended. Nothing more can be written there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except AstroError as error:
        return _fail(parser.prog, str(error), error.exit_status, verbosity)
    except MemoryError:
        message = "out of memory; use fewer --workers or a machine with more memory"
        return _fail(parser.prog, message, FAILED, verbosity)
    except OSError as error:
        where = error.filename if error.filename is not None else "operating system"
        return _fail(parser.prog, f"{where}: {error.strerror or error}", FAILED, verbosity)


def _fail(program: str, message: str, status: int, verbosity: int) -> int:
    if verbosity >= 2:
        traceback.print_exc(file=sys.stderr)
    print(f"{program}: {message}", file=sys.stderr)
    return status


class _StderrHandler(logging.StreamHandler[Any]):
    """Writes to `sys.stderr` as it is at the time of the message, not of the set-up."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        raise AttributeError("the stream is always sys.stderr")


def _configure_logging(program: str, verbosity: int, quiet: bool) -> None:
    level = logging.ERROR if quiet else logging.DEBUG if verbosity else logging.INFO
    logging.basicConfig(
        level=logging.WARNING,
        handlers=[_StderrHandler()],
        format=f"{program}: %(levelname)s: %(message)s",
        force=True,
    )
    # Only our own packages log below WARNING; other libraries would be too verbose.
    for name in ("astro_common", program.replace("-", "_")):
        logging.getLogger(name).setLevel(level)
