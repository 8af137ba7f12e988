"""Traps 53 to 56: dated tables, symbols without one, gaps in the data, settings that get lost."""

from __future__ import annotations

import pandas as pd
import pytest
from stories.world import HOUR, A, Scripted, account, buy, flat, frame, lines, near, play

import bt_margin as btm
from bt_margin.errors import UnknownSymbol

SOL, BTC = "SOL/USDT:USDT", "BTC/USDT:USDT"
STRANGE = "NOSUCHCOIN/USDT:USDT"


def change_of(symbol: str) -> tuple[int, float, float]:
    """The first date on which the maintenance of 20,000 notional changes, before and after."""
    schedule = btm.venue("binance").schedule(symbol)
    for (_, old), (since, new) in zip(schedule.tables, schedule.tables[1:], strict=False):
        if old.maintenance(20_000) != new.maintenance(20_000):
            return since, old.maintenance(20_000), new.maintenance(20_000)
    raise AssertionError("no change in the tables")


def test_the_tables_change_on_their_date_within_a_run() -> None:
    """trap 53: a position held across the date has the old maintenance before, the new one after."""
    since, before, after = change_of(SOL)
    bars = frame([flat(20)] * 12, start=since - 6 * HOUR)
    seen: list[tuple[int, float]] = []

    class Watching(Scripted):
        def next(self) -> None:
            super().next()
            seen.append((self.told[-1].time, self.broker.account.maintenance()))

    play(
        {SOL: bars},
        {0: buy(1_000, SOL)},
        cash=20_000,
        leverage=2,
        strategy=Watching,
        venue=btm.venue("binance"),
    )
    assert [amount for time, amount in seen[1:] if time < since] == near([before] * 5)
    assert [amount for time, amount in seen if time >= since] == near([after] * 6)


def test_as_of_pins_one_table_for_the_whole_run() -> None:
    """trap 53: asked for today's rules on old data, the account uses them and no others."""
    since, before, after = change_of(SOL)
    one = btm.Account(
        venue=btm.venue("binance", as_of=pd.Timestamp(since - 1, unit="ms", tz="UTC").isoformat()),
        cash=20_000,
        margin_mode="cross",
        leverage=2,
    )
    one.mark(SOL, 20)
    one.fill(SOL, 1_000, 20)
    one.clock(since + 30 * 24 * HOUR)
    assert one.maintenance() == near(before)
    assert before != after


def test_a_symbol_without_tiers_stops_only_itself() -> None:
    """trap 54: the unknown name is refused by name; with its own table it trades beside BTC."""
    bars = {BTC: frame([flat(50_000)] * 3), STRANGE: frame([flat(2)] * 3)}
    script = {0: lines(buy(0.01, BTC), buy(100, STRANGE))}
    with pytest.raises(UnknownSymbol, match="NOSUCHCOIN"):
        play(bars, script, venue=btm.venue("binance"))
    played = play(
        bars,
        script,
        venue=btm.venue("binance"),
        symbols={STRANGE: {"tiers": [(None, 0.05, 0.0)]}},
    )
    assert (played.size(BTC), played.size(STRANGE)) == (0.01, 100)


def test_gap_bars_keep_their_open() -> None:
    """trap 55: 100 closes, 90 opens: a market order pays 90, and the given frame is untouched."""
    bars = frame([flat(100), (90, 92, 89, 91), flat(91)])
    copy = bars.copy()
    played = play(bars, {0: buy(10)})
    (fill,) = played.kinds("fill")
    assert fill.price == near(90)
    pd.testing.assert_frame_equal(bars, copy)


def test_no_setting_of_a_scenario_is_lost() -> None:
    """trap 56: each run echoes the margin settings it really had, and they really had effect."""
    result = btm.compare(
        Scripted,
        data={A: frame([flat(100), flat(100), (100, 100, 89, 95), flat(95)])},
        venue=btm.venue(
            "generic",
            maintenance_rate=0.005,
            taker_fee=0.0,
            maker_fee=0.0,
            liquidation_fee=0.0,
            funding_interval="8h",
            residual="trader",
        ),
        cash=1_000,
        leverage=10,
        params={"script": {0: buy(10)}},
        scenarios={
            "cross": {"margin_mode": "cross"},
            "low": {"margin_mode": "isolated", "leverage": 5},
            "high": {"margin_mode": "isolated", "leverage": 10},
        },
    )
    told = {
        name: (run.settings["margin_mode"], run.settings["leverage"])
        for name, run in result.runs.items()
    }
    assert told == {"cross": ("cross", 10), "low": ("isolated", 5), "high": ("isolated", 10)}
    dead = {
        name: any(e.kind == "liquidation" for e in run.broker.events)
        for name, run in result.runs.items()
    }
    assert dead == {"cross": False, "low": False, "high": True}


def test_per_symbol_settings_reach_the_account() -> None:
    """trap 56: what ``symbols=`` says is what the account answers."""
    one = account(symbols={A: {"margin_mode": "isolated", "leverage": 20}})
    one.mark(A, 100)
    one.fill(A, 10, 100)
    assert one.margin_mode(A) == "isolated"
    assert one.leverage(A) == 20
    assert one.positions[A].initial() == near(50)
