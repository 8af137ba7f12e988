"""A strategy's own words for orders, seen before they become sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bt_margin.studies.replay.layout import CLOSE_ALL, CLOSE_PART, TARGET_SIZE, TARGET_VALUE
from bt_margin.studies.replay.shares import Share


def plain(number: Any) -> Any:
    """A share as its value; anything else as it is."""
    return number.plain() if isinstance(number, Share) else number


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

    def _ask(self, data: Any, verb: int, amount: Any, kinds: dict[str, Any]) -> None:
        """Write an intent down, unless it is a part of one."""
        broker, data = self.broker, self._data(data)
        if broker._asking:
            return
        if kinds.get("parent") is not None or not kinds.get("transmit", True):
            broker.p.tape.refuse("a bracket whose size depends on the position")
        if kinds.get("trailamount") or kinds.get("trailpercent"):
            broker.p.tape.refuse("a trailing stop whose size depends on the position")
        reduce_only = bool(kinds.get("reduce_only"))
        broker.ask(data, verb, amount, reduce_only, broker.terms_of(data, kinds))

    def order_target_size(self, original: Any) -> Any:
        """``order_target_size``, written down."""

        def wrapped(data: Any = None, target: Any = 0, **kinds: Any) -> Any:
            self._ask(data, TARGET_SIZE, target, kinds)
            return self._nested(lambda: original(data=data, target=plain(target), **kinds))

        return wrapped

    def order_target_value(self, original: Any) -> Any:
        """``order_target_value``, written down."""

        def wrapped(data: Any = None, target: Any = 0.0, price: Any = None, **kinds: Any) -> Any:
            if price is not None:
                self.broker.p.tape.refuse("a target value at a price of its own")
            self._ask(data, TARGET_VALUE, target, kinds)
            return self._nested(
                lambda: original(data=data, target=plain(target), price=plain(price), **kinds)
            )

        return wrapped

    def order_target_percent(self, original: Any) -> Any:
        """``order_target_percent``: a target value that is a share of the equity."""

        def wrapped(data: Any = None, target: Any = 0.0, **kinds: Any) -> Any:
            if not self.broker._asking:
                if kinds.get("price") is not None:
                    self.broker.p.tape.refuse("a target value at a price of its own")
                self._ask(data, TARGET_VALUE, target * self.broker.getvalue(), kinds)
            return self._nested(lambda: original(data=data, target=plain(target), **kinds))

        return wrapped

    def close(self, original: Any) -> Any:
        """``close``, of all or of a part."""

        def wrapped(data: Any = None, size: Any = None, **kinds: Any) -> Any:
            verb = CLOSE_ALL if size is None else CLOSE_PART
            self._ask(data, verb, size or 0.0, kinds)
            return self._nested(lambda: original(data=data, size=plain(size), **kinds))

        return wrapped
