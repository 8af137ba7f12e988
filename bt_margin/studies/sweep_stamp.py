"""How a sweep was made: enough to make it again."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

from bt_margin._version import __version__
from bt_margin.studies.backends import Crew
from bt_margin.studies.cells import Job
from bt_margin.studies.sweep_grid import Plan
from bt_margin.studies.sweep_store import data_digest

_STAMPED = ("backtrader", "numpy", "pandas", "joblib")


def stamp_of(job: Job, plan: Plan, crew: Crew, seconds: float, command: str) -> dict[str, Any]:
    """Versions, data, cells, workers, seconds and the command."""
    return {
        "strategy": job.strategy.__name__,
        "cells": len(plan.cells),
        "bt_margin": __version__,
        **{name: metadata.version(name) for name in _STAMPED},
        "python": platform.python_version(),
        "data": {symbol: data_digest(frame) for symbol, frame in job.data.items()},
        "backend": crew.backend,
        "workers": crew.workers or "one per core",
        "seconds": round(seconds, 3),
        "command": command or " ".join(sys.argv[:1]),
    }
