"""The tape: what a strategy asked for, bar by bar, and a broker that writes it down.

An intent is what was meant ("half of my equity in BTC", "close it", "two coins more at 40 000"), not the
size it came to in the account at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bt_margin.engine.settings import valid_mode
from bt_margin.errors import BtMarginError
from bt_margin.plugin.broker import MarginBroker
from bt_margin.plugin.patience import patience
from bt_margin.studies.replay.intents import ACTIONS, AT_ONCE, TYPES, Fate, Intent, Tape, Terms
from bt_margin.studies.replay.layout import (
    ADD_CASH,
    ADD_MARGIN,
    AT_CLOSE,
    AT_LIMIT,
    AT_MARKET,
    CANCEL,
    EXPIRED,
    FILLED,
    IDLE,
    KINDS,
    MOVED,
    REDUCE_MARGIN,
    SET_LEVERAGE,
    SET_MODE,
    STOP_TRAIL,
    SWITCHED,
    TRADE,
    TRAIL_LIMIT,
)
from bt_margin.studies.replay.shares import MOST_STEPS, Share
from bt_margin.studies.replay.watch import Watch, plain

__all__ = ["Intent", "Tape", "TapeBroker"]

#: What an order may say of itself that the kernel does not know.
_TROUBLE = {"position_side", "coc", "histnotify", "simulated", "liquidation"}
#: Kinds of events that an obedient strategy has not been seen to live through.
_SURPRISES = {"rejected", "liquidation", "shortfall", "dead", "refused"}
_TRAILING = (STOP_TRAIL, TRAIL_LIMIT)
#: What backtrader's calls take after owner, feed and size, in that order.
_GIVEN = (
    "price", "plimit", "exectype", "valid", "tradeid", "oco", "trailamount", "trailpercent", "parent",
    "transmit", "histnotify", "_checksubmit",
)  # fmt: skip


class TapeBroker(MarginBroker):
    """A margin broker that writes down what strategies ask for.

    barren : it takes no order at all
    lenient : it says yes to margin that moves and modes that change, and leaves all of it in one pool
    """

    params: Any = (("tape", None), ("barren", False), ("lenient", False))

    def init(self) -> None:
        """As ever; the tape begins empty."""
        super().init()
        self._asking = self._stepping = False
        self._watched: list[Watch] = []
        self._tags: dict[int, int] = {}
        self._bracket: int | None = None
        self._parent_size: Any = 0.0

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

    def ask(
        self, data: Any, verb: int, amount: Any = 0.0, reduce_only: bool = False,
        terms: Terms = AT_ONCE, whole: bool = False,
    ) -> int:  # fmt: skip
        """Write down an intent; its number."""
        tape, bar = self.p.tape, self.bar()
        if bar < 0:
            tape.refuse("an order before the first bar")
        elif self.instrument(data).opened():
            tape.refuse("an order in a bar the account has not been through")
        symbol = str(self.name_of(data))
        if self._bracket is not None and (verb in ACTIONS or terms.family != self._bracket):
            tape.refuse("a bracket with something else in between")
        if isinstance(amount, Share):
            steps = amount.steps if amount.steps and len(amount.steps) <= MOST_STEPS else ()
            line = (amount.units, amount.share, amount.bar)
            one = Intent(bar, symbol, verb, *line, reduce_only, steps, terms, whole)
        else:
            number = float(amount)
            one = Intent(bar, symbol, verb, number, 0.0, 0, reduce_only, (), terms, whole)
        tape.intents.append(one)
        return len(tape.intents) - 1

    def terms_of(self, data: Any, said: dict[str, Any]) -> Terms:
        """How an order waits; refused where it is more than the kernel knows."""
        refuse, kind = self.p.tape.refuse, said.get("exectype") or 0
        for name in _TROUBLE & set(said):
            if said[name]:
                refuse(f"an order with {name}")
        if said.get("_checksubmit") is False:
            refuse("an order that is not checked")
        if kind not in range(len(TYPES)):
            refuse(f"an order of type {kind}")
            return AT_ONCE
        links = (self._group(said), self._family(said))
        if kind == AT_MARKET:
            return AT_ONCE._replace(group=links[0], family=links[1])
        if self.instrument(data).data is not data:
            refuse("a resting order on another feed than its market's own")
        return self._waiting(data, kind, said)._replace(group=links[0], family=links[1])

    def _waiting(self, data: Any, kind: int, said: dict[str, Any]) -> Terms:
        """Prices and times of a resting order, by backtrader's rules of what is said and what is not."""
        named = [said.get(name) for name in ("price", "plimit", "trailamount", "trailpercent")]
        if any(isinstance(number, Share) for number in named):
            self.p.tape.seen.note("a price was made of the equity")
        price, limit, trail, part = (float(plain(number) or 0.0) for number in named)
        if not price:
            price = limit or float(data.close[0])
        limit = limit or price
        if not all(math.isfinite(number) for number in (price, limit, trail, part)):
            self.p.tape.refuse("an order at a price that is none")
        valid = session = 0.0
        if said.get("valid") is not None or kind == AT_CLOSE:
            valid, session = patience(data, price, said.get("valid"))
        if kind not in _TRAILING:
            trail = part = 0.0
        marked = said.get("trigger") == "mark" and kind not in (AT_CLOSE, AT_LIMIT)
        part = 0.0 if trail else part
        return Terms(
            kind,
            price,
            limit,
            valid,
            session if kind == AT_CLOSE else 0.0,
            trail,
            part,
            marked,
        )

    def _group(self, said: dict[str, Any]) -> int:
        """The number of the order that leads the group, −1 when there is none."""
        other = said.get("oco")
        if other is None:
            return -1
        tag = self._tags.get(other.ref, -1)
        in_bracket = said.get("parent") is not None or not said.get("transmit", True)
        if tag < 0 or in_bracket or self.p.tape.intents[tag].terms.family >= 0:
            self.p.tape.refuse("an order with oco in or of a bracket")
            return -1
        if said.get("exectype") == AT_CLOSE:
            self.p.tape.refuse("an order for the close with oco")
        leader = self.p.tape.intents[tag].terms
        if leader.kind == AT_CLOSE:
            self.p.tape.refuse("an order for the close with oco")
        return leader.group if leader.group >= 0 else tag

    def _family(self, said: dict[str, Any]) -> int:
        """The number of the parent, −1 when there is none; a bracket is sent whole and in one piece."""
        parent, refuse = said.get("parent"), self.p.tape.refuse
        if parent is None:
            return -1
        tag = self._tags.get(parent.ref, -1)
        if tag < 0 or tag != self._bracket:
            refuse("a child sent after its parent")
        if said.get("exectype") == AT_CLOSE:
            refuse("an order for the close in a bracket")
        return tag

    def _sent(
        self, call: Callable[..., Any], sign: float, owner: Any, data: Any, size: Any,
        said: dict[str, Any],
    ) -> Any:  # fmt: skip
        tape: Tape | None = self.p.tape
        numbers, asked = {name: plain(number) for name, number in said.items()}, plain(size)
        if tape is None:
            return call(owner, data, asked, **numbers)
        if not self._asking:
            terms = self.terms_of(data, said)
            if terms.family >= 0 and asked == abs(said["parent"].size):
                size = self._parent_size  # as much as its parent, however much that is
            alone = terms.family < 0 and said.get("transmit", True) and terms.kind not in _TRAILING
            whole = alone and sign * asked == -self.getposition(data).size
            reduce_only = bool(said.get("reduce_only"))
            tag = self.ask(data, TRADE, sign * size, reduce_only, terms, whole)
            if terms.family < 0 and not said.get("transmit", True):
                self._bracket, self._parent_size = tag, size
            elif said.get("transmit", True):
                self._bracket = None
        order = call(owner, data, asked, **numbers)
        self._tags[order.ref] = len(tape.intents) - 1
        return order

    def buy(self, owner: Any, data: Any, size: Any, *given: Any, **kinds: Any) -> Any:
        """backtrader's own call, written down."""
        said = {**dict(zip(_GIVEN, given, strict=False)), **kinds}
        return self._sent(super().buy, 1.0, owner, data, size, said)

    def sell(self, owner: Any, data: Any, size: Any, *given: Any, **kinds: Any) -> Any:
        """backtrader's own call, written down."""
        said = {**dict(zip(_GIVEN, given, strict=False)), **kinds}
        return self._sent(super().sell, -1.0, owner, data, size, said)

    def cancel(self, order: Any, bracket: bool = False) -> bool:
        """backtrader's own call; what a strategy withdraws is written down, waiting or not."""
        tag = self._tags.get(order.ref)
        if self.p.tape is None or self._stepping or self._asking or tag is None:
            return super().cancel(order, bracket)
        self.ask(order.data, CANCEL, tag)
        self._asking = True
        try:
            return super().cancel(order, bracket)
        finally:
            self._asking = False

    # -- what is done to the account --------------------------------------------------------------

    def _act(self, what: Callable[[], Any], data: Any, verb: int, amount: Any) -> Any:
        """Write an action down and do it; one that is refused is more than a tape can hold."""
        tape: Tape | None = self.p.tape
        if tape is None:
            return what()
        if not self._running:
            tape.refuse("a change of the account before the run")
            return what()
        if isinstance(amount, Share) and verb == SET_LEVERAGE:
            amount = float(amount)
        self.ask(data if not isinstance(data, str) else self._feed(data), verb, amount)
        if self.p.lenient and verb in (SET_MODE, ADD_MARGIN, REDUCE_MARGIN):
            held = self.account.position(self._symbol(data))
            if held.size or verb == SET_MODE:
                return self.account.record(KINDS[SWITCHED if verb == SET_MODE else MOVED], held)
        try:
            return what()
        except BtMarginError as why:
            tape.refused = True
            tape.refuse(f"what its account refused: {why}")
            raise

    def _feed(self, symbol: str) -> Any:
        found = self._symbol(symbol)
        return next((q.data for q in self._instruments if q.symbol == found), symbol)

    def set_leverage(self, leverage: float, data: Any) -> Any:
        """As ever, written down."""
        call = super().set_leverage
        return self._act(lambda: call(plain(leverage), data), data, SET_LEVERAGE, leverage)

    def set_margin_mode(self, margin_mode: Any, data: Any) -> Any:
        """As ever, written down."""
        call, isolated = super().set_margin_mode, float(valid_mode(margin_mode) == "isolated")
        return self._act(lambda: call(margin_mode, data), data, SET_MODE, isolated)

    def add_margin(self, data: Any, amount: float, position_side: str | None = None) -> Any:
        """As ever, written down."""
        call = super().add_margin
        return self._act(lambda: call(data, plain(amount), position_side), data, ADD_MARGIN, amount)

    def reduce_margin(self, data: Any, amount: float, position_side: str | None = None) -> Any:
        """As ever, written down."""
        call = super().reduce_margin
        return self._act(
            lambda: call(data, plain(amount), position_side), data, REDUCE_MARGIN, amount
        )

    def add_cash(self, cash: float, currency: str | None = None) -> None:
        """As ever, written down."""
        call = super().add_cash
        self._act(lambda: call(plain(cash), currency), self.cerebro.datas[0], ADD_CASH, cash)

    # -- what becomes of it -----------------------------------------------------------------------

    def admit(self, order: Any) -> bool:
        """As ever, or nothing at all."""
        if self.p.barren:
            order.addinfo(reason="margin", found=0.0, allowed=0.0)
            return False
        return super().admit(order)

    def _fared(self, order: Any, how: int) -> None:
        tag = self._tags.get(order.ref)
        if self.p.tape is not None and tag is not None:
            self.p.tape.fates.append(Fate(self.bar() + 1, tag, how))

    def notify(self, order: Any) -> None:
        """As ever; a filled order is noted."""
        if order.status == order.Completed:
            self._fared(order, FILLED)
        super().notify(order)

    def _end(self, order: Any, how: Any) -> None:
        if how == order.cancel:
            self._fared(order, IDLE)
        super()._end(order, how)

    def _drop(self, order: Any) -> None:
        self._fared(order, EXPIRED)
        super()._drop(order)

    def next(self) -> None:
        """One pass of the broker, its surprises noted."""
        self._stepping = True
        tape: Tape | None = self.p.tape
        if not self._watched and tape is not None:
            self._watched = [Watch(strategy, self) for strategy in self.cerebro.runningstrats]
        if self._bracket is not None and tape is not None:
            tape.refuse("a bracket that is not sent whole")
        before = len(self.account.events)
        super().next()
        self._stepping = False
        if tape is None or len(self.account.events) == before:
            return
        kinds = {event.kind for event in self.account.events[before:]}
        tape.liquidated = tape.liquidated or "liquidation" in kinds
        if tape.surprised is None and kinds & _SURPRISES:
            tape.surprised = self.bar()


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


for _name in ("set_cash", "setcash"):
    setattr(TapeBroker, _name, _refusing(_name))
for _name in ("preview", "fetch_positions", "fetch_balance", "get_leverage"):
    setattr(TapeBroker, _name, _looked(_name))
