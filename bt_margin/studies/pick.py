"""A part of a market: some symbols, some time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from bt_margin.errors import DataError, InputError, UnknownSymbol, near
from bt_margin.market.names import unified_symbol


def pick(
    market: Mapping[str, pd.DataFrame],
    symbols: Iterable[str] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> dict[str, pd.DataFrame]:
    """The frames of these symbols, cut to bars that open in [since, until) (UTC); attributes are kept.

    ``symbols`` in this order, ``BTC/USDT:USDT`` or ``BTCUSDT``; all when ``None``. :raises UnknownSymbol: not
    in the market. :raises InputError: a time that cannot be read. :raises DataError: no bars left.

    >>> times = pd.date_range("2025-01-01", periods=3, freq="D", tz="UTC")
    >>> part = pick({"BTC/USDT:USDT": pd.DataFrame({"close": 1.0}, times)}, ["BTCUSDT"], "2025-01-02")
    >>> len(part["BTC/USDT:USDT"])
    2
    """
    wanted = list(market) if symbols is None else [unified_symbol(name) for name in symbols]
    first, last = _moment(since, "since"), _moment(until, "until")
    found = {}
    for symbol in wanted:
        if symbol not in market:
            hint = near(symbol, market) or f"it has {', '.join(market)}"
            raise UnknownSymbol(f"the market has no {symbol}; {hint}")
        frame = market[symbol]
        index = pd.DatetimeIndex(frame.index)
        part = frame.iloc[_place(index, first, 0) : _place(index, last, len(index))]
        if not len(part):
            raise DataError(
                f"{symbol} has no bars from {since or 'its start'} to {until or 'its end'}; "
                f"it has {index[0]} to {index[-1]}"
            )
        found[symbol] = part
    return found


def _place(index: pd.DatetimeIndex, moment: pd.Timestamp | None, unset: int) -> int:
    """The row of the first bar at or after a moment."""
    return unset if moment is None else int(index.searchsorted(moment))


def _moment(text: str | None, name: str) -> pd.Timestamp | None:
    """A time in UTC. :raises InputError: not a time."""
    if text is None:
        return None
    try:
        moment = pd.Timestamp(text).as_unit("ns")  # a year that no bar can have is no time here
    except ValueError as error:
        raise InputError(f"{name} {text!r} is not a time; write it like 2025-10-01") from error
    if pd.isna(moment):
        raise InputError(f"{name} {text!r} is not a time; write it like 2025-10-01")
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
