"""Prices against their neighbours: bad ticks, jumps, changes of unit, lonely wicks.

Perpetuals trade without a break, so a bar opens where the one before closed: in the liquid real
data these thresholds were set on, the two differ by less than 1.3 % in all but six of some 600,000
pairs of bars, and those six lie beside bars with hardly a trade (hours after a listing, a venue that
was down). A price that was wrong shows as such a step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bt_margin.market.check.findings import Finding, Severity, number, percent, plural, runs, when
from bt_margin.market.check.rows import Floats, Mask, Rows, Times

# A step of the price between two bars that is looked at: at least this much (a fraction), and
# `STEP_TIMES` the step that nine of ten pairs of bars stay below. Beside a bar that traded less than
# THIN of the usual volume around it, a step below JUMP is told as a fact.
STEP = 0.03
STEP_TIMES = 8.0
THIN = 0.01
# A step is undone when at most this part of it is left within two bars.
UNDONE = 0.3
# A step that stays is told from this size on; it is a change of unit when the price changes by a
# power of ten within this factor (e^0.25, some 28 %).
JUMP = 0.2
UNIT = 0.25
# A wick without a mark beside it: at least this far (a log ratio) beyond its own open and close and
# both neighbours, and this many times the usual height of the 48 bars around. Real ones reach 10 %
# (BTC/USD at one venue, 2023-08-17) where nothing confirms them; from WICK_WARNS on it is a warning.
WICK = 0.1
WICK_TIMES = 10.0
WICK_WARNS = 0.15
_AROUND = 24
_LOG10 = math.log(10.0)


def check_ticks(rows: Rows) -> Iterator[Finding]:
    """Steps between two bars: undone within two bars (a bad tick), or lasting. Rows must be tidy."""
    if len(rows) < 3:
        return
    steps, places = _steps(rows)
    undone = np.zeros(len(rows), np.bool_)
    staying: list[tuple[int, float]] = []
    for place, step in zip(places, steps, strict=True):
        span = _excursion(rows, int(place), float(step))
        if span is None:
            staying.append((int(place), float(step)))
        else:
            undone[span[0] : span[1] + 1] = True
    for first, last in runs(undone):
        yield _bad_tick(rows, first, last)
    for place, step in staying:
        yield from _jump(rows, place, step)


def check_wicks(rows: Rows, marked: Mask) -> Iterator[Finding]:
    """Highs and lows far beyond their neighbours in bars without a mark. Rows must be tidy.

    marked : shape (n,), bars whose mark is known; those are compared with it instead
    """
    if len(rows) < 3 or rows.kind != "ohlcv":
        return
    top = np.maximum(rows.columns["open"], rows.columns["close"])
    bottom = np.minimum(rows.columns["open"], rows.columns["close"])
    high, low = np.log(rows.columns["high"]), np.log(rows.columns["low"])
    ceiling = np.maximum(np.log(top), _neighbours(high, np.maximum))
    floor = np.minimum(np.log(bottom), _neighbours(low, np.minimum))
    for name, beyond in (("high", high - ceiling), ("low", floor - low)):
        for place in np.flatnonzero((beyond >= WICK) & ~marked):
            usual = usual_height(rows, int(place))
            if beyond[place] < WICK_TIMES * usual:
                continue
            time = int(rows.times[place])
            far = percent(
                math.expm1(beyond[place]) if name == "high" else -math.expm1(-beyond[place])
            )
            value = number(float(rows.columns[name][place]))
            text = (
                f"{name} {value} at {when(time)} is {far} beyond its neighbours; no mark to compare"
            )
            severity: Severity = "warning" if beyond[place] >= WICK_WARNS else "info"
            yield rows.say("wick", severity, (time, time), 1, text)


def usual_height(rows: Rows, place: int) -> float:
    """Median of log(high / low) over the bars around one place, that one left out."""
    first, last = max(0, place - _AROUND), min(len(rows), place + _AROUND + 1)
    near = np.r_[first:place, place + 1 : last]
    if not len(near):
        return 0.0
    return float(np.median(np.log(rows.columns["high"][near] / rows.columns["low"][near])))


def power_of_ten(step: float) -> int:
    """Which power of ten a log ratio is near; 0 for none.

    >>> power_of_ten(math.log(980.0)), power_of_ten(math.log(0.1)), power_of_ten(0.3)
    (3, -1, 0)
    """
    power = round(step / _LOG10)
    return power if abs(step - power * _LOG10) <= UNIT else 0


def _steps(rows: Rows) -> tuple[Floats, Times]:
    """The log steps from close to next open worth looking at, and the places of those opens.

    Across missing bars a price may go anywhere; there only a change of unit is looked at.
    """
    steps = np.log(rows.columns["open"][1:] / rows.columns["close"][:-1])
    joined = np.diff(rows.times) == rows.step
    usual = float(np.quantile(np.abs(steps[joined]), 0.9)) if joined.any() else 0.0
    big = np.abs(steps) >= max(STEP, STEP_TIMES * usual)
    unit = np.abs(np.abs(steps) - _LOG10 * np.maximum(1, np.rint(np.abs(steps) / _LOG10))) <= UNIT
    places = np.flatnonzero(big & (joined | unit)) + 1
    return steps[places - 1], places


def _excursion(rows: Rows, place: int, step: float) -> tuple[int, int] | None:
    """The bars at a wrong price, when the step into `place` ends or begins an excursion of two bars."""
    opens, closes = rows.columns["open"], rows.columns["close"]
    before, after = float(closes[place - 1]), float(opens[place])
    most = UNDONE * abs(step)
    for back in (1, 2):  # the excursion ended here: an earlier price is where we are now
        if place - back >= 0 and abs(math.log(after / opens[place - back])) <= most:
            return place - back, place - 1
        if place - back >= 1 and abs(math.log(after / closes[place - back - 1])) <= most:
            return place - back, place - 1
    for ahead in (0, 1):  # it begins here: a later price is where we were
        if place + ahead < len(rows) and abs(math.log(closes[place + ahead] / before)) <= most:
            return place, place + ahead
        if (
            place + ahead + 1 < len(rows)
            and abs(math.log(opens[place + ahead + 1] / before)) <= most
        ):
            return place, place + ahead
    return None


def _bad_tick(rows: Rows, first: int, last: int) -> Finding:
    four = ", ".join(f"{n} {number(float(rows.columns[n][first]))}" for n in ("open", "close"))
    left = number(float(rows.columns["close"][max(0, first - 1)]))
    right = number(float(rows.columns["open"][min(len(rows) - 1, last + 1)]))
    text = f"{plural(last - first + 1, 'bar')} at a price the neighbours do not know: {four}"
    text += f" between {left} before and {right} after"
    far = abs(math.log(rows.columns["close"][max(0, first - 1)] / rows.columns["open"][first]))
    quiet = far < JUMP and thin(rows, range(first - 1, last + 2))
    text += "; hardly a trade there" if quiet else ""
    span = int(rows.times[first]), int(rows.times[last])
    return rows.say("bad tick", "info" if quiet else "error", span, last - first + 1, text)


def thin(rows: Rows, places: range) -> bool:
    """Whether one of these bars traded less than THIN of the median of the bars around."""
    volume = rows.columns.get("volume")
    if rows.kind != "ohlcv" or volume is None:
        return False
    near = volume[max(0, places.start - _AROUND) : places.stop + _AROUND]
    inside = volume[max(0, places.start) : places.stop]
    return bool((inside < THIN * np.median(near)).any())


def _jump(rows: Rows, place: int, step: float) -> Iterator[Finding]:
    time = int(rows.times[place])
    before = number(float(rows.columns["close"][place - 1]))
    after = number(float(rows.columns["open"][place]))
    text = f"from {before} to {after} at {when(time)}, and it stays there"
    power = power_of_ten(step)
    if power:
        factor = f"×{10**power:g}" if power > 0 else f"÷{10**-power:g}"
        yield rows.say("unit", "error", (time, time), 1, f"{text}: the unit changes ({factor})")
    elif abs(step) >= JUMP:
        yield rows.say("jump", "warning", (time, time), 1, f"{text}: {percent(math.expm1(step))}")


def _neighbours(values: Floats, choose: np.ufunc) -> Floats:
    """The larger (smaller) of the values left and right of each."""
    left = np.concatenate((values[1:2], values[:-1]))
    right = np.concatenate((values[1:], values[-2:-1]))
    out: Floats = choose(left, right)
    return out
