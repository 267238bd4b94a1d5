"""Run many independent units: in this process, in local processes or on a Dask cluster.

A unit that fails never affects the others; ``failures.jsonl`` says which failed, and why.
"""

from __future__ import annotations

from astro_common.jobs.attempt import Failure
from astro_common.jobs.failures import FailureFile
from astro_common.jobs.run import Outcome, run_units

__all__ = ["Failure", "FailureFile", "Outcome", "run_units"]
