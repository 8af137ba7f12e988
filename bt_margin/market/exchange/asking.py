"""One stretch of bars, asked for until it is complete or what is missing is confirmed.

An answer can be short for many reasons: an outage of years ago, a page smaller than it was said to
be, a server that lost its thread. So what is missing is asked for again, exactly and alone; as long
as that brings anything it goes on, and only answers that bring nothing count as a confirmation.
The last of them counts only when the venue has just sent a bar it had sent before: who answers
everything with nothing is not heard as a witness of a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bt_margin.errors import ExchangeRefused, ExchangeUnreachable, message
from bt_margin.market.exchange.client import Client
from bt_margin.market.exchange.habits import EXCLUSIVE, INCLUSIVE, ISO
from bt_margin.market.exchange.rows import (
    Bars,
    Conflict,
    bars_of,
    columns_of_rows,
    gaps,
    rows_of,
)
from bt_margin.market.exchange.verdicts import Question, iso, minute
from bt_margin.market.kinds import Grid, Span

GRACE = 5_000  # a bar counts as closed this long after its end   [ms]
PAUSE = 1.0  # before a hole is asked for the last time   [s]
CONFIRMATIONS = 2  # answers without anything new that make a hole
CALM_AFTER = 3  # pages in a row with nothing but confirmed holes: one confirmation will do
UNSEEN = 6  # times a traded market's newest bars are asked for before they count as missing
FEW = 3  # so many holes are asked for one by one, more of them as one stretch
SHORTEST_PAGE = 10  # a page is never taken to be smaller than this


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one stretch: bars, what is missing, and how far the venue's closed bars reach."""

    bars: Bars
    missing: list[Span]
    reach: int


class Asker:
    """Asks one venue for the bars of one symbol, kind and timeframe.

    width : most bars of one request; it shrinks when the venue keeps sending fewer
    """

    def __init__(self, client: Client, symbol: str, kind: str, timeframe: str) -> None:
        self.client = client
        self.symbol = symbol
        self.kind = kind
        self.timeframe = timeframe
        self.grid = Grid.of(timeframe)
        self.width = client.habits.width(kind, client.limited)
        market = client.raw_market(symbol)
        self._traded = market.get("active") is not False
        side = "inverse" if market.get("inverse") else "linear"
        longest = client.habits.longest.get(side)
        if longest is not None:
            self.width = max(1, min(self.width, longest // self.grid.step))
        self._early = self.grid.anchor % self.grid.step
        if self._early:
            self.width = max(1, self.width - 1)
        self._calm = 0
        self._short = 0
        self._witness: int | None = None

    def closed(self) -> int:
        """The end of the newest bar that is closed for sure   [ms]."""
        return self.grid.floor(self.client.now() - GRACE)

    def find(self, span: Span) -> Found:
        """The bars of a stretch of at most one page, complete or with confirmed holes.

        Raises `ExchangeUnreachable` when two rows of one time differ however often it is asked.
        """
        bars, reach = self._bars(span)
        stop = max(span[0], min(span[1], reach))
        missing = gaps(bars.times, (span[0], stop), self.grid)
        if not missing:
            self._calm = 0
            return Found(bars, [], reach)
        return self._completed(bars, missing, (span[0], stop), reach)

    def _completed(self, first: Bars, missing: list[Span], span: Span, reach: int) -> Found:
        rows = rows_of(first)
        calm = self._calm >= CALM_AFTER
        enough = (
            CONFIRMATIONS if first.times else CONFIRMATIONS + 1
        )  # nothing at all is doubted longer
        quiet, deaf = (enough - 1 if calm else 0), 0
        while missing and quiet < enough:
            wide, pause = len(missing) > FEW, 0.0 if calm else PAUSE
            if quiet:
                if wide:
                    self.client.retry.sleep(pause)
                else:
                    self._rouse(pause)
            before = len(rows)
            heard = self._again(rows, missing)
            grew = len(rows) > before
            deaf = deaf + 1 if wide and not (heard or grew) else 0
            if 0 < deaf <= CONFIRMATIONS:
                self._rouse(PAUSE)
            else:
                quiet = 0 if grew else quiet + 1
            missing = gaps(sorted(rows), span, self.grid)
        self._learn(first, span, len(rows))
        self._calm = self._calm + 1 if len(rows) == len(first.times) else 0
        times = sorted(rows)
        bars = Bars(times, columns_of_rows([rows[time] for time in times]), first.strays)
        return Found(bars, missing, reach)

    def _rouse(self, pause: float) -> None:
        """Wait until the venue is seen to listen, with growing pauses.

        Raises `ExchangeUnreachable` when it keeps denying a bar it has sent before.
        """
        retry = self.client.retry
        for tries in range(1, retry.attempts + 1):
            retry.sleep(pause)
            if self._listening():
                return
            if self._witness is None and tries >= (UNSEEN if self._traded else 1):
                return  # it never sent one: not traded now, or never
            pause = min(PAUSE * 2.0**tries, retry.longest)
        text = message(
            f"{self.client.exchange} answers with nothing, even for a bar it sent before",
            f"no bar at {minute(self._witness or 0)} UTC in {retry.attempts} answers",
            None,
            str(self.question()),
            "run it again later",
        )
        raise ExchangeUnreachable(
            text, exchange=self.client.exchange, symbol=self.symbol, kind=self.kind
        )

    def _listening(self) -> bool:
        """Whether the venue sends the last bar it sent; before there is one, its newest bars."""
        if self._witness is not None:
            start = self._witness
            return bool(self._bars((start, start + self.grid.step))[0].times)
        newest = self.closed()
        return bool(self._bars((newest - self.width * self.grid.step, newest))[0].times)

    def _again(self, rows: dict[int, Any], missing: list[Span]) -> bool:
        """Ask for holes once more: few of them one by one, many as the stretch they lie in.

        The long ones among the many are asked for alone as well: a page that was cut leaves those. True when
        the stretch came with all the bars in it that are known, so that the answer is one.
        """
        heard = False
        if len(missing) > FEW:
            hull = (missing[0][0], missing[-1][1])
            inside = {time for time in rows if hull[0] <= time < hull[1]}
            answer, _ = self._bars(hull)
            rows |= rows_of(answer)
            heard = bool(inside) and inside <= set(answer.times)
            if heard:
                long = SHORTEST_PAGE * self.grid.step
                missing = [gap for gap in missing if gap[1] - gap[0] >= long][:FEW]
        for gap in missing:
            answer, _ = self._bars(gap)
            rows |= rows_of(answer)
        return heard

    def _learn(self, first: Bars, span: Span, found: int) -> None:
        """A page that is full at one end only, twice, and then grew: the venue's page is smaller."""
        came = len(first.times)
        whole = came and first.times[-1] - first.times[0] == (came - 1) * self.grid.step
        at_an_end = whole and (
            first.times[0] == span[0] or first.times[-1] + self.grid.step == span[1]
        )
        if at_an_end and found > came >= SHORTEST_PAGE:
            if came == self._short:
                self.width = min(self.width, came)
            self._short = came

    def _bars(self, span: Span) -> tuple[Bars, int]:
        """One answer, and how far the venue's closed bars reached when it was asked for."""
        for tries in range(1, CONFIRMATIONS + 2):
            asked = self.client.local
            rows = self._ask(span)
            closed_by = self.client.safe(asked) - GRACE
            try:
                bars = bars_of(rows, span, self.grid, closed_by)
            except Conflict as conflict:
                if tries > CONFIRMATIONS:
                    raise self._conflict(conflict, span, tries) from None
                self.client.retry.sleep(PAUSE)
                continue
            if bars.strays and not bars.times:
                raise self._off_grid(rows, span)
            if bars.times:
                self._witness = bars.times[-1]
            return bars, self.grid.floor(closed_by)
        raise AssertionError("unreachable: the last try returns or raises")

    def _ask(self, span: Span) -> Sequence[Sequence[Any]]:
        start, stop = span
        count = (stop - start) // self.grid.step
        if self._early:  # ccxt may round a start up to whole steps since 1970, past a Monday's bar
            start, count = start - self._early, count + 1
        end = self.client.habits.end
        params: dict[str, Any] = {} if self.kind == "ohlcv" else {"price": self.kind}
        if end == INCLUSIVE:
            params["until"] = stop - 1
        elif end == EXCLUSIVE:
            params["until"] = stop
        elif end == ISO:
            params |= {"fromISO": iso(start), "toISO": iso(stop)}
        rows = self.client.call(
            "fetch_ohlcv",
            self.symbol,
            self.timeframe,
            start,
            count,
            params,
            symbol=self.symbol,
            kind=self.kind,
            span=span,
        )
        return rows or []

    def question(self, span: Span | None = None) -> Question:
        """What is asked for, for messages."""
        return Question(self.client.exchange, self.symbol, f"{self.kind} {self.timeframe}", span)

    def _conflict(self, conflict: Conflict, span: Span, tries: int) -> ExchangeUnreachable:
        text = message(
            f"{self.client.exchange} sends two different bars of one time",
            f"{minute(conflict.time)} UTC in each of {tries} answers",
            "one bar a time",
            str(self.question(span)),
            "run it again later, or report it to the exchange",
        )
        return ExchangeUnreachable(
            text,
            exchange=self.client.exchange,
            symbol=self.symbol,
            kind=self.kind,
            span=span,
        )

    def _off_grid(self, rows: Sequence[Sequence[Any]], span: Span) -> ExchangeRefused:
        stray = next(row[0] for row in rows if not self.grid.on(row[0]))
        text = message(
            f"{self.client.exchange}'s bars of {self.timeframe} open at other times than expected",
            f"{minute(stray)} UTC",
            f"{minute(self.grid.floor(stray))} or {minute(self.grid.ceil(stray))} UTC",
            str(self.question(span)),
            "take a timeframe of a day or less",
        )
        return ExchangeRefused(
            text,
            exchange=self.client.exchange,
            symbol=self.symbol,
            kind=self.kind,
            span=span,
        )
