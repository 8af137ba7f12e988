"""A script's ``cerebro.run()`` in other hands: calls are passed on, inputs are kept for several runs."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import backtrader as bt

from bt_margin.errors import InputError
from bt_margin.plugin.assemble import borrowed

#: What is done in place of ``cerebro.run(**keywords)``: the Cerebro, backtrader's own ``run``, the keywords.
Run = Callable[[Any, Callable[..., Any], dict[str, Any]], Any]
Combination = tuple[tuple[Any, Any, Any], ...]


@contextmanager
def intercepted(run: Run, *, plots: bool = False) -> Iterator[None]:
    """While it lasts every ``cerebro.run()`` is ``run(cerebro, backtrader's run, keywords)``.

    Without ``plots`` ``cerebro.plot()`` draws nothing and returns no figures.
    """
    own_run, own_plot = bt.Cerebro.run, bt.Cerebro.plot

    def running(cerebro: Any, **keywords: Any) -> Any:
        return run(cerebro, own_run, keywords)

    def drawing(cerebro: Any, *args: Any, **keywords: Any) -> list[Any]:
        return []

    bt.Cerebro.run = running
    if not plots:
        bt.Cerebro.plot = drawing
    try:
        yield
    finally:
        bt.Cerebro.run, bt.Cerebro.plot = own_run, own_plot


def repeatable(cerebro: Any) -> Callable[[], None]:
    """Keep what a Cerebro can read only once (open files, iterators); the result puts it back.

    :raises InputError: a live feed or a store, which go on while we would run again.
    """
    live = [data for data in cerebro.datas if data.islive()]
    if live or cerebro.stores:
        what = f"feed {live[0]._name or live[0].__class__.__name__!r}" if live else "store"
        raise InputError(
            f"the script has a live {what}, which cannot be run once per margin mode; "
            "give it recorded data"
        )
    cerebro._ohistory = [(list(orders), notify) for orders, notify in cerebro._ohistory]
    texts = []
    for data in cerebro.datas:
        source: Any = getattr(data.p, "dataname", None)
        if hasattr(source, "readline") and hasattr(source, "read"):
            texts.append((data, source.read()))

    def put_back() -> None:
        for data, text in texts:
            data.p.dataname = io.StringIO(text)

    put_back()
    return put_back


def is_optimisation(cerebro: Any) -> bool:
    """Whether the Cerebro was set up with ``optstrategy``."""
    return bool(cerebro._dooptimize)


def combinations(cerebro: Any) -> list[Combination]:
    """The parameter sets of an optimisation, each as (class, arguments, keywords) per strategy.

    backtrader holds them as iterators that end with the first run; they are put back as lists.
    """
    cerebro.strats = [list(added) for added in cerebro.strats]
    return list(itertools.product(*cerebro.strats))


@contextmanager
def only(cerebro: Any, combination: Combination) -> Iterator[None]:
    """Make an optimisation the plain run of one of its parameter sets."""
    with borrowed(cerebro):
        cerebro.strats, cerebro._dooptimize = [[entry] for entry in combination], False
        try:
            yield
        finally:
            cerebro._dooptimize = True


def finished(cerebro: Any, strategies: list[Any]) -> list[Any]:
    """What ``run`` returns for one parameter set of an optimisation, its call-backs made."""
    found = [_condensed(each) for each in strategies] if cerebro.p.optreturn else strategies
    for callback in cerebro.optcbs:
        callback(found)
    return found


def _condensed(strategy: Any) -> Any:
    """Parameters and analyzers of a strategy, as backtrader's optimisation returns them."""
    for analyzer in strategy.analyzers:
        analyzer.strategy = analyzer._parent = None
        for name in [n for n in dir(analyzer) if n.startswith("data")]:
            setattr(analyzer, name, None)
    return bt.OptReturn(strategy.params, analyzers=strategy.analyzers, strategycls=type(strategy))
