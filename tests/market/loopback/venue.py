"""What a venue's description has to say, and what all of them share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, ClassVar

from market.loopback.faults import HTML, Answer, Fault
from market.loopback.hall import OVERLAP, Hall, Render
from market.loopback.history import Coin
from market.loopback.wire import REASONS, Reply, Request

Route = Callable[[Request], Answer]


def iso(time: int) -> str:
    """An ISO date with milliseconds."""
    seconds, rest = divmod(time, 1000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def compact(value: Any) -> str:
    """JSON as the venues send it, without spaces."""
    return json.dumps(value, separators=(",", ":"))


class Refused(Exception):
    """The venue answers with an error: its status and its words."""

    def __init__(self, status: int, body: Any):
        super().__init__(body)
        self.reply = Reply(status, body if isinstance(body, str) else compact(body))


class Venue:
    """One venue over a hall. A subclass gives `names`, `routes`, `urls`, `id_of` and its `words`.

    marks_settlements : whether its funding rows carry the mark price
    mark_volume : whether its mark and index bars carry a volume (of zero)
    hours, jitter : how far its settlements are apart, and how late they come [ms], where a coin does
        not say otherwise
    """

    names: ClassVar[tuple[str, ...]] = ()
    marks_settlements: ClassVar[bool] = False
    mark_volume: ClassVar[bool] = False
    hours: ClassVar[int] = 8
    jitter: ClassVar[int] = 0

    def __init__(self, hall: Hall):
        self.hall = hall
        for coin in hall.coins.values():
            coin.funding = coin.funding or ((0, self.hours),)
            coin.jitter = self.jitter if coin.jitter is None else coin.jitter
        self.routes: dict[str, Route] = self.table()

    def unsaid(self, kind: str) -> str | None:
        """The column of a kind that the venue does not send."""
        if kind == "funding":
            return None if self.marks_settlements else "mark"
        return None if kind == "ohlcv" or self.mark_volume else "volume"

    def oldest(self, kind: str, timeframe: str) -> int:
        """The time before which the venue shows nothing any more."""
        return 0

    def newest_first(
        self, places: list[int], written: Callable[[int], str], head: str, tail: str
    ) -> Answer:
        """Rows of these places in falling order."""
        older = range(max(0, places[0] - OVERLAP), places[0]) if places else range(0)
        return Answer(
            [written(i) for i in reversed(places)],
            head,
            tail,
            before=[written(i) for i in reversed(older)],
            newest_first=True,
        )

    def table(self) -> dict[str, Route]:
        """The answering function of every path."""
        raise NotImplementedError

    def urls(self, base: str) -> Mapping[str, Any]:
        """What stands under `urls` → `api` of the ccxt class."""
        raise NotImplementedError

    def id_of(self, coin: Coin) -> str:
        """The venue's own name of a market."""
        raise NotImplementedError

    def writer(self, coin: Coin, kind: str, timeframe: str) -> Render:
        """How the rows of a series are written."""
        raise NotImplementedError

    def words(self, fault: Fault) -> Reply:
        """The refusal of a name in the venue's words."""
        return self.said(fault, 0, None)

    def said(self, fault: Fault, status: int, body: Any) -> Reply:
        """A refusal with these words, or where the venue has none (status 0) what a proxy says."""
        wait = fault.detail.get("retry_after")
        headers = {} if wait is None else {"Retry-After": str(wait)}
        if status:
            return Reply(status, compact(body), headers)
        if not fault.name.isdigit():
            raise ValueError(f"{self.names[0]} has no words for {fault.name!r}")
        text = f"{fault.name} {REASONS[int(fault.name)]}"
        return Reply(int(fault.name), HTML.format(text), headers, kind="text/html")

    def route_of(self, request: Request) -> str:
        """The path a request is answered and counted under: without what it says at its end."""
        path = request.path
        while path not in self.routes and "/" in path:
            path = path.rsplit("/", 1)[0]
        return path or request.path

    def missing(self, request: Request) -> Reply:
        """The answer to a path the venue does not have."""
        return Reply(404, HTML.format("404 Not Found"), kind="text/html")

    def trades(self, coin: Coin) -> bool:
        """Whether the venue has this sort of market at all."""
        return True

    def coin(self, found: str | None) -> Coin | None:
        """The coin of an id the venue still answers for."""
        for coin in self.hall.coins.values():
            if self.id_of(coin) == found and not coin.gone and self.trades(coin):
                return coin
        return None

    def listed(self) -> list[Coin]:
        """The coins the venue lists: known, begun, and not gone."""
        coins = [c for c in self.hall.coins.values() if self.trades(c) and not c.gone]
        return [c for c in coins if c.listed <= self.hall.now]
