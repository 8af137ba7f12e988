"""Calm stretches change nothing: every run with them is, to the last bit, the run without them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from plugin.restless import Restless, Story, anything, live, marks
from plugin.twin import BTC, ETH, flat_venue, walk

import bt_margin as btm
from bt_margin.core.tiers import TierTable
from bt_margin.engine.bound import ROOM, harmless
from bt_margin.plugin import calm
from bt_margin.plugin.calm import Calm

HOURS: dict[str, Any] = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}


def record(broker: Any, strategies: list[Any]) -> list[str]:
    """Everything that a run leaves behind, as text."""
    first = min((e.order for e in broker.events if e.order is not None), default=0)
    told = [replace(e, order=e.order - first) if e.order else e for e in broker.events]
    curve = list(zip(*broker.equity_curve, strict=True))
    stepper = broker._stepper
    return [
        *map(repr, told), *map(repr, broker.account.ledger), *map(repr, curve),
        repr(broker.fidelity), repr((stepper.walked, stepper.guessed, broker.account.time)),
        *(repr(getattr(s, "told", None)) for s in strategies),
    ]  # fmt: skip


@pytest.fixture
def lived(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for each bar a broker was asked about: whether it was gone through calmly."""
    was, bars = Calm.through, []

    def through(self: Calm) -> bool:
        bars.append(was(self))
        return bars[-1]

    monkeypatch.setattr(Calm, "through", through)
    return bars


def twice(
    run: Callable[[], list[str]], lived: list[bool], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], list[str], float]:
    """The same run with calm stretches and without them; the share of calm bars of the first."""
    with_them = run()
    share = sum(lived) / len(lived)
    lived.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Calm, "longest", 0)
        without = run()
    assert not any(lived)
    lived.clear()
    return with_them, without, share


# -- random stories ---------------------------------------------------------------------------------------


def seldom(seed: int, coin: bool, perp: bool) -> list[str]:
    """A restless story in which the strategy rests most of the time, in preloaded feeds."""
    story = Story(seed, coin)
    cerebro = bt.Cerebro(stdstats=False)
    if perp:
        story.settings["mark"] = None
    cerebro.broker = story.broker()
    for name, frame in story.frames.items():
        if perp:
            cerebro.adddata(btm.PerpData(dataname=marked(story, frame)), name=name)
        else:
            cerebro.adddata(bt.feeds.PandasData(dataname=frame, **HOURS), name=name)
    cerebro.addstrategy(Restless, seed=seed, chance=0.04, act=calling_off, story=story)
    return record(cerebro.broker, cerebro.run(runonce=bool(seed % 3)))


def marked(story: Story, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with mark lines, which lack a stretch now and then."""
    own = frame.tz_localize("UTC")
    draw = random.Random(story.seed)
    own = own.join(marks(frame, draw).add_prefix("mark_"))
    if story.seed % 2:
        own.loc[own.index[60:80], [c for c in own if c.startswith("mark_")]] = float("nan")
    return own


def calling_off(s: Any) -> None:
    """Anything; and half of the time nothing is left waiting."""
    anything(s)
    if s.draw.random() < 0.5:
        for order in s.broker.get_orders_open():
            s.cancel(order)


@pytest.mark.parametrize("perp", [False, True], ids=["plain feeds", "feeds with marks"])
@pytest.mark.parametrize("coin", [False, True], ids=["linear", "coin"])
def test_stories_are_told_the_same(
    coin: bool, perp: bool, lived: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares, kinds = [], set()
    for seed in range(12):
        told, again, share = twice(lambda s=seed: seldom(s, coin, perp), lived, monkeypatch)
        assert told == again, f"seed {seed}"
        shares.append(share)
        kinds |= {word for line in told for word in ("liquidation", "margin_call") if word in line}
    assert max(shares) > 0.5
    assert sum(shares) > 2.0
    assert "liquidation" in kinds


@pytest.mark.parametrize("seed", range(8))
def test_restless_stories_are_told_the_same(
    seed: int, lived: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[str]:
        life = live(Story(seed))
        return record(life.broker, life.strategies)

    once, again, _ = twice(told, lived, monkeypatch)
    assert once == again


# -- single cases -----------------------------------------------------------------------------------------


class Scripted(bt.Strategy):
    """Does on bar ``n`` what ``script[n]`` says; notes value and cash of every bar."""

    params: Any = (("script", {}),)

    def __init__(self) -> None:
        self.told: list[Any] = []

    def next(self) -> None:
        broker = self.broker
        self.told.append((broker.getvalue(), broker.getcash(), broker.account.time))
        act = self.p.script.get(len(self))
        if act is not None:
            self.told.append(repr(act(self)) if act.__name__ == "asks" else act(self) and None)


def eight_hourly(bars: int = 400, rate: float = 0.0003) -> pd.Series[float]:
    stamps = pd.date_range("2024-01-01", periods=bars // 8, freq="8h", tz="UTC")
    return pd.Series(rate, stamps)


def story(
    script: dict[int, Callable[[Any], Any]],
    frames: dict[str, pd.DataFrame] | None = None,
    run: dict[str, Any] | None = None,
    **settings: Any,
) -> list[str]:
    """A scripted run on hourly walks."""
    cerebro = bt.Cerebro(stdstats=False)
    settings = {
        "venue": flat_venue(maintenance_rate=0.01),
        "cash": 10_000.0,
        "leverage": 5.0,
    } | settings
    cerebro.broker = btm.MarginBroker(**settings, debug=True)
    for name, frame in (frames or {BTC: walk()}).items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame, **HOURS), name=name)
    cerebro.addstrategy(Scripted, script=script)
    return record(cerebro.broker, cerebro.run(**(run or {})))


def buys(s: Any) -> Any:
    return s.buy(size=10.0)


def closes(s: Any) -> Any:
    return s.close()


def asks(s: Any) -> Any:
    """Every question about the account, in the middle of a stretch."""
    broker = s.broker
    return (
        broker.fetch_positions(), broker.fetch_positions(list(s.datas)),
        broker.fetch_balance(), broker.fidelity, broker.account.snapshot(),
        broker.preview(s.data, size=1.0), broker.get_value([s.data]), broker.get_leverage(),
    )  # fmt: skip


def trades_directly(s: Any) -> Any:
    """Behind the broker's back: the settlements before it are not charged to what it opens."""
    return s.broker.account.fill(BTC, 5.0, s.data.close[0])


def moves_cash(s: Any) -> Any:
    return s.broker.add_cash(500.0)


def raises_leverage(s: Any) -> Any:
    return s.broker.set_leverage(10.0, s.data)


def changes_mode(s: Any) -> Any:
    return s.broker.set_margin_mode("isolated", s.data)


def posts_margin(s: Any) -> Any:
    return s.broker.add_margin(s.data, 100.0)


def shocks(s: Any) -> Any:
    return s.broker.account.mark(BTC, s.data.close[0] * 0.99)


def rests(s: Any) -> Any:
    return s.buy(size=1.0, exectype=bt.Order.Limit, price=1.0)


def cancels(s: Any) -> Any:
    return [s.cancel(order) for order in s.broker.get_orders_open()]


def late(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[100:]


def with_holes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(frame.index[[50, 51, 120, 300]])


def on_both(s: Any) -> Any:
    return [s.buy(data, size=5.0) for data in s.datas]


def one_without_price() -> pd.DataFrame:
    frame = walk()
    frame.loc[frame.index[300], "close"] = float("nan")
    return frame


WALK, OTHER = walk(seed=1), walk(seed=2)
CASES: dict[str, Callable[[], list[str]]] = {
    "nobody trades": lambda: story({}, funding={BTC: eight_hourly()}),
    "held": lambda: story({20: buys, 200: closes}),
    "held with funding": lambda: story({20: buys, 200: closes}, funding={BTC: eight_hourly()}),
    "no trade for long, then one": lambda: story({250: buys}, funding={BTC: eight_hourly()}),
    "asked in a stretch": lambda: story({20: buys, 60: asks, 90: asks}),
    "asked while flat": lambda: story({60: asks, 90: asks, 95: buys}, funding={BTC: eight_hourly()}),
    "traded directly": lambda: story({90: trades_directly}, funding={BTC: eight_hourly()}),
    "cash moved": lambda: story({30: moves_cash, 40: buys, 90: moves_cash}),
    "leverage raised": lambda: story({30: raises_leverage, 40: buys, 90: raises_leverage}),
    "mode changed": lambda: story({30: changes_mode, 40: buys, 90: posts_margin}),
    "mark moved by hand": lambda: story({40: buys, 90: shocks}),
    "an order rests": lambda: story({40: buys, 80: rests, 120: cancels}),
    "stamps at the close": lambda: story(
        {20: buys, 200: closes}, funding={BTC: eight_hourly()}, timestamps="close"
    ),
    "in the next loop": lambda: story({20: buys, 60: asks, 200: closes}, run={"runonce": False}),
    "two feeds": lambda: story({20: on_both, 200: closes}, {BTC: WALK, ETH: OTHER}),
    "one begins late": lambda: story({20: buys, 200: on_both}, {BTC: WALK, ETH: late(OTHER)}),
    "the first begins late": lambda: story({150: on_both}, {BTC: late(WALK), ETH: OTHER}),
    "one has holes": lambda: story({20: on_both}, {BTC: WALK, ETH: with_holes(OTHER)}),
    "one ends early": lambda: story({20: on_both}, {BTC: WALK, ETH: OTHER.iloc[:180]}),
    "one is delisted": lambda: story(
        {20: on_both}, {BTC: WALK, ETH: OTHER.iloc[:180]}, delisted={ETH: WALK.index[185].tz_localize("UTC")}
    ),
    "isolated": lambda: story({20: buys, 200: closes}, margin_mode="isolated"),
    "calls at every ratio": lambda: story({20: buys}, margin_calls=(0.001, 0.011, 0.05)),
    "no calls": lambda: story({20: buys}, margin_calls=()),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_run_with_stretches_is_the_run_without(
    case: str, lived: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_them, without, share = twice(CASES[case], lived, monkeypatch)
    assert with_them == without
    assert share > 0.3, "hardly a calm bar: nothing was compared"


def test_settlements_passed_by_while_flat_are_not_charged_to_a_later_position() -> None:
    """The stretch leaves them behind; whoever opens a position afterwards does not owe them."""
    told = story({90: trades_directly}, funding={BTC: eight_hourly()})
    opened = next(i for i, line in enumerate(told) if "kind='fill'" in line)
    charged = [line for line in told if line.startswith("Event(") and "kind='funding'" in line]
    assert not any("kind='funding'" in line for line in told[:opened])
    assert len(charged) == 50 - 12  # bar 90 is hour 89; stamps from hour 96 on


# -- where there is none ----------------------------------------------------------------------------------


def pays_interest() -> list[str]:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = btm.MarginBroker(venue=flat_venue(), cash=10_000.0, leverage=5.0)
    cerebro.broker.addcommissioninfo(btm.SpotMargin(interest=0.1, leverage=5.0), name=BTC)
    cerebro.adddata(bt.feeds.PandasData(dataname=walk(), **HOURS), name=BTC)
    cerebro.addstrategy(Scripted, script={20: buys})
    return record(cerebro.broker, cerebro.run())


NEVER: dict[str, Callable[[], list[str]]] = {
    "bar by bar": lambda: story({20: buys}, run={"preload": False}),
    "bounded buffers": lambda: story({20: buys}, run={"exactbars": 1}),
    "interest": pays_interest,
    "a bar without price": lambda: story({}, {BTC: one_without_price()}),
}  # fmt: skip


@pytest.mark.parametrize("case", NEVER)
def test_bars_that_cannot_be_foreseen_go_the_full_way(case: str, lived: list[bool]) -> None:
    NEVER[case]()
    assert not any(lived)


def test_marks_given_as_a_series_are_not_foreseen_while_a_position_is_held(
    lived: list[bool],
) -> None:
    given = {BTC: walk()[["open", "high", "low", "close"]].tz_localize("UTC")}
    story({200: buys}, mark=given)
    assert any(lived[:200])
    assert not any(lived[202:])


def test_a_market_in_danger_is_left_alone(lived: list[bool]) -> None:
    """At 50 times leverage nearly all of the margin is asked for: hardly a look, no stretch."""
    wide = {"venue": flat_venue(maintenance_rate=0.019), "leverage": 50.0, "cash": 1_000.0}
    looks = []
    was = calm.harmless

    def looking(*given: Any) -> bool:
        looks.append(was(*given))
        return looks[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calm, "harmless", looking)
        story({20: lambda s: s.buy(size=490.0)}, {BTC: calm_walk()}, **wide)
    held = len(lived) - 21
    assert 0 < looks.count(False) <= 8 + held / calm.PAUSE
    assert sum(lived[21:]) == 0


def calm_walk() -> pd.DataFrame:
    """Prices that stand still: a position near its requirement lives for ever."""
    frame = walk()
    frame[["open", "high", "low", "close"]] = 100.0
    return frame


# -- the bound --------------------------------------------------------------------------------------------


def account(size: float, leverage: float = 5.0, **settings: Any) -> Any:
    made = btm.Account(flat_venue(maintenance_rate=0.01), 1_000.0, leverage=leverage, **settings)
    made.mark(BTC, 100.0)
    made.fill(BTC, size, 100.0)
    return made


@pytest.mark.parametrize("size", [20.0, -20.0])
def test_harmless_ends_where_equity_meets_the_requirement(size: float) -> None:
    """20 at 100. Long: 1000 − 20·(100 − p) = 1.01 · 1 % · 2,000 (before the fall) at p = 51.01.

    Short: 1000 − 20·(p − 100) = 1.01 · 1 % · 20 · p at p = 148.5.
    """
    assert harmless(account(size), {})
    fall = {BTC: (51.1, 100.0)} if size > 0 else {BTC: (100.0, 148.4)}
    assert harmless(account(size, margin_calls=()), fall)
    deep = {BTC: (50.9, 100.0)} if size > 0 else {BTC: (100.0, 148.6)}
    assert not harmless(account(size, margin_calls=()), deep)


def test_harmless_counts_the_mark_of_now_and_of_symbols_without_bars() -> None:
    made = account(20.0, margin_calls=())
    assert harmless(made, {BTC: (90.0, 120.0)})
    made.mark(BTC, 51.0)
    assert not harmless(made, {BTC: (90.0, 120.0)})
    assert harmless(made, {})
    made.mark(BTC, 50.508)  # equity 10.16, requirement 10.10
    assert not harmless(made, {})


def test_harmless_stays_below_the_lowest_call() -> None:
    """Ratio at 100: 20 / 1000 = 2 %."""
    assert harmless(account(20.0, margin_calls=(0.03, 0.8)), {})
    assert not harmless(account(20.0, margin_calls=(0.02 * ROOM, 0.8)), {})


def test_harmless_asks_a_stepped_table_for_the_highest_band() -> None:
    """Up to 2,100 one per cent, above it 60: rising marks bring a long into breach."""
    made = account(20.0, margin_calls=())
    made.book[BTC].table = TierTable.of([(2_100, 0.01, 0), (None, 0.6, None)], stepped=True)
    assert harmless(made, {BTC: (95.0, 104.0)})
    assert not harmless(made, {BTC: (95.0, 106.0)})
