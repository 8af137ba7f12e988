"""Adding to an isolated position at a loss: the venue asks its least initial margin of all of it."""

from __future__ import annotations

import pytest

import bt_margin as btm

BTC = "BTC/USDC:USDC"


def account(loss: float) -> btm.Account:
    """A dYdX v4 account of 2023 (5 % initial, 3 % maintenance), isolated at 10x, at a loss per coin."""
    made = btm.Account("dydx_v4", 10_000, "isolated", 10, time=1_698_796_800_000)
    made.mark(BTC, 30_000.0)
    made.fill(BTC, 1.0, 30_000.0)
    made.mark(BTC, 30_000.0 - loss)
    return made


def test_an_addition_that_meets_it_is_taken() -> None:
    assert account(500.0).fill(BTC, 0.01, 29_500.0).refusal is None


def test_an_addition_short_of_it_is_refused_with_both_numbers() -> None:
    a = account(1_700.0)  # 1,300 left of 3,000, 5 % of 28,300 is 1,415
    refused = a.fill(BTC, 0.01, 28_300.0).refusal
    assert refused is not None
    assert refused.reason == "margin"
    assert refused.found == pytest.approx(0.05 * 28_300 * 1.01)
    assert refused.allowed == pytest.approx(1_300 + 0.01 * 28_300 / 10, rel=1e-3)
    assert not a.preview(BTC, 0.01, 28_300.0).accepted


def test_it_is_asked_at_the_mark_whatever_the_price_of_the_addition() -> None:
    for price in (28_000.0, 28_300.0, 28_600.0):
        refused = account(1_700.0).fill(BTC, 0.01, price).refusal
        assert refused is not None
        assert refused.found == pytest.approx(0.05 * 28_300 * 1.01)


def test_margin_added_first_makes_room() -> None:
    a = account(1_700.0)
    a.add_margin(BTC, 500.0)
    assert a.fill(BTC, 0.01, 28_300.0).refusal is None


def test_reducing_is_never_refused() -> None:
    assert account(1_700.0).fill(BTC, -0.5, 28_300.0).refusal is None
