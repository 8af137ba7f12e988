"""Bybit's unified trading account: linear contracts (USDT, USDC) and inverse ones (BTC), isolated and cross.

    maintenance margin = value × rate − deduction + closing-fee reserve
    initial margin     = value / leverage + closing-fee reserve

Value. Until 2025-09-01 the value at the entry price: the requirement does not move with the mark.
Since 2025-09-02 the value at the mark; only the initial margin of isolated positions stayed at the
entry. A run across the date switches in the run.

Closing-fee reserve. The taker fee of closing at the bankruptcy price. It is posted with the margin and is
part of the requirement, so it cancels in the liquidation price of a position that holds just its initial
margin; with margin added it is the fee at the new bankruptcy price.

Margin mode. One for the whole account.

Liquidation. A position in its lowest tier is taken over whole at the bankruptcy price, which leaves room
for the taker fee, and nothing is left to the trader. A larger one first sells what lies above the cap of
the next lower tier and is tested again, tier by tier. Which of several cross positions goes first is
not published: here the largest unrealised loss.

Funding is taken out of the available balance first, then out of an isolated position's margin.

Every number is listed with its source in ``venue.facts``; ``venue.exact``, ``venue.approximations`` and
``venue.absent`` say what is as on the venue and what is not.
"""

from __future__ import annotations

from bt_margin.core.fees import Fees
from bt_margin.venues import bybit_facts as facts
from bt_margin.venues.carry import FundingRule
from bt_margin.venues.margin import MarginRule
from bt_margin.venues.margin_fee_reserve import EntryValueWithReserve, MarkValueWithReserve
from bt_margin.venues.names import interval, moment
from bt_margin.venues.policies import LiquidationPolicy
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import TableContracts, TableSchedules, pinned
from bt_margin.venues.tier_ladder import TierLadder

TABLES = "bybit.json"
#: Leverage is set in steps of this size.
LEVERAGE_STEP = 0.01
#: From here on maintenance, and initial margin in cross, are taken at the mark value.
MARK_VALUE_SINCE = moment("2025-09-02") or 0

_MARGIN: tuple[tuple[int, MarginRule], ...] = (
    (ALWAYS, EntryValueWithReserve()),
    (MARK_VALUE_SINCE, MarkValueWithReserve()),
)
_LIQUIDATION: tuple[tuple[int, LiquidationPolicy], ...] = (
    (ALWAYS, TierLadder("entry")),
    (MARK_VALUE_SINCE, TierLadder("mark")),
)
#: Regular user, linear and inverse; a liquidation pays the taker fee.
_FEES = (
    (moment("2018-11-14") or 0, Fees(maker=-0.00025, taker=0.00075, liquidation=0.00075)),
    (moment("2022-07-13") or 0, Fees(maker=0.0001, taker=0.0006, liquidation=0.0006)),
    (moment("2023-10-20") or 0, Fees(maker=0.0002, taker=0.00055, liquidation=0.00055)),
)
#: Share of a coin's value that counts as margin in cross.
_COLLATERAL = {"BTC": ((ALWAYS, 0.95), (moment("2025-02-19") or 0, 0.85))}


def bybit(*, as_of: int | None = None) -> Venue:
    """The unified trading account, regular (cross) or isolated margin.

    >>> from bt_margin.venues import venue
    >>> table = venue("bybit").schedule("BTC/USDT:USDT").at(0)
    >>> table.maintenance(2_600_000)  # 2,600,000 · 0.0056 − 1,200
    13360.0
    """
    liquidation = pinned(_LIQUIDATION, as_of)
    return Venue(
        name="bybit",
        title="Bybit",
        currency="USDT",
        contracts=TableContracts(TABLES),
        schedules=TableSchedules(TABLES, as_of),
        default_schedule=None,
        fees=pinned(_FEES, as_of) or _FEES[:1],
        funding_interval=interval("8h"),
        liquidation=liquidation[0][1],
        liquidation_changes=liquidation[1:],
        orders=OrderRule(fee_in_check=True, open_loss=True),
        switching=_switching(),
        facts=(*facts.snapshots(TABLES), *facts.MARGIN, *facts.MONEY),
        exact=facts.EXACT,
        approximations=facts.APPROXIMATIONS,
        absent=facts.ABSENT,
        as_of=as_of,
        margin=pinned(_MARGIN, as_of),
        funding=FundingRule(payer="wallet"),
        hedge=True,
        bankruptcy_fee=True,
        leverage_step=LEVERAGE_STEP,
        collateral={coin: pinned(dated, as_of) for coin, dated in _COLLATERAL.items()},
    )


def _switching() -> SwitchRules:
    return SwitchRules(
        mode_with_position=True,
        mode_with_orders=True,
        lower_leverage_isolated=True,
        codes=dict(facts.CODES),
        scope="account",
    )
