"""The commands and the Python that READMEs and tutorials show, one after the other.

A block of ``bash``, ``sh`` or ``console`` holds commands, one of ``python`` a script. In a
``console`` block commands start with ``$ `` and the lines without it are what they print; a line of
three dots stands for lines that are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from site_commands import verbs_of

__all__ = [
    "Step",
    "command_fault",
    "option_faults",
    "read_steps",
    "same_shape",
    "shell_commands",
]

_FENCE = re.compile(r"^```(?P<kind>bash|sh|console|python)\n(?P<body>.*?)^```$", re.S | re.M)
_ELLIPSIS = "..."
# Programs of others that a page may name with their options.
_FOREIGN = {"dask", "make", "pip", "python", "uv"}
_OPERATORS = {"|", ">", ">>", "2>", "&&", "||", ";", "<"}


@dataclass(frozen=True)
class Step:
    """One thing that a page tells its reader to do.

    Attributes
    ----------
    kind : str
        ``command`` or ``python``.
    text : str
        A command, which may span lines, or a script.
    line : int
        Where its block starts in the page, from 1.
    prints : tuple of str
        Lines that the page says are printed.
    """

    kind: str
    text: str
    line: int
    prints: tuple[str, ...] = ()


def read_steps(page: str) -> list[Step]:
    """Return everything that a page tells its reader to run, in order."""
    steps: list[Step] = []
    for match in _FENCE.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        kind, body = match["kind"], match["body"]
        if kind == "python":
            steps.append(Step("python", body, line))
        elif kind == "console":
            steps += _console_steps(body, line)
        else:
            steps += [Step("command", command, line) for command in shell_commands(body)]
    return steps


def shell_commands(text: str) -> list[str]:
    """Cut the text of a shell block into its commands; comments and empty lines are left out."""
    commands: list[str] = []
    waiting = ""
    for line in text.splitlines():
        if not waiting and (not line.strip() or line.lstrip().startswith("#")):
            continue
        waiting += ("\n" if waiting else "") + line
        if _is_complete(waiting):
            commands.append(waiting)
            waiting = ""
    if waiting:
        raise ValueError(f"a command that does not end: {waiting}")
    return commands


def _is_complete(command: str) -> bool:
    if command.endswith("\\"):
        return False
    here = re.search(r"<<'?(\w+)'?", command)
    if here is not None:
        return command.splitlines()[-1] == here[1]
    try:
        shlex.split(command, comments=True)
    except ValueError:  # a quotation that is still open
        return False
    return True


def _console_steps(body: str, line: int) -> Iterator[Step]:
    command, prints = "", list[str]()
    for row in body.splitlines():
        if row.startswith("$ "):
            if command:
                yield Step("command", command, line, tuple(prints))
            command, prints = row[2:], []
        elif command.endswith("\\") and not prints:
            command += "\n" + row
        elif row.strip() and row.strip() != _ELLIPSIS:
            prints.append(row)
    if command:
        yield Step("command", command, line, tuple(prints))


def same_shape(expected: str, found: str) -> bool:
    """Tell whether two printed lines differ in numbers and white space alone."""
    return _shape(expected) == _shape(found)


def _shape(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,]*(e[-+]?\d+)?", "0", line)).strip()


def command_fault(command: str, parsers: Mapping[str, argparse.ArgumentParser]) -> str:
    """Say what a parser has against a command line; empty if nothing, or if it is not ours.

    Parameters
    ----------
    command : str
        As a reader would type it; a comment at its end and what follows a pipe are left out.
    parsers : mapping of str to argparse.ArgumentParser
        By the name of the command.
    """
    words = shlex.split(command.replace("\\\n", " "), comments=True)
    for start, word in enumerate(words):
        if word not in parsers or (start and words[start - 1] not in _OPERATORS):
            continue
        own = words[start + 1 :]
        end = next((at for at, other in enumerate(own) if other in _OPERATORS), len(own))
        fault = _parse_fault(parsers[word], own[:end])
        if fault:
            return fault
    return ""


def _parse_fault(parser: argparse.ArgumentParser, words: list[str]) -> str:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            parser.parse_args(words)
        except SystemExit as end:
            if end.code:
                return said.getvalue().strip().splitlines()[-1]
    return ""


def option_faults(page: str, parser: argparse.ArgumentParser) -> list[str]:
    """Return the options in the running text of a page that no verb of a command has.

    Code that starts with a verb may name that verb's options alone.
    """
    verbs = verbs_of(parser)
    known = {verb: set(inner._option_string_actions) for verb, inner in verbs.items()}
    every = set(parser._option_string_actions).union(*known.values())
    faults = []
    text = _FENCE.sub("", page)
    for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text):
        words = span.replace("=", " ").split()
        if words and ("/" in words[0] or words[0] in _FOREIGN):
            continue
        if words and words[0] == parser.prog:
            words = words[1:]
        allowed = known.get(words[0], every) if words else every
        options = [word for word in words if re.fullmatch(r"--[a-z][a-z-]*", word)]
        faults += [f"{span}: {option}" for option in options if option not in allowed]
    return faults
