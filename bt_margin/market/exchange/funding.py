"""Settlements of a span, walked the way each venue allows; stamps and intervals as they were.

Intervals differ by symbol and change over time (8 h, 4 h, 1 h), so none is assumed. What looks like
a missing settlement (a distance longer than its neighbours) is asked for again, alone, before it is
believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bt_margin.errors import ExchangeRefused
from bt_margin.market.exchange.client import Client
from bt_margin.market.exchange.habits import (
    BACK_AFTER,
    BACK_ISO,
    BACK_UNTIL,
    FORWARD,
    SPANS,
    WHOLE,
)
from bt_margin.market.exchange.settlements import Rates, SettlementAsker
from bt_margin.market.exchange.verdicts import minute
from bt_margin.market.kinds import Page, Span

HOUR = 3_600_000
DAY = 24 * HOUR
SPAN_HOURS = 100  # of a venue whose paging is not known
AROUND = 4  # so many stamps of the page before are kept as neighbours


def funding_pages(client: Client, symbol: str, span: Span) -> Iterator[Page]:
    """The settlements of a span, in pages that may come in any order, each settling its own span.

    Columns are the rate (positive: longs pay) and the mark it was settled at (NaN where the venue
    does not say). Stamps are the venue's own, milliseconds after the hour included. A hole is a
    stretch that should hold a settlement by what its neighbours do, and does not.

    Raises `ExchangeRefused` when the venue or the market has no funding, `ExchangeUnreachable` when
    patience is used up; pages that came before are good.
    """
    _offered(client, symbol)
    span = (span[0], min(span[1], client.now()))
    if span[0] >= span[1]:
        return
    walk = _WALKS[client.habits.funding]
    yield from walk(_Walk(client, symbol, span))


class _Walk:
    """What all ways of walking share."""

    def __init__(self, client: Client, symbol: str, span: Span) -> None:
        self.client = client
        self.span = span
        self.ask = SettlementAsker(client, symbol)
        self.page = client.habits.funding_page
        self.seen = False
        self.young = client.now() - DAY
        self._asked = client.requests

    def make(
        self, span: Span, rates: Rates, *, before: Sequence[int] = (), after: Sequence[int] = ()
    ) -> Page:
        """The page of a span: doubtful stretches asked again, the newest one left open.

        before, after : known stamps around the span, rising
        """
        rates, holes = self.ask.believe(span, rates, before, after)
        self.seen = self.seen or bool(rates)
        still_open: tuple[Span, ...] = ()
        if not self.seen and not self.client.habits.known:
            still_open, holes = (span,), []  # not listed yet, or forgotten: nobody knows
        elif not after:
            begin = max(self.young, span[0], max(rates, default=0) + 1)
            if span[1] > self.young and begin < span[1]:
                still_open = ((begin, span[1]),)
                holes = [(hole[0], min(hole[1], begin)) for hole in holes if hole[0] < begin]
        asked, self._asked = self._asked, self.client.requests
        times = sorted(rates)
        columns = (
            tuple(rates[time][0] for time in times),
            tuple(rates[time][1] for time in times),
        )
        return Page(span, times, columns, tuple(holes), still_open, self.client.requests - asked)


def _forward(walk: _Walk) -> Iterator[Page]:
    """Rising from the start; the last stamp of a full page is the first of the next one."""
    at, stop = walk.span
    while at < stop:
        rates = walk.ask.sure((at, stop), limit=walk.page)
        if len(rates) < walk.page:
            yield walk.make((at, stop), rates)
            return
        last = max(rates)
        del rates[last]
        yield walk.make((at, last), rates, after=(last,))
        at = last


def _spans(walk: _Walk) -> Iterator[Page]:
    """Stretches of so few hours that a page holds all of one."""
    at, stop = walk.span
    before: Sequence[int] = ()
    while at < stop:
        end = min(at + SPAN_HOURS * HOUR, stop)
        rates = walk.ask.sure((at, end), limit=walk.page)
        yield walk.make((at, end), rates, before=before)
        before, at = sorted(rates)[-AROUND:], end


def _whole(walk: _Walk) -> Iterator[Page]:
    """Everything at once."""
    yield walk.make(walk.span, walk.ask.sure(walk.span, limit=None))


def _backward(walk: _Walk) -> Iterator[Page]:
    """Falling from the stop, until the start is reached or nothing older comes."""
    start, end = walk.span
    after: Sequence[int] = ()
    while start < end:
        rates = walk.ask.sure((start, end), limit=walk.page, reaching_back=True)
        if not rates:
            yield _beginning(walk, (start, end), after)
            return
        begin = max(start, min(rates))
        inside = {time: value for time, value in rates.items() if time >= start}
        yield walk.make((begin, end), inside, after=after)
        after, end = sorted(inside)[:AROUND] or after, begin


def _beginning(walk: _Walk, span: Span, after: Sequence[int]) -> Page:
    """The stretch before the first settlement there is, or before the first one still kept.

    A market created within a day of its first settlement had none before.
    """
    kept = walk.client.habits.funding_kept
    created = walk.client.raw_market(walk.ask.symbol).get("created")
    if kept is None or (after and isinstance(created, int) and after[0] - DAY <= created):
        return walk.make(span, {}, after=after)
    walk.client.tell(
        f"{walk.client.exchange} has no settlements of {walk.ask.symbol} before {minute(span[1])} "
        f"UTC: it keeps them for about {kept // DAY} days; import older ones from elsewhere"
    )
    return Page(span, (), ((), ()), open=(span,), requests=0)


_WALKS = {
    FORWARD: _forward,
    SPANS: _spans,
    WHOLE: _whole,
    BACK_UNTIL: _backward,
    BACK_AFTER: _backward,
    BACK_ISO: _backward,
}


def _offered(client: Client, symbol: str) -> None:
    """Refuse what cannot be had before anything is asked."""
    market = client.raw_market(symbol)
    reason = client.why_not("funding")
    if not reason and not market.get("swap"):
        reason = f"{symbol} is not a perpetual: nothing is settled on it"
    if reason:
        raise ExchangeRefused(reason, exchange=client.exchange, symbol=symbol, kind="funding")
