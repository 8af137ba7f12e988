"""Preview is commit without the write: what a fill would do, as numbers.

:func:`plan` is pure. The order check and the fill both call it, so an order that was shown as affordable
is affordable at the same price, and what a preview says is what a fill books.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bt_margin.core.position import Change, change
from bt_margin.engine.pool import Position

FeeRule = Callable[[float, float], float]
"""Fee of a fill from its unsigned size and its price, in the settlement currency."""

DUST = 1e-9
"""Relative tolerance of the affordability test: float dust refuses nobody."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the account says no: a reason and the two numbers that decided it."""

    reason: str
    found: float
    allowed: float


class Plan(NamedTuple):
    """What a fill would do to one position and to the money behind it.

    ``opened`` and ``closed`` carry the sign of the fill; ``posted`` is what an isolated position takes
    from the free wallet; ``released`` what it gives back; ``refusal`` is set when the opening part must
    not happen (the closing part always may).
    """

    opened: float
    closed: float
    size: float
    entry: float
    realised: float
    closing_fee: float
    opening_fee: float
    posted: float
    released: float
    available: float
    refusal: Refusal | None

    @property
    def fee(self) -> float:
        """Both fees together."""
        return self.closing_fee + self.opening_fee


def plan(
    position: Position,
    size: float,
    price: float,
    *,
    fee: FeeRule,
    available: float,
    locked: Callable[[float], float],
    isolated_balance: float,
    fee_in_check: bool,
    resting: bool,
    scale: float,
    fee_on_entry: bool = False,
    opening_cost: Callable[[Change], float] | None = None,
) -> Plan:
    """What filling signed ``size`` at ``price`` would do.

    A venue may leave the fee out of its check of a cross position; the fee of an isolated opening leaves the
    free wallet beside the margin and always counts, or the wallet would fall below zero.

    ``available`` is the free margin before the fill, without what orders of this symbol reserve;
    ``locked`` what the symbol's other orders reserve beside a position of a given size, so that an entry is
    judged with the exits that wait for it; ``isolated_balance`` what the position's isolated pool holds (0
    in cross); ``resting`` judges an order that still has to wait: a price better than the mark is no credit
    yet; ``scale`` is the size of the account against which float dust is measured; ``fee_on_entry`` charges
    the closing fee on the entry value of the closed part; ``opening_cost`` is what else opening costs.
    """
    c = change(position.contract, position.size, position.entry, size, price)
    closing_fee = fee(abs(c.closed), position.entry if fee_on_entry else price) if c.closed else 0.0
    opening_fee = fee(abs(c.opened), price) if c.opened else 0.0
    extra = opening_cost(c) if opening_cost is not None and c.opened else 0.0
    allowed = available - locked(c.size)
    posted = released = 0.0
    if position.margin_mode == "isolated":
        posted, released = _isolated_flows(position, c, closing_fee, price, isolated_balance)
        test = free = allowed + released - posted - opening_fee - extra
        scale = min(scale, posted + opening_fee)  # an empty wallet pays not even for dust
    else:
        fees = closing_fee + opening_fee
        allowed -= extra
        free = allowed + _cross_change(position, size, price, c, fees, resting)
        test = free if fee_in_check else free + fees
    refusal = _cap(position, c, price) if c.opened else None
    if refusal is None and c.opened and test < -DUST * scale:
        refusal = Refusal("margin", allowed - test, allowed)
    return Plan(
        c.opened, c.closed, c.size, c.entry, c.realised, closing_fee, opening_fee,
        posted, released, free, refusal,
    )  # fmt: skip


def _cross_change(
    position: Position, size: float, price: float, c: Change, fees: float, resting: bool
) -> float:
    """Change of the cross pool's available margin: mark-to-market of the fill, fees, initial margin."""
    contract, mark, after, entry = position.contract, position.mark or price, c.size, c.entry
    marked = contract.pnl(size, price, mark)
    if resting:
        marked = min(0.0, marked)
    initial = position.initial_of(after, mark, entry) if after else 0.0
    return marked - fees - initial + position.initial()


def _isolated_flows(
    position: Position, after: Change, closing_fee: float, price: float, balance: float
) -> tuple[float, float]:
    """What goes from the wallet into the isolated pool, and what comes back from a closed part.

    The closed part takes its share of the posted margin and its result, never less than nothing; the whole
    position takes all that is left.
    """
    posted = _posted(position, after, price) if after.opened else 0.0
    if not after.closed:
        return posted, 0.0
    if after.size and not after.opened:
        share = abs(after.closed) / abs(position.size)
        return posted, max(0.0, balance * share + after.realised - closing_fee)
    return posted, max(0.0, balance + after.realised - closing_fee)


def _posted(position: Position, after: Change, price: float) -> float:
    """The initial margin the opened part brings, at the price of the fill."""
    if position.plain:
        return position.contract.notional(after.opened, price) / position.leverage
    before = after.size - after.opened
    whole = position.initial_of(after.size, price, price)
    return whole - position.initial_of(before, price, price)


def _cap(position: Position, after: Change, price: float) -> Refusal | None:
    """The venue's cap on the notional at the chosen leverage; closing is never capped."""
    mark = position.mark or price
    allowed = position.cap(mark, after.size)
    notional = position.contract.notional(after.size, mark)
    return Refusal("leverage_cap", notional, allowed) if notional > allowed else None
