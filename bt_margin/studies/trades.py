"""Trades: what happened to each position between flat and flat, with everything it cost and brought.

A trade begins when a symbol's position leaves zero and ends when it is back there or changes its side; what
is still open at the end is a trade too, valued at its last mark. Every ledger entry but deposits, withdrawals
and transfers belongs to one trade or, rarely, to none (interest on the wallet), so that

    Σ net of all trades + what belongs to none = final equity − cash at the start − deposits + withdrawals
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from bt_margin.studies.coins import rate_at, worth
from bt_margin.studies.result import Run
from bt_margin.studies.tracks import bar_of, milliseconds

End = Literal["closed", "flipped", "liquidated", "delisted", "still open"]
DUST = 1e-9  # of the larger of position and fill: what is left of a position that was closed
_PAID = {"fee": "fees", "liquidation_fee": "liquidation_fees"}


@dataclass(slots=True)
class Trade:
    """One position from flat to flat.

    ``size`` all that was opened for it, signed: + long, − short.  ``entry`` and ``exit`` the mean prices of
    what was opened and closed (by worth, so that ``price = size · multiplier · (worth(exit) −
    worth(entry))``); of what is still open the exit is the last mark.  ``price`` the result of the prices
    alone; ``fees``, ``liquidation_fees``, ``funding``, ``interest`` signed by their effect on the equity;
    ``covered`` what the insurance fund bore of the loss. Times are UTC ms, ``closed`` is None while open;
    ``bars`` lie between the bar of the entry and that of the exit (or the last).
    """

    symbol: str
    opened: int
    size: float = 0.0
    closed: int | None = None
    entry: float = math.nan
    exit: float = math.nan
    price: float = 0.0
    fees: float = 0.0
    liquidation_fees: float = 0.0
    funding: float = 0.0
    interest: float = 0.0
    covered: float = 0.0
    bars: int = 0
    end: End = "still open"
    liquidations: int = 0
    first_event: int = 0
    last_event: int | None = None
    largest: float = 0.0

    @property
    def net(self) -> float:
        """Everything together: what the trade did to the equity."""
        paid = self.fees + self.liquidation_fees + self.funding + self.interest
        return self.price + paid + self.covered

    @property
    def ended(self) -> bool:
        """Whether the position is closed."""
        return self.closed is not None

    @property
    def side(self) -> str:
        """``long`` or ``short``."""
        return "long" if self.size > 0 else "short"


@dataclass(frozen=True, slots=True)
class TradeBook:
    """The trades of a run in the order of their entries; ``elsewhere`` what belongs to none of them."""

    trades: list[Trade]
    elsewhere: float

    @property
    def ended(self) -> list[Trade]:
        """The trades that are over."""
        return [trade for trade in self.trades if trade.ended]

    @property
    def net(self) -> float:
        """What all of it did to the equity, deposits and withdrawals left out."""
        return math.fsum(trade.net for trade in self.trades) + self.elsewhere


def trades_of(run: Run) -> TradeBook:
    """The trades of a run, from its events and its ledger; linear in their number."""
    reader = _Reader(run)
    for event in run.broker.events:
        reader.read(event)
    return reader.finish()


@dataclass(slots=True)
class _Sums:
    """Opened and closed size of a trade, and their worth (size times worth of the price)."""

    held: float = 0.0
    opened: float = 0.0
    opened_worth: float = 0.0
    closed: float = 0.0
    closed_worth: float = 0.0


@dataclass(slots=True)
class _Reader:
    """Reads the events of a run one by one."""

    run: Run
    trades: list[Trade] = field(default_factory=list)
    open: dict[str, tuple[Trade, _Sums]] = field(default_factory=dict)
    closed_by: dict[int, Trade] = field(default_factory=dict)
    entries: dict[int, list[Any]] = field(default_factory=dict)
    elsewhere: float = 0.0

    def __post_init__(self) -> None:
        for entry in self.run.broker.account.ledger:
            rate = worth(self.run, entry)
            told = entry if rate == 1.0 else entry._replace(amount=entry.amount * rate)
            self.entries.setdefault(entry.event, []).append(told)

    def read(self, event: Any) -> None:
        """One event."""
        if event.kind in ("fill", "liquidation") and event.size:
            self._traded(event)
        elif event.kind in ("funding", "interest"):
            self._charged(event)
        elif event.kind == "shortfall":
            borne = sum(e.amount for e in self._of(event.id, ("insurance",)))
            trade = self.closed_by.get(event.cause)
            if trade is None:
                self.elsewhere += borne
            else:
                trade.covered += borne

    def _of(self, event: int, kinds: Iterable[str]) -> list[Any]:
        return [entry for entry in self.entries.get(event, ()) if entry.kind in kinds]

    def _charged(self, event: Any) -> None:
        """Funding and interest: to the open trade of the symbol."""
        amount = sum(e.amount for e in self._of(event.id, (event.kind,)))
        found = self.open.get(event.symbol or "")
        if found is None:
            self.elsewhere += amount
        elif event.kind == "funding":
            found[0].funding += amount
        else:
            found[0].interest += amount

    def _traded(self, event: Any) -> None:
        """A fill or a liquidation: its closing part, then its opening part."""
        trade, sums = self.open.get(event.symbol) or self._begin(event)
        before = sums.held
        after = before + event.size
        if event.info.get("whole") or abs(after) <= DUST * max(abs(before), abs(event.size)):
            after = 0.0
        if not before or (before > 0) == (event.size > 0):
            self._open_part(trade, sums, event, event.size)
            self._pay(trade, self._of(event.id, _PAID))
            return
        flipped = before * after < 0.0
        self._close_part(trade, sums, event, -before if flipped or not after else event.size)
        sums.held = 0.0 if flipped else after
        paid = self._of(event.id, _PAID)
        closing = self._closing(paid, before, after) if flipped else paid
        self._pay(trade, closing)
        if flipped or not after:
            self._end(trade, event, flipped=flipped)
        if flipped:
            opened, fresh = self._begin(event)
            self._open_part(opened, fresh, event, after)
            self._pay(opened, [entry for entry in paid if entry not in closing])

    def _begin(self, event: Any) -> tuple[Trade, _Sums]:
        trade = Trade(event.symbol, event.time, first_event=event.id)
        self.trades.append(trade)
        self.open[event.symbol] = trade, _Sums()
        return self.open[event.symbol]

    def _open_part(self, trade: Trade, sums: _Sums, event: Any, size: float) -> None:
        sums.held += size
        sums.opened += size
        sums.opened_worth += size * self._contract(event.symbol).worth(event.price)
        trade.size = sums.opened
        trade.largest = max(trade.largest, abs(sums.held))

    def _close_part(self, trade: Trade, sums: _Sums, event: Any, size: float) -> None:
        sums.closed -= size
        sums.closed_worth -= size * self._contract(event.symbol).worth(event.price)
        trade.price += sum(e.amount for e in self._of(event.id, ("realised",)))
        trade.liquidations += event.kind == "liquidation"
        self.closed_by[event.id] = trade

    def _closing(self, paid: list[Any], before: float, after: float) -> list[Any]:
        """The fees of a flip that belong to its closing part: the first of two; one alone to the larger."""
        return paid[:1] if len(paid) > 1 or abs(before) >= abs(after) else []

    def _pay(self, trade: Trade, paid: Iterable[Any]) -> None:
        for entry in paid:
            if entry.kind == "fee":
                trade.fees += entry.amount
            else:
                trade.liquidation_fees += entry.amount

    def _end(self, trade: Trade, event: Any, *, flipped: bool) -> None:
        """The position is closed."""
        sums = self.open.pop(event.symbol)[1]
        trade.closed, trade.last_event = event.time, event.id
        cause = None if event.cause is None else self.run.broker.events[event.cause]
        if event.kind == "liquidation":
            trade.end = "liquidated"
        elif cause is not None and cause.kind == "delisted":
            trade.end = "delisted"
        else:
            trade.end = "flipped" if flipped else "closed"
        self._prices(trade, sums)

    def _prices(self, trade: Trade, sums: _Sums) -> None:
        """The mean prices of what was opened and closed."""
        contract = self._contract(trade.symbol)
        trade.entry = contract.price(sums.opened_worth / sums.opened)
        trade.exit = contract.price(sums.closed_worth / sums.closed)

    def _contract(self, symbol: str) -> Any:
        return self.run.broker.account.book[symbol].contract

    def finish(self) -> TradeBook:
        """Open trades valued at their last marks, and how many bars each one lasted."""
        for symbol, (trade, sums) in self.open.items():
            position = self.run.broker.account.book[symbol]
            trade.price += position.unrealised() * rate_at(self.run, position.contract.settle)
            sums.closed += sums.held
            sums.closed_worth += sums.held * position.contract.worth(position.mark)
            self._prices(trade, sums)
        times = milliseconds(self.run.equity.index)
        if len(times):
            last = int(times[-1])
            starts = bar_of(times, [trade.opened for trade in self.trades])
            ends = bar_of(times, [last if t.closed is None else t.closed for t in self.trades])
            for trade, start, end in zip(self.trades, starts, ends, strict=True):
                trade.bars = int(end - start)
        return TradeBook(self.trades, self.elsewhere)
