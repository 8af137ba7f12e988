"""What a venue's description has to say, and what all of them share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from market.loopback.faults import HTML, Answer, Fault
from market.loopback.hall import Hall
from market.loopback.history import Coin
from market.loopback.wire import Reply, Request

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
        plain = {"502": "Bad Gateway", "503": "Service Unavailable", "500": "Internal Server Error"}
        if fault.name in plain:
            return Reply(int(fault.name), plain[fault.name], kind="text/plain")
        if fault.name == "403":
            return Reply(403, HTML.format("403 Forbidden"), kind="text/html")
        raise ValueError(f"{self.names[0]} has no words for {fault.name!r}")

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
