"""Stories that once failed: each showed a defect of the engine or the broker, and keeps it away."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from typing import Any

import backtrader as bt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories.world import (
    HOUR,
    LADDER,
    START,
    A,
    B,
    account,
    buy,
    flat,
    frame,
    generic,
    kinds,
    lines,
    near,
    plainly,
    play,
    sell,
)

from bt_margin.errors import CashError, MarginModeRefused
from bt_margin.venues.policies import Fraction

MODES = ["cross", "isolated"]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("turn", [80, 60])
def test_a_position_reversed_at_the_open_dies_in_the_same_bar(side: int, turn: float) -> None:
    """Isolated: 10 short from 100, reversed to 10 long at ``turn``: posted turn, falls at 0.9·turn/0.995.

    The winnings of the old side are back in the wallet and do not protect the new one.
    """

    def at(price: float) -> float:
        return 100 + side * (price - 100)

    fall = at(turn) * (1 - side * 0.1) / (1 - side * 0.005)
    low, high = sorted((at(turn), fall * (1 - side * 0.02)))
    bars = frame(
        [flat(100), flat(100), flat(at(turn)), (at(turn), high, low, at(turn)), flat(at(turn))]
    )
    played = play(
        bars, {0: sell(10 * side), 2: buy(20 * side)}, mode="isolated", intrabar="adverse"
    )
    assert played.liquidations == [(3, A, near(fall))]


@pytest.mark.parametrize("mark", [115, 163])
def test_switching_to_isolated_may_not_leave_a_pool_in_breach(mark: float) -> None:
    """Cross short of 60 at 100 with a loss: 600 posted do not carry 1,800: refuse, or post enough."""
    one = account("cross", cash=6_000)
    one.mark(A, 100)
    one.fill(A, -60, 100)
    one.mark(A, mark)
    try:
        one.set_margin_mode(A, "isolated")
    except MarginModeRefused:
        assert one.margin_mode(A) == "cross"
    assert all(not pool.breached() for pool in one.pools.values())


@pytest.mark.parametrize(
    "policy", [Fraction(0.25, "sale", "trader"), Fraction(0.5, "takeover", "fund")]
)
@pytest.mark.parametrize("mode", MODES)
def test_slices_come_to_an_end(policy: Any, mode: str) -> None:
    """trap 26: one crash bar once left 1e-75 contracts and 2,452 events."""
    bars = frame([flat(100), flat(100), (98, 98, 60, 60), flat(60)])
    played = play(
        {A: bars, B: bars},
        {0: lines(buy(300), buy(100, B))},
        mode=mode,
        cash=5_000,
        tiers=LADDER,
        policy=policy,
        liquidation_fee=0.002,
        liquidation_slippage=0.001,
    )
    assert (played.size(A), played.size(B)) == (0, 0)
    assert len(played.events) < 200


def test_missing_settlements_are_counted() -> None:
    """trap 50: 08:00 is there, 16:00 and 24:00 are not: the report must name two of three missing."""
    rates = [float("nan")] * 30
    rates[8] = 0.001
    played = play(frame([flat(100)] * 30, funding_rate=rates), {0: buy(10)})
    text = " ".join(map(str, played.broker.fidelity["notes"]))
    assert "settlement" in text
    assert "2" in text


def test_a_reversal_the_preview_accepts_is_accepted() -> None:
    """Isolated 30 long from 100, mark 120: selling 125 leaves 460 free by the preview; once refused."""
    one = account("isolated", 10, 1_000)
    one.mark(A, 100)
    one.fill(A, 30, 100)
    one.mark(A, 120)
    assert one.preview(A, -125, 120).accepted
    assert one.check_order(1, A, -125, 120) is None


def test_a_reversal_the_preview_refuses_is_refused() -> None:
    """Isolated 90 long from 100, mark 92: 180 of 900 come back; 90 short need 828 of 280 free."""
    one = account("isolated", 10, 1_000)
    one.mark(A, 100)
    one.fill(A, 90, 100)
    one.mark(A, 92)
    assert not one.preview(A, -180, 92).accepted
    assert one.check_order(1, A, -180, 92) is not None


@given(
    held=st.floats(-60, 60).filter(lambda x: abs(x) > 0.1),
    size=st.floats(-150, 150).filter(lambda x: abs(x) > 0.1),
    mark=st.floats(91, 120),
    mode=st.sampled_from(MODES),
    fee=st.sampled_from([0.0, 0.0005]),
)
def test_the_order_check_is_the_preview(
    held: float, size: float, mark: float, mode: str, fee: float
) -> None:
    """At the mark, with no other order: accepted by the one, accepted by the other."""
    one = account(mode, 10, 1_000, taker_fee=fee)
    one.mark(A, 100)
    one.fill(A, held, 100)
    one.mark(A, mark)
    told = one.preview(A, size, mark)
    assert (one.check_order(1, A, size, mark) is None) == told.accepted


def test_nothing_filled_is_no_event() -> None:
    """A fill of size 0 is a caller's mistake, or nothing."""
    one = account()
    one.mark(A, 100)
    with contextlib.suppress(ValueError):
        one.fill(A, 0.0, 100)
    assert kinds(one.events, "fill") == []


def test_a_liquidation_fee_is_no_shortfall() -> None:
    """Cross, equity 12 at the gap, fees of 17: the fee takes 12, and the fund pays nothing."""
    one = account(cash=1_000, leverage=20, liquidation_fee=0.002)
    for symbol in (A, B):
        one.mark(symbol, 100)
        one.fill(symbol, 60, 100)
    one.position(B).move(98)
    one.mark(A, 85.5)  # 1,000 − 870 − 120 = 10 < 0.005·(5,130 + 5,880); fees of 22
    assert len(kinds(one.events, "liquidation")) == 2
    assert one.equity() == near(0)
    assert kinds(one.events, "shortfall") == []


def test_a_verdict_does_not_depend_on_the_lane() -> None:
    """The same order at the same price with the same account: refused on a walk, filled without one.

    60 long from 100 on 1,000; a limit for 30 more at 95 needs 285 and finds 700 − 570 = 130.
    """
    verdicts = []
    for low in (94.9, 84.0):
        played = play(
            frame([flat(100), flat(100), (100, 100, low, 95)]),
            {0: lines(buy(60), buy(30, limit=95))},
        )
        verdicts.append([status for _, o, status in played.strategy.orders if o.size == 30][-1])
    assert verdicts[0] == verdicts[1]


def test_the_mark_of_a_flat_symbol_follows_its_bars() -> None:
    """Bar contract, step 5: marks move to the close, with or without a position."""
    played = play(frame([flat(100), flat(110), flat(120)]))
    assert played.broker.account.position(A).mark == 120


def test_a_rejection_is_stamped_with_the_bar_that_rejects() -> None:
    """Decided in the bar of 02:00, judged and refused when 03:00 opens."""
    played = play(frame([flat(100)] * 5), {2: buy(1_000)})
    (event,) = played.kinds("rejected")
    assert event.time == START + 3 * HOUR


def test_the_fee_of_an_isolated_opening_must_be_in_the_free_wallet() -> None:
    """Binance leaves fees out of its check; all free margin in one isolated position may not go below 0."""
    import bt_margin as btm

    one = btm.Account("binance", cash=1_000, margin_mode="isolated", leverage=10, debug=True)
    one.mark("BTC/USDT:USDT", 20_000)
    assert one.check_order(1, "BTC/USDT:USDT", 0.5, 20_000) is not None
    assert one.fill("BTC/USDT:USDT", 0.5, 20_000).refusal is not None
    most = one.preview("BTC/USDT:USDT", 0.5).affordable_size
    assert one.fill("BTC/USDT:USDT", most, 20_000).refusal is None
    assert one.cross.balance == near(0, abs=1e-9)
    one.audit()


def test_an_entry_and_the_stop_sent_with_it_belong_together() -> None:
    """60 bought at 100 and a stop to sell 60 at 95 in one bar: in, out at 95, and never short."""
    played = play(
        frame([flat(100), flat(100), (100, 100, 94, 94), flat(94)]),
        {0: lines(buy(60), sell(60, stop=95))},
    )
    assert [e.size for e in played.kinds("fill")] == [60, -60]
    assert played.size(A) == 0
    assert played.broker.account.equity() == near(700)


@pytest.mark.parametrize("mode", MODES)
def test_what_reduces_margin_is_not_refused_for_want_of_margin(mode: str) -> None:
    """Cross 20 short of 100 on 1,000 at 2x, mark 130: less than nothing is free; turning to 5 long frees."""
    one = account(mode, 2, 1_000)
    one.mark(A, 100)
    one.fill(A, -15, 100)
    one.mark(A, 130)
    assert one.check_order(1, A, 16, 130) is None


def test_unrealised_profit_is_not_money() -> None:
    """Deposit 1,000, profit on paper 5,000: what leaves is at most the wallet."""
    one = account("cross", 10, 1_000)
    one.mark(A, 100)
    one.fill(A, 50, 100)
    one.mark(A, 200)
    assert one.available() == near(1_000 + 5_000 - 1_000)
    with pytest.raises(CashError, match=r"exceeds 1,000\.00"):
        one.withdraw(1_001)
    one.withdraw(1_000)
    assert one.cross.balance == 0


def test_funding_that_ruins_a_pool_ends_it_also_without_bars() -> None:
    one = account("isolated", 10, 1_000)
    one.mark(A, 100)
    one.fill(A, 50, 100)
    one.fund(A, 0.12)
    assert kinds(one.events, "liquidation")
    assert one.positions == {}
    one.audit()


def test_slices_are_counted_symbol_by_symbol() -> None:
    """A falls to 84: equity 200 against 460. Four fourths of A leave 250, one fourth of B 187.50."""
    one = account("cross", 10, maintenance_rate=0.05, policy=Fraction(0.25, "sale", "trader"))
    for symbol in (A, B):
        one.mark(symbol, 100)
        one.fill(symbol, 50, 100)
    one.mark(A, 84)
    sold = [(e.symbol, e.size) for e in kinds(one.events, "liquidation")]
    assert sold == [(A, -12.5)] * 4 + [(B, -12.5)]
    assert one.maintenance() == near(187.5)


def test_a_new_table_takes_leverage_down_to_its_maximum() -> None:
    """The day the maximum falls from 20 to 10, a leverage of 20 becomes 10, and the event says so."""
    import bt_margin as btm
    from bt_margin.core.tiers import TierSchedule, TierTable

    venue = generic()
    tables = ((0, TierTable.flat(0.005, 20)), (START, TierTable.flat(0.01, 10)))
    dated = replace(venue, default_schedule=TierSchedule(tables))
    one = btm.Account(dated, cash=1_000, leverage=20)
    one.mark(A, 100)
    one.fill(A, 50, 100)
    assert one.available() == near(750)
    one.clock(START)
    (event,) = kinds(one.events, "rules")
    assert "now 10" in event.reason
    assert (one.leverage(A), one.available()) == (10, near(500))


def test_the_danger_of_one_isolated_position_does_not_change_another_ones_fills() -> None:
    """B's take profit and stop are both reached: A calm or liquidated in that bar, B fills the same."""

    def pair(strategy: Any) -> None:
        data = strategy.getdatabyname(B)
        profit = strategy.sell(data=data, size=1, exectype=bt.Order.Limit, price=104)
        strategy.sell(data=data, size=1, exectype=bt.Order.Stop, price=96, oco=profit)

    fills = []
    for low in (99, 80):
        played = play(
            {
                A: frame([*[flat(100)] * 3, (100, 100, low, 99), flat(99)]),
                B: frame([*[flat(100)] * 3, (100, 105, 95, 100), flat(100)]),
            },
            {0: lines(buy(50), buy(1, B)), 1: pair},
            mode="isolated",
            symbols={B: {"leverage": 1.5}},
        )
        assert len(played.liquidations) == (low == 80)
        fills.append([e.price for e in played.kinds("fill") if e.symbol == B])
    assert fills[0] == fills[1]


def test_rivals_for_the_same_margin_meet_it_in_the_order_of_time() -> None:
    """A's limit at 90 stands first in the queue; B's market order fills at the open, before A falls."""
    played = play(
        {
            A: frame([flat(100), flat(100), (100, 100, 90, 95), flat(95)]),
            B: frame([flat(100)] * 4),
        },
        {0: buy(20), 1: lines(buy(1, limit=90), buy(29, B))},
        leverage=5,
    )
    assert played.size(B) == 29
    assert [e.symbol for e in played.kinds("rejected")] in ([], [A])


@pytest.mark.parametrize("rate", [0.01, -0.01, 0.03])
@pytest.mark.parametrize("seed", range(12))
def test_adverse_is_never_better_than_favourable_with_funding_inside_the_bar(
    seed: int, rate: float
) -> None:
    draw = random.Random(seed)
    low, high = 100 - draw.uniform(2, 15), 100 + draw.uniform(2, 15)
    bars = frame([flat(100), flat(100), (100, high, low, draw.uniform(low, high))])
    held, more = draw.uniform(30, 95), draw.uniform(-95, 95)
    price = 100 + draw.uniform(-10, 10)
    ends = {}
    for intrabar in ("adverse", "favourable"):
        played = play(
            bars,
            {0: buy(held), 1: buy(more, limit=price)},
            intrabar=intrabar,
            funding={A: [(START + 2 * HOUR + HOUR // 2, rate)]},
        )
        ends[intrabar] = (-len(played.liquidations), played.broker.account.equity() - 1e-6)
    assert ends["adverse"][0] <= ends["favourable"][0]
    if ends["adverse"][0] == ends["favourable"][0]:
        assert ends["adverse"][1] <= ends["favourable"][1] + 2e-6


def test_a_gap_in_one_pool_does_not_declare_an_account_with_money_dead() -> None:
    """Two isolated shorts in one gap, one far beyond its margin: the free wallet lives."""
    one = account("isolated", 10, 1_000)
    for symbol in (A, B):
        one.mark(symbol, 100)
        one.fill(symbol, -10, 100)
    one.position(B).move(300)
    one.mark(A, 109.6)
    one.mark(B, 300)
    assert not one.dead
    assert one.positions == {}
    assert one.equity() == near(800, abs=10)
    assert min(e.equity for e in one.events) >= 0


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("mode", MODES)
def test_funding_inside_a_calm_bar_ends_a_pool_in_that_bar(side: int, mode: str) -> None:
    """100 of margin for 10 at 100: a stamp of 9.6 % inside a flat bar leaves 4 against 5."""
    played = play(
        frame([flat(100)] * 5),
        {0: buy(10 * side)},
        mode=mode,
        cash=100,
        funding={A: [(START + 2 * HOUR + HOUR // 2, 0.096 * side)]},
    )
    (event,) = played.kinds("liquidation")
    assert event.time == START + 2 * HOUR
    assert played.strategy.told[2].size == 0


def test_what_is_opened_at_a_close_that_its_mark_does_not_allow_falls_at_that_close() -> None:
    """Sold for the close at 100, where the mark stands at 106: 40 · 6 lost, of 200 posted."""
    at_close = plainly(lambda s: s.sell(size=40, exectype=bt.Order.Close))
    marks = {f"mark_{name}": [100, 100, 106, 90, 90] for name in ("open", "high", "low", "close")}
    closes = [flat(100), flat(100), flat(100), flat(90), flat(90)]
    bars = frame(closes, step=24 * HOUR, **marks)
    played = play(bars, {1: at_close}, mode="isolated", leverage=20, cash=210)
    assert played.liquidations == [(2 * 24, A, near(106))]
    assert not played.retold
