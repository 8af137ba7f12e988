"""Hyperliquid: bands by date, fees, rules, and what it says of itself."""

from __future__ import annotations

import pytest

import bt_margin as btm
from bt_margin.core.leverage_tiers import half_rate
from bt_margin.errors import LeverageError, MarginRefused
from bt_margin.venues.backstop import MarketThenBackstop
from bt_margin.venues.names import moment

M = 1_000_000
VENUE = btm.venue("hyperliquid")


def ms(day: str) -> int:
    found = moment(day)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("base", "bands"),
    [
        ("BTC", [(0, 40, 0), (150 * M, 20, 1_875_000)]),
        ("ETH", [(0, 25, 0), (100 * M, 15, 1_333_333.333333)]),
        ("SOL", [(0, 20, 0), (70 * M, 10, 1_750_000)]),
        ("XRP", [(0, 20, 0), (40 * M, 10, 1_000_000)]),
        ("DOGE", [(0, 10, 0), (20 * M, 5, 1_000_000)]),
        ("OP", [(0, 10, 0), (3 * M, 5, 150_000)]),
    ],
)
def test_the_bands_of_a_market(base: str, bands: list[tuple[float, float, float]]) -> None:
    table = VENUE.schedule(f"{base}/USDC:USDC").at(ms("2026-01-01"))
    assert [(t.floor, t.max_leverage) for t in table.tiers] == [(f, most) for f, most, _ in bands]
    assert [t.deduction for t in table.tiers] == pytest.approx([d for _, _, d in bands])
    assert [t.mmr for t in table.tiers] == [half_rate(most) for _, most, _ in bands]


@pytest.mark.parametrize("base", ["BTC", "ETH"])
def test_the_largest_leverage_was_lowered_on_a_date(base: str) -> None:
    schedule = VENUE.schedule(f"{base}/USDC")
    before, after = schedule.at(ms("2025-03-12") - 1), schedule.at(ms("2025-03-12"))
    assert (before.max_leverage(0), before.maintenance(100)) == (50, 1)
    assert after.max_leverage(0) == {"BTC": 40, "ETH": 25}[base]
    assert schedule.is_proxy(ms("2023-01-01"))
    pinned = btm.venue("hyperliquid", as_of="2024-12-01").schedule(f"{base}/USDC")
    assert pinned.tables == ((ms("2024-11-01"), before),)


def test_a_notional_is_capped_by_the_band_that_allows_the_leverage() -> None:
    table = VENUE.schedule("BTC/USDC").at(ms("2026-01-01"))
    assert (table.cap(40), table.cap(20), table.cap(41)) == (150 * M, float("inf"), 0)


def test_its_rules() -> None:
    fees = VENUE.fees_at("BTC/USDC:USDC", 0)
    assert (fees.maker, fees.taker, fees.liquidation) == (0.00015, 0.00045, 0.00045)
    assert VENUE.liquidation_at(0) == MarketThenBackstop(100_000.0, 0.2, 2 / 3, cool=30_000)
    assert VENUE.margin_at(0).plain
    assert (VENUE.strict, VENUE.modes, VENUE.hedge) == (True, ("cross", "isolated"), False)
    assert (VENUE.currency, VENUE.funding_interval) == ("USDC", 3_600_000)
    assert not VENUE.switching.lower_leverage_isolated
    assert len(VENUE.schedules) == 36


def test_it_says_what_is_exact_approximate_and_absent() -> None:
    stated = {fact.topic: fact.value for fact in VENUE.facts}
    assert "10 % of the notional" in stated["removing margin"]
    assert "4 % an hour" in stated["funding"]
    assert "strict isolated" in stated["margin modes"]
    assert any("30 seconds" in line for line in VENUE.approximations)
    assert VENUE.exact
    assert VENUE.absent


def test_leverages_are_whole_numbers_and_some_margin_stays() -> None:
    account = btm.Account("hyperliquid", 10_000, "isolated", 20, time=1_750_000_000_000)
    account.mark("BTC/USDC:USDC", 50_000.0)
    with pytest.raises(LeverageError, match="multiples of 1"):
        account.set_leverage("BTC/USDC:USDC", 2.5)
    account.fill("BTC/USDC:USDC", 1.0, 50_000.0)
    account.add_margin("BTC/USDC:USDC", 5_000.0)
    with pytest.raises(MarginRefused):
        account.reduce_margin("BTC/USDC:USDC", 2_600.0)  # 7,500 less 10 % of 50,000 leaves 2,500
    account.reduce_margin("BTC/USDC:USDC", 2_500.0)


def test_after_a_part_the_whole_goes_for_half_a_minute() -> None:
    def left_after(wait: int) -> float:
        account = btm.Account("hyperliquid", 1_000_000, "isolated", 40, time=1_750_000_000_000)
        account.mark("BTC/USDC:USDC", 50_000.0)
        account.fill("BTC/USDC:USDC", 10.0, 50_000.0)
        account.mark("BTC/USDC:USDC", account.liquidation_price("BTC/USDC:USDC") - 0.01)
        account.clock(account.time + wait)
        assert account.position("BTC/USDC:USDC").size == pytest.approx(8.0)
        account.mark("BTC/USDC:USDC", account.liquidation_price("BTC/USDC:USDC") - 0.01)
        return account.position("BTC/USDC:USDC").size

    assert left_after(29_000) == 0.0
    assert left_after(31_000) == pytest.approx(6.4)
