"""Bybit in the engine: crash bars end where its formulas say, and every coin of the ledger is told."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest
from engine.bench import HOUR, MODES, SIDES, Orders, near
from hypothesis import given, settings
from hypothesis import strategies as st
from stories.world import flat, frame

import bt_margin as btm
from bt_margin.core.closing_fee import opening_cost
from bt_margin.core.funding import FundingStamp
from bt_margin.engine.account import Account
from bt_margin.engine.quote import Quote
from bt_margin.engine.resting import Resting
from bt_margin.engine.step import NoOrders, Stepper
from bt_margin.errors import MarginModeRefused, MarginRefused
from bt_margin.venues.names import moment

BTC, COIN, ETH = "BTC/USDT:USDT", "BTC/USD:BTC", "ETH/USDT:USDT"
KINDS = ["linear", "inverse"]
DAYS = ["2025-08-20", "2025-10-20"]  # by entry value, by mark value
TAKER = 0.00055
PRICE = 50_000.0


def ms(day: str) -> int:
    found = moment(day)
    assert found is not None
    return found


def account(
    day: str, mode: Any, kind: str = "linear", cash: float = 1.0, leverage: float = 10, **own: Any
) -> Account:
    """``cash`` times 50,000 USDT or 1 BTC, at 50,000."""
    coin = kind == "inverse"
    made = Account(
        "bybit",
        cash * (1.0 if coin else PRICE),
        mode,
        leverage,
        currency="BTC" if coin else "USDT",
        time=ms(day),
        debug=True,
        **own,
    )
    made.mark(COIN if coin else BTC, PRICE)
    return made


def size_of(kind: str, side: int, coins: float = 1.0) -> float:
    return side * coins * (PRICE if kind == "inverse" else 1.0)


def bar(
    made: Account, candle: tuple[float, ...], symbol: str = BTC, stamps: Any = (), at: int = 0
) -> None:
    """One hour of one symbol, an hour after ``at`` hours from the account's day."""
    quote = Quote(made.position(symbol), stamps)
    start = made.time - made.time % HOUR + at * HOUR
    o, h, low, c = candle
    quote.set(start, start + HOUR, (o, h, low, c))
    Stepper(made).step(start, [quote], NoOrders())
    made.audit()


def crash(side: int, by: float = 0.6) -> tuple[float, float, float, float]:
    """A candle that goes against the side and stays there."""
    end = PRICE * (1 - by) if side > 0 else PRICE / (1 - by)
    return PRICE, max(PRICE, end), min(PRICE, end), end


def kinds(made: Account, *wanted: str) -> list[Any]:
    return [event for event in made.events if event.kind in wanted]


def formula(
    kind: str, day: str, side: int, size: float, leverage: float, balance: float, isolated: bool
) -> tuple[float, float]:
    """Liquidation and bankruptcy price in the lowest tier (0.5 %), written out from the rule book."""
    mmr, t, q, k, ep = 0.005, TAKER, abs(size), side, PRICE
    since = day > "2025-09-01"
    if kind == "linear":
        fee = q * ep * (1 - k / leverage) * t
        bust = (q * ep - k * balance) / (q * (1 - k * t))
        extra = balance - q * ep / leverage - fee
        if isolated and not since:
            return ep - k * ((q * ep / leverage - q * ep * mmr) / q + extra / q), bust
        if isolated:
            held = ep * q * (1 - k / leverage) - k * extra / (1 - k * t)
            return held / (q * (1 - k * mmr)), bust
        if not since:
            return ep + k * (q * ep * mmr + fee - balance) / q, bust
        return (fee - balance + k * q * ep) / (q * (k - mmr)), bust
    value = q / ep
    fee = value * (1 + k / leverage) * t
    bust = q * (1 + k * t) / (value + k * balance)
    extra = balance - value / leverage - fee
    if isolated and not since:
        return q / (q / bust - k * mmr * value), bust
    if isolated:
        return q * (1 + k * mmr) / (value + k * value / leverage + k * extra / (1 + k * t)), bust
    if not since:
        return q / (value + k * (balance - mmr * value - fee)), bust
    return q * (k + mmr) / (k * value + balance - fee), bust


# -- opening ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("day", DAYS)
def test_an_opening_takes_the_published_order_cost(kind: str, side: int, day: str) -> None:
    made = account(day, "isolated", kind)
    symbol, before = made.book.popitem()[0], made.cross.balance
    made.mark(symbol, PRICE)
    size = size_of(kind, side)
    made.fill(symbol, size, PRICE)
    p = made.position(symbol)
    cost = opening_cost(p.contract, size, PRICE, 10, TAKER)
    assert before - made.cross.balance == near(cost, rel=1e-12)
    assert p.pool is not None
    assert p.pool.balance == near(cost - p.contract.notional(size, PRICE) * TAKER, rel=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("day", DAYS)
def test_what_cannot_be_paid_is_refused_to_the_cent(mode: Any, day: str) -> None:
    """1 BTC at 50,000 and 10x costs 5,052.25."""
    for cash, refused in ((5_052.24, True), (5_052.26, False)):
        made = account(day, mode, cash=cash / PRICE)
        assert (made.fill(BTC, 1.0, PRICE).refusal is not None) is refused


def test_the_loss_of_an_order_against_the_mark_counts() -> None:
    """Buying 1 BTC at 51,000 with the mark at 50,000 brings 1,000 of loss beside its margin and fees."""
    poor, rich = account(DAYS[1], "cross", cash=0.115), account(DAYS[1], "cross", cash=0.13)
    refusal = poor.check_order(1, BTC, 1.0, 51_000.0)
    assert refusal is not None
    assert refusal.reason == "margin"
    assert refusal.found > 6_100
    assert rich.check_order(1, BTC, 1.0, 51_000.0) is None


def test_in_cross_the_margin_follows_the_mark_only_since_the_change() -> None:
    for day, margin in zip(DAYS, (5_024.75, 6_024.75), strict=True):
        made = account(day, "cross")
        made.fill(BTC, 1.0, PRICE)
        made.mark(BTC, 60_000)
        assert made.position(BTC).initial() == near(margin)
        isolated = account(day, "isolated")
        isolated.fill(BTC, 1.0, PRICE)
        isolated.mark(BTC, 60_000)
        assert isolated.position(BTC).initial() == near(5_024.75)


# -- a crash bar, every mode, side, kind and era ---------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("extra", [0.0, 0.02])
def test_a_crash_bar_liquidates_at_the_formula_and_takes_over_at_bankruptcy(
    kind: str, mode: Any, side: int, day: str, extra: float
) -> None:
    made = account(day, mode, kind, cash=1.0 if mode == "isolated" else 0.15 + extra)
    (symbol,) = made.book
    size = size_of(kind, side)
    made.fill(symbol, size, PRICE)
    if extra and mode == "isolated":
        made.add_margin(symbol, extra * (1.0 if kind == "inverse" else PRICE))
    p = made.position(symbol)
    assert p.pool is not None
    balance = p.pool.balance
    kept = made.equity() - balance if mode == "isolated" else 0.0
    price, bust = formula(kind, day, side, size, 10, balance, mode == "isolated")
    assert made.liquidation_price(symbol) == near(price)
    assert made.bankruptcy_price(symbol) == near(bust)
    bar(made, crash(side), symbol)
    (breach,), (event,) = kinds(made, "breach"), kinds(made, "liquidation")
    assert breach.info["marks"][symbol] == near(price)
    assert breach.found == near(breach.allowed)
    assert (event.size, event.price, event.info["settle"]) == (-size, near(bust), "takeover")
    assert event.fee == near(p.contract.notional(size, bust) * TAKER)
    assert event.realised == near(p.contract.pnl(size, PRICE, bust))
    assert balance + event.realised - event.fee == near(0.0, abs=1e-9 * PRICE)
    assert made.equity() == near(kept, abs=1e-9 * PRICE)
    assert sum(e.amount for e in kinds(made, "shortfall")) < 1e-12  # float noise, if anything
    totals = made.ledger.totals
    assert totals["liquidation_fee"] == near(-event.fee)
    assert totals["realised"] == near(event.realised)
    assert sum(totals.values()) == near(made.wallet(), abs=1e-9 * PRICE)
    assert made.dead == (mode == "cross")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("day", DAYS)
def test_just_before_the_formula_nothing_happens(mode: Any, side: int, day: str) -> None:
    made = account(day, mode, cash=1.0 if mode == "isolated" else 0.15)
    made.fill(BTC, float(side), PRICE)
    p = made.position(BTC)
    assert p.pool is not None
    price, _ = formula("linear", day, side, side, 10, p.pool.balance, mode == "isolated")
    bar(made, (PRICE, max(PRICE, price * 0.999999), min(PRICE, price * 1.000001), PRICE))
    assert not kinds(made, "breach")
    bar(made, (PRICE, max(PRICE, price * 1.000001), min(PRICE, price * 0.999999), PRICE), at=1)
    assert len(kinds(made, "liquidation")) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_a_gap_beyond_bankruptcy_is_the_funds_loss(kind: str, mode: Any, side: int) -> None:
    made = account(DAYS[1], mode, kind, cash=1.0 if mode == "isolated" else 0.15)
    (symbol,) = made.book
    made.fill(symbol, size_of(kind, side), PRICE)
    p = made.position(symbol)
    assert p.pool is not None
    balance, kept = p.pool.balance, made.equity() - p.pool.balance
    end = crash(side)[3]
    bar(made, (end, end, end, end), symbol)
    (event,), (short,) = kinds(made, "liquidation"), kinds(made, "shortfall")
    assert (event.price, event.fee) == (end, 0.0)
    loss = -p.contract.pnl(size_of(kind, side), PRICE, end)
    assert short.amount == near(loss - balance)
    assert made.equity() == near(kept, abs=1e-9)


# -- down the ladder -------------------------------------------------------------------------------

TIERS = [(2.0e6, 0.005, 0.0), (2.6e6, 0.0056, 1_200.0), (3.2e6, 0.0063, 3_020.0)]


def ladder_by_hand(day: str, side: int, size: float, leverage: float) -> list[tuple[float, float]]:
    """(price of the breach, size left after it) of an isolated position that only falls, written out."""
    since, entry, balance = day > "2025-09-01", PRICE, 0.0
    fee = size * entry * (1 - side / leverage) * TAKER
    balance = size * entry / leverage + fee
    told: list[tuple[float, float]] = []
    while size:
        spare = balance
        own = TAKER * (size * entry - side * balance) / (1 - side * TAKER)
        standard = size * entry * (1 - side / leverage) * TAKER
        for floor, (cap, mmr, deduction) in reversed(
            list(zip((0.0, 2.0e6, 2.6e6), TIERS, strict=True))
        ):
            if since:
                price = (own - deduction - spare + side * size * entry) / (size * (side - mmr))
                value = size * price
            else:
                value = size * entry
                price = entry + side * (value * mmr - deduction + standard - spare) / size
            if floor * (1 + 1e-9) < value <= cap * (1 + 1e-9):
                break
        left = floor / (price if since else entry)
        sold = round(-(-(size - left) // 0.001) * 0.001, 9) if left else size
        told.append((price, size - sold))
        balance += side * sold * (price - entry) - sold * price * TAKER
        size = round(size - sold, 9)
    return told


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("side", SIDES)
def test_a_large_position_goes_down_the_tiers_and_is_taken_over_at_the_bottom(
    day: str, side: int
) -> None:
    """3,000,000 USDT at 20x: three tiers, each step sold at its own crossing."""
    made = account(day, "isolated", cash=20.0, leverage=20)
    made.fill(BTC, 60.0 * side, PRICE)
    free = made.cross.balance
    by_hand = ladder_by_hand(day, side, 60.0, 20)
    bar(made, crash(side, 0.2))
    breaches, closings = kinds(made, "breach"), kinds(made, "liquidation")
    assert len(by_hand) >= 3 or side < 0
    assert [b.info["marks"][BTC] for b in breaches] == near([price for price, _ in by_hand])
    left, sizes = 60.0, []
    for event in closings:
        left -= abs(event.size)
        sizes.append(left)
    assert sizes == near([size for _, size in by_hand], abs=1e-6)
    assert [e.info["settle"] for e in closings] == ["sale"] * (len(by_hand) - 1) + ["takeover"]
    for event in closings[:-1]:
        assert event.price == event.mark
        assert event.fee == near(abs(event.size) * event.price * TAKER)
    spent = [e.realised - e.fee for e in closings]
    posted = 60.0 * PRICE / 20 + 60.0 * PRICE * (1 - side / 20) * TAKER
    assert posted + sum(spent) == near(0.0, abs=1e-6)
    assert made.equity() == near(free)


def test_the_steps_of_a_short_on_its_way_up_come_to_an_end_in_every_tier() -> None:
    """Cut to an edge at the mark, a short is above it again as the mark rises: few sales a tier, no dust."""
    made = account(DAYS[1], "isolated", cash=40.0, leverage=25)
    made.mark(ETH, PRICE)
    made.fill(ETH, -100.0, PRICE)
    assert made.position(ETH).contract.lot is None
    bar(made, crash(-1, 0.2), ETH)
    closings = kinds(made, "liquidation")
    edges = [t for t in made.position(ETH).limits.edges if t < 100 * PRICE * 1.05]
    assert len(edges) + 1 < len(closings) <= 4 * len(edges) + 1
    assert closings[-1].info["settle"] == "takeover"
    assert min(abs(e.size) * e.price for e in closings) > 1.0
    assert sum(abs(e.size) for e in closings) == near(100.0)
    made.audit()


def test_the_sale_at_entry_value_differs_from_that_at_mark_value() -> None:
    """A long of 3,000,000 keeps 2,600,000 worth at entry (52 BTC) before, and at the mark since."""
    left = {}
    for day in DAYS:
        made = account(day, "isolated", cash=20.0, leverage=20)
        made.fill(BTC, 60.0, PRICE)
        price = made.liquidation_price(BTC)
        assert price is not None
        bar(made, (PRICE, PRICE, price - 0.01, price))
        left[day] = made.position(BTC).size, price
    assert left[DAYS[0]][0] == 52.0
    size, price = left[DAYS[1]]
    assert 2.6e6 / price - 0.001 <= size <= 2.6e6 / price  # to the lot
    assert size > 54


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("side", SIDES)
def test_an_inverse_position_steps_down_by_its_value_in_coins(day: str, side: int) -> None:
    """10,000,000 USD at 50,000 are 200 BTC: cut to 150 BTC, at entry before and at the mark since."""
    made = account(day, "isolated", "inverse", cash=40.0)
    made.fill(COIN, side * 10_000_000, PRICE)
    price = made.liquidation_price(COIN)
    assert price is not None
    made.mark(COIN, price * (1 - side * 1e-9))
    (event,) = kinds(made, "liquidation")
    assert event.info["settle"] == "sale"
    kept = abs(made.position(COIN).size) / (PRICE if day == DAYS[0] else price)
    assert kept == near(150, rel=2e-6)
    bar(made, crash(side, 0.5), COIN)
    assert kinds(made, "liquidation")[-1].info["settle"] == "takeover"
    assert not made.positions


def test_usdc_contracts_stand_on_usdc() -> None:
    made = Account("bybit", 10_000, "isolated", 10, currency="USDC", time=ms(DAYS[1]), debug=True)
    made.mark("BTC/USDC:USDC", PRICE)
    made.fill("BTC/USDC:USDC", 0.5, PRICE)
    assert made.liquidation_price("BTC/USDC:USDC") == near(
        45_000 / 0.996, rel=1e-9
    )  # 22,600 USDC there: 0.4 %
    bar(made, crash(1), "BTC/USDC:USDC")
    (event,) = kinds(made, "liquidation")
    assert event.price == near(45_000)


def test_in_cross_the_largest_loss_goes_first_and_what_is_left_lives_on() -> None:
    made = account(DAYS[1], "cross", cash=0.4)
    made.mark(ETH, 2_500)
    made.fill(BTC, 2.0, PRICE)
    made.fill(ETH, 10.0, 2_500)
    found = made.liquidation_price(BTC)
    assert found is not None
    price = found * (1 - 1e-9)
    made.mark(BTC, price)
    (event,) = kinds(made, "liquidation")
    assert (event.symbol, event.info["settle"], event.size) == (BTC, "sale", -2.0)
    assert event.fee == near(2 * price * TAKER)
    assert set(made.positions) == {ETH}
    assert made.equity() > 0
    made.audit()


def test_two_positions_that_fall_together_leave_nothing() -> None:
    made = account(DAYS[1], "cross", cash=0.4)
    made.mark(ETH, 2_500)
    made.fill(BTC, 2.0, PRICE)
    made.fill(ETH, 10.0, 2_500)
    made.position(ETH).move(100.0)
    made.mark(BTC, 30_000)
    closings = kinds(made, "liquidation")
    assert [e.info["settle"] for e in closings] == ["sale", "takeover"]
    assert made.equity() == 0
    assert made.dead
    made.audit()


# -- the change of 2025-09-02 inside a run ---------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "before", "since"), [(1, 58_825.0, 58_793.97), (-1, 71_175.0, 71_144.28)]
)
def test_a_run_across_the_date_changes_the_rule_in_the_run(
    side: int, before: float, since: float
) -> None:
    """65,000 at 10x, 0.5 %: the bar that would have liquidated on the first no longer does on the second.

    A short's requirement grows with its loss: since the change it is reached sooner.
    """
    made = Account("bybit", 5_000, "isolated", 10, time=ms("2025-09-01"), debug=True)
    made.mark(BTC, 65_000)
    made.fill(BTC, side * 10_000 / 65_000, 65_000)
    assert made.liquidation_price(BTC) == near(before, abs=0.005, rel=0)
    between = (before + since) / 2
    calm, near_it = (65_000,) * 4, (65_000, max(65_000, between), min(65_000, between), 65_000)
    first, second = (calm, near_it) if side > 0 else (near_it, calm)
    bar(made, first, at=23)
    bar(made, second, at=1)
    assert made.time == ms("2025-09-02")
    assert not kinds(made, "breach")
    (told,) = kinds(made, "rules")
    assert "margin rule" in told.reason
    assert made.liquidation_price(BTC) == near(since, abs=0.005, rel=0)
    if side > 0:
        bar(made, (65_000, 65_000, 58_700, 60_000), at=1)
    else:
        bar(made, near_it, at=1)
    (breach,) = kinds(made, "breach")
    assert breach.info["marks"][BTC] == near(since, abs=0.005, rel=0)


def test_a_bar_before_the_date_liquidates_where_one_after_it_does_not() -> None:
    held = {}
    for day in ("2025-09-01", "2025-09-03"):
        made = Account("bybit", 5_000, "isolated", 10, time=ms(day), debug=True)
        made.mark(BTC, 65_000)
        made.fill(BTC, 10_000 / 65_000, 65_000)
        bar(made, (65_000, 65_000, 58_810, 60_000))
        held[day] = bool(made.positions)
    assert held == {"2025-09-01": False, "2025-09-03": True}


def test_the_reserve_follows_the_taker_fee_when_it_changes() -> None:
    made = Account("bybit", 10_000, "cross", 10, time=ms("2023-10-19"), debug=True)
    made.mark(BTC, PRICE)
    made.fill(BTC, 1.0, PRICE)
    assert made.maintenance() == near(250 + 45_000 * 0.0006)
    made.clock(ms("2023-10-20"))
    assert made.maintenance() == near(250 + 45_000 * 0.00055)


# -- funding, margin, modes ------------------------------------------------------------------------


def test_isolated_funding_comes_out_of_the_available_balance_first() -> None:
    made = account(DAYS[1], "isolated")
    made.fill(BTC, 1.0, PRICE)
    p, free = made.position(BTC), made.cross.balance
    assert p.pool is not None
    posted, price = p.pool.balance, made.liquidation_price(BTC)
    bar(made, (PRICE,) * 4, stamps=[FundingStamp(ms(DAYS[1]), 0.001)])
    assert made.cross.balance == near(free - 50)
    assert (p.pool.balance, made.liquidation_price(BTC)) == (posted, price)


def test_what_the_balance_lacks_for_funding_comes_out_of_the_margin_and_moves_the_price() -> None:
    made = account(DAYS[1], "isolated", cash=5_072.25 / PRICE)
    made.fill(BTC, 1.0, PRICE)
    p = made.position(BTC)
    assert p.pool is not None
    bar(made, (PRICE,) * 4, stamps=[FundingStamp(ms(DAYS[1]), 0.001)])
    assert made.cross.balance == near(0.0, abs=1e-9)
    assert p.pool.balance == near(5_024.75 - 30)
    short, _ = formula("linear", DAYS[1], 1, 1.0, 10, 4_994.75, True)
    assert made.liquidation_price(BTC) == near(short)
    assert short > (45_000 / 0.995)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(KINDS), st.sampled_from(SIDES), st.sampled_from(DAYS),
    st.floats(-0.04, 0.5), st.integers(200, 4_000).map(lambda hundredths: hundredths / 100),
)  # fmt: skip
def test_the_price_follows_margin_added_and_taken(
    kind: str, side: int, day: str, change: float, leverage: float
) -> None:
    """reads_balance: after every transfer the account's prices are the formula's at the new balance."""
    made = account(day, "isolated", kind, cash=2.0, leverage=leverage)
    (symbol,) = made.book
    size = size_of(kind, side)
    made.fill(symbol, size, PRICE)
    unit = 1.0 if kind == "inverse" else PRICE
    if change > 1e-6:
        made.add_margin(symbol, change * unit)
    elif change < -1e-6:
        with pytest.raises(MarginRefused, match="110078"):
            made.reduce_margin(symbol, -change * unit)
    p = made.position(symbol)
    assert p.pool is not None
    price, bust = formula(kind, day, side, size, leverage, p.pool.balance, True)
    shown, beyond = made.liquidation_price(symbol), made.bankruptcy_price(symbol)
    if bust > 0 and beyond is not None:
        assert beyond == near(bust)
        assert shown == near(price)
    else:
        assert side > 0 or kind == "inverse"  # paid in full: nothing left to reserve


@pytest.mark.parametrize(("day", "ratio"), [("2025-01-20", 0.95), (DAYS[1], 0.85)])
def test_a_pledged_coin_backs_the_cross_account_by_its_ratio(day: str, ratio: float) -> None:
    made = Account("bybit", 1_000, "cross", 10, time=ms(day), debug=True, collateral={"BTC": 0.1})
    made.mark(BTC, PRICE)
    assert made.available() == near(1_000 + 5_000 * ratio)
    made.fill(BTC, 0.5, PRICE)
    fee = 0.5 * PRICE * 0.9 * TAKER
    spare = 1_000 - 0.5 * PRICE * TAKER - fee
    if day < "2025-09":
        price = (0.5 * PRICE * 1.005 - spare) / (0.5 + 0.1 * ratio)
    else:
        price = (0.5 * PRICE - spare) / (0.5 * 0.995 + 0.1 * ratio)
    assert made.liquidation_price(BTC) == near(price)


def test_one_mode_holds_for_the_whole_account() -> None:
    made = account(DAYS[1], "cross")
    made.mark(ETH, 2_500)
    made.fill(BTC, 0.1, PRICE)
    made.fill(ETH, 1.0, 2_500)
    made.set_margin_mode(BTC, "isolated")
    assert {made.margin_mode(s) for s in (BTC, ETH)} == {"isolated"}
    assert {p.pool.key for p in made.positions.values() if p.pool} == {
        f"isolated:{BTC}",
        f"isolated:{ETH}",
    }
    made.audit()


def test_margin_of_a_cross_position_is_refused_with_the_venues_code() -> None:
    made = account(DAYS[1], "cross")
    made.fill(BTC, 0.1, PRICE)
    with pytest.raises(MarginRefused, match="110015"):
        made.add_margin(BTC, 10)


# -- both sides ------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", DAYS)
def test_a_hedge_keeps_only_the_two_closing_fees(day: str) -> None:
    made = account(day, "cross", cash=0.5)
    made.fill(f"{BTC} long", 1.0, PRICE)
    made.fill(f"{BTC} short", -1.0, PRICE)
    assert made.maintenance() == near(PRICE * 0.9 * TAKER + PRICE * 1.1 * TAKER)
    made.mark(f"{BTC} long", 90_000)
    made.mark(f"{BTC} short", 10_000)
    assert not kinds(made, "breach")
    made.fill(f"{BTC} short", 0.4, 10_000)
    value = 0.4 * (PRICE if day == DAYS[0] else 10_000)
    reserves = PRICE * 0.9 * TAKER + 0.6 * PRICE * 1.1 * TAKER
    assert made.maintenance() == near(value * 0.005 + reserves)
    made.audit()


def test_only_the_open_part_of_a_hedge_is_liquidated() -> None:
    made = account(DAYS[1], "cross", cash=0.25)
    made.fill(f"{BTC} long", 1.0, PRICE)
    made.fill(f"{BTC} short", -0.4, PRICE)
    price = made.liquidation_price(f"{BTC} long")
    assert price is not None
    made.mark(f"{BTC} short", price * (1 - 1e-9))
    (event,) = kinds(made, "liquidation")
    assert (event.symbol, event.size) == (f"{BTC} long", near(-0.6))
    assert made.position(f"{BTC} long").size == near(0.4)
    assert made.position(f"{BTC} short").size == -0.4
    assert not made.dead
    made.audit()


# -- through backtrader ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_through_cerebro_the_crash_ends_where_the_account_says(mode: str) -> None:
    class Buy(bt.Strategy):
        told: list[Any]

        def start(self) -> None:
            self.told = []

        def next(self) -> None:
            if len(self) == 1:
                self.buy(size=1.0)

        def notify_liquidation(self, event: Any) -> None:
            self.told.append(event)

    candles = [flat(PRICE), flat(PRICE), (PRICE, PRICE, 30_000.0, 31_000.0), flat(31_000.0)]
    cerebro = bt.Cerebro()
    cerebro.broker = btm.MarginBroker(venue="bybit", margin_mode=mode, leverage=10, cash=7_000)
    cerebro.adddata(btm.PerpData(dataname=frame(candles, start=ms(DAYS[1])), name=BTC))
    cerebro.addstrategy(Buy)
    (strategy,) = cerebro.run()
    (event,) = strategy.told
    balance = 5_024.75 if mode == "isolated" else 7_000 - 27.5
    _, bust = formula("linear", DAYS[1], 1, 1.0, 10, balance, mode == "isolated")
    assert event.price == near(bust)
    kept = 7_000 - 27.5 - 5_024.75 if mode == "isolated" else 0.0
    assert cerebro.broker.account.equity() == near(kept, abs=1e-6)
    cerebro.broker.account.audit()


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_a_long_that_is_paid_for_in_full_is_taken_over_at_the_mark(mode: Any) -> None:
    """A requirement at entry value outlives the position's own value: no price uses up the margin."""
    a = Account(
        "bybit", cash=120.0, margin_mode=mode, leverage=1, time=1_652_000_000_000, debug=True
    )
    symbol = "XRP/USDT:USDT"
    a.mark(symbol, 1.0)
    a.fill(symbol, 100.0, 1.0)
    if mode == "isolated":
        a.add_margin(symbol, 0.1)
    else:
        a.withdraw(a.wallet() - 100.05)
    a.mark(symbol, 0.004)
    closed = next(e for e in a.events if e.kind == "liquidation")
    assert closed.price == 0.004
    assert closed.realised == pytest.approx(-99.6)


def test_a_mode_that_some_positions_cannot_pay_for_changes_for_none() -> None:
    a = Account("bybit", cash=12_000, leverage=10, debug=True)
    eth, btc = "ETH/USDT:USDT", "BTC/USDT:USDT"
    a.mark(btc, 50_000.0)
    a.fill(btc, 1.0, 50_000.0)
    a.mark(btc, 60_000.0)  # a profit that carries the next position, but is no money to post
    a.mark(eth, 3_000.0)
    assert a.fill(eth, 35.0, 3_000.0).refusal is None
    entries = len(a.ledger)
    with pytest.raises(MarginModeRefused, match="isolating BTC") as refused:
        a.set_margin_mode(btc, "isolated")
    assert refused.value.event is a.events[-1]
    assert {a.margin_mode(s) for s in (eth, btc)} == {a.account_mode()} == {"cross"}
    assert (list(a.pools), len(a.ledger)) == (["cross:USDT"], entries)
    a.position("SOL/USDT:USDT")  # a new symbol is still welcome
    a.deposit(10_000)
    a.set_margin_mode(btc, "isolated")
    assert {a.margin_mode(s) for s in (eth, btc)} == {a.account_mode()} == {"isolated"}


def test_closing_the_small_side_of_a_hedge_inside_a_still_bar_is_a_danger() -> None:
    """Without the side that covered a part of it, the large one is asked for more: no bar is too small."""
    long, short = "BTC/USDT:USDT long", "BTC/USDT:USDT short"
    a = Account("bybit", cash=6_240_000.0, leverage=10, time=moment("2026-09-27") or 0, debug=True)
    for name, size in ((long, 500.0), (short, -20.0)):
        a.mark(name, 60_000.0)
        assert a.fill(name, size, 60_000.0).refusal is None
    high, low = 60_000.0, 30_000.0  # where equity is 1.06 of what is asked
    for _ in range(60):
        middle = (high + low) / 2
        for name in (long, short):
            a.position(name).move(middle)
        healthy = a.cross.equity() > 1.06 * a.cross.maintenance()
        high, low = (middle, low) if healthy else (high, middle)
    bar = (high, high * 1.00002, high * 0.99999, high)
    quotes = [Quote(a.position(n)).set(a.time, a.time + HOUR, bar) for n in (long, short)]
    close = Resting(1, short, 20.0, "limit", high * 0.999995, reduce_only=True)
    Stepper(a).step(a.time, quotes, Orders(a, quotes, [close]))
    assert not a.cross.breached()
    assert {e.kind for e in a.events} > {"breach", "liquidation"}
