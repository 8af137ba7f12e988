"""Traps 16 to 29: when a position dies, in which order, and what comes after."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest
from stories.world import (
    HOUR,
    LADDER,
    START,
    A,
    B,
    C,
    Scripted,
    account,
    buy,
    flat,
    frame,
    generic,
    lines,
    near,
    play,
    sell,
)

import bt_margin as btm
from bt_margin.venues.policies import (
    Fraction,
    FullClose,
    JustEnough,
    LargestLossFirst,
    TierStepDown,
)

MODES = ["cross", "isolated"]
#: long 10x with nothing else: falls at 90 / 0.995
FALL = 90 / 0.995
BTC = "BTC/USDT:USDT"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("venue", ["generic", "binance"])
def test_a_crash_liquidates_in_each_mode_on_each_side_of_each_venue(
    mode: str, side: int, venue: str
) -> None:
    """trap 16: no combination has liquidation silently switched off."""
    name = {"generic": A, "binance": BTC}[venue]
    end = 50_000 - side * 20_000
    crash = (50_000, max(50_000, end), min(50_000, end), end)
    played = play(
        {name: frame([flat(50_000), flat(50_000), crash, flat(end)])},
        {0: buy(0.9 * side, name)},
        mode=mode,
        cash=5_000,
        venue=btm.venue("binance") if venue == "binance" else generic(),
    )
    assert [(bar, symbol) for bar, symbol, _ in played.liquidations] == [(2, name)]
    assert played.size(name) == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_wick_liquidates(mode: str) -> None:
    """trap 17: open and close are the same, the low went through 90.4523."""
    played = play(frame([flat(100), flat(100), (100, 101, 85, 100)]), {0: buy(100)}, mode=mode)
    assert played.liquidations == [(2, A, near(FALL))]


@pytest.mark.parametrize("intrabar", ["adverse", "favourable", "nearest"])
def test_a_hedged_pair_survives_a_wide_bar(intrabar: str) -> None:
    """trap 18: 10 long and 10 short of one thing lose nothing at any joint price."""
    bars = [flat(60_000), flat(60_000), (60_000, 61_000, 59_000, 60_000)]
    played = play(
        {A: frame(bars), B: frame(bars)},
        {0: lines(buy(10, A), sell(10, B))},
        leverage=100,
        cash=15_000,
        intrabar=intrabar,
    )
    assert played.liquidations == []
    assert (played.size(A), played.size(B)) == (10, -10)
    assert played.broker.getvalue() == near(15_000)


def test_both_legs_at_their_worst_at_once_would_have_broken_that_pair() -> None:
    """trap 18: the bar is dangerous (it was walked), the verdict is not the bound."""
    bars = [flat(60_000), flat(60_000), (60_000, 61_000, 59_000, 60_000)]
    played = play(
        {A: frame(bars), B: frame(bars)},
        {0: lines(buy(10, A), sell(10, B))},
        leverage=100,
        cash=15_000,
    )
    assert played.broker.fidelity["walked"] == 1


@pytest.mark.parametrize(
    ("order", "bar", "fall"),
    [
        (buy(10, stop=100.9), (100, 101, 85, 101), 100.9 * 0.9 / 0.995),
        (sell(10, stop=95), (100, 112, 94, 95), 95 * 1.1 / 1.005),
    ],
)
def test_no_price_before_the_entry_can_liquidate(order: Any, bar: Any, fall: float) -> None:
    """trap 19: the extreme came first, then the entry: alive. Entry first, then the extreme: dead."""
    bars = frame([flat(100), bar])
    alive = play(bars, {0: order}, mode="isolated", intrabar="favourable")
    assert alive.liquidations == []
    assert abs(alive.size()) == 10
    dead = play(bars, {0: order}, mode="isolated", intrabar="adverse")
    assert dead.liquidations == [(1, A, near(fall))]


@pytest.mark.parametrize(
    ("intrabar", "dead"), [("adverse", True), ("nearest", True), ("favourable", False)]
)
def test_the_path_policy_decides_what_came_before_the_entry(intrabar: str, dead: bool) -> None:
    """trap 19: sold at the low of 99; whether 130 came later is the policy's word (99 is nearer)."""
    bars = frame([flat(100), (100, 130, 99, 99)])
    played = play(bars, {0: sell(10, stop=99)}, mode="isolated", intrabar=intrabar)
    assert played.liquidations == ([(1, A, near(99 * 1.1 / 1.005))] if dead else [])


@pytest.mark.parametrize("runonce", [True, False])
def test_the_strategy_never_sees_a_position_liquidated_in_this_bar(runonce: bool) -> None:
    """trap 20: in ``next`` of the crash bar the size is 0 and the notice has arrived."""
    played = play(
        frame([flat(100), flat(100), (100, 100, 80, 99), flat(99)]),
        {0: buy(10)},
        mode="isolated",
        runonce=runonce,
    )
    assert [seen.size for seen in played.strategy.told] == [0, 10, 0, 0]
    (notice,) = [
        (bar, order.executed.price)
        for bar, order, status in played.strategy.orders
        if status == "Completed" and order.info.get("liquidation")
    ]
    assert notice == (2, near(FALL))
    assert len(played.strategy.liquidations) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("intrabar", ["adverse", "favourable", "nearest"])
def test_a_stop_before_the_crossing_saves_and_one_behind_it_does_not(
    mode: str, intrabar: str
) -> None:
    """trap 21: along the path 92 comes before 90.4523, and 90.1 after."""
    bars = frame([flat(100), flat(100), (100, 101, 85, 95), flat(95)])
    saved = play(bars, {0: buy(100), 1: sell(100, stop=92)}, mode=mode, intrabar=intrabar)
    assert saved.liquidations == []
    assert saved.broker.getvalue() == near(200)
    lost = play(bars, {0: buy(100), 1: sell(100, stop=90.1)}, mode=mode, intrabar=intrabar)
    assert lost.liquidations == [(2, A, near(FALL))]
    assert lost.size() == 0  # the stop was cancelled, it opened nothing
    assert [status for _, order, status in lost.strategy.orders if order.exectype == bt.Order.Stop][
        -1
    ] == "Canceled"


def test_a_profit_target_counts_only_where_the_path_meets_it_first() -> None:
    """trap 21: target 110 and low 85 in one bar: the policy decides, openly."""
    bars = frame([flat(100), flat(100), (100, 111, 85, 100)])
    script = {0: buy(10), 1: sell(10, limit=110)}
    assert play(bars, script, mode="isolated", intrabar="adverse").liquidations
    lucky = play(bars, script, mode="isolated", intrabar="favourable")
    assert lucky.liquidations == []
    assert lucky.broker.getvalue() == near(1_100)


def test_bars_alone_move_the_mark() -> None:
    """trap 22: a plain feed with no mark and no quotes liquidates."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = btm.MarginBroker(
        venue=generic(), margin_mode="isolated", leverage=10, cash=1_000
    )
    bars = frame([flat(100), flat(100), (100, 100, 80, 85)])
    cerebro.adddata(bt.feeds.PandasData(dataname=bars.tz_localize(None)), name=A)
    cerebro.addstrategy(Scripted, script={0: buy(10)})
    cerebro.run()
    assert [event.price for event in cerebro.broker.events if event.kind == "liquidation"] == [
        near(FALL)
    ]


def test_a_missing_bar_keeps_the_last_mark_and_is_not_walked_again() -> None:
    """trap 23: B has no bar at hours 2 and 3. Its old low (45) would have killed A at 85.6."""
    played = play(
        {
            A: frame([flat(100), flat(100), (100, 100, 80.7, 90), (90, 90, 80.6, 90), flat(90)]),
            B: frame([flat(50), (50, 50, 45, 50), None, None, flat(50)]),
        },
        {0: lines(buy(10, A), buy(10, B))},
        cash=200,
    )
    assert sorted(played.liquidations) == [(3, A, near(802.5 / 9.95)), (3, B, near(50))]


@pytest.mark.parametrize("mode", MODES)
def test_a_short_without_leverage_is_mortal(mode: str) -> None:
    """trap 24: 10 short at 100 against 1,000 falls at 2,000 / 10.05."""
    played = play(
        frame([flat(100), flat(100), (100, 210, 100, 205)]),
        {0: sell(10)},
        mode=mode,
        leverage=1,
    )
    assert played.liquidations == [(2, A, near(2_000 / 10.05))]


def test_the_sum_of_the_legs_is_what_breaches() -> None:
    """trap 25: at 97.1524 equity is 14.57 = 3 × 4.86; no single leg needs that much."""
    bars = [flat(100), flat(100), (100, 100, 97, 97)]
    played = play(
        {name: frame(bars) for name in (A, B, C)},
        {0: lines(buy(10, A), buy(10, B), buy(10, C))},
        leverage=50,
        cash=100,
    )
    fall = 2_900 / 29.85
    assert sorted(played.liquidations) == [(2, name, near(fall)) for name in (A, B, C)]


POLICIES = [
    FullClose("sale", "trader"),
    FullClose("sale", "fund"),
    FullClose("takeover", "fund"),
    LargestLossFirst("sale", "trader"),
    LargestLossFirst("takeover", "fund"),
    TierStepDown("sale", "trader"),
    TierStepDown("takeover", "fund"),
    Fraction(0.25, "sale", "trader"),
    Fraction(0.5, "takeover", "fund"),
    JustEnough(0.8, "takeover", "fund"),
    JustEnough(0.8, "sale", "trader"),
]


#: policies that end with whole positions; slices may leave a part alive while the pool is healthy
WHOLE = [p for p in POLICIES if not isinstance(p, Fraction)]


@pytest.mark.parametrize(
    ("policy", "gap"), [(p, True) for p in POLICIES] + [(p, False) for p in WHOLE], ids=repr
)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [1, -1])
def test_every_policy_really_closes(policy: Any, gap: bool, mode: str, side: int) -> None:
    """trap 26: no branch sets a flag and closes nothing, none crashes only in the crash."""
    played = crash(policy, mode, side, gap)
    assert {symbol for _, symbol, _ in played.liquidations} == {A, B}
    assert (played.size(A), played.size(B)) == (0, 0)
    assert 0 <= played.broker.account.equity() <= 5_000
    closed = sum(event.size for event in played.kinds("liquidation"))
    assert closed == near(-400 * side)


@pytest.mark.parametrize("policy", [p for p in POLICIES if p not in WHOLE], ids=repr)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [1, -1])
def test_a_partial_policy_closes_until_the_pool_is_healthy(
    policy: Any, mode: str, side: int
) -> None:
    """trap 26: inside a crash bar next to nothing is left, and what is left is covered."""
    played = crash(policy, mode, side, gap=False)
    account_ = played.broker.account
    assert {symbol for _, symbol, _ in played.liquidations} == {A, B}
    assert abs(played.size(A)) + abs(played.size(B)) < 1e-6
    assert all(not pool.breached() for pool in account_.pools.values())
    assert 0 <= account_.equity() <= 5_000


def crash(policy: Any, mode: str, side: int, gap: bool) -> Any:
    """300 of A and 100 of B on 5,000, and both fall (rise, for shorts) by 40 %."""
    first, last = 100 - 2 * side, 100 - 40 * side
    bar = flat(last) if gap else (first, max(first, last), min(first, last), last)
    bars = frame([flat(100), flat(100), bar, flat(last)])
    return play(
        {A: bars, B: bars},
        {0: lines(buy(300 * side, A), buy(100 * side, B))},
        mode=mode,
        cash=5_000,
        tiers=LADDER,
        policy=policy,
        liquidation_fee=0.002,
        liquidation_slippage=0.001,
    )


def test_margin_calls_do_not_wait_for_a_clock() -> None:
    """trap 27: one minute at ratio 0.905 (call at 0.8) is enough, the next minute clears it."""
    quiet, tight = flat(100), (100, 100, 90.5, 90.5)
    played = play(
        frame([quiet, quiet, tight, quiet, quiet], step=60_000),
        {0: buy(10)},
        mode="isolated",
    )
    told = [(event.kind, (event.time - START) // 60_000) for event in played.events]
    calls = [(kind, at) for kind, at in told if kind.startswith("margin_call")]
    assert [kind for kind, _ in calls] == ["margin_call", "margin_call_cleared"]
    assert calls[0][1] in (2, 3)
    assert len(played.strategy.calls) == 1


def test_a_dead_account_trades_no_more_until_cash_is_added() -> None:
    """trap 28: the price gaps through bankruptcy and comes back; nothing fills before the deposit."""
    bars = frame([flat(100), flat(100), flat(60), *[flat(150)] * 8])
    orders = {i: buy(1) for i in range(2, 9)}
    top_up = lines(lambda s: s.broker.add_cash(500), buy(1))
    played = play(bars, {0: buy(100), **orders, 6: top_up})
    assert played.kinds("liquidation")
    assert played.kinds("dead")
    (revived,) = played.kinds("revived")
    after = [event for event in played.kinds("fill") if event.time > START + 2 * HOUR]
    assert after
    assert all(event.time >= revived.time for event in after)
    early = [s for bar, o, s in played.strategy.orders if 2 < bar <= 6 and o.size == 1]
    assert "Completed" not in early
    assert "Margin" in early or "Rejected" in early


#: 5 % above 1,000 notional: maintenance is 0.05·notional − 30
STEEP = [(1_000, 0.02, 0), (None, 0.05, 30)]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("fee", [0.0, 0.01])
def test_a_partial_liquidation_ends_exactly_at_its_target(side: int, fee: float) -> None:
    """trap 29: 1,000 at 100 on 10,000: just enough is closed for a ratio of 0.8, and no more."""
    one = account(
        cash=10_000, tiers=STEEP, liquidation_fee=fee, policy=JustEnough(0.8, "takeover", "fund")
    )
    one.mark(A, 100)
    one.fill(A, 1_000 * side, 100)
    mark = 100 - 5.4 * side
    one.mark(A, mark)
    kept = abs(one.positions[A].size)
    # 0.05·kept·mark − 30 = 0.8·(4,600 − (1,000 − kept)·mark·fee)
    room = 0.8 * (4_600 - 1_000 * mark * fee) + 30
    assert kept == near(room / (mark * (0.05 - 0.8 * fee)))
    assert one.risk(None).ratio == near(0.8)
    assert 0 < kept < 1_000


def test_a_partial_liquidation_inside_the_bar_closes_a_fifth() -> None:
    """trap 29: breach at 89,970 / 950 = 94.7053; the bar goes no further than a hair below it."""
    breach = 89_970 / 950
    played = play(
        frame([flat(100), flat(100), (100, 100, breach * (1 - 1e-9), breach)]),
        {0: buy(1_000)},
        cash=10_000,
        tiers=STEEP,
        policy=JustEnough(0.8, "takeover", "fund"),
    )
    kept = (0.8 * (50 * breach - 30) + 30) / (0.05 * breach)
    assert played.liquidations == [(2, A, near(breach))]
    assert played.size() == near(kept)
    assert played.broker.account.risk(None).ratio == near(0.8)
