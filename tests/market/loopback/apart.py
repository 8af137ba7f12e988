"""A server in a process of its own, for tests that kill or measure their own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from market.loopback.history import Coin, Outage, Tier
from market.loopback.serve import CONTROL, Loopback

TESTS = Path(__file__).resolve().parents[2]


class Remote:
    """A server elsewhere: its address, and what can be done to it over the control route.

    held : `Loopback.held` of a server of the same coins in this process, which holds the same
    """

    def __init__(self, exchange: str, coins: tuple[Coin, ...], now: int, base: str, pid: int):
        self.here = Loopback(exchange, *coins, now=now)  # never started
        self.exchange, self.base, self.pid = exchange, base, pid
        self.held = self.here.held
        self.clock = self.here.clock

    @property
    def exchange_options(self) -> dict[str, Any]:
        urls = dict(self.here.venue.urls(self.base))
        return {"urls": {"api": urls}, "enableRateLimit": False}

    def client(self, **options: Any) -> Any:
        """The bare ccxt class, pointed at the server and with its clock fixed."""
        return self.here.client(**{**self.exchange_options, **options})

    def do(self, deed: str, *args: Any, **named: Any) -> Any:
        """`fault`, `clear`, `delist`, `revise`, `now`, `skew`, `counts` or `fired` over the wire."""
        body = json.dumps({"do": deed, "args": args, "named": named}).encode()
        with urllib.request.urlopen(self.base + CONTROL, body, timeout=10) as answer:
            return json.loads(answer.read())


@contextmanager
def loopback_apart(
    exchange: str, *coins: Coin, now: int, warm: tuple[str, ...] = ()
) -> Iterator[Remote]:
    """A server in another process, ended with the block.

    warm : timeframes whose bars are made and written before the first request
    """
    coins = coins or (Coin(),)
    told = {"exchange": exchange, "coins": [asdict(coin) for coin in coins], "now": now}
    process = subprocess.Popen(
        [sys.executable, "-m", "market.loopback"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({**told, "warm": warm}) + "\n")
        process.stdin.flush()
        base = process.stdout.readline().strip()
        remote = Remote(exchange, coins, now, base, process.pid)
        yield remote
        remote.here.close()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def coin_of(told: dict[str, Any]) -> Coin:
    """A coin from what JSON made of it."""
    told["outages"] = tuple(Outage(a, b, tuple(kinds)) for a, b, kinds in told["outages"])
    told["tiers"] = tuple(Tier(*tier) for tier in told["tiers"])
    for name in ("funding", "unsettled"):
        told[name] = tuple((a, b) for a, b in told[name])
    return Coin(**{field.name: told[field.name] for field in fields(Coin)})


def serve(text: str) -> None:
    """Run the server that a line of JSON describes; say where; end with the end of stdin."""
    told = json.loads(text)
    server = Loopback(told["exchange"], *map(coin_of, told["coins"]), now=told["now"])
    for timeframe in told["warm"]:
        server.warm(timeframe)
    server.start()
    print(server.base, flush=True)
    sys.stdin.read()
    server.stop()
