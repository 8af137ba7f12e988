"""Kraken spot margin: coins bought with borrowed USD, or borrowed coins sold; sizes in coins.

    used margin of a long  = cost / leverage             fixed
    used margin of a short = coins · price / leverage    revalued
    margin level           = 100 · equity / used margin  (fees leave the equity when charged)

A position can be opened while the level stays at 100 % or more. At about 80 % the venue warns, and may close
positions as it sees fit; at about 40 % an automatic process closes them. Here it begins at the second level:
``liquidation_level``, an option. The requirement is that share of the used margin, so the warning at 80 %
is a margin ratio of 0.5.

Liquidation. Whole positions, oldest first, whatever the pair and the result, until the level is above 100 %.
One account backs everything: cross only. Losses may exceed the margin.

Costs. The trading fee; a fee for opening, and the same again every four hours, the first after four. Both are
on the cost, at the rate of the borrowed currency on the day of the opening: USD for a long, the coin for a
short.
"""

from __future__ import annotations

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.venues import kraken_facts as facts
from bt_margin.venues import numbers
from bt_margin.venues.carry import FundingRule
from bt_margin.venues.margin_level import MarginLevel
from bt_margin.venues.names import interval, moment
from bt_margin.venues.oldest_first import OldestFirst
from bt_margin.venues.rollover import RolloverFees
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import document, pinned

TABLES = "kraken_spot.json"
#: Margin level of the warning.
CALL_LEVEL = 0.8
_FEES = (
    (moment("2015-08-01") or 0, Fees(maker=0.0016, taker=0.0026, liquidation=0.0026)),
    (moment("2025-01-01") or 0, Fees(maker=0.0025, taker=0.0040, liquidation=0.0040)),
)


def krakenspot(*, as_of: int | None = None, liquidation_level: float = 0.4) -> Venue:
    """Spot pairs with leverage 2 to 10, USD as the collateral.

    liquidation_level : the margin level at which positions are closed, a fraction above 0 and up to 0.8

    >>> from bt_margin.venues import venue
    >>> spot = venue("krakenspot")
    >>> spot.contract("BTC/USD").settle, spot.modes, spot.margin_calls
    ('USD', ('cross',), (0.5,))
    """
    stop = numbers.number(liquidation_level, "liquidation_level", 0.0, CALL_LEVEL, open_low=True)
    return Venue(
        name="krakenspot",
        title="Kraken spot margin",
        currency="USD",
        contracts=_contracts(),
        schedules=_schedules(as_of),
        default_schedule=None,
        fees=pinned(_FEES, as_of) or _FEES[:1],
        funding_interval=interval("4h"),
        liquidation=OldestFirst(target=stop),
        orders=OrderRule(fee_in_check=False, open_loss=False),
        switching=SwitchRules(
            mode_with_position=True, mode_with_orders=True, lower_leverage_isolated=True
        ),
        facts=(*facts.leverage(TABLES), *facts.SPOT),
        exact=facts.SPOT_EXACT,
        approximations=facts.SPOT_APPROXIMATIONS,
        absent=facts.SPOT_ABSENT,
        as_of=as_of,
        margin=((ALWAYS, MarginLevel(stop)),),
        carry=_carry(as_of),
        funding=FundingRule(payer="nobody"),
        modes=("cross",),
        margin_calls=(stop / CALL_LEVEL,),
    )


def _contracts() -> dict[str, Contract]:
    rows = document(TABLES)["contracts"]["symbols"]
    return {
        symbol: Contract.parse(symbol, tick=tick, lot=lot, min_notional=0.5)
        for symbol, (tick, lot) in rows.items()
    }


def _schedules(as_of: int | None) -> dict[str, TierSchedule]:
    """The most leverage of each pair by date; the requirement is the margin rule's, not a table's."""
    found: dict[str, list[tuple[int, TierTable, str]]] = {}
    for snapshot in document(TABLES)["leverage"]:
        for symbol, most in snapshot["symbols"].items():
            row = (moment(snapshot["since"]) or 0, TierTable.flat(0.0, most), snapshot["source"])
            found.setdefault(symbol, []).append(row)
    whole = {
        symbol: TierSchedule(
            tuple((since, table) for since, table, _ in rows), tuple(s for _, _, s in rows)
        )
        for symbol, rows in found.items()
    }
    return whole if as_of is None else {s: one.pinned(as_of) for s, one in whole.items()}


def _carry(as_of: int | None) -> RolloverFees:
    dated = {
        currency: tuple((moment(since) or 0, rate) for since, rate in rows)
        for currency, rows in document(TABLES)["rates"].items()
    }
    rates = {currency: pinned(rows, as_of) or rows[:1] for currency, rows in dated.items()}
    return RolloverFees(interval("4h"), rates, document(TABLES)["other_rate"])
