"""backtrader's orders, made quick without being changed.

An order looks its parameters (owner, data, exectype ...) up through ``__getattr__``, fifty times in a short
life; it is made through a metaclass, and works out the end of its session from calendar dates; each of its
notifications carries a copy made by :mod:`copy`, which asks the object how it wants to be pickled. All this
is done here in a fraction of the time, with the same outcome.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from backtrader import Order
from backtrader.order import OrderData
from backtrader.utils.autodict import AutoOrderedDict

_PARAMETERS = (
    "owner", "data", "price", "pricelimit", "exectype", "valid", "tradeid", "oco", "trailamount",
    "trailpercent", "parent", "transmit", "simulated", "histnotify",
)  # fmt: skip


_TRAILING = (Order.StopTrail, Order.StopTrailLimit)
_MOMENT = 1e-6
"""A tenth of a second in days: orders nearer to the end of their session ask the calendar."""


class Maker:
    """Makes orders as ``BuyOrder(...)`` and ``SellOrder(...)`` do."""

    __slots__ = ("_sessions",)

    def __init__(self) -> None:
        self._sessions: dict[int, tuple[Any, float]] = {}

    def order(self, kind: Any, data: Any, **given: Any) -> Any:
        """An order for a feed; ``given`` are backtrader's parameters of an order without their defaults."""
        given["data"] = data
        if given["exectype"] in _TRAILING or given["valid"] is not None or data._tz is not None:
            return kind(**given)
        order = object.__new__(kind)
        order.params = order.p = params = kind.params()
        own = params.__dict__
        own.update(oco=None, simulated=False, **given)
        order.__dict__.update(own)
        self._begin(order, data)
        return order

    def _begin(self, order: Any, data: Any) -> None:
        """What ``Order.__init__`` does to an order that neither trails nor expires."""
        order.ref = next(order.refbasis)
        order.broker = order.comminfo = None
        order.info = AutoOrderedDict()
        order.triggered = False
        order._active = order.parent is None
        order.status = Order.Created
        order._plimit = order.pricelimit
        if order.exectype is None:
            order.exectype = Order.Market
        if order.ordtype != Order.Buy:
            order.size = -order.size
        lines = data.lines
        number, pclose = lines.datetime[0], lines.close[0]
        price = pclose if not order.price and not order.pricelimit else order.price
        order.created = OrderData(
            dt=number, size=order.size, price=price, pricelimit=order.pricelimit, pclose=pclose,
            trailamount=order.trailamount, trailpercent=order.trailpercent,
        )  # fmt: skip
        order._limitoffset = 0.0
        order.executed = OrderData(remsize=order.size)
        order.position = 0
        order.dteos = self._end_of_session(data, number)

    def _end_of_session(self, data: Any, number: float) -> float:
        """The first end of a session at or after the bar: the same for a day before it."""
        session, end = self._sessions.get(id(data), (None, 0.0))
        if session is data.p.sessionend and end - 1.0 + _MOMENT < number < end - _MOMENT:
            return end
        now, session = data.datetime.datetime(0), data.p.sessionend
        last = now.replace(
            hour=session.hour, minute=session.minute, second=session.second,
            microsecond=session.microsecond,
        )  # fmt: skip
        if last < now:
            last += timedelta(days=1)
        end = float(data.date2num(last))
        self._sessions[id(data)] = (session, end)
        return end


def pin(order: Any) -> None:
    """Make an order's parameters its own attributes; those it has already stay as they are."""
    own, params = order.__dict__, order.params
    for name in _PARAMETERS:
        if name not in own:
            own[name] = getattr(params, name)


def clone(order: Any) -> Any:
    """What ``order.clone()`` returns: the order as it is now, with the executions since the last clone."""
    executed = order.executed
    executed.markpending()
    bits = object.__new__(executed.__class__)
    bits.__dict__.update(executed.__dict__)
    twin = object.__new__(order.__class__)
    twin.__dict__.update(order.__dict__)
    twin.__dict__["executed"] = bits
    return twin
