"""Assembled Cerebros for the studies: built from a strategy and frames, or the user's own, run again.

Running a user's Cerebro leaves no trace on it: its broker, its lists of strategies, analyzers and timers
are what they were before.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Any

import backtrader as bt
from backtrader.resamplerfilter import _BaseResampler

from bt_margin.errors import InputError, message, near
from bt_margin.plugin.feeds import PerpData

Progress = Callable[[float], None]

_EVERY = 256  # bars between two reports of progress


class NobodyRan(InputError):
    """Every strategy took itself out of the run."""


def is_cerebro(thing: object) -> bool:
    """Whether this is an assembled Cerebro."""
    return isinstance(thing, bt.Cerebro)


def is_strategy(thing: object) -> bool:
    """Whether this is a strategy class (not an instance)."""
    return inspect.isclass(thing) and issubclass(thing, bt.Strategy)


def build(strategy: type[Any], frames: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
    """A Cerebro with one feed per frame and one strategy; no observers, so that nothing slows it down.

    :raises InputError: a parameter the strategy does not have (the nearest names are offered).
    """
    check_params(strategy, params)
    cerebro = bt.Cerebro(stdstats=False)
    feed: Any = PerpData  # backtrader's metaclass takes the parameters
    for symbol, frame in frames.items():
        cerebro.adddata(feed(dataname=frame, name=symbol))
    cerebro.addstrategy(strategy, **params)
    return cerebro


def check_params(strategy: type[Any], params: Mapping[str, Any]) -> None:
    """Refuse parameters the strategy does not declare."""
    known = list(strategy.params._getkeys())
    for name in params:
        if name not in known:
            raise InputError(
                message(
                    f"parameter {name!r}",
                    found=name,
                    allowed=", ".join(known) or "none: it has no parameters",
                    where=f"strategy {strategy.__name__}",
                    todo=near(name, known) or "name one of these",
                )
            )


def strategy_names(cerebro: Any) -> str:
    """The strategies of a Cerebro, for a title."""
    names = [item[0].__name__ for added in cerebro.strats for item in added]
    if cerebro.signals:
        names.append((cerebro._signal_strat[0] or bt.SignalStrategy).__name__)
    return ", ".join(names) or "Strategy"


def feed_names(cerebro: Any) -> list[str]:
    """The names of the feeds that trade: those of resampled clones are their source's."""
    named = [str(data._name) for data in cerebro.datas if getattr(data, "data", data) is data]
    return [name for name in dict.fromkeys(named) if name]


def runnable(cerebro: Any) -> None:
    """:raises InputError: nothing to run on, or an optimisation, which is not one run."""
    if not cerebro.datas:
        raise InputError("the Cerebro has no data; add a feed with cerebro.adddata(...) first")
    if cerebro._dooptimize or any(not isinstance(added, list) for added in cerebro.strats):
        raise InputError(
            "the Cerebro was set up with optstrategy, which is many runs; "
            "add one set of parameters with addstrategy to compare margin settings"
        )


def own_cash(cerebro: Any) -> Any:
    """The cash the Cerebro's broker was given, whether it has run since or not."""
    broker = cerebro.broker
    given = getattr(broker.p, "cash", None)
    if isinstance(given, Mapping):
        return dict(given)
    return float(broker.getcash() if given is None else given)


@contextmanager
def borrowed(cerebro: Any) -> Iterator[Any]:
    """Use the Cerebro for a while; broker, strategies, analyzers and timers are put back afterwards."""
    broker = cerebro._broker
    kept = {name: list(getattr(cerebro, name)) for name in ("strats", "analyzers", "_pretimers")}
    try:
        yield cerebro
    finally:
        for name, value in kept.items():
            setattr(cerebro, name, value)
        cerebro._broker = broker
        broker.cerebro = cerebro


def forget_bars(cerebro: Any) -> None:
    """Put resampling and replaying filters back to their beginning.

    backtrader leaves them in the middle of the last bar of a run, and the next run of the same Cerebro
    starts there: replayed data then fails with an IndexError.
    """
    for data in cerebro.datas:
        for item, _, _ in data._filters:
            if isinstance(item, _BaseResampler):
                item.bar.bstart(maxdate=True)
                item.compcount, item._firstbar, item._nexteos = 0, True, None


def keep_filters(cerebro: Any) -> Callable[[], None]:
    """Remember the state of the feeds' filters; the result puts it back, so that each run begins with it.

    backtrader makes filters once, and they go on where the last run ended. Bars of resamplers are left to
    :func:`forget_bars`.
    """
    filters = [item for data in cerebro.datas for item, _, _ in [*data._filters, *data._ffilters]]
    states = [
        (vars(item), {name: _copied(value) for name, value in vars(item).items()})
        for item in filters
        if isinstance(getattr(item, "__dict__", None), dict)
        and not isinstance(item, _BaseResampler)
    ]

    def put_back() -> None:
        for own, kept in states:
            own.clear()
            own.update({name: _copied(value) for name, value in kept.items()})

    return put_back


def _copied(value: Any) -> Any:
    """A container as a copy of its own, anything else as it is."""
    return copy(value) if isinstance(value, (list, dict, set, deque)) else value


def run_with(
    cerebro: Any, broker: Any, progress: Progress | None = None, said: Iterable[str] = ()
) -> tuple[Any, Recorder]:
    """Run a Cerebro under ``broker``: its first strategy afterwards, and the record of the run.

    ``said`` are the broker's settings that the Cerebro's own broker does not overrule.
    """
    with borrowed(cerebro):
        forget_bars(cerebro)
        broker.adopt(cerebro.broker, said)
        cerebro.broker = broker
        records: list[Recorder] = []
        cerebro.analyzers.append((Recorder, (), {"progress": progress, "records": records}))
        strategies = _run(cerebro)
        if not strategies:
            raise NobodyRan("the strategy took itself out of the run (StrategySkipError)")
        return strategies[0], records[0]


def _run(cerebro: Any) -> list[Any]:
    """``cerebro.run()``; feeds shorter than an indicator needs are said to be, not an IndexError."""
    try:
        return list(cerebro.run())
    except IndexError as error:
        bars = {str(data._name): data.buflen() for data in cerebro.datas}
        if error.__traceback__ is not None and _inside_backtrader(error) and min(bars.values()):
            found = ", ".join(f"{name} {count}" for name, count in bars.items())
            raise InputError(
                f"the strategy's indicators need more bars than there are (bars: {found}); "
                "give more data or shorter periods"
            ) from error
        raise


def _inside_backtrader(error: BaseException) -> bool:
    """Whether an exception was raised by backtrader's own code."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and "backtrader" in last.tb_frame.f_globals.get("__name__", "")


def data_hash(cerebro: Any) -> str:
    """SHA-256 (first 16 digits) over every line of every feed after a run; empty if bars were dropped."""
    digest = hashlib.sha256()
    for data in cerebro.datas:
        digest.update(str(data._name).encode())
        for line in data.lines:
            if not isinstance(line.array, array):
                return ""
            digest.update(line.array.tobytes())
    return digest.hexdigest()[:16]


class Recorder(bt.Analyzer):
    """Writes down, at each bar's close, the marks of the open positions, and what each stands on.

    A mark moves with every bar; size, entry, leverage, tier table and the balance of the pool change only
    with an event of the account, or with a date in the venue's rules. So one number is kept per bar and open
    position, two where the initial margin is more than notional over leverage, and a *stretch* of bars shares
    everything else:

    ``times`` UTC ms of every bar; ``mark`` bar after bar, the open positions in the order of their stretch;
    ``initial`` bar after bar, the initial margins of those whose ``leverage`` is NaN
    ``first``, ``begin``, ``count`` per stretch: its first bar, its first row below, how many positions
    ``symbol``, ``pool``, ``table`` per row: places in ``symbols``, ``pools`` and ``tables``
    ``size``, ``entry``, ``balance``, ``leverage``, ``shared`` per row: of the position, and of the pool that
    backs it; the leverage is notional over initial margin, NaN where a rule says what that is
    """

    helper = True
    params: Any = (("progress", None), ("records", ()))

    def __init__(self) -> None:
        self.times: array[int] = array("q")
        self.first, self.begin, self.count = array("q"), array("q"), array("i")
        self.symbol, self.pool, self.table = array("i"), array("i"), array("i")
        self.mark, self.initial = array("d"), array("d")
        self.size, self.entry = array("d"), array("d")
        self.balance, self.leverage, self.shared = array("d"), array("d"), array("d")
        self.symbols: dict[str, int] = {}
        self.pools: dict[str, int] = {}
        self.tables: list[Any] = []
        self._places: dict[int, int] = {}
        self._held: list[Any] = []
        self._ruled: list[Any] = []
        self._events: Any = None
        self._known = (-1, -1)

    def start(self) -> None:
        """Only the first strategy's recorder works: all see the same account."""
        self.broker = self.strategy.broker
        self.working = self.strategy.cerebro.runningstrats[0] is self.strategy
        self.p.records.append(self)
        self.total = max((data.buflen() for data in self.strategy.datas), default=0)

    def next(self) -> None:
        """One bar is over."""
        if not self.working:
            return
        broker = self.broker
        account = broker.account
        self.times.append(broker.equity_curve[0][-1])
        events = account.events
        known = len(events), account.revisions
        if known != self._known or events is not self._events or broker._margins or account.vault:
            self._events, self._known = events, known
            self._begin_stretch(account)
        if self._held:
            self.mark.extend([p.mark for p in self._held])
            if self._ruled:
                self.initial.extend([p.initial() for p in self._ruled])
        if self.p.progress is not None and len(self.times) % _EVERY == 0:
            self.p.progress(min(1.0, len(self.times) / max(1, self.total)))

    def _begin_stretch(self, account: Any) -> None:
        """From this bar on the positions stand on other numbers."""
        self._held, self._ruled = [], []
        self.first.append(len(self.times) - 1)
        self.begin.append(len(self.size))
        for key, pool in account.pools.items():
            for p in pool.positions:
                self._held.append(p)
                self.symbol.append(self.symbols.setdefault(p.symbol, len(self.symbols)))
                self.pool.append(self.pools.setdefault(key, len(self.pools)))
                self.table.append(self._table(p.table))
                self.size.append(p.size)
                self.entry.append(p.entry)
                self.balance.append(pool.backing())
                self.leverage.append(p.leverage if p.plain else math.nan)
                if not p.plain:
                    self._ruled.append(p)
                self.shared.append(pool.shared)
        self.count.append(len(self._held))

    def _table(self, table: Any) -> int:
        """The place of a tier table among those seen (a table that is kept keeps its id)."""
        place = self._places.setdefault(id(table), len(self.tables))
        if place == len(self.tables):
            self.tables.append(table)
        return place
