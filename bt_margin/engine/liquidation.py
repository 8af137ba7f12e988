"""Liquidation of a pool in breach, whatever the venue.

Top up if the user asked for it → cancel the pool's open orders → test again → let the venue's policy
choose what to close and how → book it → test again, until the pool is healthy or empty.

Sales happen at the mark less slippage and pay the liquidation fee, of which no more is taken than the
pool still holds. A takeover happens at the bankruptcy price: the positions of the pool share its equity by
their maintenance margins, so nothing is left. Beyond the bankruptcy price everything closes at the mark,
and what the collateral does not cover is booked as a shortfall by :meth:`Account.commit`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bt_margin.core.position import change
from bt_margin.engine.events import Event
from bt_margin.engine.plan import Plan
from bt_margin.engine.pool import Pool, Position
from bt_margin.errors import InvariantError
from bt_margin.venues.policies import Breach, Closing, Exposed

if TYPE_CHECKING:
    from bt_margin.engine.account import Account

MOST_ROUNDS = 10_000
#: An initial margin that exceeds the requirement by less is none: topping up would start again at once.
LEAST_ROOM = 1.001


def _no_cancel(pool: Pool, cause: int) -> None:
    """Nobody keeps orders."""


def _no_notice(event: Event) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the owner of the orders does: cancel those of a pool, and learn of each closing."""

    cancel: Callable[[Pool, int], None] = _no_cancel
    closed: Callable[[Event], None] = _no_notice


def liquidate(account: Account, pool: Pool, hooks: Hooks, *, crossed: bool) -> None:
    """Bring a pool in breach back to health or to nothing."""
    if account.auto_top_up and _top_up(account, pool):
        return
    equity, need = pool.equity(), pool.maintenance()
    breach = account.record(
        "breach",
        pool=pool,
        found=need,
        allowed=equity,
        reason="equity no longer exceeds the maintenance margin",
        cause=None if crossed else _funding_behind(account, pool, equity, need),
        info={"marks": {p.symbol: p.mark for p in pool.positions}, "shared": pool.shared},
    )
    account.asked[breach.id] = {p.symbol: p.table for p in pool.positions}
    hooks.cancel(pool, breach.id)
    closed: Counter[str] = Counter()
    for _ in range(MOST_ROUNDS):
        if not (pool.breached() or (crossed and not closed and pool.positions)):
            return
        state = describe(account, pool, closed)
        closings = account.venue.liquidation_at(account.time).choose(state)
        prices = _takeover_prices(pool, closings)
        for closing in closings:
            closed[closing.symbol] += 1
            hooks.closed(_close(account, pool, closing, prices, breach))
    raise InvariantError(f"liquidation of {pool.key} did not end after {MOST_ROUNDS} rounds")


def _funding_behind(account: Account, pool: Pool, equity: float, need: float) -> int | None:
    """The funding just paid without which the pool would not be in breach, if there is one."""
    for event in reversed(account.events):
        if event.kind != "funding" or event.pool != pool.key:
            return None
        equity -= event.amount or 0.0
        if equity > need:
            return event.id
    return None


def describe(account: Account, pool: Pool, closed: Mapping[str, int]) -> Breach:
    """The pool as the policy sees it."""
    fees = {p.symbol: account.venue.fees_at(p.market, account.time) for p in pool.positions}
    exposed = tuple(
        Exposed(
            p.market, p.contract, p.size, p.mark, -p.unrealised(), p.table, p.limits, p.entry,
            p.opened, fees[p.symbol], p.leverage, p.leg, p.symbol,
        )
        for p in pool.positions
    )  # fmt: skip
    cost = {
        p.symbol: _cost(p, fees[p.symbol].liquidation, account.liquidation_slippage)
        for p in pool.positions
    }
    isolated = pool.symbol is not None
    cuts = [p.cut for p in account.book.values() if p.cut is not None]
    return Breach(
        pool.equity(), pool.maintenance(), exposed, cost, closed, isolated, account.time,
        max(cuts, default=None),
    )  # fmt: skip


def _cost(p: Position, rate: float, slippage: float) -> float:
    """What selling a unit of notional takes out of the pool: the slippage, and the fee on the sale."""
    price = _slipped(p, slippage)
    fee = p.notional_at(price) * rate
    return (fee - p.gain(p.mark, price)) / p.notional()


def _top_up(account: Account, pool: Pool) -> bool:
    """Restore the initial margin of an isolated pool from the free wallet: all of it, or nothing."""
    if pool.symbol is None:
        return False
    position = pool.positions[0]
    home = account.home(position)
    amount = pool.initial() - pool.equity()
    room = pool.initial() > pool.maintenance() * LEAST_ROOM
    if amount <= 0 or amount > account.transferable(home) or not room:
        return False
    account.move_money(home, pool, amount, pool.symbol, len(account.events))
    account.record("top_up", position, pool=pool, amount=amount, reason="automatic top-up")
    return True


def _takeover_prices(pool: Pool, closings: tuple[Closing, ...]) -> dict[str, float]:
    """Bankruptcy prices of the positions taken over together, or their marks when already beyond."""
    taken = [c for c in closings if c.settle == "takeover"]
    book = {p.symbol: p for p in pool.positions}
    equity = pool.equity()
    if not taken or equity <= 0:
        return {c.symbol: book[c.symbol].mark for c in taken}
    weights = [book[c.symbol].maintenance() for c in taken]
    total = sum(weights)
    if not total > 0:
        weights = [book[c.symbol].notional() for c in taken]
        total = sum(weights)
    return {
        c.symbol: _moved(book[c.symbol], equity * w / total, c.fee or 0.0)
        for c, w in zip(taken, weights, strict=True)
    }


def _moved(p: Position, loss: float, fee: float) -> float:
    """The price at which the position has lost ``loss`` more than at its mark, the closing fee included.

    Where the fee alone exceeds the loss, or no price takes that much (a fixed requirement can bring down a
    position that is paid for in full), that is the mark.
    """
    exposure = p.size * p.multiplier
    if fee and fee * p.notional() >= loss:
        return p.mark
    sign = (
        -1.0 if p.inverse else 1.0
    )  # of the worth of a price, whose notional is its absolute value
    worth = (p.worth(p.mark) * exposure - loss) / (exposure - abs(exposure) * fee * sign)
    return p.contract.price(worth) if worth * sign > 0 else p.mark


def _close(
    account: Account, pool: Pool, closing: Closing, prices: dict[str, float], breach: Event
) -> Event:
    p = account.position(closing.symbol)
    size = -_rounded(p, closing.fraction)
    price = (
        prices[p.symbol]
        if closing.settle == "takeover"
        else _slipped(p, account.liquidation_slippage)
    )
    made = _planned(account, pool, p, size, price, closing)
    if made.size:
        p.cut = account.time
    return account.commit(
        p, made, price, "liquidation", "liquidation_fee",
        cause=breach.id, found=breach.found, allowed=breach.allowed,
        reason=_reason(p, made, price, breach),
        info={"settle": closing.settle, "entry": p.entry, "leverage": p.leverage,
              "margin_mode": p.margin_mode, "whole": made.size == 0.0},
    )  # fmt: skip


def _planned(
    account: Account, pool: Pool, p: Position, size: float, price: float, closing: Closing
) -> Plan:
    c = change(p.contract, p.size, p.entry, size, price)
    last = c.size == 0 and len(pool.positions) == 1
    realised, rate = c.realised, closing.fee
    if closing.settle == "takeover":
        fee = min(p.contract.notional(size, price) * (rate or 0.0), max(0.0, pool.equity()))
        left = pool.balance + realised - fee
        if last and not fee and abs(left) <= 1e-9 * abs(realised):
            realised = -pool.balance  # the bankruptcy price leaves exactly nothing
        elif last and left > -1e-9 * abs(realised):
            fee += left  # nor does a takeover at the mark, where no price takes all there is
    else:
        if rate is None:
            rate = account.venue.fees_at(p.market, account.time).liquidation
        fee = p.contract.notional(size, price) * rate
        left = pool.equity() + p.contract.pnl(-size, p.mark, price)
        if last:
            left = pool.backing() + realised  # coins that are pledged pay as well
        keeps = last and account.venue.liquidation_at(account.time).residual == "fund"
        fee = max(0.0, left if keeps else min(fee, left))
    return Plan(0.0, c.closed, c.size, c.entry, realised, fee, 0.0, 0.0, 0.0, 0.0, None)


def _slipped(p: Position, slippage: float) -> float:
    """The mark, worse by the slippage for the side that closes."""
    return p.mark * (1.0 - slippage) if p.size > 0 else p.mark * (1.0 + slippage)


def _rounded(p: Position, fraction: float) -> float:
    """Signed part of the position: at least the fraction, on the lot step, never more than the whole."""
    lot = p.contract.lot
    part = abs(p.size) * fraction
    if lot and fraction < 1.0:
        part = max(1, math.ceil(part / lot - 1e-9)) * lot
    return p.size if fraction >= 1.0 or part >= abs(p.size) else math.copysign(part, p.size)


def _reason(p: Position, made: Plan, price: float, breach: Event) -> str:
    side, part = p.side, "" if made.size == 0.0 else "part of the "
    return (
        f"{part}{side} closed at {price:,.8g}: mark {p.mark:,.8g}, equity {breach.allowed:,.2f} "
        f"against maintenance {breach.found:,.2f} {'' if breach.pool is None else breach.pool}"
    ).rstrip()
