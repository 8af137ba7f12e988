"""Calm: stretches of bars in which nothing can happen to the account, gone through almost for free.

When no order waits, the preloaded bars ahead tell how far every held mark will move. A stretch is safe when
no pool can come near its requirement or a margin call even if all marks stood at their worst of the whole
stretch at once (:func:`~bt_margin.engine.bound.harmless`), and when nothing falls due in it: no settlement
of a held symbol, no new tier table, no end of a market. Each of its bars then moves the held marks to the
close and writes its row; everything else would have found nothing to do. An order, a change of the account
or the end of the stretch brings back the full bar contract, with the same outcome as if it had never been
left.

All feeds that have bars in view have them at the same times. The view widens from one to the next and narrows
where it shows danger; then some bars pass before the next look, so a market in danger costs what it always
did.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import nextafter
from typing import TYPE_CHECKING, Any

from bt_margin.engine.bound import harmless
from bt_margin.plugin.foreseen import DAY_MS, EPOCH

if TYPE_CHECKING:
    from bt_margin.engine.events import Event
    from bt_margin.engine.pool import Position
    from bt_margin.plugin.broker import MarginBroker
    from bt_margin.plugin.instrument import Instrument


INF = float("inf")
SHORTEST, FIRST, PAUSE = 8, 32, 64
"""Bars of the shortest look ahead and of the first; the most bars between two looks that found danger."""


class Calm:
    """The calm stretch a broker is in, if it is in one.

    ``view`` are the feeds with bars before the ``horizon``, each with the place behind its last one there,
    and ``ranges`` how far held marks move on the way; the next view takes in ``length`` bars. The stretch is
    ``bars`` long, ``place`` of them are lived; ``clock`` is the line of times that counts them, from ``base``
    on. ``pause`` and ``rest`` are how many bars it waits after danger.
    """

    longest = 4096
    """The most bars looked ahead; 0 leaves every bar to the full contract."""

    __slots__ = (
        "bars",
        "base",
        "behind",
        "broker",
        "clock",
        "equity",
        "events",
        "held",
        "horizon",
        "known",
        "length",
        "numbers",
        "on",
        "pause",
        "place",
        "quotes",
        "ranges",
        "rest",
        "size",
        "view",
    )

    def __init__(self, broker: MarginBroker) -> None:
        self.broker = broker
        self.on = False
        self.length, self.pause, self.rest = FIRST, 1, 0
        self.bars = self.base = self.place = self.behind = self.known = 0
        self.clock: Any = None
        self.numbers: Any = ()
        self.equity: float | None = None
        self.events: Sequence[Event] = ()
        self.horizon, self.size = 0.0, 0
        self.view: Sequence[tuple[Instrument, int]] = ()
        self.ranges: dict[str, tuple[float, float]] = {}
        self.held: Sequence[tuple[Position, Any, int]] = ()
        self.quotes: Sequence[Instrument] = ()

    def through(self) -> bool:
        """Go through a bar in which nothing can happen; False when something might."""
        broker = self.broker
        if broker.pending or broker.submitted or broker._toactivate or broker._cash_addition:
            self.leave()
            return False
        if self.on:
            if len(self.events) != self.known:
                self.leave()
                return False
        elif self.rest:
            self.rest -= 1
            return False
        elif not self.look():
            return False
        count = self.clock.lencount
        place = count - self.base
        if place != self.place + 1 or place > self.bars:
            self.leave()
            return False
        self.place = place
        time = round((self.numbers[count - 1] - EPOCH) * DAY_MS) - self.behind
        if self.equity is not None and time > broker._time:  # flat: the row before, repeated
            broker._time = broker.account.time = time
            times, values = broker.equity_curve
            times.append(time)
            values.append(self.equity)
            return True
        if time > broker._time:
            broker._time = broker.account.time = time
        for p, closes, before in self.held:
            p.mark = p.low = p.high = closes[before + place]
        broker._close_books()
        if not self.held:
            self.equity = broker.equity_curve[1][-1]
        return True

    # -- where a stretch begins and ends --------------------------------------------------------

    def prove(self) -> bool:
        """Whether stretches are possible at all: every feed is loaded in advance, and sound."""
        possible = self.longest and self.broker.may_be_calm()
        return bool(possible) and all(q.proved() for q in self.broker._instruments)

    def look(self) -> bool:
        """Whether a calm stretch begins here."""
        broker = self.broker
        quotes = broker._instruments
        if not broker._ready:
            return False
        held = [quote for quote in quotes if quote.position.size]
        if not (self.prove() and all(q.watchable() for q in held)):
            self.rest = PAUSE
            return False
        coming = [quote for quote in quotes if quote.passed < quote.reach]
        if not coming:
            return False
        clock = min(coming, key=_next_time)
        seen = clock.numbers[clock.passed] < self.horizon and len(quotes) == self.size
        if not (seen or self._look_ahead(clock, coming)):
            return self._danger()
        bars = self._bars(held)
        if not bars:
            return False
        moving = [(quote, last) for quote, last in self.view if quote.position.size]
        reach = {quote.symbol: self._range(quote, last) for quote, last in moving}
        sound = all(0.0 < low <= high < INF for low, high in reach.values())
        if not (sound and harmless(broker.account, reach)):
            return self._danger()
        self._begin(bars)
        return True

    def _danger(self) -> bool:
        self.horizon, self.length = 0.0, max(SHORTEST, self.length // 4)
        self.rest, self.pause = self.pause, min(PAUSE, 2 * self.pause)
        return False

    def _look_ahead(self, clock: Instrument, coming: Sequence[Instrument]) -> bool:
        """Take the next ``length`` bars into view; False when the feeds are not in step there."""
        last = min(clock.passed + self.length, clock.reach) - 1
        self.horizon = horizon = nextafter(clock.numbers[last], INF)
        ends = [(q, bisect_left(q.numbers, horizon, q.passed, q.reach)) for q in coming]
        self.view = [(quote, end) for quote, end in ends if end > quote.passed]
        self.size, self.ranges = len(self.broker._instruments), {}
        self.length = min(self.longest, 2 * self.length)
        return _in_step(self.view)

    def _bars(self, held: Sequence[Instrument]) -> int:
        """How many of the bars in view come before anything falls due."""
        broker = self.broker
        due = min([broker.account.next_rules, *[end for end, _ in broker._ends[:1]]])
        due = min([due, *[quote.next_stamp - quote.step + 1 for quote in held]])
        limit = min((due - 0.5) / DAY_MS + EPOCH, self.horizon)
        clock, last = self.view[0]
        return int(bisect_left(clock.numbers, limit, clock.passed, last)) - clock.passed

    def _range(self, quote: Instrument, last: int) -> tuple[float, float]:
        """Lowest and highest mark of a held symbol's bars in view."""
        found = self.ranges.get(quote.symbol)
        if found is None:
            found = self.ranges[quote.symbol] = quote.extremes(quote.passed, last)
        return found

    def _begin(self, bars: int) -> None:
        clock = self.view[0][0]
        self.on, self.pause, self.equity = True, 1, None
        self.clock, self.numbers, self.behind = clock.times, clock.numbers, clock.behind
        self.base, self.place, self.bars = clock.passed, 0, bars
        self.quotes = [quote for quote, _ in self.view]
        self.events = self.broker.account.events
        self.known = len(self.events)
        held = [quote for quote in self.quotes if quote.position.size]
        self.held = [(quote.position, quote.closes, quote.passed - 1) for quote in held]
        for quote in self.quotes:
            quote.stretch = self
            quote.watched = bool(quote.position.size)

    def settle(self) -> None:
        """Bring the instruments to where the stretch has led so far."""
        if self.on:
            bars = self.base + self.place - self.quotes[0].passed
            for quote in self.quotes:
                quote.catch_up(bars)

    def leave(self) -> None:
        """The full contract again; what is in view stays in view."""
        if not self.on:
            return
        self.settle()
        self.on = False
        for quote in self.quotes:
            quote.stretch = None


def _next_time(quote: Instrument) -> float:
    time: float = quote.numbers[quote.passed]
    return time


def _in_step(view: Sequence[tuple[Instrument, int]]) -> bool:
    """Whether all these bars come at the same times."""
    if len(view) == 1:
        return True
    times = [quote.numbers[quote.passed : end].tobytes() for quote, end in view]
    return times.count(times[0]) == len(times)
