"""Random stories that the kernel and the full engine both live through.

python -m replay.stories 10000        # from tests/, or PYTHONPATH=tests
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from replay.asking import Scripted, more_intents
from replay.places import place, ruled

import bt_margin as btm
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import DataError
from bt_margin.plugin import assemble
from bt_margin.studies.cells import COLUMNS, Cell, Job, run_cell, statistics
from bt_margin.studies.replay import cell as kernel
from bt_margin.studies.replay.check import (
    curve_difference,
    first_difference,
    told_by_engine,
    told_by_kernel,
)  # fmt: skip
from bt_margin.studies.replay.layout import (
    ACTION_REFUSED,
    DONE,
    KEEP_EVENTS,
    KEEP_ROW,
    MIXED,
    TOO_MANY_EVENTS,
    new_state,
)
from bt_margin.studies.replay.market import Market, Unfit
from bt_margin.studies.replay.row import row_of
from bt_margin.studies.replay.tape import Tape, TapeBroker
from bt_margin.studies.replay.terms import cell_of, own_venue, rules_of, venue_of
from bt_margin.venues.blocks import BlockPortions
from bt_margin.venues.policies import (
    Fraction,
    FullClose,
    JustEnough,
    LargestLossFirst,
    TierStepDown,
)  # fmt: skip
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules

HOUR = 3_600_000
NAMES = ("AAA/USDT:USDT", "BBB/USDT:USDT", "CCC/USDT:USDT")
COIN = "BTC/USD:BTC"
POLICIES = (
    FullClose("sale", "trader"), FullClose("sale", "fund"), FullClose("takeover", "fund"),
    LargestLossFirst("sale", "trader"), LargestLossFirst("takeover", "fund"), TierStepDown("sale", "trader"),
    TierStepDown("takeover", "fund"), Fraction(0.25, "sale", "trader"), Fraction(0.4, "takeover", "fund"),
    JustEnough(0.9, "takeover", "fund"), JustEnough(0.7, "sale", "trader"),
)  # fmt: skip


class Story:
    """A random market, random intents and a random account, drawn from one seed."""

    def __init__(self, seed: int, venue: str | None = None) -> None:
        self.draw = draw = random.Random(seed)
        self.other = random.Random(f"rules {seed}")
        self.bars = draw.choice([12, 30, 80, 200])
        self.coin = draw.random() < 0.15
        self.names = (COIN,) if self.coin else NAMES[: draw.choice([1, 1, 2, 3])]
        self.cash = (
            draw.choice([0.05, 1.0, 20.0]) if self.coin else draw.choice([500.0, 5e3, 4e4, 1e6])
        )
        self.place = (
            place(self.other, self.coin, venue) if venue or self.other.random() < 0.4 else None
        )
        self.start = pd.Timestamp("2024-01-01", tz="UTC")
        if self.place is not None:
            self.names, wallets = self.place.symbols, [1.0, 1.0, 100.0, 5_000.0]
            self.cash *= self.other.choice(wallets)
        self.step = draw.choice([HOUR, HOUR, HOUR // 4, 24 * HOUR])
        self.wild = draw.choice([0.003, 0.01, 0.03])
        self.leverage = draw.choice([2.0, 5.0, 10.0, 20.0, 50.0, 100.0])
        if self.place is not None:
            self.start = pd.Timestamp(self.place.day, tz="UTC")
            self.start -= pd.Timedelta(self.other.choice([0, self.bars // 2]) * self.step, "ms")
        self.frames = {name: self.frame() for name in self.names}
        self.script = self.intents()
        self.broker = self.account()
        self.rest(random.Random(seed + 1_000_003))
        self.gather(random.Random(f"crowd {seed}"))

    @property
    def endless(self) -> bool:
        """Whether a liquidation may take a hundred thousand blocks: billions sold in pieces of so little."""
        policy = None if self.place is None else self.place.venue.liquidation
        return isinstance(policy, BlockPortions) and 20.0 * self.cash > 1e4 * policy.per_block

    def begins(self, name: str) -> int:
        """The first bar of a symbol."""
        return int((self.frames[name].index[0] - self.start) / pd.Timedelta(self.step, "ms"))

    def rest(self, draw: random.Random) -> None:
        """In most stories orders wait as well, and margin is moved about; in some of them nothing else."""
        self.labels: list[str] = []
        if draw.random() < 0.2:
            return
        for name in self.names[1:] if draw.random() < 0.3 else ():  # bars are missing
            frame = self.frames[name]
            self.frames[name] = frame[[k < 2 or draw.random() > 0.15 for k in range(len(frame))]]
        market = [] if draw.random() < 0.3 else self.script
        more = more_intents(draw, self)
        self.script = sorted([*market, *more], key=lambda one: one[0])
        rules = SwitchRules(*(draw.random() < 0.85 for _ in range(3)))
        venue = replace(self.broker["venue"], switching=rules, margin_kept=draw.choice([0.0, 0.1]))
        fees = tuple((at, replace(one, maker=draw.choice([0.0, 0.0002]))) for at, one in venue.fees)
        self.broker["venue"] = replace(venue, fees=fees)

    def gather(self, draw: random.Random) -> None:
        """In some stories all symbols are held at a time, in one pool if there is one, and crash together."""
        if len(self.names) < 2 or draw.random() < 0.4:
            return
        if self.place is None or "cross" in self.place.venue.modes:
            self.broker["margin_mode"] = "cross"
            for own in self.broker["symbols"].values():
                own.pop("margin_mode", None)
        found, often = [], draw.choice([0.03, 0.1])
        for bar in range(1, self.bars):
            if bar > 3 and draw.random() > often:
                continue
            for name in self.names:
                share = draw.uniform(0.3, 1.1) * self.leverage / len(self.names)
                if self.begins(name) <= bar:
                    found.append((bar, name, "percent", share * draw.choice([1, 1, -1]), {}))
        for _ in range(draw.choice([1, 3])):
            moment = self.start + draw.randrange(3, self.bars) * pd.Timedelta(self.step, "ms")
            factor = 1.0 + draw.choice([1, -1]) * draw.uniform(0.3, 1.5) / max(self.leverage, 4.0)
            for frame in self.frames.values():
                frame.loc[moment:, frame.columns != "volume"] *= factor
        kept = self.script if draw.random() < 0.4 else []
        self.script = sorted([*kept, *found], key=lambda one: one[0])

    def frame(self) -> pd.DataFrame:
        draw, price, rows = self.draw, self.draw.choice([0.1, 100.0, 40_000.0]), []
        if self.coin:
            price = 20_000.0
        marked = draw.random() < 0.6
        late = draw.randrange(4) if draw.random() < 0.15 else 0
        for _ in range(self.bars):
            start = price * (
                1.0
                + draw.choice([0.0, 0.0, draw.gauss(0, self.wild), draw.gauss(0, 3 * self.wild)])
            )
            end = start * (1.0 + draw.gauss(0, self.wild))
            reach = self.wild * draw.choice([0.3, 1.0, 4.0])
            high = max(start, end) * (1.0 + draw.random() * reach)
            low = min(start, end) * (1.0 - min(0.6, draw.random() * reach))
            rows.append((start, high, low, end, draw.uniform(-0.002, 0.002)))
            price = max(end, 1e-3)
        index = pd.date_range(self.start, periods=self.bars, freq=pd.Timedelta(self.step, "ms"))
        frame = pd.DataFrame(rows, columns=["open", "high", "low", "close", "x"], index=index)
        frame["volume"] = 1.0
        shift = 1.0 + frame.pop("x")
        if marked:
            for name in ("open", "high", "low", "close"):
                frame[f"mark_{name}"] = frame[name] * (1.0 + 0.3 * (shift - 1.0))
            frame["mark_high"] = frame[["mark_open", "mark_high", "mark_low", "mark_close"]].max(
                axis=1
            )
            frame["mark_low"] = frame[["mark_open", "mark_high", "mark_low", "mark_close"]].min(
                axis=1
            )
        return frame.iloc[late:] if late < self.bars - 3 else frame

    def funding(self) -> dict[str, Any]:
        draw, found = self.draw, {}
        for name, frame in self.frames.items():
            if draw.random() < 0.7:
                times = pd.date_range(
                    frame.index[0],
                    frame.index[-1] + pd.Timedelta(self.step, "ms"),
                    freq=draw.choice(["8h", "8h", "1h", "5h30min"]),
                )
                found[name] = pd.Series(
                    [draw.gauss(0, draw.choice([0.0001, 0.004])) for _ in times], times
                )
        return found

    def intents(self) -> list[tuple[Any, ...]]:
        draw, found = self.draw, []
        often = draw.choice([0.05, 0.2, 0.5])
        for bar in range(self.bars):
            for name in self.names:
                if draw.random() > often or self.frames[name].index[0] > self.start + pd.Timedelta(
                    bar * self.step, "ms"
                ):
                    continue
                for _ in range(draw.choice([1, 1, 1, 2])):
                    verb = draw.choice(["trade", "size", "value", "percent", "share", "close"])
                    price = float(self.frames[name]["close"].iloc[0])
                    reach = draw.choice([0.3, 1.0, 2.0, 5.0, 15.0]) * draw.choice([1, -1])
                    contract = (
                        1.0 if self.place is None else self.place.venue.contract(name).multiplier
                    )
                    unit = 1.0 / 100.0 * price if self.coin else 1.0 / price / contract
                    amount = {"trade": reach * self.cash * unit, "size": reach * self.cash * unit,
                              "value": reach * self.cash, "percent": reach, "share": reach,
                              "close": 0.0}[verb]  # fmt: skip
                    if self.coin and verb == "share":
                        verb, amount = "percent", reach
                    if draw.random() < 0.1 and verb != "trade":
                        amount = 0.0
                    more = {"reduce_only": True} if draw.random() < 0.1 else {}
                    if verb != "close" and not amount and verb == "trade":
                        continue
                    found.append((bar, name, verb, amount, more))
        return found

    def venue(self) -> Any:
        """The neutral venue with tiers, fees and a policy of its own, and rules that change half way."""
        if self.place is not None:
            return self.place.venue
        draw, scale = self.draw, self.cash * self.draw.choice([0.3, 1.0, 5.0])
        top = draw.choice([10, 20])
        tiers = [
            (scale, 0.005, 0.0, 100),
            (5 * scale, 0.01, None, 50),
            (25 * scale, 0.025, None, 20),
        ]
        made = btm.venue(
            "generic", tiers=[*tiers, (None, 0.1, None, top)], taker_fee=draw.choice([0.0, 0.0005, 0.003]),
            maker_fee=0.0, liquidation_fee=draw.choice([0.0, 0.005, 0.02]), funding_interval="8h",
            policy=draw.choice(POLICIES), currency="BTC" if self.coin else "USDT",
        )  # fmt: skip
        index = self.frames[self.names[0]].index
        middle = int(index[len(index) // 2].value // 1_000_000)
        if draw.random() < 0.5:
            premium = ((middle, 0.0015),) if draw.random() < 0.5 else ()
            made = replace(
                made, orders=OrderRule(draw.random() < 0.5, draw.random() < 0.5, premium)
            )
        made = replace(made, strict=draw.random() < 0.2)
        first = made.default_schedule.at(0)
        if draw.random() < 0.2:
            jumps = [(scale, 0.005, 0.0, 100), (8 * scale, 0.02, 0.0, 50), (None, 0.06, 0.0, 20)]
            first = TierTable.of(jumps, stepped=True)
        tables = [(ALWAYS, first)]
        if draw.random() < 0.4:
            tables.append(
                (middle + 1, TierTable.of([(2 * scale, 0.01, 0.0, 40), (None, 0.05, None, 10)]))
            )
            made = replace(made, fees=(*made.fees, (middle, Fees(0.0, 0.001, 0.01))))
        made = replace(made, default_schedule=TierSchedule(tuple(tables)))
        if self.other.random() < 0.6:
            made = ruled(self.other, made, self.names, self.cash, middle)
        return made

    def own(self) -> dict[str, Any]:
        """What is different for single symbols."""
        draw, own = self.draw, {}
        for name in self.names:
            said: dict[str, Any] = {"multiplier": 100.0} if self.coin and not self.place else {}
            if draw.random() < 0.25 and self.modes(name) > 1:
                said["margin_mode"] = draw.choice(["cross", "isolated"])
            if draw.random() < 0.25:
                said["leverage"] = self.allowed(name, draw.choice([3.0, 10.0, 20.0]))
            elif self.place is not None:
                said["leverage"] = self.allowed(name, self.leverage)
            if draw.random() < 0.3 and self.place is None:
                said["lot"] = draw.choice([0.001, 0.1, 1.0])
            if draw.random() < 0.2:
                said["min_notional"] = 5.0 if not self.coin else 0.0001
            if draw.random() < 0.2 and not self.coin and self.place is None:
                said["multiplier"] = draw.choice([0.01, 10.0])
            if said:
                own[name] = said
        return own

    def modes_there(self) -> int:
        """How many margin modes the venue has."""
        return 2 if self.place is None else len(self.place.venue.modes)

    def modes(self, name: str) -> int:
        """How many margin modes a symbol can be given beside those of others."""
        if self.place is None:
            return 2
        venue = self.place.venue
        return 1 if venue.switching.scope == "account" else len(venue.modes)

    def allowed(self, name: str, leverage: float) -> float:
        """A leverage that the venue has at the start."""
        if self.place is None:
            return leverage
        first = int(self.frames[self.names[0]].index[0].value // 1_000_000)
        return min(leverage, self.place.venue.schedule(name).at(first).max_leverage(0.0))

    def account(self) -> dict[str, Any]:
        """Keywords of the broker."""
        draw = self.draw
        found = {
            "venue": self.venue(), "cash": self.cash, "leverage": self.leverage, "symbols": self.own(),
            "margin_mode": draw.choice(["cross", "isolated"]) if self.modes_there() > 1 else "cross",
            "intrabar": draw.choice(["adverse", "adverse", "favourable", "nearest"]),
            "liquidation_slippage": draw.choice([0.0, 0.0, 0.003]), "funding": self.funding() or None,
        }  # fmt: skip
        if draw.random() < 0.3:
            found["margin_calls"] = draw.choice([(), (0.5, 0.8), (0.02,), (0.8, 0.95)])
        if draw.random() < 0.3:
            found |= draw.choice([{"slip_perc": 0.002}, {"slip_fixed": 0.01}])
            found |= {"slip_open": draw.random() < 0.8, "slip_out": draw.random() < 0.3}
        return found


def run(story: Story, kind: Any, **more: Any) -> Any:
    """The story under a broker."""
    cerebro = assemble.build(Scripted, story.frames, {"script": story.script})
    broker = kind(**story.broker, **more)
    for name in ("slip_perc", "slip_fixed", "slip_open", "slip_out"):
        if name in story.broker:
            setattr(cerebro.broker.p, name, story.broker[name])
    assemble.run_with(cerebro, broker)
    return broker


def replayed(story: Story) -> tuple[Any, ...]:
    """The story in the kernel, from a tape recorded on its own account."""
    tape = Tape()
    other = Story.__new__(Story)
    other.__dict__.update(story.__dict__)
    broker = run(other, TapeBroker, tape=tape)
    if tape.beyond and not tape.beyond.startswith("what its account refused"):
        raise Unfit(tape.beyond)
    market = Market(broker)
    venue, _ = own_venue(venue_of(story.broker), story.broker)
    rules = rules_of(venue, market)
    rules, cell = cell_of(venue_of(story.broker), story.broker, rules, market, False)
    world = market.world(tape.intents)
    state, twin = new_state(len(market.symbols), 100_000), new_state(len(market.symbols), 1)
    equity = np.zeros(len(market.times))
    status = kernel.play(world, rules, cell, state, twin, equity, KEEP_EVENTS + KEEP_ROW)
    return status, state, equity, market, broker


def difference(seed: int, venue: str | None = None) -> str:
    """The first difference of kernel and engine in a story; "" when there is none."""
    story = Story(seed, venue)
    if story.endless:
        raise Unfit("a fortune sold in blocks")
    work = Job(Scripted, story.frames, {"script": story.script}, story.broker)
    whole = run_cell(Cell(0, {}), work)
    full = whole.broker
    status, state, equity, market, _ = replayed(story)
    if status == MIXED:
        raise Unfit("a margin mode changed during a margin call")
    if status == TOO_MANY_EVENTS:
        raise Unfit("more events than a story has room for")
    if status not in (DONE, ACTION_REFUSED):
        return f"status {status}"
    own = told_by_kernel(state, market.symbols, full.account.currency)
    if status == ACTION_REFUSED:  # up to there, and there
        engine = full.events[: len(own) + 2]  # with the deposit at the start
        if engine[-1].kind != "refused":
            return f"the kernel alone refuses an action, after {len(own)} events; {engine[-1]}"
        return first_difference(own, told_by_engine(engine[:-1]))
    found = first_difference(own, told_by_engine(full.events))
    if found:
        return found
    gap = curve_difference(equity, np.array(full.equity_curve[1]))
    if gap > 1e-9:
        return f"equity differs by {gap}"
    own = row_of(work, Cell(0, {}), state, equity, market.times, story.cash)
    return row_difference(own, statistics(whole))


def row_difference(own: Mapping[str, Any], engine: Mapping[str, Any]) -> str:
    """The first statistic in which kernel and engine differ by more than rounding; "" for none.

    Money in proportion to what there was, numbers without a unit to themselves.
    """
    for name in COLUMNS:
        one, other = float(own[name]), float(engine[name])
        if not (
            math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (one != one and other != other)
        ):
            return f"{name}: {one!r} in the kernel, {other!r} in the engine"
    return ""


def main(count: int, first: int = 0) -> int:
    began = time.time()
    failed: list[int] = []
    unfit: dict[str, int] = {}
    for seed in range(first, first + count):
        try:
            found = difference(seed)
        except (Unfit, DataError) as why:  # slippage can make a price of less than nothing
            unfit[str(why)[:12]] = unfit.get(str(why)[:12], 0) + 1
            continue
        if (seed - first + 1) % 500 == 0:
            print(f"{seed - first + 1} stories told, {len(failed)} differ", flush=True)
        if found:
            failed.append(seed)
            print(seed, found[:1500], flush=True)
            if len(failed) >= 5:
                break
    told = f"{seed - first + 1} stories, {len(failed)} differ, {sum(unfit.values())} left to the engine"
    print(f"{told} {unfit or ''}, {time.time() - began:.0f} s")
    return len(failed)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
