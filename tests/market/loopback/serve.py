"""One server: a venue's description over a hall, with its faults, its counts and its control."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import pandas as pd
from market.loopback.faults import OF_ROWS, OF_THE_LINE, Fault, Faults, on_the_line, with_rows
from market.loopback.hall import Hall
from market.loopback.history import Coin
from market.loopback.venue import Refused
from market.loopback.venues import VENUES
from market.loopback.wire import Reply, Request, Wire

CONTROL = "/_control"


class Loopback:
    """A running server. `now` may be set; `skew` is how far its Date header is ahead of it [ms].

    requests : how many requests came for each path
    asked : the last requests, as the client wrote them
    """

    def __init__(self, exchange: str, *coins: Coin, now: int, port: int = 0):
        self.exchange = exchange
        self.hall = Hall(coins or (Coin(),), now)
        self.venue = VENUES[exchange](self.hall)
        self.faults = Faults(self._must_know)
        self.requests: Counter[str] = Counter()
        self.asked: deque[str] = deque(maxlen=20_000)
        self.skew = 0
        self._lock = threading.Lock()
        self._wire = Wire(self._answering, port)
        self.base = self._wire.base

    # --- what a test does with it

    @property
    def now(self) -> int:
        return self.hall.now

    @now.setter
    def now(self, time: int) -> None:
        self.hall.now = time

    @property
    def exchange_options(self) -> dict[str, Any]:
        """What the constructor of the ccxt class needs to come here, its limiter off."""
        return {"urls": {"api": dict(self.venue.urls(self.base))}, "enableRateLimit": False}

    def clock(self) -> int:
        """The server's clock, for clients whose own one can be given."""
        return self.hall.now

    def client(self, **options: Any) -> Any:
        """The bare ccxt class, pointed here and with its clock fixed to the server's."""
        import ccxt

        client = getattr(ccxt, self.exchange)({**self.exchange_options, **options})
        client.milliseconds = self.clock
        return client

    def held(
        self,
        symbol: str,
        kind: str,
        timeframe: str = "",
        since: int | None = None,
        until: int | None = None,
    ) -> pd.DataFrame:
        """What the server holds of closed bars or settlements in [since, until), as a store reads."""
        stop = self.now + 1 if until is None else until
        start = max(since or 0, self.venue.oldest(kind, timeframe))
        frame = self.hall.held(symbol, kind, timeframe, start, stop)
        unsaid = self.venue.unsaid(kind)
        return frame.assign(**{unsaid: float("nan")}) if unsaid else frame

    def delist(self, symbol: str, at: int, *, gone: bool = False) -> None:
        """End the trading of a coin at a time; `gone` takes its history off the venue as well."""
        self.hall.coins[symbol].delisted = at
        self.hall.coins[symbol].gone = gone
        self.hall.forget(symbol)

    def revise(self, symbol: str, kind: str, timeframe: str, time: int, ticks: int = 7) -> None:
        """Correct a closed bar of one series by so many ticks."""
        self.hall.bars(symbol, kind, timeframe).revise(time, ticks)

    def warm(self, timeframe: str) -> None:
        """Make and write the bars of a timeframe now: the first client to ask waits no longer."""
        for coin in self.hall.coins.values():
            bars = self.hall.bars(coin.symbol, "ohlcv", timeframe)
            bars.rows(0, len(bars.clock), self.venue.writer(coin, "ohlcv", timeframe))

    def start(self) -> None:
        self._wire.start()

    def stop(self) -> None:
        self._wire.stop()

    def close(self) -> None:
        """Free the port of a server that was never started."""
        self._wire.server_close()

    # --- answering

    def _must_know(self, fault: Fault) -> None:
        if fault.name not in OF_ROWS + OF_THE_LINE:
            self.venue.words(fault)

    def _answering(self, request: Request) -> Reply:
        if request.path == CONTROL:
            return self._control(request)
        line = f"{request.line} {request.body}"
        path = self.venue.route_of(request)
        with self._lock:
            self.requests[path] += 1
            self.asked.append(line)
        reply = self._reply(request, path, line)
        reply.headers.setdefault("Date", formatdate((self.now + self.skew) / 1000, usegmt=True))
        return reply

    def _reply(self, request: Request, path: str, line: str) -> Reply:
        fault = self.faults.take(line)
        if fault and fault.name not in OF_ROWS + OF_THE_LINE:
            return self.venue.words(fault)
        route = self.venue.routes.get(path)
        if route is None:
            return self.venue.missing(request)
        try:
            answer = route(request)
        except Refused as refused:
            return refused.reply
        if fault and fault.name in OF_ROWS:
            return with_rows(answer, fault.name).reply()
        return on_the_line(answer.reply(), fault) if fault else answer.reply()

    def _control(self, request: Request) -> Reply:
        asked = json.loads(request.body)
        deeds: dict[str, Callable[..., Any]] = {
            "fault": self.faults.add,
            "clear": self.faults.clear,
            "delist": self.delist,
            "revise": self.revise,
            "now": lambda time: setattr(self, "now", time),
            "skew": lambda by: setattr(self, "skew", by),
            "counts": lambda: dict(self.requests),
            "fired": lambda: dict(self.faults.fired),
        }
        done = deeds[asked["do"]](*asked.get("args", ()), **asked.get("named", {}))
        return Reply(200, json.dumps(done))


@contextmanager
def loopback(exchange: str, *coins: Coin, now: int) -> Iterator[Loopback]:
    """A server of this process for one ccxt class, stopped at the end of the block."""
    server = Loopback(exchange, *coins, now=now)
    server.start()
    try:
        yield server
    finally:
        server.stop()
