"""The ledger: appended once, never edited, summed again at will."""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import KINDS, MODES, desk, near

from bt_margin.engine.ledger import ENTRY_KINDS, Ledger
from bt_margin.errors import InvariantError


def test_entries_are_numbered_in_the_order_they_came() -> None:
    book = Ledger()
    book.append(5, "a", "deposit", 10.0, None, 0)
    book.append(6, "b", "fee", -1.0, "X", 1)
    assert [(e.id, e.time, e.pool, e.symbol, e.event) for e in book] == [
        (0, 5, "a", None, 0),
        (1, 6, "b", "X", 1),
    ]
    assert len(book) == 2


def test_totals_are_kept_by_kind_and_a_balance_by_pool() -> None:
    book = Ledger()
    for pool, kind, amount in [
        ("a", "deposit", 10.0), ("a", "fee", -1.0), ("b", "deposit", 5.0), ("b", "fee", -0.5),
    ]:  # fmt: skip
        book.append(0, pool, kind, amount, None, 0)
    assert book.totals["deposit"] == 15
    assert book.totals["fee"] == -1.5
    assert (book.balance("a"), book.balance("b"), book.balance("c")) == (9.0, 4.5, 0.0)
    assert set(book.totals) == set(ENTRY_KINDS)


def test_an_unknown_kind_is_no_entry() -> None:
    book = Ledger()
    with pytest.raises(KeyError):
        book.append(0, "a", "gift", 1.0, None, 0)
    assert len(book) == 0


def test_an_entry_cannot_be_changed() -> None:
    book = Ledger()
    book.append(0, "a", "deposit", 10.0, None, 0)
    entry: Any = book.entries[0]
    with pytest.raises(AttributeError):
        entry.amount = 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_every_balance_is_the_sum_of_its_entries(kind: str, mode: str) -> None:
    d = desk(kind, mode, taker_fee=0.001, liquidation_fee=0.01)
    a = d.account
    a.deposit(a.equity())
    d.fill(6)
    d.mark(1.02)
    d.fill(-2, 1.02)
    a.fund(d.symbol, 0.001)
    a.charge_interest(a.wallet() / 1_000)
    a.withdraw(a.available() / 10)
    if mode == "isolated":
        a.add_margin(d.symbol, a.available() / 10)
    for key, pool in a.pools.items():
        assert a.ledger.balance(key) == near(pool.balance)
    d.mark(0.7)
    for key in {e.pool for e in a.ledger}:
        held = a.pools[key].balance if key in a.pools else 0.0
        assert a.ledger.balance(key) == near(held, abs=1e-12)
    assert sum(a.ledger.totals.values()) == near(a.wallet())
    assert a.ledger.totals["transfer"] == near(0.0, abs=1e-12)


def test_an_entry_names_the_event_it_belongs_to() -> None:
    d = desk(mode="isolated", taker_fee=0.001, liquidation_fee=0.01)
    d.fill(5)
    d.mark(0.8)
    kinds = [(e.kind, d.account.events[e.event].kind) for e in d.account.ledger]
    assert kinds == [
        ("deposit", "deposit"),
        ("transfer", "fill"),
        ("transfer", "fill"),
        ("fee", "fill"),
        ("realised", "liquidation"),
        ("insurance", "shortfall"),
    ]


def test_nothing_is_written_for_an_amount_of_nothing() -> None:
    d = desk()
    before = len(d.account.ledger)
    d.fill(1)
    assert d.account.fund(d.symbol, 0.0) is not None
    assert len(d.account.ledger) == before


def test_money_from_nowhere_is_found_by_the_next_entry_and_by_the_audit() -> None:
    d = desk()
    d.account.cross.balance += 1.0
    with pytest.raises(InvariantError, match="ledger totals"):
        d.account.audit()
    with pytest.raises(InvariantError, match="ledger totals"):
        d.account.deposit(1.0)


def test_a_flat_pool_may_owe_nothing() -> None:
    d = desk()
    d.account.cross.balance -= 1_001
    d.account.ledger.totals["deposit"] -= 1_001
    with pytest.raises(InvariantError, match="flat with a balance of -1"):
        d.account.audit()
