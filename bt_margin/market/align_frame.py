"""Last prices, marks and settlements of one symbol joined into a canonical frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.errors import DataError, InputError, MissingData, message, near
from bt_margin.market.align_bars import (
    Placed,
    coarser,
    index_of,
    name_of,
    opens_of,
    place_marks,
    step_of,
)
from bt_margin.market.align_funding import (
    Policy,
    Settled,
    marks_of_settlements,
    nothing_due,
    settle,
)
from bt_margin.market.align_notes import (
    bar_notes,
    funding_counts,
    funding_notes,
    mark_counts,
    mark_notes,
    when,
)
from bt_margin.market.frames import FUNDING, LAST, MARK, REQUIRED, validate_frame
from bt_margin.market.kinds import Grid, Span
from bt_margin.market.split import place_funding, tells_all

MARK_POLICIES = ("fail", "hold", "clip", "skip")
FUNDING_POLICIES = ("fail", "hold", "constant=RATE", "skip")


def mark_policy(policy: str) -> str:
    """A known policy for missing marks, or an `InputError`."""
    if policy in MARK_POLICIES:
        return policy
    allowed, hint = ", ".join(MARK_POLICIES), near(str(policy), MARK_POLICIES) or None
    raise InputError(message("unknown policy for missing marks", repr(policy), allowed, todo=hint))


def funding_policy(policy: str | tuple[str, float]) -> Policy:
    """A known policy for missing settlements, or an `InputError`.

    >>> str(funding_policy("constant=0.0001")), str(funding_policy(("constant", 1e-4)))
    ('constant=0.0001', 'constant=0.0001')
    >>> funding_policy("constant")
    Traceback (most recent call last):
    ...
    bt_margin.errors.InputError: unknown policy for missing funding: found 'constant', allowed ...
    """
    name, rate = policy if isinstance(policy, tuple) else str(policy).partition("=")[::2]
    if name in ("fail", "hold", "skip") and rate == "":
        return Policy(name)
    try:
        value = float(rate)
    except (TypeError, ValueError):
        value = float("nan")
    if name == "constant" and abs(value) < 1.0:
        return Policy(name, value)
    allowed = ", ".join(FUNDING_POLICIES) + " with a rate as a fraction, e.g. constant=0.0001"
    raise InputError(message("unknown policy for missing funding", repr(policy), allowed))


def align(
    last: pd.DataFrame,
    mark: pd.DataFrame | None = None,
    funding: pd.Series | pd.DataFrame | None = None,
    *,
    timeframe: str | None = None,
    missing_marks: str = "skip",
    missing_funding: str | tuple[str, float] = "fail",
    covered: Sequence[Span] | None = None,
    symbol: str = "",
    perpetual: bool = True,
    interval: str = "8h",
    last_timeframe: str | None = None,
    mark_timeframe: str | None = None,
    absent: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The canonical frame of one symbol, with counts of all that is missing or stands in for it.

    last : open, high, low, close, volume by open time (UTC). Finer bars than asked are joined into
        whole bars; a bar with a part missing is left out and counted, as are holes.
    mark : the same of the mark price, of any timeframe that divides the bars or is a multiple of them
    funding : rates by settlement time, a Series or a frame with `funding_rate`; positive: longs pay
    timeframe : of the result; default that of `last`
    missing_marks : `skip`, `hold`, `clip` or `fail`: see :mod:`bt_margin.market.align_bars`
    missing_funding : `fail`, `hold`, `constant=0.0001` (or `("constant", 0.0001)`) or `skip`: see
        :mod:`bt_margin.market.align_funding`
    covered : stretches [ms] the venue has answered about funding; None when that is not known
    perpetual : False for a market without funding (spot, dated futures): then none is missing
    interval : the venue's usual distance of settlements, where the stamps cannot tell
    last_timeframe, mark_timeframe : of the input; default the usual distance of its bars
    absent : a kind (`mark`, `funding`) to why it is not there, for notes and errors

    `attrs`: `alignment` (counts and shares), `notes` (sentences for the report), `funding` (the
    settlements by time) where the column `funding_rate` cannot hold them unmistakably, and
    `funding_marks` (the prices they were made at) where the venue tells them.

    >>> index = pd.date_range("2024-01-01", periods=16, freq="h", tz="UTC")
    >>> bars = pd.DataFrame({n: 100.0 for n in REQUIRED}, index)
    >>> rates = pd.Series([0.0001], index[:1])
    >>> align(bars, bars, rates, missing_funding="hold").attrs["notes"]
    ['1 of 2 funding settlements (50.00%) are missing, the first at 2024-01-01 08:00 UTC: the
    previous rate was repeated (policy hold).']

    :raises MissingData: something is missing and the policy says `fail`.
    :raises InputError: an unknown policy, or timeframes that do not fit each other.
    """
    rules = Rules(mark_policy(missing_marks), funding_policy(missing_funding), absent or {}, symbol)
    attrs = dict(last.attrs)
    last = validate_frame(last, f"last prices of {rules.where}")[list(REQUIRED)]
    own = step_of(last, last_timeframe)
    timeframe = timeframe or last_timeframe or name_of(own)
    bars, partial = coarser(last, own, timeframe, rules.where)
    if bars.empty:
        have = f"{partial:,} bars of {timeframe}, each with a part missing"
        raise MissingData(message("no whole bar", have, where=rules.where))
    mark = _read_marks(mark, rules.where)
    length = step_of(mark, mark_timeframe) if mark is not None else 0
    placed = place_marks(bars, timeframe, mark, length, rules.marks, rules.where)
    _demand_marks(bars, placed, timeframe, rules)
    span = (int(opens_of(bars)[0]), int(opens_of(bars)[-1]) + Grid.of(timeframe).step)
    asked = None if perpetual else [span]
    usual = Grid.of(interval).step
    settled = settle(
        funding, span, rules.rates, covered=asked or covered, interval=usual, where=rules.where
    )
    if not perpetual and not settled.true:
        settled = nothing_due()
    _demand_funding(settled, rules)
    frame = _joined(bars, placed, settled, Grid.of(timeframe).step)
    own_marks = marks_of_settlements(funding, span)
    if len(own_marks):
        frame.attrs["funding_marks"] = own_marks
    frame.attrs = {**attrs, **frame.attrs}
    _describe(frame, {"timeframe": timeframe, "partial": partial}, placed, settled, rules)
    return validate_frame(frame, rules.where)


@dataclass(frozen=True, slots=True)
class Rules:
    """The policies, reasons for what is not there, and the symbol that messages name."""

    marks: str
    rates: Policy
    absent: Mapping[str, str]
    symbol: str

    @property
    def where(self) -> str:
        """What messages call the data."""
        return self.symbol or "frame"


def _read_marks(mark: pd.DataFrame | None, where: str) -> pd.DataFrame | None:
    """Mark bars in canonical form, rows without prices left out; None without any."""
    if mark is None or mark.empty:
        return None
    lacking = [name for name in LAST if name not in mark.columns]
    if lacking:
        found = ", ".join(map(str, mark.columns))
        raise DataError(message("not bars of the mark", found, ", ".join(LAST), where))
    known = mark[list(LAST)].dropna()
    return validate_frame(known.assign(volume=0.0), f"marks of {where}") if len(known) else None


def _demand_marks(bars: pd.DataFrame, placed: Placed, timeframe: str, rules: Rules) -> None:
    """Every bar has a true mark, if the policy is `fail` and the venue has marks at all."""
    missing = placed.missing
    if rules.marks != "fail" or not missing.any():
        return
    if "mark" in rules.absent:
        todo = "choose missing_marks: skip (every bar is then judged by the last price)"
        raise MissingData(message("mark prices", rules.absent["mark"], None, rules.where, todo))
    times = opens_of(bars)
    first = int(np.argmax(missing))
    run = int(np.argmin(np.append(missing[first:], False)))
    stretch = f"{when(int(times[first]))} to {when(int(times[first + run - 1]))}"
    found = f"{int(missing.sum()):,} of {len(times):,} bars without one, the first {stretch}"
    if placed.step > Grid.of(timeframe).step:
        found += f"; the marks there are of {name_of(placed.step)}"
    todo = "download the marks, or choose missing_marks: skip, hold or clip"
    raise MissingData(message(f"mark prices of {timeframe} bars", found, None, rules.where, todo))


def _demand_funding(settled: Settled, rules: Rules) -> None:
    """No settlement is missing, if the policy is `fail`."""
    missing = settled.missing
    if rules.rates.name != "fail" or not len(missing):
        return
    apart = np.diff(missing)
    each = int(apart.min()) if len(apart) else 0
    run = int(np.argmin(np.append(apart == each, False))) if each else 0
    stretch = (
        f"{when(int(missing[0]))} to {when(int(missing[run]))}" if run else when(int(missing[0]))
    )
    found = f"{len(missing):,} missing beside {settled.true:,} found, the first {stretch}"
    why = rules.absent.get("funding")
    found += f" ({why})" if why else ""
    todo = "choose missing_funding: " + ", ".join(FUNDING_POLICIES[1:])
    if settled.unanswered:
        todo = f"download the funding (the store has no answer about {settled.unanswered:,}), or {todo}"
    raise MissingData(message("funding settlements", found, None, rules.where, todo))


def _joined(bars: pd.DataFrame, placed: Placed, settled: Settled, step: int) -> pd.DataFrame:
    """The columns side by side; the settlements by time in `attrs` where the column is not clear."""
    frame = bars.copy()
    frame.attrs = {"funding_unplaced": 0}
    if not placed.missing.all():
        for name, column in zip(MARK, placed.prices.T, strict=True):
            frame[name] = column
    if not len(settled.times):
        return frame
    rates = pd.Series(settled.rates, index_of(settled.times), name=FUNDING)
    column, unplaced = place_funding(bars.index, rates, step * 1_000_000)
    frame[FUNDING] = column
    frame.attrs["funding_unplaced"] = unplaced
    if not tells_all(column, rates):
        frame.attrs["funding"] = rates
    return frame


def _describe(
    frame: pd.DataFrame, facts: dict[str, Any], placed: Placed, settled: Settled, rules: Rules
) -> None:
    """Write the counts and the sentences into `attrs`."""
    times, timeframe = opens_of(frame), facts["timeframe"]
    unplaced = frame.attrs.pop("funding_unplaced")
    due = (int(times[-1]) - int(times[0])) // Grid.of(timeframe).step + 1
    counts = {**facts, "bars": len(frame), "holes": due - len(frame)}
    notes = bar_notes(counts, timeframe)
    notes += mark_notes(placed, timeframe, rules.marks, rules.absent.get("mark"))
    notes += funding_notes(settled, rules.rates, unplaced, rules.absent.get("funding"))
    counts["marks"] = mark_counts(placed, rules.marks)
    counts["funding"] = funding_counts(settled, rules.rates, unplaced)
    frame.attrs["alignment"] = counts
    frame.attrs["notes"] = [f"{rules.symbol}: {n}" if rules.symbol else n for n in notes]
