"""Shared settings of the tests: hypothesis profiles and expected warnings."""

from __future__ import annotations

from collections.abc import Iterator

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


@pytest.fixture(autouse=True)
def _own_venues_end_with_their_test() -> Iterator[None]:
    """Venues that a test registers are gone after it."""
    from bt_margin import venues

    builders, aliases = dict(venues._BUILDERS), dict(venues._ALIASES)
    yield
    for known, before in ((venues._BUILDERS, builders), (venues._ALIASES, aliases)):
        known.clear()
        known.update(before)
