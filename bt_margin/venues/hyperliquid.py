"""Hyperliquid: perpetuals margined in USDC on its own chain (BTC/USDC:USDC, as ccxt names them).

    maintenance  = notional at the mark · 1 / (2 · largest leverage of the band) − deduction, continuous
    initial      = notional / leverage

Bands. The table of the documentation, and for BTC and ETH the earlier 50x. A position may not be
larger than the bands that allow its leverage.

Trigger. The mark price; only equity *below* the requirement is liquidated, in cross that of the whole
account. Fees are no part of it.

Liquidation. Positions go to the market, the largest loss first; one above 100,000 USDC gives 20 %
first, and the rest when that was not enough. It costs the taker fee and no more, and the trader keeps
what remains. Once the equity is below two thirds of the requirement, the backstop vault takes the
positions over with all their margin.

Funding. Every hour, on the ORACLE price, at no more than 4 % an hour: give the oracle price with the
stamps, else the mark stands in.

Every number is listed with its source in ``venue.facts``, what bars cannot show in
``venue.approximations``.
"""

from __future__ import annotations

from functools import cache

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.leverage_tiers import leverage_table
from bt_margin.core.tiers import TierSchedule
from bt_margin.venues import hyperliquid_facts as facts
from bt_margin.venues.backstop import MarketThenBackstop
from bt_margin.venues.made import Made
from bt_margin.venues.names import interval, moment
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import document

TABLES = "hyperliquid.json"
#: Lowest volume tier. A liquidation pays the taker rate and no clearance fee.
_FEES = Fees(maker=0.00015, taker=0.00045, liquidation=0.00045)


def hyperliquid(*, as_of: int | None = None) -> Venue:
    """Perpetuals of Hyperliquid.

    >>> from bt_margin.venues import venue
    >>> table = venue("hyperliquid").schedule("BTC/USDC:USDC").at(1_790_640_000_000)
    >>> table.maintenance(150_000_000), table.maintenance(200_000_000), table.cap(40)
    (1875000.0, 3125000.0, 150000000)
    """
    symbols = tuple(_rows())
    return Venue(
        name="hyperliquid",
        title="Hyperliquid",
        currency="USDC",
        contracts=Made(_contract, symbols),
        schedules=Made(_schedule, symbols, as_of),
        default_schedule=None,
        fees=((ALWAYS, _FEES),),
        funding_interval=interval("1h"),
        liquidation=MarketThenBackstop(large=100_000.0, part=0.2, floor=2 / 3, cool=30_000),
        orders=OrderRule(fee_in_check=True, open_loss=True),
        switching=SwitchRules(
            mode_with_position=False, mode_with_orders=False, lower_leverage_isolated=False
        ),
        facts=(*facts.bands(TABLES), *facts.FACTS),
        exact=facts.EXACT,
        approximations=facts.APPROXIMATIONS,
        absent=facts.ABSENT,
        as_of=as_of,
        strict=True,
        leverage_step=1.0,
        margin_kept=0.1,
    )


@cache
def _rows() -> dict[str, list[tuple[int, int, str]]]:
    """Symbol -> (since, bands, source) of each of its snapshots, oldest first."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for snapshot in document(TABLES)["snapshots"]:
        since, source = moment(snapshot["since"]) or 0, f"{snapshot['dated']}: {snapshot['source']}"
        for number, symbols in snapshot["symbols"].items():
            for symbol in symbols:
                found.setdefault(symbol, []).append((since, int(number), source))
    return found


def _contract(symbol: str) -> Contract:
    return Contract.parse(symbol)


def _schedule(symbol: str, as_of: int | None) -> TierSchedule:
    rows, bands = _rows()[symbol], document(TABLES)["bands"]
    tables = tuple((since, leverage_table(bands[number])) for since, number, _ in rows)
    whole = TierSchedule(tables, tuple(source for _, _, source in rows))
    return whole if as_of is None else whole.pinned(as_of)
