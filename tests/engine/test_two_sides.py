"""Hedge mode in the engine: both sides of a symbol at once, each a position of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import bt_margin as btm
from bt_margin.engine.account import Account
from bt_margin.engine.bound import _uncovered
from bt_margin.engine.settings import leg_of
from bt_margin.errors import InputError

BTC = "BTC/USDT:USDT"
LONG, SHORT = f"{BTC} long", f"{BTC} short"
RATE = 0.01


def account(mode: Any = "cross", **own: Any) -> Account:
    flat = btm.venue(
        "generic", maintenance_rate=RATE, taker_fee=0.0, maker_fee=0.0, liquidation_fee=0.0,
        funding_interval="8h", residual="trader",
    )  # fmt: skip
    made = Account(replace(flat, hedge=True), 10_000, mode, 10, debug=True, **own)
    made.mark(BTC, 100.0)
    return made


def both(mode: Any = "cross") -> Account:
    a = account(mode)
    a.fill(LONG, 200.0, 100.0)
    a.fill(SHORT, -50.0, 100.0)
    return a


def test_both_sides_are_held_and_know_each_other() -> None:
    a = both()
    long, short = a.position(LONG), a.position(SHORT)
    assert (long.size, short.size, long.market, long.leg) == (200.0, -50.0, BTC, "long")
    assert long.other is short
    assert short.other is long
    assert a.initial() == 25_000 / 10  # margin for both


def test_what_is_against_a_side_is_judged_as_it_is_checked() -> None:
    """It can only reduce, so it needs no margin: a verdict says so before the order does."""
    a = both()
    for name, size in ((LONG, -1e6), (SHORT, 1e6)):
        assert a.verdict(name, size, 100.0) is None
        assert a.check_order(1, name, size, 100.0) is None
    assert a.verdict(LONG, 1e6, 100.0) is not None


def test_one_mark_moves_both() -> None:
    a = both()
    a.mark(LONG, 110.0)
    assert a.position(SHORT).mark == 110.0
    assert a.equity() == 10_000 + 150 * 10


def test_cross_sides_share_one_liquidation_price() -> None:
    a = both()
    # 10,000 + 150 (p − 100) = 0.01 · 250 p
    exact = (150 * 100 - 10_000) / (150 - RATE * 250)
    assert a.liquidation_price(LONG) == pytest.approx(exact, rel=1e-12)
    assert a.liquidation_price(SHORT) == pytest.approx(exact, rel=1e-12)
    a.mark(LONG, exact * (1 - 1e-9))
    assert {e.symbol for e in a.events if e.kind == "liquidation"} == {LONG, SHORT}
    a.audit()


def test_isolated_sides_stand_alone() -> None:
    a = both("isolated")
    assert a.liquidation_price(LONG) == pytest.approx((100 - 10) / (1 - RATE))
    assert a.liquidation_price(SHORT) == pytest.approx((100 + 10) / (1 + RATE))
    a.mark(LONG, 90.0)
    assert [e.symbol for e in a.events if e.kind == "liquidation"] == [LONG]
    assert a.position(SHORT).size == -50.0
    a.audit()


def test_funding_is_paid_by_each_side() -> None:
    a = both()
    a.fund(LONG, 0.01)
    a.fund(SHORT, 0.01)
    assert a.ledger.totals["funding"] == pytest.approx(-200.0 + 50.0)


@pytest.mark.parametrize(("closed", "other"), [(SHORT, LONG), (LONG, SHORT)])
def test_the_bound_knows_what_a_side_asks_for_more_when_the_other_one_goes(
    closed: str, other: str
) -> None:
    """On Bybit what the sides cover of each other is asked for once."""
    a = Account("bybit", 100_000, leverage=10)
    a.mark(closed, 50_000.0)
    a.fill(other, 0.5 if other == LONG else -0.5, 50_000.0)
    p, beside = a.position(closed), a.position(other)
    assert _uncovered(p, 50_000.0, 50_000.0) == 0.0
    a.fill(closed, -beside.size, 50_000.0)
    before = beside.maintenance()
    bound = _uncovered(p, 50_000.0, 50_000.0)
    a.fill(closed, -p.size, 50_000.0)
    assert bound == pytest.approx(beside.maintenance() - before)
    assert bound > 100.0


def test_a_venue_without_hedge_mode_refuses() -> None:
    flat = btm.venue(
        "generic", maintenance_rate=RATE, taker_fee=0.0, maker_fee=0.0, liquidation_fee=0.0,
        funding_interval="8h", residual="trader",
    )  # fmt: skip
    with pytest.raises(InputError, match="no hedge mode"):
        Account(flat, 1_000).position(LONG)


def test_only_long_and_short_are_sides() -> None:
    assert leg_of(LONG) == (BTC, "long")
    assert leg_of(f"{BTC} up") == (f"{BTC} up", None)


def test_a_net_position_is_not_hedged() -> None:
    a = account()
    a.fill(BTC, 1.0, 100.0)
    with pytest.raises(InputError, match="one-way position"):
        a.position(LONG)


def test_an_order_against_a_side_only_reduces_it() -> None:
    a = both()
    assert a.check_order(1, LONG, -500.0, 100.0) is None
    assert a.preview(LONG, -500.0).size == 0.0
    filled = a.fill(LONG, -500.0, 100.0)
    assert (filled.closed, filled.opened, a.position(LONG).size) == (-200.0, 0.0, 0.0)
    assert a.fill(LONG, -1.0, 100.0).event is None
    assert a.fill(SHORT, 80.0, 100.0).closed == 50.0


def test_both_sides_move_before_their_pool_is_judged() -> None:
    a = Account(account().venue, 10_000, "cross", 50, debug=True)
    a.mark(BTC, 50_000.0)
    a.fill(LONG, 3.0, 50_000.0)
    a.fill(SHORT, -2.99, 50_000.0)
    a.mark(LONG, 40_000.0)
    assert not [e for e in a.events if e.kind == "breach"]
    assert a.equity() == pytest.approx(10_000 - 0.01 * 10_000)
