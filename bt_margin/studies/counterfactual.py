"""What would have avoided each liquidation: more margin, less leverage, the other mode; and their worth.

Every answer is a run of its own, of the same script on the same data with one thing changed:

- *extra margin*: the smallest amount that lacked in the bar of the breach, and in the week from it on
  (:mod:`bt_margin.studies.rescue`), paid in at the close of the bar before and put behind the position;
- *leverage*: the highest of those tried below the run's own at which the position lives, for all of the run;
- *mode*: the venue's other margin mode, for all of the run.

A breach counts as avoided when none of the positions it took is liquidated between its entry and the end of
the bar of the breach. What comes later is in the numbers: ``worth`` is what the changed run has at the end
more than the run as it was, money paid in taken off. A strategy that reads its account may decide otherwise
in the changed run; that is part of the answer, and its runs are made in full. The orders of one that does not
are replayed (:mod:`bt_margin.studies.changed`).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.errors import InputError, message
from bt_margin.studies.breaches import breach_behind
from bt_margin.studies.changed import ENGINES, Changed, Changes, Differs
from bt_margin.studies.changed_replay import Payment
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.prices import Bars, bars_of
from bt_margin.studies.rescue import Rescue, rescues
from bt_margin.studies.result import Run
from bt_margin.studies.starts import moments
from bt_margin.studies.survival_work import find_edge
from bt_margin.studies.trades import Trade, trades_of

Progress = Callable[[str, float], None]
#: Column -> what it means: one row per breach that closed anything.
COLUMNS: Mapping[str, str] = {
    "scenario": "whose liquidation it was",
    "time": "when (UTC)",
    "breach": "id of the breach among the run's events",
    "symbols": "what was closed, in whole or in part",
    "margin_mode": "the mode of the run",
    "leverage": "its leverage",
    "final_equity": "what it had at the end",
    "extra_margin": "smallest extra margin that lacked in the bar of the breach",
    "extra_is": "exact: no less would have done; at most: less may have",
    "extra_avoided": "whether it would have avoided the liquidation (missing: could not be paid in before)",
    "extra_worth": "what the run would have had more at the end, the extra margin taken off",
    "extra_liquidations": "liquidations of that run in all",
    "extra_week": "smallest extra margin that lacked in the week from the breach on (missing: no data)",
    "week_worth": "what the run would have had more at the end with that, taken off again",
    "lower_leverage": "highest leverage tried below the run's own that avoids it (missing: no allowed one)",
    "leverage_worth": "what the run would have had more at the end",
    "leverage_liquidations": "liquidations of that run in all",
    "other_mode": "the mode it was switched to (nothing: the venue has no other)",
    "mode_avoided": "whether that avoids it (missing: the account refuses there what the script asks)",
    "mode_worth": "what the run would have had more at the end",
    "mode_liquidations": "liquidations of that run in all",
    "engine": "what made the changed runs: replay, full, or both",
}
_SEARCHED = 6  # leverages and modes that are tried, about
_HAIR = 1e-9  # of the amount and of the wallet: equality is a breach


@dataclass(frozen=True, slots=True)
class Fall:
    """A breach that closed something: what, with what result, since when held, and the bar it fell into."""

    breach: Any
    result: float
    symbols: tuple[str, ...]
    since: int
    until: int
    before: int | None
    rescue: Rescue | None


def counterfactuals(
    result: Comparison | Run,
    *,
    leverages: Iterable[float] | None = None,
    most: int | None = None,
    engine: str = "auto",
    progress: Progress | None = None,
) -> pd.DataFrame:
    """What would have avoided each liquidation of a run or comparison; columns :data:`COLUMNS`.

    ``leverages`` that are tried, as far as they are below the run's own; by default all whole numbers.
    ``most`` breaches of each run are looked at, those that lost most; by default all.

    Two changed runs are made for each breach, and a handful for leverages and mode. ``engine="auto"`` replays
    the orders of a script that is proved not to read its account, on the compiled kernel, and makes in full
    what cannot be replayed; ``"full"`` makes everything in full; ``"replay"`` refuses a script it cannot
    replay. The kernel must first make the run as it was, event by event, and one in sixteen of the replayed
    runs is made in full as well; what was found of each scenario stands in ``frame.attrs["engines"]``.
    ``progress`` is called with the name of a scenario and the share of it done. Without liquidations the
    table is empty.

    :raises InputError: an engine that is not known, or that cannot do it; a script whose runs differ though
        nothing was changed (one that draws random numbers).
    """
    if engine not in ENGINES:
        raise InputError(message("engine", engine, ", ".join(ENGINES)))
    runs = result.runs.values() if isinstance(result, Comparison) else [result]
    ladder = None if leverages is None else sorted({float(each) for each in leverages})
    studies = [_Study(run, ladder, most, engine, progress) for run in runs]
    rows = [row for study in studies for row in study.rows()]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = frame.assign(time=moments(frame["time"].astype("int64")))
    frame.attrs["engines"] = {s.run.name: s.changes.told for s in studies if s.falls}
    return frame


@dataclass
class _Study:
    """All changes of one run, each made once."""

    run: Run
    ladder: Sequence[float] | None
    most: int | None
    engine: str
    progress: Progress | None

    @cached_property
    def falls(self) -> list[Fall]:
        """What there is to avoid."""
        found = list(_falls(self.run))
        if self.most is None:
            return found
        worst = sorted(found, key=lambda fall: fall.result)[: self.most]
        return sorted(worst, key=lambda fall: fall.breach.id)

    @cached_property
    def changes(self) -> Changes:
        """What the run would have been."""
        return Changes(self.run, self.engine, 2 * len(self.falls) + _SEARCHED)

    def rows(self) -> list[dict[str, Any]]:
        """One row per breach, in order of time."""
        try:
            return list(self._rows())
        except Differs as wrong:
            self.changes.in_full_now(wrong)
            return list(self._rows())

    def _rows(self) -> Iterator[dict[str, Any]]:
        """:raises Differs: a replayed run is not what the full engine says."""
        for number, fall in enumerate(self.falls, 1):
            yield self._row(fall)
            if self.progress is not None:
                self.progress(self.run.name, number / len(self.falls))

    def _row(self, fall: Fall) -> dict[str, Any]:
        settings = self.run.settings
        row: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan)
        row |= {
            "scenario": self.run.name,
            "time": fall.breach.time,
            "breach": fall.breach.id,
            "symbols": ", ".join(fall.symbols),
            "margin_mode": settings["margin_mode"],
            "leverage": float(settings["leverage"]),
            "final_equity": self.run.final,
        }
        self.changes.begin()
        row |= self._extra(fall) | self._lower(fall) | self._switched(fall)
        return row | {"engine": " and ".join(sorted(self.changes.made, reverse=True))}

    # -- the three changes -------------------------------------------------------------------------------

    def _extra(self, fall: Fall) -> dict[str, Any]:
        """The smallest extra margins for the bar and for the week, and the runs that had them."""
        rescue = fall.rescue
        if rescue is None or rescue.bar is None:
            return {"extra_is": "", "extra_avoided": None}
        row: dict[str, Any] = {"extra_margin": rescue.bar, "extra_avoided": None}
        row |= {"extra_is": "exact" if rescue.exact else "at most"}
        found = self._paid(fall, rescue.bar)
        if found is not None:
            row["extra_avoided"] = found.spared(fall.symbols, fall.since, fall.until)
            row["extra_worth"] = found.final - rescue.bar - self.run.final
            row["extra_liquidations"] = len(found.fallen)
        if rescue.week is not None:
            row["extra_week"] = rescue.week
            found = self._paid(fall, rescue.week)
            row["week_worth"] = (
                math.nan if found is None else found.final - rescue.week - self.run.final
            )
        return row

    def _paid(self, fall: Fall, amount: float) -> Changed | None:
        """The run with so much more margin; ``None`` where it could not be paid in before the breach."""
        if fall.before is None:
            return None
        wallets = [pool.key for pool in self.run.broker.account.wallets.values()]
        money = amount + _HAIR * (amount + abs(self.run.cash))
        behind = () if fall.breach.pool in wallets else fall.symbols
        return self.changes.of({}, Payment(fall.before, money, behind))

    def _lower(self, fall: Fall) -> dict[str, Any]:
        """The highest leverage tried that avoids it, and its run."""
        own = float(self.run.settings["leverage"])
        tried = range(1, math.ceil(own)) if self.ladder is None else self.ladder
        rungs = [float(each) for each in tried if each < own]
        fates: dict[int, bool] = {}

        def failed(place: int) -> bool:
            if place not in fates:
                found = self._at(rungs[place])
                fates[place] = not self._spared(found, fall)
            return fates[place]

        edge = find_edge(failed, fates, len(rungs))
        if edge.highest < 0:
            return {}
        found = self._at(rungs[edge.highest])
        assert found is not None  # one that is refused does not avoid anything
        return {
            "lower_leverage": rungs[edge.highest],
            "leverage_worth": found.final - self.run.final,
            "leverage_liquidations": len(found.fallen),
        }

    def _at(self, leverage: float) -> Changed | None:
        symbols = _without(self.run.broker.p.symbols, "leverage")
        return self.changes.of({"leverage": leverage, "symbols": symbols})

    def _switched(self, fall: Fall) -> dict[str, Any]:
        """The run under the venue's other mode."""
        own = self.run.settings["margin_mode"]
        others = [mode for mode in self.run.broker.account.venue.modes if mode != own]
        if not others:
            return {"other_mode": "", "mode_avoided": None}
        symbols = _without(self.run.broker.p.symbols, "margin_mode")
        found = self.changes.of({"margin_mode": others[0], "symbols": symbols})
        if found is None:
            return {"other_mode": others[0], "mode_avoided": None}
        return {
            "other_mode": others[0],
            "mode_avoided": self._spared(found, fall),
            "mode_worth": found.final - self.run.final,
            "mode_liquidations": len(found.fallen),
        }

    @staticmethod
    def _spared(found: Changed | None, fall: Fall) -> bool:
        return found is not None and found.spared(fall.symbols, fall.since, fall.until)


def _without(symbols: Mapping[str, Any] | None, setting: str) -> dict[str, Any] | None:
    """The overrides of single symbols, but for one setting."""
    if symbols is None:
        return None
    return {s: {n: v for n, v in own.items() if n != setting} for s, own in symbols.items()}


def _falls(run: Run) -> Iterator[Fall]:
    """The breaches that closed anything, in order."""
    bars, events = bars_of(run), run.broker.events
    saving = rescues(run, bars)
    closed: dict[int, list[Any]] = {}
    for event in events:
        if event.kind == "liquidation":
            breach = breach_behind(event, events)
            closed.setdefault(event.id if breach is None else breach.id, []).append(event)
    none = np.zeros(0, dtype=np.int64)  # where bars were dropped
    clock = np.unique(np.concatenate([none, *[own.times for own in bars.values()]]))
    trades: dict[str, list[Trade]] = {}
    for trade in trades_of(run).trades if closed else ():
        trades.setdefault(trade.symbol, []).append(trade)
    for number, own in sorted(closed.items()):
        symbols = tuple(dict.fromkeys(event.symbol for event in own))
        begin, end = _bar(bars, symbols, own[0].time)
        earlier = int(np.searchsorted(clock, begin))
        yield Fall(
            events[number],
            sum((e.realised or 0.0) - (e.fee or 0.0) for e in own),
            symbols,
            min([_opened(trades.get(symbol, []), own[0].time) for symbol in symbols]),
            end,
            int(clock[earlier - 1]) if earlier else None,
            saving.get(number),
        )


def _bar(bars: Mapping[str, Bars], symbols: Sequence[str], time: int) -> tuple[int, int]:
    """When the bar of a moment begins and ends."""
    own = bars.get(symbols[0])
    if own is None:
        return time, time + 1
    begin = int(own.times[max(0, own.at(time))])
    return begin, begin + own.step


def _opened(trades: Sequence[Trade], time: int) -> int:
    """When the position of a symbol at a moment was opened; its trades follow one another."""
    ends: list[float] = [math.inf if one.closed is None else one.closed for one in trades]
    place = bisect_left(ends, time)
    return min(time, int(trades[place].opened)) if place < len(trades) else time
