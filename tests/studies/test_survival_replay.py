"""Survival on the replay kernel: row by row what the full engine says, and loudly dropped where it is not."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, flat_venue

from bt_margin.errors import InputError
from bt_margin.plugin.late import FRESH
from bt_margin.studies import survival_replay, survival_search
from bt_margin.studies.frontier import between, fates_of
from bt_margin.studies.replay.layout import RATES
from bt_margin.studies.starts import Window
from bt_margin.studies.survival import survival
from bt_margin.studies.survival_check import sample
from bt_margin.studies.survival_result import Survival
from bt_margin.studies.survival_work import COLUMNS, FULL, GRID, REPLAY, TO_FAILURE, Plan
from bt_margin.studies.sweep import ReplayDiffers

INVERSE = "BTC/USD:BTC"


def market(symbols: tuple[str, ...] = (BTC, ETH), bars: int = 24 * 13) -> dict[str, pd.DataFrame]:
    """Coins that swing by two per cent an hour, mostly together, with marks of their own and funding."""
    luck, found = np.random.default_rng(5), {}
    index = pd.date_range("2025-01-01", periods=bars, freq="h", tz="UTC")
    common = luck.normal(0.0, 0.018, bars)
    for symbol in symbols:
        close = 100.0 * np.exp(np.cumsum(common + luck.normal(0.0, 0.008, bars)))
        data = pd.DataFrame({"open": np.append(100.0, close[:-1]), "close": close}, index)
        data["high"] = data[["open", "close"]].max(axis=1) * (1.0 + luck.exponential(0.003, bars))
        data["low"] = data[["open", "close"]].min(axis=1) / (1.0 + luck.exponential(0.003, bars))
        data["volume"] = 1.0
        for name in ("open", "high", "low", "close"):
            data[f"mark_{name}"] = data[name] * 1.0005
        data["funding_rate"] = np.where(index.hour % 8 == 0, 0.0004, np.nan)
        found[symbol] = data
    return found


class Blind(bt.Strategy):
    """On the side of an average, whatever the account does; asks for it in the warm-up as well."""

    params = (("period", 9), ("exposure", 0.8))

    def __init__(self) -> None:
        self.means = {data: bt.ind.SMA(data.close, period=self.p.period) for data in self.datas}
        self.side = dict.fromkeys(self.datas, 0)

    def next(self) -> None:
        for data, mean in self.means.items():
            side = 1 if data.close[0] > mean[0] else -1
            if side != self.side[data]:
                self.side[data] = side
                self.order_target_percent(data, target=side * self.p.exposure)


class Stopping(Blind):
    """The same until a position it should have is gone: then it never trades again."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[Any, int] = {}
        self.over = False

    def next(self) -> None:
        due = [data for data, bar in self.asked.items() if len(self) > bar + 1]
        self.over = self.over or any(not self.getposition(data).size for data in due)
        if not self.over:
            before = dict(self.side)
            super().next()
            self.asked |= {d: len(self) for d in self.datas if self.side[d] != before[d]}


class Later(Stopping):
    """The same, but the orders held back in the warm-up are not missed."""

    def next(self) -> None:
        super().next()
        self.asked = {data: bar for data, bar in self.asked.items() if self.getposition(data).size}


class Greedy(bt.Strategy):
    """Sizes by the cash that is left."""

    def next(self) -> None:
        if len(self) % 12 == 3:
            self.buy(size=0.4 * self.broker.getcash() / self.data.close[0])
        elif len(self) % 12 == 9:
            self.close()


class Bypassing(Blind):
    """Hands the broker an order of its own on the third bar, past ``buy``."""

    def next(self) -> None:
        if len(self) == self.p.period + 2:
            self.broker.buy(self, self.data, size=0.5)
        super().next()


def study(strategy: type[bt.Strategy], **changes: Any) -> Survival:
    data = changes.pop("data", None) or market()
    given: dict[str, Any] = {
        "starts": "4d", "horizon": "3d", "leverages": [1, 4, 16, 30, 40, 60], "cash": 1_000.0,
        "venue": flat_venue(taker_fee=0.0005, liquidation_fee=0.01), "backend": "serial", "probes": 2,
    }  # fmt: skip
    given |= changes
    if given.get("wallets"):
        given.pop("cash")
    return survival(strategy, data, **given)


def same_rows(one: Survival, other: Survival) -> None:
    names = [name for name in COLUMNS if name not in ("engine", "seconds")]
    pd.testing.assert_frame_equal(
        one.runs[names], other.runs[names], rtol=1e-9, atol=1e-9, check_dtype=False
    )
    pd.testing.assert_frame_equal(one.frontier, other.frontier, rtol=1e-9, atol=1e-9)


def engines(found: Survival) -> set[str]:
    return set(found.runs["engine"])


# -- replay and full engine --------------------------------------------------------------------------


AGREEING = pytest.mark.filterwarnings("error::bt_margin.studies.sweep.ReplayDiffers")


@AGREEING
@pytest.mark.parametrize(
    ("strategy", "changes", "computed"),
    [
        (Blind, {}, {REPLAY}),
        (Blind, {"loss": 0.1}, {REPLAY}),
        (Blind, {"begin": FRESH}, {REPLAY}),
        (Blind, {"warm_up": "all"}, {REPLAY}),
        (Blind, {"leverages": None, "wallets": [30, 100, 1_000], "leverage": 60}, {REPLAY}),
        (Blind, {"starts": ["2025-01-05", "2025-01-12"], "params": {"exposure": 3.0}}, {REPLAY}),
        (
            Blind,
            {"data": market((INVERSE,)), "cash": 5.0, "leverages": [1, 4, 30, 60]},
            {REPLAY},
        ),
        (Blind, {"venue": "bybit", "leverages": [1, 10, 40, 60]}, {REPLAY}),
        (Blind, {"venue": "okx", "leverages": [1, 10, 40, 60]}, {REPLAY}),
        (Stopping, {"begin": FRESH}, {REPLAY, FULL}),
        (Later, {}, {REPLAY, FULL}),
        (Later, {"loss": 0.1}, {REPLAY, FULL}),
        (Greedy, {}, {FULL}),
        (Bypassing, {}, {FULL}),
    ],
)
def test_every_row_is_that_of_the_full_engine(
    strategy: type[bt.Strategy], changes: dict[str, Any], computed: set[str]
) -> None:
    auto = study(strategy, method=GRID, **changes)
    full = study(strategy, method=GRID, engine=FULL, **changes)
    same_rows(auto, full)
    assert engines(auto) == computed
    assert engines(full) == {FULL}
    assert auto.stamp["runs"] == auto.runs["engine"].value_counts().to_dict()
    assert {True, False} == set(full.runs["survived"])


@AGREEING
@pytest.mark.parametrize("strategy", [Blind, Stopping, Later, Greedy])
def test_the_frontier_of_bisection_is_that_of_the_grid_wherever_both_are_known(
    strategy: type[bt.Strategy],
) -> None:
    auto, full = (
        study(strategy, begin=FRESH),
        study(strategy, begin=FRESH, engine=FULL, method=GRID),
    )
    names = ["start", "margin_mode", "highest", "safe", "monotone", "total_return"]
    pd.testing.assert_frame_equal(auto.frontier[names], full.frontier[names], rtol=1e-9)
    pd.testing.assert_series_equal(auto.rungs["liquidated"], full.rungs["liquidated"])


@AGREEING
def test_a_strategy_that_stops_after_its_liquidation_is_known_up_to_it() -> None:
    """Replayed beyond, it would have gone on trading: its whole rows are those of full runs."""
    ladder = {"leverages": [1, 1.5, 4, 16, 30, 40, 60], "begin": FRESH}  # 1.5: refused, no probe
    auto = study(Stopping, **ladder)
    full = study(Stopping, **ladder, engine=FULL, method=GRID)
    key = ["start", "margin_mode", "leverage"]
    both = auto.runs.merge(full.runs, on=key, suffixes=("", "_full"))
    failed = both[both["engine"] == TO_FAILURE]
    assert len(failed) > 3
    assert not failed["survived"].any()
    assert not failed["survived_full"].any()
    assert failed["days"].tolist() == failed["days_full"].tolist()
    assert failed["final_equity"].isna().all()
    probes = both[both["leverage"].isin([1.0, 60.0])]
    assert probes["final_equity"].tolist() == pytest.approx(probes["final_equity_full"].tolist())
    blind = study(Blind, **ladder).runs.set_index(key)["final_equity"]
    ours = full.runs.set_index(key)["final_equity"]
    assert (blind - ours).abs().max() > 10.0
    assert any("to their failure" in note for note in auto.notes)


class Learning(Stopping):
    """Does not care for its account before the sixth of the month."""

    def next(self) -> None:
        if self.data.datetime.date(0).day < 6:
            self.asked = {}
        super().next()


@AGREEING
def test_what_is_seen_from_one_start_holds_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first start it looks blind; from a later one it is seen to obey its account."""
    given = {"starts": ["2025-01-02", "2025-01-07"], "begin": FRESH}
    monkeypatch.setattr(
        "bt_margin.studies.survival.look", lambda *_: survival_search.Looked("", False)
    )
    runs = study(Learning, **given).runs
    first = runs[(runs["start"] == runs["start"].min()) & ~runs["survived"].astype(bool)]
    assert set(first["engine"]) == {TO_FAILURE, FULL}


def test_medians_are_of_whole_runs_and_curves_of_every_fate() -> None:
    found = study(Stopping, begin=FRESH)
    partly = sorted(set(found.runs.loc[found.runs["engine"] == TO_FAILURE, "leverage"]))
    assert partly
    rows = found.rungs[found.rungs["margin_mode"] == "isolated"].set_index("leverage")
    assert rows.loc[partly, "median_return"].isna().all()
    assert np.isfinite(rows.loc[60.0, "median_return"])
    value = next(value for value in partly if value in found.complete)
    assert found.curve("isolated", value)["liquidated"].iloc[-1] == pytest.approx(
        rows.loc[value, "liquidated"]
    )


def test_workers_find_the_same() -> None:
    one, two = (study(Stopping, begin=FRESH, backend=b, workers=w) for b, w in
                (("serial", None), ("loky", 2)))  # fmt: skip
    kept = [name for name in COLUMNS if name != "seconds"]
    pd.testing.assert_frame_equal(one.runs[kept], two.runs[kept])
    pd.testing.assert_frame_equal(one.frontier, two.frontier)
    assert one.notes == two.notes
    assert one.stamp["check"] == two.stamp["check"]


def test_a_refused_replay_says_why() -> None:
    with pytest.raises(
        InputError, match=r"engine='replay' cannot be used here: .*reads its account"
    ):
        study(Greedy, engine=REPLAY)
    found = study(Greedy)
    assert "reads its account" in found.stamp["check"]
    with pytest.raises(InputError, match="engine"):
        study(Blind, engine="quick")


# -- the check ---------------------------------------------------------------------------------------


@pytest.fixture
def full() -> Survival:
    return study(Blind, engine=FULL)


def broken(monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    """Every replay by ``found(ready, events)`` instead."""
    monkeypatch.setattr(survival_replay, "played", found)


def thrown_away(full: Survival, strategy: type[bt.Strategy] = Blind, **changes: Any) -> str:
    with pytest.warns(ReplayDiffers, match="thrown away") as told:
        found = study(strategy, **changes)
    same_rows(found, full)
    assert engines(found) == {FULL}
    assert any("thrown away" in note for note in found.notes)
    return str(told[0].message)


def test_a_kernel_with_another_fee_is_noticed_and_everything_run_in_full(
    full: Survival, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = survival_replay.played

    def dearer(ready: Any, events: int) -> Any:
        rules = ready.rules._replace(fees=ready.rules.fees * 1.0001)
        return played(ready._replace(rules=rules), events)

    broken(monkeypatch, dearer)
    assert "fee" in thrown_away(full)


def test_a_kernel_with_other_tiers_is_noticed_by_the_liquidated_among_the_sample(
    full: Survival, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = survival_replay.played

    def milder(ready: Any, events: int) -> Any:
        tiers = ready.rules.tiers.copy()
        tiers[RATES] *= 0.999
        return played(ready._replace(rules=ready.rules._replace(tiers=tiers)), events)

    broken(monkeypatch, milder)
    assert "event" in thrown_away(full)


def test_an_equity_that_is_wrong_at_one_close_is_noticed(
    full: Survival, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = survival_replay.played

    def off(ready: Any, events: int) -> Any:
        status, state, equity = played(ready, events)
        equity[40] += 1e-5
        return status, state, equity

    broken(monkeypatch, off)
    assert "the equity differs" in thrown_away(full)


def test_a_margin_that_is_wrong_is_noticed(full: Survival, monkeypatch: pytest.MonkeyPatch) -> None:
    margin = survival_replay.Player._mean_margin
    monkeypatch.setattr(
        survival_replay.Player, "_mean_margin", lambda *given: margin(*given) * 1.001
    )
    assert "average_margin" in thrown_away(full)


def test_a_fate_that_a_full_run_contradicts_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    lived = survival_replay.Player.lived

    def later(self: Any, one: Any) -> Any:
        found = lived(self, one)
        return found if found.died is None else found._replace(died=found.died + 3_600_000)

    full = study(Stopping, begin=FRESH, engine=FULL)
    monkeypatch.setattr(survival_replay.Player, "lived", later)
    assert "days" in thrown_away(full, Stopping, begin=FRESH)


def test_the_rows_themselves_are_compared(full: Survival, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed = survival_search.replayed

    def altered(*given: Any) -> Any:
        known, reason = replayed(*given)
        for row in [row for rows in known.values() for row in rows.values()]:
            row["final_equity"] += 1e-5
        return known, reason

    monkeypatch.setattr(survival_search, "replayed", altered)
    assert "final_equity" in thrown_away(full)


def test_the_sample_has_both_modes_both_fates_and_windows_all_over_the_history() -> None:
    found = study(Blind, starts="1d", method=GRID)
    raw = found.runs.assign(start=found.runs["start"].astype("int64") // 10**6)
    starts = sorted(set(raw["start"]))
    windows = [Window(k, start, start, start + 1, True) for k, start in enumerate(starts)]
    chosen = sample(raw, windows)
    rows = [row for own in chosen.rows.values() for row in own]
    assert (chosen.failed > 0, chosen.survived > 0) == (True, True)
    assert chosen.failed + chosen.survived == len(rows) >= 8
    assert {(row["margin_mode"], bool(row["survived"])) for row in rows} == set(
        zip(raw["margin_mode"], raw["survived"].astype(bool), strict=True)
    )
    assert min(chosen.rows) < len(starts) / 3
    assert max(chosen.rows) > 2 * len(starts) / 3
    again = sample(raw, windows)
    assert list(again.rows) == list(chosen.rows)


# -- small parts -------------------------------------------------------------------------------------


def test_rungs_that_were_not_run_lie_between_their_neighbours_from_every_start_at_once() -> None:
    luck = np.random.default_rng(2)
    plan = Plan("leverage", tuple(float(k) for k in range(1, 9)), (0,), GRID, "joins")
    rows = [
        {"start": start, "leverage": plan.ladder[rung], "survived": bool(luck.integers(2))}
        for start in range(30)
        for rung in luck.choice(8, int(luck.integers(1, 9)), replace=False)
    ]
    runs = pd.DataFrame(rows)
    for start, fates in enumerate(fates_of(runs, plan)):
        own = runs[runs["start"] == start]
        known = {
            int(v) - 1: float(s) for v, s in zip(own["leverage"], own["survived"], strict=True)
        }
        assert fates.tolist() == between(known, 8)
