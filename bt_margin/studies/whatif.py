"""What if: the numbers of positions that are not held, from the formulas alone, without a backtest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bt_margin.core.contract import Contract
from bt_margin.core.liquidation import Leg, bankruptcy_price, liquidation_price
from bt_margin.core.risk import Risk
from bt_margin.core.tiers import TierTable
from bt_margin.engine.account import Account
from bt_margin.errors import InputError, UnknownMode, message, near
from bt_margin.venues.spec import Venue

MODES = ("cross", "isolated")


@dataclass(frozen=True, slots=True)
class Holding:
    """A position to ask about: ``size`` signed contracts, ``mark`` where it stands (``None``: at entry)."""

    symbol: str
    size: float
    entry: float
    mark: float | None = None

    @property
    def at(self) -> float:
        """The price it is judged at."""
        return self.entry if self.mark is None else self.mark


@dataclass(frozen=True, slots=True)
class Answer:
    """One position's numbers; money in ``currency``, ratios and rates as fractions.

    ``balance`` backs it: the wallet in cross, what was posted in isolated. ``margin_ratio`` is maintenance
    over equity of its pool (1 is liquidation). ``liquidation_price`` and ``bankruptcy_price`` are ``None``
    when no price of this symbol alone gets there. ``affordable_size`` is the largest position in this
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
    wallet: float,
    leverage: float,
    margin_mode: str,
    time: int,
    margin: float | None = None,
) -> list[Answer]:
    """The numbers of each holding under a venue's rules in force at ``time`` (UTC ms).

    ``wallet`` backs all of them in cross; in isolated each stands on ``margin``, else on its own initial
    margin at entry. Two holdings of one symbol are the two sides of a hedge. Nothing is refused for being
    too large: compare ``size`` with ``affordable_size``.

    :raises InputError: no holding, a size of zero, a price or wallet that is not positive.
    :raises UnknownMode: neither cross nor isolated.  :raises UnknownSymbol: no table for a symbol.

    >>> from bt_margin.venues import venue
    >>> flat = venue("generic", maintenance_rate=0.005, taker_fee=0.0, maker_fee=0.0,
    ...              liquidation_fee=0.0, funding_interval="8h", residual="trader")
    >>> answer, = what_if(flat, [Holding("BTC", 1.0, 50_000.0)], wallet=10_000.0, leverage=10.0,
    ...                   margin_mode="isolated", time=0)
    >>> round(answer.liquidation_price, 2), answer.bankruptcy_price, answer.affordable_size
    (45226.13, 45000.0, 2.0)
    """
    _check(holdings, wallet, leverage, margin_mode)
    holdings = [replace(h, symbol=venue.resolve(h.symbol)) for h in holdings]
    legs = {h: _leg(venue, h, time) for h in holdings}
    cross = margin_mode == "cross"
    pool = _risk([legs[h] for h in holdings], [h.at for h in holdings], wallet)
    answers = []
    for holding in holdings:
        leg = legs[holding]
        posted = leg.contract.notional(leg.size, leg.entry) / leverage if margin is None else margin
        balance = wallet if cross else posted
        risk = pool if cross else _risk([leg], [holding.at], balance)
        same = [legs[h] for h in holdings if h.symbol == holding.symbol] if cross else [leg]
        others = [h for h in holdings if cross and h.symbol != holding.symbol]
        rest = _risk([legs[h] for h in others], [h.at for h in others], 0.0)
        price = liquidation_price(
            same,
            balance,
            other_maintenance=rest.maintenance,
            other_unrealised=rest.equity,
            mark=holding.at,
        )
        broke = bankruptcy_price(same, balance, other_unrealised=rest.equity)
        room = affordable(venue, holding, wallet, leverage, time)
        tiers = venue.schedule(holding.symbol).source(time)
        answers.append(
            _answer(
                holding, leg, risk, (balance, leverage, margin_mode), (price, broke, room), tiers
            )
        )
    return answers


def affordable(venue: Venue, holding: Holding, wallet: float, leverage: float, time: int) -> float:
    """The largest signed size in the holding's direction that ``wallet`` opens at its entry price."""
    currency = venue.contract(holding.symbol).settle
    account = Account(venue, wallet, "cross", leverage, currency=currency, time=time)
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


def _check(holdings: Sequence[Holding], wallet: float, leverage: float, mode: str) -> None:
    """Refuse what cannot be meant."""
    if mode not in MODES:
        hint = near(mode, MODES) or None
        raise UnknownMode(message("margin mode", repr(mode), " or ".join(MODES), None, hint))
    if not holdings:
        raise InputError("no position given; give at least one")
    numbers = {"wallet": wallet, "leverage": leverage}
    for holding in holdings:
        numbers |= {
            f"entry of {holding.symbol}": holding.entry,
            f"mark of {holding.symbol}": holding.at,
        }
        if not holding.size or not math.isfinite(holding.size):
            raise InputError(message(f"size of {holding.symbol}", holding.size, "anything but 0"))
    for name, value in numbers.items():
        if not (value > 0 and math.isfinite(value)):
            raise InputError(message(name, value, "a number above 0"))


def _leg(venue: Venue, holding: Holding, time: int) -> Leg:
    """A holding with its contract and the tier table in force."""
    contract: Contract = venue.contract(holding.symbol)
    table: TierTable = venue.schedule(holding.symbol).at(time)
    return Leg(contract, holding.size, holding.entry, table)


def _risk(legs: Sequence[Leg], marks: Sequence[float], balance: float) -> Risk:
    """Equity, initial (left at 0) and maintenance of positions on one balance."""
    equity, need = balance, 0.0
    for leg, mark in zip(legs, marks, strict=True):
        equity += leg.contract.pnl(leg.size, leg.entry, mark)
        need += leg.table.maintenance(leg.contract.notional(leg.size, mark))
    return Risk(equity, 0.0, need)


def _answer(
    holding: Holding,
    leg: Leg,
    risk: Risk,
    terms: tuple[float, float, str],
    found: tuple[float | None, float | None, float],
    tiers: str,
) -> Answer:
    """Put the numbers of one holding together."""
    (balance, leverage, mode), (price, broke, room) = terms, found
    notional = leg.contract.notional(leg.size, holding.at)
    tier = leg.table.at(notional)
    return Answer(
        symbol=holding.symbol,
        side="long" if holding.size > 0 else "short",
        size=holding.size,
        entry=holding.entry,
        mark=holding.at,
        margin_mode=mode,
        leverage=leverage,
        notional=notional,
        balance=balance,
        initial_margin=notional / leverage,
        maintenance_margin=leg.table.maintenance(notional),
        maintenance_rate=tier.mmr,
        deduction=tier.deduction,
        unrealised=leg.contract.pnl(leg.size, leg.entry, holding.at),
        equity=risk.equity,
        margin_ratio=risk.ratio,
        liquidation_price=price,
        bankruptcy_price=broke,
        distance=None if price is None else price / holding.at - 1.0,
        affordable_size=room,
        max_leverage=tier.max_leverage,
        tiers=tiers,
        currency=leg.contract.settle,
    )
