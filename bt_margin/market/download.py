"""History of perpetuals and spot markets in one call: what the store lacks is fetched, then frames come back.

    frames = btm.download("binanceusdm", "BTC/USDT:USDT", "1h", since="2024-01-01")

The same call again fetches only what is missing: the time since, a hole, an earlier start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pandas as pd

from bt_margin.errors import BtMarginError, DownloadError, InputError, MissingData, message, near
from bt_margin.market.align import bars_within, load_store
from bt_margin.market.align_frame import funding_policy, mark_policy
from bt_margin.market.exchange import Retry
from bt_margin.market.fetch import WORKERS, Order, Report, Said, fetch
from bt_margin.market.filling import Told
from bt_margin.market.kinds import KINDS, Grid, Span
from bt_margin.market.store import Store
from bt_margin.market.times import epoch_of

FOLDER = "data"
USUAL = ("ohlcv", "mark", "funding", "tiers")
"""The kinds fetched when none are named: what a liquidation depends on."""

PathLike = str | os.PathLike[str]


def download(
    exchange: str,
    symbols: str | Iterable[str],
    timeframe: str = "1h",
    since: Any = None,
    until: Any = None,
    *,
    kinds: str | Iterable[str] | None = None,
    store: PathLike | Store = FOLDER,
    exchange_options: Mapping[str, Any] | None = None,
    missing_funding: str = "fail",
    missing_marks: str = "skip",
    offline: bool = False,
    workers: int = WORKERS,
    retry: Retry | None = None,
    progress: Told | None = None,
    said: Said | None = None,
) -> dict[str, pd.DataFrame]:
    """Frames by symbol, ready for :func:`bt_margin.compare`: last price, mark and funding from one venue.

    exchange : a ccxt class, e.g. ``"binanceusdm"``, ``"bybit"``, ``"okx"``
    symbols : unified symbols, ``"BTC/USDT:USDT"``; several as a list or with commas
    since, until : the half-open stretch ``[since, until)``; a date, a time (UTC unless it says its zone) or
        epoch ms; ``until`` is now unless given
    kinds : of ``ohlcv, mark, index, funding, tiers``; by default what a liquidation depends on, as far as the
        venue has it (what it lacks is told in ``frame.attrs["notes"]``)
    store : folder of the Parquet store; what it covers is not fetched again
    exchange_options : merged into the configuration of the ccxt class (proxies, ``urls``, headers, keys)
    missing_funding, missing_marks : what to do where the venue has none (:mod:`bt_margin.market.align`)
    offline : use the store alone; nothing goes over the network
    retry : how patiently one question is asked again, ``Retry(attempts=3, patience=60)``
    progress : called with a :class:`~bt_margin.market.filling.Progress` for every page
    said : called with each sentence about the work (a wait, a clock that is wrong) as it happens; by default
        they go to the log ``bt_margin``

    :raises InputError: an argument that cannot be meant.
    :raises DownloadError: data that did not come; what came is kept, the same call goes on from there.
    :raises MissingData: the store lacks what is asked and ``offline`` is set, or funding is missing.
    """
    place = store if isinstance(store, Store) else Store(store)
    names, span = listed(symbols), span_of(since, until, timeframe)
    mark_policy(missing_marks), funding_policy(missing_funding)  # before anything is fetched
    notes: list[str] = []
    if not offline:
        chosen, named = chosen_kinds(kinds), kinds is not None
        wanted = Order(exchange, names, timeframe, (span,), chosen, named, exchange_options)
        how: dict[str, Any] = {"workers": workers, "told": progress, "said": said, "retry": retry}
        report = fetch([wanted], place, **how)
        demand(report)
        absent = [
            job.skipped for job in report.jobs if job.skipped
        ]  # which the frames tell themselves
        notes = [note for note in report.notes if not any(text in note for text in absent)]
    start, stop = span[0], None if until is None else span[1]
    try:
        frames = load_store(
            place, exchange, names, timeframe, start, stop,
            missing_funding=missing_funding, missing_marks=missing_marks,
        )  # fmt: skip
    except MissingData as error:
        raise MissingData("; ".join([str(error), *notes])) from error
    for frame in frames.values():
        frame.attrs["notes"] = [*frame.attrs.get("notes", ()), *notes]
    return frames


def demand(report: Report) -> None:
    """Raise the first failure of a report, with what became of the rest."""
    failures = report.failures
    if not failures:
        return
    error = failures[0].error
    if not isinstance(error, DownloadError) or len(report.jobs) == 1:
        raise error or BtMarginError("a download failed")
    whole = sum(job.error is None for job in report.jobs)
    raise type(error)(
        f"{error} ({whole} of {len(report.jobs)} datasets are complete; the same call goes on from here)",
        exchange=error.exchange, symbol=error.symbol, kind=error.kind, span=error.span,
    ) from error  # fmt: skip


def refetching(
    store: Store,
    *,
    exchange_options: Mapping[str, Any] | None = None,
    retry: Retry | None = None,
    progress: Told | None = None,
    said: Said | None = None,
) -> Callable[[str, str, str, str, Sequence[Span]], None]:
    """How :func:`bt_margin.market.check.repair` asks a venue again, whatever the store covers.

    The function takes exchange, symbol, kind, timeframe and spans; what the venue answers is stored, and a
    hole it confirms is recorded as one.
    """

    def again(exchange: str, symbol: str, kind: str, timeframe: str, spans: Sequence[Span]) -> None:
        wanted = Order(
            exchange,
            (symbol,),
            timeframe,
            tuple(spans),
            (kind,),
            True,
            exchange_options,
            again=True,
        )
        demand(fetch([wanted], store, told=progress, said=said, retry=retry))

    return again


class FinerBars:
    """Finer bars of a venue on demand, for ``compare(..., detail=FinerBars("binanceusdm", "1m"))``.

    Called with a symbol and spans it fetches what the store lacks of exactly those, and returns the bars with
    their marks where the venue has them.
    """

    def __init__(
        self,
        exchange: str,
        timeframe: str = "1m",
        *,
        store: PathLike | Store = FOLDER,
        exchange_options: Mapping[str, Any] | None = None,
        offline: bool = False,
        progress: Told | None = None,
        said: Said | None = None,
    ) -> None:
        Grid.of(timeframe)
        self.exchange, self.timeframe = exchange, timeframe
        self.store = store if isinstance(store, Store) else Store(store)
        self.options, self.offline = exchange_options, offline
        self.progress, self.said = progress, said

    def __call__(self, symbol: str, spans: Sequence[Span]) -> pd.DataFrame | None:
        """The finer bars that open within the spans; None where the venue has none."""
        if not self.offline:
            kinds = ("ohlcv", "mark")
            wanted = Order(
                self.exchange, (symbol,), self.timeframe, tuple(spans), kinds,
                options=self.options, parts=True,
            )  # fmt: skip
            demand(fetch([wanted], self.store, told=self.progress, said=self.said))
        return bars_within(self.store, self.exchange, symbol, self.timeframe, spans)


# -- what people type ------------------------------------------------------------------------


def listed(names: str | Iterable[str]) -> tuple[str, ...]:
    """Names from one text with commas or from several; each once. :raises InputError: none.

    >>> listed("BTC/USDT:USDT, ETH/USDT:USDT"), listed(["A", "B", "A"])
    (('BTC/USDT:USDT', 'ETH/USDT:USDT'), ('A', 'B'))
    """
    parts = names.split(",") if isinstance(names, str) else list(names)
    found = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    if not found:
        raise InputError(message("symbols", "none", "at least one, like BTC/USDT:USDT"))
    return found


def chosen_kinds(kinds: str | Iterable[str] | None) -> tuple[str, ...]:
    """The kinds named, or the usual ones. :raises InputError: an unknown kind.

    >>> chosen_kinds("mark,ohlcv")
    ('mark', 'ohlcv')
    """
    if kinds is None:
        return USUAL
    found = listed(kinds)
    for kind in found:
        if kind not in KINDS:
            text = message(
                "unknown kind of data", kind, ", ".join(KINDS), todo=near(kind, KINDS) or None
            )
            raise InputError(text)
    return found


def span_of(since: Any, until: Any, timeframe: str) -> Span:
    """The half-open stretch asked for in epoch ms, on the grid of the timeframe.

    :raises InputError: no start, no time, or an end that is not after the start.

    >>> span_of("2024-01-01", "2024-01-02", "1h")
    (1704067200000, 1704153600000)
    """
    grid = Grid.of(timeframe)
    if since is None:
        raise InputError(
            message("since", "nothing", "a date", todo="say where to begin: since='2024-01-01'")
        )
    start = grid.floor(time_of(since, "since"))
    stop = time_of(until, "until") if until is not None else now_ms()
    if stop <= start:
        raise InputError(
            message("until is not after since", text_of(stop), f"after {text_of(start)}")
        )
    return start, grid.ceil(stop) if until is not None else stop


def time_of(time: Any, name: str) -> int:
    """Epoch ms of a date, a time (UTC unless it says otherwise), or epoch ms itself.

    >>> time_of("1970-01-02", "since"), time_of(5, "since")
    (86400000, 5)
    """
    return epoch_of(time, name)


def now_ms() -> int:
    """The local clock; what is really over is judged by the venue's."""
    return int(datetime.now(timezone.utc).timestamp() * 1000)


def text_of(time: int) -> str:
    """A time for messages: to the minute, UTC.

    >>> text_of(0)
    '1970-01-01 00:00 UTC'
    """
    return f"{datetime.fromtimestamp(time / 1000, timezone.utc):%Y-%m-%d %H:%M} UTC"
