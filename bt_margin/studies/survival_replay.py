"""One start of a survival study on the replay kernel: the tape proved once, every rung and mode played.

A row is made of what the kernel tells: the equity at every close, and every event. Rows of a strategy that
obeys its account end where the account first says no. Where that is the failure asked for, the fate and the
days to it are those of the whole run, and no other number is known; where it is a refused order, nothing is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bt_margin.errors import InputError
from bt_margin.studies.cells import Cell, Job, given
from bt_margin.studies.replay import Replay
from bt_margin.studies.replay.entry import MOST_EVENTS, Ready, played
from bt_margin.studies.replay.intents import Terms
from bt_margin.studies.replay.layout import (
    CLOSE_ALL,
    CLOSE_PART,
    DONE,
    E_KIND,
    E_TIME,
    EVENTS,
    FILL,
    LIQUIDATION,
    MARGIN_SUM,
    REJECTED,
    SURPRISE,
    SURPRISED,
    TARGET_SIZE,
    TARGET_VALUE,
    TOO_MANY_EVENTS,
    TRADE,
    State,
)
from bt_margin.studies.replay.market import Unfit
from bt_margin.studies.replay.proof import Proof
from bt_margin.studies.replay.terms import venue_of
from bt_margin.studies.starts import Window
from bt_margin.studies.survival_work import (
    REPLAY,
    TO_FAILURE,
    Lived,
    blank,
    fate,
    judged,
)

_FEW_EVENTS = 4096  # room for the events of one cell; more is made where that is too little
_ORDERS = (TRADE, TARGET_SIZE, TARGET_VALUE, CLOSE_ALL, CLOSE_PART)


class Played(NamedTuple):
    """A cell after its replay: up to bar ``last`` (the last of all, or that of the first surprise)."""

    ready: Ready
    state: State
    equity: NDArray[Any]
    last: int
    whole: bool


class _FromStart(Replay):
    """A replay whose tapes begin at the start: what is asked for before it is held back."""

    def __init__(self, job: Job, start: int) -> None:
        super().__init__(job)
        self.start = start
        self.begun: dict[int, Proof] = {}

    def _proof(self, *given: Any) -> Proof:
        """:raises Unfit: an order past ``buy`` and ``sell``, which is not held back; more than orders."""
        whole = super()._proof(*given)
        if id(whole) not in self.begun:
            start = int(np.searchsorted(whole.market.times, self.start))
            early = [one for one in whole.intents if one.bar < start]
            if any(one.verb == TRADE for one in early):
                raise Unfit("an order was given to the broker before the start")
            if any(one.verb not in _ORDERS for one in whole.intents):
                raise Unfit("more than orders was asked of the account")
            waiting = any(one.terms != Terms() for one in whole.intents)
            if early and (waiting or whole.fates is not None):
                raise Unfit("orders that wait were asked for before the start as well")
            intents = tuple(one for one in whole.intents if one.bar >= start)
            self.begun[id(whole)] = replace(whole, intents=intents) if early else whole
        return self.begun[id(whole)]


@dataclass
class Player:
    """The replay of one start: ``job`` as it is cut for the window.

    ``obedient``: the strategy is known to obey its account, so that no replay goes on after a refusal or a
    liquidation. ``reacts``: it was seen to in this window.
    """

    job: Job
    window: Window
    loss: float | None
    obedient: bool = False
    room: int = _FEW_EVENTS
    reacts: bool = False
    replay: Replay = field(init=False)

    def __post_init__(self) -> None:
        common = {**self.job.common, "venue": self.venue}  # built once, not for every cell
        self.replay = _FromStart(replace(self.job, common=common), self.window.start)

    def row(self, cell: Cell) -> dict[str, Any] | str:
        """A cell as a row of ``survival_work.COLUMNS``, or why it has to be run in full."""
        began = time.perf_counter()
        found = self.played(cell)
        if isinstance(found, str):
            return found
        own = self.lived(found)
        told: dict[str, Any] = {"engine": REPLAY, "error": ""}
        if found.whole:
            told |= judged(own, self.window, self.loss)
        else:
            told |= {"engine": TO_FAILURE, "currency": own.currency}
            told |= fate(own, self.window, self.loss)
            if told["survived"]:
                return "the strategy obeys its account, which refused an order"
        return blank(cell, self.job, self.window) | told | {"seconds": time.perf_counter() - began}

    def played(self, cell: Cell) -> Played | str:
        """A cell through the kernel, its events kept; or why not."""
        try:
            ready = self.replay.ready(cell)
        except InputError as why:
            return str(why)
        self.reacts = self.reacts or _reacted(ready.proof)
        if self.obedient:
            ready = ready._replace(own=ready.own._replace(obedient=1))
        status, state, equity = played(ready, self.room)
        while status == TOO_MANY_EVENTS and self.room < MOST_EVENTS:
            self.room *= 16
            status, state, equity = played(ready, self.room)
        if status == DONE:
            return Played(ready, state, equity, len(equity) - 1, True)
        if status == SURPRISED:
            return Played(ready, state, equity, int(state.counts[SURPRISE]), False)
        return "more than the kernel has room for, a price that cannot be, or an action that is refused"

    def lived(self, one: Played) -> Lived:
        """What the account went through, as far as the replay knows it."""
        events = self.events(one)
        kinds = events[:, E_KIND]
        died = events[kinds == LIQUIDATION, E_TIME]
        return Lived(
            one.ready.proof.market.times[: one.last + 1],
            one.equity[: one.last + 1],
            one.ready.own.cash,
            self.currency,
            int(died[0]) if len(died) else None,
            self._mean_margin(one) if one.whole else 0.0,
            len(died),
            int(np.count_nonzero(kinds == FILL)),
            int(np.count_nonzero(kinds == REJECTED)),
        )

    def events(self, one: Played) -> NDArray[Any]:
        """The events up to the last bar that is known."""
        events = one.state.events[: one.state.counts[EVENTS]]
        known: NDArray[Any] = events[events[:, E_TIME] <= one.ready.proof.market.times[one.last]]
        return known

    @cached_property
    def venue(self) -> Any:
        """Whose rules apply."""
        return venue_of(given(Cell(0, {}), self.job).broker)

    @cached_property
    def currency(self) -> str:
        """What the account's money is in."""
        return str(self.venue.contract(next(iter(self.job.data))).settle)

    def _mean_margin(self, one: Played) -> float:
        """Mean initial margin at the closes from the start on; before it nothing is open."""
        times = one.ready.proof.market.times
        bars = len(times) - int(np.searchsorted(times, self.window.start))
        return float(one.state.money[MARGIN_SUM]) / bars if bars > 0 else 0.0


def _reacted(proof: Proof) -> bool:
    """Whether a strategy was seen to ask for something else where its account refuses and is liquidated."""
    return "not a poor one" in proof.told and "nothing to refuse" not in proof.told
