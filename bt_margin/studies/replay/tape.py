"""The tape: what a strategy asked for, bar by bar, and a broker that writes it down.

An intent is what was meant ("half of my equity in BTC", "close it", "two coins more"), not the size it came
to in the account at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bt_margin.plugin.broker import MarginBroker
from bt_margin.studies.replay.layout import (
    CLOSE_ALL,
    CLOSE_PART,
    TARGET_SIZE,
    TARGET_VALUE,
    TRADE,
    VERBS,
)
from bt_margin.studies.replay.shares import MOST_STEPS, Seen, Share, Steps

#: What an order may say of itself that makes it more than an order at the market.
_TROUBLE = {"position_side", "trigger", "coc", "histnotify", "simulated", "liquidation"}

#: backtrader's types of orders, by number.
_TYPES = (
    "Market",
    "Close",
    "Limit",
    "Stop",
    "StopLimit",
    "StopTrail",
    "StopTrailLimit",
    "Historical",
)


class Intent(NamedTuple):
    """One thing asked for at the close of a bar: units + share · equity at the close of ``share_bar``."""

    bar: int
    symbol: str
    verb: int
    units: float = 0.0
    share: float = 0.0
    share_bar: int = 0
    reduce_only: bool = False
    steps: Steps = ()

    def __str__(self) -> str:
        amount = (
            f"{self.units:g}" if not self.share else f"{self.units:g} + {self.share:g} of equity"
        )
        return f"bar {self.bar}: {VERBS[self.verb]} {self.symbol} {amount}"

    def like(self, other: Intent) -> bool:
        """Whether the two ask for the same."""
        return self[:3] == other[:3] and self[5:7] == other[5:7] and all(
            math.isclose(a, b, rel_tol=1e-12, abs_tol=0.0) for a, b in zip(self[3:5], other[3:5], strict=True)
        )  # fmt: skip


@dataclass
class Tape:
    """The intents of one run, and what it did that no tape can hold.

    ``beyond`` the first thing asked for that the kernel does not do ("": none); ``seen`` what the strategy
    has looked at; ``surprised`` the bar of the first refusal or liquidation, None when there was none.
    """

    intents: list[Intent] = field(default_factory=list)
    beyond: str = ""
    seen: Seen = field(default_factory=Seen)
    surprised: int | None = None

    def refuse(self, why: str) -> None:
        """Note something no tape can hold."""
        self.beyond = self.beyond or why

    def first_difference(self, other: Tape, until: int | None = None) -> str:
        """The first intent in which two tapes differ before a bar, in words; "" when they do not."""
        one, two = ([i for i in t.intents if until is None or i.bar < until] for t in (self, other))
        for a, b in zip(one, two, strict=False):
            if not a.like(b):
                return f"{a}, in the other account {b}"
        if len(one) != len(two):
            longer = one if len(one) > len(two) else two
            return f"{longer[min(len(one), len(two))]}, in the other account nothing"
        return ""


class TapeBroker(MarginBroker):
    """A margin broker that writes down what strategies ask for."""

    params: Any = (("tape", None),)

    def init(self) -> None:
        """As ever; the tape begins empty."""
        super().init()
        self._asking = False
        self._watched: list[Watch] = []

    def bar(self) -> int:
        """The number of the bar the account has been through."""
        return len(self.equity_curve[0]) - 1

    # -- what is asked of the account -------------------------------------------------------------

    def get_value(self, datas: Any = None, mkt: bool = False, lever: bool = False) -> Any:
        """The equity as a share of itself."""
        found = super().get_value(datas, mkt, lever)
        tape: Tape | None = self.p.tape
        if datas is not None or mkt or tape is None or self._asking or self.bar() < 0:
            return found
        return Share.of(found, self.bar(), tape.seen)

    getvalue = get_value

    def look(self, what: str) -> None:
        """Note that the strategy has looked at its account."""
        if self.p.tape is not None and not self._asking:
            self.p.tape.seen.note(what)

    # -- what is asked for ------------------------------------------------------------------------

    def ask(self, data: Any, verb: int, amount: Any = 0.0, reduce_only: bool = False) -> None:
        """Write down an intent."""
        tape, symbol, bar = self.p.tape, str(self.name_of(data)), self.bar()
        if bar < 0:
            tape.refuse("an order before the first bar")
        if isinstance(amount, Share):
            steps = amount.steps if amount.steps and len(amount.steps) <= MOST_STEPS else ()
            one = Intent(
                bar, symbol, verb, amount.units, amount.share, amount.bar, reduce_only, steps
            )
        else:
            one = Intent(bar, symbol, verb, float(amount), 0.0, 0, reduce_only)
        tape.intents.append(one)

    def check(self, kinds: dict[str, Any]) -> None:
        """Refuse what is more than an order at the market."""
        refuse = self.p.tape.refuse
        kind = kinds.get("exectype")
        if kind not in (None, 0):
            refuse(f"an order of type {_TYPES[kind] if kind in range(len(_TYPES)) else kind}")
        for name in ("valid", "oco", "parent", "trailamount", "trailpercent"):
            if kinds.get(name) is not None:
                refuse(f"an order with {name}")
        if not kinds.get("transmit", True):
            refuse("an order of a bracket")
        for name in _TROUBLE & set(kinds):
            if kinds[name]:
                refuse(f"an order with {name}")

    def _sent(self, sign: float, data: Any, size: Any, kinds: dict[str, Any]) -> None:
        if self.p.tape is not None and not self._asking:
            self.check(kinds)
            self.ask(data, TRADE, sign * size, bool(kinds.get("reduce_only")))

    def buy(self, owner: Any, data: Any, size: Any, *given: Any, **kinds: Any) -> Any:
        """backtrader's own call, written down."""
        self._sent(1.0, data, size, kinds)
        numbers = [plain(number) for number in given]
        named = {name: plain(number) for name, number in kinds.items()}
        return super().buy(owner, data, plain(size), *numbers, **named)

    def sell(self, owner: Any, data: Any, size: Any, *given: Any, **kinds: Any) -> Any:
        """backtrader's own call, written down."""
        self._sent(-1.0, data, size, kinds)
        numbers = [plain(number) for number in given]
        named = {name: plain(number) for name, number in kinds.items()}
        return super().sell(owner, data, plain(size), *numbers, **named)

    def cancel(self, order: Any, bracket: bool = False) -> bool:
        """backtrader's own call; a strategy that withdraws a waiting order cannot be replayed."""
        running = getattr(self._matching, "walking", False)
        done = super().cancel(order, bracket)
        if done and not running and self.p.tape is not None and self._strategy_acts():
            self.p.tape.refuse("a cancelled order")
        return done

    def _strategy_acts(self) -> bool:
        """Whether the broker is not at work itself."""
        return not getattr(self, "_stepping", False)

    def next(self) -> None:
        """One pass of the broker, its surprises noted."""
        self._stepping = True
        if not self._watched and self.p.tape is not None:
            self._watched = [Watch(strategy, self) for strategy in self.cerebro.runningstrats]
        before = len(self.account.events)
        super().next()
        self._stepping = False
        tape: Tape | None = self.p.tape
        if tape is not None and tape.surprised is None:
            for event in self.account.events[before:]:
                if event.kind in ("rejected", "liquidation", "shortfall", "dead"):
                    tape.surprised = self.bar()
                    break


def plain(number: Any) -> Any:
    """A share as its value; anything else as it is."""
    return number.plain() if isinstance(number, Share) else number


def _refusing(name: str) -> Callable[..., Any]:
    """A call of the broker that no tape can hold."""
    original = getattr(MarginBroker, name)

    def refused(self: Any, *given: Any, **named: Any) -> Any:
        if self.p.tape is not None and self._running:
            self.p.tape.refuse(f"a call of {name}")
        return original(self, *given, **named)

    return refused


def _looked(name: str) -> Callable[..., Any]:
    """A call of the broker that looks at the account."""
    original = getattr(MarginBroker, name)

    def looked(self: Any, *given: Any, **named: Any) -> Any:
        self.look(f"a call of {name}")
        return original(self, *given, **named)

    return looked


for _name in (
    "set_leverage",
    "set_margin_mode",
    "add_margin",
    "reduce_margin",
    "add_cash",
    "set_cash",
):
    setattr(TapeBroker, _name, _refusing(_name))
for _name in ("preview", "fetch_positions", "fetch_balance", "get_leverage"):
    setattr(TapeBroker, _name, _looked(_name))


class Watch:
    """Sees a strategy's own words for orders before they become sizes."""

    def __init__(self, strategy: Any, broker: Any) -> None:
        self.strategy, self.broker = strategy, broker
        for name in ("order_target_size", "order_target_value", "order_target_percent", "close"):
            setattr(strategy, name, getattr(self, name)(getattr(strategy, name)))

    def _nested(self, call: Callable[[], Any]) -> Any:
        """Call backtrader's own method, whose orders are the intent already written down."""
        before, self.broker._asking = self.broker._asking, True
        try:
            return call()
        finally:
            self.broker._asking = before

    def _data(self, data: Any) -> Any:
        if data is None:
            return self.strategy.data
        return self.strategy.getdatabyname(data) if isinstance(data, str) else data

    def order_target_size(self, original: Any) -> Any:
        """``order_target_size``, written down."""

        def wrapped(data: Any = None, target: Any = 0, **kinds: Any) -> Any:
            if not self.broker._asking:
                self.broker.check(kinds)
                self.broker.ask(
                    self._data(data), TARGET_SIZE, target, bool(kinds.get("reduce_only"))
                )
            return self._nested(lambda: original(data=data, target=plain(target), **kinds))

        return wrapped

    def order_target_value(self, original: Any) -> Any:
        """``order_target_value``, written down."""

        def wrapped(data: Any = None, target: Any = 0.0, price: Any = None, **kinds: Any) -> Any:
            if not self.broker._asking:
                self.broker.check(kinds)
                if price is not None:
                    self.broker.p.tape.refuse("a target value at a price of its own")
                self.broker.ask(
                    self._data(data), TARGET_VALUE, target, bool(kinds.get("reduce_only"))
                )
            return self._nested(
                lambda: original(data=data, target=plain(target), price=plain(price), **kinds)
            )

        return wrapped

    def order_target_percent(self, original: Any) -> Any:
        """``order_target_percent``: a target value that is a share of the equity."""

        def wrapped(data: Any = None, target: Any = 0.0, **kinds: Any) -> Any:
            if not self.broker._asking:
                self.broker.check(kinds)
                if kinds.get("price") is not None:
                    self.broker.p.tape.refuse("a target value at a price of its own")
                whole = target * self.broker.getvalue()
                self.broker.ask(
                    self._data(data), TARGET_VALUE, whole, bool(kinds.get("reduce_only"))
                )
            return self._nested(lambda: original(data=data, target=plain(target), **kinds))

        return wrapped

    def close(self, original: Any) -> Any:
        """``close``, of all or of a part."""

        def wrapped(data: Any = None, size: Any = None, **kinds: Any) -> Any:
            if not self.broker._asking:
                self.broker.check(kinds)
                verb = CLOSE_ALL if size is None else CLOSE_PART
                self.broker.ask(self._data(data), verb, size or 0.0, bool(kinds.get("reduce_only")))
            return self._nested(lambda: original(data=data, size=plain(size), **kinds))

        return wrapped
