"""A story told: the feeds, the broker and the strategies it asks for, and what was seen on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
from machine.acts import Aim, do
from machine.story import CONTRACT, Story
from machine.tape import Tape, listening

import bt_margin as btm
from bt_margin.venues.policies import (
    Fraction,
    FullClose,
    JustEnough,
    LargestLossFirst,
    TierStepDown,
)

LOOPS: dict[str, dict[str, Any]] = {
    "runonce": {},
    "next": {"runonce": False},
    "no preload": {"preload": False},
    "exactbars 1": {"exactbars": 1},
    "exactbars -1": {"exactbars": -1},
    "exactbars -2": {"exactbars": -2},
}
POLICIES = (
    FullClose("sale", "trader"),
    FullClose("sale", "fund"),
    FullClose("takeover", "fund"),
    LargestLossFirst("sale", "trader"),
    LargestLossFirst("takeover", "fund"),
    TierStepDown("sale", "trader"),
    TierStepDown("takeover", "fund"),
    Fraction(0.3, "sale", "trader"),
    JustEnough(0.9, "takeover", "fund"),
    JustEnough(0.8, "sale", "trader"),
)
#: continuous at both edges, in USDT and (a tenth of a coin is 4,000 USDT) in coins
TIERS = [(20_000, 0.005, 0.0, 100), (60_000, 0.01, 100.0, 50), (None, 0.025, 1_000.0, 20)]
COIN_TIERS = [(1.0, 0.005, 0.0, 100), (4.0, 0.01, 0.005, 50), (None, 0.025, 0.065, 20)]
FILLERS: dict[str, Callable[[Story], Any]] = {
    "size": lambda story: bt.broker.fillers.FixedSize(size=story.plenty[0] / 20),
    "share": lambda story: bt.broker.fillers.FixedBarPerc(perc=30),
    "point": lambda story: bt.broker.fillers.BarPointPerc(minmov=0.5, perc=60),
}
COLUMNS = ("open", "high", "low", "close")


def venue_of(story: Story) -> Any:
    """The venue of a story, its policy and numbers put in."""
    setup, place = story.setup, story.setup.place
    if place.venue != "generic":
        return btm.venue(place.venue, **place.options)
    policy = POLICIES[setup.policy % len(POLICIES)]
    margin: dict[str, Any] = {"maintenance_rate": 0.01}
    if setup.tiers:
        margin = {"tiers": COIN_TIERS if story.coin else TIERS}
    return btm.venue(
        "generic", taker_fee=setup.fee, maker_fee=setup.fee * setup.maker, policy=policy,
        liquidation_fee=setup.liquidation_fee, funding_interval="8h",
        currency="BTC" if story.coin else "USDT", **margin,
    )  # fmt: skip


def broker_of(story: Story, **more: Any) -> Any:
    """The broker of a story."""
    setup, place = story.setup, story.setup.place
    symbols: dict[str, dict[str, Any]] = {name: {} for name in story.names}
    if setup.venue == "inverse":
        for own in symbols.values():
            own["multiplier"] = CONTRACT
    if setup.lot:
        for own in symbols.values():
            own["lot"] = 1.0 if story.coin else setup.lot
    if setup.mixed:
        other = "isolated" if setup.mode == "cross" else "cross"
        symbols[story.names[-1]]["margin_mode"] = other
    given: dict[str, Any] = {}
    if setup.marks == "given":
        given["mark"] = {n: _marks(story, on) for on, n in enumerate(story.names)}
    if setup.funding == "given" or story.feed != "PerpData":
        given["funding"] = {n: _stamps(story, on) for on, n in enumerate(story.names)}
    if setup.delisted:
        given["delisted"] = {story.names[-1]: story.time(setup.delisted)}
    if setup.detail:
        given["detail"] = {n: _detail(story, on) for on, n in enumerate(story.names)}
    broker = btm.MarginBroker(
        venue=venue_of(story), margin_mode=setup.mode, leverage=setup.leverage, cash=place.cash,
        collateral=place.collateral or None, currency=place.currency,
        symbols={n: own for n, own in symbols.items() if own} or None, intrabar=setup.intrabar,
        auto_top_up=setup.top_up, liquidation_slippage=setup.liquidation_slippage,
        margin_calls=setup.calls, timestamps=setup.stamped, delisting=setup.delisting,
        debug=True, **given, **more,
    )  # fmt: skip
    _desk(broker, story)
    return broker


def _desk(broker: Any, story: Story) -> None:
    """What a script sets on its broker."""
    setup, p = story.setup, broker.p
    if setup.slip_fixed:
        broker.set_slippage_fixed(setup.slip_fixed, slip_out=setup.slip_out)
    elif setup.slip:
        broker.set_slippage_perc(setup.slip, slip_out=setup.slip_out)
    if setup.filler:
        broker.set_filler(FILLERS[setup.filler](story))
    p.coc, p.coo, p.int2pnl, p.checksubmit = setup.coc, setup.coo, setup.int2pnl, setup.checksubmit
    if setup.fund:
        broker.set_fundmode(True, 50.0)
    if setup.interest and not story.coin:
        for name in story.names:
            fee = setup.commission or 0.0004
            scheme = btm.SpotMargin(interest=setup.interest, leverage=5, commission=fee)
            broker.addcommissioninfo(scheme, name=name)
    elif setup.commission:
        broker.setcommission(commission=setup.commission)


# -- data -----------------------------------------------------------------------------------------------


def _index(story: Story, bars: list[int]) -> pd.DatetimeIndex:
    late = story.step if story.setup.stamped == "close" else 0
    times = np.array([story.time(bar) + late for bar in bars], dtype="int64")
    return pd.to_datetime(times, unit="ms", utc=True)


def _kept(story: Story, on: int) -> list[int]:
    """The bars that are in a feed: all but the missing ones."""
    return [bar for bar in range(len(story.bars)) if story.move(bar, on).kind != "missing"]


def frame_of(story: Story, on: int) -> pd.DataFrame:
    """A symbol's bars as a frame, with columns of marks where the setup says so."""
    bars = _kept(story, on)
    nothing = (np.nan,) * 4
    candles = story.candles[on]
    prices = np.array([candles[bar] or nothing for bar in bars]).reshape(-1, 4)
    frame = pd.DataFrame(prices, _index(story, bars), list(COLUMNS))
    frame["volume"] = story.plenty[on]
    if story.setup.marks == "columns":
        rows = [_own_mark(story, bar, on) or nothing for bar in bars]
        marks = np.array(rows).reshape(-1, 4)
        for place, name in enumerate(COLUMNS):
            frame[f"mark_{name}"] = marks[:, place]
    if story.setup.funding == "attrs" and story.feed == "PerpData":
        frame.attrs["funding"] = _stamps(story, on)
    return frame


def _own_mark(story: Story, bar: int, on: int) -> Any:
    candle = story.candles[on][bar]
    return None if candle is None else story.move(bar, on).mark(candle)


def _marks(story: Story, on: int) -> pd.DataFrame:
    """Mark bars for the broker, by the open times of their bars."""
    bars = [bar for bar in _kept(story, on) if _own_mark(story, bar, on) is not None]
    rows = np.array([_own_mark(story, bar, on) for bar in bars]).reshape(-1, 4)
    times = pd.to_datetime([story.time(bar) for bar in bars], unit="ms", utc=True)
    return pd.DataFrame(rows, times, list(COLUMNS))


def _stamps(story: Story, on: int) -> pd.Series[float]:
    times = pd.to_datetime([time for time, _ in story.stamps[on]], unit="ms", utc=True)
    return pd.Series([rate for _, rate in story.stamps[on]], times, dtype=float)


def _detail(story: Story, on: int) -> pd.DataFrame:
    """Four finer bars for each bar: to one extreme, to the other, to the close, and there they stay."""
    rows, times = [], []
    for bar, candle in enumerate(story.candles[on]):
        if candle is None:
            continue
        o, h, lo, c = candle
        first, second = (lo, h) if bar % 2 else (h, lo)
        for part, (a, b) in enumerate(((o, first), (first, second), (second, c), (c, c))):
            rows.append((a, max(a, b), min(a, b), b))
            times.append(story.time(bar) + part * story.step // 4)
    index = pd.to_datetime(np.array(times, dtype="int64"), unit="ms", utc=True)
    return pd.DataFrame(np.array(rows).reshape(-1, 4), index, list(COLUMNS))


class Trickle(bt.feed.DataBase):
    """A feed as live ones are: now and then it has nothing yet (None), and the loop goes round without."""

    params: Any = (("frame", None),)

    def islive(self) -> bool:
        return True

    def start(self) -> None:
        super().start()
        index = self.p.frame.index.tz_localize(None)
        self._rows = iter(zip(index, self.p.frame.to_numpy().tolist(), strict=True))
        self._asked = 0

    def _load(self) -> bool | None:
        self._asked += 1
        if self._asked % 3 == 0:
            return None
        found = next(self._rows, None)
        if found is None:
            return False
        time, row = found
        self.lines.datetime[0] = bt.date2num(time)
        names = ("open", "high", "low", "close", "volume")
        for name, value in zip(names, row, strict=False):
            getattr(self.lines, name)[0] = value
        self.lines.openinterest[0] = 0.0
        return True


def feed_of(story: Story, on: int) -> Any:
    """A symbol's feed."""
    frame, kind = frame_of(story, on), story.feed
    hours = {"timeframe": bt.TimeFrame.Minutes, "compression": story.setup.step}
    if kind == "Trickle":
        made = Trickle(frame=frame, **hours)
        made.p.dataname = frame  # where attributes of a frame are looked for
        return made
    if kind == "PandasData":
        return bt.feeds.PandasData(dataname=frame.tz_localize(None), **hours)
    return btm.PerpData(dataname=frame, **hours)


# -- strategies -----------------------------------------------------------------------------------------

Watch = Callable[[Any], None]


class Player(bt.Strategy):
    """Does what the story says, bar by bar, and writes down what it is told."""

    params: Any = (("story", None), ("life", None), ("number", 0))

    def __init__(self) -> None:
        self.story: Story = self.p.story
        self.life: Life = self.p.life
        self.told: list[Any] = []
        self.heard: list[Any] = []
        self.mine: list[Any] = []
        self.cash_told: Any = None
        self.fund_told: Any = None
        self.law: dict[str, Any] = {}

    def notify_order(self, order: Any) -> None:
        done = order.executed
        self.told.append(
            (
                len(self), "order", order.ref, order.getstatusname(), done.price, done.size,
                done.remsize, done.comm, done.pnl,
            )
        )  # fmt: skip

    def notify_trade(self, trade: Any) -> None:
        self.told.append(
            (
                len(self), "trade", trade.tradeid, trade.status, trade.size, trade.price,
                trade.pnl, trade.pnlcomm, trade.ref, trade.justopened, trade.isclosed,
            )
        )  # fmt: skip

    def notify_cashvalue(self, cash: float, value: float) -> None:
        self.cash_told = (cash, value)

    def notify_fund(self, cash: float, value: float, fundvalue: float, shares: float) -> None:
        self.fund_told = (cash, value, fundvalue, shares)

    def notify_liquidation(self, event: Any) -> None:
        self.heard.append(event.id)

    def notify_margin_call(self, event: Any) -> None:
        self.heard.append(event.id)

    def bar(self) -> int:
        """Which bar of the story this is, by the latest time among the feeds."""
        story = self.p.story
        now = max(data.datetime[0] for data in self.datas if len(data))
        time = round((now - 719_163) * 86_400_000)
        late = story.step if story.setup.stamped == "close" else 0
        return int((time - late - story.start) // story.step)

    def next(self) -> None:
        life, number = self.p.life, self.p.number
        if not number:
            life.bar = self.bar()
            life.passed += 1
            if life.watch is not None:
                life.watch(self)
            life.sizes.append((life.bar, {n: p.size for n, p in self.broker.account.book.items()}))
        self.play(opening=False)
        if life.after is not None:
            life.after(self)

    prenext = next

    def next_open(self) -> None:
        if self.p.story.setup.coo:
            self.p.life.bar = self.bar()
            self.play(opening=True)

    prenext_open = next_open

    def play(self, *, opening: bool) -> None:
        """The acts of this bar; with cheat-on-open half of them at the open."""
        story, coo = self.p.story, self.p.story.setup.coo
        for act in story.bars[self.p.life.bar].acts:
            if act.who % story.setup.company == self.p.number and (
                not coo or opening == bool(act.pick % 2)
            ):
                do(self, act)


@dataclass
class Life:
    """A story that is told: the broker, the strategies, and what was noted on the way."""

    story: Story
    broker: Any
    watch: Watch | None = None
    after: Watch | None = None
    strategies: list[Any] = field(default_factory=list)
    bar: int = 0
    passed: int = 0
    #: per pass the bar and the sizes the symbols had after it
    sizes: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    groups: list[list[Any]] = field(default_factory=list)
    brackets: list[list[Any]] = field(default_factory=list)
    tape: Tape = field(default_factory=Tape)
    done: Counter[str] = field(default_factory=Counter)
    previews: list[str] = field(default_factory=list)

    def retold(self) -> list[str]:
        """The events as text; orders are counted from the first (backtrader counts per process).

        What coins are worth before the first bar only a loop knows that has loaded the feeds.
        """
        events, start = self.broker.events, 0
        first = min((e.order for e in events if e.order is not None), default=0)
        while self.broker._converts and start < len(events) and events[start].kind == "deposit":
            start += 1
        opening = [repr(replace(e, equity=None)) for e in events[:start]]
        return opening + [
            repr(e if e.order is None else replace(e, order=e.order - first))
            for e in events[start:]
        ]

    def previewed(self, s: Any, a: Aim) -> None:
        """What a preview says is what a fill does, number by number (on a copy of the account)."""
        symbol, price = s.broker.instrument(a.data).symbol, a.price * (1 + a.away * (a.pick % 3))
        account = s.broker.account
        if a.side is not None:
            if account.position(symbol).size:
                return  # held one way: its sides cannot be held beside it
            symbol = f"{symbol} {a.side}"
        told = s.broker.preview(a.data, a.sign * a.size, price, position_side=a.side)
        if not (told.opened or told.closed):
            return  # against a side that is not held
        checked = account.verdict(symbol, a.sign * a.size, price)
        copy = account.fork()
        fill = copy.fill(symbol, a.sign * a.size, price)
        p, where = copy.position(symbol), f"bar {self.bar}, {symbol} {a.sign * a.size} at {price}"
        accepted = checked is None and fill.refusal is None
        if told.accepted != accepted:
            self.previews.append(f"{where}: accepted {told.accepted}, {checked}, {fill.refusal}")
        if fill.refusal is not None:
            return
        risk = p.pool.risk() if p.pool is not None else None
        pairs = {
            "opened": (told.opened, fill.opened), "closed": (told.closed, fill.closed),
            "realised": (told.realised, fill.realised), "fee": (told.fee, fill.fee),
            "size": (told.size, p.size), "entry": (told.entry, p.entry),
        }  # fmt: skip
        if p.margin_mode == "cross":
            pairs["available"] = (told.available, copy.available(copy.home(p)))
        if risk is not None:
            pairs["initial"] = (told.initial, risk.initial)
            pairs["maintenance"] = (told.maintenance, risk.maintenance)
            pairs["equity"] = (told.equity, risk.equity)
        scale = self.story.cash + abs(account.scale())
        for name, (one, two) in pairs.items():
            if abs(one - two) > 1e-7 * max(scale if name != "entry" else 0.0, abs(one), abs(two)):
                self.previews.append(f"{where}: {name} {one!r} foretold, {two!r} happened")


def live(story: Story, watch: Watch | None = None, after: Watch | None = None, **run: Any) -> Life:
    """Tell a story; ``watch`` is shown each bar before its acts, ``after`` when they are done.

    ``run`` replaces what the setup says of the loop.
    """
    setup = story.setup
    cerebro = bt.Cerebro(
        stdstats=False, quicknotify=setup.quick, cheat_on_open=setup.coo
    )  # fmt: skip
    cerebro.broker = broker = broker_of(story)
    life = Life(story, broker, watch, after)
    with listening(broker, story) as life.tape:
        life.strategies = _run(cerebro, life, run)
    return life


def _run(cerebro: Any, life: Life, run: Any) -> Any:
    """Feeds and strategies put in, and off it goes."""
    story, setup = life.story, life.story.setup
    for on, name in enumerate(story.names):
        cerebro.adddata(feed_of(story, on), name=name)
    for number in range(setup.company):
        cerebro.addstrategy(Player, story=story, life=life, number=number)
    return cerebro.run(**{**LOOPS[setup.loop], **run})
