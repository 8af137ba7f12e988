"""Leverage, mode and margin of a symbol: what may be changed when, and how a refusal looks."""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import KINDS, MODES, SIDES, binance, desk, near
from stories.world import A, B, account

from bt_margin.engine.account import Account
from bt_margin.errors import (
    InputError,
    LeverageError,
    LeverageRefused,
    MarginModeRefused,
    MarginRefused,
    Refused,
    UnknownMode,
)

BTC = "BTC/USDT:USDT"
TIERS = [(2_000, 0.005, 0.0, 50), (None, 0.01, 10.0, 20)]


def refused(
    error: type[Refused], action: str, a: Account, code: str, act: Any
) -> tuple[float, float]:
    """The act is refused by this rule, leaves an event and changes nothing; its two numbers."""
    before, count = a.snapshot(), len(a.ledger)
    state = {s: (p.leverage, p.margin_mode, p.pool) for s, p in a.book.items()}
    with pytest.raises(error) as caught:
        act()
    event = a.events[-1]
    assert event.kind == "refused"
    assert caught.value.event is event
    assert event.info == {"action": action, "code": code}
    assert caught.value.code == (code or action)
    assert str(caught.value) == event.reason
    assert (code in event.reason) is bool(code) or not code
    assert (caught.value.found, caught.value.allowed) == (event.found, event.allowed)
    assert (a.snapshot(), len(a.ledger)) == (before, count)
    assert {s: (p.leverage, p.margin_mode, p.pool) for s, p in a.book.items()} == state
    return caught.value.found, caught.value.allowed


# -- leverage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_flat_symbol_takes_any_leverage_up_to_its_lowest_tier(mode: str) -> None:
    d = desk(mode=mode, tiers=TIERS)
    event = d.account.set_leverage(A, 50)
    assert (event.kind, event.found, event.allowed) == ("leverage", 50, 50)
    assert event.info == {"before": 10}
    assert d.account.leverage(A) == 50


@pytest.mark.parametrize("leverage", [0, -1, float("nan"), float("inf"), "5", False])
def test_what_is_no_leverage_is_an_error_and_no_event(leverage: Any) -> None:
    d = desk()
    with pytest.raises(LeverageError):
        d.account.set_leverage(A, leverage)
    assert not d.kinds("refused")


def test_more_than_the_lowest_tier_allows_is_refused() -> None:
    d = desk(tiers=TIERS)
    assert refused(
        LeverageRefused, "leverage_max", d.account, "", lambda: d.account.set_leverage(A, 51)
    ) == (51, 50)


def test_a_position_above_the_cap_of_the_leverage_refuses_it() -> None:
    d = desk(tiers=TIERS)
    d.fill(21)
    found = refused(
        LeverageRefused,
        "leverage_above_cap",
        d.account,
        "",
        lambda: d.account.set_leverage(A, 50),
    )
    assert found == (2_100, 2_000)
    d.fill(-1)
    d.account.set_leverage(A, 50)


@pytest.mark.parametrize("side", SIDES)
def test_raising_the_leverage_of_a_cross_position_frees_margin_and_lowering_needs_it(
    side: int,
) -> None:
    d = desk()
    d.fill(40 * side)
    d.account.set_leverage(A, 20)
    assert d.account.available() == near(800)
    d.account.set_leverage(A, 4)
    assert d.account.available() == near(0)


def test_lowering_the_leverage_beyond_what_is_available_is_refused_in_cross() -> None:
    """4,000 at 10x holds 400; at 2x 2,000: 1,600 more, 600 are there."""
    d = desk()
    d.fill(40)
    found = refused(
        LeverageRefused, "leverage_balance", d.account, "", lambda: d.account.set_leverage(A, 2)
    )
    assert found == near((1_600, 600))


@pytest.mark.parametrize("mark", [40_000.0, 60_000.0])
def test_a_cap_that_counts_contracts_is_that_of_the_mark(mark: float) -> None:
    a = Account("okx", cash=50_000_000, leverage=10)
    a.mark(BTC, 50_000.0)
    size = a.position(BTC).cap(50_000.0) / 50_000.0 / a.position(BTC).multiplier * 0.9
    a.fill(BTC, size, 50_000.0)
    a.mark(BTC, mark)
    with pytest.raises(LeverageRefused) as caught:
        a.set_leverage(BTC, 100)
    found, allowed = caught.value.found, caught.value.allowed
    p = a.position(BTC)
    assert (found, p.leverage) == (near(p.notional()), 10)
    p.leverage = 100.0
    assert allowed == near(p.cap(mark))


@pytest.mark.parametrize("mode", MODES)
def test_lowering_the_leverage_counts_what_open_orders_lock(mode: str) -> None:
    """9,000 bid lock 900 at 10x; at 5x 1,800: 900 more, 100 are there."""
    d = desk(mode=mode)
    d.account.check_order(1, A, 90, 100)
    found = refused(
        LeverageRefused, "leverage_balance", d.account, "", lambda: d.account.set_leverage(A, 5)
    )
    assert found == near((900, 100))
    d.account.set_leverage(A, 9)
    assert d.account.available() == near(0)


def test_raising_the_leverage_is_allowed_where_the_margin_is_short() -> None:
    """40 lost of 1,000 with 1,000 locked: less is locked afterwards, and that is welcome."""
    d = desk()
    d.fill(100)
    d.mark(0.996)
    assert d.account.available() < 0
    d.account.set_leverage(A, 20)
    assert d.account.available() > 0
    d.account.set_leverage(A, 20)


def test_lowering_the_leverage_of_an_isolated_position_posts_what_is_missing() -> None:
    d = desk(mode="isolated")
    d.fill(40)
    event = d.account.set_leverage(A, 5)
    assert (d.posted, d.account.available(), event.info["posted"]) == (800, 200, 400)
    assert d.p.initial() == 800
    d.account.audit()


def test_saying_the_leverage_it_has_moves_nothing() -> None:
    d = desk(mode="isolated")
    d.fill(10)
    d.mark(0.95)
    before = d.account.snapshot()
    d.account.set_leverage(A, 10)
    assert d.account.snapshot() == before


def test_a_leverage_that_the_free_wallet_cannot_post_for_is_refused() -> None:
    d = desk(mode="isolated")
    d.fill(40)
    with pytest.raises(LeverageRefused, match=r"1,600\.00 more initial margin"):
        d.account.set_leverage(A, 2)
    assert (d.posted, d.p.leverage) == (400, 10)


def test_binance_refuses_to_lower_the_leverage_of_an_open_isolated_position() -> None:
    a = binance("2024-06-01", leverage=10, margin_mode="isolated")
    a.fill(BTC, 1, 50_000)
    found = refused(
        LeverageRefused,
        "lower_leverage_isolated",
        a,
        "-4161",
        lambda: a.set_leverage(BTC, 5),
    )
    assert found == (5, 10)
    a.set_leverage(BTC, 20)
    assert a.leverage(BTC) == 20


# -- margin mode -----------------------------------------------------------------------------------


def test_a_flat_symbol_switches_where_no_rule_forbids_it() -> None:
    a = binance("2024-06-01")
    event = a.set_margin_mode(BTC, "isolated")
    assert (event.kind, event.reason, event.info) == (
        "margin_mode",
        "isolated",
        {"before": "cross"},
    )
    assert a.margin_mode(BTC) == "isolated"
    a.fill(BTC, 1, 50_000)
    assert a.positions[BTC].pool is a.pools[f"isolated:{BTC}"]


def test_an_unknown_mode_is_an_error() -> None:
    unknown: Any = "portfolio"
    with pytest.raises(UnknownMode, match="'portfolio'"):
        desk().account.set_margin_mode(A, unknown)


def test_where_one_mode_holds_for_the_account_a_symbol_has_no_other() -> None:
    one = Account("bybit", cash=10_000, symbols={BTC: {"margin_mode": "isolated"}})
    with pytest.raises(MarginModeRefused, match="BTC/USDT:USDT cannot be isolated beside cross"):
        one.mark(BTC, 50_000)
    two = Account("bybit", cash=10_000)
    two.mark(BTC, 50_000)
    two.set_default_mode("isolated")
    with pytest.raises(MarginModeRefused, match="one margin mode for the whole account"):
        two.mark("ETH/USDT:USDT", 2_000)


def test_binance_refuses_to_switch_with_an_open_position() -> None:
    a = binance("2024-06-01", leverage=10)
    a.fill(BTC, -1.5, 50_000)
    assert refused(
        MarginModeRefused,
        "mode_with_position",
        a,
        "-4048",
        lambda: a.set_margin_mode(BTC, "isolated"),
    ) == (1.5, 0)


def test_binance_refuses_to_switch_with_open_orders() -> None:
    a = binance("2024-06-01", leverage=10)
    a.check_order(1, BTC, 1, 40_000)
    assert refused(
        MarginModeRefused,
        "mode_with_orders",
        a,
        "-4047",
        lambda: a.set_margin_mode(BTC, "isolated"),
    ) == (1, 0)
    a.release(1)
    assert a.set_margin_mode(BTC, "isolated").kind == "margin_mode"


def test_switching_to_the_mode_it_has_is_never_refused_and_moves_nothing() -> None:
    a = binance("2024-06-01", leverage=10)
    a.fill(BTC, 1, 50_000)
    before = a.snapshot()
    a.set_margin_mode(BTC, "cross")
    assert a.snapshot() == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_generic_moves_the_margin_of_an_open_position_both_ways(kind: str, side: int) -> None:
    d = desk(kind)
    a = d.account
    d.fill(40 * side)
    equity, free = a.equity(), a.available()
    a.set_margin_mode(d.symbol, "isolated")
    assert d.p.pool is a.pools[f"isolated:{d.symbol}"]
    assert d.posted == near(0.4 * equity)
    assert a.cross.balance == near(0.6 * equity)
    assert a.cross.positions == []
    assert (a.equity(), a.available()) == near((equity, free))
    a.set_margin_mode(d.symbol, "cross")
    assert d.p.pool is a.cross
    assert list(a.pools) == [a.cross.key]
    assert a.cross.positions == [d.p]
    assert (a.equity(), a.available(), a.cross.balance) == near((equity, free, equity))
    moves = [e.amount for e in a.ledger if e.kind == "transfer"]
    assert moves == near([-0.4 * equity, 0.4 * equity, -0.4 * equity, 0.4 * equity])
    a.audit()


def test_a_losing_position_is_isolated_with_enough_to_stand_on() -> None:
    """40 long at 10x, mark 92: 320 lost; its initial margin of 368 must stand after the loss: 688."""
    d = desk()
    d.fill(40)
    d.mark(0.92)
    d.account.set_margin_mode(A, "isolated")
    assert d.posted == near(688)
    assert d.p.pool.equity() == near(368)
    assert d.account.available() == near(1_000 - 688)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exactly_there_suffices_to_isolate(kind: str) -> None:
    d = desk(kind)
    d.fill(100)
    assert d.account.available() == near(0)
    d.account.set_margin_mode(d.symbol, "isolated")
    assert d.posted == near(d.account.equity())


def test_isolating_more_than_is_available_is_refused() -> None:
    a = account(leverage=10)
    a.mark(A, 100)
    a.mark(B, 100)
    a.fill(A, 50, 100)
    a.fill(B, 50, 100)
    a.mark(A, 95)
    found = refused(
        MarginModeRefused, "mode_balance", a, "", lambda: a.set_margin_mode(A, "isolated")
    )
    # 475 + 250 lost are needed; the other position leaves 1,000 − 500
    assert found == near((725, 500))


# -- margin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_added_margin_moves_the_liquidation_price_away_and_comes_back(kind: str) -> None:
    d = desk(kind, "isolated")
    a = d.account
    d.fill(4)
    unit, before, near_price = a.equity() / 1_000, d.posted, a.liquidation_price(d.symbol)
    event = a.add_margin(d.symbol, 5 * unit)
    assert (event.kind, event.amount, event.reason) == ("transfer", 5 * unit, "margin added")
    assert d.posted == near(before + 5 * unit)
    far = a.liquidation_price(d.symbol)
    assert far is not None
    assert near_price is not None
    assert far < near_price
    event = a.reduce_margin(d.symbol, 5 * unit)
    assert (event.amount, event.reason) == (-5 * unit, "margin removed")
    assert d.posted == near(before)
    assert a.equity() == near(1_000 * unit)


def test_more_than_is_available_cannot_be_added() -> None:
    d = desk(mode="isolated")
    d.fill(4)
    a = d.account
    found = refused(MarginRefused, "add_margin_balance", a, "", lambda: a.add_margin(A, 960.001))
    assert found == near((960.001, 960))
    a.add_margin(A, 960)
    assert a.available() == 0


@pytest.mark.parametrize(("at", "most"), [(1.0, 10.0), (1.1, 6.0), (0.95, 50 - 20 - 38.0)])
def test_margin_may_leave_down_to_the_initial_margin_and_profit_does_not_count(
    at: float, most: float
) -> None:
    """4 long, 50 posted: 50 + min(0, profit) − a tenth of the notional at the mark."""
    d = desk(mode="isolated")
    d.fill(4)
    d.account.add_margin(A, 10)
    d.mark(at)
    most = max(0.0, most)
    a = d.account
    found = refused(
        MarginRefused,
        "reduce_margin_balance",
        a,
        "",
        lambda: a.reduce_margin(A, most + 0.001),
    )
    assert found == near((most + 0.001, most))
    if most:
        a.reduce_margin(A, most)
        assert d.posted == near(50 - most)


def test_margin_belongs_to_open_isolated_positions_only() -> None:
    d = desk()
    a = d.account
    d.fill(4)
    assert refused(MarginRefused, "margin_cross", a, "", lambda: a.add_margin(A, 1)) == (1, 0)
    d = desk(mode="isolated")
    b = d.account
    for act in (lambda: b.add_margin(A, 1), lambda: b.reduce_margin(A, 1)):
        assert refused(MarginRefused, "margin_no_position", b, "", act) == (1, 0)


@pytest.mark.parametrize("amount", [0, -1, float("nan"), float("inf")])
def test_an_impossible_amount_is_an_error_and_no_event(amount: float) -> None:
    d = desk(mode="isolated")
    d.fill(4)
    for act in (d.account.add_margin, d.account.reduce_margin):
        with pytest.raises(InputError, match="amount"):
            act(A, amount)
    assert not d.kinds("refused")


def test_binance_gives_its_own_code_for_margin_that_is_not_there() -> None:
    a = binance("2024-06-01", leverage=10, margin_mode="isolated")
    a.fill(BTC, 1, 50_000)
    codes = a.venue.switching.codes
    refused(
        MarginRefused,
        "add_margin_balance",
        a,
        codes.get("add_margin_balance", ""),
        lambda: a.add_margin(BTC, 10**6),
    )
    refused(
        MarginRefused,
        "reduce_margin_balance",
        a,
        codes.get("reduce_margin_balance", ""),
        lambda: a.reduce_margin(BTC, 10**6),
    )
    assert codes["add_margin_balance"] == "-4050"
    assert codes["reduce_margin_balance"] == "-4051"
