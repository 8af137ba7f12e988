"""What a random story's strategy asks for beside orders at the market: orders that wait, brackets, margin."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import backtrader as bt

from bt_margin.errors import BtMarginError

WAITING = (
    bt.Order.Limit,
    bt.Order.Limit,
    bt.Order.Stop,
    bt.Order.Stop,
    bt.Order.StopLimit,
    bt.Order.Close,
)
TRAILING = (bt.Order.StopTrail, bt.Order.StopTrailLimit)


class Scripted(bt.Strategy):
    """Asks for what a list says, whatever happens; orders have names by which they are withdrawn."""

    params = (("script", ()),)

    def __init__(self) -> None:
        self.bars, self.known = -1, dict[str, Any]()

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        self.bars += 1
        for bar, name, verb, amount, more in self.p.script:
            if bar == self.bars:
                more = dict(more)
                label = more.pop("label", None)
                data = self.getdatabyname(name)
                try:
                    order = getattr(self, f"do_{verb}")(data, amount, self.said(data, more))
                except BtMarginError:
                    continue
                if label is not None and order is not None:
                    self.known[label] = order

    def said(self, data: Any, more: dict[str, Any]) -> dict[str, Any]:
        """Prices from parts of the close, orders from their names."""
        close = data.close[0]
        for name in ("price", "plimit", "trailamount", "stopprice", "limitprice"):
            if name in more:
                more[name] *= close
        if more.get("oco") is not None:
            more["oco"] = self.known.get(more["oco"])
        return more

    def do_trade(self, data: Any, amount: float, more: dict[str, Any]) -> Any:
        return (self.buy if amount > 0 else self.sell)(data, size=abs(amount), **more)

    def do_size(self, data: Any, amount: float, more: dict[str, Any]) -> Any:
        return self.order_target_size(data, amount, **more)

    def do_value(self, data: Any, amount: float, more: dict[str, Any]) -> Any:
        return self.order_target_value(data, amount, **more)

    def do_percent(self, data: Any, amount: float, more: dict[str, Any]) -> Any:
        return self.order_target_percent(data, amount, **more)

    def do_share(self, data: Any, amount: float, more: dict[str, Any]) -> Any:
        unit = data.close[0] * self.broker.getcommissioninfo(data).p.mult
        return self.order_target_size(data, amount * self.broker.getvalue() / unit, **more)

    def do_close(self, data: Any, amount: float, more: dict[str, Any]) -> Any:
        return self.close(data, **more)

    def do_bracket(self, data: Any, amount: float, more: dict[str, Any]) -> Any:
        contract = self.broker.instrument(data).position.contract
        if not contract.round_size(amount):
            return None  # backtrader itself would send no more than a parent that waits for ever
        call = self.buy_bracket if amount > 0 else self.sell_bracket
        return call(data=data, size=abs(amount), **more)[0]

    def do_cancel(self, data: Any, amount: float, more: dict[str, Any]) -> None:
        order = self.known.get(more["order"])
        if order is not None:
            self.cancel(order)

    def do_lever(self, data: Any, amount: float, more: dict[str, Any]) -> None:
        step = self.broker.account.venue.leverage_step
        self.broker.set_leverage(amount if not step else max(step, step * (amount // step)), data)

    def do_mode(self, data: Any, amount: float, more: dict[str, Any]) -> None:
        mode = "isolated" if amount else "cross"
        if mode in self.broker.account.venue.modes:
            self.broker.set_margin_mode(mode, data)

    def do_margin(self, data: Any, amount: float, more: dict[str, Any]) -> None:
        if amount > 0:
            self.broker.add_margin(data, amount * self.broker.getvalue())
        else:
            self.broker.reduce_margin(data, -amount)

    def do_cash(self, data: Any, amount: float, more: dict[str, Any]) -> None:
        self.broker.add_cash(amount)


def waiting(draw: random.Random, buys: bool, step: int) -> dict[str, Any]:
    """How an order waits: prices as parts of the close, times as parts of a bar."""
    kind = draw.choice(TRAILING) if draw.random() < 0.15 else draw.choice(WAITING)
    more: dict[str, Any] = {"exectype": kind}
    reach = draw.choice([0.002, 0.01, 0.03, 0.1])
    above = (kind in (bt.Order.Limit,)) != buys
    near = 1.0 + draw.random() * reach * (1 if above else -1)
    if draw.random() < 0.15:
        near = 2.0 - near  # on the wrong side: met at once
    if kind != bt.Order.Close and draw.random() < 0.95:
        more["price"] = near
    if kind in (bt.Order.StopLimit, bt.Order.StopTrailLimit):
        more["plimit"] = near * (1.0 + draw.gauss(0, reach / 2))
    if kind in TRAILING:
        more["trailamount" if draw.random() < 0.5 else "trailpercent"] = reach
    if kind in (*TRAILING, bt.Order.Stop, bt.Order.StopLimit) and draw.random() < 0.25:
        more["trigger"] = "mark"
    if draw.random() < 0.3:
        bar = timedelta(milliseconds=step)
        more["valid"] = draw.choice([0, timedelta(), bar * 1.5, bar * 6, bar * 20, 5.0])
    if draw.random() < 0.15:
        more["reduce_only"] = True
    return more


def bracket(draw: random.Random, buys: bool) -> dict[str, Any]:
    """Three orders of which the first brings the other two."""
    side, reach = (1 if buys else -1), draw.choice([0.003, 0.02, 0.06])
    more: dict[str, Any] = {
        "exectype": draw.choice([bt.Order.Market, bt.Order.Limit, bt.Order.Stop]),
        "price": 1.0 - side * draw.random() * reach * draw.choice([1, 1, -1]),
        "stopprice": 1.0 - side * (0.5 + draw.random()) * reach * 2,
        "limitprice": 1.0 + side * (0.5 + draw.random()) * reach * 2,
    }
    if not buys:
        more["stopprice"], more["limitprice"] = more["stopprice"], more["limitprice"]
    if draw.random() < 0.3:
        more["valid"] = timedelta(hours=draw.choice([3, 30]))
    return more


def action(draw: random.Random, cash: float) -> tuple[str, float]:
    """Something done to the account."""
    verb = draw.choice(["lever", "lever", "mode", "mode", "margin", "margin", "cash"])
    amount = {
        "lever": draw.choice([1.5, 2.0, 3.0, 5.0, 20.0, 30.0]),
        "mode": float(draw.random() < 0.6),
        "margin": draw.choice([0.02, 0.2, 0.5, 0.8, -0.01 * cash, -0.1 * cash]),
        "cash": draw.choice([0.1, 0.5, 2.0, -0.1, -0.5]) * cash,
    }[verb]
    return verb, amount


def more_intents(draw: random.Random, story: Any) -> list[tuple[Any, ...]]:
    """What a story asks for beside its orders at the market."""
    found: list[tuple[Any, ...]] = []
    often, names = draw.choice([0.05, 0.15, 0.4]), story.names
    acts = draw.choice([0.0, 0.01, 0.05, 0.1])
    for bar in range(story.bars):
        for name in names:
            if story.begins(name) > bar:
                continue
            if draw.random() < acts:
                verb, amount = action(draw, story.cash)
                found.append((bar, name, verb, amount, {}))
            if draw.random() > often:
                continue
            found += asked(draw, story, bar, name, len(found))
    return found


def asked(
    draw: random.Random, story: Any, bar: int, name: str, count: int
) -> list[tuple[Any, ...]]:
    """One resting order, bracket, pair of orders or withdrawal."""
    price = float(story.frames[name]["close"].iloc[0])
    unit = 1.0 / 100.0 * price if story.coin else 1.0 / price
    size = draw.choice([0.1, 0.5, 2.0, 8.0]) * draw.choice([1, -1]) * story.cash * unit
    buys, label, what = size > 0, f"{bar}/{name}/{count}", draw.random()
    if what < 0.15 and count:
        return (
            [(bar, name, "cancel", 0.0, {"order": draw.choice(story.labels)})]
            if story.labels
            else []
        )
    if what < 0.3:
        story.labels.append(label)
        return [(bar, name, "bracket", size, {**bracket(draw, buys), "label": label})]
    if what < 0.4:
        return [(bar, name, "close", 0.0, waiting_at_close(draw, story.step))]
    more = waiting(draw, buys, story.step)
    story.labels.append(label)
    one = (bar, name, "trade", size, {**more, "label": label})
    if what < 0.6 and more["exectype"] != bt.Order.Close:
        other = waiting(draw, not buys, story.step)
        if other["exectype"] != bt.Order.Close:
            return [one, (bar, name, "trade", -size, {**other, "oco": label})]
    return [one]


def waiting_at_close(draw: random.Random, step: int) -> dict[str, Any]:
    """A closing order that waits, on whichever side."""
    kind = draw.choice([bt.Order.Limit, bt.Order.Stop, bt.Order.Close])
    more: dict[str, Any] = {"exectype": kind, "price": 1.0 + draw.gauss(0, 0.02)}
    if draw.random() < 0.3:
        more["reduce_only"] = True
    return more
