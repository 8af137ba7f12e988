"""Venues for random stories: which markets, around which date, under which rules."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

import bt_margin as btm
from bt_margin.venues.backstop import MarketThenBackstop
from bt_margin.venues.blocks import BlockPortions
from bt_margin.venues.carry import FundingRule
from bt_margin.venues.margin import AtMark
from bt_margin.venues.margin_by_contracts import ByContracts
from bt_margin.venues.margin_by_level import ByLevel, ByLevelAlone
from bt_margin.venues.margin_by_size import SizeSteps, SteppedInitial
from bt_margin.venues.margin_fee_reserve import EntryValueWithReserve, MarkValueWithReserve
from bt_margin.venues.margin_scaled import ScaledInitial
from bt_margin.venues.partial_sale import PartialSale
from bt_margin.venues.policies import FullClose, LargestLossFirst
from bt_margin.venues.spec import ALWAYS, Venue
from bt_margin.venues.tier_cuts import CutByTiers
from bt_margin.venues.tier_ladder import TierLadder


class Place(NamedTuple):
    """A venue, the symbols traded there, and the day on which something about it changes."""

    venue: Venue
    symbols: tuple[str, ...]
    day: str


#: Days around which rules, tables or fees of a venue change.
DAYS = {
    "hyperliquid": ("2024-11-01", "2025-03-12", "2026-01-10"),
    "krakenfutures": ("2022-03-22", "2023-05-25", "2025-09-24", "2026-03-26"),
    "dydx_v4": ("2023-10-26", "2024-02-23", "2024-10-02"),
    "dydx_v3": ("2022-06-01",),
    "bybit": ("2022-07-13", "2023-10-20", "2025-09-02", "2025-09-02", "2025-12-29"),
    "okx": ("2021-04-27", "2023-05-19", "2025-12-29", "2026-05-12"),
    "krakeninverse": ("2019-03-05", "2023-05-25"),
}
_LINEAR = {
    "hyperliquid": ("BTC/USDC:USDC", "ETH/USDC:USDC", "SOL/USDC:USDC"),
    "krakenfutures": ("BTC/USD:USD", "ETH/USD:USD", "DOGE/USD:USD"),
    "dydx_v4": ("BTC/USDC:USDC", "ETH/USDC:USDC", "LINK/USDC:USDC"),
    "dydx_v3": ("BTC/USDC:USDC", "ETH/USDC:USDC", "SOL/USDC:USDC"),
    "bybit": ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"),
    "okx": ("ADA/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"),
}
_INVERSE = {
    "krakeninverse": ("BTC/USD:BTC", "ETH/USD:ETH"), "bybit": ("BTC/USD:BTC",), "okx": ("BTC/USD:BTC",),
}  # fmt: skip


def chosen(name: str, draw: random.Random, day: str) -> Venue:
    """The venue, with options where it has some."""
    options: dict[str, Any] = {}
    if name == "dydx_v3":
        options = {"taker_fee": 0.0005, "maker_fee": 0.0002}
    if name == "dydx_v4" and draw.random() < 0.5:
        start = pd.Timestamp(day, tz="UTC").value // 1_000_000
        known = [(start + hours * 3_600_000, 1e6 * draw.randint(5, 150)) for hours in (-40, 3, 30)]
        options = {"open_interest": {"BTC/USDC:USDC": known}}
    if name.startswith("kraken") and draw.random() < 0.4:
        options = {"levels": "whole"}
    if name == "okx" and draw.random() < 0.5:
        options = {"coins": True}
    return btm.venue(name, **options)


def place(draw: random.Random, coin: bool, name: str | None = None) -> Place:
    """A venue of its own rules and tables."""
    markets = _INVERSE if coin else _LINEAR
    if name not in markets:
        name = draw.choice(sorted(markets))
    symbols, day = markets[name], draw.choice(DAYS[name])
    symbols = (draw.choice(symbols),) if coin else symbols[: draw.choice([1, 1, 2, 3])]
    return Place(chosen(name, draw, day), symbols, day)


def _rules(draw: random.Random, symbols: tuple[str, ...], cash: float) -> list[Any]:
    """Margin rules that read one table in one way."""
    most = {symbols[0]: draw.choice([1.0, 100.0, 1e5])}
    whole = draw.random() < 0.4
    levels = [ByLevel({}, not whole), ByLevel(most, not whole), ByLevelAlone({}, not whole)]
    sizes = {symbols[0]: SizeSteps(0.05, 0.02, 0.5 * cash / 100.0, 0.1 * cash / 100.0, 1e6)}
    others = [AtMark(), ScaledInitial(), SteppedInitial(sizes), ByContracts(),
              EntryValueWithReserve(), MarkValueWithReserve()]  # fmt: skip
    return draw.choice([levels, others, others])


def ruled(
    draw: random.Random, made: Venue, symbols: tuple[str, ...], cash: float, when: int
) -> Venue:
    """The neutral venue under other venues' margin rules, policies and ways to pay funding."""
    rules = _rules(draw, symbols, cash)
    policies = (
        MarketThenBackstop(draw.choice([0.0, cash, 10 * cash]), draw.choice([0.2, 0.7]),
                           draw.choice([0.3, 2 / 3]), cool=draw.choice([0, 30_000, 9_000_000])),
        PartialSale(draw.choice([0.6, 0.9]), draw.choice([10.0, 0.3 * cash])),
        TierLadder(draw.choice(["mark", "entry"])),
        CutByTiers(draw.choice([1, 2]), *draw.choice([("takeover", "fund"), ("sale", "trader")])),
        BlockPortions(0.015, draw.choice([0.1, 0.5]), 0.1 * cash, draw.choice([0.3, 5.0]) * cash,
                      draw.choice([1_000, 3])),
        FullClose("takeover", "fund"), LargestLossFirst("sale", "trader"),
    )  # fmt: skip
    dated: Any = ((ALWAYS, draw.choice(rules)),)
    if draw.random() < 0.4:
        dated = (*dated, (when, draw.choice(rules)))
    changes: Any = ((when + 1, draw.choice(policies)),) if draw.random() < 0.3 else ()
    if draw.random() < 0.7:
        made = replace(made, liquidation=draw.choice(policies))
    payer = draw.choice(["pool", "pool", "wallet", "nobody"])
    funding = FundingRule(payer, draw.random() < 0.4, draw.random() < 0.3)
    return replace(
        made, margin=dated, liquidation_changes=changes, funding=funding, strict=draw.random() < 0.5
    )
