"""Replaying the cells of a study: the tape, the proof that it holds, the kernel, and a sample run in full."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bt_margin.errors import InputError
from bt_margin.plugin.broker import MarginBroker
from bt_margin.studies.cells import Cell, Job, Outcome, given, run_cell, statistics, told
from bt_margin.studies.replay.cell import play
from bt_margin.studies.replay.check import differs
from bt_margin.studies.replay.layout import (
    ACTION_REFUSED,
    ADD_CASH,
    BAR,
    DONE,
    IMPOSSIBLE,
    KEEP_EVENTS,
    KEEP_ROW,
    MIXED,
    PARTED,
    SURPRISE,
    SURPRISED,
    TOO_MANY_EVENTS,
    TOO_MANY_ORDERS,
    Rules,
    State,
    World,
    new_state,
)
from bt_margin.studies.replay.market import Unfit
from bt_margin.studies.replay.proof import Proof, proof, slipping
from bt_margin.studies.replay.row import row_of
from bt_margin.studies.replay.terms import cell_of, check_keywords, own_venue, rules_of, venue_of
from bt_margin.studies.sweep_check import difference

MOST_EVENTS = 1_000_000
FEW_EVENTS = 4_096


class LeftOver(NamedTuple):
    """A cell the kernel does not do exactly, and why; ``until`` the time [UTC ms] before which it is exact.

    ``until`` is None where nothing is. A cell of a strategy that obeys its account is exact up to the bar of
    its first refusal or liquidation.
    """

    cell: Cell
    reason: str
    until: int | None = None


_REASONS = {
    TOO_MANY_ORDERS: "more orders at a time than the kernel has room for",
    TOO_MANY_EVENTS: "more events than there is room for",
    IMPOSSIBLE: "slippage made a price of zero or less",
    SURPRISED: "the strategy obeys its account, which refused an order, was liquidated or filled otherwise",
    ACTION_REFUSED: "the account refused a change of leverage, margin mode or margin",
    MIXED: "a margin mode of the whole account was changed, or one during a margin call",
    PARTED: "a bracket of less than a lot",
}


@dataclass(frozen=True)
class Replayed:
    """What came of a replay: outcomes in the order of the cells, those left over, and what the check found.

    ``told`` says what was proved of the strategy, ``checked`` the numbers of the cells that were run in full
    and found equal in every event, in the equity of every bar and in every statistic, ``wrong`` what differed
    ("": nothing; if anything, there are no outcomes and every cell is left over).
    """

    outcomes: tuple[Outcome, ...]
    left: tuple[LeftOver, ...]
    told: tuple[str, ...] = ()
    checked: tuple[int, ...] = ()
    wrong: str = ""

    @property
    def refused(self) -> str | None:
        """Why no cell could be replayed; None when some could."""
        return None if self.outcomes or not self.left else self.wrong or self.left[0].reason


class Ready(NamedTuple):
    """A cell as the kernel takes it."""

    cell: Cell
    proof: Proof
    world: World
    rules: Rules
    own: Any


@dataclass
class Replay:
    """The kernel over the cells of a job; proofs and rules are kept from one call to the next."""

    job: Job
    proofs: dict[Any, Proof | Unfit] = field(default_factory=dict)
    worlds: dict[int, World] = field(default_factory=dict)
    rules: dict[Any, Rules] = field(default_factory=dict)
    kept: list[Any] = field(default_factory=list)
    """What the keys name by identity, so that no two things have the same one."""

    def ready(self, cell: Cell) -> Ready:
        """A cell as arrays. :raises Unfit: it has to be run in full; the text says why."""
        own = given(cell, self.job)
        broker = dict(own.broker)
        check_keywords(broker, _defaults())
        venue, _ = own_venue(venue_of(broker), broker)
        known = self._proof(own.params, own.seed, venue, broker)
        key = (id(known), id(venue_of(broker)), broker.get("as_of"), str(broker.get("symbols")))
        if isinstance(broker.get("venue"), str):
            key = (id(known), broker["venue"], *key[2:])
        rules = self.rules.get(key)
        if rules is None:
            self.kept.append(broker.get("venue"))
            rules = self.rules[key] = rules_of(venue, known.market)
        if id(known) not in self.worlds:
            self.worlds[id(known)] = known.market.world(known.intents, known.fates)
        rules, account = cell_of(
            venue_of(broker), broker, rules, known.market, known.sort == "obedient"
        )
        return Ready(cell, known, self.worlds[id(known)], rules, account)

    def _proof(
        self, params: Mapping[str, Any], seed: int, venue: Any, broker: Mapping[str, Any]
    ) -> Proof:
        facts = [venue.contract(s) for s in self.job.data]
        unnamed = [s for s in self.job.data if venue.resolve(s) != s]
        if unnamed:
            raise Unfit(f"{unnamed[0]} is known to {venue.title} by another name")
        reading = [str(broker.get(name)) for name in ("names", "require", "timestamps")]
        reading.append(str(slipping(broker)))
        given_series = [broker.get(name) for name in ("funding", "mark")]
        series = [venue.funding_interval, venue.funding.accrues, *map(id, given_series)]
        key = (
            repr(sorted(params.items())),
            seed,
            *[(c.kind, c.multiplier, c.lot) for c in facts],
            *reading,
            *series,
        )
        found = self.proofs.get(key)
        if found is None:
            self.kept.append(given_series)
            try:
                found = proof(self.job, params, seed, venue, broker)
            except Unfit as why:
                found = why
            except Exception as why:  # what a full run would raise as well, and then tells
                found = Unfit(told(why))
            self.proofs[key] = found
        if isinstance(found, Unfit):
            raise found
        return found


def replayed(
    job: Job,
    cells: Iterable[Cell],
    *,
    check: int = 1,
    threads: int = 1,
    replay: Replay | None = None,
) -> Replayed:
    """Replay the cells of a job; what cannot be replayed exactly comes back as left over.

    check : how many of the replayed cells are run in full as well and compared event by event
    threads : how many cells are played at the same time
    replay : proofs and tapes of an earlier call on the same job
    """
    replay = replay or Replay(job)
    ready: list[Ready] = []
    left: list[LeftOver] = []
    for cell in cells:
        try:
            ready.append(replay.ready(cell))
        except InputError as why:
            left.append(LeftOver(cell, str(why)))
    outcomes: list[Outcome] = []
    for found in _played(job, ready, threads):
        if isinstance(found, LeftOver):
            left.append(found)
        else:
            outcomes.append(found)
    wrong, checked = _checked(job, ready, outcomes, check)
    proved = tuple(dict.fromkeys(one.proof.told for one in ready))
    if wrong:
        left += [LeftOver(one.cell, f"the check failed: {wrong}") for one in outcomes]
        outcomes = []
    left.sort(key=lambda one: one.cell.number)
    return Replayed(tuple(outcomes), tuple(left), proved, checked, wrong)


def _played(job: Job, ready: Sequence[Ready], threads: int) -> Iterable[Outcome | LeftOver]:
    """Every cell through the kernel, in order."""
    if threads <= 1 or len(ready) < 2:
        return [one for part in [_play_all(job, ready)] for one in part]
    parts = [ready[k::threads] for k in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        done = [one for part in pool.map(lambda p: _play_all(job, p), parts) for one in part]
    return sorted(done, key=lambda one: one.cell.number)


def _play_all(job: Job, ready: Sequence[Ready]) -> list[Outcome | LeftOver]:
    """Cells one after the other."""
    found: list[Outcome | LeftOver] = []
    for one in ready:
        began = time.perf_counter()
        moves = any(intent.verb == ADD_CASH for intent in one.proof.intents)
        status, state, equity = played(one, MOST_EVENTS if moves else 0)
        if status == DONE:
            row = row_of(job, one.cell, state, equity, one.proof.market.times, one.own.cash)
            seconds = time.perf_counter() - began
            found.append(Outcome(one.cell, {**row, "engine": "replay", "seconds": seconds}))
            continue
        reason, until, times = _REASONS[status], None, one.proof.market.times
        if status == SURPRISED:
            until = int(times[state.counts[SURPRISE]])
        elif status == ACTION_REFUSED:
            until = int(times[state.counts[BAR]])
        found.append(LeftOver(one.cell, reason, until))
    return found


def played(one: Ready, events: int) -> tuple[int, State, Any]:
    """One cell through the kernel, keeping up to so many events: its status, account and equity curve."""
    symbols = len(one.proof.market.symbols)
    state, twin = new_state(symbols, events), new_state(symbols, 0)
    equity = np.zeros(len(one.proof.market.times))
    kept = KEEP_ROW + (KEEP_EVENTS if events else 0)
    status = play(one.world, one.rules, one.own, state, twin, equity, kept)
    return status, state, equity


def with_events(one: Ready, room: int = FEW_EVENTS) -> tuple[int, State, Any]:
    """One cell through the kernel, with as much room for events as it needs."""
    found = played(one, room)
    while found[0] == TOO_MANY_EVENTS and room < MOST_EVENTS:
        room *= 16
        found = played(one, room)
    return found


def compared(job: Job, one: Ready) -> str:
    """What differs between the kernel and a full run of a cell: an event, the equity of a bar, a statistic.

    "" when nothing does.
    """
    _, state, equity = played(one, MOST_EVENTS)
    run = run_cell(one.cell, job)
    wrong = differs(state, equity, one.proof.market, run.broker)
    if wrong:
        return f"cell {one.cell.number}: {wrong}"
    found = row_of(job, one.cell, state, equity, one.proof.market.times, one.own.cash)
    engine = statistics(run)
    name = difference(Outcome(one.cell, found), Outcome(one.cell, engine))
    numbers = f"{found[name]!r} in the kernel, {engine[name]!r} in the engine" if name else ""
    return f"cell {one.cell.number}: {name} is {numbers}" if name else ""


def _checked(
    job: Job, ready: Sequence[Ready], outcomes: Sequence[Outcome], check: int
) -> tuple[str, tuple[int, ...]]:
    """Run a sample in full: the cells with most liquidations and refusals first, evenly through the rest."""
    place = {one.cell.number: one for one in ready}
    ordered = sorted(
        outcomes, key=lambda o: (-o.row["liquidations"] - o.row["rejected_orders"], o.cell.number)
    )
    step = max(1, len(ordered) // max(1, check))
    checked: list[int] = []
    for outcome in ordered[::step][:check]:
        wrong = compared(job, place[outcome.cell.number])
        if wrong:
            return wrong, tuple(checked)
        checked.append(outcome.cell.number)
    return "", tuple(checked)


def _defaults() -> dict[str, Any]:
    return dict(MarginBroker.params._getitems())
