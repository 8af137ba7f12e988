"""Events: facts with a place in the record."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from engine.bench import desk, near

import bt_margin as btm
from bt_margin.engine.events import KINDS, Event


def test_an_event_cannot_be_changed() -> None:
    event: Any = Event(0, 0, "deposit")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.kind = "fill"


def test_a_row_has_every_field_in_order_and_its_own_info() -> None:
    info = {"a": 1}
    event = Event(7, 5, "fill", symbol="X", size=-2.0, cause=3, info=info)
    row = event.to_dict()
    assert list(row) == [f.name for f in dataclasses.fields(Event)]
    assert (row["id"], row["time"], row["symbol"], row["size"], row["cause"]) == (7, 5, "X", -2, 3)
    row["info"]["a"] = 2
    assert info == {"a": 1}


def test_two_events_do_not_share_their_info() -> None:
    assert Event(0, 0, "dead").info is not Event(1, 0, "dead").info


def test_kinds_are_unique() -> None:
    assert len(set(KINDS)) == len(KINDS) == 22


def recorded() -> set[str]:
    """The kinds named where the project records or commits an event."""
    found = set()
    package = Path(btm.__file__).parent
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                place = {"record": 0, "commit": 3}.get(node.func.attr, len(node.args))
                found |= {
                    x.value for x in node.args[place : place + 1] if isinstance(x, ast.Constant)
                }
    return found


def test_kinds_are_those_that_are_recorded() -> None:
    assert recorded() == set(KINDS)


def test_the_id_is_the_place_in_the_record_and_every_kind_is_a_known_one() -> None:
    d = desk(mode="isolated", liquidation_fee=0.01)
    d.fill(5)
    d.mark(0.5)
    assert [e.id for e in d.account.events] == list(range(len(d.account.events)))
    assert {e.kind for e in d.account.events} <= set(KINDS)
    assert [e.kind for e in d.account.events] == [
        "deposit", "fill", "breach", "liquidation", "shortfall",
    ]  # fmt: skip


def test_balance_is_that_of_the_pool_and_equity_that_of_the_account_afterwards() -> None:
    d = desk(mode="isolated", taker_fee=0.01)
    event = d.fill(5).event
    assert (event.pool, event.balance) == (f"isolated:{d.symbol}", 50.0)
    assert event.equity == d.account.equity() == 995.0


def test_what_a_flat_wallet_still_holds_is_in_the_event_however_little() -> None:
    d = desk()
    d.fill(90)
    event = d.fill(-90, 0.88895).event
    assert (event.balance, event.equity) == (near(0.55), near(0.55))


def test_an_event_may_carry_its_own_time() -> None:
    d = desk()
    d.fill(1)
    d.account.clock(1_000)
    event = d.account.fund(d.symbol, 0.01, time=900)
    assert event is not None
    assert (event.time, d.account.time) == (900, 1_000)
