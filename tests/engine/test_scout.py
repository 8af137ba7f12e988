"""Which extreme comes first: both joint paths are tried on a copy, and nothing is booked."""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import SIDES, desk, live, near
from stories.world import HOUR, START, A, B, account

from bt_margin.engine.quote import Quote
from bt_margin.engine.resting import Leg, Resting
from bt_margin.engine.scout import Intrabar, Scout, _beats, choose_roads

LEG = Leg(0.0, 1.0, 100.0, 100.0, 100.0, 100.0)
#: an isolated 10x long falls at 90.45; the take-profit is at 105
BOTH = (100.0, 106.0, 85.0, 99.0)


def mirrored(candle: tuple[float, ...], side: int) -> Any:
    o, h, lo, c = candle
    return candle if side > 0 else (200 - o, 200 - lo, 200 - h, 200 - c)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("intrabar", "candle", "dies"),
    [
        ("adverse", BOTH, True),
        ("favourable", BOTH, False),
        ("nearest", BOTH, False),
        ("nearest", (100.0, 112.0, 90.0, 99.0), True),
        ("favourable", (100.0, 104.0, 85.0, 99.0), True),
    ],
)
def test_a_take_profit_is_met_before_or_after_the_fall(
    side: int, intrabar: Any, candle: Any, dies: bool
) -> None:
    d = desk(mode="isolated")
    d.fill(10 * side)
    take = Resting(7, A, -10 * side, "limit", 100 + 5 * side)
    live(d.account, {A: mirrored(candle, side)}, [take], intrabar=intrabar)
    assert bool(d.kinds("liquidation")) is dies
    assert d.p.size == 0


@pytest.mark.parametrize("intrabar", ["adverse", "favourable", "nearest"])
def test_a_hedged_book_survives_a_bar_in_which_each_leg_alone_would_not(intrabar: Any) -> None:
    """trap 18: the bound says danger, the joint paths say none."""
    a = account(leverage=20)
    for s, size in ((A, 90), (B, -90)):
        a.mark(s, 100)
        a.fill(s, size, 100)
    candle = (100.0, 112.0, 88.0, 100.0)
    stepper, _ = live(a, {A: candle, B: candle}, intrabar=intrabar)
    assert stepper.walked == 1
    assert not [e for e in a.events if e.kind == "breach"]
    assert a.equity() == near(1_000)


def test_a_book_hedged_against_the_grain_falls_on_the_joint_path_that_hurts() -> None:
    """Long both: all lows together is the path; long one, short one of different width: the wider."""
    a = account(leverage=20)
    for s, size in ((A, 90), (B, -90)):
        a.mark(s, 100)
        a.fill(s, size, 100)
    stepper, _ = live(a, {A: (100, 101, 85, 100), B: (100, 101, 97, 100)})
    assert stepper.walked == 1
    assert len([e for e in a.events if e.kind == "breach"]) == 1


def test_the_path_is_chosen_pool_by_pool() -> None:
    """A is hurt by its low and B, short, by its high; isolated, each gets its own worse path."""
    a = account("isolated")
    for s, size in ((A, 10), (B, -10)):
        a.mark(s, 100)
        a.fill(s, size, 100)
    orders = [Resting(1, A, -10, "limit", 104.0), Resting(2, B, 10, "limit", 96.0)]
    live(a, {A: (100, 105, 85, 100), B: (100, 115, 95, 100)}, orders)
    assert {e.symbol for e in a.events if e.kind == "liquidation"} == {A, B}


def roads(account_: Any, candles: dict[str, Any], intrabar: Any, orders: Any = ()) -> list[float]:
    """The mark at the end of each road's first leg."""
    quotes = [
        Quote(account_.position(s)).set(START, START + HOUR, candle)
        for s, candle in candles.items()
    ]
    chosen = choose_roads(account_, quotes, orders, intrabar, {})
    return [r.legs[0].mark_end for r in chosen]


@pytest.mark.parametrize("side", SIDES)
def test_without_liquidation_the_path_with_less_equity_is_adverse(side: int) -> None:
    """In at 104 and out at 96, or past 96 before in at 104: − 80, or − 40 at the close of 100."""
    d = desk()
    orders = [
        Resting(1, A, 10 * side, "stop", 100 + 4 * side),
        Resting(2, A, -10 * side, "stop", 100 - 4 * side, reduce_only=True),
    ]
    candles = {A: mirrored((100, 105, 94, 100), side)}
    good, bad = (105, 94) if side > 0 else (95, 106)
    assert roads(d.account, candles, "adverse", orders) == [good]
    assert roads(d.account, candles, "favourable", orders) == [bad]


def test_a_liquidation_is_worse_than_any_loss_without_one() -> None:
    """Low first 10 long at 1.5x fall, − 665; high first they are turned and 20 short lose 1,180 in peace."""
    for died in (True, False):
        d = desk(mode="isolated", leverage=1.5, cash=3.0)
        d.fill(10)
        turned = Resting(1, A, -30, "limit", 101.0)
        intrabar: Intrabar = "adverse" if died else "favourable"
        live(d.account, {A: (100, 160, 20, 160)}, [turned], intrabar=intrabar)
        assert bool(d.kinds("liquidation")) is died
        assert d.account.equity() == near(2_335.00838 if died else 1_830, abs=1e-4)


def test_less_than_float_noise_between_two_paths_is_a_tie() -> None:
    policies: tuple[Intrabar, ...] = ("adverse", "favourable")
    for intrabar in policies:
        for more in (1e-10, -1e-10):
            assert not _beats((0, 1_000.0 + more), (0, 1_000.0), intrabar)
        assert _beats((0, 1_000.1), (0, 1_000.0), intrabar) is (intrabar == "favourable")
        assert _beats((0, 999.9), (0, 1_000.0), intrabar) is (intrabar == "adverse")
        assert _beats((-1, 1_000.0), (0, 1_000.0), intrabar) is (intrabar == "adverse")


def test_a_tie_takes_the_extreme_that_hurts_first_or_last() -> None:
    for side, hurt, help_ in ((1, 95.0, 105.0), (-1, 105.0, 95.0)):
        d = desk()
        d.fill(side)
        candles = {A: (100.0, 105.0, 95.0, 100.0)}
        assert roads(d.account, candles, "adverse") == [hurt]
        assert roads(d.account, candles, "favourable") == [help_]


def test_nearest_looks_at_each_candle_alone() -> None:
    a = account()
    for s in (A, B):
        a.mark(s, 100)
        a.fill(s, 1, 100)
    candles = {A: (100.0, 103.0, 95.0, 100.0), B: (100.0, 105.0, 97.0, 100.0)}
    assert roads(a, candles, "nearest") == [103.0, 97.0]


def test_choosing_books_nothing() -> None:
    d = desk(mode="isolated")
    d.fill(10)
    d.account.check_order(7, A, 5, 99)
    before = (d.account.snapshot(), len(d.account.events), len(d.account.ledger))
    order = Resting(7, A, 5, "limit", 99.0)
    roads(d.account, {A: BOTH}, "adverse", [order])
    assert (d.account.snapshot(), len(d.account.events), len(d.account.ledger)) == before
    assert d.p.mark == 100
    assert d.account.orders.open(A) == 1


# -- the scout itself ------------------------------------------------------------------------------


def test_a_scout_fills_and_frees_what_the_order_had_reserved() -> None:
    d = desk()
    d.account.check_order(1, A, 60, 100)
    d.account.check_order(2, A, 39, 100)
    orders = [Resting(1, A, 60, "limit", 100.0), Resting(2, A, 39, "limit", 100.0)]
    scout = Scout(d.account, orders)
    scout.execute(orders[0], LEG)
    assert scout.resting() == (orders[1],)
    assert d.account.available() == near(10)
    scout.execute(orders[1], LEG)
    assert d.p.size == 99
    assert d.account.orders.reserved == 0


def test_a_scout_drops_the_rivals_of_a_filled_order() -> None:
    d = desk()
    orders = [
        Resting(1, A, 1, "limit", 100.0, group=5),
        Resting(2, A, 2, "limit", 99.0, group=5),
        Resting(3, A, 3, "limit", 98.0, group=6),
        Resting(4, A, 4, "limit", 98.0),
    ]
    scout = Scout(d.account, orders)
    scout.execute(orders[0], LEG)
    assert [o.ref for o in scout.resting()] == [3, 4]
    scout.execute(orders[3], LEG)
    assert [o.ref for o in scout.resting()] == [3]


def test_a_scout_turns_a_triggered_stop_limit_into_a_limit() -> None:
    d = desk()
    order = Resting(1, A, -1, "stop_limit", 95.0, 96.0, on_mark=True)
    scout = Scout(d.account, [order])
    scout.execute(order, LEG)
    (rest,) = scout.resting()
    assert (rest.kind, rest.price, rest.on_mark, rest.ref) == ("limit", 96.0, False, 1)
    assert d.p.size == 0


def test_a_scout_trims_what_may_only_reduce() -> None:
    d = desk()
    d.fill(2)
    order = Resting(1, A, -5, "limit", 100.0, reduce_only=True)
    Scout(d.account, [order]).execute(order, LEG)
    assert d.p.size == 0


def test_a_scout_cancels_the_orders_of_a_liquidated_pool_only() -> None:
    a = account(symbols={B: {"margin_mode": "isolated"}})
    for s in (A, B):
        a.mark(s, 100)
    a.fill(B, 1, 100)
    scout = Scout(a, [Resting(1, A, 1, "limit", 90.0), Resting(2, B, 1, "limit", 90.0)])
    scout.hooks.cancel(a.pools[f"isolated:{B}"], 0)
    assert [o.ref for o in scout.resting()] == [1]
    scout.hooks.cancel(a.cross, 0)
    assert scout.resting() == ()


def test_a_symbol_belongs_to_the_pool_of_its_mode_open_or_not() -> None:
    a = account(symbols={B: {"margin_mode": "isolated"}})
    keys = [a.pool_key(a.position(s)) for s in (A, B)]
    assert tuple(keys) == ("cross:USDT", f"isolated:{B}")
