"""dYdX v4: perpetuals margined in USDC on a chain of their own (BTC/USDC:USDC, as ccxt names them).

    maintenance  = notional at the oracle price · base initial fraction · maintenance fraction
    initial      = notional · max(initial fraction in force, 1 / leverage)

Tiers. Four dated states of the liquidity tiers, from the genesis of 2023-10-26 on; the later ones are
dated by the day the chain's repository took them. The initial fraction in force grows with the open
interest of the market between two caps. Bars do not show open interest, so without the option
``open_interest`` it stays at its base (initial margin is then too low in a crowded market, the
requirement is right).

Modes. Cross is a subaccount, isolated a child subaccount: its margin is moved in at the opening and
back when the position is gone. A chain does not know the word mode; nothing can be switched while a
position is open.

Trigger. The oracle price; only equity *below* the requirement is liquidated. Fees are no part of it.

Liquidation. Block by block: a tenth of each position, at least 1,000 USDC, together at most 100,000
USDC, small positions whole. Instead of the taker fee the account pays up to 1.5 % of the quote into
the insurance fund, and never more than its share of the equity. At a requirement of 1.2 % that is all
of it: nothing is left. At 3 % a few blocks may save the account.

Every number is listed with its source in ``venue.facts``, what bars cannot show in
``venue.approximations``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierSchedule
from bt_margin.errors import InputError, UnknownSymbol
from bt_margin.venues import dydx_v4_facts as facts
from bt_margin.venues.blocks import BlockPortions
from bt_margin.venues.made import Made
from bt_margin.venues.margin_scaled import (
    Known,
    Market,
    ScaledInitial,
    scaled_schedule,
)
from bt_margin.venues.margin_scaled import (
    open_interest as known_interest,
)
from bt_margin.venues.names import canonical, interval, moment
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import document, pinned

TABLES = "dydx_v4.json"
#: Largest fee of a liquidation, of the quote.
MAX_FEE = 0.015
#: Lowest volume tier; the genesis promotion paid every maker.
_FEES = (
    (moment("2023-10-26T17:00:00Z") or 0, Fees(maker=-0.00011, taker=0.0005, liquidation=MAX_FEE)),
    (moment("2024-02-23") or 0, Fees(maker=0.0001, taker=0.0005, liquidation=MAX_FEE)),
)


def dydx_v4(
    *, open_interest: Mapping[str, object] | None = None, as_of: int | None = None
) -> Venue:
    """Perpetuals of the dYdX chain.

    open_interest
        symbol -> open interest as a notional in USDC, one number or (UTC ms, USDC) pairs; symbols left
        out are not scaled.

    Raises :class:`~bt_margin.errors.InputError` for open interest that is no such thing, and
    :class:`~bt_margin.errors.UnknownSymbol` for a symbol without a tier.

    >>> from bt_margin.venues import venue
    >>> table = venue("dydx_v4").schedule("BTC/USDC").at(1_790_640_000_000)
    >>> table.maintenance(100_000), table.max_leverage(0)
    (1200.0, 50.0)
    """
    symbols = tuple(_rows())
    known = _known(open_interest, symbols)
    return Venue(
        name="dydx_v4",
        title="dYdX v4",
        currency="USDC",
        contracts=Made(_contract, symbols),
        schedules=Made(_schedule, symbols, known, as_of),
        default_schedule=None,
        fees=pinned(_FEES, as_of) or _FEES[:1],
        funding_interval=interval("1h"),
        liquidation=BlockPortions(
            max_fee=MAX_FEE, portion=0.1, smallest=1_000.0, per_block=100_000.0
        ),
        orders=OrderRule(fee_in_check=True, open_loss=True),
        switching=SwitchRules(
            mode_with_position=False, mode_with_orders=False, lower_leverage_isolated=True
        ),
        facts=(*facts.snapshots(TABLES), *facts.FACTS),
        exact=facts.EXACT,
        approximations=(*facts.APPROXIMATIONS, *facts.unscaled(known, symbols)),
        absent=facts.ABSENT,
        as_of=as_of,
        margin=((ALWAYS, ScaledInitial()),),
        strict=True,
    )


@cache
def _rows() -> dict[str, tuple[Market, ...]]:
    """Symbol -> its dated fractions, oldest first."""
    tiers: dict[str, list[float]] = {}
    tier_of: dict[str, str] = {}
    found: dict[str, list[Market]] = {}
    for snapshot in document(TABLES)["snapshots"]:
        tiers |= snapshot["tiers"]
        tier_of |= {symbol: tier for tier, names in snapshot["symbols"].items() for symbol in names}
        since, source = moment(snapshot["since"]) or 0, f"{snapshot['dated']}: {snapshot['source']}"
        for symbol, tier in tier_of.items():
            initial, fraction, lower, upper = tiers[tier]
            market = Market(since, int(initial), int(fraction), lower, upper, source)
            rows = found.setdefault(symbol, [])
            if not rows or rows[-1][1:5] != market[1:5]:
                rows.append(market)
    return {symbol: tuple(rows) for symbol, rows in found.items()}


def _contract(symbol: str) -> Contract:
    return Contract.parse(symbol, lot=document(TABLES)["steps"][symbol])


def _schedule(symbol: str, known: Mapping[str, Known], as_of: int | None) -> TierSchedule:
    rows = _rows()[symbol]
    if as_of is not None:
        rows = tuple(row for row in rows if row.since <= as_of)[-1:] or rows[:1]
    return scaled_schedule(rows, known.get(symbol, ()))


def _known(given: object, symbols: tuple[str, ...]) -> dict[str, Known]:
    """The open interest a user gave, by the venue's own symbols."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(f"open_interest is {given!r}; give {{symbol: notional in USDC}}")
    found: dict[str, Known] = {}
    for name, value in given.items():
        symbol = name if name in symbols else canonical(str(name), symbols)
        if symbol is None:
            raise UnknownSymbol(f"open_interest of {name!r}: dYdX v4 has no tier for it here")
        found[symbol] = known_interest(value, f"open_interest[{name!r}]")
    return found
