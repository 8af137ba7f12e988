"""GMX V2 on Arbitrum: isolated positions in USD against a pool per market, collateral in USDC.

    liquidated when   collateral + pnl − costs < max(0.5 % · size, 1 USD)

Size is the money of the opening; it and the requirement stand still while the price moves. Costs are the fee
of closing the whole size and the borrow and funding fees due. Meeting the bound exactly is safe.

Opening. Collateral of at least size / leverage, of size · max(0.5 %, open interest of the side · multiplier),
and enough to pass the liquidation test.

Liquidation. The whole position at the oracle price, less position fee and liquidation fee (0.2 % of the
size); the rest returns to the trader. What the collateral does not cover is the pool's loss.

Held. Borrow fees and funding run by the second on the size. What they depend on (usage of the pool, open
interest) is not in price bars: it is given as options, each a number or a dated series.

Prices are the oracle's; the data's mark or last price stands for it. Not modelled: collateral in volatile
tokens, the cap on profits, auto-deleveraging.

Every number is listed with its source in ``venue.facts``, what is approximated or absent in
``venue.approximations`` and ``venue.absent``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import InputError
from bt_margin.venues import gmx_facts as facts
from bt_margin.venues.carry import FundingRule
from bt_margin.venues.margin_on_size import FactorPlusFee
from bt_margin.venues.names import canonical, interval
from bt_margin.venues.numbers import number
from bt_margin.venues.pool_carry import (
    Course,
    Impact,
    SecondBySecond,
    Sides,
    course,
    kinked,
    mirrored,
)
from bt_margin.venues.remaining import SaleWithFees
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import document

TABLE = "gmx_v2.json"
_LARGEST = 1e15
#: The highest rate per year that is taken for no slip of the unit.
_HIGHEST = 100.0


def gmx_v2(
    *,
    usage: object = 0.5,
    borrow_payer: Literal["both", "long", "short"] = "both",
    borrowing: object = None,
    funding: object = 0.0,
    open_interest: object = 0.0,
    imbalance: object = None,
    balance: Literal["worsening", "improving"] = "worsening",
    as_of: int | None = None,
) -> Venue:
    """GMX V2, the BTC, ETH and SOL markets with USDC collateral.

    usage
        share of the pool's reservable liquidity in use, 0 to 1: a number, or ``(date, number)`` pairs.
    borrow_payer
        the side that pays borrow fees; the venue lets the smaller side off.
    borrowing
        borrow rates per year in place of those of the usage: a number, ``(date, number)`` pairs, or either of
        them for each side, ``{"long": ..., "short": ...}``; all of these also per symbol.
    funding
        rates per year on the size, in the same forms: one series is what longs pay and shorts receive
        (negative: the other way round); with two, each is what that side pays (negative: receives). A
        funding column in the data is charged as well; give one of the two.
    open_interest
        what others hold on the position's side   [USD]: a number, or one per symbol.
    imbalance
        long less short open interest that each trade meets   [USD]: a number, or one per symbol; ``None``:
        no price impact.
    balance
        whether trades worsen the balance of the market (fee 0.06 %) or improve it (0.04 %).

    >>> from bt_margin.venues import venue
    >>> venue("gmx_v2", usage=0.9).schedule("BTC/USDC:USDC").at(0).maintenance(100_000)
    500.0
    """
    common, markets = document(TABLE)["common"], document(TABLE)["markets"]
    return Venue(
        name="gmx_v2",
        title="GMX V2",
        currency="USDC",
        contracts={
            symbol: Contract.parse(symbol, min_notional=common["min_position_size_usd"])
            for symbol in markets
        },
        schedules={symbol: _schedule(common, market) for symbol, market in markets.items()},
        default_schedule=None,
        fees=((ALWAYS, _fees(common, balance)),),
        funding_interval=interval("1h"),
        liquidation=SaleWithFees(),
        orders=OrderRule(fee_in_check=True, open_loss=False),
        switching=SwitchRules(
            mode_with_position=False, mode_with_orders=False, lower_leverage_isolated=True
        ),
        facts=facts.V2_FACTS,
        approximations=facts.V2_APPROXIMATIONS,
        as_of=as_of,
        margin=((ALWAYS, _margin(common, markets, open_interest)),),
        funding=FundingRule(accrues=True),
        carry=SecondBySecond(
            borrow=dict.fromkeys(markets, _kinked(common, usage, borrow_payer, as_of))
            | _by_symbol(borrowing, "borrowing", markets, as_of, twin=_same),
            funding=_by_symbol(funding, "funding", markets, as_of, twin=mirrored),
            impacts={symbol: _impact(common, market) for symbol, market in markets.items()},
            imbalance=_per_symbol(imbalance, "imbalance", markets, -_LARGEST),
        ),
        modes=("isolated",),
        hedge=True,
        strict=True,
        fee_on_entry=True,
        exact=facts.V2_EXACT,
        absent=facts.V2_ABSENT,
    )


def _schedule(common: Mapping[str, Any], market: Mapping[str, Any]) -> TierSchedule:
    factor: float = common["min_collateral_factor"]
    table = TierTable.of([(market["max_open_interest_usd"], factor, 0, 1 / factor)])
    return TierSchedule(((ALWAYS, table),), (document(TABLE)["source"],))


def _fees(common: Mapping[str, Any], balance: str) -> Fees:
    if balance not in ("worsening", "improving"):
        raise InputError(f"balance {balance!r} is not known; allowed: 'worsening', 'improving'")
    rate = common[f"position_fee_{balance}"]
    return Fees(maker=rate, taker=rate, liquidation=common["liquidation_fee"])


def _margin(
    common: Mapping[str, Any], markets: Mapping[str, Any], open_interest: object
) -> FactorPlusFee:
    return FactorPlusFee(
        minimum=common["min_collateral_usd"],
        crowding={symbol: market["oi_multiplier"] for symbol, market in markets.items()},
        open_interest=_per_symbol(open_interest, "open_interest", markets, 0.0),
    )


def _kinked(common: Mapping[str, Any], usage: object, payer: str, as_of: int | None) -> Sides:
    """Borrow rates of both sides by the usage of the pool; a side that is let off pays nothing."""
    if payer not in ("both", "long", "short"):
        raise InputError(f"borrow_payer {payer!r} is not known; allowed: 'both', 'long', 'short'")
    rates = kinked(
        course(usage, "usage", 0.0, 1.0, as_of), common["optimal_usage"],
        common["borrow_base_annual"], common["borrow_above_optimal_annual"],
    )  # fmt: skip
    free = ((ALWAYS, 0.0),)
    return Sides(free if payer == "short" else rates, free if payer == "long" else rates)


def _same(rates: Course) -> Course:
    return rates


def _impact(common: Mapping[str, Any], market: Mapping[str, Any]) -> Impact:
    return Impact(
        positive=market["impact_factor_positive"],
        negative=market["impact_factor_negative"],
        positive_exponent=common["impact_exponent_positive"],
        negative_exponent=common["impact_exponent_negative"],
        most_positive=common["max_impact_positive"],
        most_negative=common["max_impact_negative"],
    )


def _by_symbol(
    value: object,
    what: str,
    markets: Mapping[str, Any],
    as_of: int | None,
    *,
    twin: Callable[[Course], Course],
) -> dict[str, Sides]:
    """Rates of both sides for every market, or for those that are named; None: for none.

    twin : the rates of shorts when those of longs alone are given
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or set(value) <= {"long", "short"}:
        return dict.fromkeys(markets, _sides(value, what, as_of, twin))
    return {
        symbol: _sides(each, f"{what} of {symbol}", as_of, twin)
        for symbol, each in _named(value, what, markets)
    }


def _sides(value: object, what: str, as_of: int | None, twin: Callable[[Course], Course]) -> Sides:
    if not isinstance(value, Mapping):
        both = course(value, what, -_HIGHEST, _HIGHEST, as_of)
        return Sides(both, twin(both))
    if set(value) != {"long", "short"}:
        raise InputError(f"{what} has {', '.join(map(repr, value))}; give both 'long' and 'short'")
    return Sides(
        *(course(value[s], f"{what} {s}", -_HIGHEST, _HIGHEST, as_of) for s in ("long", "short"))
    )


def _named(
    value: Mapping[Any, object], what: str, markets: Mapping[str, Any]
) -> Iterator[tuple[str, object]]:
    for name, each in value.items():
        symbol = canonical(str(name), markets)
        if symbol is None:
            raise InputError(f"{what} names {name!r}; allowed: {', '.join(markets)}")
        yield symbol, each


def _per_symbol(
    value: object, what: str, markets: Mapping[str, Any], low: float
) -> dict[str, float]:
    """A number for every market, or the numbers given for some; None: for none."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return dict.fromkeys(markets, number(value, what, low, _LARGEST))
    return {
        symbol: number(each, f"{what} of {symbol}", low, _LARGEST)
        for symbol, each in _named(value, what, markets)
    }
