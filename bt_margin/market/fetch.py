"""Fetch what a store lacks: several datasets of a venue, and several venues, side by side.

An `Order` says what is wanted. Each of its datasets (symbol and kind) is a `Job`: its dataset is locked,
the spans the store does not cover are asked for page by page, and every page goes to the store as it
comes, so that whatever ends the work (an error, Ctrl-C, a killed process) leaves what was fetched. The jobs
of one venue share its rate limit; each worker has a client of its own, because ccxt's are not made for
threads.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from bt_margin.errors import BtMarginError, DownloadError, ExchangeRefused
from bt_margin.market.exchange import Client, Retry, Tiers, fetch_tiers
from bt_margin.market.filling import Job, Stopped, Told, fill
from bt_margin.market.kinds import BAR_KINDS, Span
from bt_margin.market.store import Store

WORKERS = 4
Said = Callable[[str], None]
_LOG = logging.getLogger("bt_margin")
_POLL = 0.1  # seconds between two looks of the waiting main thread, which Ctrl-C wakes


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted from one venue.

    spans : half-open stretches in UTC epoch ms; the end is cut to what has happened by then
    kinds : those of `kinds.KINDS`; `demanded`: they were named by the caller, so one that the venue does
        not have is told as a failure, not as a note
    options : merged into the configuration of the ccxt class
    again : ask for the spans even where the store covers them (repair)
    parts : the spans are parts of a history nobody wants whole (finer bars of dangerous bars)
    """

    exchange: str
    symbols: tuple[str, ...]
    timeframe: str
    spans: tuple[Span, ...]
    kinds: tuple[str, ...]
    demanded: bool = False
    options: Mapping[str, Any] | None = None
    again: bool = False
    parts: bool = False


@dataclass(slots=True)
class Report:
    """What a fetch did: its jobs in the order they were wanted, and what must be said in words.

    notes : about the data, for whoever uses it; asides : about the work (waits, clocks), said as they came
    """

    jobs: list[Job] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    asides: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failures(self) -> list[Job]:
        """The jobs that ended early."""
        return [job for job in self.jobs if job.error is not None]

    @property
    def complete(self) -> bool:
        """Whether everything that was wanted, and is over, is in the store."""
        return not self.failures and not any(job.lacking for job in self.jobs)


def fetch(
    orders: Iterable[Order],
    store: Store,
    *,
    workers: int = WORKERS,
    told: Told | None = None,
    said: Said | None = None,
    retry: Retry | None = None,
) -> Report:
    """Carry out orders, and return what became of every dataset.

    told : where a job stands, after each page
    said : gets each sentence about the work at once: a wait for the venue or for another process, clocks
        that are far apart; by default it goes to the log `bt_margin`
    retry : how patiently one question is asked again (attempts, patience in seconds)

    Errors of one dataset do not end the others; an error that concerns the whole venue (unknown, blocked)
    ends that venue's jobs. KeyboardInterrupt waits for the requests that are out, keeps what they brought,
    and is raised again.

    :raises InputError: an unknown exchange, kind or timeframe.
    """
    started, report, stop = time.monotonic(), Report(), threading.Event()
    listeners = (told, said or _LOG.warning)
    desks = [_Desk(order, store, report, stop, listeners, retry or Retry()) for order in orders]
    report.jobs = [job for desk in desks for job in desk.jobs]
    with ThreadPoolExecutor(max(1, len(desks))) as pool:
        _await([pool.submit(desk.work, workers) for desk in desks], stop)
    report.seconds = time.monotonic() - started
    return report


def _await(futures: Sequence[Future[None]], stop: threading.Event) -> None:
    """Wait for all; Ctrl-C calls the work off and is raised when the last page is stored."""
    pending: set[Future[None]] = set(futures)
    try:
        while pending:
            _, pending = wait(pending, _POLL, return_when=FIRST_EXCEPTION)
    except KeyboardInterrupt:
        stop.set()
        wait(pending)
        raise
    for future in futures:
        future.result()


class _Desk:
    """One venue's order being carried out."""

    def __init__(
        self,
        order: Order,
        store: Store,
        report: Report,
        stop: threading.Event,
        listeners: tuple[Told | None, Said],
        retry: Retry,
    ) -> None:
        self.wait = retry.sleep
        self.retry = replace(retry, sleep=self._sleep)
        self.order, self.store, self.report, self.stop = order, store, report, stop
        self.told, self.said = listeners
        self.jobs = [
            Job(
                order.exchange,
                symbol,
                kind,
                order.timeframe if kind in BAR_KINDS else "",
                order.spans,
            )
            for symbol in order.symbols
            for kind in order.kinds
        ]
        self.lock = threading.Lock()

    def work(self, workers: int) -> None:
        """Make the client, then share the jobs out among its twins."""
        try:
            client = self._client()
            markets = {symbol: self._market(client, symbol) for symbol in self.order.symbols}
        except DownloadError as error:
            for job in self.jobs:
                job.error = error
            return
        queue: SimpleQueue[Job] = SimpleQueue()
        for job in self.jobs:
            market = markets[job.symbol]
            if isinstance(market, BtMarginError):
                job.error = market
            elif self._possible(client, job, market):
                queue.put(job)
        clients = [client, *(client.twin() for _ in range(min(workers, queue.qsize()) - 1))]
        with ThreadPoolExecutor(max(1, len(clients))) as pool:
            for future in [pool.submit(self._serve, each, queue) for each in clients]:
                future.result()

    def _client(self) -> Client:
        name, options = self.order.exchange, self.order.options
        return Client(name, options, retry=self.retry, told=self._note, aside=self._aside)

    def _market(self, client: Client, symbol: str) -> dict[str, Any] | BtMarginError:
        """The contract's facts, which are kept; or why there is no such market."""
        try:
            market = client.market(symbol)
        except ExchangeRefused as error:
            if symbol not in self.store.symbols(self.order.exchange):
                return error
            kept = f"{error}; what the store holds of it can be used offline (--offline)"
            return ExchangeRefused(kept, exchange=error.exchange, symbol=symbol)
        except DownloadError as error:
            return error
        self.store.put_market(self.order.exchange, market, client.now())
        return market

    def _possible(self, client: Client, job: Job, market: Mapping[str, Any]) -> bool:
        """Whether the venue has this kind of data; if not, the job says why."""
        if market.get("type") == "spot" and job.kind != "ohlcv":
            job.skipped = f"{job.exchange} {job.symbol} is a spot market and has no {job.kind} data"
        elif not client.offers(job.kind):
            job.skipped = client.why_not(job.kind)
        if job.skipped and self.order.demanded:
            job.error = DownloadError(
                f"{job.label}: {job.skipped}",
                exchange=job.exchange,
                symbol=job.symbol,
                kind=job.kind,
            )
        elif job.skipped:
            self._note(job.skipped)
        return not job.skipped

    def _serve(self, client: Client, queue: SimpleQueue[Job]) -> None:
        """One worker: take jobs until there are none."""
        while not queue.empty():
            try:
                job = queue.get_nowait()
            except Empty:  # another worker took the last one
                return
            try:
                self._do(client, job)
            except BtMarginError as error:
                job.error = error

    def _do(self, client: Client, job: Job) -> None:
        before = client.requests
        try:
            if job.kind == "tiers":
                tiers = fetch_tiers(client, job.symbol)
                self._keep(tiers)
                job.rows = len(tiers.tiers)
            else:
                dataset = self.store.dataset(job.exchange, job.symbol, job.kind, job.timeframe)
                more = {"again": self.order.again, "parts": self.order.parts}
                fill(client, dataset, job, **more, check=self._check, told=self.told)
        finally:
            job.requests = client.requests - before

    def _keep(self, tiers: Tiers) -> None:
        """A snapshot where the venue's own numbers are news: those in contracts move with the price."""
        value = tiers.as_dict()
        at = value.pop("at")
        kept = self.store.tiers(tiers.exchange, tiers.symbol)
        if not kept or kept[-1]["tiers"]["raw"] != json.loads(json.dumps(value["raw"])):
            self.store.put_tiers(tiers.exchange, tiers.symbol, value, at)

    def _check(self) -> None:
        """:raises Stopped: the work was called off."""
        if self.stop.is_set():
            raise Stopped("called off", exchange=self.order.exchange)

    def _note(self, text: str) -> None:
        with self.lock:
            if text not in self.report.notes:
                self.report.notes.append(text)

    def _aside(self, text: str) -> None:
        with self.lock:
            if text not in self.report.asides:
                self.report.asides.append(text)
        self.said(text)

    def _sleep(self, seconds: float) -> None:
        """Wait, unless the work is called off meanwhile."""
        if self.wait is not time.sleep:
            self.wait(seconds)
        elif self.stop.wait(seconds):
            raise Stopped("called off", exchange=self.order.exchange)
