"""Stories on Kraken: a crash bar, the price the venue's formula gives, and where each unit of money went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories.world import Scripted, buy, frame, lines, play, sell

import bt_margin as btm
from bt_margin.engine.quote import Quote
from bt_margin.engine.step import NoOrders, Stepper
from bt_margin.errors import LeverageError
from bt_margin.venues.names import moment

HOUR = 3_600_000
PF, PI, ETH = "BTC/USD:USD", "BTC/USD:BTC", "ETH/USD:ETH"
SPOT, SPOT_ETH = "BTC/USD", "ETH/USD"
FULL, PARTIAL = "2024-01-01", "2026-04-01"
SIDES = [1, -1]
FEE = 0.0005
Candle = tuple[float, float, float, float]


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def ms(day: str) -> int:
    return moment(day) or 0


def account(
    name: str, day: str, cash: Any, mode: Any = "cross", leverage: float = 10, **options: Any
) -> Any:
    """An account of the venue on a day, its money identity checked after every entry."""
    rules = btm.venue(name, **options)
    return btm.Account(
        rules, cash=cash, margin_mode=mode, leverage=leverage, time=ms(day), debug=True
    )


def opened(acc: Any, symbol: str, size: float, price: float) -> Any:
    acc.mark(symbol, price)
    filled = acc.fill(symbol, size, price)
    assert filled.refusal is None
    return acc


def live(acc: Any, bars: Sequence[Mapping[str, Candle]], step: int = HOUR) -> Any:
    """Bars one after the other; a symbol keeps its quote. The money is counted at the end."""
    stepper, start = Stepper(acc), acc.time
    quotes = {name: Quote(acc.position(name)) for bar in bars for name in bar}
    for number, bar in enumerate(bars, start=1):
        time = start + number * step
        fresh = [quotes[name].set(time, time + step, candle) for name, candle in bar.items()]
        stepper.step(time, fresh, NoOrders())
    acc.audit()
    return acc


def kinds(acc: Any, *wanted: str) -> list[Any]:
    return [event for event in acc.events if event.kind in wanted]


def crash(side: int, price: float, depth: float = 0.5) -> Candle:
    """From the price straight to a level far on the losing side."""
    far = price * (1 - side * depth)
    return (price, max(price, far), min(price, far), far)


# -- linear ----------------------------------------------------------------------------------------


def linear_price(
    side: int, size: float, entry: float, backing: float, mmr: float, deduction: float = 0.0
) -> float:
    """LP = (σ·q·EP − E − deduction) / (q·(σ − mmr))."""
    return (side * size * entry - backing - deduction) / (size * (side - mmr))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("mode", ["isolated", "cross"])
@pytest.mark.parametrize("levels", ["marginal", "whole"])
@pytest.mark.parametrize(
    ("size", "mmr", "deduction"),
    [(2.0, 0.01, 0), (20.0, 0.02, 500_000 * 0.01), (60.0, 0.05, 5_000 + 2_000_000 * 0.03)],
)
def test_a_position_falls_at_the_formula_of_its_level(
    side: int, mode: str, levels: str, size: float, mmr: float, deduction: float
) -> None:
    """10x at 50,000: the margin is a tenth of the value; each size ends within level I, II or III."""
    notional = size * 50_000
    deduction = deduction if levels == "marginal" else 0.0
    posted = notional / 10
    cash = notional if mode == "isolated" else posted + notional * FEE
    acc = account("krakenfutures", FULL, cash, mode, levels=levels)
    opened(acc, PF, side * size, 50_000)
    price = linear_price(side, size, 50_000, posted, mmr, deduction)
    assert acc.liquidation_price(PF) == near(price)
    assert acc.bankruptcy_price(PF) == near(50_000 - side * posted / size)
    live(acc, [{PF: crash(side, 50_000)}])
    (event,) = kinds(acc, "liquidation")
    lost, fee = size * abs(price - 50_000), size * price * FEE
    assert (event.price, event.realised, event.fee) == (near(price), near(-lost), near(fee))
    assert posted - lost == near(mmr * size * price - deduction)
    totals = acc.ledger.totals
    assert totals["realised"] == near(-lost)
    assert totals["fee"] == near(-notional * FEE)
    assert totals["liquidation_fee"] == near(-fee)
    assert totals["insurance"] == 0
    assert acc.equity() == near(cash - notional * FEE - lost - fee)


@pytest.mark.parametrize("side", SIDES)
def test_a_cross_position_falls_when_the_whole_wallet_is_down_to_its_requirement(side: int) -> None:
    acc = opened(account("krakenfutures", FULL, 10_000), PF, side, 50_000)
    wallet = 10_000 - 50_000 * FEE
    price = linear_price(side, 1, 50_000, wallet, 0.01)
    assert acc.liquidation_price(PF) == near(price)
    live(acc, [{PF: crash(side, 50_000)}])
    (event,) = kinds(acc, "liquidation")
    assert event.price == near(price)
    assert acc.equity() == near(0.01 * price - price * FEE)
    assert acc.ledger.totals["insurance"] == 0


def test_a_growing_short_falls_at_the_edge_where_its_requirement_doubles() -> None:
    """10 BTC short from 49,000 with 17,000: at 50,000 equity is 7,000, between 5,000 and 10,000."""
    whole = {"leverage": 50, "levels": "whole"}
    acc = opened(account("krakenfutures", FULL, 17_245, **whole), PF, -10, 49_000)
    assert acc.cross.balance == near(17_000)
    assert acc.liquidation_price(PF) == 50_000
    live(acc, [{PF: (49_000, 50_100, 49_000, 50_050)}])
    (event,) = kinds(acc, "liquidation")
    assert (event.price, event.realised) == (50_000, -10_000)
    survivor = opened(account("krakenfutures", FULL, 17_245, **whole), PF, -10, 49_000)
    live(survivor, [{PF: (49_000, 49_999, 49_000, 49_999)}])
    assert not kinds(survivor, "liquidation")


def test_by_parts_a_growing_short_passes_the_edge_and_falls_beyond_it() -> None:
    """The same 10 BTC: the requirement goes on from 5,000 at 2 % of what is above 500,000."""
    acc = opened(account("krakenfutures", FULL, 17_245, leverage=50), PF, -10, 49_000)
    price = (490_000 + 17_000 + 5_000) / (10 * 1.02)
    assert acc.liquidation_price(PF) == near(price)
    assert price > 50_190
    live(acc, [{PF: (49_000, 50_100, 49_000, 50_050)}])
    assert not kinds(acc, "liquidation")
    assert acc.maintenance() == near(5_000 + 500 * 0.02)
    live(acc, [{PF: (50_050, 50_300, 50_050, 50_300)}])
    (event,) = kinds(acc, "liquidation")
    assert event.price == near(price)
    assert acc.equity() == near(price * 10 * 0.02 - 5_000 - price * 10 * FEE)


def test_what_a_gap_leaves_uncovered_is_a_shortfall() -> None:
    acc = opened(account("krakenfutures", FULL, 10_000, "isolated"), PF, 1, 50_000)
    live(acc, [{PF: (40_000, 40_000, 40_000, 40_000)}])
    (event,) = kinds(acc, "liquidation")
    assert (event.price, event.realised, event.fee) == (40_000, -10_000, 0)
    assert acc.ledger.totals["insurance"] == near(5_000)
    assert acc.equity() == near(10_000 - 25 - 5_000)


def test_the_largest_loss_goes_first_and_the_rest_may_live() -> None:
    acc = account("krakenfutures", FULL, 30_000, leverage=50)
    opened(acc, "ETH/USD:USD", 100, 2_000)
    opened(acc, PF, 4, 50_000)
    live(acc, [{PF: (50_000, 50_000, 43_000, 44_000), "ETH/USD:USD": (2_000,) * 4}])
    (event,) = kinds(acc, "liquidation")
    assert (event.symbol, event.size) == (PF, -4)
    assert acc.position("ETH/USD:USD").size == 100


def test_a_larger_position_asks_for_more_margin_until_the_largest_is_reached() -> None:
    acc = account("krakenfutures", FULL, 100_000_000, leverage=50)
    acc.mark(PF, 50_000)
    asked = [acc.preview(PF, size).initial for size in (10, 11, 40, 41, 101)]
    assert asked == [
        near(10_000),
        near(10_000 + 50_000 * 0.04),
        near(70_000),
        near(70_000 + 50_000 * 0.1),
        near(70_000 + 300_000 + 50_000 * 0.2),
    ]
    whole = account("krakenfutures", FULL, 100_000_000, leverage=50, levels="whole")
    whole.mark(PF, 50_000)
    steps = [whole.preview(PF, size).initial for size in (10, 11, 40, 41, 101)]
    assert steps == [near(x) for x in (10_000, 22_000, 80_000, 205_000, 1_010_000)]
    assert acc.preview(PF, 1_200).accepted
    refused = acc.preview(PF, 1_200.001)
    assert (refused.accepted, refused.reason) == (False, "leverage_cap")
    assert refused.allowed == near(1_200 * 50_000)


def test_a_lower_leverage_of_ones_own_asks_for_more() -> None:
    for leverage, asked in [(5, 10_000.0), (25, 2_000.0), (50, 1_000.0)]:
        acc = opened(account("krakenfutures", FULL, 20_000, leverage=leverage), PF, 1, 50_000)
        assert acc.initial() == near(asked)
    with pytest.raises(LeverageError, match="exceeds 50"):
        opened(account("krakenfutures", FULL, 20_000, leverage=51), PF, 1, 50_000)


def test_meeting_the_requirement_is_no_breach_on_futures_and_one_on_spot() -> None:
    """Futures: equity *below* the requirement. 3 − (102 − 100) = 1 % of 100. Spot: at 40 %."""
    none = {"taker_fee": 0.0, "maker_fee": 0.0, "liquidation_fee": 0.0}
    for name, symbol in (("krakenfutures", PF), ("krakenfutures", "ETH/USD:USD")):
        free = btm.venue(name).with_symbols({symbol: none})
        acc = opened(btm.Account(free, cash=3.0, leverage=50, time=ms(FULL)), symbol, 1, 102.0)
        assert not acc.mark(symbol, 100.0)
        assert acc.equity() == acc.maintenance()
        assert acc.mark(symbol, 99.99)
    free = replace(btm.venue("krakenspot").with_symbols({SPOT: none}), carry=None)
    acc = opened(btm.Account(free, cash=10_000.0, leverage=5, time=ms(FULL)), SPOT, 1, 20_000.0)
    assert not acc.mark(SPOT, 13_200.01)
    assert acc.mark(SPOT, 11_600.0)


# -- the day of the partial liquidation ------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_the_same_crash_before_and_after_2026_03_26(side: int, mode: str) -> None:
    """Before: all of it. From then on: just enough, in steps of a tenth, as the price goes on."""
    falls: dict[str, Any] = {}
    for day in ("2026-03-24", "2026-03-25T23:00:00Z"):
        acc = opened(account("krakenfutures", day, 10_000, mode), PF, side * 1.0, 50_000)
        price = acc.liquidation_price(PF)
        beyond = price * (1 - side * 0.0002)
        bar = (50_000, max(50_000, beyond), min(50_000, beyond), beyond)
        falls[day] = (live(acc, [{PF: bar}]), price)
    (before, price), (after, same) = falls.values()
    assert price == near(same)
    assert [abs(e.size) for e in kinds(before, "liquidation")] == [1.0]
    (event,) = kinds(after, "liquidation")
    assert event.price == near(price)
    # kept·mmr = 0.9·(equity − sold·fee), per unit of notional at the crossing, up to the lot
    kept = 0.9 * (0.005 - FEE) / (0.005 - 0.9 * FEE)
    assert abs(event.size) == pytest.approx(1 - kept, abs=1e-4)
    assert abs(event.size) >= 1 - kept
    assert after.position(PF).size == near(side + event.size)
    assert event.fee == near(abs(event.size) * price * FEE)


def test_a_run_across_the_day_switches_in_the_run() -> None:
    acc = opened(account("krakenfutures", "2026-03-24", 4_500, leverage=25), PF, 1, 50_000)
    price = acc.liquidation_price(PF)
    low = price * (1 + 1e-6)
    quiet = {PF: (low, low, low, low)}
    live(acc, [quiet] * 3, step=24 * HOUR)
    assert acc.time >= ms("2026-03-26")
    live(acc, [{PF: (low, low, price * 0.9999, price * 0.9999)}])
    (event,) = kinds(acc, "liquidation")
    assert abs(event.size) < 0.2
    assert acc.position(PF).size > 0.8


def test_a_fall_without_end_takes_the_position_apart() -> None:
    acc = opened(account("krakenfutures", PARTIAL, 10_000, "isolated"), PF, 1, 50_000)
    live(acc, [{PF: crash(1, 50_000, 0.2)}])
    events = kinds(acc, "liquidation")
    assert len(events) > 5
    assert sum(e.size for e in events) == near(-1)
    prices = [e.price for e in events]
    assert prices == sorted(prices, reverse=True)
    assert acc.ledger.totals["insurance"] == 0


def test_a_growing_short_at_the_edge_of_a_level_is_sold_by_tenths() -> None:
    """The story of the edge at 50,000 since then: 10 BTC become 9, and live on in the lower level."""
    acc = account("krakenfutures", "2026-04-01", 17_245, leverage=50, levels="whole")
    opened(acc, "ETH/USD:USD", -10, 49_000)
    live(acc, [{"ETH/USD:USD": (49_000, 50_100, 49_000, 50_050)}])
    (event,) = kinds(acc, "liquidation")
    assert (event.price, event.size) == (50_000, near(1.0))
    assert acc.position("ETH/USD:USD").size == near(-9.0)
    live(acc, [{"ETH/USD:USD": (50_050, 50_200, 50_050, 50_200)}])
    assert len(kinds(acc, "liquidation")) == 1


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("size", [20.0, 60.0])
def test_a_large_position_is_sold_down_through_the_levels(side: int, size: float) -> None:
    """Level by level there is no edge to stumble over: each sale restores 90 %, down to level I."""
    acc = account("krakenfutures", PARTIAL, size * 5_000, "isolated", levels="marginal")
    opened(acc, "ETH/USD:USD", side * size * 0.99, 50_000)
    first = acc.liquidation_price("ETH/USD:USD")
    live(acc, [{"ETH/USD:USD": crash(side, 50_000, 0.2)}])
    events = kinds(acc, "liquidation")
    assert events[0].price == near(first)
    assert len(events) > 5
    left = acc.position("ETH/USD:USD").size
    assert sum(event.size for event in events) == near(left - side * size * 0.99)
    assert abs(left) < 0.0005 * size
    prices = [side * event.price for event in events]
    assert prices == sorted(prices, reverse=True)
    assert acc.ledger.totals["insurance"] == 0
    assert sum(acc.ledger.totals.values()) == near(acc.wallet())


def test_a_partial_sale_stops_at_90_per_cent_of_the_continuous_requirement() -> None:
    """60 coins, in level III until a part is sold: kept·mmr − deduction = 0.9 · what is left."""
    eth, posted = "ETH/USD:USD", 300_000.0
    acc = opened(account("krakenfutures", PARTIAL, 600_000, "isolated"), eth, 60, 50_000)
    price = linear_price(1, 60, 50_000, posted, 0.05, 65_000)
    assert acc.liquidation_price(eth) == near(price)
    live(acc, [{eth: (50_000, 50_000, price * 0.9999, price)}])
    (event,) = kinds(acc, "liquidation")
    notional, equity = 60 * price, 60 * price * 0.05 - 65_000
    kept = (0.9 * (equity - notional * FEE) + 65_000) / (0.05 - 0.9 * FEE)
    assert kept > 2_000_000
    assert 60 + event.size == pytest.approx(min(kept, 0.9 * notional) / price, abs=1e-3)
    assert acc.position(eth).size == near(60 + event.size)


def test_the_levels_of_bitcoin_change_in_the_run() -> None:
    acc = opened(account("krakenfutures", "2025-09-23", 40_000, leverage=50), PF, 10, 100_000)
    assert acc.maintenance() == near(15_000)
    live(acc, [{PF: (100_000,) * 4}] * 2, step=12 * HOUR)
    assert acc.maintenance() == near(5_000)
    assert [e.kind for e in acc.events if e.kind == "rules"] == ["rules"]


# -- inverse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("symbol", "coin"), [(PI, "BTC"), (ETH, "ETH")])
@pytest.mark.parametrize("levels", ["marginal", "whole"])
@pytest.mark.parametrize("size", [1_000, 400_000, 900_000, 2_500_000])
def test_an_inverse_position_falls_at_the_formula_of_its_level(
    side: int, symbol: str, coin: str, size: int, levels: str
) -> None:
    """LP = size·(1 + σ·mmr) / (size/EP + σ·WB); the level goes by contracts, whatever the price."""
    edges = [500_000, 1_000_000, 3_000_000] if coin == "BTC" else [250_000, 500_000, 2_000_000]
    bands = list(zip([0, *edges], [*edges, 5_000_000], [0.01, 0.02, 0.03, 0.05], strict=True))
    if levels == "marginal":
        rate = sum(max(0, min(size, end) - floor) * mmr for floor, end, mmr in bands) / size
    else:
        rate = next(mmr for _, end, mmr in bands if size <= end)
    notional = size / 8_000
    cash = notional / 8
    acc = account("krakeninverse", FULL, {coin: cash}, levels=levels)
    opened(acc, symbol, side * size, 8_000)
    assert acc.position(symbol).maintenance() == near(notional * rate)
    assert acc.position(symbol).initial() == near(2 * notional * rate)
    wallet = cash - notional * FEE
    price = size * (1 + side * rate) / (notional + side * wallet)
    ruin = size / (notional + side * wallet)
    assert acc.liquidation_price(symbol) == near(price)
    assert acc.bankruptcy_price(symbol) == near(ruin)
    live(acc, [{symbol: crash(side, 8_000)}])
    (event,) = kinds(acc, "liquidation")
    lost = side * size * (1 / price - 1 / 8_000)
    fee = size / price * FEE
    assert (event.price, event.size) == (near(price), -side * size)
    assert (event.realised, event.fee) == (near(-lost), near(fee))
    left = acc.wallets[coin].balance
    assert left == near(wallet - lost - fee)
    assert left == near(size / price * (rate - FEE))
    assert acc.ledger.totals["insurance"] == 0


def test_the_page_s_own_example_without_fees() -> None:
    free = btm.venue("krakeninverse").with_symbols(
        {PI: {"taker_fee": 0.0, "maker_fee": 0.0, "liquidation_fee": 0.0}}
    )
    acc = btm.Account(free, cash=0.01, time=ms(FULL), debug=True)
    opened(acc, PI, 1_000, 8_000)
    assert (acc.initial(), acc.maintenance()) == (near(0.0025), near(0.00125))
    live(acc, [{PI: crash(1, 8_000)}])
    (event,) = kinds(acc, "liquidation")
    assert int(event.price) == 7_481
    assert acc.equity() == near(0.01 * 1_000 / event.price)


@pytest.mark.parametrize("side", SIDES)
def test_beyond_bankruptcy_the_coins_do_not_fall_below_zero(side: int) -> None:
    acc = opened(account("krakeninverse", FULL, 0.01), PI, side * 1_000, 8_000)
    gap = 7_000 if side > 0 else 9_000
    live(acc, [{PI: (gap,) * 4}])
    (event,) = kinds(acc, "liquidation")
    owed = abs(1_000 / gap - 0.125) - (0.01 - 0.125 * FEE)
    assert (event.price, event.fee) == (gap, 0)
    assert acc.ledger.totals["insurance"] == near(owed)
    assert acc.equity() == 0


def test_there_is_no_leverage_in_an_inverse_margin() -> None:
    for leverage in (1, 10, 50):
        acc = opened(account("krakeninverse", FULL, 1.0, leverage=leverage), PI, 1_000, 8_000)
        assert acc.initial() == near(0.0025)


@pytest.mark.parametrize("levels", ["marginal", "whole"])
def test_the_schedule_of_2019_gives_way_in_the_run(levels: str) -> None:
    """At most 6 million contracts, the last level at 10 %; then 75 million, and 15 % above 6 million."""
    acc = account("krakeninverse", "2023-05-24", 1_000, levels=levels)
    acc.mark(PI, 20_000)
    below = 10_000 + 20_000 + 120_000 + 300_000  # 2, 4, 6, 10 % of 0.5, 0.5, 2 and 3 million
    if levels == "whole":
        below = 600_000
    assert not acc.preview(PI, 6_000_001).accepted
    assert acc.preview(PI, 6_000_000).initial == near(below / 20_000)
    acc.clock(ms("2023-05-25"))
    above = below + 0.15 if levels == "marginal" else 6_000_001 * 0.15
    assert acc.preview(PI, 6_000_001).initial == near(above / 20_000)


@pytest.mark.parametrize("side", SIDES)
def test_a_reduced_inverse_position_owes_the_average_of_what_is_left(side: int) -> None:
    """1,000,000 contracts owe 1.5 %, 750,000 of them 1.33 %: less each time, not by jumps."""
    acc = opened(account("krakeninverse", FULL, 20.0), PI, side * 1_000_000, 8_000)
    for left, owed in [(1_000_000, 15_000), (750_000, 10_000), (500_000, 5_000), (100_000, 1_000)]:
        acc.fill(PI, side * left - acc.position(PI).size, 8_000)
        assert acc.maintenance() == near(owed / 8_000)
        assert acc.initial() == near(2 * owed / 8_000)


# -- spot margin -----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("leverage", [2, 5])
def test_a_spot_position_falls_at_a_margin_level_of_40_per_cent(side: int, leverage: int) -> None:
    acc = opened(account("krakenspot", FULL, 11_000, leverage=leverage), SPOT, side, 20_000)
    rate = 0.0002 if side > 0 else 0.0001
    wallet = 11_000 - 20_000 * (0.0026 + rate)
    assert acc.cross.balance == near(wallet)
    fixed = 20_000 - wallet + 0.4 * 20_000 / leverage
    price = fixed if side > 0 else (20_000 + wallet) / (1 + 0.4 / leverage)
    assert acc.liquidation_price(SPOT) == near(price)
    live(acc, [{SPOT: crash(side, 20_000, 0.6)}])
    (event,) = kinds(acc, "liquidation")
    assert (event.price, event.size) == (near(price), -side)
    assert event.fee == near(price * 0.0026)
    used = (20_000 if side > 0 else price) / leverage
    assert wallet + side * (price - 20_000) == near(0.4 * used)
    assert acc.equity() == near(0.4 * used - event.fee)


def test_a_warning_comes_at_80_per_cent() -> None:
    acc = opened(account("krakenspot", FULL, 10_056, leverage=5), SPOT, 1, 20_000)
    assert acc.cross.balance == near(10_000)
    live(acc, [{SPOT: (20_000, 20_000, 13_201, 13_201)}])
    assert not kinds(acc, "margin_call")
    live(acc, [{SPOT: (13_201, 13_201, 13_199, 13_199)}])
    (call,) = kinds(acc, "margin_call")
    assert call.allowed == 0.5
    assert not kinds(acc, "liquidation")


def two_pairs(cash: float, first: str) -> Any:
    """1 BTC at 20,000 and 10 ETH at 2,000, an hour apart, both 5x: 4,000 of margin each."""
    acc = account("krakenspot", FULL, cash, leverage=5)
    order = [(SPOT, 1.0, 20_000.0), (SPOT_ETH, 10.0, 2_000.0)]
    for symbol, size, price in order if first == SPOT else order[::-1]:
        opened(acc, symbol, size, price)
        acc.clock(acc.time + HOUR)
    return acc


@pytest.mark.parametrize("first", [SPOT, SPOT_ETH])
def test_the_oldest_goes_first_though_it_gains(first: str) -> None:
    """The older position is worth more, the younger has lost so much that the account falls."""
    acc = two_pairs(12_000, first)
    loser = SPOT_ETH if first == SPOT else SPOT
    up, down = (21_000,) * 4, (2_000, 2_000, 1_000, 1_000)
    if loser == SPOT:
        up, down = (2_100,) * 4, (20_000, 20_000, 10_000, 10_000)
    live(acc, [{first: up, loser: down}])
    events = kinds(acc, "liquidation")
    assert [e.symbol for e in events] == [first, loser]
    assert events[0].realised > 0
    assert acc.ledger.totals["insurance"] == 0


def test_the_sales_stop_when_the_level_is_above_100_per_cent() -> None:
    """A large old position and a small young one: without the first the account is healthy."""
    acc = account("krakenspot", FULL, 10_000, leverage=5)
    opened(acc, SPOT, 1, 20_000)
    acc.clock(acc.time + HOUR)
    opened(acc, SPOT_ETH, 1, 2_000)
    live(acc, [{SPOT: (20_000, 20_000, 11_500, 11_500), SPOT_ETH: (2_000,) * 4}])
    (event,) = kinds(acc, "liquidation")
    assert event.symbol == SPOT
    assert acc.position(SPOT_ETH).size == 1
    assert acc.equity() > acc.initial()


@pytest.mark.parametrize(("side", "rate"), [(1, 0.0002), (-1, 0.0001)])
def test_rollovers_are_booked_as_interest_every_four_hours(side: int, rate: float) -> None:
    acc = opened(account("krakenspot", FULL, 10_000, leverage=5), SPOT, side, 20_000)
    counts = []
    for _ in range(13):
        live(acc, [{SPOT: (20_000, 21_000, 19_000, 20_500)}])
        counts.append(len(kinds(acc, "interest")))
    assert counts == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert [e.amount for e in kinds(acc, "interest")] == [near(-20_000 * rate)] * 3
    assert acc.ledger.totals["interest"] == near(-4 * 20_000 * rate)  # with the opening
    assert acc.ledger.totals["fee"] == near(-20_000 * 0.0026)


def test_a_position_held_for_less_than_four_hours_pays_the_opening_alone() -> None:
    acc = opened(account("krakenspot", FULL, 10_000, leverage=5), SPOT, 1, 20_000)
    live(acc, [{SPOT: (20_000,) * 4}] * 3)
    acc.fill(SPOT, -1, 20_000)
    live(acc, [{SPOT: (20_000,) * 4}] * 6)
    assert not kinds(acc, "interest")
    assert acc.ledger.totals["interest"] == near(-4)


def test_the_rate_of_a_position_stays_when_the_venue_changes_it() -> None:
    acc = opened(account("krakenspot", "2026-02-09", 10_000, leverage=5), SPOT, 1, 20_000)
    live(acc, [{SPOT: (20_000,) * 4}] * 40)
    assert [e.amount for e in kinds(acc, "interest")] == [near(-4)] * 10
    later = opened(account("krakenspot", "2026-02-10", 10_000, leverage=5), SPOT, 1, 20_000)
    live(later, [{SPOT: (20_000,) * 4}] * 5)
    assert [e.amount for e in kinds(later, "interest")] == [near(-5)]


def test_a_position_opens_while_the_level_stays_at_100_per_cent() -> None:
    acc = account("krakenspot", FULL, 5_000, leverage=5)
    acc.mark(SPOT, 50_000)
    room = acc.preview(SPOT, 1.0).affordable_size
    assert 0.499 < room <= 0.5
    assert acc.preview(SPOT, room * 0.9999).accepted
    assert not acc.preview(SPOT, 0.501).accepted


# -- any position, any bar -------------------------------------------------------------------------

BOOKS = [
    ("krakenfutures", PF, FULL, "cross", 50_000.0, 1e6),
    ("krakenfutures", PF, FULL, "isolated", 50_000.0, 1e6),
    ("krakenfutures", PF, PARTIAL, "cross", 50_000.0, 1e6),
    ("krakenfutures", PF, PARTIAL, "isolated", 50_000.0, 1e6),
    ("krakenfutures", "PEPE/USD:USD", FULL, "cross", 0.00001, 1e5),
    ("krakeninverse", PI, FULL, "cross", 50_000.0, 50.0),
    ("krakenspot", SPOT, "2025-06-01", "cross", 50_000.0, 1e5),
]


@pytest.mark.parametrize(("name", "symbol", "day", "mode", "price", "cash"), BOOKS)
@given(
    side=st.sampled_from(SIDES),
    part=st.floats(0.01, 0.98),
    leverage=st.floats(2, 10),
    depth=st.floats(0.0, 0.95),
    back=st.floats(0.0, 1.0),
)
@settings(max_examples=60)
def test_a_bar_liquidates_at_the_price_that_was_foretold_or_not_at_all(
    name: str, symbol: str, day: str, mode: str, price: float, cash: float,
    side: int, part: float, leverage: float, depth: float, back: float,
) -> None:  # fmt: skip
    """Whatever the level, also where a growing short meets the edge of one."""
    acc = account(name, day, cash, mode, leverage)
    acc.mark(symbol, price)
    room = abs(acc.preview(symbol, side, price).affordable_size)
    opened(acc, symbol, side * room * part, price)
    foretold, ruin = acc.liquidation_price(symbol), acc.bankruptcy_price(symbol)
    far = price * (1 - depth) if side > 0 else price / (1 - depth)
    close = far + (price - far) * back
    live(acc, [{symbol: (price, max(price, far), min(price, far), close)}])
    events = kinds(acc, "liquidation")
    gone = foretold is not None and (foretold - far) * side > 1e-9 * price
    assert bool(events) == gone or abs((foretold or far) / far - 1) < 1e-8
    if events:
        assert events[0].price == pytest.approx(foretold, rel=1e-9)
        assert ruin is None or (foretold - ruin) * side >= -1e-9 * price
        assert acc.ledger.totals["insurance"] == pytest.approx(0, abs=1e-9 * cash)
    assert sum(acc.ledger.totals.values()) == pytest.approx(acc.wallet())


PAIRS = [SPOT, SPOT_ETH, "XRP/USD", "LTC/USD", "LINK/USD"]


def naive_spot(wallet: float, held: Sequence[tuple[float, float]]) -> tuple[int, float]:
    """How many of the oldest go, and the equity left; positions (signed cost at 100, price now), 3x."""
    equity = wallet + sum(cost * (now / 100 - 1) for cost, now in held)
    used = [(cost if cost > 0 else -cost * now / 100) / 3 for cost, now in held]
    if equity > 0.4 * sum(used):
        return 0, equity
    for gone, (cost, now) in enumerate(held, start=1):
        equity -= min(0.0026 * abs(cost) * now / 100, max(0.0, equity))
        if equity > sum(used[gone:]):
            return gone, equity
    return len(held), max(0.0, equity)


@given(
    costs=st.lists(st.floats(500, 6_000), min_size=2, max_size=5),
    sides=st.lists(st.sampled_from(SIDES), min_size=5, max_size=5),
    moves=st.lists(st.floats(-0.8, 1.5), min_size=5, max_size=5),
    order=st.permutations(range(5)),
)
@settings(max_examples=150)
def test_a_gap_closes_the_oldest_as_a_naive_account_would(
    costs: list[float], sides: list[int], moves: list[float], order: list[int]
) -> None:
    acc, held = account("krakenspot", FULL, 10_000, leverage=3), []
    for number, cost in zip(order, costs, strict=False):
        acc.mark(PAIRS[number], 100.0)
        if acc.fill(PAIRS[number], sides[number] * cost / 100, 100.0).refusal is None:
            held.append(number)
        acc.clock(acc.time + 60_000)
    costs_of = [acc.position(PAIRS[n]).size * 100 for n in held]
    prices = [100 * (1 + moves[n]) for n in held]
    gone, equity = naive_spot(acc.cross.balance, list(zip(costs_of, prices, strict=True)))
    live(acc, [{PAIRS[n]: (price,) * 4 for n, price in zip(held, prices, strict=True)}])
    assert [e.symbol for e in kinds(acc, "liquidation")] == [PAIRS[n] for n in held[:gone]]
    assert acc.equity() == pytest.approx(equity, abs=1e-6)


# -- in a backtest ---------------------------------------------------------------------------------


def flat(price: float) -> Candle:
    return (price,) * 4


def test_a_strategy_is_liquidated_on_the_linear_venue() -> None:
    rows = [flat(50_000), flat(50_000), (50_000, 50_000, 44_000, 45_000), flat(45_000)]
    for mode, backing in (("isolated", 5_000), ("cross", 5_500 - 25)):
        ran = play(
            {PF: frame(rows)}, {0: buy(1, PF)}, mode, cash=5_500, venue=btm.venue("krakenfutures")
        )
        ((hour, symbol, price),) = ran.liquidations
        assert (hour, symbol) == (2, PF)
        assert price == near(linear_price(1, 1, 50_000, backing, 0.01))
        ran.broker.account.audit()


def test_a_strategy_is_liquidated_oldest_first_on_the_spot_venue() -> None:
    btc = [*[flat(20_000)] * 3, (20_000, 21_000, 20_000, 21_000), flat(21_000)]
    eth = [*[flat(2_000)] * 3, (2_000, 2_000, 900, 900), flat(900)]
    ran = play(
        {SPOT: frame(btc), SPOT_ETH: frame(eth)},
        {0: buy(1, SPOT), 1: lines(buy(10, SPOT_ETH))},
        leverage=5,
        cash=10_500,
        venue=btm.venue("krakenspot"),
    )
    assert [symbol for _, symbol, _ in ran.liquidations] == [SPOT, SPOT_ETH]
    assert isinstance(ran.strategy, Scripted)


def test_a_strategy_is_liquidated_in_coins() -> None:
    rows = [flat(8_000), flat(8_000), (8_000, 9_500, 8_000, 9_000), flat(9_000)]
    ran = play({PI: frame(rows)}, {0: sell(1_000, PI)}, cash=0.01, venue=btm.venue("krakeninverse"))
    ((hour, _, price),) = ran.liquidations
    wallet = 0.01 - 0.125 * FEE
    assert (hour, price) == (2, near(1_000 * 0.99 / (0.125 - wallet)))


def test_the_rate_is_that_of_the_venue_s_pair_whatever_the_feed_is_called() -> None:
    spot = btm.venue("krakenspot").standing_for(["BTC/USDT:USDT"])
    fees = [
        next(
            e.amount
            for e in _held_for_a_period(spot, name, moment("2026-03-01") or 0)
            if e.kind == "interest"
        )
        for name in ("BTC/USDT:USDT", "BTC/USD")
    ]
    assert fees == [pytest.approx(-60_000 * 0.00025)] * 2


def _held_for_a_period(spot: Any, name: str, since: int) -> Any:
    """One coin bought with borrowed dollars, four hours long."""
    account = btm.Account(spot, cash=100_000, leverage=2, time=since)
    account.mark(name, 60_000.0)
    account.fill(name, 1.0, 60_000.0)
    account.clock(since + 4 * 3_600_000)
    return account.events
