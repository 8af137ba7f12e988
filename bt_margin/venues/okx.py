"""OKX perpetual swaps, linear and inverse: tiers by contracts, the closing fee inside the requirement.

    requirement = notional at mark × (rate of the tier of the contracts held + taker fee)

Tiers. A tier is a range of contract counts and its rate holds for the whole position, without a deduction:
the requirement jumps where a fill crosses an edge, and a move of the price never changes the tier. The
snapshots are dated by their announcements, or by the day a dump of the API was taken, so that those are
applied late rather than early; before a symbol's first snapshot that one stands in
(``schedule(symbol).is_proxy(ms)``). For the BTC/USD swap the ladder of its expiry futures stands in.

Trigger. The mark price; margin level (equity / requirement) of 100 % or less.

Initial margin. Isolated: entry value / leverage. Cross: value at the mark / leverage.

Liquidation. Orders are cancelled and the level tested again. Two sides of one symbol are closed against each
other first. In tier 3 or higher, and with more than the lowest tier would need, the position is cut by two
tiers at a time; otherwise it is taken over at the bankruptcy price, and what is left goes to the fund.

Funding. A payment takes no more than what the equity exceeds the requirement by.

Modes. Margin mode belongs to an order and the position it opens; a live position is never converted. The
account is single-currency, or multi-currency (``account="multi"``): then other coins count in the cross pool
at the discount rates you give.

Sizes are contracts: 1 contract of BTC/USDT:USDT is 0.01 BTC. ``tiers=`` of a symbol of your own count
contracts here as well. Numbers and sources are in ``venue.facts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.errors import InputError
from bt_margin.venues import numbers
from bt_margin.venues import okx_facts as facts
from bt_margin.venues.carry import FundingRule
from bt_margin.venues.contract_ladders import LadderSchedules, symbols_of
from bt_margin.venues.margin_by_contracts import ByContracts
from bt_margin.venues.names import interval, moment
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import document, pinned
from bt_margin.venues.tier_cuts import CutByTiers

TABLES = "okx.json"

#: Regular user, no discounts; the clearance fee is not published, the taker fee stands in for it.
_FEES = ((moment("2021-04-27") or 0, Fees(maker=0.0002, taker=0.0005, liquidation=0.0005)),)
#: Spot and spot margin of a regular user, for the formulas of :mod:`bt_margin.core.liability`.
SPOT_FEES = Fees(maker=0.001, taker=0.0015, liquidation=0.0015)


def okx(
    *,
    account: Literal["single", "multi"] = "single",
    discount_rates: Mapping[str, float] | None = None,
    contract_sizes: Mapping[str, float] | None = None,
    coins: bool = False,
    as_of: int | None = None,
) -> Venue:
    """Perpetual swaps of an account in single-currency or multi-currency margin.

    account
        ``"single"``: a cross pool counts only the currency it settles in. ``"multi"``: other coins count too.
    discount_rates
        coin -> share of its value that counts, with ``account="multi"`` only; no table of them is shipped.
    contract_sizes
        symbol -> base units (linear) or quote units (inverse) of one contract, for symbols that have a
        ladder but no sourced size: without one they are not listed.
    coins
        sizes of linear contracts count base units, not contracts (the smallest step stays what it is), so
        that a strategy means the same here as on venues whose contract is one coin.

    Raises :class:`~bt_margin.errors.InputError` for an option that cannot be used.

    >>> from bt_margin.venues import venue
    >>> okx = venue("okx", as_of="2026-05-28")
    >>> okx.schedule("BTC/USDT:USDT").at(0).at(1_000).mmr, okx.contract("BTC/USDT:USDT").multiplier
    (0.004, 0.01)
    """
    contracts = _contracts(contract_sizes or {})
    units = _units(contracts) if coins else {}
    contracts = {symbol: _in_coins(one, units) for symbol, one in contracts.items()}
    return Venue(
        name="okx",
        title="OKX" if account == "single" else "OKX multi-currency",
        currency="USDT",
        contracts=contracts,
        schedules=LadderSchedules(
            TABLES, [s for s in symbols_of(TABLES) if s in contracts], as_of, units
        ),
        default_schedule=None,
        fees=pinned(_FEES, as_of) or _FEES,
        funding_interval=interval("8h"),
        liquidation=CutByTiers(),
        orders=OrderRule(fee_in_check=True, open_loss=False),
        switching=SwitchRules(
            mode_with_position=False,
            mode_with_orders=True,
            lower_leverage_isolated=True,
            codes=dict(facts.CODES),
        ),
        facts=(*facts.snapshots(TABLES), *facts.contract_sizes(TABLES), *facts.FACTS)
        + (facts.MULTI if account == "multi" else ()),
        approximations=facts.APPROXIMATIONS,
        as_of=as_of,
        margin=((ALWAYS, ByContracts()),),
        funding=FundingRule(payer="pool", capped=True),
        hedge=True,
        collateral=_collateral(account, discount_rates),
        margin_calls=(1 / 3,),
        exact=facts.EXACT,
        absent=(*facts.ABSENT, *(facts.MULTI_ABSENT if account == "multi" else ())),
    )


def _units(contracts: Mapping[str, Contract]) -> dict[str, float]:
    """Base units of each linear contract."""
    return {s: one.multiplier for s, one in contracts.items() if one.kind == "linear"}


def _in_coins(one: Contract, units: Mapping[str, float]) -> Contract:
    """A contract of one coin that trades in the steps of the venue's own."""
    if one.symbol not in units:
        return one
    lot = None if one.lot is None else one.lot * one.multiplier
    return replace(one, multiplier=1.0, lot=lot)


def _contracts(given: Mapping[str, float]) -> dict[str, Contract]:
    """The contracts whose size is sourced, and those whose size was given."""
    found: dict[str, Contract] = {}
    for symbol, (multiplier, tick, lot, _) in document(TABLES)["contracts"]["symbols"].items():
        found[symbol] = Contract.parse(symbol, multiplier=multiplier, tick=tick, lot=lot)
    for symbol, size in given.items():
        if symbol not in symbols_of(TABLES):
            allowed = ", ".join(symbols_of(TABLES))
            raise InputError(f"contract_sizes names {symbol!r}; allowed: {allowed}")
        multiplier = numbers.number(size, f"contract_sizes[{symbol!r}]", 0.0, open_low=True)
        known = found.get(symbol)
        tick, lot = (known.tick, known.lot) if known else (None, None)
        found[symbol] = Contract.parse(symbol, multiplier=multiplier, tick=tick, lot=lot)
    return found


def _collateral(
    account: str, rates: Mapping[str, float] | None
) -> dict[str, tuple[tuple[int, float], ...]]:
    """The discount rates of a multi-currency account, each at every time."""
    if account not in ("single", "multi"):
        raise InputError(f"account {account!r} is not known; allowed: 'single', 'multi'")
    if rates and account == "single":
        raise InputError("discount_rates belong to account='multi'; give both or neither")
    return {
        coin: ((ALWAYS, numbers.number(rate, f"discount_rates[{coin!r}]", 0.0, 1.0)),)
        for coin, rate in (rates or {}).items()
    }
