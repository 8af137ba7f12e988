"""Asking for settlements, and the doubt whether one of them is missing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import nan
from typing import Any

from bt_margin.errors import ExchangeUnreachable, message
from bt_margin.market.exchange.client import Client
from bt_margin.market.exchange.habits import (
    BACK_AFTER,
    BACK_ISO,
    BACK_UNTIL,
    WHOLE,
)
from bt_margin.market.exchange.rows import Conflict
from bt_margin.market.exchange.verdicts import iso, minute
from bt_margin.market.kinds import Span

Rates = dict[int, tuple[float, float]]  # by stamp [ms]: rate, mark

DAY = 86_400_000
PAUSE = 1.0  # before a stretch is asked for the last time   [s]
CONFIRMATIONS = 2  # answers without anything new that make a hole
CALM_AFTER = 3  # holes in a row that were only confirmed: one confirmation will do
FEW = 3  # so many doubtful stretches are asked for one by one
AT_AN_EDGE = 1.05  # an edge is no settlement: from it to one there is one interval at most
LONGER = 1.5  # a distance this many times its neighbours may hide a settlement
NEIGHBOURS = 3


class SettlementAsker:
    """Asks one venue for the settlements of one symbol."""

    def __init__(self, client: Client, symbol: str) -> None:
        self.client = client
        self.symbol = symbol
        self._calm = 0
        self._witness: int | None = None

    def sure(self, span: Span, limit: int | None, *, reaching_back: bool = False) -> Rates:
        """One page of a span; an empty one is asked for three times more before it is believed.

        reaching_back : the newest of the span, and older ones before it if the page has room
        """
        rates = self._rates(span, limit, reaching_back)
        for again in range(CONFIRMATIONS + 1):
            if rates:
                break
            if again:
                self._rouse()
            rates = self._rates(span, limit, reaching_back)
        return rates

    def _rouse(self) -> None:
        """Wait until the venue sends a settlement it has sent before, with growing pauses.

        Raises `ExchangeUnreachable` when it keeps denying it.
        """
        retry, pause = self.client.retry, PAUSE
        for tries in range(1, retry.attempts + 1):
            retry.sleep(pause)
            if self._witness is None or self._rates(
                (self._witness, self._witness + 1), self.client.habits.funding_page, False
            ):
                return
            pause = min(PAUSE * 2.0**tries, retry.longest)
        text = message(
            f"{self.client.exchange} answers with nothing, even for a settlement it sent before",
            f"none at {minute(self._witness or 0)} UTC in {retry.attempts} answers",
            None,
            f"funding of {self.symbol}",
            "run it again later",
        )
        raise ExchangeUnreachable(
            text, exchange=self.client.exchange, symbol=self.symbol, kind="funding"
        )

    def believe(
        self, span: Span, rates: Rates, before: Sequence[int], after: Sequence[int]
    ) -> tuple[Rates, list[Span]]:
        """The settlements of a span once doubtful stretches were asked again, and the holes left.

        before, after : known stamps around the span, rising
        """
        if not rates:
            return rates, [span] if span[1] - span[0] > DAY else []
        rates = dict(rates)
        quiet = 0
        doubts = doubtful([*before, *sorted(rates), *after], span, not before, not after)
        while doubts and quiet < (1 if self._calm >= CALM_AFTER else CONFIRMATIONS):
            if quiet:
                self._rouse()
            known = len(rates)
            self._again(rates, doubts)
            quiet = 0 if len(rates) > known else quiet + 1
            doubts = doubtful([*before, *sorted(rates), *after], span, not before, not after)
        self._calm = self._calm + 1 if doubts else 0
        return rates, doubts

    def _again(self, rates: Rates, doubts: Sequence[Span]) -> None:
        """Ask for doubtful stretches: few one by one, many (or all there is) with one request."""
        whole = self.client.habits.funding == WHOLE
        limit = None if whole else self.client.habits.funding_page
        if whole or len(doubts) > FEW:
            hull = (doubts[0][0], doubts[-1][1])
            inside = {time for time in rates if hull[0] <= time < hull[1]}
            answer = self._rates(hull, limit, False)
            rates |= answer
            if limit is None or (len(answer) < limit and inside <= answer.keys()):
                return  # all that was known came again, and nothing was cut off
        for doubt in doubts:
            rates |= self._rates(doubt, limit, False)

    def _rates(self, span: Span, limit: int | None, reaching_back: bool) -> Rates:
        """One answer; two different settlements of one stamp are asked for again, then an error."""
        for tries in range(1, CONFIRMATIONS + 2):
            rows = self._ask(span, limit, reaching_back)
            try:
                begin = 0 if reaching_back else span[0]
                found = _settled(rows, (begin, span[1]), self.client.habits.funding_mark)
                self._witness = max(found, default=self._witness)
                return found
            except Conflict as conflict:
                if tries > CONFIRMATIONS:
                    raise self._conflict(conflict, span, tries) from None
                self.client.retry.sleep(PAUSE)
        raise AssertionError("unreachable: the last try returns or raises")

    def _ask(self, span: Span, limit: int | None, reaching_back: bool) -> Any:
        start, stop = span
        walk = self.client.habits.funding
        since: int | None = None if reaching_back else start
        params: dict[str, Any] = {}
        if walk == BACK_AFTER:
            params["after"] = stop
        elif walk == BACK_ISO:
            params["effectiveBeforeOrAt"] = iso(stop - 1)
            since = None
        elif walk != WHOLE:
            params["until"] = stop - 1
        if walk not in (BACK_AFTER, BACK_ISO, BACK_UNTIL):
            since = start
        return self.client.call(
            "fetch_funding_rate_history",
            self.symbol,
            since,
            limit,
            params,
            symbol=self.symbol,
            kind="funding",
            span=span,
        )

    def _conflict(self, conflict: Conflict, span: Span, tries: int) -> ExchangeUnreachable:
        text = message(
            f"{self.client.exchange} sends two different settlements of one time",
            f"{minute(conflict.time)} UTC in each of {tries} answers",
            "one settlement a time",
            f"funding of {self.symbol}",
            "run it again later, or report it to the exchange",
        )
        return ExchangeUnreachable(
            text,
            exchange=self.client.exchange,
            symbol=self.symbol,
            kind="funding",
            span=span,
        )


def doubtful(stamps: Sequence[int], span: Span, head: bool, tail: bool) -> list[Span]:
    """The stretches inside a span that may hide a settlement: longer than those around them are.

    stamps : rising; some may lie outside the span, as neighbours
    head, tail : whether the stretch before the first stamp, after the last one, is looked at too

    >>> hours = [0, 8, 16, 32, 40, 48]
    >>> doubtful([h * 3_600_000 for h in hours], (0, 200_000_000), True, True)
    [(57600001, 115200000)]
    """
    steps = [second - first for first, second in pairwise(stamps)]
    found: list[Span] = []
    if head and _longer(stamps[0] - span[0], steps[:NEIGHBOURS], AT_AN_EDGE):
        found.append((span[0], stamps[0]))
    for place, step in enumerate(steps):
        sooner = steps[max(0, place - NEIGHBOURS) : place]
        later = steps[place + 1 : place + 1 + NEIGHBOURS]
        if _longer(step, sooner or later) and _longer(step, later or sooner):
            found.append((stamps[place] + 1, stamps[place + 1]))
    if tail and _longer(span[1] - stamps[-1], steps[-NEIGHBOURS:], AT_AN_EDGE):
        found.append((stamps[-1] + 1, span[1]))
    inside = [(max(start, span[0]), min(stop, span[1])) for start, stop in found]
    return [each for each in inside if each[0] < each[1]]


def _longer(step: int, around: Sequence[int], factor: float = LONGER) -> bool:
    """Whether a step is longer than the steps on one side of it; a day where there are none.

    Two of them as long (one, where there is but one) are enough to make it usual.
    """
    beside = around or (DAY,)
    alike = sum(1 for other in beside if other * factor >= step)
    return alike < min(2, len(beside))


def _settled(rows: Any, span: Span, mark: str) -> Rates:
    """Settlements of an answer by stamp; rows without a rate or a time are no settlements."""
    rates: Rates = {}
    for row in rows or ():
        time, rate = row.get("timestamp"), row.get("fundingRate")
        if time is None or rate is None or not span[0] <= time < span[1]:
            continue
        value = (float(rate), _mark(row.get("info"), mark))
        known = rates.setdefault(time, value)
        if known[0] != value[0] or (known[1] != value[1] and known[1] == known[1]):
            raise Conflict(time)
    return rates


def _mark(info: Any, field: str) -> float:
    """The mark a settlement was made at, where the venue tells it; NaN where not."""
    try:
        return float(info[field])
    except (KeyError, TypeError, ValueError):
        return nan
