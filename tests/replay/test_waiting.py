"""Orders that wait, brackets and changes of the account, in cells: what is replayed, and is it right."""

from __future__ import annotations

from typing import Any

import backtrader as bt
from replay.test_entry import CELLS, job, same
from replay.test_real import strategy

from bt_margin.studies.cells import Cell, full
from bt_margin.studies.replay import replayed
from bt_margin.studies.replay.entry import Replay


class Ladder(bt.Strategy):
    """Sends what it sends, whatever becomes of it: limits, brackets, pairs of orders, withdrawals."""

    def __init__(self) -> None:
        self.last: dict[Any, bt.Order] = {}

    def next(self) -> None:
        for data in self.datas:
            size = 0.4 * self.broker.getvalue() / data.close[0]
            turn = len(self) % 24
            if turn == 3:
                self.last[data] = self.buy(
                    data, size=size, price=0.99 * data.close[0], exectype=bt.Order.Limit
                )
            elif turn == 9:
                self.cancel(self.last[data])
                self.sell_bracket(
                    data=data, size=size, price=1.004 * data.close[0],
                    stopprice=1.03 * data.close[0], limitprice=0.98 * data.close[0],
                )  # fmt: skip
            elif turn == 15:
                one = self.buy(
                    data, size=size, price=1.01 * data.close[0], exectype=bt.Order.Stop, valid=0.5
                )
                self.sell(data, size=size, exectype=bt.Order.StopTrail, trailpercent=0.01, oco=one)
            elif turn == 21:
                self.close(data)


class Answering(bt.Strategy):
    """Each filled entry brings a stop and a target, each exit a new entry."""

    def __init__(self) -> None:
        self.entry: bt.Order | None = None
        self.exits: list[bt.Order] = []

    def next(self) -> None:
        if self.entry is None and not self.exits and len(self) % 5 == 0:
            price = self.data.close[0] * 0.995
            size = 0.5 * self.broker.getvalue() / price
            self.entry = self.buy(size=size, price=price, exectype=bt.Order.Limit)

    def notify_order(self, order: bt.Order) -> None:
        if order.alive():
            return
        if self.entry is not None and order.ref == self.entry.ref:
            self.entry = None
            if order.status == order.Completed:
                stop = self.close(exectype=bt.Order.Stop, price=self.data.close[0] * 0.97)
                goal = self.close(
                    exectype=bt.Order.Limit, price=self.data.close[0] * 1.02, oco=stop
                )
                self.exits = [stop, goal]
        elif order.ref in [one.ref for one in self.exits]:
            self.exits = []


class Keeping(bt.Strategy):
    """Lowers its leverage half way, moves margin, pays in."""

    def next(self) -> None:
        if len(self) == 2:
            self.buy(size=0.5 * self.broker.getvalue() / self.data.close[0])
        elif len(self) == 5:
            self.broker.add_margin(self.data, 0.02 * self.broker.getvalue())
        elif len(self) == 60:
            self.broker.set_leverage(3.0, self.data)
        elif len(self) % 100 == 80:
            self.broker.add_cash(250.0)


class Late(bt.Strategy):
    """Sends a child when its parent is long there."""

    def next(self) -> None:
        if len(self) == 5:
            self.parent = self.buy(size=0.1)
        elif len(self) == 6:
            self.sell(size=0.1, exectype=bt.Order.Stop, price=1.0, parent=self.parent)


def as_in_full(work: Any, found: Any) -> None:
    """Every outcome has the numbers of the full run."""
    for one in found.outcomes:
        other = full(one.cell, work)
        for name in one.row.keys() - {"engine", "seconds"}:
            assert same(one.row[name], other.row[name]), (one.cell, name)


def test_a_strategy_blind_to_its_fills_is_replayed_under_every_setting() -> None:
    work = job(Ladder)
    found = replayed(work, CELLS, check=len(CELLS))
    assert (found.wrong, found.left) == ("", ())
    assert found.told == ("asked a rich and a liquidated account for the same",)
    assert len(found.checked) == len(CELLS)
    assert sum(one.row["liquidations"] for one in found.outcomes) > 0
    as_in_full(work, found)


def test_a_strategy_that_answers_its_fills_is_obedient_at_most() -> None:
    work = job(Answering)
    found = replayed(work, CELLS, check=len(CELLS))
    assert found.wrong == ""
    assert found.outcomes
    assert found.told[0].startswith("asked two accounts without refusals")
    as_in_full(work, found)


def test_other_fates_of_orders_end_what_is_replayed_of_an_obedient_strategy() -> None:
    """The same orders, one of them said to have ended a bar later when the tape was recorded."""
    work = job(Answering)
    replay = Replay(work)
    one = replay.ready(CELLS[0])
    known = one.proof
    fates = list(known.fates or ())
    fates[3] = fates[3]._replace(bar=fates[3].bar + 1)
    replay.worlds[id(known)] = known.market.world(known.intents, fates)
    found = replayed(work, CELLS[:1], replay=replay, check=0)
    assert found.outcomes == ()
    assert found.left[0].until == int(known.market.times[fates[3].bar - 1])


def test_changes_of_the_account_are_replayed_where_it_allows_them() -> None:
    work = job(Keeping)
    found = replayed(work, CELLS, check=len(CELLS))
    assert found.wrong == ""
    assert {one.row["margin_mode"] for one in found.outcomes} == {"isolated"}
    refused = [one for one in found.left if "refused a change" in one.reason]
    assert {one.cell.settings["margin_mode"] for one in refused} == {"cross"}
    assert all(one.until is not None for one in refused)
    as_in_full(work, found)


def test_the_grid_is_replayed_where_no_lot_changes_what_it_has_paid() -> None:
    """Its limits are made of its average entry, which lots and slippage would move."""
    work = job(strategy("grid"))
    found = replayed(work, CELLS, check=len(CELLS))
    assert found.wrong == ""
    assert found.outcomes
    as_in_full(work, found)
    symbols = {name: {"lot": 0.001} for name in work.data}
    for own in ({"symbols": symbols}, {"slip_perc": 0.001}):
        other = replayed(job(strategy("grid"), **own), CELLS[:1])
        assert "reads its account" in (other.refused or "")


def test_what_no_tape_can_hold_is_handed_back() -> None:
    found = replayed(job(Late), [Cell(0, {"leverage": 2.0})])
    assert found.outcomes == ()
    assert "after its parent" in (found.refused or "")
