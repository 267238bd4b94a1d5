"""The errors that a user is meant to read.

Every error that these packages raise on purpose is one line: where it occurred, what was found
there, what was expected, and what to do about it. The class decides the exit status of a command.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["AstroError", "ConfigurationError", "InputError", "OutputError"]


class AstroError(Exception):
    """Base class of the errors that are meant for users.

    Parameters
    ----------
    source : str or path
        The file, key, column or option at fault.
    found : str
        What was found there.
    expected : str, optional
        What should have been there.
    action : str, optional
        What the user can do.
    """

    exit_status = 1

    def __init__(
        self,
        source: str | os.PathLike[str],
        found: str,
        expected: str = "",
        action: str = "",
    ) -> None:
        super().__init__(source, found, expected, action)
        self.source = str(source)
        self.found = found
        self.expected = expected
        self.action = action

    @property
    def reason(self) -> str:
        """The message without its source (str)."""
        parts = [self.found]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.action:
            parts.append(self.action)
        # Library messages quoted in `found` may hold line breaks; an error is one line.
        return " ".join("; ".join(parts).split())

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class InputError(AstroError):
    """An input file, or something in it, is missing, damaged or not what it claims to be."""

    @property
    def path(self) -> Path:
        """The file at fault (Path)."""
        return Path(self.source)


class ConfigurationError(AstroError):
    """An option or a key of the configuration is unknown, missing or has a wrong value."""

    exit_status = 2


class OutputError(AstroError):
    """The output cannot be written: it exists, the disk is full, the folder is read-only."""
