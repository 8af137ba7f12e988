"""Several sources of one symbol: copies and other timeframes of a venue, and other venues.

Two sources can show that one is wrong, not which; the finding is told about the one with fewer
rows, and says what it was compared with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from bt_margin.market.check.findings import Finding, Severity, percent, plural, when
from bt_margin.market.check.marks import shift_finding
from bt_margin.market.check.rows import PRICES, Floats, Rows, Times, common
from bt_margin.market.check.shift import shifts
from bt_margin.market.check.ticks import power_of_ten
from bt_margin.market.check.weave import Pair, matched

# Prices of one venue are the same numbers in every copy and, added up, in every timeframe; up to
# three hours in 20,000 differ in real archives, by 0.3 % at most. Beyond PRICE they are counted,
# beyond FEW of all bars they are a warning, beyond MANY this is not the same data.
PRICE = 1e-4
FEW = 0.001
MANY = 0.05
# Two venues differ by their basis, some 0.1 %; the middle of all bars this far apart is another
# contract or unit.
VENUES = 0.05
# Rates of two venues: correlation 0.17 to 0.82 and middles within 10 of each other (an hourly
# venue against one of 8 h) in the real data.
RATES_LEAST = 90
RATES_AGAINST = -0.3
RATES_TIMES = 30.0
RATES_EQUAL = 1e-9


def check_sources(all_rows: Sequence[Rows]) -> Iterator[Finding]:
    """Compare every dataset with the fullest one of its symbol and kind; all must be tidy.

    Within a venue all kinds are compared; between venues the last price and funding.
    """
    symbols = sorted({rows.symbol for rows in all_rows})
    for symbol in symbols:
        own = [rows for rows in all_rows if rows.symbol == symbol and len(rows)]
        for kind in sorted({rows.kind for rows in own}):
            same = [rows for rows in own if rows.kind == kind]
            for group in _by_exchange(same):
                yield from _copies(group)
            if kind in ("ohlcv", "funding"):
                yield from _venues([max(group, key=_size) for group in _by_exchange(same)], same)


def _copies(group: Sequence[Rows]) -> Iterator[Finding]:
    """Datasets of one venue, symbol and kind: the same numbers wherever both have them."""
    if len(group) < 2:
        return
    full = max(group, key=_size)
    for rows in group:
        if rows is full:
            continue
        if rows.kind == "funding":
            yield from _same_rates(full, rows)
            continue
        pair = matched(full, rows)
        if len(pair):
            yield from _same_prices(full, rows, pair)


def _same_prices(full: Rows, rows: Rows, pair: Pair) -> Iterator[Finding]:
    apart = np.max([np.abs(pair.distance(name)) for name in PRICES], axis=0)
    differ = apart > PRICE
    count = int(differ.sum())
    if not count:
        return
    if count > MANY * len(pair):
        moved = [shift_finding(rows, full.data, each) for each in shifts(full, rows)]
        if moved:
            yield from moved
            return
    places = np.flatnonzero(differ)
    severity = _grade(count, len(pair))
    top = int(np.argmax(apart))
    text = f"{plural(count, 'bar')} of {len(pair):,} differ from {full.data}"
    text += f", by {percent(math.expm1(apart[top]))} at most ({when(int(pair.times[top]))})"
    yield rows.say("disagree", severity, pair.span(places[0], places[-1]), count, text)


def _same_rates(full: Rows, rows: Rows) -> Iterator[Finding]:
    a, b, times = _common_rates(full, rows)
    differ = np.abs(a - b) > RATES_EQUAL
    count = int(differ.sum())
    if count:
        found = times[differ]
        text = f"{plural(count, 'settlement')} of {len(times):,} differ from {full.data}"
        severity = _grade(count, len(times))
        yield rows.say("disagree", severity, (int(found[0]), int(found[-1])), count, text)


def _grade(count: int, total: int) -> Severity:
    if count > max(1, MANY * total):
        return "error"
    return "warning" if count > max(3, FEW * total) else "info"


def _venues(leaders: Sequence[Rows], group: Sequence[Rows]) -> Iterator[Finding]:
    """Every dataset of the other venues against the fullest of all."""
    if len(leaders) < 2:
        return
    full = max(leaders, key=_size)
    home = [rows for rows in group if rows.exchange == full.exchange]
    for rows in group:
        if rows.exchange == full.exchange:
            continue
        against = _closest(home, rows)
        if rows.kind == "funding":
            yield from _rates_of_venues(against, rows)
        else:
            yield from _prices_of_venues(against, rows)


def _prices_of_venues(full: Rows, rows: Rows) -> Iterator[Finding]:
    moved = shifts(full, rows)
    for each in moved:
        yield shift_finding(rows, full.data, each)
    pair = matched(full, rows)
    if moved or len(pair) < 2:
        return
    middle = -float(np.median(pair.distance("close")))
    if abs(middle) < VENUES:
        return
    power = power_of_ten(middle)
    what = "the unit is another" if power else "another contract, currency or unit"
    text = f"prices are {math.exp(middle):.4g} times those of {full.data}: {what}"
    kind = "unit" if power else "disagree"
    yield rows.say(kind, "error", pair.span(0, len(pair) - 1), len(pair), text)


def _rates_of_venues(full: Rows, rows: Rows) -> Iterator[Finding]:
    a, b, times = _common_rates(full, rows)
    if len(times) < RATES_LEAST or a.std() == 0.0 or b.std() == 0.0:
        return
    span = int(times[0]), int(times[-1])
    ranks = np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1]
    if ranks <= RATES_AGAINST:
        text = f"rates go against those of {full.data} (rank correlation {ranks:.2f})"
        yield rows.say("rate sign", "error", span, len(times), f"{text}: a sign is turned round")
    sizes = float(np.median(np.abs(a))), float(np.median(np.abs(b)))
    ratio = sizes[1] / sizes[0] if sizes[0] else 1.0
    if ratio and max(ratio, 1.0 / ratio) >= RATES_TIMES:
        text = f"rates are {ratio:.3g} times those of {full.data}: percent against fractions?"
        yield rows.say("rate unit", "error", span, len(times), text)


def _common_rates(left: Rows, right: Rows) -> tuple[Floats, Floats, Times]:
    """Rates at common minutes, and those minutes [ms]."""
    a, b = left.times // 60_000, right.times // 60_000
    times, at_a, at_b = np.intersect1d(a, b, return_indices=True)
    return (
        left.columns["funding_rate"][at_a],
        right.columns["funding_rate"][at_b],
        times * 60_000,
    )


def _by_exchange(rows: Iterable[Rows]) -> list[list[Rows]]:
    groups: dict[str, list[Rows]] = {}
    for each in rows:
        groups.setdefault(each.exchange, []).append(each)
    return list(groups.values())


def _size(rows: Rows) -> int:
    return len(rows)


def _closest(home: Sequence[Rows], rows: Rows) -> Rows:
    """The dataset with the most common time; of several the finest."""
    return max(home, key=lambda each: (common(each, rows), -each.step))
