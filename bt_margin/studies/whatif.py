"""What if: the numbers of positions that are not held, read off an account that holds them.

The positions are put on an :class:`~bt_margin.engine.account.Account` of the venue as they stand: opened at
their entry without fees, whatever the venue would say to such an order, judged at their marks. Every number
is the engine's own, so the rules of a venue live in one place only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bt_margin.engine.account import Account
from bt_margin.engine.pool import MarginMode, Position
from bt_margin.engine.settings import valid_mode
from bt_margin.errors import InputError, UnknownMode, message, near
from bt_margin.venues import venue as find_venue
from bt_margin.venues.margin import tier_of
from bt_margin.venues.spec import Venue

MODES = ("cross", "isolated")


@dataclass(frozen=True, slots=True)
class Holding:
    """A position to ask about: ``size`` signed contracts, ``mark`` where it stands (``None``: at entry).

    ``leverage`` and isolated ``margin`` of its own, in place of those it is asked with.
    """

    symbol: str
    size: float
    entry: float
    mark: float | None = None
    leverage: float | None = None
    margin: float | None = None

    @property
    def at(self) -> float:
        """The price it is judged at."""
        return self.entry if self.mark is None else self.mark


@dataclass(frozen=True, slots=True)
class Answer:
    """One position's numbers; money in ``currency``, ratios and rates as fractions.

    ``balance`` backs it: the wallet in cross, what was posted in isolated. ``margin_ratio`` is maintenance
    over equity of its pool (1 is liquidation). ``liquidation_price`` and ``bankruptcy_price`` are ``None``
    when no price of this symbol alone gets there. ``maintenance_rate``, ``deduction`` and ``max_leverage``
    are those of the venue's table at this notional. ``affordable_size`` is the largest position in this
    direction that the wallet alone could open at the entry price.
    """

    symbol: str
    side: str
    size: float
    entry: float
    mark: float
    margin_mode: str
    leverage: float
    notional: float
    balance: float
    initial_margin: float
    maintenance_margin: float
    maintenance_rate: float
    deduction: float
    unrealised: float
    equity: float
    margin_ratio: float
    liquidation_price: float | None
    bankruptcy_price: float | None
    distance: float | None
    affordable_size: float
    max_leverage: float | None
    tiers: str
    currency: str

    def to_dict(self) -> dict[str, Any]:
        """The numbers as a plain dict; an infinite ratio becomes ``None``."""
        row = asdict(self)
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }


def what_if(
    venue: Venue,
    holdings: Sequence[Holding],
    *,
    wallet: float | None,
    leverage: float,
    margin_mode: str,
    time: int,
    margin: float | None = None,
) -> list[Answer]:
    """The numbers of each holding under a venue's rules in force at ``time`` (UTC ms).

    ``wallet`` backs all of them in cross; in isolated each stands on ``margin``, else on its own initial
    margin at entry, and a ``wallet`` of None holds just that. Two holdings of one symbol are the two sides of
    a hedge. Nothing is refused for being too large: compare ``size`` with ``affordable_size``.

    :raises InputError: no holding, a size of zero, a price or wallet that is not positive.
    :raises UnknownMode: neither cross nor isolated, or a mode the venue does not have.
    :raises UnknownSymbol: no table for a symbol.

    >>> from bt_margin.venues import venue
    >>> flat = venue("generic", maintenance_rate=0.005, taker_fee=0.0, maker_fee=0.0,
    ...              liquidation_fee=0.0, funding_interval="8h", residual="trader")
    >>> answer, = what_if(flat, [Holding("BTC", 1.0, 50_000.0)], wallet=10_000.0, leverage=10.0,
    ...                   margin_mode="isolated", time=0)
    >>> round(answer.liquidation_price, 2), answer.bankruptcy_price, answer.affordable_size
    (45226.13, 45000.0, 2.0)
    """
    if wallet is None and margin_mode == "cross":
        raise InputError("cross margin stands on the wallet; give it")
    _check(venue, holdings, 1.0 if wallet is None else wallet, leverage, margin_mode)
    holdings = [replace(h, symbol=venue.resolve(h.symbol)) for h in holdings]
    terms = Terms(wallet or 1.0, leverage, valid_mode(margin_mode), time, margin)
    account = hold(venue, holdings, terms)
    if wallet is None:
        posted = [pool.balance for pool in account.pools.values() if pool.margin_mode == "isolated"]
        terms = replace(terms, wallet=sum(posted))
    return [
        _answer(account, account.position(key), affordable(venue, holding, terms))
        for key, holding in zip(keys(holdings), holdings, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the positions are held under: the wallet, their leverage and mode, the moment of the rules.

    ``margin`` is what each isolated one has in its own wallet, None for the venue's initial margin.
    """

    wallet: float
    leverage: float
    margin_mode: MarginMode
    time: int
    margin: float | None = None


def hold(venue: Venue, holdings: Sequence[Holding], terms: Terms) -> Account:
    """An account that holds the positions as they stand; :func:`keys` tells their names on it.

    Nothing is tested and nothing is charged: what a venue would refuse to open is held all the same. The
    margin of isolated positions comes out of the wallet; what the wallet lacks for it is deposited.

    :raises InputError: no position, a size of 0, one side of a symbol twice, or both sides where the venue
        has no hedge mode.

    >>> from bt_margin.venues import venue
    >>> terms = Terms(wallet=1.0, leverage=10.0, margin_mode="isolated", time=0, margin=250.0)
    >>> account = hold(venue("binance"), [Holding("BTC/USDT:USDT", -0.1, 30_000.0)], terms)
    >>> account.risk("BTC/USDT:USDT").equity, account.cross.balance
    (250.0, 0.0)
    """
    _check_sizes(holdings)
    names = keys(holdings)
    account = Account(
        venue,
        terms.wallet,
        terms.margin_mode,
        terms.leverage,
        symbols={h.symbol: {"leverage": h.leverage} for h in holdings if h.leverage is not None},
        currency=venue.contract(holdings[0].symbol).settle,
        time=terms.time,
    )
    for key, holding in zip(names, holdings, strict=True):
        account.position(key).move(holding.at)
    for key, holding in zip(names, holdings, strict=True):
        _put(account, key, holding, terms.margin if holding.margin is None else holding.margin)
    return account


def keys(holdings: Sequence[Holding]) -> list[str]:
    """The name of each holding on its account: the symbol, with its side where both sides are held.

    >>> keys([Holding("BTC", 1.0, 100.0), Holding("BTC", -1.0, 100.0), Holding("ETH", 1.0, 10.0)])
    ['BTC long', 'BTC short', 'ETH']
    """
    sides = [(h.symbol, "long" if h.size > 0 else "short") for h in holdings]
    for symbol, side in sides:
        if sides.count((symbol, side)) > 1:
            raise InputError(
                f"{symbol} {side} is given twice; give it once, with its average entry"
            )
    held = [symbol for symbol, _ in sides]
    return [f"{symbol} {side}" if held.count(symbol) > 1 else symbol for symbol, side in sides]


def _put(account: Account, key: str, holding: Holding, margin: float | None) -> None:
    """Open one position at its entry, whatever the account could afford."""
    p = account.position(key)
    made = account.plan(key, holding.size, holding.entry, _free)
    if p.margin_mode == "isolated":
        made = made._replace(posted=made.posted if margin is None else margin)
        needed = made.posted + account.opening_cost(p, holding.size, holding.entry)
        account.deposit(max(0.0, needed - account.cross.balance))
    left = account.cross.balance - made.posted
    account.commit(p, made, holding.entry, "fill", "fee", reason="as held")
    account.deposit(max(0.0, left - account.cross.balance))  # an opening fee was paid long ago


def _free(size: float, price: float) -> float:
    """No fee."""
    return 0.0


def affordable(venue: Venue, holding: Holding, terms: Terms) -> float:
    """The largest signed size in the holding's direction that the wallet opens at its entry price."""
    currency = venue.contract(holding.symbol).settle
    mode: MarginMode = "cross" if "cross" in venue.modes else terms.margin_mode
    account = Account(venue, terms.wallet, mode, terms.leverage, currency=currency, time=terms.time)
    account.mark(holding.symbol, holding.entry)
    side = math.copysign(1.0, holding.size)
    return float(account.preview(holding.symbol, side, holding.entry).affordable_size)


def with_tier(venue: Venue, symbol: str, numbers: Mapping[str, float | None]) -> Venue:
    """The venue with one explicit tier for a symbol.

    ``numbers``: ``mmr``, and optionally ``maintenance_amount``, ``max_leverage``, ``taker``.
    """
    own: dict[str, object] = {}
    if numbers.get("mmr") is not None:
        amount = numbers.get("maintenance_amount") or 0.0
        own["tiers"] = [(None, numbers["mmr"], amount, numbers.get("max_leverage"))]
    if numbers.get("taker") is not None:
        own["taker_fee"] = numbers["taker"]
    return venue.with_symbols({symbol: own}) if own else venue


def rules_of(
    name: str,
    as_of: str | None = None,
    options: Mapping[str, object] | None = None,
    tier: Mapping[str, float | None] | None = None,
) -> Venue:
    """The venue by name; ``"generic"`` with an explicit tier lives on that tier's numbers alone.

    >>> rules_of("generic", tier={"mmr": 0.005, "taker": 0.0}).schedule("BTC").at(0).maintenance(10_000)
    50.0
    """
    own, given = tier or {}, dict(options or {})
    if name == "generic" and own.get("mmr") is not None:
        fee = own.get("taker") or 0.0
        stated: dict[str, object] = {
            "maintenance_rate": own["mmr"], "taker_fee": fee, "maker_fee": fee, "liquidation_fee": 0.0,
            "funding_interval": "8h", "residual": "trader",
        }  # fmt: skip
        given = stated | given
    return find_venue(name, as_of=as_of, **given)


def _check(
    venue: Venue, holdings: Sequence[Holding], wallet: float, leverage: float, mode: str
) -> None:
    """Refuse what cannot be meant."""
    if mode not in MODES:
        hint = near(mode, MODES) or None
        raise UnknownMode(message("margin mode", repr(mode), " or ".join(MODES), None, hint))
    if mode not in venue.modes:
        allowed = " or ".join(venue.modes)
        raise UnknownMode(message(f"margin mode of {venue.title}", repr(mode), allowed))
    _check_sizes(holdings)
    numbers = {"wallet": wallet, "leverage": leverage}
    for holding in holdings:
        numbers |= {
            f"entry of {holding.symbol}": holding.entry,
            f"mark of {holding.symbol}": holding.at,
        }
    for name, value in numbers.items():
        if not (value > 0 and math.isfinite(value)):
            raise InputError(message(name, value, "a number above 0"))


def _check_sizes(holdings: Sequence[Holding]) -> None:
    """Refuse no position, and positions of nothing."""
    if not holdings:
        raise InputError("no position given; give at least one")
    for holding in holdings:
        if not holding.size or not math.isfinite(holding.size):
            raise InputError(message(f"size of {holding.symbol}", holding.size, "anything but 0"))


def _answer(account: Account, p: Position, room: float) -> Answer:
    """The numbers of one position, read off the account that holds it."""
    risk, notional = account.risk(p.symbol), p.notional()
    price, tier = account.liquidation_price(p.symbol), tier_of(p.rule, p.held(), p.mark)
    return Answer(
        symbol=p.market,
        side="long" if p.size > 0 else "short",
        size=p.size,
        entry=p.entry,
        mark=p.mark,
        margin_mode=p.margin_mode,
        leverage=p.leverage,
        notional=notional,
        balance=p.pool.balance if p.pool is not None else 0.0,
        initial_margin=p.initial(),
        maintenance_margin=p.maintenance(),
        maintenance_rate=tier.mmr,
        deduction=tier.deduction,
        unrealised=p.unrealised(),
        equity=risk.equity,
        margin_ratio=risk.ratio,
        liquidation_price=price,
        bankruptcy_price=account.bankruptcy_price(p.symbol),
        distance=None if price is None else price / p.mark - 1.0,
        affordable_size=room,
        max_leverage=tier.max_leverage,
        tiers=account.venue.schedule(p.market).source(account.time),
        currency=p.contract.settle,
    )
