"""Margin of positions and orders, and the largest order an account can afford."""

from __future__ import annotations

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import TierTable

__all__ = [
    "affordable_size",
    "assumed_price",
    "collateral_value",
    "initial",
    "maintenance",
    "open_loss",
    "order_cost",
    "order_need",
]

INF = float("inf")


def initial(notional: float, leverage: float) -> float:
    """Initial margin of a position or order, I = notional / leverage   [settle].

    notional : unsigned, at mark for a position, at the order price for an order

    >>> initial(10_000, 20)
    500.0
    """
    return notional / leverage


def maintenance(notional: float, table: TierTable) -> float:
    """Maintenance margin M = notional · mmr − deduction of one position   [settle].

    notional : unsigned, at MARK (never at entry); the tier is chosen by it alone, per symbol.
    The leverage a position was opened with has no part in it.

    >>> maintenance(100_000, TierTable.of([(50_000, 0.004, 0), (None, 0.005, 50)]))
    450.0
    """
    return table.maintenance(notional)


def open_loss(contract: Contract, size: float, price: float, mark: float) -> float:
    """Loss an order would show the moment it fills, O = max(0, −pnl(price → mark))   [settle].

    size : of the order, signed (+ buy). Buying above the mark or selling below it costs; filling
    at a better price than the mark earns no credit. Binance, "Cost Required to Open a Position in
    Perpetual Futures Contracts", read 2024-11.

    >>> open_loss(Contract("X"), size=2, price=105, mark=100)
    10.0
    >>> open_loss(Contract("X"), size=-2, price=105, mark=100)
    0
    """
    return max(0, -contract.pnl(size, price, mark))


def assumed_price(size: float, price: float, mark: float, last: float, premium: float) -> float:
    """The price Binance takes the initial margin of an order at.

    Buy: the order price. Sell: max(last · (1 + premium), mark, price), because a sell order may
    fill above its limit. premium : fraction, 0.0015 in the rules in force since 2026-01-05.

    >>> assumed_price(size=-1, price=100, mark=101, last=102, premium=0.5)
    153.0
    >>> assumed_price(size=1, price=100, mark=101, last=102, premium=0.5)
    100
    """
    return price if size > 0 else max(last * (1 + premium), mark, price)


def order_cost(
    contract: Contract,
    size: float,
    price: float,
    leverage: float,
    mark: float,
    *,
    assumed: float | None = None,
) -> float:
    """What opening costs of the available balance, C = N(assumed) / leverage + open loss  [settle].

    size : signed, the part of the order that opens
    assumed : price of the initial margin (:func:`assumed_price`), None for the order price
    The open loss always compares the order price with the mark. Fees are not part of it; source as
    in :func:`open_loss`.

    >>> order_cost(Contract("X"), size=1, price=9_000, leverage=20, mark=8_990)
    460.0
    """
    base = price if assumed is None else assumed
    return initial(contract.notional(size, base), leverage) + open_loss(contract, size, price, mark)


def order_need(
    contract: Contract,
    fill_size: float,
    price: float,
    leverage: float,
    *,
    size: float = 0,
    held: float | None = None,
    mark: float | None = None,
    assumed: float | None = None,
    fee_rate: float = 0,
) -> float:
    """What an order takes out of the available balance   [settle]; below 0 it gives some back.

    need = cost of the opened part + fee on the whole order − held · closed / |size|

    fill_size : the order, signed. size : the position it meets, signed; the part against it closes
    held : money that closing the whole position sets free, None for its initial margin at ``mark``
    mark : for ``held`` and the open loss; None for the order price, so that there is no open loss
    assumed : price of the initial margin of the opened part, None for the order price
    fee_rate : fraction of notional at the order price, 0 where the venue leaves fees out

    >>> order_need(Contract("X"), 3, 100, 10)
    30.0
    >>> order_need(Contract("X"), -3, 100, 10, size=1)
    10.0
    """
    opened, closed = _split(size, fill_size)
    at_mark = price if mark is None else mark
    need = order_cost(contract, opened, price, leverage, at_mark, assumed=assumed)
    need += contract.notional(fill_size, price) * fee_rate
    if closed == 0:
        return need
    return need - _held(contract, size, at_mark, leverage, held) * abs(closed) / abs(size)


def affordable_size(
    contract: Contract,
    side: float,
    price: float,
    available: float,
    leverage: float,
    *,
    size: float = 0,
    held: float | None = None,
    mark: float | None = None,
    assumed: float | None = None,
    fee_rate: float = 0,
    cap: float = INF,
) -> float:
    """The largest order in one direction that :func:`order_need` lets ``available`` pay for.

    side : +1 or any positive number to buy, negative to sell. Returns a signed size.
    cap : largest notional allowed at this leverage (``TierTable.cap``), at the order price
    Other arguments as in :func:`order_need`.

    Closing is never refused: against a position the answer is at least its size, whatever is
    available. Beyond it only the new side needs margin, and the margin of the closed side helps.
    Not rounded to the lot.

    >>> pair = Contract("X")
    >>> affordable_size(pair, +1, price=100, available=1_000, leverage=10)
    100.0
    >>> affordable_size(pair, -1, price=100, available=1_000, leverage=10, size=20)
    -140.0
    >>> affordable_size(pair, -1, price=100, available=-5_000, leverage=10, size=20)
    -20
    >>> affordable_size(pair, +1, price=100, available=1_000, leverage=10, size=20, cap=5_000)
    30.0
    """
    sign = 1 if side > 0 else -1
    against = size * sign < 0
    unit = order_need(
        contract, sign, price, leverage, mark=mark, assumed=assumed, fee_rate=fee_rate
    )
    room = cap / contract.notional(1, price)
    closing: float = 0
    if against:
        closing = abs(size)
        available -= order_need(
            contract, -size, price, leverage, size=size, held=held, mark=mark, fee_rate=fee_rate
        )
    else:
        room -= abs(size)
    return sign * (closing + max(0, min(available / unit, room)))


def collateral_value(amount: float, index: float, ratio: float) -> float:
    """Value of an asset as margin, V = amount · index · ratio; a debt counts in full   [settle].

    index : price of the asset in the settlement currency; ratio : collateral ratio, a fraction

    >>> collateral_value(10, 100, 0.95), collateral_value(-10, 100, 0.95)
    (950.0, -1000)
    """
    value = amount * index
    return value * ratio if value > 0 else value


def _split(size: float, fill_size: float) -> tuple[float, float]:
    """Opened and closed part of a fill, both in its direction."""
    if size * fill_size >= 0:
        return fill_size, 0
    if abs(fill_size) <= abs(size):
        return 0, fill_size
    return fill_size + size, -size


def _held(
    contract: Contract, size: float, mark: float, leverage: float, held: float | None
) -> float:
    """Money locked by a position: as told, else its initial margin at mark."""
    return initial(contract.notional(size, mark), leverage) if held is None else held
