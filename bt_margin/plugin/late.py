"""A strategy that begins in the middle of its data: bars before the start warm it up, none is traded there.

Indicators need bars before their first value. So the data begins some time before the start, and until then
the strategy is given bars but no orders leave it: ``buy`` and ``sell`` (and all that stands on them:
``close``, ``order_target_*``, brackets) give ``None``, as backtrader itself does for an order of size zero.
The broker, its prices, funding and liquidations are what they always are; there is just nothing held.
"""

from __future__ import annotations

from typing import Any

from bt_margin.plugin.instrument import to_ms

#: The strategy lives through the warm-up as it lives through history, and only its orders are held back:
#: from the start on it decides as in a run over the whole history, if its decisions do not depend on the
#: account and the warm-up reaches as far back as its memory.
JOINS = "joins"
#: The strategy's ``next`` is not called before the start: it begins there with ready indicators and no
#: memory, as a program that is started at that moment.
FRESH = "fresh"
BEGINNINGS = (JOINS, FRESH)


def late(strategy: type[Any], start: int, begin: str) -> type[Any]:
    """The strategy as a class that trades from the first bar that opens at ``start`` (UTC ms) on.

    ``begin`` is one of :data:`BEGINNINGS`. The bar at ``start`` is the first whose close it may act on, so
    its first order fills one bar later. Orders given to the broker directly are not held back.
    """

    def begun(self: Any) -> bool:
        return bool(to_ms(self.lines.datetime[0]) >= start)

    def buy(self: Any, *args: Any, **kwargs: Any) -> Any:
        return strategy.buy(self, *args, **kwargs) if begun(self) else None

    def sell(self: Any, *args: Any, **kwargs: Any) -> Any:
        return strategy.sell(self, *args, **kwargs) if begun(self) else None

    def status(self: Any) -> int:
        """Below 0: ``next``, 0: ``nextstart``, above: ``prenext``; as backtrader counts."""
        lacking = int(strategy._getminperstatus(self))
        if lacking <= 0 and not begun(self):
            lacking = 1
        elif lacking <= 0 and not vars(self).get("_late_began"):
            self._late_began = True
            lacking = 0
        self._minperstatus = lacking
        return lacking

    own: dict[str, Any] = {"buy": buy, "sell": sell, "__doc__": strategy.__doc__}
    own |= {"__module__": strategy.__module__, "__qualname__": strategy.__qualname__}
    own |= {"_getminperstatus": status} if begin == FRESH else {}
    kind: Any = type(strategy)  # backtrader's metaclass
    found: type[Any] = kind(strategy.__name__, (strategy,), own)
    return found
