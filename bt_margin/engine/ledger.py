"""The ledger: every change of every balance, appended once and never edited.

Each balance of the account is the running sum of its entries, in order; the totals by kind satisfy the
money identity::

    deposit − withdrawal + realised + funding + interest + conversion − fee − liquidation fee + insurance
        = Σ balances

Amounts are stored signed (a fee is negative), so the identity is a plain sum; where there are wallets in
several currencies it holds for each of them, and for their sum as bare numbers. Transfers between pools
come in pairs that cancel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

ENTRY_KINDS: Final = (
    "deposit",
    "withdrawal",
    "transfer",
    "realised",
    "fee",
    "funding",
    "interest",
    "conversion",
    "liquidation_fee",
    "insurance",
)


class Entry(NamedTuple):
    """One signed change of one pool's balance, in the pool's currency."""

    id: int
    time: int
    pool: str
    kind: str
    amount: float
    symbol: str | None
    event: int


class Ledger:
    """Append-only book of entries with running totals.

    >>> book = Ledger()
    >>> book.append(0, "cross:USDT", "deposit", 100.0, None, 0)
    >>> book.append(0, "cross:USDT", "fee", -1.5, "BTC/USDT:USDT", 1)
    >>> book.balance("cross:USDT"), book.totals["fee"], len(book)
    (98.5, -1.5, 2)
    """

    __slots__ = ("entries", "totals")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.totals: dict[str, float] = dict.fromkeys(ENTRY_KINDS, 0.0)

    def append(
        self, time: int, pool: str, kind: str, amount: float, symbol: str | None, event: int
    ) -> None:
        """Write one entry. Only :class:`~bt_margin.engine.account.Account` calls this."""
        self.totals[kind] += amount
        self.entries.append(Entry(len(self.entries), time, pool, kind, amount, symbol, event))

    def balance(self, pool: str) -> float:
        """The pool's balance, summed again from its entries in order."""
        total = 0.0
        for entry in self.entries:
            if entry.pool == pool:
                total += entry.amount
        return total

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)
