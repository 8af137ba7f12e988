"""What no event tells: how pools stood when they were liquidated, funded or charged, noted as it happens.

Four methods of the account are listened to while a story is told; what they do is left alone. Copies of the
account (a scout's, a preview's) are not listened to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple

import pytest
from machine.formulas import Backing, backing, left

from bt_margin.engine.account import Account
from bt_margin.engine.book import Book
from bt_margin.engine.cashier import Cashier

#: what may carry a pool past its bound beside the price
BESIDE = ("fill", "funding", "liquidation", "conversion", "top_up", "transfer", "shortfall")


class Begun(NamedTuple):
    """A pool as it was when its liquidation began: what it held above its bound, the noise of that.

    ``moved``: nothing but the price brought it there, and it was met on the way.
    """

    event: int
    pool: str
    left: float
    scale: float
    numbers: Backing
    moved: bool


class Funded(NamedTuple):
    """Right after a payment of funding: what the pool holds above its bound, what the wallet could pay."""

    event: int
    left: float
    scale: float
    free: float


class Charged(NamedTuple):
    """A pool before interest of (since, until] was charged by the events from ``event`` to ``end``.

    ``opened`` and ``market`` of each position.
    """

    event: int
    pool: str
    since: int
    until: int
    numbers: Backing
    opened: tuple[int, ...]
    market: tuple[str, ...]
    end: int = 0


@dataclass
class Tape:
    """What was noted, and per symbol the borrow fees charged since its last fill."""

    begun: list[Begun] = field(default_factory=list)
    funded: list[Funded] = field(default_factory=list)
    charged: list[Charged] = field(default_factory=list)
    unpaid: dict[str, float] = field(default_factory=dict)
    read: int = 0
    until: int | None = None
    #: by liquidation: whether its pool is over, what it left to the trader, what it had at the marks before,
    #: and what of both is the margin of pledged coins
    flat: dict[int, tuple[bool, float, float, float]] = field(default_factory=dict)

    def owed(self, account: Any, pool: Any) -> float:
        """Borrow fees of an isolated pool's position that were charged since it was last filled."""
        for event in account.events[self.read :]:
            if event.kind in ("fill", "liquidation"):
                self.unpaid[event.symbol] = 0.0
            elif event.kind == "interest" and event.symbol and event.reason == "borrow fee":
                self.unpaid[event.symbol] = self.unpaid.get(event.symbol, 0.0) - event.amount
        self.read = len(account.events)
        return self.unpaid.get(pool.symbol, 0.0) if pool.symbol else 0.0

    def liquidating(self, account: Any, story: Any, pool: Any, crossed: bool) -> None:
        found, scale = left(account, pool, story, self.owed(account, pool))
        numbers = backing(account, pool, story)
        since = takewhile(lambda event: event.time >= account.time, reversed(account.events))
        moved = crossed and not any(event.kind in BESIDE for event in since)
        self.begun.append(Begun(len(account.events), pool.key, found, scale, numbers, moved))

    def was_funded(self, account: Any, story: Any, event: Any) -> None:
        p = account.position(event.symbol)
        if p.pool is None:
            return
        found, scale = left(account, p.pool, story, self.owed(account, p.pool))
        free = account.transferable(account.home(p))
        self.funded.append(Funded(event.id, found, scale, free))

    def charging(self, account: Any, story: Any, time: int) -> None:
        since, self.until = account.carried if self.until is None else self.until, time
        for pool in account.pools.values():
            if pool.positions and time > since:
                self.charged.append(
                    Charged(
                        len(account.events), pool.key, since, time, backing(account, pool, story),
                        tuple(p.opened for p in pool.positions),
                        tuple(p.market for p in pool.positions),
                    )
                )  # fmt: skip


@contextmanager
def listening(broker: Any, story: Any) -> Iterator[Tape]:
    """Note what happens to the broker's account."""
    tape = Tape()
    liquidate, fund, accrue = Account.liquidate, Cashier.book_funding, Cashier.accrue
    commit = Book.commit

    def liquidated(self: Any, pool: Any, *more: Any, **facts: Any) -> None:
        if self is broker.account:
            tape.liquidating(self, story, pool, facts.get("crossed", False))
        liquidate(self, pool, *more, **facts)

    def funded(self: Any, *found: Any, **named: Any) -> Any:
        event = fund(self, *found, **named)
        if event is not None and self is broker.account:
            tape.was_funded(self, story, event)
        return event

    def accrued(self: Any, time: int) -> None:
        if self is broker.account and self.venue.carry is not None:
            noted = len(tape.charged)
            tape.charging(self, story, time)
            accrue(self, time)
            end = len(self.events)
            tape.charged[noted:] = [one._replace(end=end) for one in tape.charged[noted:]]
        else:
            accrue(self, time)

    def committed(self: Any, p: Any, *found: Any, **named: Any) -> Any:
        pool, ours = p.pool, self is broker.account and "liquidation" in found
        had, coins = (pool.equity(), pool.backing() - pool.balance) if ours else (0.0, 0.0)
        wallet = self.home(p).balance if ours else 0.0
        event = commit(self, p, *found, **named)
        if ours:
            home = self.home(p)
            back = home.balance - wallet if pool is not home else event.balance + coins
            tape.flat[event.id] = (not pool.positions, back, had, coins)
        return event

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Account, "liquidate", liquidated)
        patch.setattr(Cashier, "book_funding", funded)
        patch.setattr(Cashier, "accrue", accrued)
        patch.setattr(Book, "commit", committed)
        yield tape
