"""One run with something changed, made once each: replayed where that is exact, else in full."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bt_margin.errors import InputError, LeverageError, Refused
from bt_margin.plugin import assemble
from bt_margin.plugin.extra import ExtraMargin
from bt_margin.studies.changed_replay import Again, Payment, Played
from bt_margin.studies.result import Run
from bt_margin.studies.run import broker_keywords, run_prepared

ENGINES = ("auto", "replay", "full")
REPLAY, FULL = "replay", "full"
#: Of the replayed runs, from the first on, one in so many is made in full as well.
ONE_IN = 16
#: Bars to be lived through in all below which a replay is not worth its beginning.
FEW_BARS = 100_000
_REPORT = "Please report this."


@dataclass(frozen=True, slots=True)
class Changed:
    """A run with something changed: its final equity, its liquidations by time and symbol, what made it.

    ``refused``: the account took the money, the leverage or what the script asked of it not; the rest then
    means nothing.
    """

    final: float
    fallen: tuple[tuple[int, str], ...]
    engine: str
    refused: bool = False

    def spared(self, symbols: Iterable[str], since: int, until: int) -> bool:
        """Whether none of the symbols was liquidated in [since, until)."""
        own = set(symbols)
        return not any(since <= time < until and symbol in own for time, symbol in self.fallen)


class Differs(Exception):
    """A replayed run is not what the full engine says."""


class Changes:
    """The changed runs of one run.

    ``about`` how many there will be; ``made`` the engines of the runs asked for since the last :meth:`begin`.

    :raises InputError: a replay was asked for and cannot be; a script whose runs differ though nothing is
        changed.
    """

    def __init__(self, run: Run, engine: str, about: int) -> None:
        self.run, self.engine = run, engine
        self.known: dict[Any, Changed] = {}
        self.made: set[str] = set()
        self.replay: Again | None = None
        self.replayed = self.compared = self.in_full = 0
        self.why = "as asked for."
        if engine == "auto" and about * len(run.record.times) < FEW_BARS:
            self.why = "so few bars are quicker that way."
        elif engine != FULL:
            self._record()
        if self.replay is None:
            self._repeat()

    def _record(self) -> None:
        try:
            self.replay = Again(self.run)
        except InputError as why:
            if self.engine == REPLAY:
                raise InputError(f"{self.run.name} cannot be replayed: {why}") from why
            self.why = f"{why}."

    def _repeat(self) -> None:
        """:raises InputError: the run as it was does not come out again."""
        again = self._in_full({}, None).final
        if not math.isclose(again, self.run.final, rel_tol=1e-9, abs_tol=1e-9):
            raise InputError(
                f"{self.run.name}: the run does not repeat itself ({again:.10g} at the end, before "
                f"{self.run.final:.10g}), so no change can be told from luck; "
                "let the strategy seed its random numbers in __init__"
            )

    def begin(self) -> None:
        """Another liquidation: money is paid in for it alone, so runs with other money are forgotten."""
        self.made.clear()
        self.known = {key: known for key, known in self.known.items() if key[1] is None}

    def in_full_now(self, wrong: Differs) -> None:
        """Forget what was replayed, and replay no more. :raises InputError: a replay was asked for."""
        if self.engine == REPLAY:
            raise InputError(f"{self.run.name}: {wrong}. {_REPORT}") from wrong
        self.known, self.replay, self.why = {}, None, f"{wrong}. {_REPORT}"
        self._repeat()

    @property
    def told(self) -> str:
        """What made the runs, and what was found of the replay."""
        if self.replay is None:
            return f"Every changed run was made in full: {self.why}"
        found = f"{self.replayed} changed runs were replayed, {self.in_full} made in full. {self.replay.told}"
        if not self.compared:
            return f"{found}."
        again = (
            "does the one that was" if self.compared == 1 else f"do the {self.compared} that were"
        )
        return f"{found}; so {again} made in full besides."

    def of(self, settings: Mapping[str, Any], payment: Payment | None = None) -> Changed | None:
        """The run once more with these keywords of the broker, or this money; None where that is refused.

        :raises Differs: a replayed run is not what the full engine says.
        """
        key = (repr(sorted(settings.items())), payment)
        if key not in self.known:
            played = None if self.replay is None else self.replay.changed(settings, payment)
            if played is None:
                self.known[key] = self._in_full(settings, payment)
                self.in_full += 1
            else:
                if self.replayed % ONE_IN == 0:
                    self._compare(played, settings, payment)
                self.replayed += 1
                self.known[key] = Changed(played.final, played.fallen, REPLAY, not played.paid)
        known = self.known[key]
        self.made.add(known.engine)
        return None if known.refused else known

    def _compare(
        self, played: Played, settings: Mapping[str, Any], payment: Payment | None
    ) -> None:
        log: list[bool] = []
        run = self._again(settings, payment, log)
        wrong = played.differs(run) if played.paid else ""
        if played.paid != _paid(payment, log):
            wrong = "the money could be paid in" if all(log) else "the money could not be paid in"
        if wrong:
            raise Differs(f"a replayed run is not what the full engine says: {wrong}")
        self.compared += 1

    def _in_full(self, settings: Mapping[str, Any], payment: Payment | None) -> Changed:
        log: list[bool] = []
        try:
            found = self._again(settings, payment, log)
        except (Refused, LeverageError):
            return Changed(math.nan, (), FULL, refused=True)
        fallen = [e for e in found.broker.events if e.kind == "liquidation"]
        told = tuple((e.time, e.symbol) for e in fallen)
        return Changed(found.final, told, FULL, refused=not _paid(payment, log))

    def _again(self, settings: Mapping[str, Any], payment: Payment | None, log: list[bool]) -> Run:
        """The Cerebro of the run, run again."""
        broker = self.run.broker
        keywords = {name: getattr(broker.p, name) for name in broker_keywords()}
        cerebro = self.run.strategy.cerebro
        put_back = assemble.keep_filters(cerebro)
        try:
            with assemble.borrowed(cerebro):
                if payment is not None:
                    told = {"at": payment.at, "amount": payment.amount, "symbols": payment.symbols}
                    cerebro.analyzers.append((ExtraMargin, (), {**told, "log": log}))
                return run_prepared(cerebro, None, {**keywords, **settings}, self.run.name, None)
        finally:
            put_back()


def _paid(payment: Payment | None, log: Sequence[bool]) -> bool:
    """Whether all of a payment was paid in, by the log of a full run."""
    return payment is None or (bool(log) and all(log))
