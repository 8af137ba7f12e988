"""Aave v3, Ethereum main market: leveraged longs and shorts through lending.

A long of WETH/USDC is WETH supplied as collateral and bought with borrowed USDC; a short is WETH borrowed and
sold, the USDC supplied as collateral. Cross is one Aave account for all positions, isolated one account for
each of them (the protocol's "isolation mode" is another thing). A pool's ``cash`` is the stable supplied, or
owed when it is below 0.

    health factor  HF = Σ supplied · liquidation threshold / Σ owed

Trigger. HF < 1 at the oracle price, here the mark; exactly 1 is safe. As margin: equity below
Σ (1 − threshold) · supplied, which is the same for every mix of positions.

Opening. Debt up to Σ supplied · loan to value: a long needs (1 − LTV) of its value, a short 1/LTV − 1 of its
debt. At most 1 / (1 − LTV) times the equity long and LTV / (1 − LTV) times short.

Liquidation. Code 3.0: half of one debt while HF > 0.95, else all of it. Code 3.3 and later: half of the whole
debt; all of that asset's when HF ≤ 0.95 or the debt or the collateral is below 2,000 USD; at least 1,000 USD
remain on both sides where neither is cleared. The account loses the bonus on what is repaid; what it keeps
stays open.

Interest. Debt grows by the borrow index, collateral by the supply index, with rates from each reserve's
model and a utilisation that the user states. There is no funding.

Numbers. One snapshot of all assets (2023-10-31) and later changes of a few; before the first date the first
stands in. Governance changes them often: ``reserves=`` puts other numbers in, with their dates.
"""

from __future__ import annotations

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.lending import collateral_requirement, max_leverage_long, max_leverage_short
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import InputError
from bt_margin.venues import aave_facts as facts
from bt_margin.venues.carry import FundingRule
from bt_margin.venues.close_factor import CloseFactor
from bt_margin.venues.lending_carry import LendingCarry
from bt_margin.venues.loan_to_value import LoanToValue, StableSupplied
from bt_margin.venues.names import interval
from bt_margin.venues.numbers import rate
from bt_margin.venues.reserve_rows import is_rows, read_rows
from bt_margin.venues.reserves import (
    Dated,
    Reserve,
    asset_name,
    at,
    by_asset,
    changes,
    dates,
    rate_series,
    reserves_of,
    symbols_of,
)
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue

Market = dict[str, Dated[Reserve]]
"""Asset -> its dated parameters."""


def aave_v3(
    *,
    stable: str = "USDC",
    taker_fee: float = facts.SWAP_COST,
    utilisation: object = None,
    rates: object = None,
    reserves: object = None,
    code_version: str | None = None,
    as_of: int | None = None,
) -> Venue:
    """The Ethereum main market.

    stable
        the asset that backs shorts and is borrowed for longs; what the account counts in.
    taker_fee
        what a swap costs, as a fraction of the value swapped (pool fee and price impact; Aave takes none).
    utilisation
        share of each reserve that is lent out: a fraction for all, or ``{asset: fraction}``, or
        ``{asset: [(date, fraction), ...]}``. Without it each reserve stands at its optimum.
    rates
        in place of the model ``{asset: (borrow, supply)}`` per year, or
        ``{asset: [(date, borrow, supply), ...]}``, or a table as :func:`bt_margin.market.rates.load_rates`
        reads it, whose risk parameters count as well.
    reserves
        other parameters: ``{asset: {"ltv": ..., "liquidation_threshold": ..., "liquidation_bonus": ...,
        "reserve_factor": ..., "optimal_usage": ..., "base_rate": ..., "slope1": ..., "slope2": ...}}``, any
        of them, or ``{asset: [(date, {...}), ...]}``; a new asset states all of them.
    code_version
        the protocol's code at all times ("3.0", "3.3"); without it by date, or that of ``as_of``.

    Raises :class:`~bt_margin.errors.InputError` naming the number that is not possible.

    >>> from bt_margin.venues import venue
    >>> aave = venue("aave_v3")
    >>> round(aave.schedule("ETH/USDC").at(0).maintenance(10_000), 6)  # 1 − 83 %
    1700.0
    >>> aave.fees_at("WBTC/USDC", 0).taker
    0.0005
    """
    rows = read_rows(rates) if is_rows(rates) else None
    market = reserves_of(facts.TABLE, reserves, as_of, rows and rows.risk)
    base = _stable(stable, market)
    symbols = symbols_of(market, base)
    versions = facts.versions(code_version, as_of)
    policies = _policies(market, symbols, base, versions)
    series = {
        asset: rate_series(asset, market[asset], given, stated)
        for asset, given, stated in by_asset(market, utilisation, rows.rates if rows else rates)
    }
    swap = rate(taker_fee, "taker_fee")
    return Venue(
        name="aave_v3",
        title="Aave v3",
        currency=base,
        contracts={symbol: Contract.parse(symbol) for symbol in symbols},
        schedules={s: _schedule(market[a], market[base]) for s, a in symbols.items()},
        default_schedule=None,
        fees=((ALWAYS, Fees(maker=swap, taker=swap, liquidation=0.0)),),
        funding_interval=interval("8h"),
        funding=FundingRule(payer="nobody"),
        liquidation=policies[0][1],
        liquidation_changes=policies[1:],
        orders=OrderRule(fee_in_check=True, open_loss=True),
        switching=SwitchRules(
            mode_with_position=False, mode_with_orders=False, lower_leverage_isolated=True
        ),
        margin=_margin(market, symbols, base),
        carry=LendingCarry(series[base], {s: series[a] for s, a in symbols.items()}),
        shared=StableSupplied(
            changes(dates(market[base]), lambda t: at(market[base], t).threshold)
        ),
        strict=True,
        facts=facts.all_facts(stable, taker_fee, utilisation, rates, reserves),
        exact=facts.EXACT,
        approximations=facts.APPROXIMATIONS,
        absent=facts.ABSENT,
        as_of=as_of,
    )


def _stable(stable: object, market: Market) -> str:
    """The stable's name as the market has it; it must count as collateral and be lent."""
    name = asset_name(stable, market) if isinstance(stable, str) else ""
    if name not in market:
        raise InputError(f"stable is {stable!r}; allowed: {', '.join(sorted(market))}")
    first = market[name][0][1]
    if not (first.ltv > 0 and first.borrowing):
        raise InputError(f"stable {name} cannot be both collateral and debt; choose another")
    return name


def _schedule(asset: Dated[Reserve], stable: Dated[Reserve]) -> TierSchedule:
    """1 − threshold of a long; the most leverage is what the better of the two sides can have."""

    def table(ms: int) -> TierTable:
        own = at(asset, ms)
        most = max_leverage_long(own.ltv)
        if own.borrowing:
            most = max(most, max_leverage_short(at(stable, ms).ltv))
        return TierTable.flat(collateral_requirement(1.0, own.threshold), most)

    times = sorted({since for since, _ in (*asset, *stable)})
    return TierSchedule(changes([t for t in times if t >= asset[0][0]], table))


def _margin(
    market: Market, symbols: dict[str, str], stable: str
) -> tuple[tuple[int, LoanToValue], ...]:
    def rule(ms: int) -> LoanToValue:
        now = {symbol: at(market[asset], ms) for symbol, asset in symbols.items()}
        return LoanToValue(
            {symbol: reserve.ltv for symbol, reserve in now.items()},
            at(market[stable], ms).ltv,
            frozenset(symbol for symbol, reserve in now.items() if not reserve.borrowing),
        )

    return changes(dates(*market.values()), rule)


def _policies(
    market: Market, symbols: dict[str, str], stable: str, versions: Dated[str]
) -> tuple[tuple[int, CloseFactor], ...]:
    def policy(ms: int) -> CloseFactor:
        bonuses = {symbol: at(market[asset], ms).bonus for symbol, asset in symbols.items()}
        rule = facts.close_rule(at(versions, ms))
        return CloseFactor(rule, at(market[stable], ms).bonus, bonuses)

    return changes(dates(*market.values(), versions), policy)
