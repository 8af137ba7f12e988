"""What a venue's description has to say, and what all of them share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from market.loopback.faults import HTML, Answer, Fault
from market.loopback.hall import OVERLAP, Hall
from market.loopback.history import Coin
from market.loopback.wire import REASONS, Reply, Request

Route = Callable[[Request], Answer]


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
    """

    names: ClassVar[tuple[str, ...]] = ()
    marks_settlements: ClassVar[bool] = False
    mark_volume: ClassVar[bool] = False

    def __init__(self, hall: Hall):
        self.hall = hall
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

    def missing(self, request: Request) -> Reply:
        """The answer to a path the venue does not have."""
        return Reply(404, HTML.format("404 Not Found"), kind="text/html")

    def coin(self, found: str | None) -> Coin | None:
        """The coin of an id the venue still answers for."""
        for coin in self.hall.coins.values():
            if self.id_of(coin) == found and not coin.gone:
                return coin
        return None

    def listed(self) -> list[Coin]:
        """The coins the venue lists: known, begun, and not gone."""
        return [c for c in self.hall.coins.values() if not c.gone and c.listed <= self.hall.now]
