"""Where bars begin (or go on) in a long stretch without any: told by the venue's daily bars.

A symbol listed yesterday must not cost a request for each of the thousand empty pages before it,
and an empty page alone is no evidence. One page of daily bars is: it spans years. A market's own
`created` date serves only where a venue has no daily bars, and with a margin: some are later than
the first bars.
"""

from __future__ import annotations

from bt_margin.market.exchange.asking import GRACE, Asker
from bt_margin.market.exchange.client import Client
from bt_margin.market.kinds import Span

DAY = 86_400_000
COARSE = "1d"
FIRST_MARKET = 1_230_768_000_000  # 2009-01-01: nothing was traded before
MARGIN = 60 * DAY  # so much earlier than its date of listing a market may have bars


class Listing:
    """Knows the next day with bars of one symbol and kind, as far as it has looked."""

    def __init__(self, client: Client, symbol: str, kind: str, step: int) -> None:
        self._client = client
        self._coarse: Asker | None = None
        self._created: int | None = None
        if step < DAY and COARSE in client.timeframes:
            self._coarse = Asker(client, symbol, kind, COARSE)
        elif step < DAY:
            self._created = _created(client, symbol)
        self._known: Span | None = None

    def resume(self, at: int, stop: int) -> int:
        """Nothing is to be found from `at` up to the time returned, which is `stop` at most.

        `at` itself when there is no evidence that anything can be skipped.
        """
        if self._coarse is None:
            return at if self._created is None else max(at, min(stop, self._created - MARGIN))
        if self._known is None or not self._known[0] <= at < self._known[1] + DAY:
            self._known = (at, self._next_day(self._coarse, at, stop))
        return min(stop, max(at, self._known[1]))

    def _next_day(self, coarse: Asker, at: int, stop: int) -> int:
        """The first day at or after `at` with a daily bar; else the first day not yet over."""
        day = coarse.grid.floor(at)
        over = coarse.grid.floor(self._client.now() - GRACE)
        while day < min(over, coarse.grid.ceil(stop)):
            end = min(day + coarse.width * DAY, over)
            found = coarse.find((day, end))
            if found.bars.times:
                return found.bars.times[0]
            day = end
        return max(day, at)


def _created(client: Client, symbol: str) -> int | None:
    """The market's own date of listing   [ms]; None when it is not a date that can be."""
    created = client.raw_market(symbol).get("created")
    sane = isinstance(created, int) and FIRST_MARKET < created < client.now() - DAY
    return created if sane else None
