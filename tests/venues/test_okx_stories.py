"""OKX on the engine: crash bars end where the venue's formula says, and every unit of money is accounted for.

The formulas are written out here once more, by hand, without the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from engine import bench as engine
from hypothesis import given, settings
from hypothesis import strategies as st
from stories.world import HOUR, START, buy, flat, frame, kinds, near, play

import bt_margin as btm
from bt_margin.core.funding import FundingStamp
from bt_margin.engine.quote import Quote
from bt_margin.engine.resting import Resting
from bt_margin.engine.step import NoOrders, Stepper
from bt_margin.errors import LeverageRefused, MarginModeRefused
from bt_margin.venues.names import moment

BTC, ETH, COIN = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC"
ENTRY, TAKER = 50_000.0, 0.0005
MODES: list[Any] = ["isolated", "cross"]
SIDES = [1, -1]


@dataclass
class World:
    """100 BTC contracts (1 BTC) over 10,000 USDT, or 300 contracts (30,000 USD) over 0.1 BTC, at 10x."""

    kind: str
    symbol: str
    count: float
    cash: float

    def units(self, count: float) -> float:
        """Coins, or USD."""
        return count * (0.01 if self.kind == "linear" else 100)

    def pnl(self, side: int, count: float, start: float, end: float) -> float:
        units = side * self.units(count)
        return units * (end - start) if self.kind == "linear" else units * (1 / start - 1 / end)

    def value(self, count: float, price: float) -> float:
        return self.units(count) * price if self.kind == "linear" else self.units(count) / price

    def liquidation(self, side: int, count: float, backing: float, rate: float) -> float:
        """(EP − side · B / qty) / (1 − side · rate);  F · (1 + side · rate) / (F / EP + side · B)."""
        units = self.units(count)
        if self.kind == "linear":
            return (ENTRY - side * backing / units) / (1 - side * rate)
        return units * (1 + side * rate) / (units / ENTRY + side * backing)

    def bankruptcy(self, side: int, count: float, backing: float) -> float:
        return self.liquidation(side, count, backing, 0.0)


WORLDS = {
    "linear": World("linear", BTC, 100, 10_000.0),
    "inverse": World("inverse", COIN, 300, 0.1),
}


def account(
    world: World, mode: Any, *, cash: float = 1.0, leverage: float = 10, **keys: Any
) -> Any:
    time = keys.pop("time", START)
    venue = keys.pop("venue", None) or btm.venue("okx")
    one = btm.Account(
        venue, cash * world.cash, mode, leverage, debug=True, time=time,
        currency="USDT" if world.kind == "linear" else "BTC", **keys,
    )  # fmt: skip
    one.mark(world.symbol, ENTRY)
    return one


def live(one: Any, symbol: str, candle: Any, stamps: Any = (), hours: int = 1) -> list[Any]:
    """One bar; the events it made."""
    before = len(one.events)
    start = one.time + hours * HOUR
    quote = Quote(one.position(symbol), stamps).set(start, start + HOUR, candle)
    Stepper(one).step(start, [quote], NoOrders())
    one.audit()
    return list(one.events[before:])


def crash(side: int, to: float = 0.5) -> tuple[float, float, float, float]:
    """From the entry to ``to`` of it for a long, as far the other way for a short, and halfway back."""
    far = ENTRY * (1 - side * (1 - to))
    close = (ENTRY + far) / 2
    return (ENTRY, max(ENTRY, far), min(ENTRY, far), close)


# -- the crash bar ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_a_crash_bar_liquidates_at_the_formula_and_the_fund_keeps_the_rest(
    kind: str, mode: Any, side: int
) -> None:
    world = WORLDS[kind]
    one = account(world, mode)
    one.fill(world.symbol, side * world.count, ENTRY)
    fee = world.value(world.count, ENTRY) * TAKER
    margin = world.value(world.count, ENTRY) / 10
    backing = margin if mode == "isolated" else world.cash - fee
    expected = world.liquidation(side, world.count, backing, 0.004 + TAKER)
    assert one.liquidation_price(world.symbol) == near(expected)

    events = live(one, world.symbol, crash(side, to=0.3 if side > 0 else 0.1))
    (breach,), (death,) = kinds(events, "breach"), kinds(events, "liquidation")
    assert breach.info["marks"] == {world.symbol: near(expected)}
    assert breach.found == near(world.value(world.count, expected) * (0.004 + TAKER))
    assert death.price == near(world.bankruptcy(side, world.count, backing))
    assert (death.size, death.fee) == (-side * world.count, 0)
    assert death.info["settle"] == "takeover"

    left = world.cash - fee - margin if mode == "isolated" else 0.0
    totals = one.ledger.totals
    assert one.equity() == near(left, abs=1e-9)
    assert totals["deposit"] == world.cash
    assert (totals["fee"], totals["realised"]) == (near(-fee), near(-backing))
    assert totals["insurance"] == totals["liquidation_fee"] == totals["funding"] == 0
    assert one.dead == (mode == "cross")


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_a_hair_before_the_formula_nothing_happens(kind: str, mode: Any, side: int) -> None:
    world = WORLDS[kind]
    one = account(world, mode)
    one.fill(world.symbol, side * world.count, ENTRY)
    price = one.liquidation_price(world.symbol) * (1 + side * 1e-7)
    low, high = sorted((ENTRY, price))
    assert not kinds(live(one, world.symbol, (ENTRY, high, low, ENTRY)), "breach", "liquidation")


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_a_gap_beyond_the_bankruptcy_price_is_borne_by_the_fund(
    kind: str, mode: Any, side: int
) -> None:
    world = WORLDS[kind]
    one = account(world, mode)
    one.fill(world.symbol, side * world.count, ENTRY)
    fee, margin = (world.value(world.count, ENTRY) * rate for rate in (TAKER, 0.1))
    backing = margin if mode == "isolated" else world.cash - fee
    gap = ENTRY * (1 - side * (0.6 if side > 0 else 2.0))
    (death,) = kinds(live(one, world.symbol, (gap, gap, gap, gap)), "liquidation")
    assert death.price == gap
    loss = world.pnl(side, world.count, ENTRY, gap)
    assert one.ledger.totals["realised"] == near(loss)
    assert one.ledger.totals["insurance"] == near(-loss - backing)
    assert one.equity() == near(world.cash - fee - backing, abs=1e-9)


def test_an_isolated_loss_leaves_the_wallet_to_other_positions() -> None:
    one = account(WORLDS["linear"], "isolated", cash=2)
    one.fill(BTC, 100, ENTRY)
    one.mark(ETH, 2_000.0)
    one.fill(ETH, -10, 2_000.0)
    assert len(kinds(live(one, BTC, crash(1)), "liquidation")) == 1
    assert one.positions[ETH].size == -10
    assert one.cross.balance == near(20_000 - 5_000 - 25 - 1 - 200)


# -- two tiers at a time ---------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("mode", MODES)
def test_tier_three_is_cut_to_tier_one_then_lives_or_is_taken_over(mode: Any, side: int) -> None:
    """60 BTC (6,000 contracts, 0.75 %) at 20x: 50 BTC are sold at the formula, then 10 BTC need 0.4 %."""
    world = WORLDS["linear"]
    one = account(world, mode, cash=16, leverage=20)
    one.fill(BTC, side * 6_000, ENTRY)
    backing = 150_000.0 if mode == "isolated" else 160_000 - 1_500.0
    first = world.liquidation(side, 6_000, backing, 0.0075 + TAKER)
    fee = world.value(5_000, first) * TAKER
    rest = backing + world.pnl(side, 5_000, ENTRY, first) - fee
    second = world.liquidation(side, 1_000, rest, 0.004 + TAKER)

    stays = second * (1 + side * 1e-6)
    low, high = sorted((ENTRY, stays))
    (cut,) = kinds(live(one, BTC, (ENTRY, high, low, stays)), "liquidation")
    assert (cut.price, cut.size, cut.fee) == (near(first), -side * 5_000, near(fee))
    assert (cut.info["settle"], cut.info["whole"]) == ("sale", False)
    assert one.positions[BTC].size == side * 1_000
    assert one.liquidation_price(BTC) == near(second)

    deep = second * (1 - side * 0.3)
    low, high = sorted((stays, deep))
    (death,) = kinds(live(one, BTC, (stays, high, low, deep)), "liquidation")
    assert death.price == near(world.bankruptcy(side, 1_000, rest))
    assert one.ledger.totals["liquidation_fee"] == near(-fee)
    assert one.ledger.totals["insurance"] == 0
    own = 160_000 - 1_500 - backing
    assert one.equity() == near(own, abs=1e-6)


def test_one_crash_bar_goes_down_all_the_steps() -> None:
    """100,000 contracts are in tier 7, 60,000 in tier 5, 20,000 in tier 3, 1,000 in tier 1."""
    one = account(WORLDS["linear"], "isolated", cash=600, leverage=10)
    one.fill(BTC, 100_000, ENTRY)
    events = kinds(live(one, BTC, crash(1)), "liquidation")
    sizes = [round(-e.size, 6) for e in events]
    assert sizes == [40_000, 40_000, 19_000, 1_000]
    assert [e.info["settle"] for e in events] == ["sale"] * 3 + ["takeover"]
    prices = [e.price for e in events]
    assert prices == sorted(prices, reverse=True)
    assert one.ledger.totals["insurance"] == 0


def test_below_the_need_of_tier_one_a_large_position_goes_whole() -> None:
    """A gap to where 60 BTC have between 0.45 % and nothing left: all is taken over, nothing is sold."""
    world = WORLDS["linear"]
    for part, ends in ((0.9, "takeover"), (1.1, "sale")):
        one = account(world, "isolated", cash=16, leverage=20)
        one.fill(BTC, 6_000, ENTRY)
        gap = world.liquidation(1, 6_000, 150_000, part * (0.004 + TAKER))
        first, *_ = kinds(live(one, BTC, (gap, gap, gap, gap)), "liquidation")
        assert first.info["settle"] == ends
        assert -first.size == (6_000 if ends == "takeover" else 5_000)
    assert one.positions[BTC].size == 1_000


def test_the_largest_loser_of_a_cross_pool_goes_first_and_may_save_the_other() -> None:
    one = account(WORLDS["linear"], "cross", leverage=20)
    one.mark(ETH, 2_000.0)
    one.fill(BTC, 200, ENTRY)
    one.fill(ETH, 100, 2_000.0)
    (death,) = kinds(live(one, BTC, (ENTRY, ENTRY, 45_000, 45_000)), "liquidation")
    assert (death.symbol, death.size, death.info["settle"]) == (BTC, -200, "sale")
    backing = 10_000 - 50 - 10 - 20_000 * (0.004 + TAKER)
    assert death.price == near(WORLDS["linear"].liquidation(1, 200, backing, 0.004 + TAKER))
    assert one.positions[ETH].size == 100


def test_both_sides_of_a_symbol_are_closed_against_each_other_first() -> None:
    """300 long and 100 short: a fall frees what the pair needed before the rest of the long is touched."""
    one = account(WORLDS["linear"], "cross", leverage=50)
    long, short = f"{BTC} long", f"{BTC} short"
    one.mark(long, ENTRY)
    one.fill(long, 300, ENTRY)
    one.fill(short, -100, ENTRY)
    wallet = 10_000 - 4 * ENTRY * TAKER
    # wallet + 2 BTC · (p − EP) = 4 BTC · p · rate
    price = (2 * ENTRY - wallet) / (2 - 4 * 0.0045)
    assert one.liquidation_price(long) == near(price)
    quotes = [Quote(one.position(name)) for name in (long, short)]
    for quote in quotes:
        quote.set(START + HOUR, START + 2 * HOUR, (ENTRY, ENTRY, price * 0.9999, ENTRY))
    Stepper(one).step(START + HOUR, quotes, NoOrders())
    pair = kinds(one.events, "liquidation")
    assert [(e.symbol, e.size, e.price) for e in pair] == [
        (long, -100, near(price)), (short, 100, near(price)),
    ]  # fmt: skip
    assert one.ledger.totals["liquidation_fee"] == near(-2 * price * TAKER)
    assert one.positions[long].size == 200
    assert short not in one.positions
    one.audit()


def test_coins_of_a_multi_currency_account_back_the_cross_pool_at_their_discount() -> None:
    """100 USDT and 1 BTC at 95 %, 2 BTC long: 100 − fee + 0.95 p + 2 · (p − EP) = 2 p · 0.45 %."""
    rules = btm.venue("okx", account="multi", discount_rates={"BTC": 0.95})
    one = btm.Account(rules, 100.0, "cross", 10, collateral={"BTC": 1.0}, debug=True, time=START)
    one.mark(BTC, ENTRY)
    one.fill(BTC, 200, ENTRY)
    wallet = 100 - 2 * ENTRY * TAKER
    price = (2 * ENTRY - wallet) / (2.95 - 2 * 0.0045)
    assert one.liquidation_price(BTC) == near(price)
    (breach,) = kinds(live(one, BTC, crash(1)), "breach")
    assert breach.info["marks"] == {BTC: near(price)}


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(WORLDS)), st.sampled_from(MODES), st.sampled_from(SIDES),
    st.integers(1, 150_000), st.integers(2, 6),
)  # fmt: skip
def test_every_step_of_every_crash_is_the_formula_and_lands_on_a_cap(
    kind: str, mode: Any, side: int, count: int, leverage: int
) -> None:
    """Each cut comes where the rate of its tier says, given what the cuts before it left."""
    world = WORLDS[kind]
    ladder = btm.venue("okx").schedule(world.symbol).at(START).tiers
    one = account(world, mode, cash=world.value(count, ENTRY) / world.cash, leverage=leverage)
    one.fill(world.symbol, side * count, ENTRY)
    backing = one.position(world.symbol).pool.balance
    far = (0.05 if mode == "cross" else 0.4) if side > 0 else -4.0
    deaths = kinds(live(one, world.symbol, crash(side, to=far)), "liquidation")
    held = count
    for event in deaths:
        number = next(n for n, tier in enumerate(ladder) if held <= tier.cap)
        price = world.liquidation(side, held, backing, ladder[number].mmr + TAKER)
        left = ladder[number - 2].cap if number >= 2 else 0
        assert -side * event.size == near(held - left)
        if left:
            assert (event.price, event.info["settle"]) == (near(price), "sale")
            closed = held - left
            backing += world.pnl(side, closed, ENTRY, price) - world.value(closed, price) * TAKER
        else:
            assert event.price == near(world.bankruptcy(side, held, backing), rel=1e-8)
        held = left
    assert one.ledger.totals["insurance"] == 0
    assert deaths or mode == "cross"


# -- tiers by contracts ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("side", SIDES)
def test_the_requirement_follows_the_price_and_never_the_tier(kind: str, side: int) -> None:
    world = WORLDS[kind]
    one = account(world, "cross", cash=1_000)
    one.fill(world.symbol, side * world.count, ENTRY)
    for price in (5_000.0, 50_000.0, 500_000.0):
        one.position(world.symbol).move(price)
        expected = world.value(world.count, price) * (0.004 + TAKER)
        assert one.risk(world.symbol).maintenance == near(expected)


def test_a_fill_over_an_edge_raises_the_rate_of_the_whole_position() -> None:
    one = account(WORLDS["linear"], "cross", cash=100)
    one.fill(BTC, 1_000, ENTRY)
    assert one.maintenance() == near(500_000 * 0.0045)
    one.fill(BTC, 0.01, ENTRY)
    assert one.maintenance() == near(500_005 * 0.0055)
    one.fill(BTC, -0.01, ENTRY)
    assert one.maintenance() == near(500_000 * 0.0045)


def test_an_order_that_fills_inside_the_bar_raises_the_tier_there() -> None:
    """1,000 contracts would live at 49,180; with 9,000 more from 49,900 they need 0.75 % from then on."""
    world = WORLDS["linear"]
    one = account(world, "isolated", cash=12, leverage=50)
    one.fill(BTC, 1_000, ENTRY)
    engine.live(
        one, {BTC: (ENTRY, ENTRY, 49_180.0, 49_500.0)}, [Resting(1, BTC, 9_000, "limit", 49_900.0)]
    )
    entry = (10 * ENTRY + 90 * 49_900) / 100
    margin = (10 * ENTRY + 90 * 49_900) / 50
    price = (entry - margin / 100) / (1 - 0.008)
    (cut,) = kinds(one.events, "liquidation")
    assert (cut.price, cut.size) == (near(price), -9_000)


@pytest.mark.parametrize("price", [5_000.0, 50_000.0, 500_000.0])
def test_the_contracts_allowed_at_a_leverage_do_not_depend_on_the_price(price: float) -> None:
    one = account(WORLDS["linear"], "isolated", cash=1_000, leverage=100)
    one.mark(BTC, price)
    assert one.fill(BTC, 1_000, price).refusal is None
    refusal = one.fill(BTC, 0.01, price).refusal
    assert refusal.reason == "leverage_cap"
    assert refusal.allowed == near(10 * price)


def test_leverage_is_capped_by_the_contracts_held() -> None:
    one = account(WORLDS["linear"], "cross", cash=100, leverage=50)
    one.fill(BTC, 1_001, ENTRY)
    one.set_leverage(BTC, 66.66)
    with pytest.raises(LeverageRefused) as refused:
        one.set_leverage(BTC, 66.67)
    assert refused.value.code == "59104"
    with pytest.raises(LeverageRefused) as refused:
        one.set_leverage(BTC, 100.5)
    assert refused.value.code == "59102"


def test_initial_margin_is_of_the_entry_in_isolated_and_of_the_mark_in_cross() -> None:
    for mode, expected in (("isolated", 5_000.0), ("cross", 6_000.0)):
        one = account(WORLDS["linear"], mode)
        one.fill(BTC, 100, ENTRY)
        one.mark(BTC, 60_000.0)
        assert one.initial() == near(expected)


def test_a_run_across_the_date_of_a_ladder_changes_in_the_run() -> None:
    """ADA: 1,500 contracts of 100 ADA at 0.5 % and 75x, from 2026-05-12 at 1 % and 50x."""
    change = moment("2026-05-12")
    assert change is not None
    ada = "ADA/USDT:USDT"
    one = btm.Account(btm.venue("okx"), 10_000.0, "cross", 75, time=change - HOUR, debug=True)
    one.mark(ada, 1.0)
    one.fill(ada, 1_500, 1.0)
    assert one.maintenance() == near(150_000 * 0.0055)
    live(one, ada, flat(1.0))
    assert one.maintenance() == near(150_000 * 0.0105)
    assert one.position(ada).leverage == 50


# -- funding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_funding_alone_does_not_liquidate(kind: str, mode: Any, side: int) -> None:
    """A rate of 50 %: paid as far as the equity exceeds the requirement, and the position lives on."""
    world = WORLDS[kind]
    one = account(world, mode)
    one.fill(world.symbol, side * world.count, ENTRY)
    fee, margin = (world.value(world.count, ENTRY) * rate for rate in (TAKER, 0.1))
    backing = margin if mode == "isolated" else world.cash - fee
    need = world.value(world.count, ENTRY) * (0.004 + TAKER)
    stamp = FundingStamp(START + HOUR, side * 0.5)
    events = live(one, world.symbol, (ENTRY,) * 4, [stamp])
    (paid,) = kinds(events, "funding")
    assert paid.amount == near(-(backing - need), rel=1e-6)
    assert not kinds(events, "liquidation", "breach")
    assert one.risk(world.symbol).equity == near(need, rel=1e-6)
    after = one.mark(world.symbol, ENTRY * (1 - side * 1e-5))
    assert len(kinds(after, "liquidation")) == 1


@pytest.mark.parametrize("side", SIDES)
def test_an_ordinary_funding_is_paid_in_full_and_a_received_one_is_not_capped(side: int) -> None:
    one = account(WORLDS["linear"], "isolated")
    one.fill(BTC, side * 100, ENTRY)
    for rate, amount in ((0.001, -50.0), (-0.5, 25_000.0)):
        one.book_funding(BTC, side * rate)
        assert kinds(one.events, "funding")[-1].amount == near(amount)


# -- settings and calls ----------------------------------------------------------------------------


def test_a_live_position_is_not_converted_but_open_orders_go_along() -> None:
    one = account(WORLDS["linear"], "cross")
    assert one.check_order(1, BTC, 10, ENTRY) is None
    one.set_margin_mode(BTC, "isolated")
    one.release(1)
    one.fill(BTC, 10, ENTRY)
    with pytest.raises(MarginModeRefused):
        one.set_margin_mode(BTC, "cross")


def test_the_venue_warns_at_a_margin_level_of_three() -> None:
    one = account(WORLDS["linear"], "isolated")
    one.fill(BTC, 100, ENTRY)
    # 5,000 + p − EP = 3 · 0.0045 · p
    line = (ENTRY - 5_000) / (1 - 3 * 0.0045)
    one.mark(BTC, line * 1.0001)
    one.call_margins()
    assert not kinds(one.events, "margin_call")
    one.mark(BTC, line * 0.9999)
    one.call_margins()
    assert len(kinds(one.events, "margin_call")) == 1


def test_the_fee_counts_before_an_order_is_taken() -> None:
    """10,000 at 10x carry 100,000 less the fee of 50 a tenth of it: 199 contracts, not 200."""
    one = account(WORLDS["linear"], "cross")
    assert one.verdict(BTC, 200, ENTRY) is not None
    assert one.verdict(BTC, 199, ENTRY) is None


# -- inside backtrader -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_the_broker_liquidates_where_the_account_does(mode: Any, side: int) -> None:
    world = WORLDS["linear"]
    bars = frame([flat(ENTRY), flat(ENTRY), crash(side), flat(ENTRY)])
    script = {0: buy(side * 100, BTC)}
    played = play(
        {BTC: bars}, script, mode=mode, cash=world.cash, venue=btm.venue("okx"), intrabar="adverse"
    )
    backing = 5_000.0 if mode == "isolated" else world.cash - 25.0
    assert played.liquidations == [(2, BTC, near(world.bankruptcy(side, 100, backing)))]
    (breach,) = played.kinds("breach")
    assert breach.info["marks"][BTC] == near(world.liquidation(side, 100, backing, 0.0045))
    played.broker.account.audit()


@pytest.mark.parametrize(("size", "price"), [(-950.0, 66_000.0), (950.0, 54_000.0)])
def test_the_cap_counts_contracts_whatever_an_order_s_price(size: float, price: float) -> None:
    """1,000 contracts at 100x: what a limit order asks for is no part of the count."""
    a = btm.Account("okx", cash=1_000_000, leverage=100)
    a.mark("BTC/USDT:USDT", 60_000.0)
    assert a.check_order(1, "BTC/USDT:USDT", size, price) is None
    sign = 1.0 if size > 0 else -1.0
    over = a.check_order(2, "BTC/USDT:USDT", sign * 51.0, price)
    assert over is not None
    assert (over.reason, over.found) == ("leverage_cap", pytest.approx(1_001 * 600.0))
    assert a.check_order(3, "BTC/USDT:USDT", sign * 50.0, 60_000.0) is None
