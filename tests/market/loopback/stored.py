"""Downloads from a loopback server into a store, and what must be true of the store afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from market.loopback.apart import Remote
from market.loopback.serve import Loopback

from bt_margin.market.exchange import Client, Retry
from bt_margin.market.exchange import client as client_module
from bt_margin.market.fetch import Order, Report, fetch
from bt_margin.market.kinds import BAR_KINDS, Grid, Span
from bt_margin.market.store import Dataset, Store
from bt_margin.market.store.spans import joined

Server = Loopback | Remote
LOCAL = {"now": 0}  # the clock of this computer, as a download sees it
ALL_ROWS = (*BAR_KINDS, "funding")


def fetched(
    server: Server,
    folder: Path,
    span: Span,
    *,
    kinds: Sequence[str] = ("ohlcv",),
    timeframe: str = "1m",
    symbols: Sequence[str] = (),
    **options: Any,
) -> Report:
    """One download of a span of all coins of a server, by the class it stands for."""
    LOCAL["now"] = server.clock()
    coins = server.hall.coins if isinstance(server, Loopback) else server.here.hall.coins
    names = tuple(symbols or coins)
    told = {**server.exchange_options, **options}
    order = Order(server.exchange, names, timeframe, (span,), tuple(kinds), options=told)
    return fetch([order], Store(folder))


def dataset(server: Server, folder: Path, symbol: str, kind: str, timeframe: str) -> Dataset:
    return Store(folder).dataset(
        server.exchange, symbol, kind, timeframe if kind in BAR_KINDS else ""
    )


def assert_held(
    server: Server,
    folder: Path,
    symbol: str,
    kind: str,
    span: Span,
    *,
    timeframe: str = "1m",
    gaps: Sequence[Span] = (),
) -> None:
    """What is stored of a span is what the server holds of it: nothing lost, nothing invented.

    gaps : the stretches the server has no bars for, and no others, are recorded as missing there
    """
    data = dataset(server, folder, symbol, kind, timeframe)
    held = server.held(symbol, kind, timeframe, *span)
    assert len(held) > 0, f"the server holds no {kind}"
    pd.testing.assert_frame_equal(data.read(), held, check_exact=True, check_freq=False)
    told = joined(gap[:2] for gap in data.gaps)
    assert told == tuple(gaps), f"{kind}: gaps {told}, held {gaps}"
    assert len(data.revisions) == 0, f"{kind}: {data.revisions}"
    assert data.verify() == [], f"{kind}: {data.verify()}"
    if kind in BAR_KINDS:
        step = Grid.of(timeframe).step
        covered = [(span[0], min(span[1], Grid.of(timeframe).floor(server.clock())))]
        assert list(data.covered) == covered, f"{kind}: {data.covered}, asked {covered}"
        missing = sum((stop - start) // step for start, stop in gaps)
        assert len(held) == (covered[0][1] - covered[0][0]) // step - missing


def calm(monkeypatch: Any) -> list[float]:
    """Downloads go by the clock of the server they ask, and waits are written down, not waited."""
    import ccxt

    waits: list[float] = []
    made = Client.__init__

    def impatient(self: Client, *args: Any, retry: Retry | None = None, **named: Any) -> None:
        made(self, *args, retry=replace(retry or Retry(), sleep=waits.append), **named)

    monkeypatch.setattr(Client, "__init__", impatient)
    monkeypatch.setattr(client_module, "wall", lambda: LOCAL["now"])
    monkeypatch.setattr(ccxt.Exchange, "milliseconds", staticmethod(lambda: LOCAL["now"]))
    return waits
