"""2025-10-10 with finer bars: what the guess about the path inside an hour decides, and what it does not."""

from __future__ import annotations

from functools import cache
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from real.rawdata import folder, ladder, ms, unified
from real.stage import FOUR, Study, hold, raws, study

OCTOBER = ("2025-10-06", "2025-10-16")
CRASH = "2025-10-10 21:00"
TARGET = 1.005


@cache
def fine(name: str) -> pd.DataFrame:
    """The 5-minute last prices around the crash, straight from the file."""
    path = folder() / "windows" / "2025-10-10" / f"binance_{name}_ohlcv_5m.parquet"
    return pd.read_parquet(path).set_index("timestamp")


def detail() -> dict[str, pd.DataFrame]:
    """Finer bars for the broker."""
    return {unified(name): fine(name) for name in FOUR}


class Target(bt.Strategy):
    """Buys at the open of the crash hour with a limit half a per cent above it to take the profit."""

    def next(self) -> None:
        ends = round((self.datas[0].datetime[0] - 719_163) * 86_400_000) + 3_600_000
        if ends == ms(CRASH):
            for data in self.datas:
                size = 0.2 * self.broker.getvalue() / data.close[0]
                self.buy(data, size=size)
                self.sell(data, size=size, exectype=bt.Order.Limit,
                          price=data.close[0] * TARGET, reduce_only=True)  # fmt: skip


def taking(**keywords: Any) -> Study:
    """The four longs with their targets, at 10x."""
    return study(Target, FOUR, *OCTOBER, 10, **keywords)


def liquidated(made: Study) -> set[str]:
    """Which of the isolated positions were liquidated."""
    events = made["isolated"].broker.events
    return {e.symbol for e in events if e.kind == "liquidation"}


def test_candles_alone_leave_the_answer_between_none_and_all_of_them() -> None:
    symbols = {unified(name) for name in FOUR}
    assert liquidated(taking(intrabar="adverse")) == symbols
    assert liquidated(taking(intrabar="favourable")) == set()


def test_bounds_call_exactly_these_liquidations_path_dependent() -> None:
    taken = taking(bounds=True).comparison.events
    fallen = taken[taken["kind"] == "liquidation"]
    assert list(fallen["scenario"]) == ["isolated"] * 4
    assert set(fallen["certainty"]) == {"path-dependent"}
    held = hold(FOUR, OCTOBER, "2025-10-10 01:00", 1.0, 10, bounds=True).comparison.events
    fallen = held[held["kind"] == "liquidation"]
    assert len(fallen) == 8
    assert set(fallen["certainty"]) == {"certain"}


def test_five_minute_bars_tell_who_was_saved_by_the_target() -> None:
    """Worked out from the file: whether a bar reached the target before one reached the liquidation."""
    made = taking(detail=detail())
    assert liquidated(made) == set()
    expected = {unified(name) for name in FOUR if liquidation_comes_first(name, made)}
    assert liquidated(made) == expected
    assert made["isolated"].fidelity["detail"] == tuple(sorted(unified(n) for n in FOUR))


def liquidation_comes_first(name: str, made: Study) -> bool:
    symbol, hour = unified(name), pd.Timestamp(CRASH, tz="UTC")
    raw = raws((name,), *OCTOBER)[symbol]
    (entry,) = [
        e.price for e in made["isolated"].broker.events if e.kind == "fill" and e.symbol == symbol
        and e.size > 0
    ]  # fmt: skip
    assert entry == raw.last[ms(CRASH)][0]
    target = raw.last[ms(CRASH) - 3_600_000][3] * TARGET
    falls_at = entry * 0.9 / (1 - lowest_rate(symbol))
    mark_low = raw.marks[ms(CRASH)][2]
    bars = fine(name).loc[hour : hour + pd.Timedelta(minutes=55)]
    assert len(bars) == 12
    for high, low in zip(bars["high"], bars["low"], strict=True):
        reached, fell = high >= target, max(low, mark_low) <= falls_at
        assert not (reached and fell), "even five minutes leave it open"
        if reached or fell:
            return bool(fell)
    return False


def lowest_rate(symbol: str) -> float:
    """Maintenance rate of the lowest tier then."""
    return ladder(symbol, ms(CRASH))[0][1]


@pytest.mark.parametrize(("exposure", "leverage"), [(0.6, 10), (1.0, 10), (2.2, 10), (2.0, 20)])
def test_without_orders_inside_the_hour_no_liquidation_depends_on_the_path(
    exposure: float, leverage: float
) -> None:
    """Both joint paths visit the same corners, and health is concave between them."""
    ways: list[dict[str, Any]] = [{}, {"intrabar": "favourable"}, {"detail": detail()}]
    sets, finals = [], []
    for way in ways:
        made = hold(FOUR, OCTOBER, "2025-10-10 01:00", exposure, leverage, **way)
        sets.append({s: _hours(made[s].broker.events) for s in ("cross", "isolated")})
        finals.append([made[s].final for s in ("cross", "isolated")])
    assert sets[0] == sets[1] == sets[2]
    assert finals[0] == pytest.approx(finals[1], rel=1e-9)
    assert finals[0] == pytest.approx(finals[2], rel=1e-3)


def _hours(events: list[Any]) -> set[tuple[int, str]]:
    return {(e.time, e.symbol) for e in events if e.kind == "liquidation"}
