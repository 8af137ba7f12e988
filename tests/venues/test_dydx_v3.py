"""dYdX v3: its four markets, the fees nobody sourced, and what it says of itself."""

from __future__ import annotations

import pytest

import bt_margin as btm
from bt_margin.errors import InputError
from bt_margin.venues.margin_by_size import SteppedInitial
from bt_margin.venues.policies import FullClose

FEES = {"taker_fee": 0.0005, "maker_fee": 0.0002}
VENUE = btm.venue("dydx_v3", **FEES)  # type: ignore[arg-type]  # options of the builder


@pytest.mark.parametrize(
    ("base", "maintenance", "leverage", "at", "fraction"),
    [
        ("BTC", 0.03, 20, 9, 0.05),
        ("BTC", 0.03, 20, 9.1, 0.06),
        ("BTC", 0.03, 20, 12.1, 0.08),
        ("ETH", 0.03, 20, 140, 0.05),
        ("ETH", 0.03, 20, 169, 0.07),
        ("SOL", 0.05, 10, 4_101, 0.14),
        ("AAVE", 0.05, 10, 7_001, 0.12),
    ],
)
def test_the_fractions_of_a_market(
    base: str, maintenance: float, leverage: float, at: float, fraction: float
) -> None:
    table = VENUE.schedule(f"{base}/USDC").at(0)
    assert table.maintenance(1_000_000) == pytest.approx(maintenance * 1_000_000)
    assert table.max_leverage(0) == pytest.approx(leverage)
    rule = VENUE.margin_at(0)
    assert isinstance(rule, SteppedInitial)
    assert rule.steps[f"{base}/USDC:USDC"].fraction(at) == pytest.approx(fraction)


@pytest.mark.parametrize(
    ("symbol", "most"), [("BTC", 170), ("ETH", 2_820), ("SOL", 34_900), ("AAVE", 70_000)]
)
def test_the_largest_position(symbol: str, most: float) -> None:
    account = btm.Account(VENUE, cash=1e9, leverage=1)
    account.mark(f"{symbol}/USDC:USDC", 10.0)
    assert account.fill(f"{symbol}/USDC:USDC", most, 10.0).refusal is None
    refusal = account.fill(f"{symbol}/USDC:USDC", 1.0, 10.0).refusal
    assert refusal is not None
    assert (refusal.reason, refusal.allowed) == ("leverage_cap", most * 10)


@pytest.mark.parametrize(
    ("given", "named"),
    [({}, "taker_fee, maker_fee"), ({"taker_fee": 0.0005}, "maker_fee"),
     ({"maker_fee": 0.0005}, "taker_fee")],
)  # fmt: skip
def test_no_fee_is_assumed(given: dict[str, float], named: str) -> None:
    with pytest.raises(InputError, match=f"misses {named}: .*not sourced"):
        btm.venue("dydx_v3", **given)  # type: ignore[arg-type]  # options of the builder


def test_a_fee_in_per_cent_is_refused() -> None:
    with pytest.raises(InputError, match="taker_fee"):
        btm.venue("dydx_v3", taker_fee=0.05, maker_fee=0.0)


def test_its_rules() -> None:
    fees = VENUE.fees_at("BTC/USDC:USDC", 0)
    assert (fees.maker, fees.taker, fees.liquidation) == (0.0002, 0.0005, 0.0)
    assert VENUE.liquidation_at(0) == FullClose(settle="takeover", residual="fund")
    assert (VENUE.strict, VENUE.modes) == (True, ("cross", "isolated"))
    assert (VENUE.currency, VENUE.funding_interval) == ("USDC", 3_600_000)
    assert set(VENUE.schedules) == {f"{b}/USDC:USDC" for b in ("BTC", "ETH", "SOL", "AAVE")}


def test_it_says_that_it_is_closed_and_what_is_not_sourced() -> None:
    assert "closed" in VENUE.title
    assert "closed" in VENUE.approximations[0]
    tags = {fact.topic: fact.tag for fact in VENUE.facts}
    assert tags["taker and maker fee"] == tags["initial fraction, steps"] == "N"
    assert "inferred" in VENUE.schedule("SOL/USDC").source(0)
    assert VENUE.exact
    assert VENUE.absent
