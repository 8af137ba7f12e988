"""How long backtrader lets an order wait."""

from __future__ import annotations

from typing import Any

import backtrader as bt


def patience(data: Any, price: float, valid: Any) -> tuple[float, float]:
    """The time of the feed [days] after which an order expires (0: never), and the end of its session.

    valid : as in ``buy(valid=...)``: a date, a timedelta, a number of days, 0 for the session, None for ever
    """
    like = bt.BuyOrder(data=data, size=1.0, price=price, exectype=bt.Order.Limit, valid=valid)
    return float(like.valid or 0.0), float(like.dteos)
