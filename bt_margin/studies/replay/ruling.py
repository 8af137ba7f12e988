"""A venue's margin rules, tier tables and liquidation policies as the kernel reads them, or why it cannot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from bt_margin.core.tiers import TierTable
from bt_margin.studies.replay.layout import (
    AT_MARK,
    BACKSTOP,
    BLOCKWISE,
    BY_CONTRACTS,
    BY_LEVEL,
    BY_SIZE,
    CUT,
    ENTRY_RESERVED,
    FULL_CLOSE,
    JUST_ENOUGH,
    LADDER,
    LARGEST_LOSS,
    MARK_RESERVED,
    NEW_FEES,
    NEW_RULE,
    NEW_TABLE,
    PARTIAL,
    R_STEP,
    SCALED,
    SLICES,
    STEP_DOWN,
    Floats,
    Ints,
)
from bt_margin.studies.replay.market import Market, Unfit
from bt_margin.venues.backstop import MarketThenBackstop
from bt_margin.venues.blocks import BlockPortions
from bt_margin.venues.margin import AtMark
from bt_margin.venues.margin_by_contracts import ByContracts
from bt_margin.venues.margin_by_level import ByLevel, ByLevelAlone, by_parts, initial_rate
from bt_margin.venues.margin_by_size import SteppedInitial
from bt_margin.venues.margin_fee_reserve import EntryValueWithReserve, MarkValueWithReserve
from bt_margin.venues.margin_scaled import ScaledInitial, ScaledTable
from bt_margin.venues.partial_sale import PartialSale
from bt_margin.venues.policies import (
    Fraction,
    FullClose,
    JustEnough,
    LargestLossFirst,
    TierStepDown,
)  # fmt: skip
from bt_margin.venues.spec import ALWAYS, Venue
from bt_margin.venues.tier_cuts import CutByTiers
from bt_margin.venues.tier_ladder import TierLadder

INFINITE = float("inf")
Change = tuple[int, int, int, int]
"""A bar, a symbol, what changes and to what."""

_RULES = {
    AtMark: AT_MARK, ByLevel: BY_LEVEL, ByLevelAlone: BY_LEVEL, ScaledInitial: SCALED,
    SteppedInitial: BY_SIZE, ByContracts: BY_CONTRACTS, EntryValueWithReserve: ENTRY_RESERVED,
    MarkValueWithReserve: MARK_RESERVED,
}  # fmt: skip
_KINDS = {
    FullClose: FULL_CLOSE, LargestLossFirst: LARGEST_LOSS, TierStepDown: STEP_DOWN, Fraction: SLICES,
    JustEnough: JUST_ENOUGH, MarketThenBackstop: BACKSTOP, PartialSale: PARTIAL, TierLadder: LADDER,
    CutByTiers: CUT, BlockPortions: BLOCKWISE,
}  # fmt: skip


def first_bars(market: Market, dates: Iterable[int]) -> list[int]:
    """The first bar, and those that are the first ones at or after a date."""
    bars = {0, *[int(np.searchsorted(market.times, date)) for date in dates]}
    return sorted(bar for bar in bars if bar < len(market.times))


def dated_rules(venue: Venue, market: Market) -> tuple[Floats, list[Change]]:
    """The margin rules that come into force, numbers of each symbol, and when: the first one at once.

    :raises Unfit: a rule that is not in the kernel.
    """
    rules: list[Any] = []
    changes: list[Change] = []
    own = [venue.contract(symbol).symbol for symbol in market.symbols]
    for bar in first_bars(market, [since for since, _ in venue.margin]):
        rule = venue.margin_at(int(market.times[bar]))
        if rules and rule is rules[-1]:
            continue
        if type(rule) not in _RULES:
            raise Unfit(f"the margin rule of {venue.title}")
        if rules:
            changes += [(bar, s, NEW_RULE, len(rules)) for s in range(len(market.symbols))]
        rules.append(rule)
    rows = [[_numbers(rule, name) for name in own] for rule in rules]
    return np.ascontiguousarray(np.moveaxis(np.array(rows, float), 2, 0)), changes


def _numbers(rule: Any, symbol: str) -> list[float]:
    """One rule of one symbol, in the order of ``R_KIND`` and the others."""
    kind, most, rest = float(_RULES[type(rule)]), INFINITE, [0.0] * (R_STEP - 1)
    if isinstance(rule, ByLevel | ByLevelAlone):
        most = rule.most.get(symbol, INFINITE)
        rest[:2] = float(not rule.marginal), float(isinstance(rule, ByLevelAlone))
    if isinstance(rule, SteppedInitial) and symbol in rule.steps:
        steps = rule.steps[symbol]
        most, rest = steps.most, [steps.base, steps.increment, steps.baseline, steps.step]
    return [kind, most, *rest]


def tables_of(venue: Venue, market: Market) -> tuple[list[TierTable], list[int], list[Change]]:
    """All tables that come into force, each symbol's first one, and the later ones by bar."""
    tables: list[TierTable] = []
    first: list[int] = []
    changes: list[Change] = []
    rules = [rule for _, rule in venue.margin]
    parts = all(isinstance(r, ByLevel | ByLevelAlone) and r.marginal for r in rules)
    times = market.times
    for s, symbol in enumerate(market.symbols):
        schedule = venue.schedule(symbol)
        now = schedule.at(int(times[0]))
        first.append(len(tables))
        tables.append(by_parts(now) if parts else now)
        date = schedule.next_change(int(times[0]))
        while date is not None and (bar := int(np.searchsorted(times, date))) < len(times):
            table = schedule.at(int(times[bar]))
            if table is not now and table != now:
                changes.append((bar, s, NEW_TABLE, len(tables)))
                tables.append(by_parts(table) if parts else table)
                now = table
            date = schedule.next_change(int(times[bar]))
    return tables, first, changes


def tier_rows(venue: Venue, tables: list[TierTable]) -> Floats:
    """Caps, rates, deductions, largest leverages and initial rates of all tables; at last, of nothing.

    :raises Unfit: margin rules that read a table in two ways.
    """
    kinds = {type(rule) for _, rule in venue.margin}
    scaled, leveled = ScaledInitial in kinds, bool(kinds & {ByLevel, ByLevelAlone})
    ways = {r.marginal for _, r in venue.margin if isinstance(r, ByLevel | ByLevelAlone)}
    if (leveled and len(kinds - {ByLevel, ByLevelAlone})) or len(ways) > 1:
        raise Unfit(f"the margin rules of {venue.title}, which read its tables in two ways")
    rows = []
    for table in tables:
        own = table.initial_rate if isinstance(table, ScaledTable) else 0.0
        for t in table.tiers:
            most = INFINITE if t.max_leverage is None else t.max_leverage
            rows.append((t.cap, t.mmr, t.deduction, most, own if scaled else initial_rate(t)))
    rows.append((INFINITE, 0.0, 0.0, INFINITE, 0.0))
    return np.ascontiguousarray(np.array(rows, float).T)


def policies_of(venue: Venue, market: Market) -> Floats:
    """The liquidation policies, one column each, from the bar on in which it comes into force."""
    dated = ((ALWAYS, venue.liquidation), *venue.liquidation_changes)
    found = []
    for bar in first_bars(market, [since for since, _ in dated[1:]]):
        found.append(_policy(venue.liquidation_at(int(market.times[bar])), bar))
    return np.ascontiguousarray(np.array(found, float).T)


def _policy(policy: Any, bar: int) -> list[float]:
    """A liquidation policy in eight numbers. :raises Unfit: another policy."""
    kind = _KINDS.get(type(policy))
    if kind is None:
        raise Unfit(f"the liquidation policy {type(policy).__name__}")
    takeover, fund = float(policy.settle == "takeover"), float(policy.residual == "fund")
    numbers = [float(getattr(policy, "target", getattr(policy, "fraction", 0.0))),
               float(getattr(policy, "smallest", 0.0))]  # fmt: skip
    more = [0.0, 0.0]
    if isinstance(policy, MarketThenBackstop):
        numbers, more, takeover = [policy.part, policy.large], [policy.floor, policy.cool], 0.0
    elif isinstance(policy, BlockPortions):
        numbers = [policy.blocks, policy.smallest]
        more = [policy.portion, policy.per_block]
    elif isinstance(policy, TierLadder):
        numbers = [float(policy.value == "entry"), 0.0]
    elif isinstance(policy, CutByTiers):
        numbers = [float(policy.tiers), 0.0]
    return [float(kind), *numbers, takeover, fund, float(bar), *more]


def changes_of(venue: Venue, changes: list[Change], fee_bars: Floats, symbols: int) -> Ints:
    """Everything that changes, in order of bars and symbols; fees where a margin rule may read them."""
    found = list(changes)
    if any(not rule.plain for _, rule in venue.margin):
        rows = [(int(bar), row) for row, bar in enumerate(fee_bars) if row]
        found += [(bar, s, NEW_FEES, row) for bar, row in rows for s in range(symbols)]
    return np.ascontiguousarray(np.array(sorted(found), np.int64).reshape(len(found), 4).T)


def flags_of(venue: Venue) -> Ints:
    """What holds at a venue and what does not, in the order of ``FEE_IN_CHECK`` and the others."""
    orders, funding = venue.orders, venue.funding
    return np.array([
        orders.fee_in_check, orders.open_loss, venue.strict, funding.payer != "nobody", funding.capped,
        funding.payer == "wallet",
    ], np.int64)  # fmt: skip
