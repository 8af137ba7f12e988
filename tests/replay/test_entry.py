"""Replaying cells: what is proved of a strategy, what is replayed, what is handed back, and is it right."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import bt_margin as btm
from bt_margin.studies.cells import Cell, Job, full
from bt_margin.studies.replay import Replay, replayed
from bt_margin.studies.replay import entry as entry_module

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def frames(bars: int = 600, wild: float = 0.012) -> dict[str, pd.DataFrame]:
    draw, found = np.random.default_rng(11), {}
    index = pd.date_range("2024-01-01", periods=bars, freq="1h", tz="UTC")
    common = draw.normal(0.0, wild, bars)
    for name, first in ((BTC, 40_000.0), (ETH, 2_000.0)):
        close = first * np.exp(np.cumsum(common + draw.normal(0.0, wild / 2, bars)))
        opens = np.concatenate(([first], close[:-1]))
        frame = pd.DataFrame({"open": opens, "close": close}, index=index)
        frame["high"] = np.maximum(opens, close) * (1.0 + np.abs(draw.normal(0.0, wild / 2, bars)))
        frame["low"] = np.minimum(opens, close) / (1.0 + np.abs(draw.normal(0.0, wild / 2, bars)))
        frame["volume"] = 1.0
        found[name] = frame[["open", "high", "low", "close", "volume"]]
    return found


class Blind(bt.Strategy):
    """Follows an average of each coin, whatever its account does."""

    params = (("period", 20), ("exposure", 1.0))

    def __init__(self) -> None:
        self.means = {data: bt.ind.SMA(data.close, period=self.p.period) for data in self.datas}
        self.side = dict.fromkeys(self.datas, 0)

    def next(self) -> None:
        for data, mean in self.means.items():
            side = 1 if data.close[0] > mean[0] else -1
            if side != self.side[data]:
                self.side[data] = side
                unit = data.close[0] * self.broker.getcommissioninfo(data).p.mult
                self.order_target_size(data, side * self.p.exposure * self.broker.getvalue() / unit)


class Obedient(Blind):
    """The same, but a coin that was lost is left alone."""

    def next(self) -> None:
        lost = [d for d in self.datas if self.side[d] and not self.getposition(d).size]
        for data in lost:
            self.means.pop(data, None)
        super().next()


class Greedy(bt.Strategy):
    """Sizes by the cash it has left."""

    def next(self) -> None:
        if len(self) % 40 == 10:
            self.buy(size=0.5 * self.broker.getcash() / self.data.close[0])
        elif len(self) % 40 == 30:
            self.close()


class Stopping(Blind):
    """Stops for good when a tenth is lost."""

    def next(self) -> None:
        if self.broker.getvalue() > 0.9 * self.broker.startingcash:
            super().next()


class Sided(bt.Strategy):
    def next(self) -> None:
        if len(self) == 5:
            self.buy(size=0.1, position_side="long")


def job(strategy: Any, **common: Any) -> Job:
    venue = btm.venue(
        "generic", tiers=[(50_000, 0.005, 0.0, 100), (None, 0.02, None, 50)], taker_fee=0.0005, maker_fee=0.0,
        liquidation_fee=0.005, funding_interval="8h", residual="fund",
    )  # fmt: skip
    data = frames()
    stamps = data[BTC].index[::8]
    funding = {name: pd.Series(0.0003, stamps) for name in data}
    return Job(strategy, data, {}, {"venue": venue, "cash": 10_000.0, "funding": funding, **common})


CELLS = [
    Cell(k, {"leverage": leverage, "margin_mode": mode})
    for k, (leverage, mode) in enumerate(
        (leverage, mode) for leverage in (2.0, 4.0, 12.0, 40.0) for mode in ("cross", "isolated")
    )
]


def test_a_blind_strategy_is_replayed_and_every_number_is_that_of_the_full_run() -> None:
    work = job(Blind)
    found = replayed(work, CELLS, check=len(CELLS))
    assert found.wrong == ""
    assert (len(found.outcomes), found.left, found.refused) == (len(CELLS), (), None)
    assert sorted(found.checked) == [cell.number for cell in CELLS]
    assert sum(one.row["liquidations"] for one in found.outcomes) > 10
    for one in found.outcomes:
        other = full(one.cell, work)
        assert (one.row["engine"], other.row["engine"]) == ("replay", "full")
        assert one.row.keys() == other.row.keys()
        for name in one.row.keys() - {"engine", "seconds"}:
            assert same(one.row[name], other.row[name]), (one.cell, name)


def same(one: Any, other: Any) -> bool:
    if not isinstance(one, float):
        return bool(one == other)
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (one != one and other != other)


def test_an_obedient_strategy_is_replayed_until_its_account_says_no() -> None:
    work = job(Obedient)
    found = replayed(work, CELLS, check=2)
    assert found.wrong == ""
    assert found.outcomes
    assert found.left
    assert all(one.row["liquidations"] == one.row["rejected_orders"] == 0 for one in found.outcomes)
    for one in found.left:
        other = full(one.cell, work)
        assert other.row["liquidations"] + other.row["rejected_orders"] > 0
        assert one.until is not None


@pytest.mark.parametrize(
    ("strategy", "why"),
    [(Greedy, "reads its account"), (Stopping, "looked at as a number"), (Sided, "position_side")],
)
def test_a_strategy_that_cannot_be_replayed_is_handed_back_with_the_reason(
    strategy: Any, why: str
) -> None:
    found = replayed(job(strategy), CELLS[:2])
    assert found.outcomes == ()
    assert [one.cell for one in found.left] == CELLS[:2]
    assert why in (found.refused or "")


def test_replaying_a_strategy_that_reads_its_account_would_have_been_wrong() -> None:
    """The tape of another account, played for this one, ends at another equity than the run itself."""
    work = job(Stopping)
    blind = replayed(job(Blind), CELLS[4:5], check=0).outcomes[0]
    own = full(CELLS[4], work)
    assert abs(blind.row["final_equity"] - own.row["final_equity"]) > 100.0


def test_a_check_that_fails_hands_every_cell_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_module, "compared", lambda job, one: "something differs")
    found = replayed(job(Blind), CELLS[:2], check=1)
    assert found.outcomes == ()
    assert len(found.left) == 2
    assert "something differs" in (found.refused or "")


def test_threads_give_the_same_outcomes() -> None:
    work = job(Blind)
    replay = Replay(work)
    one, two = (replayed(work, CELLS, check=0, threads=n, replay=replay) for n in (1, 2))
    numbers = [[o.row["final_equity"] for o in found.outcomes] for found in (one, two)]
    assert numbers[0] == numbers[1]
    assert [o.cell.number for o in two.outcomes] == [cell.number for cell in CELLS]


@pytest.mark.parametrize(("settings", "why"), [
    ({"auto_top_up": True}, "auto_top_up"), ({"leverage": 5.0, "venue": "krakenspot"}, "Kraken"),
    ({"leverage": 101.0}, "exceeds"), ({"coc": True}, "coc"),
])  # fmt: skip
def test_a_cell_beyond_the_kernel_is_handed_back_alone(settings: dict[str, Any], why: str) -> None:
    cells = [CELLS[0], Cell(1, settings)]
    found = replayed(job(Blind), cells, check=0)
    assert [one.cell.number for one in found.outcomes] == [0]
    assert why in found.left[0].reason


def test_dated_tables_fees_and_premiums_of_a_real_venue() -> None:
    data = {
        n: f.set_axis(f.index + pd.Timedelta(days=708)) for n, f in frames(800).items()
    }  # into 2026
    work = Job(Blind, data, {}, {"venue": "binance", "cash": 40_000.0})
    found = replayed(
        work,
        [Cell(0, {"leverage": 20.0}), Cell(1, {"leverage": 45.0, "margin_mode": "isolated"})],
        check=2,
    )
    assert (found.wrong, len(found.outcomes)) == ("", 2)
