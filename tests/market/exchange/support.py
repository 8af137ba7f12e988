"""Clients on loopback servers that never wait, and pages put together again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from market.loopback import Coin, Loopback, ms

from bt_margin.market.exchange import Client, Retry
from bt_margin.market.kinds import Page, Span, columns_of

LISTED = ms("2024-02-06")
NOW = ms("2024-02-20 10:17:30")

COINS = {
    "binanceusdm": Coin(listed=LISTED),
    "binancecoinm": Coin(quote="USD", settle="BTC", listed=LISTED),
    "binance": Coin(listed=LISTED),
    "bybit": Coin(listed=LISTED),
    "okx": Coin(listed=LISTED),
    "kraken": Coin(quote="USD", settle=None, listed=LISTED),
    "krakenfutures": Coin(quote="USD", settle="USD", listed=LISTED),
    "dydx": Coin(quote="USDC", listed=LISTED),
    "hyperliquid": Coin(quote="USDC", listed=LISTED),
    "gate": Coin(listed=LISTED),
}
WHOLE = tuple(name for name in COINS if name not in ("kraken", "hyperliquid"))


class Quick:
    """What a client waited for and said, without any waiting."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.told: list[str] = []

    def client(self, server: Loopback, **more: Any) -> Client:
        options = {**server.exchange_options, **more.pop("options", {})}
        named = {"clock": server.clock, "told": self.told.append, "retry": self.retry()} | more
        return Client(server.exchange, options, **named)

    def retry(self, **more: Any) -> Retry:
        return Retry(sleep=self.slept.append, **more)


def frame_of(pages: Iterable[Page], kind: str) -> pd.DataFrame:
    """The rows of pages as one frame, in time's order."""
    pages = list(pages)
    columns = {
        name: [value for page in pages for value in page.columns[place]]
        for place, name in enumerate(columns_of(kind))
    }
    times = [time for page in pages for time in page.times]
    index = pd.to_datetime(times, unit="ms", utc=True).as_unit("ns")
    return pd.DataFrame(columns, index=index, dtype=float).sort_index()


def assert_same(pages: Iterable[Page], held: pd.DataFrame, kind: str) -> None:
    """Every value the server holds, and no other."""
    found = frame_of(pages, kind)
    assert found.index.asi8.tolist() == held.index.as_unit("ns").asi8.tolist()
    for name in found:
        np.testing.assert_array_equal(found[name].to_numpy(), held[name].to_numpy(dtype=float))


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch made one, in time's order; overlapping ones fail."""
    out: list[Span] = []
    for start, stop in sorted(spans):
        assert not out or start >= out[-1][1], "spans overlap"
        if out and start == out[-1][1]:
            out[-1] = (out[-1][0], stop)
        else:
            out.append((start, stop))
    return out


def holes(pages: Iterable[Page]) -> list[Span]:
    return joined(hole for page in pages for hole in page.holes)


def left_open(pages: Iterable[Page]) -> list[Span]:
    return joined(each for page in pages for each in page.open)
