"""The account: how it begins, its clock, its marks, its end, what it can be asked, its copies."""

from __future__ import annotations

import math
from typing import Any

import pytest
from engine.bench import COIN, HOUR, KINDS, MODES, SIDES, binance, desk, near
from stories.world import LADDER, A, B, account, generic

import bt_margin as btm
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import (
    CashError,
    InputError,
    InvariantError,
    LeverageError,
    UnknownMode,
    UnknownSymbol,
)
from bt_margin.venues.policies import FullClose

NAN, INF = math.nan, math.inf
BTC = "BTC/USDT:USDT"

# -- making one ------------------------------------------------------------------------------------


def test_an_account_begins_with_its_deposit_and_nothing_else() -> None:
    a = account(cash=500)
    assert [(e.kind, e.amount, e.pool) for e in a.events] == [("deposit", 500.0, "cross:USDT")]
    assert (a.equity(), a.wallet(), a.available()) == (500, 500, 500)
    assert (a.initial(), a.maintenance(), a.exposed(), a.dead) == (0, 0, False, False)
    assert btm.Account("binance").wallet() == 10_000  # where nothing is said


@pytest.mark.parametrize("cash", [0, -1, NAN, INF, "100", True, None])
def test_cash_must_be_an_amount_above_zero(cash: Any) -> None:
    with pytest.raises(CashError):
        btm.Account(generic(), cash)


@pytest.mark.parametrize("leverage", [0, -2, NAN, INF, "10", True])
def test_leverage_must_be_a_number_above_zero(leverage: Any) -> None:
    with pytest.raises(LeverageError):
        btm.Account(generic(), 1_000, leverage=leverage)


def test_modes_thresholds_and_slippage_are_checked() -> None:
    both: Any = "both"
    with pytest.raises(UnknownMode, match="'both'"):
        btm.Account(generic(), 1_000, margin_mode=both)
    for calls in [(0.0,), (1.1,), (NAN,)]:
        with pytest.raises(InputError, match="threshold"):
            btm.Account(generic(), 1_000, margin_calls=calls)
    for slippage in [-0.1, 1.0, NAN]:
        with pytest.raises(InputError, match="slippage"):
            btm.Account(generic(), 1_000, liquidation_slippage=slippage)


def test_thresholds_are_put_in_order_and_none_at_all_are_fine() -> None:
    assert btm.Account(generic(), 1_000, margin_calls=(0.9, 0.5)).margin_calls == (0.5, 0.9)
    assert btm.Account(generic(), 1_000, margin_calls=()).lowest_call == INF


def test_symbols_may_have_their_own_mode_and_leverage() -> None:
    a = account(symbols={B: {"margin_mode": "isolated", "leverage": 3}})
    assert (a.margin_mode(A), a.leverage(A)) == ("cross", 10)
    assert (a.margin_mode(B), a.leverage(B)) == ("isolated", 3)


def test_a_leverage_above_the_lowest_tier_is_an_error_that_says_what_is_allowed() -> None:
    a = account(leverage=60, tiers=[(1_000, 0.005, 0, 50), (None, 0.01, None, 20)])
    with pytest.raises(LeverageError, match=r"60 exceeds 50.*1970-01-01"):
        a.mark(A, 100)


def test_a_contract_in_another_currency_is_no_part_of_this_account() -> None:
    a = account()
    with pytest.raises(UnknownSymbol, match=r"settles in BTC, this account holds USDT"):
        a.mark(COIN, 50_000)


def test_other_spellings_of_a_symbol_are_one_position() -> None:
    a = binance("2024-06-01")
    assert a.position("BTCUSDT") is a.position(BTC)
    assert list(a.book) == [BTC]


# -- time and rules --------------------------------------------------------------------------------


def test_a_feed_that_stands_for_a_contract_keeps_its_name() -> None:
    feed = "BTC/USDT:USDT"
    a = btm.Account(btm.venue("hyperliquid").standing_for([feed]), cash=10_000, leverage=10)
    a.mark(feed, 50_000)
    event = a.fill(feed, 0.1, 50_000).event
    assert event is not None
    assert (event.symbol, list(a.positions), a.positions[feed].symbol) == (feed, [feed], feed)
    assert a.positions[feed].contract.symbol == "BTC/USDC:USDC"


def test_the_clock_does_not_go_back() -> None:
    a = account()
    a.clock(5)
    a.clock(5)
    with pytest.raises(InputError, match="from 5 to 4"):
        a.clock(4)
    assert a.time == 5


def dated() -> Any:
    import dataclasses

    tables = ((0, TierTable.flat(0.01)), (HOUR, TierTable.flat(0.02)), (3 * HOUR, LADDER_TABLE))
    return dataclasses.replace(generic(), default_schedule=TierSchedule(tables))


LADDER_TABLE = TierTable.of(LADDER)


def test_a_table_comes_into_force_on_its_date_and_says_so() -> None:
    """trap 53."""
    a = btm.Account(dated(), 1_000, leverage=10)
    a.mark(A, 100)
    a.fill(A, 10, 100)
    a.clock(HOUR - 1)
    assert (a.maintenance(), a.next_rules) == (near(10), HOUR)
    a.clock(HOUR)
    assert (a.maintenance(), a.next_rules) == (near(20), 3 * HOUR)
    a.clock(10 * HOUR)
    assert (a.maintenance(), a.next_rules) == (near(5), INF)
    rules = [e for e in a.events if e.kind == "rules"]
    assert [(e.time, e.symbol) for e in rules] == [(HOUR, A), (10 * HOUR, A)]


def test_a_symbol_whose_table_stays_is_not_told_of_the_change_of_another() -> None:
    import dataclasses

    own = {B: TierSchedule(((0, TierTable.flat(0.01)),))}
    a = btm.Account(dataclasses.replace(dated(), schedules=own), 1_000, leverage=10)
    a.mark(B, 50)
    assert a.next_rules == INF
    a.mark(A, 100)
    a.clock(HOUR)
    assert [e.symbol for e in a.events if e.kind == "rules"] == [A]


def test_a_symbol_first_met_later_gets_the_table_of_that_day() -> None:
    a = btm.Account(dated(), 1_000, leverage=10)
    a.mark(A, 100)
    a.clock(2 * HOUR)
    assert a.position(B).table.at(0).mmr == 0.02
    assert a.next_rules == 3 * HOUR
    a.clock(3 * HOUR)
    assert {e.symbol for e in a.events if e.kind == "rules" and e.time == 3 * HOUR} == {A, B}


def test_binance_sells_are_margined_with_the_premium_only_since_its_date() -> None:
    for day, rate in [("2026-01-04", 0.0), ("2026-01-05", 0.0015)]:
        a = binance(day, leverage=10)
        a.check_order(1, BTC, -1, 50_000)
        assert a.available() == near(100_000 - 5_000 * (1 + rate))


# -- marks and the end -----------------------------------------------------------------------------


def test_a_mark_that_breaches_liquidates_at_once_and_tells_what_happened() -> None:
    d = desk()
    d.fill(50)
    assert d.mark(0.9) == []
    assert [e.kind for e in d.mark(0.8)] == ["breach", "liquidation", "dead"]
    assert d.account.positions == {}


def test_the_breach_names_both_numbers_and_the_marks() -> None:
    d = desk()
    d.fill(50)
    d.mark(0.8)
    (breach,) = d.kinds("breach")
    assert (breach.found, breach.allowed) == (near(20), near(0))
    assert breach.info["marks"] == {A: 80.0}


@pytest.mark.parametrize("mode", MODES)
def test_the_dead_open_nothing_until_cash_is_added(mode: str) -> None:
    """trap 28."""
    d = desk(mode=mode, policy=FullClose("sale", "fund"))
    d.fill(100)
    d.mark(0.85)
    a = d.account
    assert a.dead
    assert d.kinds("dead")[0].cause is not None
    refusal = a.check_order(1, A, 1, 85)
    assert refusal is not None
    assert refusal.reason == "dead"
    assert d.fill(1, 0.85).refusal.reason == "dead"
    assert [e.reason for e in d.kinds("rejected")] == ["dead", "dead"]
    event = a.deposit(0)
    assert a.dead
    event = a.deposit(100)
    assert not a.dead
    assert a.events[-1].kind == "revived"
    assert a.events[-1].cause == event.id
    assert d.fill(1, 0.85).refusal is None


# -- reading ---------------------------------------------------------------------------------------


def test_risk_is_asked_of_a_pool_a_symbol_or_the_whole_account() -> None:
    one = account(symbols={B: {"margin_mode": "isolated"}})
    one.mark(A, 100)
    one.mark(B, 50)
    one.fill(A, 10, 100)
    one.fill(B, -10, 50)
    assert one.risk("cross:USDT") == one.risk(A)
    assert one.risk(A).equity == 950
    assert one.risk(f"isolated:{B}") == one.risk(B)
    assert one.risk(B).equity == 50
    assert one.risk().equity == 1_000
    assert one.risk("Z/USDT:USDT") == one.risk(A)
    assert one.initial() == one.risk().initial == near(150)
    assert one.maintenance() == one.risk().maintenance == near(7.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_at_the_liquidation_price_equity_is_the_maintenance_and_at_the_bankruptcy_price_nothing(
    kind: str, mode: str, side: int
) -> None:
    d = desk(kind, mode, tiers=[(2 if kind == "inverse" else 2_000, 0.005, 0), (None, 0.02, None)])
    d.fill(40 * side)
    price, ruin = (
        d.account.liquidation_price(d.symbol), d.account.bankruptcy_price(d.symbol)
    )  # fmt: skip
    assert price is not None
    assert ruin is not None
    assert (price - ruin) * side > 0
    d.p.move(price)
    assert d.p.pool.equity() == near(d.p.pool.maintenance(), rel=1e-7)
    d.p.move(ruin)
    assert d.p.pool.equity() == near(0)


def test_a_flat_symbol_has_no_liquidation_and_no_bankruptcy_price() -> None:
    d = desk()
    assert d.account.liquidation_price(A) is None
    assert d.account.bankruptcy_price(A) is None


def test_the_other_positions_of_a_pool_move_its_prices() -> None:
    """traps 2 and 3: the short in B wins, the long in A is safer; losing, it is nearer."""
    one = account(leverage=20)
    one.mark(A, 100)
    one.mark(B, 100)
    one.fill(A, 60, 100)
    one.fill(B, -60, 100)
    prices = []
    for mark in (95, 100, 104):
        one.mark(B, mark)
        prices.append((one.liquidation_price(A), one.bankruptcy_price(A)))
    assert prices == sorted(prices)
    # 1,000 + 60·(b − 100) + 60·(100 − 104) = 0
    assert prices[2][1] == near(100 - 760 / 60)
    # … = 0.005·60·(p + 104)
    assert prices[2][0] == near((6_000 - 760 + 31.2) / (60 * 0.995))


def test_a_snapshot_is_plain_numbers() -> None:
    d = desk()
    d.fill(4)
    d.mark(1.1)
    shot = d.account.snapshot()
    assert shot["equity"] == 1_040
    assert shot["wallet"] == 1_000
    assert shot["initial"] == near(44)
    assert shot["available"] == near(996)
    assert shot["maintenance"] == near(2.2)
    assert (shot["time"], shot["dead"]) == (0, False)
    assert shot["positions"] == {A: (4, 100, near(110))}
    assert list(shot["pools"]) == ["cross:USDT"]


# -- copies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_nothing_done_to_a_copy_touches_the_account(mode: str) -> None:
    one = account(mode, tiers=LADDER, taker_fee=0.001)
    for s in (A, B):
        one.mark(s, 100)
    one.fill(A, 40, 100)
    one.check_order(1, B, 10, 99)
    before = (one.snapshot(), len(one.events), len(one.ledger), one.orders.total(one.book))
    twin = one.fork()
    assert twin.snapshot() == one.snapshot()
    assert twin.orders.total(twin.book) == one.orders.total(one.book)
    assert twin.events == []
    twin.release(1)
    twin.check_order(2, B, -5, 101)
    twin.fill(B, 5, 100)
    twin.fill(A, -60, 101)
    twin.fund(A, 0.01)
    twin.mark(B, 120)
    twin.set_leverage(A, 20)
    twin.deposit(5)
    twin.mark(A, 300)
    twin.clock(99)
    assert (one.snapshot(), len(one.events), len(one.ledger), one.orders.total(one.book)) == before
    assert (one.leverage(A), one.position(A).mark, one.time) == (10, 100, 0)
    one.audit()


@pytest.mark.parametrize("mode", MODES)
def test_nothing_done_to_the_account_touches_its_copy(mode: str) -> None:
    one = account(mode)
    one.mark(A, 100)
    one.fill(A, 40, 100)
    twin = one.fork()
    shot = twin.snapshot()
    one.mark(A, 60)
    one.deposit(100)
    one.check_order(1, A, 1, 60)
    assert twin.snapshot() == shot
    assert all(p.pool is twin.pools[p.pool.key] for p in twin.positions.values() if p.pool)


def test_the_audit_is_made_after_every_entry_only_when_asked_for() -> None:
    quiet = btm.Account(generic(), 1_000)
    quiet.cross.balance += 1
    quiet.deposit(1)
    with pytest.raises(InvariantError):
        quiet.audit()
