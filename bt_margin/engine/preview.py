"""What a fill would leave behind: margin, ratio, liquidation price and the largest affordable size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bt_margin.core.liquidation import Leg, liquidation_price
from bt_margin.core.margin import affordable_size
from bt_margin.core.risk import Risk
from bt_margin.core.tiers import TierTable
from bt_margin.engine.orders import assumed
from bt_margin.engine.plan import DUST, Plan, Refusal
from bt_margin.engine.pool import Position
from bt_margin.engine.settings import valid_price, valid_size
from bt_margin.venues.carry import PoolView

if TYPE_CHECKING:
    from bt_margin.engine.reading import AccountView


@dataclass(frozen=True, slots=True)
class Preview:
    """The account after a fill that has not happened.

    ``opened`` and ``closed`` carry the sign of the fill; ``realised`` and ``fee`` are what it would book;
    ``size`` and ``entry`` the position afterwards; ``available`` the free margin afterwards; ``equity``,
    ``initial``, ``maintenance`` and ``ratio`` those of the position's pool afterwards;
    ``liquidation_price`` None when it cannot be liquidated by this symbol alone; ``affordable_size`` the
    largest signed size in the order's direction now; ``accepted`` with ``reason``, ``found`` and
    ``allowed`` says whether the opening part would be carried.
    """

    symbol: str
    opened: float
    closed: float
    realised: float
    fee: float
    size: float
    entry: float
    available: float
    equity: float
    initial: float
    maintenance: float
    ratio: float
    liquidation_price: float | None
    affordable_size: float
    accepted: bool
    reason: str
    found: float | None
    allowed: float | None


def preview_of(
    account: AccountView, symbol: str, size: float, price: float | None, reduce_only: bool
) -> Preview:
    """See :meth:`Account.preview`."""
    p = account.position(symbol)
    price = valid_price(symbol, p.mark if price is None else price)
    valid_size(symbol, size)
    if reduce_only or p.against(size):
        size = trim(p.size, size)
    made = account.plan(symbol, size, price)
    balance, others = _pool_after(account, p, made, price)
    mark = p.mark or price
    notional = p.contract.notional(made.size, mark) if made.size else 0.0
    table = _table_after(p, made, balance)
    own = Risk(
        p.contract.pnl(made.size, made.entry, mark) if made.size else 0.0,
        p.initial_of(made.size, mark, made.entry),
        table.maintenance(notional) if made.size else 0.0,
    )
    risk = others + own + Risk(balance, 0.0, _shared_after(account, p, made, balance))
    refused = made.refusal
    if refused is None and made.opened:
        refused = account.verdict(symbol, size, price)
    return Preview(
        p.symbol, made.opened, made.closed, made.realised, made.fee, made.size, made.entry,
        made.available, risk.equity, risk.initial, risk.maintenance, risk.ratio,
        _liquidation_price(account, p, made, table, (balance, risk, own)),
        affordable(account, p, size, price),
        refused is None, refused.reason if refused else "",
        refused.found if refused else None, refused.allowed if refused else None,
    )  # fmt: skip


def trim(held: float, size: float) -> float:
    """A reduce-only size: against the position and never more than it; 0 when there is nothing to reduce.

    >>> trim(2.0, -5.0), trim(2.0, 1.0), trim(-2.0, 1.0)
    (-2.0, 0.0, 1.0)
    """
    if held * size >= 0:
        return 0.0
    return size if abs(size) <= abs(held) else -held


def reduces(held: float, size: float) -> bool:
    """Whether an order can only reduce a position of this size.

    >>> reduces(2.0, -2.0), reduces(2.0, -3.0), reduces(0.0, 1.0)
    (True, False, False)
    """
    return held * size < 0 and abs(size) <= abs(held)


def affordable(account: AccountView, p: Position, size: float, price: float) -> float:
    """The largest signed size the account can carry now in the direction of ``size``."""
    if not p.plain:
        return _affordable_by_trial(account, p, 1.0 if size >= 0 else -1.0, price)
    fees = account.venue.fees_at(p.market, account.time)
    isolated = p.margin_mode == "isolated"
    counts = account.venue.orders.fee_in_check or isolated
    return affordable_size(
        p.contract,
        1.0 if size >= 0 else -1.0,
        price,
        account.available(account.home(p)),
        p.leverage,
        size=p.size,
        held=p.pool.equity() if isolated and p.pool else None,
        mark=p.mark or price,
        assumed=assumed(account, p, size, price),
        fee_rate=fees.taker if counts else 0.0,
        cap=p.cap(price, p.size + size),
    )


def _affordable_by_trial(account: AccountView, p: Position, side: float, price: float) -> float:
    """Where margin does not grow in step with size: by halving, to a millionth of the answer."""

    def carried(size: float) -> bool:
        signed = side * size
        if account.plan(p.symbol, signed, price).refusal is not None:
            return False
        return account.verdict(p.symbol, signed, price) is None

    held = abs(p.size) if p.size * side < 0 else 0.0
    worth = p.contract.notional(1.0, price)
    high = max(account.scale(account.home(p)), 1e-9) / worth
    while carried(held + high) and high * worth < 1e18:
        high *= 2.0
    low = 0.0
    least = 1e-9 * high
    while high - low > 1e-9 * high and high > least:
        middle = (low + high) / 2.0
        low, high = (middle, high) if carried(held + middle) else (low, middle)
    return side * (held + low)


def _pool_after(account: AccountView, p: Position, made: Plan, price: float) -> tuple[float, Risk]:
    """Balance of the position's pool after the fill, and the risk of its other positions."""
    if p.margin_mode == "isolated":
        held = p.pool.balance if p.pool is not None else 0.0
        if not made.size:
            return 0.0, Risk.zero()
        if made.opened and made.closed:
            return made.posted, Risk.zero()
        return held + made.posted + made.realised - made.closing_fee - made.released, Risk.zero()
    others = Risk.zero()
    for o in account.home(p).positions:
        if o is not p:
            need = _table_beside(o, p, made).maintenance(o.notional())
            others = others + Risk(o.unrealised(), o.initial(), need)
    extra = account.opening_cost(p, made.opened, price) if made.opened else 0.0
    return account.home(p).backing() + made.realised - made.fee - extra, others


def _table_beside(o: Position, p: Position, made: Plan) -> TierTable:
    """The requirement of another position after the fill: the symbol's other side may be asked for less."""
    if o is not p.other or o.plain:
        return o.table
    return o.rule.requirement(o.held()._replace(opposite=made.size))


def falls_short(account: AccountView, p: Position, made: Plan, price: float) -> Refusal | None:
    """Whether adding to an isolated position would leave it short of the venue's own least initial margin.

    Margin for the added part is not enough where the position has lost, or where a fill collects what the
    requirement had left out till then. The leverage chosen plays no part in it.
    """
    if p.plain or not made.opened or made.closed or p.margin_mode != "isolated" or not p.size:
        return None
    equity, need = _standing(account, p, made, price)
    least = p.held(made.size, made.entry)._replace(leverage=math.inf)
    need = max(need, p.rule.initial(least, p.mark or price))
    return Refusal("margin", need, equity) if equity < need * (1.0 - DUST) else None


def kept_back(account: AccountView, p: Position, made: Plan, price: float) -> Plan:
    """The same closing of a part; it gives nothing back where the rest of the position would be in breach.

    A requirement with a fixed amount in it does not shrink in step with the position.
    """
    if p.plain or made.opened or not made.size or not made.released:
        return made
    equity, need = _standing(account, p, made, price)
    if equity >= need * (1.0 + DUST):
        return made
    return made._replace(released=0.0, available=made.available - made.released)


def _standing(account: AccountView, p: Position, made: Plan, price: float) -> tuple[float, float]:
    """Equity and requirement of an isolated position after the fill."""
    balance, _ = _pool_after(account, p, made, price)
    mark = p.mark or price
    equity = balance + p.contract.pnl(made.size, made.entry, mark)
    need = _table_after(p, made, balance).maintenance(p.contract.notional(made.size, mark))
    return equity, need + _shared_after(account, p, made, balance)


def _table_after(p: Position, made: Plan, balance: float) -> TierTable:
    """The requirement of the position as the fill would leave it."""
    if p.plain or not made.size:
        return p.table
    held = p.held(made.size, made.entry)
    return p.rule.requirement(held._replace(balance=balance) if held.isolated else held)


def _shared_after(account: AccountView, p: Position, made: Plan, balance: float) -> float:
    """What would be asked of the position's pool as a whole."""
    if account.venue.shared is None:
        return 0.0
    isolated = p.margin_mode == "isolated"
    others = [] if isolated else [o.seen() for o in account.home(p).positions if o is not p]
    fresh = not p.size or (made.opened and made.closed)
    own = p.seen()._replace(
        size=made.size, entry=made.entry, changed=account.time,
        opened=account.time if fresh else p.opened,
    )  # fmt: skip
    view = PoolView(balance, (*others, own), isolated)
    return account.venue.shared.of(view, account.time)


def _liquidation_price(
    account: AccountView, p: Position, made: Plan, table: TierTable, after: tuple[float, Risk, Risk]
) -> float | None:
    """Where the position left by the fill would be liquidated, the rest of its pool standing still."""
    if not made.size:
        return None
    balance, whole, own = after
    legs = [Leg(p.contract, made.size, made.entry, table)]
    if p.margin_mode == "cross":
        legs += account.home(p).legs_beside(p)
    twin = p.other
    unrealised, maintenance = (
        whole.equity - balance - own.equity,
        whole.maintenance - own.maintenance,
    )
    if twin is not None and twin.pool is account.home(p) and p.margin_mode == "cross":
        beside = _table_beside(twin, p, made)
        legs.append(Leg(twin.contract, twin.size, twin.entry, beside))
        unrealised -= twin.unrealised()
        maintenance -= beside.maintenance(twin.notional())
    return liquidation_price(
        legs,
        balance,
        other_maintenance=maintenance,
        other_unrealised=unrealised,
        mark=p.mark or made.entry,
    )
