"""Aave v3 under backtrader: the same strategy in one account and in one account per position."""

from __future__ import annotations

from collections import Counter
from typing import Any

import backtrader as bt
import pytest

import bt_margin as btm
from bt_margin.market.synthetic import CRASH_HOUR, generate_market

#: eight days before the crash and eight after it
MARKET = {s: f.iloc[CRASH_HOUR - 192 : CRASH_HOUR + 192] for s, f in generate_market().items()}
FEEDS = {f"{coin}/USDC": MARKET[f"{coin}/USDT:USDT"] for coin in ("BTC", "ETH")}


class Both(bt.Strategy):  # type: ignore[misc]  # backtrader ships no types
    """Opens each coin at so many times the equity, and again whenever it is flat."""

    params = (("targets", (1.0, 1.0)),)

    def next(self) -> None:
        for data, target in zip(self.datas, self.p.targets, strict=True):
            if not self.getposition(data).size:
                self.order_target_percent(data=data, target=target)


def compared(*targets: float, feeds: Any = None, **keys: Any) -> Any:
    chosen: dict[str, Any] = {"venue": "aave_v3", "leverage": 3.7, "cash": 10_000}
    return btm.compare(Both, data=feeds or FEEDS, params={"targets": targets}, **(chosen | keys))


@pytest.mark.parametrize(
    ("targets", "fallen"),
    [
        ((1.7, 1.7), ["isolated"]),
        ((-1.6, -1.6), ["cross", "isolated"]),
        ((1.4, -1.1), ["isolated"]),
    ],
    ids=["longs", "shorts", "a hedge"],
)
def test_every_liquidation_is_at_or_beyond_a_health_factor_of_one(
    targets: Any, fallen: list[str]
) -> None:
    """Rates at the optimum, swaps at the default; no funding, whatever the feed says."""
    result = compared(*targets)
    seen: Counter[str] = Counter()
    for name, run in result.runs.items():
        account = run.broker.account
        account.audit()
        totals = account.ledger.totals
        assert "funding" not in {e.kind for e in account.events}
        assert totals["interest"] != 0
        assert sum(totals.values()) == pytest.approx(account.wallet())
        for event in account.events:
            seen[f"{name} {event.kind}"] += 1
            if event.kind == "breach":
                assert event.allowed <= event.found * (1 + 1e-9)
    assert [name for name in result.runs if seen[f"{name} liquidation"]] == fallen


def test_feeds_of_another_market_stand_for_the_venue_s_symbols() -> None:
    own = compared(-1.2, -1.2)
    foreign = {f"{coin}/USDT:USDT": MARKET[f"{coin}/USDT:USDT"] for coin in ("BTC", "ETH")}
    theirs = btm.compare(
        Both, data=foreign, params={"targets": (-1.2, -1.2)}, venues=["aave_v3"], leverage=3.7,
        cash=10_000,
    )  # fmt: skip
    assert [run.final for run in theirs.runs.values()] == [run.final for run in own.runs.values()]


def test_versions_of_the_code_end_differently() -> None:
    """Small accounts: half of a debt under 3.0, all of it under 3.3."""
    ends = {
        version: compared(
            -1.2, -1.2, venue=btm.venue("aave_v3", code_version=version), cash=1_000
        ).runs["isolated"].final
        for version in ("3.0", "3.3")
    }  # fmt: skip
    assert ends["3.0"] != ends["3.3"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            10,
            [
                "BTC/USDC ran at 3.7037× instead of 10×: Aave v3 allows no more.",
                "ETH/USDC ran at 5.12821× instead of 10×: Aave v3 allows no more.",
            ],
        ),
        (3, []),
    ],
)
def test_leverage_that_a_venue_does_not_allow_is_said_to_be_lower(asked: int, said: Any) -> None:
    result = btm.compare(
        Both, data=FEEDS, params={"targets": (1.0, 1.0)}, venues=["aave_v3"], leverage=asked
    )
    notes = result.runs["aave_v3 cross"].fidelity["notes"]
    assert [note for note in notes if f"instead of {asked}×" in note] == said
