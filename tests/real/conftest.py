"""Checks against real exchange history, which is no part of the project: they skip without it."""

from __future__ import annotations

import pytest
from real.rawdata import VARIABLE, folder


@pytest.fixture(autouse=True, scope="session")
def market() -> None:
    """Every test here needs the real market."""
    if not folder().is_dir():
        pytest.skip(
            f"no real market data: neither {VARIABLE} nor ../shared/market beside the checkout"
        )
