"""Sweeps: cells, grids and draws, errors as rows, and the same results whoever does the work."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, Hedge, Hold, flat_venue, frame

import bt_margin as btm
from bt_margin.errors import InputError
from bt_margin.studies import sweep as sweeping
from bt_margin.studies.backends import Crew, each
from bt_margin.studies.cells import COLUMNS, Cell, Job, Outcome, full, given, slipping
from bt_margin.studies.sweep import ReplayDiffers, sweep
from bt_margin.studies.sweep_check import compared, sample
from bt_margin.studies.sweep_grid import Uniform, plan
from bt_margin.studies.sweep_rules import altered

FALL = [100.0, 100, 99, 95, 91, 88, 92, 90, 96, 99, 101, 104]
DATA = {BTC: frame(FALL * 3, funding={8: 0.001, 16: -0.0005})}
COMMON: dict[str, Any] = {"venue": "binance", "cash": 10_000, "workers": 2, "engine": "full"}
SERIAL = COMMON | {"backend": "serial"}
GRID = {"leverage": [2, 5, 20], "margin_mode": ["cross", "isolated"], "params.exposure": [1.0, 4.0]}


def numbers(found: Any) -> pd.DataFrame:
    """The table without what may differ: how long a cell took."""
    return found.frame.drop(columns="seconds")


# -- cells -------------------------------------------------------------------------------------------


def test_a_cell_is_what_btm_run_says_of_the_same_settings() -> None:
    found = sweep(Hold, DATA, GRID, **SERIAL).frame
    for number in (0, 5, 11):
        row = found.loc[number]
        run = btm.run(
            Hold, DATA, venue="binance", cash=10_000, leverage=float(row["leverage"]),
            margin_mode=row["margin_mode"], params={"exposure": row["params.exposure"]},
        )  # fmt: skip
        assert row["final_equity"] == run.final
        assert row["liquidations"] == (run.events["kind"] == "liquidation").sum()


def test_every_effective_setting_is_a_column() -> None:
    found = sweep(Hold, DATA, {"leverage": [2]}, intrabar="nearest", **SERIAL).frame.iloc[0]
    told = {"venue": "binance", "margin_mode": "cross", "intrabar": "nearest", "cash": 10_000,
            "params.exposure": 5.0, "auto_top_up": False, "seed": 0, "leverage": 2}  # fmt: skip
    assert {name: found[name] for name in told} == told
    assert not found.index.duplicated().any()
    assert set(COLUMNS) <= set(found.index)


def test_a_cell_that_raises_is_a_row_with_its_error() -> None:
    found = sweep(Hold, DATA, {"leverage": [5, 500]}, **SERIAL)
    assert list(found.frame["error"] == "") == [True, False]
    assert "LeverageError: leverage 500" in found.failed["error"].iloc[0]
    assert np.isnan(found.frame["final_equity"].iloc[1])
    assert "1 failed" in repr(found)


class Tosses(bt.Strategy):
    """Trades on the toss of a coin."""

    def next(self) -> None:
        self.order_target_percent(target=random.choice([-1.0, 1.0]) * np.random.random())


def test_all_cells_meet_the_same_luck_and_the_callers_luck_is_untouched() -> None:
    random.seed(5)
    kept = random.getstate()
    own = {name: value for name, value in SERIAL.items() if name != "cash"}
    same = sweep(Tosses, DATA, {"cash": [10_000, 10_001]}, **own).frame
    assert random.getstate() == kept
    assert same["trades"].nunique() == 1
    assert same["total_return"].iloc[0] == pytest.approx(same["total_return"].iloc[1], rel=1e-2)
    other = sweep(Tosses, DATA, {"seed": [0, 1, 2]}, **SERIAL).frame
    assert other["final_equity"].nunique() == 3
    assert other["final_equity"].iloc[0] == same["final_equity"].iloc[0]


MET: list[int] = []


class Remembers(bt.Strategy):
    """Counts its runs at module level and in its class, and trades by the count."""

    count = 0

    def next(self) -> None:
        if len(self) == 1:
            MET.append(1)
            Remembers.count += 1
            self.order_target_percent(target=0.5 * (len(MET) + Remembers.count))


@pytest.mark.parametrize("backend", ["serial", "loky"])
def test_what_a_run_leaves_behind_does_not_reach_the_next_cell(backend: str) -> None:
    common = COMMON | {"backend": backend, "leverage": 10}
    found = sweep(Remembers, DATA, {"cash": [10_000.0 + n * 1e-9 for n in range(4)]}, **{
        name: value for name, value in common.items() if name != "cash"
    })  # fmt: skip
    assert found.frame["max_leverage"].round(6).nunique() == 1
    assert (Remembers.count, MET) == (0, [])


# -- settings that no broker has ---------------------------------------------------------------------


def test_fees_of_a_cell_are_charged() -> None:
    found = sweep(Hold, DATA, {"taker_fee": [None, 0.0, 0.001]}, leverage=10, **SERIAL).frame
    assert found["fees"].iloc[1] == 0.0
    assert found["fees"].iloc[2] == pytest.approx(2 * found["fees"].iloc[0], rel=0.01)
    doubled = sweep(Hold, DATA, {"fee_factor": [1.0, 2.0]}, leverage=10, **SERIAL).frame
    assert doubled["fees"].iloc[0] == found["fees"].iloc[0]
    assert doubled["fees"].iloc[1] == pytest.approx(found["fees"].iloc[2], rel=1e-3)


def test_a_maintenance_buffer_liquidates_earlier_by_its_share_of_the_requirement() -> None:
    closes = [100.0, 100.0, 100.0, *np.linspace(99, 80, 39)]
    data = {BTC: frame(closes)}
    common: dict[str, Any] = {"venue": flat_venue(), "cash": 10_000, "leverage": 10}
    found = sweep(Hold, data, {"maintenance_buffer": [None, 3.0]}, backend="serial", **common).frame
    # long at 100 with 5x: equity 2 · 10,000/... falls to the requirement at (1 − 1/5) / (1 − rate)
    own = [
        altered(flat_venue(), {"maintenance_buffer": b}).schedule(BTC).at(0).maintenance(10_000)
        for b in (None, 3.0)
    ]
    assert own == [50.0, 200.0]
    assert found["days_to_liquidation"].iloc[1] < found["days_to_liquidation"].iloc[0]


@pytest.mark.parametrize(
    "name", ["bybit", "okx", "hyperliquid", "dydx_v4", "gmx_v2", "krakenfutures"]
)
def test_a_buffer_raises_the_requirement_of_every_venue(name: str) -> None:
    def asked(buffer: float) -> float:
        rules = altered(btm.venue(name), {"maintenance_buffer": buffer})
        symbol = rules.equivalent(BTC) or BTC
        account = btm.Account(
            venue=rules, cash=50_000, margin_mode="isolated", leverage=5, symbols={}
        )
        account.fill(symbol, 1.0, 20_000.0)
        return float(next(iter(account.positions.values())).maintenance())

    assert asked(0.5) == pytest.approx(1.5 * asked(0.0), rel=1e-9)


def test_slippage_of_a_cell_worsens_market_orders() -> None:
    found = sweep(Hold, DATA, {"fill_slippage": [None, 0.01]}, leverage=10, **SERIAL).frame
    assert found["final_equity"].iloc[1] < found["final_equity"].iloc[0]
    assert list(found["slip_open"]) == [False, True]
    assert list(found["slip_perc"]) == [0.0, 0.01]


def test_venues_side_by_side_trade_their_own_contract_of_the_coin() -> None:
    found = sweep(
        Hold, DATA, {"venue": ["binance", "hyperliquid", "okx"]}, leverage=5, cash=10_000,
        margin_mode="isolated", backend="serial", params={"exposure": 2.0},
    )  # fmt: skip
    assert (found.frame["error"] == "").all()
    assert list(found.frame["fees"]) == pytest.approx([-10.0, -9.0, -10.0])


# -- grids and draws ---------------------------------------------------------------------------------


def test_the_last_setting_of_a_grid_changes_fastest() -> None:
    cells = plan({"a": [1, 2], "b": ["x", "y"]}).cells
    assert [tuple(cell.settings.values()) for cell in cells] == [
        (1, "x"),
        (1, "y"),
        (2, "x"),
        (2, "y"),
    ]
    assert [cell.number for cell in cells] == [0, 1, 2, 3]


def test_more_draws_begin_with_the_same_ones_and_a_further_setting_changes_none() -> None:
    own = {"leverage": Uniform(1, 50, log=True)}
    few, many = (plan(None, count, own, 7).cells for count in (3, 6))
    both = plan(None, 3, own | {"margin_mode": ["cross", "isolated"]}, 7).cells
    assert [c.settings for c in few] == [c.settings for c in many[:3]]
    assert [c.settings["leverage"] for c in both] == [c.settings["leverage"] for c in few]
    assert plan(None, 3, own, 8).cells[0].settings != few[0].settings
    twins = plan(None, 3, {"params.fast": Uniform(1, 9), "params.slow": Uniform(1, 9)}).cells
    assert all(c.settings["params.fast"] != c.settings["params.slow"] for c in twins)


def test_each_draw_meets_every_combination_of_the_grid() -> None:
    cells = plan({"margin_mode": ["cross", "isolated"]}, 2, {"leverage": Uniform(1, 9)}).cells
    assert [c.settings["margin_mode"] for c in cells] == ["cross", "isolated"] * 2
    assert cells[0].settings["leverage"] == cells[1].settings["leverage"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"grid": {}}, "nothing to vary"),
        ({"grid": {"leverage": 5}}, "give a list of values"),
        ({"grid": {"leverage": []}}, "no values"),
        ({"grid": {"leverage": [1, 1]}}, "twice"),
        ({"grid": {"leverge": [1]}}, "did you mean leverage"),
        ({"grid": {"exposure": [1]}}, 'say "params.exposure"'),
        ({"grid": {"params.exposre": [1]}}, "did you mean exposure"),
        ({"grid": {"slippage": [0.1]}}, "did you mean fill_slippage"),
        ({"grid": {"leverage": [1]}, "leverage": 3}, "leave one out"),
        ({"grid": {"leverage": [1]}, "engine": "fast"}, "auto, replay, full"),
        ({"grid": {"leverage": [1]}, "backend": "lokyy"}, "did you mean loky"),
        ({"grid": {"leverage": [1]}, "workers": 0}, "from 1 to"),
        ({"grid": {"leverage": [1]}, "workers": 100_000}, "from 1 to"),
        ({"grid": {"leverage": [1]}, "seed": -1}, "seed"),
        ({"grid": {"leverage": [1]}, "seed": 2**32}, "seed"),
        ({"draws": 3}, "go together"),
        ({"draws": 0, "distributions": {"leverage": [1]}}, "from 1 on"),
        ({"draws": 3, "distributions": {"leverage": "abc"}}, "Uniform"),
        ({"grid": {"leverage": [1]}, "address": "tcp://x"}, "is for backend dask or ray"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(asked: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sweep(Hold, DATA, **{"venue": "binance", **asked})


def test_a_cerebro_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match="give the class and its data"):
        sweep(bt.Cerebro(), None, {"leverage": [1]}, venue="binance")


def test_a_sweep_without_a_venue_is_refused() -> None:
    with pytest.raises(InputError, match="no venue"):
        sweep(Hold, DATA, {"leverage": [1]})


# -- the same whoever does the work ------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "workers"), [("loky", 1), ("loky", 3), ("threading", 3)])
def test_workers_give_what_one_process_gives_to_the_last_bit(backend: str, workers: int) -> None:
    alone = sweep(Hold, DATA, GRID, **SERIAL)
    spread = sweep(Hold, DATA, GRID, **(COMMON | {"backend": backend, "workers": workers}))
    pd.testing.assert_frame_equal(numbers(alone), numbers(spread), check_exact=True)


def test_two_symbols_with_marks_and_funding_travel_unharmed() -> None:
    data = {BTC: frame(FALL * 2, funding={8: 0.001}), ETH: frame([p * 2 for p in FALL] * 2)}
    alone, spread = (
        sweep(Hedge, data, {"leverage": [3, 9]}, venue="binance", backend=backend, workers=2)
        for backend in ("serial", "loky")
    )
    pd.testing.assert_frame_equal(numbers(alone), numbers(spread), check_exact=True)


FILE = """
import backtrader as bt
import helper


class Base(bt.Strategy):
    params = (("share", 1.0), ("other", 3))

    def __init__(self):
        self.mean = helper.Mean(self.data, period=3)


class Mine(Base):
    params = (("share", 2.0),)

    def __init__(self):
        super().__init__()

    def next(self):
        if len(self) == 4:
            self.order_target_percent(target=self.p.share * helper.sign(self.mean.mean[0]))
"""
HELPER = """
import backtrader as bt


class Mean(bt.Indicator):
    lines = ("mean",)
    params = (("period", 2),)

    def __init__(self):
        self.lines.mean = bt.ind.SMA(self.data, period=self.p.period)


def sign(value):
    return 1 if value > 0 else -1
"""


def test_a_strategy_in_a_file_with_a_helper_beside_it_reaches_the_workers(tmp_path: Path) -> None:
    from bt_margin.studies.load import find_strategy

    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "helper.py").write_text(HELPER)
    kind = find_strategy(f"{tmp_path / 'mine.py'}:Mine")
    grid = {"params.share": [1.0, 2.0], "leverage": [4]}
    alone, spread = (
        sweep(kind, DATA, grid, **(COMMON | {"backend": backend})) for backend in ("serial", "loky")
    )
    assert (alone.frame["error"] == "").all()
    assert alone.frame["final_equity"].nunique() == 2
    pd.testing.assert_frame_equal(numbers(alone), numbers(spread), check_exact=True)


def test_a_venue_of_ones_own_reaches_the_workers() -> None:
    def ours(*, as_of: Any = None) -> Any:
        return flat_venue(taker_fee=0.01)

    btm.register("ours-in-a-sweep", ours)
    alone, spread = (
        sweep(Hold, DATA, {"leverage": [6]}, venue="ours-in-a-sweep", backend=backend, workers=2)
        for backend in ("serial", "loky")
    )
    assert alone.frame["fees"].iloc[0] < -100
    pd.testing.assert_frame_equal(numbers(alone), numbers(spread), check_exact=True)


# -- workers that die --------------------------------------------------------------------------------


class Kills(bt.Strategy):
    """Kills its own process, once or whenever it runs under this leverage."""

    params = (("flag", ""), ("always", False))

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(target=0.5)
        if len(self) == 5 and self.broker.p.leverage == 3:
            flag = Path(self.p.flag)
            if self.p.always or not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)


class Stays(Kills):
    """The same without the killing."""

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(target=0.5)


def test_a_worker_killed_in_the_middle_loses_no_cell_and_doubles_none(tmp_path: Path) -> None:
    params = {"flag": str(tmp_path / "killed")}
    grid = {"leverage": [1, 2, 3, 4, 5, 6]}
    seen: list[float] = []
    found = sweep(
        Kills, DATA, grid, params=params, store=tmp_path / "store",
        progress=lambda label, share: seen.append(share), **COMMON,
    )  # fmt: skip
    assert (tmp_path / "killed").exists()
    assert (found.frame["error"] == "").all()
    assert len(seen) == 6
    assert len((tmp_path / "store" / "cells.jsonl").read_text().splitlines()) == 6
    alone = sweep(Stays, DATA, grid, params=params, **SERIAL)
    pd.testing.assert_frame_equal(numbers(found), numbers(alone), check_exact=True)


def test_a_cell_that_kills_every_worker_is_a_row_with_its_error(tmp_path: Path) -> None:
    params = {"flag": str(tmp_path / "killed"), "always": True}
    found = sweep(Kills, DATA, {"leverage": [1, 2, 3, 4]}, params=params, **COMMON)
    assert list(found.frame["error"] != "") == [False, False, True, False]
    assert "the worker died each time" in found.failed["error"].iloc[0]


def test_the_packed_job_is_taken_away(tmp_path: Path) -> None:
    job = Job(Hold, DATA, {}, {"venue": "binance"})
    cells = [Cell(0, {"leverage": 2}), Cell(1, {"leverage": 3})]
    coming = each(job, cells, Crew("loky", 1), folder=tmp_path)
    next(coming)
    assert len(list(tmp_path.iterdir())) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib tells of the cell that is under way
        coming.close()  # type: ignore[attr-defined] # it is a generator
    assert list(tmp_path.iterdir()) == []


def test_a_strategy_that_cannot_be_sent_is_refused_with_a_way_out() -> None:
    class Holds(Hold):
        lock = threading.Lock()

    with pytest.raises(InputError, match='backend="serial"'):
        sweep(Holds, DATA, {"leverage": [1]}, **COMMON)


# -- replay or full ----------------------------------------------------------------------------------


AUTO = {name: value for name, value in SERIAL.items() if name != "engine"}


def kernel(
    monkeypatch: pytest.MonkeyPatch, change: float = 0.0, refused: str = "", wrong: str = ""
) -> None:
    """A replay kernel that gives the engine's numbers, changed, and leaves every third cell."""

    def replayed(job: Job, cells: Any, *, threads: int) -> Any:
        own = [full(cell, job) for cell in cells if cell.number % 3 and not refused]
        rows = [{**o.row, "engine": "replay", "fees": o.row["fees"] + change} for o in own]
        outcomes = [Outcome(o.cell, row) for o, row in zip(own, rows, strict=True)]
        left = [SimpleNamespace(reason=refused or "it obeys its account")]
        return SimpleNamespace(outcomes=outcomes, left=left, refused=refused or None, wrong=wrong)

    fake = SimpleNamespace(replayed=replayed)
    real = sweeping.import_module
    monkeypatch.setattr(
        sweeping, "import_module", lambda name: fake if name.endswith(".replay") else real(name)
    )


def test_what_is_replayed_is_checked_and_what_is_left_over_is_run(monkeypatch: Any) -> None:
    kernel(monkeypatch)
    found = sweep(Hold, DATA, GRID, **AUTO)
    assert found.engines == {"full": 4, "replay": 8}
    assert list(found.frame["engine"] == "full") == [n % 3 == 0 for n in range(12)]
    assert "8 cells were replayed; 4 of them were run in full as well and agree" in found.check
    assert "4 others were run in full: it obeys its account." in found.check


def test_a_replay_that_differs_is_thrown_away_loudly(monkeypatch: Any, tmp_path: Path) -> None:
    kernel(monkeypatch, change=1e-6)
    with pytest.warns(ReplayDiffers, match="fees was"):
        found = sweep(Hold, DATA, GRID, store=tmp_path / "store", **AUTO)
    assert found.engines == {"full": 12}
    assert "thrown away" in found.check
    plain = sweep(Hold, DATA, GRID, **(AUTO | {"engine": "full"}))
    pd.testing.assert_frame_equal(numbers(found), numbers(plain), check_exact=True)
    assert len((tmp_path / "store" / "cells.jsonl").read_text().splitlines()) == 12


def test_replayed_cells_that_were_kept_go_with_a_replay_that_differs(
    monkeypatch: Any, tmp_path: Path
) -> None:
    kernel(monkeypatch)
    sweep(Hold, DATA, GRID, store=tmp_path, **AUTO)
    log = tmp_path / "cells.jsonl"
    log.write_text(
        "".join(log.read_text().splitlines(keepends=True)[:5])
    )  # killed after five cells
    kernel(monkeypatch, change=1.0)
    with pytest.warns(ReplayDiffers):
        found = sweep(Hold, DATA, GRID, store=tmp_path, **AUTO)
    assert found.engines == {"full": 12}
    engines = [json.loads(line)[1] for line in log.read_text().splitlines()]
    assert engines == ["full"] * 12


def test_a_refused_replay_says_why(monkeypatch: Any) -> None:
    kernel(monkeypatch, refused="the strategy reads its account")
    assert "reads its account" in sweep(Hold, DATA, {"leverage": [2]}, **AUTO).check
    with pytest.raises(InputError, match="reads its account"):
        sweep(Hold, DATA, {"leverage": [2]}, **(AUTO | {"engine": "replay"}))


def test_what_the_kernel_itself_found_wrong_is_told_loudly(monkeypatch: Any) -> None:
    kernel(monkeypatch, refused="the check failed", wrong="cell 1: the equity differs")
    with pytest.warns(ReplayDiffers, match="the equity differs"):
        found = sweep(Hold, DATA, {"leverage": [2]}, **AUTO)
    assert found.engines == {"full": 1}


def test_the_kernel_there_is_gives_what_full_runs_give() -> None:
    auto, plain = (sweep(Hold, DATA, GRID, **AUTO, engine=name) for name in ("auto", "full"))
    names = list(COLUMNS)
    pd.testing.assert_frame_equal(
        auto.frame[names].astype(float), plain.frame[names].astype(float), rtol=1e-9, atol=1e-9
    )
    assert auto.frame[["trades", "average_margin", "slippage"]].notna().all(axis=None)
    assert sum(auto.engines.values()) == 12
    assert "thrown away" not in auto.check


def test_the_sample_has_both_ends_and_liquidated_cells() -> None:
    cells = [
        Outcome(Cell(n, {}), dict.fromkeys(COLUMNS, 0.0) | {"liquidations": n in (40, 41)})
        for n in range(1000)
    ]
    chosen = [outcome.cell.number for outcome in sample(cells)]
    assert {0, 999, 40, 41} <= set(chosen)
    assert len(chosen) == 10
    assert not compared(sample(cells), sample(cells), cells).differs


def test_a_statistic_that_only_full_runs_have_is_a_difference() -> None:
    rows = [dict.fromkeys(COLUMNS, 1.0), dict.fromkeys(COLUMNS, 1.0) | {"payoff": np.nan}]
    cells = [Cell(n, {}) for n in range(2)]
    plain, replayed = ([Outcome(cell, row) for cell in cells] for row in rows)
    verdict = compared(replayed, plain, replayed)
    assert verdict.differs
    assert "payoff was nan replayed and 1.0 in full" in verdict.sentence
    assert not compared(replayed, replayed, replayed).differs


def test_given_sorts_settings_by_who_reads_them() -> None:
    job = Job(Hold, DATA, {"exposure": 2.0}, {"venue": "binance", "seed": 4})
    own = given(Cell(0, {"leverage": 3, "params.exposure": 1.0, "fill_slippage": 0.1}), job)
    assert dict(own.params) == {"exposure": 1.0}
    assert own.seed == 4
    assert own.broker == {"venue": "binance", "leverage": 3, **slipping(0.1)}
