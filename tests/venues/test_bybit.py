"""Bybit: the published tables, their dates, fees and rules."""

from __future__ import annotations

from fractions import Fraction as F

import pytest

import bt_margin as btm
from bt_margin.core.liquidation import Leg, liquidation_price
from bt_margin.core.tiers import TierTable
from bt_margin.errors import UnknownSymbol
from bt_margin.venues.bybit import LEVERAGE_STEP, MARK_VALUE_SINCE, TABLES
from bt_margin.venues.margin import Held
from bt_margin.venues.margin_fee_reserve import EntryValueWithReserve, MarkValueWithReserve
from bt_margin.venues.names import moment
from bt_margin.venues.tables import document
from bt_margin.venues.tier_ladder import TierLadder

M = 1_000_000
ALIKE = ["BNB", "LTC", "BCH", "LINK", "DOT", "ETC", "XLM", "DYDX"]


def ms(day: str) -> int:
    found = moment(day)
    assert found is not None
    return found


def rows(table: TierTable, count: int | None = None) -> list[tuple[float, float, float, object]]:
    return [(t.cap, t.mmr, t.deduction, t.max_leverage) for t in table.tiers[:count]]


# -- the tables ------------------------------------------------------------------------------------


def test_every_table_is_whole_and_its_deductions_are_those_of_the_rule() -> None:
    """deduction = cap below · (rate − rate below) + deduction below, exactly, for every tier."""
    venue = btm.venue("bybit")
    assert len(venue.schedules) == 23
    for symbol in venue.schedules:
        ((_, table),) = venue.schedule(symbol).tables
        assert (table.tiers[0].floor, table.tiers[0].deduction) == (0, 0), symbol
        derived = F(0)
        for low, high in zip(table.tiers, table.tiers[1:], strict=False):
            assert high.floor == low.cap < high.cap, symbol
            assert low.mmr < high.mmr < 1, symbol
            derived += F(str(low.cap)) * (F(str(high.mmr)) - F(str(low.mmr)))
            assert derived == F(str(high.deduction)), (symbol, high)
            assert low.max_leverage is not None, symbol
            assert high.max_leverage is not None, symbol
            assert low.max_leverage > high.max_leverage >= 1, symbol
        for (
            tier
        ) in table.tiers:  # trap 6: a position at the most leverage is not in breach when it opens
            assert tier.max_leverage is not None
            assert 1 / tier.max_leverage > tier.mmr, symbol


def test_the_file_of_tables_is_the_table_without_its_deductions() -> None:
    """A wrong cap or rate in the file does not go unseen: both columns make the third."""
    for ladder in document(TABLES)["ladders"]:
        derived = TierTable.of([(cap, mmr, None) for cap, mmr, _, _ in ladder])
        for tier, (_, _, deduction, _) in zip(derived.tiers, ladder, strict=True):
            assert tier.deduction == pytest.approx(deduction, abs=1e-6)


BTC = [
    (2.0 * M, 0.005, 0, 100), (2.6 * M, 0.0056, 1_200, 90), (3.2 * M, 0.0063, 3_020, 80),
    (3.8 * M, 0.0067, 4_300, 75), (4.4 * M, 0.0071, 5_820, 70), (5.0 * M, 0.0077, 8_460, 65),
    (5.6 * M, 0.0091, 15_460, 55), (8.5 * M, 0.01, 20_500, 50), (10 * M, 0.013, 46_000, 45),
    (14 * M, 0.015, 66_000, 40), (20 * M, 0.016, 80_000, 35), (28 * M, 0.02, 160_000, 30),
    (38 * M, 0.025, 300_000, 25), (50 * M, 0.029, 452_000, 20), (55 * M, 0.03, 502_000, 19),
    (60 * M, 0.035, 777_000, 18), (65 * M, 0.036, 837_000, 17), (70 * M, 0.038, 967_000, 16),
    (75 * M, 0.04, 1_107_000, 15), (80 * M, 0.045, 1_482_000, 14),
]  # fmt: skip


def test_the_page_of_margin_parameters_prints_the_first_twenty_tiers_of_btc() -> None:
    """Bybit margin parameters, BTCUSDT, undated copy."""
    table = btm.venue("bybit").schedule("BTC/USDT:USDT").at(0)
    assert rows(table, 20) == BTC
    assert len(table.tiers) == 35
    assert rows(table)[-1] == (1_200 * M, 0.6, pytest.approx(table.tiers[-1].deduction), 1)


FIRST = {
    "ETH/USDT:USDT": (0.9 * M, 0.005, 0, 100),
    "SOL/USDT:USDT": (50_000, 0.005, 0, 100),
    "XRP/USDT:USDT": (250_000, 0.0075, 0, 75),
    "DOGE/USDT:USDT": (250_000, 0.0075, 0, 75),
    "ADA/USDT:USDT": (200_000, 0.0075, 0, 75),
    "BNB/USDT:USDT": (200_000, 0.01, 0, 50),
    "LTC/USDT:USDT": (200_000, 0.01, 0, 50),
    "RVN/USDT:USDT": (100_000, 0.02, 0, 25),
    "BTC/USDC:USDC": (100_000, 0.004, 0, 125),
    "BTC/USD:BTC": (150, 0.005, 0, 100),
}
TIERS = {"ETH/USDT:USDT": 35, "SOL/USDT:USDT": 35, "RVN/USDT:USDT": 20, "BTC/USD:BTC": 2}


@pytest.mark.parametrize("symbol", FIRST)
def test_the_lowest_tiers_of_2025_12_29(symbol: str) -> None:
    table = btm.venue("bybit").schedule(symbol).at(ms("2026-10-01"))
    assert rows(table, 1) == [FIRST[symbol]]
    assert len(table.tiers) == TIERS.get(symbol, 30)


def test_known_deductions_further_up() -> None:
    venue = btm.venue("bybit")
    assert rows(venue.schedule("SOLUSDT").at(0))[-1] == (300 * M, 0.5, 66_399_135, 1)
    assert rows(venue.schedule("ETHUSDT").at(0))[-1] == (1_000 * M, 0.6, 138_018_220, 1)
    assert rows(venue.schedule("BTC/USDC").at(0))[-1] == (100 * M, 0.25, 12_663_200, 2)
    assert rows(venue.schedule("RVNUSDT").at(0), 3)[1:] == [
        (200_000, 0.025, 500, 20), (300_000, 0.03, 1_500, 16.67),
    ]  # fmt: skip
    assert rows(venue.schedule("BTC/USD:BTC").at(0)) == [
        (150, 0.005, 0, 100),
        (300, 0.01, 0.75, 66.67),
    ]


def test_symbols_that_share_a_table_share_the_object() -> None:
    venue = btm.venue("bybit")
    tables = {id(venue.schedule(f"{coin}/USDT:USDT").at(0)) for coin in ALIKE}
    assert len(tables) == 1


def test_a_symbol_without_a_table_is_refused_and_may_bring_its_own() -> None:
    venue = btm.venue("bybit")
    with pytest.raises(UnknownSymbol, match="no tier table for the symbol 'ETH/USD:ETH'"):
        venue.schedule("ETH/USD:ETH")
    own = venue.with_symbols({"ETH/USD:ETH": {"tiers": [(1_500, 0.005, None, 100)]}})
    assert own.contract("ETH/USD:ETH").kind == "inverse"


def test_tables_before_their_date_say_that_they_stand_in() -> None:
    schedule = btm.venue("bybit").schedule("BTC/USDT:USDT")
    assert schedule.is_proxy(ms("2025-12-28"))
    assert not schedule.is_proxy(ms("2025-12-29"))


def test_contracts() -> None:
    venue = btm.venue("bybit")
    btc, coin = venue.contract("BTC/USDT:USDT"), venue.contract("BTC/USD:BTC")
    assert (btc.tick, btc.lot, btc.min_notional, btc.settle) == (0.1, 0.001, 5, "USDT")
    assert (coin.kind, coin.multiplier, coin.tick, coin.lot) == ("inverse", 1, 0.1, 1)
    assert venue.contract("BTC/USDC:USDC").settle == "USDC"
    assert (LEVERAGE_STEP, venue.funding_interval) == (0.01, 8 * 3_600_000)


# -- dates -----------------------------------------------------------------------------------------


def test_the_margin_rule_and_the_ladder_change_on_2025_09_02() -> None:
    venue = btm.venue("bybit")
    before, since = ms("2025-09-02") - 1, ms("2025-09-02")
    assert since == MARK_VALUE_SINCE
    assert venue.margin_at(before) == EntryValueWithReserve()
    assert venue.margin_at(since) == MarkValueWithReserve()
    assert venue.liquidation_at(before) == TierLadder("entry")
    assert venue.liquidation_at(since) == TierLadder("mark")
    assert venue.next_change(before) == since
    assert venue.next_change(since) is None


@pytest.mark.parametrize(
    ("day", "rule", "ladder", "taker", "ratio"),
    [
        ("2021-06-01", EntryValueWithReserve(), "entry", 0.00075, 0.95),
        ("2023-01-01", EntryValueWithReserve(), "entry", 0.0006, 0.95),
        ("2025-09-01", EntryValueWithReserve(), "entry", 0.00055, 0.85),
        ("2025-09-02", MarkValueWithReserve(), "mark", 0.00055, 0.85),
    ],
)
def test_as_of_pins_every_rule(
    day: str, rule: object, ladder: str, taker: float, ratio: float
) -> None:
    pinned, running = btm.venue("bybit", as_of=day), btm.venue("bybit")
    for venue, when in ((pinned, 0), (pinned, 2**60), (running, ms(day))):
        assert venue.margin_at(when) == rule
        assert venue.liquidation_at(when) == TierLadder(ladder)  # type: ignore[arg-type]  # parametrised
        assert venue.fees_at("BTC/USDT:USDT", when).taker == taker
    assert pinned.next_change(0) is None
    assert pinned.collateral["BTC"][-1][1] == ratio


FEES = [
    ("2020-01-01", -0.00025, 0.00075),
    ("2022-07-12", -0.00025, 0.00075),
    ("2022-07-13", 0.0001, 0.0006),
    ("2023-10-19", 0.0001, 0.0006),
    ("2023-10-20", 0.0002, 0.00055),
    ("2026-10-01", 0.0002, 0.00055),
]


@pytest.mark.parametrize(("day", "maker", "taker"), FEES)
def test_fees_by_date_and_a_liquidation_pays_the_taker_fee(
    day: str, maker: float, taker: float
) -> None:
    for symbol in ("BTC/USDT:USDT", "BTC/USD:BTC"):
        fees = btm.venue("bybit").fees_at(symbol, ms(day))
        assert (fees.maker, fees.taker, fees.liquidation) == (maker, taker, taker)


SAME_TRADE = [("2025-09-01", 58_825.00), ("2025-09-03", 58_793.97)]


@pytest.mark.parametrize(("day", "price"), SAME_TRADE)
def test_the_same_trade_before_and_since(day: str, price: float) -> None:
    """Long 10,000 USDT at 65,000, 10x, 0.5 %, isolated: 58,825.00 by entry value, 58,793.97 by mark value."""
    venue = btm.venue("bybit")
    contract, size, taker = venue.contract("BTC/USDT:USDT"), 10_000 / 65_000, 0.00055
    held = Held(contract, size, 65_000.0, 10.0, TierTable.flat(0.005), taker, isolated=True)
    rule = venue.margin_at(ms(day))
    balance = rule.initial(held, 65_000.0)
    assert balance == pytest.approx(1_000 + 9_000 * taker)
    leg = Leg(contract, size, 65_000.0, rule.requirement(held._replace(balance=balance)))
    assert liquidation_price([leg], balance) == pytest.approx(price, abs=0.005)


# -- the rest of the rules -------------------------------------------------------------------------


def test_rules_that_are_a_word() -> None:
    venue = btm.venue("bybit")
    assert venue.modes == ("cross", "isolated")
    assert venue.switching.scope == "account"
    assert venue.funding.payer == "wallet"
    assert not venue.funding.capped
    assert not venue.funding.accrues
    assert venue.orders.fee_in_check
    assert venue.orders.open_loss
    assert venue.orders.sell_premium_at(2**60) == 0
    assert venue.bankruptcy_fee
    assert venue.hedge
    assert not venue.strict


CODES = {
    "margin_no_position": "110033",
    "margin_cross": "110015",
    "reduce_margin_balance": "110078",
    "leverage_above_cap": "110013",
    "hedge_with_position": "110024",
    "hedge_with_orders": "110028",
    "order_margin": "110007",
    "leverage_liquidates": "110011",
    "top_up_cross": "110076",
}


@pytest.mark.parametrize("action", CODES)
def test_refused_actions_carry_the_codes_of_the_api(action: str) -> None:
    assert btm.venue("bybit").switching.code(action) == CODES[action]


def test_every_fact_has_a_source_a_date_and_a_tag_and_every_approximation_a_side() -> None:
    venue = btm.venue("bybit")
    for fact in venue.facts:
        assert all((fact.topic, fact.value, fact.source, fact.as_of)), fact
        assert fact.tag in "PARCDMN", fact
        assert (fact.tag == "N") == ("our choice" in fact.source), fact
    assert len(venue.exact) >= 5
    assert len(venue.approximations) >= 8
    assert len(venue.absent) >= 3
    assert venue.facts[0].topic == "tiers from 2025-12-29"
