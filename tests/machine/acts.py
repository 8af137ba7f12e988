"""What strategies of the machine do: every kind of order, and everything else an account can be asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import backtrader as bt
from machine.story import Act, Story

from bt_margin.errors import Refused

Order = bt.Order


class Aim(NamedTuple):
    """Where an act points: a feed, its last price, a side, a size, and how it is sent."""

    data: Any
    price: float
    sign: int
    size: float
    send: Callable[..., Any]
    away: float
    pick: int
    share: float
    side: str | None

    @property
    def info(self) -> dict[str, Any]:
        """What an order or question says of its side."""
        return {} if self.side is None else {"position_side": self.side}

    def share_of(self, whole: float) -> float:
        """A part of something, never nothing."""
        return min(1.0, abs(self.share)) * whole + 1e-6

    def beyond(self, times: float = 1.0) -> float:
        """A price on the far side: where stops go."""
        return self.price * (1 + self.sign * self.away * times)

    def before(self, times: float = 1.0) -> float:
        """A price on the near side: where limits go."""
        return self.price * (1 - self.sign * self.away * times)


def aim(s: Any, act: Act) -> Aim | None:
    """The act in numbers; None for a feed that has not begun."""
    data = s.datas[act.on % len(s.datas)]
    if not len(data):
        return None
    position = s.broker.instrument(data).position
    price = data.close[0]
    if not price > 0.0:  # a bar without prices
        price = position.mark or s.p.story.setup.place.markets[position.symbol]
    home, worth = s.broker.account.home(position), position.contract.notional(1.0, price)
    least = 0.02 * s.p.story.wallet(home.currency)
    room = max(s.broker.account.available(home), least) * position.leverage / worth
    size = max(abs(act.share) * room, 1e-4)
    if act.pick % 4 == 3 and size >= 1.0:
        size = int(size)  # whole sizes stay whole
    sign, side = (1 if act.share >= 0 else -1), side_of(s.p.story, act)
    info = {} if side is None else {"position_side": side}
    send = partial(s.buy if sign > 0 else s.sell, **info)
    return Aim(data, price, sign, size, send, act.away, act.pick, act.share, side)


def side_of(story: Story, act: Act) -> str | None:
    """The side of a symbol an act is for where sides are held: mostly its own, now and then none."""
    if not story.hedge or act.pick == 5:
        return None
    return "long" if (act.share >= 0) != (act.pick in (2, 6)) else "short"


# -- orders ---------------------------------------------------------------------------------------------


def market(s: Any, a: Aim) -> Any:
    return a.send(a.data, size=a.size, tradeid=a.pick % 3)


def at_close(s: Any, a: Aim) -> Any:
    return a.send(a.data, size=a.size, exectype=Order.Close)


def limit(s: Any, a: Aim) -> Any:
    return a.send(a.data, size=a.size, exectype=Order.Limit, price=a.before())


def limit_valid(s: Any, a: Aim) -> Any:
    now = a.data.datetime.datetime(0)
    hours = dt.timedelta(hours=a.pick)
    until = (0, hours, now + hours, now, dt.timedelta(days=2))[a.pick % 5]
    return a.send(a.data, size=a.size, exectype=Order.Limit, price=a.before(), valid=until)


def stop(s: Any, a: Aim) -> Any:
    return a.send(a.data, size=a.size, exectype=Order.Stop, price=a.beyond(), **marked(a))


def stop_limit(s: Any, a: Aim) -> Any:
    bound = a.beyond((1.5, 1.0, 0.5)[a.pick % 3])
    kind = Order.StopLimit
    return a.send(
        a.data, size=a.size, exectype=kind, price=a.beyond(), plimit=bound, **marked(a)
    )  # fmt: skip


def trail(s: Any, a: Aim) -> Any:
    by = {"trailpercent": abs(a.away)} if a.pick % 4 < 2 else {"trailamount": abs(a.away) * a.price}
    return a.send(a.data, size=a.size, exectype=Order.StopTrail, **by, **marked(a))


def trail_limit(s: Any, a: Aim) -> Any:
    kind, by = Order.StopTrailLimit, abs(a.away) * a.price
    return a.send(
        a.data, size=a.size, exectype=kind, price=a.price, plimit=a.beyond(0.5), trailamount=by
    )  # fmt: skip


def bracket(s: Any, a: Aim) -> Any:
    send, by = (s.buy_bracket if a.sign > 0 else s.sell_bracket), abs(a.away)
    send = partial(send, **a.info)
    kind = (Order.Limit, Order.Market, Order.Stop)[a.pick % 3]
    orders = send(
        data=a.data, size=a.size, exectype=kind, price=a.price * (1 - a.sign * a.away / 2),
        limitprice=a.price * (1 + a.sign * (0.002 + by)),
        stopprice=a.price * (1 - a.sign * (0.002 + by)),
    )  # fmt: skip
    s.life.brackets.append(orders)
    return orders


def oco(s: Any, a: Aim) -> Any:
    one = a.send(a.data, size=a.size, exectype=Order.Limit, price=a.before())
    two = a.send(a.data, size=a.size, exectype=Order.Stop, price=a.beyond(), oco=one)
    orders = [one, two]
    if a.pick % 2:
        far = a.before(2.0)
        orders.append(a.send(a.data, size=a.size, exectype=Order.Limit, price=far, oco=two))
    s.life.groups.append(orders)
    return orders


def reduce_only(s: Any, a: Aim) -> Any:
    kind = (Order.Market, Order.Limit, Order.Stop, Order.Close)[a.pick % 4]
    price = a.beyond() if kind == Order.Stop else a.before()
    return a.send(a.data, size=a.size, exectype=kind, price=price, reduce_only=True)


def exits(s: Any, a: Aim) -> Any:
    """Stop and limit around what is held, as scripts protect a position."""
    held = s.broker.getposition(a.data, a.side).size
    if not held:
        return None
    send, up = partial(s.sell if held > 0 else s.buy, **a.info), (1 if held > 0 else -1)
    by = abs(a.away) + 0.001
    one = send(
        a.data, size=abs(held), exectype=Order.Stop, price=a.price * (1 - up * by), **marked(a)
    )
    two = send(
        a.data, size=abs(held), exectype=Order.Limit, price=a.price * (1 + up * by), oco=one
    )  # fmt: skip
    s.life.groups.append([one, two])
    return [one, two]


def close(s: Any, a: Aim) -> Any:
    return s.close(a.data, **a.info)


def target_size(s: Any, a: Aim) -> Any:
    return s.order_target_size(a.data, target=a.sign * a.size, **a.info)


def target_value(s: Any, a: Aim) -> Any:
    return s.order_target_value(a.data, target=a.sign * 0.5 * a.size * a.price, **a.info)


def target_percent(s: Any, a: Aim) -> Any:
    return s.order_target_percent(a.data, target=a.sign * (a.pick + a.away), **a.info)


def absurd(s: Any, a: Aim) -> Any:
    """What no venue takes, and what scripts send all the same when their arithmetic fails."""
    size = (a.size * 1e6, 1e-12, float("nan"), float("inf"), a.size, a.size, a.size, a.size)[a.pick]
    price = {4: float("nan"), 5: -a.price, 6: 1e-9, 7: a.price * 1e6}.get(a.pick, a.before())
    kind = Order.Stop if a.away > 0 else Order.Limit
    return a.send(a.data, size=size, exectype=kind, price=price)


def marked(a: Aim) -> dict[str, str]:
    """Half of the stops look at the mark."""
    return {"trigger": "mark"} if a.pick % 2 else {}


# -- the rest -------------------------------------------------------------------------------------------


def cancel(s: Any, a: Aim) -> None:
    """Any order of the run, in whatever state it is."""
    if s.mine:
        s.cancel(s.mine[-1 - (a.pick * a.pick) % len(s.mine)])


def cancel_all(s: Any, a: Aim) -> None:
    for order in s.broker.get_orders_open():
        s.cancel(order)


def leverage(s: Any, a: Aim) -> None:
    step = s.broker.account.venue.leverage_step or 0.0
    s.broker.set_leverage((1, 2, 5, 10, 20, 50, 125, 7.5 if step < 0.5 else 7)[a.pick], a.data)


def margin_mode(s: Any, a: Aim) -> None:
    s.broker.set_margin_mode(("cross", "isolated")[a.pick % 2], a.data)


def add_margin(s: Any, a: Aim) -> None:
    s.broker.add_margin(a.data, a.share_of(max(0.0, home(s, a)[1])), held_side(s, a))


def reduce_margin(s: Any, a: Aim) -> None:
    side = held_side(s, a)
    pool = s.broker.account.risk(s.broker.side_of(home(s, a)[0], side))
    s.broker.reduce_margin(a.data, a.share_of(0.25 * max(0.0, pool.equity)), side)


def held_side(s: Any, a: Aim) -> str | None:
    """The side an act is for, but none of a symbol that is held one way."""
    return None if s.broker.instrument(a.data).position.size else a.side


def home(s: Any, a: Aim) -> tuple[str, float]:
    """The symbol, and what is free in the wallet that it is margined from."""
    quote = s.broker.instrument(a.data)
    return quote.symbol, s.broker.account.available(s.broker.account.home(quote.position))


def wallet(s: Any, a: Aim) -> tuple[str | None, float, float]:
    """One of the wallets and pledged coins: its name (None: the only one), what it began with, what is in."""
    given = s.p.story.setup.place.wallets
    unit, began = list(given.items())[a.pick % len(given)]
    account = s.broker.account
    pool = account.vault.get(unit) or account.wallets.get(unit) or account.cross
    free = s.broker.getcash() if unit == "" else pool.balance
    return unit or None, began, max(0.0, free)


def deposit(s: Any, a: Aim) -> None:
    unit, began, _ = wallet(s, a)
    s.broker.add_cash(a.share_of(0.2 * began), unit)


def withdraw(s: Any, a: Aim) -> None:
    unit, _, held = wallet(s, a)
    s.broker.add_cash(-a.share_of(0.8 * held), unit)


def preview(s: Any, a: Aim) -> None:
    s.life.previewed(s, a)


def ask(s: Any, a: Aim) -> None:
    """Everything a script may look at, which must change nothing."""
    broker = s.broker
    broker.fetch_positions()
    broker.fetch_positions(s.datas)
    broker.fetch_balance()
    broker.get_value(s.datas)
    broker.get_value(mkt=True)
    broker.get_leverage()
    broker.get_orders_open(safe=True)
    _ = (broker.fidelity, broker.fundvalue, broker.fundshares, broker.account.snapshot())


ORDERS = (
    "market", "market", "at_close", "limit", "limit_valid", "stop", "stop_limit", "trail",
    "trail_limit", "bracket", "oco", "reduce_only", "exits", "exits", "close", "close",
    "target_size", "target_value", "target_percent",
)  # fmt: skip
OTHERS = (
    "ask", "preview", "preview", "cancel", "cancel", "cancel_all", "cancel_all", "cancel_all",
    "leverage", "margin_mode",
    "margin_mode", "add_margin", "add_margin", "reduce_margin", "deposit", "withdraw", "absurd",
)  # fmt: skip


def do(s: Any, act: Act) -> None:
    """Carry out an act; what the venue refuses is an event."""
    found = aim(s, act)
    if found is None:
        return
    s.life.done[act.name] += 1
    if s.broker.account.dead and act.pick == 0:
        for unit, began in s.p.story.setup.place.wallets.items():
            s.broker.add_cash(began, unit or None)  # sooner or later somebody pays in
    with suppress(Refused):
        sent = globals()[act.name](s, found)
        s.mine += [o for o in (sent if isinstance(sent, list) else [sent]) if o is not None]
        del s.mine[:-40]
