"""Calm: stretches of bars in which nothing can happen to the account, gone through almost for free.

When no order waits, the preloaded bars ahead tell how far every held mark will move. A stretch is safe when
no pool can come near its requirement or a margin call even if all marks stood at their worst of the whole
stretch at once (:func:`~bt_margin.engine.bound.harmless`), and when nothing falls due in it: no settlement
of a held symbol, no new tier table, no end of a market. Each of its bars then moves the held marks to the
close and writes its row; everything else would have found nothing to do. An order, a change of the account
or the end of the stretch brings back the full bar contract, with the same outcome as if it had never been
left.

All feeds that have bars within a stretch have them at the same times. The stretch looked ahead grows while it
holds and shrinks when it does not; after danger some bars pass before the next look, so a market in danger
costs what it always did.
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

    Ahead = tuple[Instrument, int, int]

INF = float("inf")
SHORTEST, FIRST, PAUSE = 8, 32, 64
"""Bars of the shortest look ahead and of the first; the most bars between two looks that found danger."""


class Calm:
    """The calm stretch a broker is in, if it is in one.

    The stretch is ``bars`` long, ``place`` of them are lived; ``clock`` is the line of times that counts
    them, from ``base`` on. ``length`` is how many bars the next look takes in; ``pause`` and ``rest`` are how
    many bars it waits after danger.
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
        "known",
        "length",
        "numbers",
        "on",
        "pause",
        "place",
        "quotes",
        "rest",
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
        if time < broker._time:
            time = broker._time
        broker._time = broker.account.time = time
        for p, closes, before in self.held:
            p.mark = p.low = p.high = closes[before + place]
        self._write(time)
        return True

    def _write(self, time: int) -> None:
        """The bar's row; without a position it repeats the one before."""
        broker = self.broker
        times, values = broker.equity_curve
        if self.held or self.equity is None or time <= times[-1]:
            broker._close_books()
            self.equity = values[-1]
        else:
            times.append(time)
            values.append(self.equity)

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
        limit = self._limit(quotes, held)
        ahead = [(q, q.passed, bisect_left(q.numbers, limit, q.passed, q.reach)) for q in quotes]
        moving = [each for each in ahead if each[2] > each[1]]
        if not moving:
            return False
        if not (_in_step(moving) and self._safe(moving)):
            self.length = max(SHORTEST, self.length // 2)
            self.rest, self.pause = self.pause, min(PAUSE, 2 * self.pause)
            return False
        self._begin(moving)
        return True

    def _limit(self, quotes: Sequence[Instrument], held: Sequence[Instrument]) -> float:
        """backtrader's time before which nothing falls due, ``length`` bars of the next feed at most."""
        broker = self.broker
        due = min([broker.account.next_rules, *[end for end, _ in broker._ends[:1]]])
        due = min([due, *[quote.next_stamp - quote.step + 1 for quote in held]])
        coming = [quote for quote in quotes if quote.passed < quote.reach]
        if not coming:
            return 0.0
        first = min(coming, key=_next_time)
        last = min(first.passed + self.length, first.reach) - 1
        return min((due - 0.5) / DAY_MS + EPOCH, nextafter(first.numbers[last], INF))

    def _safe(self, moving: Sequence[Ahead]) -> bool:
        reach: dict[str, tuple[float, float]] = {}
        for quote, first, last in moving:
            if quote.position.size:
                reach[quote.symbol] = low, high = quote.extremes(first, last)
                if not 0.0 < low <= high < INF:
                    return False
        return harmless(self.broker.account, reach)

    def _begin(self, moving: Sequence[Ahead]) -> None:
        broker = self.broker
        clock, first, last = moving[0]
        self.on, self.pause, self.equity = True, 1, None
        self.clock, self.numbers, self.behind = clock.times, clock.numbers, clock.behind
        self.base, self.place, self.bars = first, 0, last - first
        self.quotes = [quote for quote, *_ in moving]
        self.events = broker.account.events
        self.known = len(self.events)
        held = [each for each in moving if each[0].position.size]
        self.held = [(quote.position, quote.closes, before - 1) for quote, before, _ in held]
        for quote, *_ in moving:
            quote.stretch = self
            quote.watched = bool(quote.position.size)

    def settle(self) -> None:
        """Bring the instruments to where the stretch has led so far."""
        if self.on:
            bars = self.base + self.place - self.quotes[0].passed
            for quote in self.quotes:
                quote.catch_up(bars)

    def leave(self) -> None:
        """The full contract again; the next stretch is measured by what has become of this one."""
        if not self.on:
            return
        self.settle()
        self.on = False
        for quote in self.quotes:
            quote.stretch = None
        lived = self.length if self.place == self.bars else self.place
        self.length = max(SHORTEST, min(self.longest, 2 * lived))


def _next_time(quote: Instrument) -> float:
    time: float = quote.numbers[quote.passed]
    return time


def _in_step(moving: Sequence[Ahead]) -> bool:
    """Whether all these bars come at the same times."""
    if len(moving) == 1:
        return True
    (clock, first, last), *others = moving
    times = clock.numbers[first:last].tobytes()
    return all(q.numbers[one:two].tobytes() == times for q, one, two in others)
