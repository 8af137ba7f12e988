"""dYdX v4: tiers by date, initial margin by open interest, fees, and what it says of itself."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import bt_margin as btm
from bt_margin.errors import InputError, UnknownSymbol
from bt_margin.venues.blocks import BlockPortions
from bt_margin.venues.margin_scaled import ScaledInitial
from bt_margin.venues.names import moment

BTC, ETH, SOL = "BTC/USDC:USDC", "ETH/USDC:USDC", "SOL/USDC:USDC"
M = 1_000_000


def ms(day: str) -> int:
    found = moment(day)
    assert found is not None
    return found


def fractions(venue: Any, symbol: str, day: str) -> tuple[float, float, float]:
    """Initial fraction, maintenance fraction and largest leverage on a day."""
    table = venue.schedule(symbol).at(ms(day))
    return table.initial_rate, table.maintenance(1.0), table.max_leverage(0)


@pytest.mark.parametrize(
    ("symbol", "day", "initial", "maintenance"),
    [
        (BTC, "2023-10-27", 0.05, 0.03),
        (ETH, "2024-10-01", 0.05, 0.03),
        (BTC, "2024-10-02", 0.02, 0.012),
        (ETH, "2026-01-01", 0.02, 0.012),
        (SOL, "2024-08-25", 0.1, 0.05),
        (SOL, "2024-08-26", 0.05, 0.03),
        ("LINK/USDC:USDC", "2026-01-01", 0.1, 0.05),
        ("MKR/USDC:USDC", "2026-01-01", 0.2, 0.1),
    ],
)
def test_the_tier_of_a_day(symbol: str, day: str, initial: float, maintenance: float) -> None:
    found = fractions(btm.venue("dydx"), symbol, day)
    assert found == pytest.approx((initial, maintenance, 1 / initial))
    assert fractions(btm.venue("dydx_v4", as_of=day), symbol, "2020-01-01") == found


def test_every_market_of_genesis_is_there_with_its_step() -> None:
    venue = btm.venue("dydx_v4")
    assert len(venue.schedules) == len(venue.contracts) == 33
    steps = [venue.contract(symbol).lot for symbol in (BTC, ETH, SOL)]
    assert steps == [0.0001, 0.001, 0.1]
    for symbol in venue.schedules:
        contract = venue.contract(symbol)
        assert (contract.kind, contract.settle) == ("linear", "USDC")
        assert venue.schedule(symbol).tables[0][0] == ms("2023-10-26T17:00:00Z")
        assert venue.schedule(symbol).source(0).startswith("2023-10-26: dydxprotocol/v4-chain")


@pytest.mark.parametrize(
    ("symbol", "day", "known", "rate"),
    [
        (BTC, "2026-01-01", 9_000 * M, 0.02),  # no caps
        (SOL, "2024-03-01", 45 * M, 0.1),  # caps came later
        (SOL, "2024-05-01", 35 * M, 0.55),  # 20 to 50 million: half way from 10 %
        (SOL, "2026-01-01", 40 * M, 0.05),
        (SOL, "2026-01-01", 70 * M, 0.525),  # 40 to 100 million: half way from 5 %
        (SOL, "2026-01-01", 100 * M, 1.0),
        ("MKR/USDC:USDC", "2026-01-01", 6 * M, 0.36),  # 5 to 10 million: a fifth from 20 %
    ],
)
def test_the_initial_fraction_grows_with_open_interest_between_the_caps_of_the_day(
    symbol: str, day: str, known: float, rate: float
) -> None:
    venue = btm.venue("dydx_v4", open_interest={symbol: known})
    plain = btm.venue("dydx_v4")
    table = venue.schedule(symbol).at(ms(day))
    assert table.initial_rate == pytest.approx(rate)
    assert table.tiers == plain.schedule(symbol).at(ms(day)).tiers


def test_open_interest_may_be_a_series_and_other_symbols_stay_as_they_are() -> None:
    day, hour = ms("2026-01-01"), 3_600_000
    series = [(day + i * hour, million * M) for i, million in enumerate((10, 55, 55, 90))]
    venue = btm.venue("dydx_v4", open_interest={"SOL/USDC": series})
    schedule = venue.schedule(SOL)
    rates = [schedule.at(day + i * hour).initial_rate for i in range(-1, 5)]  # type: ignore[attr-defined]  # scaled
    assert rates == pytest.approx([0.05, 0.05, 0.2875, 0.2875, 0.841666, 0.841666])
    assert schedule.next_change(day) == day + hour
    assert schedule.next_change(day + hour) == day + 3 * hour
    assert venue.schedule(BTC) == btm.venue("dydx_v4").schedule(BTC)
    assert any("given: SOL/USDC:USDC" in line for line in venue.approximations)
    copy = pickle.loads(pickle.dumps(venue))
    assert copy == venue
    assert copy.schedule(SOL) == schedule
    assert venue != btm.venue("dydx_v4")


def test_open_interest_of_something_else_is_refused() -> None:
    with pytest.raises(UnknownSymbol, match="XYZ"):
        btm.venue("dydx_v4", open_interest={"XYZ/USDC": 1})
    with pytest.raises(InputError, match=r"open_interest\['SOL/USDC'\]"):
        btm.venue("dydx_v4", open_interest={"SOL/USDC": -1})
    with pytest.raises(InputError, match="open_interest is 7"):
        btm.venue("dydx_v4", open_interest=7)


@pytest.mark.parametrize(
    ("day", "maker", "taker"),
    [("2023-11-01", -0.00011, 0.0005), ("2024-02-22", -0.00011, 0.0005),
     ("2024-02-23", 0.0001, 0.0005), ("2026-01-01", 0.0001, 0.0005)],
)  # fmt: skip
def test_makers_were_paid_until_the_promotion_ended(day: str, maker: float, taker: float) -> None:
    fees = btm.venue("dydx_v4").fees_at(BTC, ms(day))
    assert (fees.maker, fees.taker, fees.liquidation) == (maker, taker, 0.015)
    assert btm.venue("dydx_v4", as_of=day).fees_at(BTC, 0) == fees


def test_its_rules() -> None:
    venue = btm.venue("dydx_v4")
    assert venue == btm.venue("dydx")
    assert isinstance(venue.margin_at(0), ScaledInitial)
    assert venue.liquidation_at(0) == BlockPortions(0.015, 0.1, 1_000.0, 100_000.0)
    assert (venue.strict, venue.modes, venue.hedge) == (True, ("cross", "isolated"), False)
    assert (venue.currency, venue.funding_interval) == ("USDC", 3_600_000)
    assert venue.orders.fee_in_check
    assert not venue.switching.mode_with_position


def test_it_says_what_is_exact_approximate_and_absent() -> None:
    venue = btm.venue("dydx_v4")
    assert venue.exact
    assert venue.absent
    stated = {fact.topic for fact in venue.facts}
    assert {"trigger", "maintenance", "funding", "liquidation, portion"} <= stated
    assert {
        f"tiers from {d}" for d in ("2023-10-26", "2024-04-08", "2024-08-26", "2024-10-02")
    } <= stated
    assert any("only where it is given (given: none)" in line for line in venue.approximations)
