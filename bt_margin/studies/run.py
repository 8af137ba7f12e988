"""One run of a strategy on a margin account."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.errors import InputError, message, near
from bt_margin.market.frames import validate_frame, validate_frames
from bt_margin.plugin import assemble
from bt_margin.plugin.broker import MarginBroker
from bt_margin.studies.result import Run, events_frame
from bt_margin.studies.rules import downloaded_tiers
from bt_margin.studies.tracks import stamps

Progress = Callable[[float], None]
#: What people say for a keyword that is called otherwise.
MEANT = {"mode": "margin_mode", "margin": "margin_mode", "balance": "cash", "slippage": "slip_perc"}


def run(
    strategy: Any,
    data: Any = None,
    *,
    params: Mapping[str, Any] | None = None,
    name: str = "run",
    progress: Progress | None = None,
    **broker: Any,
) -> Run:
    """Run a strategy once on a margin account.

    ``strategy`` is a strategy class, with ``data`` as frames by symbol (``{"BTC/USDT:USDT": frame}``) and
    ``params`` for the strategy; or an assembled Cerebro, which is run as it stands under a new
    :class:`MarginBroker` and left as it was. ``broker`` keywords are MarginBroker's: ``venue``,
    ``margin_mode``, ``leverage``, ``cash``, ``symbols``, ``intrabar``, … Settings of the Cerebro's own broker
    (commission, slippage, fillers) are taken over; so is its cash, and its margin settings if it is a
    MarginBroker, where no keyword says otherwise. ``progress`` is called with the share done (0 … 1).

    :raises InputError: data missing or given twice, an unknown keyword or parameter (nearest names
        offered), a broken frame, no venue.
    """
    cerebro, frames = prepare(strategy, data, params)
    return run_prepared(cerebro, frames, broker, name, progress)


def prepare(strategy: Any, data: Any, params: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """A Cerebro ready to run, and the frames it reads (``None``: the user's own feeds)."""
    if assemble.is_cerebro(strategy):
        if data is not None or params:
            what = "data" if data is not None else "params"
            raise InputError(
                f"{what} given together with an assembled Cerebro, which already has its own; "
                "leave them out, or give a strategy class instead of the Cerebro"
            )
        assemble.runnable(strategy)
        return strategy, None
    if not assemble.is_strategy(strategy):
        raise InputError(
            message(
                "strategy",
                found=repr(strategy),
                allowed="a subclass of backtrader.Strategy or an assembled Cerebro",
                todo="give the class itself, not an instance or a name",
            )
        )
    frames = as_frames(data)
    return assemble.build(strategy, frames, params or {}), frames


def as_frames(data: Any) -> dict[str, pd.DataFrame]:
    """Frames by symbol from what a caller may hold: a mapping, or a path to files.

    :raises InputError: nothing, or something else.
    """
    if isinstance(data, (str, Path)):
        from bt_margin.market.files import load_market

        return dict(load_market(data))
    if isinstance(data, Mapping):
        return validate_frames(dict(data))
    if isinstance(data, pd.DataFrame):
        symbol = str(data.attrs.get("symbol", ""))
        if symbol:
            return {symbol: validate_frame(data, symbol)}
    raise InputError(
        message(
            "data",
            found=type(data).__name__,
            allowed='frames by symbol, like {"BTC/USDT:USDT": frame}',
            todo="name each frame by its ccxt symbol",
        )
    )


def run_prepared(
    cerebro: Any, frames: Any, keywords: Mapping[str, Any], name: str, progress: Progress | None
) -> Run:
    """Run a prepared Cerebro once under a new broker made from ``keywords``."""
    title = assemble.strategy_names(cerebro)
    settings, said = downloaded_tiers(complete(keywords, cerebro, frames is None), frames)
    broker = MarginBroker(**settings)
    started = time.perf_counter()
    strategy, record = assemble.run_with(cerebro, broker, progress, keywords)
    seconds = time.perf_counter() - started
    return Run(
        name=name,
        title=title,
        settings=settings_of(broker),
        broker=broker,
        strategy=strategy,
        cash=float(broker.startingcash),
        equity=_equity(broker),
        events=events_frame(broker.events, name),
        record=record,
        fidelity=_with_notes(broker.fidelity, said),
        synthetic=_synthetic(cerebro, frames),
        data_hash=assemble.data_hash(cerebro),
        seconds=seconds,
        warmup=warmup_of(strategy),
    )


def _with_notes(fidelity: Mapping[str, Any], said: list[str]) -> dict[str, Any]:
    return {**fidelity, "notes": (*said, *fidelity["notes"])}


def warmup_of(strategy: Any) -> int:
    """How many bars of the first feed passed before every indicator of the strategy had a value."""
    needs = list(getattr(strategy, "_minperiods", ()))
    if len(needs) != len(strategy.datas):
        return 0
    times = [np.asarray(data.datetime.array, dtype=float) for data in strategy.datas]
    if any(need > len(own) for need, own in zip(needs, times, strict=True)):
        return 0
    ready = max(float(own[max(need, 1) - 1]) for need, own in zip(needs, times, strict=True))
    return int(np.searchsorted(times[0], ready))


def broker_keywords() -> list[str]:
    """Every keyword :class:`MarginBroker` knows."""
    return list(MarginBroker.params._getkeys())


def complete(keywords: Mapping[str, Any], cerebro: Any, own: bool) -> dict[str, Any]:
    """The keywords of the broker to be made; from a user's Cerebro (``own``) what they do not say.

    :raises InputError: a keyword no broker has, or no venue anywhere.
    """
    known = broker_keywords()
    for word, value in keywords.items():
        if word not in known:
            raise _unknown(word, value, cerebro, own)
    full: dict[str, Any] = {}
    if own and isinstance(cerebro.broker, MarginBroker):
        full.update({word: getattr(cerebro.broker.p, word) for word in known})
    if own:
        full["cash"] = assemble.own_cash(cerebro)
    full.update(keywords)
    if full.get("venue") is None:
        raise InputError(
            'no venue given; say whose rules apply, e.g. venue="binance", '
            "or assemble the Cerebro with a MarginBroker"
        )
    return full


def _unknown(word: str, value: Any, cerebro: Any, own: bool) -> InputError:
    """The error for a keyword no broker has; a parameter of the strategy is told where it belongs."""
    for strategy, _, _ in (item for added in cerebro.strats for item in added):
        if word in strategy.params._getkeys():
            todo = f"params=dict({word}={value!r}), on the command line --set {word}={value}"
            if own:
                todo = f"cerebro.addstrategy({strategy.__name__}, {word}={value!r})"
            where = f"a parameter of the strategy {strategy.__name__}, not of the account"
            return InputError(f"{word!r} is {where}; give it with {todo}")
    known = broker_keywords()
    meant = f"did you mean {MEANT[word]}?" if word in MEANT else near(word, known)
    if meant:
        return InputError(f"keyword {word!r} is not known; {meant}")
    text = message(f"keyword {word!r}", word, ", ".join(known), "MarginBroker", "leave it out")
    return InputError(text)


def settings_of(broker: Any) -> dict[str, Any]:
    """The effective settings of a broker, as plain values: what to write on the result."""
    own = {word: plain(getattr(broker.p, word)) for word in broker_keywords()}
    by_hand = {
        str(name or "all"): plain(scheme)
        for name, scheme in broker.comminfo.items()
        if scheme is not broker.p.commission  # backtrader's own, which stands for the venue's fees
    }
    return own | {"commission": by_hand or "the venue's fees"}


def params_of(strategy: Any) -> dict[str, Any]:
    """The parameters a strategy ran with, its defaults included, as plain values."""
    return {name: plain(value) for name, value in strategy.p._getkwargs().items()}


def plain(value: Any) -> Any:
    """A setting as something JSON can hold: venues by name, series by length, objects by parameters.

    >>> class Own: pass
    >>> plain(Own()), plain(Own), plain((1, "a"))
    ('Own', 'Own', [1, 'a'])
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (pd.Series, pd.DataFrame)):
        return f"{len(value)} rows"
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    named = getattr(value, "name", None) or getattr(value, "__name__", None)
    return str(named) if isinstance(named, str) else _object(value)


def _object(value: Any) -> str:
    """An object by its class and the parameters that are not its defaults, never by its address."""
    kind = type(value)
    own: Any = getattr(value, "p", None)
    if hasattr(own, "_getkwargs"):
        changed = {k: v for k, v in own._getkwargs().items() if not own.isdefault(k)}
        return f"{kind.__name__}({', '.join(f'{k}={plain(v)}' for k, v in changed.items())})"
    text = str(value)
    return text if " at 0x" not in text else kind.__name__


def _equity(broker: Any) -> pd.Series:
    """The broker's equity curve as a series indexed by UTC time."""
    times, values = broker.equity_curve
    frame = pd.Series(np.asarray(values, dtype=float), stamps(times), name="equity")
    return frame[~frame.index.duplicated(keep="last")]


def _synthetic(cerebro: Any, frames: Any) -> bool:
    """Whether any of the data was made up, as its frames say."""
    sources = list(frames.values()) if frames else [d.p.dataname for d in cerebro.datas]
    return any(bool(getattr(source, "attrs", {}).get("synthetic")) for source in sources)
