"""A run with one thing changed, by replay: its own orders under other settings, or with money paid in.

The tape is recorded once, from the very Cerebro of the run, and proved as for a sweep
(:mod:`bt_margin.studies.replay.proof`). It is used only where the kernel also makes the run as it was out of
it: every event, and the equity of every bar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bt_margin.errors import InputError
from bt_margin.studies.cells import Cell, Job
from bt_margin.studies.replay import Replay
from bt_margin.studies.replay.check import differs
from bt_margin.studies.replay.entry import Ready, with_events
from bt_margin.studies.replay.intents import Intent, inserted
from bt_margin.studies.replay.layout import (
    ACTION_REFUSED,
    ADD_MARGIN,
    BAR,
    DONE,
    E_KIND,
    E_SYMBOL,
    E_TIME,
    EVENTS,
    LIQUIDATION,
    PAY_IN,
    SURPRISE,
    SURPRISED,
    State,
)
from bt_margin.studies.replay.market import Market, Unfit
from bt_margin.studies.result import Run
from bt_margin.studies.run import broker_keywords
from bt_margin.studies.sentences import when

_AGREES = "The replay of the run as it was agrees with it in every event"


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that comes at the close of the bar that opens at ``at`` (UTC ms).

    ``symbols`` whose isolated positions get it, in equal parts; none: it stays in the wallet.
    """

    at: int
    amount: float
    symbols: tuple[str, ...] = ()


class Played(NamedTuple):
    """A changed run as the kernel tells it: its account with all events, and its equity at every close.

    ``paid``: whether its money could be paid in; the kernel stops where it cannot.
    """

    state: State
    equity: NDArray[Any]
    market: Market
    paid: bool = True

    @property
    def final(self) -> float:
        """The equity at the end."""
        return float(self.equity[-1])

    @property
    def fallen(self) -> tuple[tuple[int, str], ...]:
        """Every liquidation: when, and of what."""
        events = self.state.events[: self.state.counts[EVENTS]]
        own = events[events[:, E_KIND] == LIQUIDATION]
        symbols = self.market.symbols
        return tuple((int(row[E_TIME]), symbols[int(row[E_SYMBOL])]) for row in own)

    def differs(self, run: Run) -> str:
        """The first event or equity that is not the full run's; "" when there is none."""
        return differs(self.state, self.equity, self.market, run.broker)


class Again:
    """The replay of one run under other settings; ``told`` in how far it makes the run as it was.

    :raises Unfit: the kernel does not do its strategy or its settings, or makes another run of them.
    """

    def __init__(self, run: Run) -> None:
        cerebro, broker = run.strategy.cerebro, run.broker
        if run.settings["commission"] != "the venue's fees":
            raise Unfit("commissions of the script's own are not in the kernel")
        if len(cerebro.runningstrats) > 1:
            raise Unfit("several strategies on one account")
        symbols = [quote.symbol for quote in broker._instruments]
        common = {name: getattr(broker.p, name) for name in broker_keywords()}
        named = {str(q.data._name): q.symbol for q in broker._instruments if q.data._name}
        common["names"] = {**named, **(common["names"] or {})}
        data: dict[str, Any] = dict.fromkeys(symbols)
        self.replay = Replay(Job(type(run.strategy), data, {}, common, cerebro=cerebro))
        self._prove(run)

    def _prove(self, run: Run) -> None:
        """:raises Unfit: the run as it was does not come out of its tape, as far as that tells."""
        ready = self.replay.ready(Cell(0, {}))
        status, state, equity = with_events(ready)
        last = int(state.counts[SURPRISE]) if status == SURPRISED else None
        if status not in (DONE, SURPRISED):
            raise Unfit("the run is more than the kernel does")
        wrong = differs(state, equity, ready.proof.market, run.broker, last)
        if wrong:
            raise Unfit(f"the replay is not the run: {wrong}")
        self.told = f"{_AGREES} and the equity of every bar"
        if last is not None:
            until = when(int(ready.proof.market.times[last]))
            self.told += f" until {until}, from where the strategy follows what its account does"

    def changed(self, settings: Mapping[str, Any], payment: Payment | None) -> Played | None:
        """The run with these settings and this payment; None where it has to be run in full."""
        try:
            ready = self.replay.ready(Cell(0, settings))
            if payment is not None:
                ready = self._with(ready, payment)
        except InputError:
            return None
        status, state, equity = with_events(ready)
        market = ready.proof.market
        if status == DONE:
            return Played(state, equity, market)
        if payment is None or settings or status != ACTION_REFUSED:
            return None
        refused = int(market.times[state.counts[BAR]]) == payment.at
        return Played(state, equity, market, paid=False) if refused else None

    def _with(self, ready: Ready, payment: Payment) -> Ready:
        """The same with a payment on the tape. :raises Unfit: the strategy does not see that bar."""
        own = ready.proof
        bar = int(np.searchsorted(own.market.times, payment.at))
        if own.market.times[bar] != payment.at or not ready.world.places[0, 0, bar]:
            raise Unfit("no bar of the first feed at the time of a payment")
        more = _asked(bar, payment, own.market.symbols[0])
        intents, fates = inserted(own.intents, own.fates, more)
        tape = own.market.flat_tape(intents, fates)
        return ready._replace(world=ready.world._replace(tape=tape))


def _asked(bar: int, payment: Payment, beside: str) -> Sequence[Intent]:
    """A payment as intents of one bar."""
    found = [Intent(bar, beside, PAY_IN, payment.amount)]
    for symbol in payment.symbols:
        found.append(Intent(bar, symbol, ADD_MARGIN, payment.amount / len(payment.symbols)))
    return found
