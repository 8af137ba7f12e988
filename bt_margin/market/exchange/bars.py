"""Bars of a span, page by page, each page settled before the next is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bt_margin.errors import ExchangeRefused, message
from bt_margin.market.exchange.asking import Asker, Found
from bt_margin.market.exchange.client import Client
from bt_margin.market.exchange.listing import DAY, Listing
from bt_margin.market.exchange.verdicts import minute
from bt_margin.market.kinds import Page, Span

OLD = (
    DAY  # a stretch this far back is not delivered late any more, of a closed market none is   [ms]
)


def bar_pages(client: Client, symbol: str, kind: str, timeframe: str, span: Span) -> Iterator[Page]:
    """The bars that open inside a span and are closed, in pages, forward.

    kind : "ohlcv", "mark" or "index"
    Each page is on the grid and at most as wide as one request, except a stretch before the listing
    (or after a delisting), which is one page with one hole. Bars that are not closed yet are not
    part of any page. `Page.open` holds what the venue may still deliver, and what it does not keep
    (kraken, hyperliquid, classes nobody looked at); the latter is also told.

    Raises `ExchangeRefused` when kind, symbol or timeframe are not to be had,
    `ExchangeUnreachable` when patience is used up; pages that came before are good.
    """
    _offered(client, symbol, kind, timeframe)
    asker = Asker(client, symbol, kind, timeframe)
    grid = asker.grid
    stop = min(grid.ceil(span[1]), asker.closed())
    start = grid.ceil(span[0])
    if start < stop:
        yield from _Walk(asker, start, stop).pages()


class _Walk:
    """One way through a span, from its start to its stop, both on the grid."""

    def __init__(self, asker: Asker, start: int, stop: int) -> None:
        self.asker = asker
        self.start = start
        self.stop = stop
        self.listing = Listing(asker.client, asker.symbol, asker.kind, asker.grid.step)
        self.seen = False
        self.trading = asker.client.raw_market(asker.symbol).get("active") is not False
        self.told = False
        self.kept_from = self._horizon()

    def _horizon(self) -> int | None:
        """The first bar the venue still keeps; None when it keeps all."""
        depth = self.asker.client.habits.depth
        step = self.asker.grid.step
        newest = self.asker.grid.floor(self.asker.client.now())
        return None if depth is None else newest - (depth - 1) * step

    def pages(self) -> Iterator[Page]:
        at = self.start
        if self.kept_from is not None and at < self.kept_from:
            at = min(self.kept_from, self.stop)
            self._tell_depth(at)
            yield Page((self.start, at), (), _EMPTY, open=((self.start, at),), requests=0)
        while at < self.stop:
            page = self._next(at)
            at = page.span[1]
            yield page

    def _next(self, at: int) -> Page:
        """The page that begins here."""
        client = self.asker.client
        asked = client.requests
        end = min(at + self.asker.width * self.asker.grid.step, self.stop)
        found = self.asker.find((at, end))
        if not found.bars.times:
            on = self.asker.grid.floor(self.listing.resume(at, self.stop))
            if on > at:
                end = on
                found = Found(found.bars, [(at, min(on, found.reach))], found.reach)
        holes, still_open = self._settle((at, end), found)
        self.seen = self.seen or bool(found.bars.times)
        return Page(
            (at, end),
            found.bars.times,
            found.bars.columns,
            holes,
            still_open,
            client.requests - asked,
        )

    def _settle(self, span: Span, found: Found) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """What is missing, split into holes for good and stretches that may still come."""
        holes: list[Span] = []
        still_open: list[Span] = []
        last = found.bars.times[-1] if found.bars.times else None
        late = OLD if self.trading else 0
        old = self.asker.grid.floor(self.asker.client.now() - late)
        for gap in found.missing:
            if not self.seen and gap[0] == span[0] and self._forgotten(gap):
                still_open.append(gap)
            elif last is not None and gap[0] < last:
                holes.append(gap)
            else:
                holes += _solid((gap[0], min(gap[1], old)))
                still_open += _solid((max(gap[0], old), gap[1]))
        return tuple(holes), tuple(still_open + list(_solid((max(span[0], found.reach), span[1]))))

    def _forgotten(self, gap: Span) -> bool:
        """Whether a stretch before the first bar may be one the venue had and does not keep."""
        habits = self.asker.client.habits
        if not habits.known:
            self._tell_unknown(gap)
            return True
        if self.kept_from is None or habits.depth is None:
            return False
        return gap[0] < self.kept_from + habits.depth * self.asker.grid.step // 20

    def _tell_depth(self, first: int) -> None:
        asker = self.asker
        asker.client.tell(
            f"{asker.client.exchange} keeps only the newest {asker.client.habits.depth:,} bars of "
            f"{asker.timeframe}: {asker.symbol} before {minute(first)} UTC is not to be had here; "
            "import the venue's bulk files, or take a longer timeframe or another exchange"
        )

    def _tell_unknown(self, gap: Span) -> None:
        asker = self.asker
        if self.told:
            return
        self.told = True
        asker.client.tell(
            f"{asker.client.exchange} gave no {asker.kind} {asker.timeframe} of {asker.symbol} "
            f"before {minute(gap[1])} UTC: not listed yet, or not kept; it is not recorded as a gap"
        )


_EMPTY: tuple[Sequence[float], ...] = ((), (), (), (), ())


def _solid(span: Span) -> Iterator[Span]:
    """The span itself when it is not empty."""
    if span[0] < span[1]:
        yield span


def _offered(client: Client, symbol: str, kind: str, timeframe: str) -> None:
    """Refuse what cannot be had before anything is asked."""
    market = client.raw_market(symbol)
    reason = client.why_not(kind)
    if not reason and kind != "ohlcv" and not market.get("contract"):
        reason = f"{symbol} is a spot market: it has no {kind} price"
    if reason:
        raise ExchangeRefused(reason, exchange=client.exchange, symbol=symbol, kind=kind)
    if timeframe not in client.timeframes:
        text = message(
            f"{client.exchange} has no bars of this length",
            timeframe,
            ", ".join(client.timeframes),
            f"{kind} of {symbol}",
        )
        raise ExchangeRefused(text, exchange=client.exchange, symbol=symbol, kind=kind)
