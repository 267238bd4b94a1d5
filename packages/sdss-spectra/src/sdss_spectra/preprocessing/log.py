"""The preprocessing log: one row per step and spectrum."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from astro_common.errors import ConfigurationError
from astro_common.jsonable import jsonable
from sdss_spectra.preprocessing.steps import Step
from sdss_spectra.tables import column

__all__ = ["COLUMNS", "log_rows", "time_stamp"]

COLUMNS: Final = (
    column("spec_id", "string", "identifier of the spectrum"),
    column("step_order", "int64", "place of the step, from 1 on"),
    column("step_name", "string", "name of the step"),
    column("params_json", "string", "parameters as a JSON object"),
    column("result_hash", "string", "SHA-256 over dtype, shape and bytes of the resulting flux"),
    column("timestamp", "string", "when the run began, ISO 8601 with offset from UTC"),
    column("warnings", "string", "what was skipped or odd"),
)


def time_stamp(given: str | None = None, option: str = "--created-at") -> str:
    """A time in ISO 8601 with an offset from UTC.

    Parameters
    ----------
    given : str, optional
        A date, or a time with or without an offset, which then is UTC. By default the time now, or
        that of the environment variable ``SOURCE_DATE_EPOCH``.
    option : str, optional
        What an error names.

    Raises
    ------
    ConfigurationError
        The text is no time.
    """
    if given is None:
        fixed = os.environ.get("SOURCE_DATE_EPOCH")
        try:
            moment = datetime.now(UTC) if fixed is None else datetime.fromtimestamp(int(fixed), UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise ConfigurationError("SOURCE_DATE_EPOCH", repr(fixed), "whole seconds") from error
        return moment.isoformat(timespec="seconds")
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as error:
        raise ConfigurationError(
            option, repr(given), "a time such as 2024-01-15T12:00:00Z"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def log_rows(spec_id: str, steps: Iterable[Step], timestamp: str) -> list[dict[str, Any]]:
    """Rows of the log for one spectrum."""
    return [
        {
            "spec_id": spec_id,
            "step_order": order,
            "step_name": step.name,
            "params_json": json.dumps(jsonable(step.params), sort_keys=True),
            "result_hash": step.result_hash,
            "timestamp": timestamp,
            "warnings": step.warnings,
        }
        for order, step in enumerate(steps, start=1)
    ]
