"""The account: money in and out, fills, settlements, the clock, bad input, copies."""

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
    DataError,
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


@pytest.mark.parametrize("cash", [0, -1, NAN, INF, "100", True, None])
def test_cash_must_be_an_amount_above_zero(cash: Any) -> None:
    with pytest.raises(CashError):
        btm.Account(generic(), cash)


@pytest.mark.parametrize("leverage", [0, -2, NAN, INF, "10", True])
def test_leverage_must_be_a_number_above_zero(leverage: Any) -> None:
    with pytest.raises(LeverageError):
        btm.Account(generic(), 1_000, leverage=leverage)


def test_modes_thresholds_and_slippage_are_checked() -> None:
    with pytest.raises(UnknownMode, match="'both'"):
        btm.Account(generic(), 1_000, margin_mode="both")  # type: ignore[arg-type]
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


# -- deposits and withdrawals ----------------------------------------------------------------------


def test_a_deposit_is_cash_at_once() -> None:
    a = account()
    event = a.deposit(250)
    assert (event.kind, event.amount, event.balance) == ("deposit", 250, 1_250)
    assert a.ledger.totals["deposit"] == 1_250


@pytest.mark.parametrize("amount", [-1, NAN, INF])
def test_an_impossible_deposit_is_an_error_and_changes_nothing(amount: float) -> None:
    a = account()
    with pytest.raises(CashError, match="deposit"):
        a.deposit(amount)
    assert (a.equity(), len(a.events)) == (1_000, 1)


def test_a_withdrawal_leaves_the_initial_margin() -> None:
    d = desk()
    d.fill(4)
    event = d.account.withdraw(960)
    assert (event.kind, event.amount, event.balance) == ("withdrawal", -960, 40)
    assert d.account.available() == near(0)
    assert d.account.ledger.totals["withdrawal"] == -960


@pytest.mark.parametrize("amount", [960.01, -1, NAN, INF])
def test_more_than_is_available_is_refused_with_an_event(amount: float) -> None:
    d = desk()
    d.fill(4)
    with pytest.raises(CashError, match=r"exceeds 960\.00"):
        d.account.withdraw(amount)
    event = d.account.events[-1]
    assert (event.kind, event.reason, event.allowed) == ("refused", "withdrawal", near(960))
    assert d.account.wallet() == 1_000


def test_float_dust_above_what_is_available_takes_what_is_available() -> None:
    a = account()
    assert a.withdraw(1_000 * (1 + 5e-13)).amount == -1_000
    assert a.equity() == 0
    a.audit()


# -- fills -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_there_and_back_at_one_price_costs_the_fees_only(kind: str, mode: str, side: int) -> None:
    """trap 34."""
    d = desk(kind, mode, taker_fee=0.0005)
    before = d.account.equity()
    d.fill(5 * side)
    d.mark(1.02)
    fee = d.fill(-5 * side, 1.0).fee
    assert d.account.equity() == near(before - 2 * fee)
    assert d.account.available() == near(before - 2 * fee)


def test_maker_and_taker_pay_their_own_rates_and_a_callable_decides_otherwise() -> None:
    d = desk(taker_fee=0.001, maker_fee=0.0002)
    assert d.fill(1).fee == near(0.1)
    assert d.fill(1, liquidity="maker").fee == near(0.02)
    assert d.fill(1, fee=lambda size, price: size * 0.5).fee == near(0.5)
    assert d.kinds("fill")[1].info == {"liquidity": "maker"}


def test_the_event_of_a_fill_says_what_was_booked() -> None:
    d = desk(taker_fee=0.001)
    d.fill(4)
    fill = d.fill(-1, 1.1, order=7, info={"why": "test"})
    event = fill.event
    assert (event.size, event.price, event.mark) == (-1, near(110), 100)
    assert (event.realised, event.fee, event.order) == (near(10), near(0.11), 7)
    assert event.info == {"liquidity": "taker", "why": "test"}
    assert (fill.opened, fill.closed, fill.size, fill.entry) == (0, -1, 3, 100)
    assert (fill.closing_fee, fill.opening_fee, fill.fee) == (near(0.11), 0, near(0.11))


def test_the_first_fill_sets_a_mark_that_nobody_gave() -> None:
    a = account()
    a.fill(A, 1, 120)
    assert a.position(A).mark == 120


@pytest.mark.parametrize("size", [0, -1])
def test_a_fill_of_nothing_is_no_event(size: float) -> None:
    d = desk()
    before = len(d.account.events)
    fill = d.fill(size, reduce_only=True)
    assert (fill.opened, fill.closed, fill.event, fill.refusal) == (0, 0, None, None)
    assert len(d.account.events) == before


def test_reduce_only_closes_what_is_there_and_no_more() -> None:
    d = desk()
    d.fill(2)
    fill = d.fill(-5, reduce_only=True)
    assert (fill.closed, fill.opened, d.p.size) == (-2, 0, 0)
    assert d.fill(3, reduce_only=True).event is None


def test_an_order_fills_into_its_own_reservation() -> None:
    d = desk()
    assert d.account.check_order(1, A, 100, 100) is None
    assert d.account.available() == 0
    assert d.fill(100, order=1).refusal is None
    d.account.release(1)
    assert d.account.available() == 0


def test_without_its_reference_the_reservation_stands_in_the_way() -> None:
    d = desk()
    d.account.check_order(1, A, 100, 100)
    refusal = d.fill(100).refusal
    assert refusal is not None
    assert refusal.reason == "margin"


@pytest.mark.parametrize("price", [0, -5, NAN, INF])
def test_an_impossible_price_is_an_error_everywhere(price: float) -> None:
    d = desk()
    d.fill(1)
    a = d.account
    before = a.snapshot()
    for act in (
        lambda: a.fill(A, 1, price),
        lambda: a.mark(A, price),
        lambda: a.preview(A, 1, price),
        lambda: a.check_order(1, A, 1, price),
        lambda: a.fund(A, 0.01, mark=price),
    ):
        with pytest.raises(DataError, match="not possible"):
            act()
    assert a.snapshot() == before


@pytest.mark.parametrize("size", [NAN, INF, -INF])
def test_an_impossible_size_is_an_error_everywhere(size: float) -> None:
    d = desk()
    a = d.account
    for act in (
        lambda: a.fill(A, size, 100),
        lambda: a.preview(A, size, 100),
        lambda: a.check_order(1, A, size, 100),
    ):
        with pytest.raises(InputError, match="size"):
            act()
    assert a.equity() == 1_000


def test_a_preview_needs_a_price_or_a_mark() -> None:
    with pytest.raises(DataError, match="price 0"):
        account().preview(A, 1)


@pytest.mark.parametrize("rate", [NAN, INF])
def test_impossible_rates_and_interest_are_errors(rate: float) -> None:
    d = desk()
    d.fill(1)
    with pytest.raises(InputError, match="funding rate"):
        d.account.fund(A, rate)
    with pytest.raises(InputError, match="interest"):
        d.account.charge_interest(rate)
    assert d.account.equity() == 1_000


# -- funding and interest --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rate", [0.01, -0.01])
def test_longs_pay_a_positive_rate_on_the_notional_at_the_mark(
    kind: str, side: int, rate: float
) -> None:
    """trap 42."""
    d = desk(kind)
    d.fill(4 * side)
    d.mark(1.1)
    before = d.account.cross.balance
    event = d.account.fund(d.symbol, rate)
    assert event is not None
    assert event.amount == near(-side * d.p.notional() * rate)
    assert d.account.cross.balance == near(before + (event.amount or 0.0))
    assert (event.found, event.size) == (rate, 4 * side * d.unit)


def test_a_settlement_may_bring_its_own_mark() -> None:
    d = desk()
    d.fill(4)
    event = d.account.fund(A, 0.01, mark=200.0)
    assert event is not None
    assert (event.amount, event.mark) == (-8, 200)


def test_isolated_positions_pay_from_their_own_margin() -> None:
    d = desk(mode="isolated")
    d.fill(4)
    d.account.fund(A, 0.01)
    assert (d.posted, d.account.cross.balance) == (36, 960)


def test_a_flat_position_pays_no_funding() -> None:
    d = desk()
    assert d.account.fund(A, 0.01) is None
    assert len(d.account.ledger) == 1


def test_interest_leaves_the_pool_of_its_symbol_or_the_wallet() -> None:
    d = desk(mode="isolated")
    d.fill(4)
    event = d.account.charge_interest(3, A)
    assert (event.kind, event.amount, event.symbol) == ("interest", -3, A)
    assert (d.posted, d.account.cross.balance) == (37, 960)
    d.account.charge_interest(5)
    d.account.charge_interest(1, B)
    assert d.account.cross.balance == 954
    assert d.account.ledger.totals["interest"] == -9


def test_interest_a_flat_wallet_cannot_pay_is_a_shortfall_and_the_end() -> None:
    d = desk()
    event = d.account.charge_interest(1_200)
    assert d.account.equity() == 0
    (short,) = d.kinds("shortfall")
    assert (short.amount, short.cause) == (200, event.id)
    assert d.account.dead
    d.account.audit()


# -- time and rules --------------------------------------------------------------------------------


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
