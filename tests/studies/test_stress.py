"""Stress tests: markets, modes, probabilities with their intervals, and who did the work."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, Hedge, Hold, flat_venue, frame

from bt_margin.errors import InputError
from bt_margin.market.synthetic import generate_market
from bt_margin.studies import chances
from bt_margin.studies.bootstrap import Bootstrap
from bt_margin.studies.compare import compare
from bt_margin.studies.crashes import Crash, Fall, Plunge
from bt_margin.studies.shocks import CrashAt, Gap, Outage, Slippage, shocked
from bt_margin.studies.stress import stress
from bt_margin.studies.stress_points import points
from bt_margin.studies.stressed import QUANTILES, TIE, Stress
from bt_margin.venues import venue, venues

MARKET = {s: f for s, f in generate_market(seed=5, hours=600).items() if s in (BTC, ETH)}
ACCOUNT: dict[str, Any] = {"venue": flat_venue(), "leverage": 10.0, "cash": 10_000.0}
HALF = Crash(
    "half", "Half", "2025-01-01", (Fall("BTC", (Plunge(2, 0.9, 0.5, 0.6, 0.55),), 0.7, -0.01, 3, 1),), ()
)  # fmt: skip


class Moody(Hold):
    """Takes its exposure from chance: the same chance in every mode."""

    def next(self) -> None:
        if len(self) == 1:
            for data in self.datas:
                self.order_target_percent(data, target=float(np.random.uniform(1.0, 4.0)))


def stressed(**changes: Any) -> Stress:
    asked = {"paths": 4, "crashes": ["2025-10-10"], "at": 1, "seed": 3, **ACCOUNT} | changes
    strategy = asked.pop("strategy", Hold)
    return stress(strategy, asked.pop("data", MARKET), **asked)


FOUND = stressed(shocks=[Slippage(0.001)], paths=6)


# -- markets -----------------------------------------------------------------------------------------


def test_every_market_is_run_in_every_mode() -> None:
    kinds = FOUND.runs.groupby("kind")["scenario"].agg(list).to_dict()
    both = ["cross", "isolated"]
    assert kinds == {"history": both, "shocked": both, "crash": both, "path": both * 6}
    assert list(FOUND.paths["path"].unique()) == [0, 1, 2, 3, 4, 5]
    assert len(FOUND.crashes) + len(FOUND.paths) == len(FOUND.runs) == len(FOUND.to_frame())


def test_the_plain_history_is_the_comparison_and_knows_no_shock() -> None:
    plain = compare(Hold, MARKET, **ACCOUNT)
    own = FOUND.runs[FOUND.runs["kind"] == "history"].set_index("scenario")["final_equity"]
    for name, run in plain.runs.items():
        assert own[name] == run.final
    shocks = FOUND.runs[FOUND.runs["kind"] == "shocked"].set_index("scenario")["final_equity"]
    assert (shocks < own).all()


def test_a_crash_and_a_path_are_what_a_person_makes_by_hand() -> None:
    found = stressed(paths=2, shocks=[Gap(-0.05, MARKET[BTC].index[50])])
    begun = pd.Timestamp(points(MARKET, 1)[0], unit="ms", tz="UTC")
    by_hand = {
        "crash": shocked(MARKET, [CrashAt("2025-10-10", begun), Gap(-0.05, MARKET[BTC].index[50])]),
        "path": shocked(Bootstrap(MARKET).path(3, 1), [Gap(-0.05, MARKET[BTC].index[50])]),
    }
    for kind, frames in by_hand.items():
        own = found.runs[found.runs["kind"] == kind].groupby("scenario")["final_equity"].last()
        for name, run in compare(Hold, frames, **ACCOUNT).runs.items():
            assert own[name] == run.final


def test_crashes_begin_where_they_are_asked_to() -> None:
    index = MARKET[BTC].index
    found = stressed(paths=0, crashes=["ftx", HALF], at=[str(index[100]), str(index[300])])
    own = found.runs[found.runs["kind"] == "crash"].drop_duplicates("market")
    assert list(own["crash"]) == ["2022-11", "2022-11", "half", "half"]
    assert list(own["at"]) == [index[100], index[300]] * 2
    assert points(MARKET, 3) == [int(index[n].timestamp() * 1000) for n in (150, 300, 450)]


def test_a_crash_of_ones_own_reaches_its_depth() -> None:
    calm = {BTC: frame([100.0] * 60)}
    found = stressed(paths=0, crashes=[HALF], at=str(calm[BTC].index[20]), data=calm)
    ends = found.crashes.set_index(["kind", "scenario"])["liquidations"]
    assert ends["history", "cross"] == 0
    assert ends["crash", "cross"] == 1  # five times the equity does not survive half the price


def test_an_outage_is_felt_on_paths_and_crashes_and_not_in_the_history() -> None:
    class Late(bt.Strategy):
        def next(self) -> None:
            if len(self) == 10:
                self.buy(size=0.01)

    outage = Outage(MARKET[BTC].index[10], 1.0)
    found = stressed(strategy=Late, shocks=[outage], paths=2)
    refused = found.runs.groupby("kind")["rejected_orders"].max()
    assert dict(refused) == {"history": 0, "shocked": 1, "crash": 1, "path": 1}


def test_both_modes_meet_the_same_chance() -> None:
    found = stressed(strategy=Moody, paths=3, crashes=())
    most = found.runs.pivot(index="market", columns="scenario", values="max_leverage")
    alive = found.runs.groupby("market")["liquidations"].max() == 0
    assert alive.any()
    np.testing.assert_allclose(most["cross"][alive], most["isolated"][alive], rtol=1e-9)
    assert found.paths["max_leverage"].nunique() > 1


# -- who works ---------------------------------------------------------------------------------------


def test_the_result_does_not_depend_on_the_number_of_workers() -> None:
    again = stressed(shocks=[Slippage(0.001)], paths=6, workers=2)
    pd.testing.assert_frame_equal(again.runs, FOUND.runs)
    for name in FOUND.scenarios:
        assert again.curves[name].tobytes() == FOUND.curves[name].tobytes()
    for name, table in FOUND.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)


def test_more_paths_keep_those_that_were_there() -> None:
    more = stressed(paths=6, crashes=())
    fewer = stressed(paths=2, crashes=())
    pd.testing.assert_frame_equal(
        more.paths[more.paths["path"] < 2].reset_index(drop=True), fewer.paths
    )


def test_progress_is_told_until_all_is_done() -> None:
    told: list[float] = []
    stressed(paths=2, progress=lambda label, share: told.append(share))
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_a_run_that_fails_is_an_error_that_names_its_market() -> None:
    class Breaks(bt.Strategy):
        def next(self) -> None:
            if self.data.close[0] < 0.75 * self.data.open[0]:
                raise ZeroDivisionError("no bid")

    with pytest.raises(
        InputError, match=r"Breaks failed on half at .*cross: ZeroDivisionError: no bid"
    ):
        stressed(strategy=Breaks, crashes=[HALF], paths=0)


# -- probabilities -----------------------------------------------------------------------------------


def test_the_probability_of_a_liquidation_is_the_share_of_paths_with_wilsons_interval() -> None:
    for name in FOUND.scenarios:
        own = FOUND.paths[FOUND.paths["scenario"] == name]
        died = int((own["liquidations"] > 0).sum())
        row = FOUND.probability.query("scenario == @name and event == 'liquidation'").iloc[0]
        assert tuple(row[["value", "low", "high", "n"]]) == tuple(chances.wilson(died, 6))


def test_horizons_rise_to_the_whole_path() -> None:
    whole = FOUND.probability[FOUND.probability["event"] == "liquidation"].set_index("scenario")
    for name, own in FOUND.horizons.groupby("scenario"):
        assert own["value"].is_monotonic_increasing
        assert own["value"].iloc[-1] == whole.loc[name, "value"]
        assert own["days"].iloc[-1] == round(FOUND.days, 2)


def test_winners_and_ties_are_all_there_is() -> None:
    assert list(FOUND.winner["winner"]) == ["cross", "isolated", TIE]
    assert FOUND.winner["value"].sum() == pytest.approx(1.0)
    ends = FOUND.paths.pivot(index="path", columns="scenario", values="final_equity")
    won = float((ends["cross"] > ends["isolated"] * (1 + 1e-9)).mean())
    assert FOUND.winner.set_index("winner").loc["cross", "value"] == pytest.approx(won)
    flat = {BTC: frame([100.0] * 100)}
    assert list(stressed(data=flat, crashes=(), paths=2).winner["value"]) == [0.0, 0.0, 1.0]


def test_a_hedged_pair_lives_longer_in_a_cross_pool() -> None:
    found = stressed(strategy=Hedge, paths=12, crashes=["2025-10-10", "ftx"])
    died = found.runs[found.runs["kind"] != "history"].groupby("scenario")["liquidations"].sum()
    assert died["cross"] <= died["isolated"]


def test_equity_statistics_come_with_their_bootstrap_intervals() -> None:
    own = FOUND.paths[FOUND.paths["scenario"] == "cross"]["final_equity"]
    table = FOUND.equity[FOUND.equity["scenario"] == "cross"].set_index("statistic")
    assert table.loc["median", "value"] == pytest.approx(own.median())
    assert table.loc["mean of the worst 5 %", "value"] == pytest.approx(own.min())
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()


def test_the_fan_holds_the_curves() -> None:
    fan = FOUND.fan[FOUND.fan["scenario"] == "isolated"]
    levels = fan[[f"q{q:g}" for q in QUANTILES]].to_numpy()
    assert (np.diff(levels, axis=1) >= 0.0).all()
    np.testing.assert_allclose(levels[:, 2], np.median(FOUND.curves["isolated"], axis=0))
    ends = FOUND.paths[FOUND.paths["scenario"] == "isolated"]["final_equity"]
    np.testing.assert_array_equal(FOUND.curves["isolated"][:, -1], ends)


def test_without_paths_there_are_no_probabilities() -> None:
    found = stressed(paths=0)
    for name in ("probability", "horizons", "equity", "winner", "fan"):
        assert found.tables[name].empty
    assert "2025-10-10" in repr(found)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (3, 200, 0.0051, 0.0432),
    ],
)
def test_wilsons_interval(count: int, n: int, low: float, high: float) -> None:
    found = chances.wilson(count, n)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    z = 1.959963984540054
    for edge in (
        found.low,
        found.high,
    ):  # where the test of the count against the edge is on its limit
        if 0.0 < edge < 1.0:
            assert abs(count / n - edge) == pytest.approx(z * math.sqrt(edge * (1 - edge) / n))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    luck = np.random.default_rng(4)
    hits = [
        found.low <= 0.2 <= found.high
        for found in (chances.wilson(int(luck.binomial(60, 0.2)), 60) for _ in range(400))
    ]
    assert 0.92 < np.mean(hits) < 0.98
    inside = []
    for seed in range(60):
        found = chances.resampled(luck.normal(5.0, 1.0, 80), chances.median, seed)
        inside.append(found.low <= 5.0 <= found.high)
    assert np.mean(inside) > 0.85


def test_nothing_observed_is_nothing_known() -> None:
    assert chances.wilson(0, 0)[1:] == (0.0, 1.0, 0)
    assert math.isnan(chances.resampled(np.array([]), chances.mean, 1).value)


# -- what it leaves ----------------------------------------------------------------------------------


def test_a_page_that_asks_for_nothing(tmp_path: Path) -> None:
    text = FOUND.report(tmp_path / "stress.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert text.count("<svg") == 5
    assert "SYNTHETIC" in text
    assert "Binance USDS-M BTCUSDT perpetual" in text


def test_everything_in_a_folder(tmp_path: Path) -> None:
    files = {path.name for path in FOUND.to_dir(tmp_path)}
    assert {"runs.csv", "runs.parquet", "winner.csv", "fan.parquet", "stress.html"} <= files
    back = pd.read_parquet(tmp_path / "runs.parquet")
    pd.testing.assert_series_equal(back["final_equity"], FOUND.runs["final_equity"])


def test_words_for_a_terminal_and_a_notebook() -> None:
    text = repr(FOUND)
    assert text.startswith("Hold under stress: cross and isolated")
    assert "On 6 resampled paths of 25 days a position was liquidated under cross on" in text
    assert "Of 1 crash laid over the history" in text
    assert "<svg" in FOUND._repr_html_()


def test_names_that_steer_a_page_are_text() -> None:
    found = stressed(scenarios={"<b>x</b>": {"margin_mode": "cross"}}, paths=2)
    assert "<b>x" not in found._repr_html_()
    assert list(found.winner["winner"]) == ["<b>x</b>", TIE]


# -- venues ------------------------------------------------------------------------------------------

STATED: dict[str, dict[str, Any]] = {
    "dydx_v3": {"taker_fee": 0.0005, "maker_fee": 0.0002},
    "okx": {"coins": True},
}
EVERYTHING = [
    "gap=-0.05@2024-01-06", "wick=-0.2@2024-01-07", "funding=-0.01@2024-01-06", "tiers=3@2024-01-06",
    "outage=6h@2024-01-06", "slippage=0.001", "liquidation-slippage=0.01", "depeg=-0.02@2024-01-08/6h",
]  # fmt: skip


@pytest.mark.parametrize("name", [each for each in venues() if each != "generic"])
def test_every_venue_stands_every_shock_in_the_modes_it_has(name: str) -> None:
    rules = venue(name, **STATED.get(name, {}))
    symbol = BTC if rules.equivalent(BTC) else "BTC/USD:BTC"
    rules = rules.standing_for([symbol]) if symbol == BTC else rules
    shocks = [each for each in EVERYTHING if symbol == BTC or not each.startswith("depeg")]
    found = stressed(
        data={symbol: MARKET[BTC].iloc[:240]}, venue=rules, leverage=3.0, shocks=shocks, paths=1,
        params={"exposure": 1.5}, cash=10_000.0 if symbol == BTC else 1.0,
    )  # fmt: skip
    assert len(found.runs) == 4 * len(found.scenarios)
    assert (found.runs["final_equity"] >= 0.0).all()


# -- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"paths": -1}, "paths"),
        ({"seed": 1.5}, "seed"),
        ({"crashes": ["1929"]}, "no crash is called"),
        ({"at": "2031-01-01"}, "at lies outside the data"),
        ({"at": 0}, "how many points"),
        ({"at": []}, "a time, times"),
        ({"length": "long"}, "length"),
        ({"block": "1s"}, "block"),
        ({"shocks": ["gab=1@2025-01-01"]}, "not of the form"),
        ({"shocks": [Gap(-0.1, "2031-01-01")]}, "outside the data"),
        ({"margin_mode": "cross"}, "margin mode is what is compared"),
        ({"levrage": 3}, "levrage"),
        ({"params": {"exposuer": 1.0}}, "exposure"),
        ({"strategy": Hold.__name__}, "a subclass of backtrader.Strategy"),
        ({"workers": 0}, "workers"),
        ({"scenarios": {"tie": {"margin_mode": "cross"}}}, "cannot be called 'tie'"),
        ({"detail": {BTC: MARKET[BTC]}}, "detail= belongs to the history"),
        ({"scenarios": {"x": {"mark": {BTC: MARKET[BTC]["close"]}}}}, "mark= belongs"),
        ({"length": "2D", "shocks": [Gap(-0.1, MARKET[BTC].index[400])]}, "on the paths: Gap"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(changes: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        stressed(**changes)


# -- clusters ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_cluster_finds_the_same() -> None:
    pytest.importorskip("distributed", reason="dask is not installed")
    again = stressed(shocks=[Slippage(0.001)], paths=6, workers=2, backend="dask")
    pd.testing.assert_frame_equal(again.runs, FOUND.runs)
    pd.testing.assert_frame_equal(again.fan, FOUND.fan)
