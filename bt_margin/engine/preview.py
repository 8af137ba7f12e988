"""What a fill would leave behind: margin, ratio, liquidation price and the largest affordable size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bt_margin.core.liquidation import Leg, liquidation_price
from bt_margin.core.margin import affordable_size
from bt_margin.core.risk import Risk
from bt_margin.engine.orders import assumed
from bt_margin.engine.plan import Plan
from bt_margin.engine.pool import Position
from bt_margin.engine.settings import valid_price, valid_size

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
    if reduce_only:
        size = trim(p.size, size)
    made = account.plan(symbol, size, price)
    balance, others = _pool_after(account, p, made)
    mark = p.mark or price
    notional = p.contract.notional(made.size, mark) if made.size else 0.0
    own = Risk(
        p.contract.pnl(made.size, made.entry, mark) if made.size else 0.0,
        notional / p.leverage,
        p.table.maintenance(notional) if made.size else 0.0,
    )
    risk = others + own + Risk(balance, 0.0, 0.0)
    refused = made.refusal
    if refused is None and made.opened:
        refused = account.verdict(symbol, size, price)
    return Preview(
        p.symbol, made.opened, made.closed, made.realised, made.fee, made.size, made.entry,
        made.available, risk.equity, risk.initial, risk.maintenance, risk.ratio,
        _liquidation_price(p, made, balance, others), affordable(account, p, size, price),
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
    fees = account.venue.fees_at(p.symbol, account.time)
    isolated = p.margin_mode == "isolated"
    counts = account.venue.orders.fee_in_check or isolated
    return affordable_size(
        p.contract,
        1.0 if size >= 0 else -1.0,
        price,
        account.available(),
        p.leverage,
        size=p.size,
        held=p.pool.equity() if isolated and p.pool else None,
        mark=p.mark or price,
        assumed=assumed(account, p, size, price),
        fee_rate=fees.taker if counts else 0.0,
        cap=p.table.cap(p.leverage),
    )


def _pool_after(account: AccountView, p: Position, made: Plan) -> tuple[float, Risk]:
    """Balance of the position's pool after the fill, and the risk of its other positions."""
    if p.margin_mode == "isolated":
        held = p.pool.balance if p.pool is not None else 0.0
        if not made.size:
            return 0.0, Risk.zero()
        if made.opened and made.closed:
            return made.posted, Risk.zero()
        return held + made.posted + made.realised - made.closing_fee - made.released, Risk.zero()
    others = Risk.zero()
    for o in account.cross.positions:
        if o is not p:
            others = others + Risk(o.unrealised(), o.initial(), o.maintenance())
    return account.cross.balance + made.realised - made.fee, others


def _liquidation_price(p: Position, made: Plan, balance: float, others: Risk) -> float | None:
    if not made.size:
        return None
    return liquidation_price(
        [Leg(p.contract, made.size, made.entry, p.table)],
        balance,
        other_maintenance=others.maintenance,
        other_unrealised=others.equity,
        mark=p.mark or made.entry,
    )
