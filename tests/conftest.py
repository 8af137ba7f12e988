"""Shared settings of the tests: hypothesis profiles, expected warnings, the optional real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "fuzz", max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")  # `pytest --hypothesis-profile fuzz` looks further and at random

# backtrader 1.9.78.123 on Python 3.12 and later: old escapes at import, utcnow on every bar.
EXPECTED_WARNINGS = (
    r"ignore:invalid escape sequence:SyntaxWarning",
    r"ignore:invalid escape sequence:DeprecationWarning",
    r"ignore:.*utcnow:DeprecationWarning",
    r"ignore:.*utcfromtimestamp:DeprecationWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    """Leave out the warnings of backtrader that nobody here can mend."""
    for line in EXPECTED_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(scope="session")
def real_market() -> Path:
    """The folder of real exchange history named by BT_MARGIN_REAL_DATA; skips without it."""
    named = os.environ.get("BT_MARGIN_REAL_DATA")
    if not named:
        pytest.skip("real market data is not part of the project: BT_MARGIN_REAL_DATA is not set")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"BT_MARGIN_REAL_DATA names {named}, which is not a folder")
    return folder
