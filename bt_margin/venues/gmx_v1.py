"""GMX V1: isolated positions in USD against one shared pool.

    liquidated when   collateral + pnl < max(fees + 5 USD, size / 50)

Size is the money of the opening; it and the requirement stand still while the price moves. Fees are 0.1 % of
the size for closing and the borrow fee due. Below about 263 USD of size the first bound is the higher one.

What becomes of it. Below fees plus 5 USD (state 1) all collateral stays with the pool; between the two bounds
(state 2) the position is closed in the ordinary way and collateral + pnl − fees is returned. Always whole.

Borrow fee. At each whole hour floor(100 · utilisation) ppm of the size; there is no funding between longs and
shorts. The utilisation of the pool is an option, since no price bar tells it.

Prices are the oracle's; the data's mark or last price stands for it.

Every number is listed with its source in ``venue.facts``, what is approximated or absent in
``venue.approximations`` and ``venue.absent``.
"""

from __future__ import annotations

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.venues import gmx_facts as facts
from bt_margin.venues.carry import FundingRule
from bt_margin.venues.margin_on_size import FactorOrFee, UnpaidBorrow
from bt_margin.venues.names import interval
from bt_margin.venues.pool_carry import HourlyBorrow, course
from bt_margin.venues.remaining import LostOrSold
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue

SYMBOLS = ("BTC/USDC:USDC", "ETH/USDC:USDC")
MAX_LEVERAGE = 50.0
MARGIN_FEE = 0.001
#: What the liquidator is paid   [USD].
LIQUIDATION_FEE = 5.0
#: Borrow rate of an hour when all of the pool is reserved   [ppm].
BORROW_FACTOR = 100


def gmx_v1(*, utilisation: object = 0.5, as_of: int | None = None) -> Venue:
    """GMX V1, its BTC and ETH markets.

    utilisation
        share of the pool that is reserved, 0 to 1: a number, or ``(date, number)`` pairs.

    >>> from bt_margin.venues import venue
    >>> venue("gmx_v1").modes, venue("gmx_v1").schedule("BTC/USDC:USDC").at(0).max_leverage(1_000)
    (('isolated',), 50.0)
    """
    table = TierTable.flat(1 / MAX_LEVERAGE, MAX_LEVERAGE)
    schedule = TierSchedule(((ALWAYS, table),), ("gmx-io/gmx-contracts@fe55c4ba",))
    borrow = HourlyBorrow(course(utilisation, "utilisation", 0.0, 1.0, as_of), BORROW_FACTOR)
    return Venue(
        name="gmx_v1",
        title="GMX V1",
        currency="USDC",
        contracts={symbol: Contract.parse(symbol) for symbol in SYMBOLS},
        schedules=dict.fromkeys(SYMBOLS, schedule),
        default_schedule=None,
        fees=((ALWAYS, Fees(maker=MARGIN_FEE, taker=MARGIN_FEE, liquidation=MARGIN_FEE)),),
        funding_interval=interval("1h"),
        liquidation=LostOrSold(LIQUIDATION_FEE),
        orders=OrderRule(fee_in_check=True, open_loss=False),
        switching=SwitchRules(
            mode_with_position=False, mode_with_orders=False, lower_leverage_isolated=True
        ),
        facts=facts.V1_FACTS,
        approximations=facts.V1_APPROXIMATIONS,
        as_of=as_of,
        margin=((ALWAYS, FactorOrFee(LIQUIDATION_FEE)),),
        funding=FundingRule(payer="nobody"),
        carry=borrow,
        shared=UnpaidBorrow(borrow, MAX_LEVERAGE, MARGIN_FEE, LIQUIDATION_FEE),
        modes=("isolated",),
        hedge=True,
        strict=True,
        fee_on_entry=True,
        exact=facts.V1_EXACT,
        absent=facts.V1_ABSENT,
    )
