"""Stories with two prices: the mark decides who dies, the last price decides what fills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from stories.world import HOUR, START, A, B, Candle, buy, flat, frame, lines, near, play, sell

FALL = 90 / 0.995
MODES = ["cross", "isolated"]


def marked(
    last: Sequence[Candle], mark: Sequence[Candle | None], **columns: Sequence[float]
) -> pd.DataFrame:
    """Candles of the last price with candles of the mark beside them; None: no mark for that bar."""
    nothing = (float("nan"),) * 4
    rows = [nothing if candle is None else candle for candle in mark]
    names = ("mark_open", "mark_high", "mark_low", "mark_close")
    sides = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return frame(last, **sides, **columns)


@pytest.mark.parametrize("mode", MODES)
def test_a_wick_of_the_last_price_kills_nobody_when_the_mark_stood(mode: str) -> None:
    """Last fell to 80, the mark to 95: alive. The same bars without marks: dead, and said so."""
    last = [flat(100), flat(100), (100, 100, 80, 99)]
    mark = [flat(100), flat(100), (100, 100, 95, 99)]
    with_marks = play(marked(last, mark), {0: buy(100)}, mode=mode)
    assert with_marks.liquidations == []
    assert with_marks.broker.fidelity["bars_without_mark"] == 0
    without = play(frame(last), {0: buy(100)}, mode=mode)
    assert without.liquidations == [(2, A, near(FALL))]
    assert any("mark" in note for note in without.broker.fidelity["notes"])


@pytest.mark.parametrize("mode", MODES)
def test_the_mark_alone_can_kill(mode: str) -> None:
    """Last never fell below 95; the mark touched 85, and the position is sold at the mark's crossing."""
    last = [flat(100), flat(100), (100, 100, 95, 99)]
    mark = [flat(100), flat(100), (100, 100, 85, 99)]
    played = play(marked(last, mark), {0: buy(100)}, mode=mode)
    assert played.liquidations == [(2, A, near(FALL))]


def test_a_stop_waits_for_the_last_price_even_when_the_mark_is_beyond_it() -> None:
    """Stop at 92 on last, last low 93, mark low 90: the stop never triggered, the mark liquidated."""
    last = [flat(100), flat(100), (100, 100, 93, 97)]
    mark = [flat(100), flat(100), (100, 100, 90, 97)]
    played = play(marked(last, mark), {0: buy(10), 1: sell(10, stop=92)}, mode="isolated")
    assert played.liquidations == [(2, A, near(FALL))]
    assert [s for _, o, s in played.strategy.orders if o.created.price == 92][-1] == "Canceled"


def test_last_and_mark_walk_together() -> None:
    """Both fall along one leg: last 100→80 meets 92 at 0.4, the mark 100→88 meets 90.45 at 0.8."""
    last = [flat(100), flat(100), (100, 100, 80, 85)]
    mark = [flat(100), flat(100), (100, 100, 88, 90)]
    saved = play(marked(last, mark), {0: buy(10), 1: sell(10, stop=92)}, mode="isolated")
    assert saved.liquidations == []
    assert saved.broker.account.equity() == near(1_000 - 80)
    late = play(marked(last, mark), {0: buy(10), 1: sell(10, stop=83)}, mode="isolated")
    assert late.liquidations == [(2, A, near(FALL))]


def test_equity_and_margin_follow_the_mark() -> None:
    """Entry at 100, last closes at 104, the mark at 103: the equity is 1,030."""
    last = [flat(100), flat(100), (100, 104, 100, 104)]
    mark = [flat(100), flat(100), (100, 103, 100, 103)]
    played = play(marked(last, mark), {0: buy(10)})
    assert played.broker.account.equity() == near(1_030)
    assert played.broker.getvalue() == near(1_030)
    assert played.broker.getcash() == near(1_030 - 103)


def test_funding_due_at_the_open_is_paid_on_the_mark_before_the_bar() -> None:
    """The contract settles first and moves the marks then: 10 × 100 × 0.001, though 102 opens."""
    nan = float("nan")
    last = [flat(100), flat(100), flat(100)]
    mark = [flat(100), flat(100), (102, 102, 101, 101)]
    played = play(marked(last, mark, funding_rate=[nan, nan, 0.001]), {0: buy(10)})
    assert played.funding == near(-1.0)


def test_a_bar_without_mark_uses_the_last_price_and_is_counted() -> None:
    """Hour 2 has no mark: its last low of 80 counts."""
    last = [flat(100), flat(100), (100, 100, 80, 99)]
    played = play(marked(last, [flat(100), flat(100), None]), {0: buy(10)}, mode="isolated")
    assert played.liquidations == [(2, A, near(FALL))]
    assert played.broker.fidelity["bars_without_mark"] >= 1


QUARTER = HOUR // 4
RISE_FIRST = [(100, 111, 100, 108), (108, 108, 85, 90), (90, 100, 90, 100), (100, 100, 100, 100)]
FALL_FIRST = [(100, 100, 85, 90), (90, 111, 90, 108), (108, 108, 100, 100), (100, 100, 100, 100)]


@pytest.mark.parametrize("intrabar", ["adverse", "favourable", "nearest"])
@pytest.mark.parametrize(("finer", "dead"), [(RISE_FIRST, False), (FALL_FIRST, True)])
def test_finer_bars_replace_the_guess(intrabar: str, finer: Any, dead: bool) -> None:
    """Target 110 and low 85 in one hour: the quarters say which came first, no policy does."""
    detail = frame(finer, start=START + 2 * HOUR, step=QUARTER)
    played = play(
        frame([flat(100), flat(100), (100, 111, 85, 100)]),
        {0: buy(10), 1: sell(10, limit=110)},
        mode="isolated",
        intrabar=intrabar,
        detail={A: detail},
    )
    assert played.liquidations == ([(2, A, near(FALL))] if dead else [])
    assert played.broker.account.equity() == near(900 + 10 * (FALL - 90) if dead else 1_100)


def test_a_funding_stamp_inside_a_bar_is_paid_once_and_can_kill_there() -> None:
    """Daily bars: 08:00 and 16:00 lie inside. 100 − 3·32 = 4 ≤ 5 at the second day's 16:00."""
    index = pd.to_datetime([START + h * HOUR for h in (32, 40, 48, 56, 64)], unit="ms", utc=True)
    rates = pd.Series([0.032] * 5, index=index)
    played = play(
        frame([flat(100)] * 4, step=24 * HOUR),
        {0: buy(10)},
        mode="isolated",
        funding={A: rates},
    )
    (death,) = played.kinds("liquidation")
    assert len(played.kinds("funding")) == 3
    assert death.price == near(100)
    assert played.broker.account.equity() == near(1_000 - 96)
    assert death.time == START + 48 * HOUR


def test_two_symbols_of_one_cross_pool_cross_at_one_moment() -> None:
    """A falls 100→80 while B rises 100→110 along the same leg: the sum decides, at one moment s."""
    falling = frame([flat(100), flat(100), (100, 100, 80, 80)])
    rising = frame([flat(100), flat(100), (100, 110, 100, 110)])
    played = play(
        {A: falling, B: rising}, {0: lines(buy(60), buy(40, B))}, cash=1_050, intrabar="nearest"
    )
    # A's low is 20 away, its high 0: high first; B's low 0 away: low first: the first leg is still,
    # on the second A falls to 80 while B rises to 110: 1,050 − 1,200·s + 400·s against
    # 0.005·(60·(100 − 20·s) + 40·(100 + 10·s)) = 50 − 4·s
    s = 1_000 / 796
    assert s > 1
    assert played.liquidations == []
    poorer = play(
        {A: falling, B: rising}, {0: lines(buy(60), buy(9, B))}, cash=700, intrabar="nearest"
    )
    # 700 − 1,200·s + 90·s = 0.005·(6,900 − 1,110·s)
    s = (700 - 34.5) / (1_110 - 5.55)
    assert sorted(poorer.liquidations) == [(2, A, near(100 - 20 * s)), (2, B, near(100 + 10 * s))]
