"""The market of a run as flat arrays, taken from the feeds of a broker after its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bt_margin.engine.quote import NEVER
from bt_margin.errors import InputError
from bt_margin.plugin.instrument import bar_length
from bt_margin.studies.replay.intents import Fate, Intent
from bt_margin.studies.replay.layout import (
    BLOCK,
    LATER,
    T_FATE,
    T_FATE_BAR,
    T_FATE_TAG,
    T_STEPS,
    Floats,
    Ints,
    World,
)
from bt_margin.studies.replay.shares import MOST_STEPS

DAY_MS = 86_400_000
EPOCH = 719_163
INFINITE = float("inf")


class Unfit(InputError):
    """A market, an account or a strategy that the kernel does not do exactly; the text says why."""


class Market:
    """Feeds as arrays: one row per symbol, one column per bar of any of them.

    symbols : in the order of the feeds
    times : when each bar begins [UTC ms], shape (bars,)
    """

    def __init__(self, broker: Any) -> None:
        quotes = broker._instruments
        self.symbols: tuple[str, ...] = tuple(q.symbol for q in quotes)
        if any(q.times.mode == q.times.QBuffer for q in quotes):
            raise Unfit("the bars of the feeds were dropped (exactbars)")
        numbers = [np.frombuffer(q.times.array, dtype=float)[: q.times.buflen()] for q in quotes]
        self.numbers = numbers
        union = np.unique(np.concatenate(numbers))
        self.places = [np.searchsorted(union, n) for n in numbers]
        starts = [np.round((n - EPOCH) * DAY_MS).astype(np.int64) - q.behind
                  for n, q in zip(numbers, quotes, strict=True)]  # fmt: skip
        self.times = np.full(len(union), -(2**62), np.int64)
        for place, start in zip(self.places, starts, strict=True):
            np.maximum.at(self.times, place, start)
        self.times = np.maximum.accumulate(self.times)
        self.steps = np.array([q.step for q in quotes], np.int64)
        for quote, start, place in zip(quotes, starts, self.places, strict=True):
            _check(quote, start, self.times[place])
        self.prices = [_prices(q, start) for q, start in zip(quotes, starts, strict=True)]
        self.stamps = [_stamps(q, start) for q, start in zip(quotes, starts, strict=True)]

    def world(self, intents: Sequence[Intent], fates: Sequence[Fate] | None = None) -> World:
        """The market and a tape as the kernel reads them; ``fates`` where they must be the same."""
        bars, rows = len(self.times), len(self.symbols)
        fresh = np.zeros((rows, bars), np.int64)
        table = np.zeros((8, rows, bars))
        for s, (place, prices) in enumerate(zip(self.places, self.prices, strict=True)):
            sound = prices[3] > 0.0
            fresh[s, place[sound]] = 1
            _spread(table[:, s], fresh[s], prices[:, sound])
        blocks = [_blocks(table[6], np.min, INFINITE), _blocks(table[5], np.max, 0.0),
                  _blocks(table[2], np.min, INFINITE), _blocks(table[1], np.max, 0.0)]  # fmt: skip
        stamps, first = self._flat_stamps(fresh)
        places = np.array([np.pad(fresh, ((0, 0), (0, 1))), first])
        tape = self.flat_tape(intents, fates)
        return World(self.times, self.steps, table, np.array(blocks), places, stamps, tape)

    def flat_tape(self, intents: Sequence[Intent], fates: Sequence[Fate] | None) -> Floats:
        """The tape in columns."""
        place = {symbol: s for s, symbol in enumerate(self.symbols)}
        rows = []
        for tag, i in enumerate(intents):
            s, terms = place[i.symbol], i.terms
            row = [i.bar, s, i.verb, i.units, i.share, i.share_bar, i.reduce_only]
            group = terms.group if terms.group >= 0 else tag
            family = terms.family if terms.family >= 0 else tag
            row += [terms.kind, terms.price, terms.limit, self._after(s, terms.valid, i.bar),
                    self._session(s, terms.session), terms.trail, terms.trail_share, terms.marked,
                    group, family, -1.0, -1.0, -1.0]  # fmt: skip
            steps = [number for step in i.steps for number in step]
            rows.append([*row, *steps, *[0.0] * (2 * MOST_STEPS - len(steps))])
        width = T_STEPS + 2 * MOST_STEPS
        tape = np.ascontiguousarray(np.array(rows, float).reshape(len(rows), width).T)
        if fates is not None:
            tape[T_FATE_BAR] = LATER
            for k, fate in enumerate(fates):
                tape[T_FATE_BAR, k], tape[T_FATE_TAG, k], tape[T_FATE, k] = fate
        return tape

    def _after(self, s: int, valid: float, bar: int) -> float:
        """The bar in which an order is too late: the feed's time is beyond ``valid`` (0: never)."""
        if not valid:
            return LATER
        own = int(np.searchsorted(self.numbers[s], valid, side="right"))
        if own >= len(self.places[s]):
            return LATER
        return float(max(bar + 1, int(self.places[s][own])))

    def _session(self, s: int, end: float) -> float:
        """The first bar of a symbol after the end of a session; 0 where there is none."""
        if not end:
            return 0.0
        own = int(np.searchsorted(self.numbers[s], end, side="left"))
        if own >= len(self.places[s]):
            return LATER
        if self.numbers[s][own] == end:
            raise Unfit(f"a bar of {self.symbols[s]} at the very end of its session")
        return float(self.places[s][own])

    def _flat_stamps(self, fresh: Ints) -> tuple[Floats, Ints]:
        """All settlements, symbol by symbol, and where each bar's begin."""
        bars = fresh.shape[1]
        times, rates, marks, at_bar, early = [], [], [], [], []
        first = np.zeros((len(self.symbols), bars + 1), np.int64)
        before = 0
        for s, (time, rate, mark) in enumerate(self.stamps):
            own = np.flatnonzero(fresh[s])
            ends = self.times[own] + self.steps[s]
            place = np.searchsorted(ends, time, side="right")
            kept = place < len(own)
            bar = own[place[kept]] if len(own) else np.zeros(0, np.int64)
            times.append(time[kept])
            rates.append(rate[kept])
            marks.append(mark[kept])
            at_bar.append(bar)
            early.append((time[kept] <= self.times[bar]).astype(np.int64))
            first[s] = before + np.searchsorted(bar, np.arange(bars + 1))
            before += len(bar)
        columns = [np.concatenate(c).astype(float) for c in (times, rates, marks, at_bar, early)]
        return np.array(columns), first


def _check(quote: Any, start: Ints, time: Ints) -> None:
    """:raises Unfit: a feed whose bars are not all of one length, or stand beside those of another."""
    if quote.replay:
        raise Unfit(f"the feed of {quote.symbol} is replayed")
    if quote.ends_at < NEVER:
        raise Unfit(f"the market of {quote.symbol} comes to an end")
    if quote.fault or (len(start) > 1 and np.min(np.diff(start)) < bar_length(quote.data)):
        raise Unfit(f"the bars of {quote.symbol} are not all of one length")
    if np.any(start != time):
        raise Unfit(f"the bars of {quote.symbol} and those of other feeds begin at different times")
    if len(start) < 2:
        raise Unfit(f"{quote.symbol} has {len(start)} bar(s)")


def _prices(quote: Any, start: Ints) -> Floats:
    """Open, high, low, close, and the same of the mark, where it is unknown of the last price; (8, bars)."""
    bars = len(start)
    last = [np.frombuffer(line.array, dtype=float)[:bars] for line in quote.lines[:4]]
    if quote.lines[4] is not None:
        own = [np.frombuffer(line.array, dtype=float)[:bars].copy() for line in quote.lines[4:]]
    else:
        own = [np.full(bars, np.nan) for _ in range(4)]
    unknown = np.flatnonzero(own[3] != own[3])
    for k in unknown:
        given = quote.marks.get(int(start[k])) if quote.marks is not None else None
        for row, plain, mark in zip(own, last, given or [None] * 4, strict=True):
            row[k] = plain[k] if mark is None else mark
    return np.array([*last, *own])


def _stamps(quote: Any, start: Ints) -> tuple[Ints, Floats, Floats]:
    """Times, rates and own marks (NaN: none) of a feed's settlements."""
    stamps = quote.stamps
    return (
        np.array([one.time for one in stamps], np.int64),
        np.array([one.rate for one in stamps], float),
        np.array([np.nan if one.mark is None else one.mark for one in stamps], float),
    )


def _spread(rows: Floats, fresh: Ints, prices: Floats) -> None:
    """Prices onto all bars; between a feed's own ones every price is its last close."""
    own = np.flatnonzero(fresh)
    if not len(own):
        return
    at = np.searchsorted(own, np.arange(len(fresh)), side="right") - 1
    known = at >= 0
    for k in range(8):
        close = prices[3 if k < 4 else 7]
        rows[k, known] = close[at[known]]
        rows[k, own] = prices[k]


def _blocks(rows: Floats, pick: Any, rest: float) -> Floats:
    """The lowest or highest of each block of bars."""
    count = -(-rows.shape[1] // BLOCK)
    padded = np.full((rows.shape[0], count * BLOCK), rest)
    padded[:, : rows.shape[1]] = rows
    found: Floats = pick(padded.reshape(rows.shape[0], count, BLOCK), axis=2)
    return found
