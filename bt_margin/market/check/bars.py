"""What one series of bars can say against itself: prices, high and low, volume, standing still."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bt_margin.market.check.findings import (
    HOUR,
    Finding,
    Severity,
    length,
    listed,
    number,
    plural,
    runs,
)
from bt_margin.market.check.rows import PRICES, Mask, Rows, usable

# Bars without a trade: a fact of the market, but a fill in them is made up. From this length on
# the reader should look (an outage, a dead contract).
LONG_SILENCE = 6 * HOUR
# Bars that repeat the prices of the bar before. One alone happens on calm or coarse prices; from
# three on the reader should look, from six hours on the feed had stopped.
FROZEN_BARS = 3
FROZEN_LONG = 6 * HOUR
# The last price of a calm market stands still for minutes; it must also last an hour to be told.
FROZEN_LAST = HOUR
# Prices and traded volume both repeated: no market does this three times running.
COPIED_BARS = 3


def check_prices(rows: Rows) -> Iterator[Finding]:
    """Prices that are no prices; high and low that are not the highest and lowest."""
    sound = usable(rows)
    for first, last in runs(~sound):
        found = listed([f"{n} {_bad(rows, n, first)}" for n in PRICES if _bad(rows, n, first)])
        text = f"{plural(last - first + 1, 'bar')} with a price that is none: {found}"
        yield rows.say("price", "error", _times(rows, first, last), last - first + 1, text)
    opens, high, low, close = (rows.columns[name] for name in PRICES)
    broken = sound & (
        (high < low) | (high < np.maximum(opens, close)) | (low > np.minimum(opens, close))
    )
    for first, last in runs(broken):
        four = ", ".join(f"{name} {number(float(rows.columns[name][first]))}" for name in PRICES)
        text = f"{plural(last - first + 1, 'bar')} with prices outside high and low: {four}"
        yield rows.say("high low", "error", _times(rows, first, last), last - first + 1, text)


def check_volume(rows: Rows) -> Iterator[Finding]:
    """Volume of the last price: negative or missing, absent where the price moved, no trades.

    Marks and indices have no volume; what it means when they do is said where they are compared.
    """
    if rows.kind != "ohlcv":
        return
    volume = rows.columns["volume"]
    for first, last in runs(~(np.isfinite(volume) & (volume >= 0.0))):
        text = f"{plural(last - first + 1, 'bar')} with volume {volume[first]}"
        yield rows.say("volume", "error", _times(rows, first, last), last - first + 1, text)
    silent = volume == 0.0
    moved = silent & (rows.columns["high"] > rows.columns["low"])
    if moved.any():
        places = np.flatnonzero(moved)
        text = f"{plural(len(places), 'bar')} of volume 0 in which the price moved"
        text += " (no volume column at the source?)" if silent.all() else ""
        span = _times(rows, places[0], places[-1])
        yield rows.say("no volume", "warning", span, len(places), text)
    for first, last in runs(silent & ~moved):
        count = last - first + 1
        severity: Severity = "warning" if count * rows.step >= LONG_SILENCE else "info"
        text = f"no trade for {_long(rows, count)}"
        text += "; a fill here is made up" if severity == "warning" else ""
        yield rows.say("zero volume", severity, _times(rows, first, last), count, text)


def check_frozen(rows: Rows) -> Iterator[Finding]:
    """Bars that repeat the one before: a feed that stopped, or rows copied. Rows must be tidy.

    For marks and indices one flat bar is told as a fact; see `FROZEN_BARS` and the constants
    beside it for the rest.
    """
    if len(rows) < 2:
        return
    same = np.ones(len(rows), np.bool_)
    same[0] = False
    for name in PRICES:
        same[1:] &= rows.columns[name][1:] == rows.columns[name][:-1]
    same[1:] &= np.diff(rows.times) == rows.step
    if rows.kind == "ohlcv":
        yield from _copied(rows, same)
        return
    flat = rows.columns["high"] == rows.columns["low"]
    for first, last in runs(same | flat):
        count = last - first + 1
        still = "stands still" if flat[first] else "repeats the bar before"
        text = f"the {rows.kind} {still} at {number(float(rows.columns['close'][first]))}"
        severity = _gravity(rows, count)
        text += f" for {_long(rows, count)}"
        text += "; nothing can be judged by it" if severity == "error" else ""
        yield rows.say("frozen", severity, _times(rows, first, last), count, text)


def _copied(rows: Rows, same: Mask) -> Iterator[Finding]:
    """Repeated bars of the last price: with the same volume they are copies, else a dead market."""
    volume = rows.columns["volume"]
    traded = volume > 0.0
    copies = same.copy()
    copies[1:] &= volume[1:] == volume[:-1]
    copies &= traded
    for first, last in runs(copies):
        if last - first + 1 >= COPIED_BARS:
            text = f"{plural(last - first + 1, 'bar')} with prices and volume of the bar before"
            yield rows.say("copied", "error", _times(rows, first, last), last - first + 1, text)
    for first, last in runs(same & traded & ~copies):
        count = last - first + 1
        if count >= FROZEN_BARS and count * rows.step >= FROZEN_LAST:
            price = number(float(rows.columns["close"][first]))
            text = f"the price stands at {price} for {_long(rows, count)} although it trades"
            yield rows.say("frozen", "warning", _times(rows, first, last), count, text)


def _gravity(rows: Rows, count: int) -> Severity:
    if count < FROZEN_BARS:
        return "info"
    return "error" if count * rows.step >= FROZEN_LONG else "warning"


def _long(rows: Rows, count: int) -> str:
    return f"{plural(count, 'bar')} ({length(count * rows.step)})"


def _bad(rows: Rows, name: str, place: int) -> str:
    """The value as text when it is no price, else ""."""
    value = float(rows.columns[name][place])
    return "" if np.isfinite(value) and value > 0.0 else str(value)


def _times(rows: Rows, first: int, last: int) -> tuple[int, int]:
    return int(rows.times[first]), int(rows.times[last])
