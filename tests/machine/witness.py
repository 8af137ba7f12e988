"""Laws that need a witness: what the story says of its bars, what strategies asked for and noted themselves.

These know the markets, so they find by other ways what the account must have seen.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from itertools import pairwise
from typing import Any

from machine import laws, mechanisms
from machine.laws import Law, same, scale_of

from bt_margin.engine.settings import leg_of

NOISE = 1e-9


# -- what the strategy sees on every bar ----------------------------------------------------------------


def a_position_stands_at_its_last_mark(s: Any) -> None:
    """The close of its market's last bar, however long ago: a stale symbol keeps its mark."""
    life = s.p.life
    last = s.__dict__.setdefault("last_marks", {})
    for on, name in enumerate(life.story.names):
        mark = life.story.marks[on][life.bar]
        last[name] = mark[3] if mark is not None else last.get(name)
        for p in laws.sides_of(s.broker.account, name):
            if p.size:
                assert same(p.mark, last[name], p.mark), (name, p.mark, last[name])


def cash_and_value_are_told(s: Any) -> None:
    """Once a bar, before ``next``, as the broker has them."""
    broker = s.broker
    assert s.cash_told == (broker.getcash(), broker.getvalue())
    cash, value, fundvalue, shares = s.fund_told
    assert (cash, value) == s.cash_told
    assert (fundvalue, shares) == (broker.get_fundvalue(), broker.get_fundshares())


# -- what is left at the end ----------------------------------------------------------------------------


def the_markets_were_what_they_were(life: Any) -> None:
    """Every fill within the last prices of its bar, every forced closing at a mark the market had."""
    story, setup = life.story, life.story.setup
    free = (
        setup.coc or setup.slip_out or setup.filler
    )  # backtrader fills the rest of an old close there
    numbers = {name: on for on, name in enumerate(story.names)}
    for event in life.broker.events:
        if event.kind not in ("fill", "liquidation"):
            continue
        on, bar = numbers[leg_of(event.symbol)[0]], (event.time - story.start) // story.step
        candle, mark = story.candles[on][bar], story.marks[on][bar]
        if event.kind == "fill" and event.order is not None and not free:
            assert candle is not None, event
            slip = (
                setup.slip_fixed or setup.slip * candle[0]
            )  # which limits of stock may take out of it
            low, high = candle[2] * (1 - NOISE) - slip, candle[1] * (1 + NOISE) + slip
            assert low <= event.price <= high or _earlier_close(story, on, bar, event.price), event
        if event.kind == "liquidation" and mark is not None:
            assert mark[2] * (1 - NOISE) <= event.mark <= mark[1] * (1 + NOISE), event


def _earlier_close(story: Any, on: int, bar: int, price: float) -> bool:
    """An order for the close that was not filled at it is filled there on the next bar."""
    before = next((c for c in reversed(story.candles[on][:bar]) if c is not None), None)
    slip = story.setup.slip_fixed or (before[3] if before else 0) * story.setup.slip
    return before is not None and abs(price - before[3]) <= slip + NOISE * price


def funding_is_paid_once_on_what_was_held(life: Any) -> None:
    """No stamp twice or from nowhere; each of a bar's open, and between bars, on a position held before.

    Nobody pays where the venue has no funding; where its rates accrue, each bar of the interval before a
    stamp pays its part; where funding alone does not liquidate, it may be less, never more.
    """
    story, account = life.story, life.broker.account
    rule = account.venue.funding
    paid: dict[tuple[str, int], Any] = {}
    stamps = {name: stamps_of(life, on) for on, name in enumerate(story.names)}
    for event in life.broker.events:
        if event.kind == "funding":
            assert rule.payer != "nobody", event
            assert (event.symbol, event.time) not in paid, event
            paid[event.symbol, event.time] = event
            rate = stamps[leg_of(event.symbol)[0]].get(event.time)
            assert rate is not None, event
            assert same(rate, event.found, abs(rate)), (event, rate)
            contract = account.position(event.symbol).contract
            side = 1 if event.size > 0 else -1
            owed = -side * contract.notional(event.size, event.mark) * event.found
            less = rule.capped and owed < event.amount <= 0.0
            assert less or same(event.amount, owed, abs(owed)), (event, owed)
    for on, name in enumerate(story.names) if rule.payer != "nobody" else ():
        for p in laws.sides_of(account, name):
            for time in _due(life, on, p.symbol):
                assert (p.symbol, time) in paid, (p.symbol, time, "was not paid")


def stamps_of(life: Any, on: int) -> dict[int, float]:
    """What is due when, as rates: the stamps, or where rates accrue the parts of the bars before them."""
    story, venue = life.story, life.broker.account.venue
    if not venue.funding.accrues:
        return dict(story.stamps[on])
    found: dict[int, float] = {}
    before = -(2**62)
    for time, rate in story.stamps[on]:
        span = min(venue.funding_interval, time - before)
        ends = list(range(time, time - span, -story.step))
        for end in ends:
            found[end] = rate * min(story.step, end - (time - span)) / span
        before = time
    return found


def _due(life: Any, on: int, symbol: str) -> list[int]:
    """Stamps at or before the open of a bar that found a position from the bar before."""
    story, found, at = life.story, [], 0
    end = story.time(story.setup.delisted) if story.setup.delisted else None
    over = end if on == len(story.names) - 1 else None
    stamps = sorted(time for time in stamps_of(life, on) if over is None or time < over)
    held, seen = 0.0, False
    for bar, sizes in life.sizes:
        if story.candles[on][bar] is not None:
            start = story.time(bar)
            if held and seen:
                found += [time for time in stamps[at:] if time <= start]
            while at < len(stamps) and stamps[at] < start + story.step:
                at += 1
            seen = True
        held = sizes.get(symbol, 0.0)
    return found


def everybody_hears_of_liquidations_and_margin_calls(life: Any) -> None:
    """Each strategy of each, once, in their order."""
    wanted = [e.id for e in life.broker.events if e.kind in ("liquidation", "margin_call")]
    for strategy in life.strategies:
        assert strategy.heard == wanted


def each_trade_is_told_as_it_opens_and_as_it_closes(life: Any) -> None:
    """In turns, and last as it is. (Several on one position: backtrader opens closed trades again.)"""
    for strategy in life.strategies if len(life.strategies) == 1 else ():
        told: dict[int, list[str]] = defaultdict(list)
        for line in strategy.told:
            if line[1] == "trade":
                told[line[8]].append("closed" if line[10] else "opened" if line[9] else "again")
        if laws.untold(life, strategy):
            continue
        for by_id in strategy._trades.values():
            for trade in next(iter(by_id.values())) if len(by_id) == 1 else ():
                found = told.pop(trade.ref, [])
                last = "closed" if trade.isclosed else "opened"
                assert found[-1:] == [last], (trade.ref, found)
                assert all(a != b for a, b in pairwise(found)), (trade.ref, found)


def of_a_group_one_is_filled(life: Any) -> None:
    for orders in life.groups:
        filled = [order.ref for order in orders if order is not None and order.executed.size]
        assert len(filled) <= 1, filled


def a_bracket_has_one_end(life: Any) -> None:
    """Its exits wait for its entry; one of them is filled."""
    whole = not life.story.setup.filler
    for entry, *exits in (orders for orders in life.brackets if None not in orders):
        filled = [order for order in exits if order.executed.size]
        assert not filled or entry.getstatusname() == "Completed", entry.ref
        assert len(filled) <= 1 or not whole, entry.ref


def what_has_run_out_is_not_filled(life: Any) -> None:
    for order in life.broker.orders:
        if order.valid:
            last = max(order.valid, order.created.dt)
            assert all(bit.dt <= last for bit in order.executed.exbits), order.ref


def a_preview_is_the_fill(life: Any) -> None:
    assert not life.previews, life.previews[0]


def a_copy_through_pickle_is_the_same(life: Any) -> None:
    """Account, events and ledger; and it goes on in the same way."""
    account = life.broker.account
    twin = pickle.loads(pickle.dumps(account))
    assert repr(twin.events) == repr(account.events)
    assert list(twin.ledger) == list(account.ledger)
    assert repr(twin.snapshot()) == repr(account.snapshot())
    for copy in (twin, account.fork()):
        copy.deposit(1.0)
        for name in list(copy.book):
            if copy.position(name).leg is None or copy.position(name).size:
                copy.mark(name, (copy.position(name).mark or 100.0) * 0.7)
        copy.audit()
    assert repr(twin.equity()) == repr(copy.equity())


ON_EVERY_BAR: tuple[Law, ...] = (
    *laws.ON_EVERY_BAR,
    a_position_stands_at_its_last_mark,
    cash_and_value_are_told,
    *mechanisms.ON_EVERY_BAR,
)
AT_THE_END: tuple[Law, ...] = (
    *laws.AT_THE_END,
    the_markets_were_what_they_were,
    funding_is_paid_once_on_what_was_held,
    everybody_hears_of_liquidations_and_margin_calls,
    each_trade_is_told_as_it_opens_and_as_it_closes,
    of_a_group_one_is_filled,
    a_bracket_has_one_end,
    what_has_run_out_is_not_filled,
    a_preview_is_the_fill,
    *mechanisms.AT_THE_END,
    a_copy_through_pickle_is_the_same,
)
#: the run comes to its end; and what :mod:`machine.court` asks of two runs
ENDED, ALIKE, NAIVE = (
    "the_run_comes_to_its_end",
    "every_loop_tells_the_same_story",
    "the_naive_account_agrees",
)
LAWS = (*(law.__name__ for law in (*ON_EVERY_BAR, *AT_THE_END)), ENDED, ALIKE, NAIVE)
_ = scale_of
