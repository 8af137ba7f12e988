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

from collections.abc import Mapping
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
from bt_margin.venues.pool_carry import Impact, Kink, SecondBySecond, course
from bt_margin.venues.remaining import SaleWithFees
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import document

TABLE = "gmx_v2.json"
_LARGEST = 1e15


def gmx_v2(
    *,
    usage: object = 0.5,
    borrow_payer: Literal["both", "long", "short"] = "both",
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
    funding
        rate per year on the size, positive when longs pay: a number, or ``(date, number)`` pairs. A funding
        column in the data is charged as well; give one of the two.
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
            kinks=dict.fromkeys(markets, _kink(common)),
            usage=course(usage, "usage", 0.0, 1.0, as_of),
            payer=_payer(borrow_payer),
            funding=course(funding, "funding", -10.0, 10.0, as_of),
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


def _kink(common: Mapping[str, Any]) -> Kink:
    return Kink(
        common["optimal_usage"], common["borrow_base_annual"], common["borrow_above_optimal_annual"]
    )


def _impact(common: Mapping[str, Any], market: Mapping[str, Any]) -> Impact:
    return Impact(
        positive=market["impact_factor_positive"],
        negative=market["impact_factor_negative"],
        positive_exponent=common["impact_exponent_positive"],
        negative_exponent=common["impact_exponent_negative"],
        most_positive=common["max_impact_positive"],
        most_negative=common["max_impact_negative"],
    )


def _payer(side: Any) -> Literal["both", "long", "short"]:
    if side not in ("both", "long", "short"):
        raise InputError(f"borrow_payer {side!r} is not known; allowed: 'both', 'long', 'short'")
    found: Literal["both", "long", "short"] = side
    return found


def _per_symbol(
    value: object, what: str, markets: Mapping[str, Any], low: float
) -> dict[str, float]:
    """A number for every market, or the numbers given for some; None: for none."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return dict.fromkeys(markets, number(value, what, low, _LARGEST))
    found = {}
    for name, each in value.items():
        symbol = canonical(str(name), markets)
        if symbol is None:
            raise InputError(f"{what} names {name!r}; allowed: {', '.join(markets)}")
        found[symbol] = number(each, f"{what} of {symbol}", low, _LARGEST)
    return found
