"""Binance futures: USD-M (linear, settled in USDT, USDC and others) and COIN-M (inverse, BTC).

    maintenance margin = notional at mark × rate − deduction, continuous over the tiers

Tiers. Eight dated USD-M snapshots (2021 to 2026) and two COIN-M tables. A snapshot holds from its
date until the next one that lists the symbol; before a symbol's first snapshot that one stands in,
and ``schedule(symbol).is_proxy(ms)`` says so. The snapshot dates are the latest at which a table
can have come into force, so a change is applied late rather than early. The first USD-M table
carries no date of its own (it was seen between 2021-01 and 2021-03-14) and is used from
2021-01-01. The COIN-M tables are used from the date of the page that prints the first (2021-02-05)
and from the rule the page of the second cites (2021-07-27). The two oldest USD-M tables print no
leverage: each rate has the leverage that the same symbol and rate have in the table of 2022-05-01.

Trigger. The mark price; a pool is in breach when maintenance ≥ margin balance. Trading fees are no
part of the requirement.

Liquidation. Open orders are cancelled and the test repeated; then an immediate order closes just
enough of the position to comply after the liquidation fee; what cannot be saved is taken over by
the insurance fund at the bankruptcy price and nothing is left to the trader. Which of several
cross positions goes first is not published: here the largest unrealised loss.

Order cost. Initial margin at the order price plus the loss the order would open with; the fee does
not count. Since 2026-01-05 a sell is margined at max(last × 1.0015, mark, order price).

Every number is listed with its source in ``venue.facts``, what bars cannot show in
``venue.approximations``.
"""

from __future__ import annotations

from bt_margin.core.fees import Fees
from bt_margin.venues import binance_facts as facts
from bt_margin.venues.carry import Conversion
from bt_margin.venues.names import interval, moment
from bt_margin.venues.policies import JustEnough
from bt_margin.venues.spec import OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import TableContracts, TableSchedules, liquidation_fees, pinned

USDM_TABLES = "binance_usdm.json"
COINM_TABLES = "binance_coinm.json"


def _ms(day: str) -> int:
    return moment(day) or 0


#: Regular user, no discounts; a symbol's own liquidation fee replaces the last number.
_USDM_FEES = (
    (_ms("2019-09-08"), Fees(maker=0.0002, taker=0.0004, liquidation=0.0125)),
    (_ms("2024-04-28"), Fees(maker=0.0002, taker=0.0005, liquidation=0.0125)),
)
_COINM_FEES = (
    (_ms("2020-08-10"), Fees(maker=0.00015, taker=0.0004, liquidation=0.015)),
    (_ms("2023-09-26"), Fees(maker=0.0001, taker=0.0005, liquidation=0.015)),
)
_SELL_PREMIUM = ((_ms("2026-01-05"), 0.0015),)
#: The smallest order of a USD-M symbol whose own is not recorded   [quote].
_MIN_NOTIONAL = 5.0


#: Share of an asset's value that is margin in multi-assets mode.
_COLLATERAL = {
    asset: ((_ms("2021-01-01"), ratio),)
    for ratio, assets in (
        (0.9999, ("USDC", "BUSD")),
        (0.95, ("BTC", "ETH", "BNB")),
        (0.90, ("XRP", "ADA", "DOT", "SOL")),
    )
    for asset in assets
}
#: A negative balance beyond 10,000 USD is paid by selling collateral at 97.5 % of its price.
_CONVERSION = Conversion(discount=0.025, threshold=10_000.0)


def usdm(*, as_of: int | None = None, multi_assets: bool = False) -> Venue:
    """USD-M futures; ``multi_assets`` takes other coins as collateral of the one cross account.

    In single-asset mode (the default) only the settlement currency is margin. In multi-assets mode
    ``collateral={"BTC": 0.2}`` counts at its ratio, and isolated margin does not exist.

    >>> from bt_margin.venues import venue
    >>> table = venue("binance").schedule("BTC/USDT:USDT").at(1_790_640_000_000)
    >>> table.maintenance(1_000_000)
    5000.0
    """
    return Venue(
        name="binance",
        title="Binance USD-M",
        currency="USDT",
        contracts=TableContracts(USDM_TABLES, _MIN_NOTIONAL),
        schedules=TableSchedules(USDM_TABLES, as_of),
        default_schedule=None,
        fees=pinned(_USDM_FEES, as_of) or _USDM_FEES[:1],
        funding_interval=interval("8h"),
        liquidation=JustEnough(settle="takeover", residual="fund"),
        orders=_orders(as_of),
        switching=_switching(),
        symbol_fees=liquidation_fees(USDM_TABLES),
        facts=(*facts.snapshots(USDM_TABLES), *facts.USDM, *facts.COMMON, *facts.MULTI_ASSETS),
        approximations=(*facts.USDM_APPROXIMATIONS, *facts.APPROXIMATIONS)
        + (facts.MULTI_ASSETS_APPROXIMATIONS if multi_assets else ()),
        as_of=as_of,
        modes=("cross",) if multi_assets else ("cross", "isolated"),
        collateral=_COLLATERAL if multi_assets else {},
        conversion=_CONVERSION,
        exact=facts.EXACT,
        hedge=True,
        absent=facts.USDM_ABSENT,
    )


def coinm(*, as_of: int | None = None) -> Venue:
    """COIN-M futures: the BTC perpetual, 100 USD a contract, everything in BTC.

    >>> from bt_margin.venues import venue
    >>> coin = venue("binancecoinm")
    >>> coin.contract("BTC/USD:BTC").notional(100, 25_000)
    0.4
    """
    return Venue(
        name="binancecoinm",
        title="Binance COIN-M",
        currency="BTC",
        contracts=TableContracts(COINM_TABLES),
        schedules=TableSchedules(COINM_TABLES, as_of),
        default_schedule=None,
        fees=pinned(_COINM_FEES, as_of) or _COINM_FEES[:1],
        funding_interval=interval("8h"),
        liquidation=JustEnough(settle="takeover", residual="fund"),
        orders=_orders(as_of),
        switching=_switching(),
        symbol_fees=liquidation_fees(COINM_TABLES),
        facts=(*facts.snapshots(COINM_TABLES), *facts.COINM, *facts.COMMON),
        approximations=(*facts.COINM_APPROXIMATIONS, *facts.APPROXIMATIONS),
        as_of=as_of,
        exact=facts.EXACT,
        hedge=True,
        absent=facts.COINM_ABSENT,
    )


def _orders(as_of: int | None) -> OrderRule:
    return OrderRule(fee_in_check=False, open_loss=True, sell_premium=pinned(_SELL_PREMIUM, as_of))


def _switching() -> SwitchRules:
    return SwitchRules(
        mode_with_position=False,
        mode_with_orders=False,
        lower_leverage_isolated=False,
        codes=dict(facts.CODES),
    )
