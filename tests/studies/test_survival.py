"""Rolling starts: where they are, what is held back before them, and what is found from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, Hedge, Hold, flat_venue, frame

from bt_margin.errors import DataError, InputError
from bt_margin.plugin.late import FRESH, JOINS, late
from bt_margin.studies.cells import Cell, Job, run_cell
from bt_margin.studies.frontier import FRONTIER, RUNGS, between
from bt_margin.studies.run import run
from bt_margin.studies.starts import DAY, WarmUp, from_start, needed, span, windows
from bt_margin.studies.survival import survival
from bt_margin.studies.survival_curves import Blocks, curve, kaplan_meier
from bt_margin.studies.survival_result import Survival
from bt_margin.studies.survival_work import COLUMNS, Edge, find_edge, probes_of

HOUR = 3_600_000
COMMON: dict[str, Any] = {
    "venue": flat_venue(),
    "cash": 1_000.0,
    "backend": "serial",
    "engine": "full",
}


class Crossing(bt.Strategy):
    """Long above its average, flat below: decides by prices alone; a bar's number is no matter."""

    params = (("period", 5), ("exposure", 1.0))

    def __init__(self) -> None:
        self.gap = self.data.close - bt.ind.SMA(self.data.close, period=self.p.period)
        self.above = False
        self.calls: list[tuple[str, int]] = []

    def next(self) -> None:
        self.calls.append(("next", len(self)))
        above = bool(self.gap[0] > 0)
        if above != self.above:
            self.above = above
            self.order_target_percent(target=self.p.exposure if above else 0.0)

    def nextstart(self) -> None:
        self.calls.append(("nextstart", len(self)))
        self.next()


def wave(bars: int = 240, seed: int = 3) -> pd.DataFrame:
    luck = np.random.default_rng(seed)
    return frame(list(100.0 * np.exp(np.cumsum(luck.normal(0.0, 0.01, bars)))))


def fills(run_: Any) -> list[tuple[int, bool]]:
    return [(e.time, e.size > 0) for e in run_.broker.events if e.kind == "fill"]


def one_way(drop: float, bars: int = 72) -> pd.DataFrame:
    """A fall by ``drop`` in the second half, and back again at the end."""
    closes = np.full(bars, 100.0)
    closes[bars // 2 : bars - 6] = 100.0 * (1.0 - drop)
    return frame(list(closes))


# -- starts ------------------------------------------------------------------------------------------


def test_every_midnight_is_a_start_that_is_warm_and_whose_horizon_fits() -> None:
    data = {BTC: wave(24 * 10)}
    found = windows(data, "1d", 3 * DAY, WarmUp(30, JOINS))
    first = pd.Timestamp(found[0].start, unit="ms")
    assert first == pd.Timestamp(
        "2025-01-03"
    )  # thirty bars fill the first of January and a quarter
    assert found[0].start - found[0].first == 30 * HOUR
    assert [w.start - found[0].start for w in found] == [k * DAY for k in range(len(found))]
    assert found[-1].until == int(data[BTC].index[-1].value // 10**6) + HOUR
    assert all(w.whole and w.until == w.start + 3 * DAY for w in found)


def test_a_start_waits_for_the_feed_that_begins_last() -> None:
    data = {BTC: wave(240), ETH: wave(240).iloc[100:]}
    found = windows(data, "1h", 2 * DAY, WarmUp(10, JOINS))
    assert found[0].start == int(data[ETH].index[10].value // 10**6)


def test_listed_starts_may_be_cut_short_by_the_end_of_the_data() -> None:
    found = windows({BTC: wave(240)}, ["2025-01-10", "2025-01-05 12:00"], 2 * DAY, WarmUp(0, JOINS))
    assert [w.whole for w in found] == [True, False]
    assert found[1].until - found[1].start == DAY


@pytest.mark.parametrize(
    ("starts", "horizon", "bars", "error", "words"),
    [
        ("1d", 30 * DAY, 0, DataError, "no start fits"),
        ("often", DAY, 0, InputError, "a length of time"),
        ([], DAY, 0, InputError, "empty list"),
        (["2024-01-01"], DAY, 0, InputError, "outside"),
        (["2025-01-01 05:00"], DAY, 20, InputError, "warm-up"),
        (["someday"], DAY, 0, InputError, "not a time"),
    ],
)
def test_starts_that_cannot_be_are_told(
    starts: Any, horizon: int, bars: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        windows({BTC: wave(240)}, starts, horizon, WarmUp(bars, JOINS))


@pytest.mark.parametrize("text", ["0d", "-1d", "90", "", None, 5])
def test_a_length_of_time_is_positive_and_has_a_unit(text: Any) -> None:
    with pytest.raises(InputError, match="a length of time"):
        span(text, "horizon")


def test_the_bars_that_indicators_need_are_counted() -> None:
    job = Job(Crossing, {BTC: wave()}, {"period": 17}, {k: COMMON[k] for k in ("venue", "cash")})
    assert needed(job, Cell(0, {"leverage": 5.0, "margin_mode": "cross"})) == 17


# -- before the start --------------------------------------------------------------------------------


def started(begin: str, at: int = 100, bars: int = 10, data: pd.DataFrame | None = None) -> Any:
    data = wave() if data is None else data
    start = int(data.index[at].value // 10**6)
    (window,) = windows({BTC: data}, [data.index[at]], 5 * DAY, WarmUp(bars, begin))
    assert window.start == start
    job = Job(Crossing, {BTC: data}, {}, {"venue": flat_venue(), "cash": 1_000.0, "leverage": 5.0})
    return run_cell(Cell(0, {"margin_mode": "cross"}), from_start(job, window, begin)), window


@pytest.mark.parametrize("at", [60, 71, 100, 101, 118])
def test_who_joins_trades_after_the_start_as_in_the_whole_history(at: int) -> None:
    data = wave()
    whole = run(Crossing, {BTC: data}, venue=flat_venue(), cash=1_000.0, leverage=5.0)
    found, window = started(JOINS, at, data=data)
    own = [each for each in fills(found) if each[1] or each != fills(found)[0]]
    known = [e for e in fills(whole) if window.start < e[0] < window.until]
    buys = known[next(k for k, e in enumerate(known) if e[1]) :]  # a sale of nothing fills nothing
    assert own == buys
    assert all(time > window.start for time, _ in fills(found))


def test_nothing_is_traded_before_the_start_and_a_new_strategy_acts_at_once() -> None:
    data = wave()
    joined, window = started(JOINS, data=data)
    fresh, _ = started(FRESH, data=data)
    assert min(t for t, _ in fills(joined)) > window.start
    calls = fresh.strategy.calls
    assert calls[0] == ("nextstart", 11)  # ten bars of warm-up; the eleventh is the start
    assert [name for name, _ in calls].count("nextstart") == 1
    assert joined.strategy.calls[0] == ("nextstart", 5)


def test_a_strategy_keeps_its_name_parameters_and_words() -> None:
    found = late(Crossing, 0, JOINS)
    assert (found.__name__, found.__doc__) == ("Crossing", Crossing.__doc__)
    assert dict(found.params._getitems()) == dict(Crossing.params._getitems())


# -- the search --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dead", [set(), {0}, {9}, set(range(5, 10)), set(range(10)), {3, 4}, {0, 1}]
)
def test_the_search_finds_the_edges_of_one_stretch_of_failures(dead: set[int]) -> None:
    known: dict[int, bool] = {}
    places = probes_of(range(1, 11), 4)

    def failed(rung: int) -> bool:
        return known.setdefault(rung, rung in dead)

    for rung in places:
        failed(rung)
    edge = find_edge(failed, known, 10)
    alive = [k for k in range(10) if k not in dead]
    if dead & set(places) or not dead or not dead & set(range(10)):
        assert edge.highest == max(alive, default=-1)
        assert edge.safe == min(dead, default=10) - 1
    beside = {edge.highest + 1, edge.highest - 1, edge.safe + 1, edge.safe - 1} & set(range(10))
    assert beside <= set(known)


def test_survival_that_is_not_monotone_is_told() -> None:
    known = {0: True, 1: False, 2: False}  # fails at the safest rung, survives above
    edge = find_edge(lambda rung: known[rung], known, 3)
    assert edge == Edge(highest=2, safe=-1)
    assert not edge.monotone
    assert Edge(2, 2).monotone


def test_rungs_between_two_that_differ_count_as_failing() -> None:
    assert between({0: 1.0, 3: 0.0, 5: 1.0}, 7) == [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    assert between({}, 2) == [0.0, 0.0]


# -- curves ------------------------------------------------------------------------------------------


def test_the_product_limit_estimate_of_a_textbook() -> None:
    """Freireich and others (Blood 21, 1963), the 6-mercaptopurine arm: 0.857, 0.807, 0.753, 0.690, ..."""
    days = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    fell = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    found = kaplan_meier(np.array(days, dtype=float), np.array(fell, dtype=bool))
    assert np.round(found, 3).tolist() == [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]


def test_without_losses_of_sight_it_is_the_share_that_fell() -> None:
    days, fell = np.array([1.0, 2.0, 2.0, 9.0, 9.0]), np.array([True, True, True, False, False])
    found = curve(days, fell, Blocks(1), 9.0)
    assert found["liquidated"].round(12).tolist() == [0.0, 0.2, 0.6, 0.6]
    assert found.index.tolist() == [0.0, 1.0, 2.0, 9.0]
    assert found["watched"].tolist() == [5, 5, 4, 2]
    assert (found["low"] <= found["liquidated"]).all()
    assert (found["high"] >= found["liquidated"]).all()


def test_a_curve_without_failures_is_nothing_all_the_way() -> None:
    found = curve(np.array([9.0, 9.0]), np.array([False, False]), Blocks(1), 9.0)
    assert found[["liquidated", "low", "high"]].to_numpy().tolist() == [[0.0] * 3] * 2


def test_weights_give_the_curve_of_the_starts_drawn() -> None:
    days, fell = np.array([1.0, 2.0, 3.0]), np.array([True, True, False])
    drawn = kaplan_meier(days, fell, np.array([[1.0, 1.0, 1.0], [0.0, 3.0, 0.0], [3.0, 0.0, 0.0]]))
    assert drawn[0].tolist() == kaplan_meier(days, fell).tolist()
    assert drawn[1].tolist() == [1.0, 0.0]
    assert drawn[2].tolist() == [0.0, 0.0]


def test_intervals_of_starts_that_share_their_fate_are_wider_than_those_of_strangers() -> None:
    fell = np.repeat([True, False] * 6, 10)  # ten neighbours in a row fall together
    days = np.where(fell, 1.0, 9.0)
    apart, together = (curve(days, fell, Blocks(n), 9.0).iloc[1] for n in (1, 10))
    assert together["high"] - together["low"] > 1.5 * (apart["high"] - apart["low"])


# -- whole studies -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hold() -> Survival:
    """Three times the wallet held through a fall by an eighth, from starts 12 hours apart."""
    data = {BTC: frame([100.0] * 40 + [87.5] * 20 + [100.0] * 36)}
    return survival(
        Hold, data, starts="12h", horizon="1d", leverages=[3, 4, 5, 6, 8, 10, 20], warm_up=0,
        params={"exposure": 3.0}, probes=3, **COMMON,
    )  # fmt: skip


def test_one_row_for_each_start_mode_and_leverage_that_was_run(hold: Survival) -> None:
    assert list(hold.runs) == list(COLUMNS)
    assert not hold.runs.duplicated(["start", "margin_mode", "leverage"]).any()
    assert set(hold.runs["engine"]) == {"full"}
    assert list(hold.frontier) == list(FRONTIER)
    assert list(hold.rungs) == ["margin_mode", "leverage", *RUNGS]


def test_isolated_falls_where_its_margin_is_smaller_than_the_fall_and_cross_never(
    hold: Survival,
) -> None:
    edges = hold.frontier.set_index(["start", "margin_mode"])["highest"]
    through = pd.to_datetime(
        ["2025-01-02 00:00", "2025-01-02 12:00"], utc=True
    )  # it falls at 16:00
    for start in hold.frontier["start"].unique():
        assert edges[start, "cross"] == 20.0  # a third of the wallet is lost at most
        # 1/L − 12.5 % > 0.5 % · 0.875  ⇔  L < 7.7: six lives, eight does not
        assert edges[start, "isolated"] == (6.0 if start in through else 20.0)


def test_every_run_is_what_the_full_engine_says_of_that_start_alone(hold: Survival) -> None:
    row = hold.runs[
        (hold.runs["margin_mode"] == "isolated") & ~hold.runs["survived"].astype(bool)
    ].iloc[0]
    data = frame([100.0] * 40 + [87.5] * 20 + [100.0] * 36)
    part = data[(data.index >= row["start"]) & (data.index < row["start"] + pd.Timedelta("1D"))]
    alone = run(
        Hold, {BTC: part}, params={"exposure": 3.0}, venue=flat_venue(), cash=1_000.0,
        margin_mode="isolated", leverage=row["leverage"],
    )  # fmt: skip
    died = [e.time for e in alone.broker.events if e.kind == "liquidation"]
    assert row["liquidations"] == len(died)
    assert row["final_equity"] == alone.final
    assert row["days"] == (died[0] - row["start"].value // 10**6) / DAY
    assert row["average_margin"] == alone.bars["margin"].mean()
    assert row["return_on_margin"] == (alone.final - 1_000.0) / alone.bars["margin"].mean()


def test_bisection_and_the_whole_grid_agree(hold: Survival) -> None:
    data = {BTC: frame([100.0] * 40 + [87.5] * 20 + [100.0] * 36)}
    every = survival(
        Hold, data, starts="12h", horizon="1d", leverages=[3, 4, 5, 6, 8, 10, 20], warm_up=0,
        params={"exposure": 3.0}, method="grid", **COMMON,
    )  # fmt: skip
    assert len(every.runs) > len(hold.runs)
    pd.testing.assert_frame_equal(
        every.frontier[["highest", "safe", "monotone"]],
        hold.frontier[["highest", "safe", "monotone"]],
    )
    pd.testing.assert_series_equal(every.rungs["liquidated"], hold.rungs["liquidated"])
    assert every.complete == [3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 20.0]
    assert (every.rungs["computed"] == every.rungs["starts"]).all()


def test_curves_end_at_the_share_of_the_rungs_and_only_fair_samples_have_them(
    hold: Survival,
) -> None:
    at = hold.complete[-1]
    for mode in hold.modes:
        rows = hold.rungs.set_index(["margin_mode", "leverage"])
        assert hold.curve(mode, at)["liquidated"].iloc[-1] == pytest.approx(
            rows.loc[(mode, at), "liquidated"]
        )
    lost = next(v for v in hold.plan.ladder if v not in hold.complete)
    with pytest.raises(InputError, match="add it to probes"):
        hold.curve("cross", lost)
    with pytest.raises(InputError, match="mode"):
        hold.curve("both", at)


def test_workers_find_the_same(hold: Survival) -> None:
    data = {BTC: frame([100.0] * 40 + [87.5] * 20 + [100.0] * 36)}
    again = survival(
        Hold, data, starts="12h", horizon="1d", leverages=[3, 4, 5, 6, 8, 10, 20], warm_up=0,
        params={"exposure": 3.0}, probes=3, **{**COMMON, "backend": "loky", "workers": 2},
    )  # fmt: skip
    kept = [name for name in COLUMNS if name != "seconds"]
    pd.testing.assert_frame_equal(again.runs[kept], hold.runs[kept])
    pd.testing.assert_frame_equal(again.frontier, hold.frontier)


def test_the_smallest_wallet_that_carries_a_fixed_size() -> None:
    class Fixed(bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                self.buy(size=10.0)

    found = survival(
        Fixed, {BTC: one_way(0.2)}, starts=["2025-01-01 12:00"], horizon="2d", warm_up=0,
        wallets=[150, 190, 205, 250, 400], leverage=20, modes=["cross"], venue=flat_venue(),
        backend="serial",
    )  # fmt: skip
    # ten at 100, down to 80: 200 lost, and 0.5 % of 800 have to be left
    assert found.frontier["highest"].tolist() == [205.0]
    assert found.frontier["safe"].tolist() == [205.0]
    assert found.variable == "cash"
    assert "≤" not in repr(found).splitlines()[1]
    assert "205" in repr(found)


def test_a_loss_can_be_a_failure_of_its_own() -> None:
    data = {BTC: one_way(0.2)}
    common = {**COMMON, "starts": ["2025-01-01"], "horizon": "3d", "warm_up": 0, "leverages": [4]}
    calm, strict = (
        survival(
            Hold, data, params={"exposure": 2.0}, modes=["cross"], loss=loss, **common
        ).runs.iloc[0]
        for loss in (0.5, 0.4)
    )
    assert calm["survived"]
    assert not strict["survived"]
    assert strict["liquidations"] == 0
    assert strict["days"] == 1.5
    assert strict["lowest"] == pytest.approx(0.6)


def test_starts_that_the_data_cuts_short_are_watched_as_long_as_they_can_be() -> None:
    found = survival(
        Hold, {BTC: one_way(0.2)}, starts=["2025-01-01", "2025-01-03 12:00"], horizon="2d", warm_up=0,
        leverages=[2, 10], modes=["isolated"], params={"exposure": 2.0}, **COMMON,
    )  # fmt: skip
    assert found.frontier["whole"].tolist() == [True, False]
    assert found.rungs["starts"].tolist() == [1, 1]
    assert found.curve("isolated", 10.0)["watched"].iloc[0] == 2


def test_the_legs_of_a_hedge_part_under_isolated_alone() -> None:
    data = {BTC: frame([100.0] * 24 + [140.0] * 72), ETH: frame([100.0] * 24 + [140.0] * 72)}
    found = survival(
        Hedge, data, starts=["2025-01-01", "2025-01-03"], horizon="2d", warm_up=0, leverages=[2, 4, 10],
        params={"exposure": 0.9}, **COMMON,
    )  # fmt: skip
    edges = found.frontier.set_index(["start", "margin_mode"])["highest"]
    first, later = sorted(found.frontier["start"].unique())
    assert edges[first, "cross"] == edges[later, "cross"] == edges[later, "isolated"] == 10.0
    assert edges[first, "isolated"] == 2.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"leverages": [], "wallets": None}, "leverages"),
        ({"leverages": [5], "wallets": [100]}, "give one"),
        ({"leverages": [0.0]}, "positive"),
        ({"method": "guess"}, "method"),
        ({"probes": 1}, "probes"),
        ({"probes": [7]}, "values that are searched"),
        ({"loss": 1.5}, "loss"),
        ({"begin": "later"}, "begin"),
        ({"warm_up": -1}, "warm_up"),
        ({"margin_mode": "cross"}, "it is searched"),
        ({"leverage": 5}, "it is searched"),
        ({"modes": ["both"]}, "modes"),
        ({"venue": None}, "no venue"),
        ({"levrage": 5}, "levrage"),
        ({"params": {"exposur": 1}}, "exposur"),
        ({"backend": "nobody"}, "nobody"),
    ],
)
def test_what_cannot_be_meant_is_told(changes: dict[str, Any], words: str) -> None:
    given = {"starts": "1d", "horizon": "1d", "leverages": [5], **COMMON, **changes}
    with pytest.raises(InputError, match=words):
        survival(Hold, {BTC: one_way(0.1)}, **given)


def test_a_cerebro_cannot_be_started_elsewhere() -> None:
    with pytest.raises(InputError, match="give the class"):
        survival(bt.Cerebro(), {BTC: one_way(0.1)}, **COMMON)


class Broken(bt.Strategy):
    def next(self) -> None:
        raise ValueError("not today")


def test_a_study_in_which_every_run_fails_says_why() -> None:
    with pytest.raises(InputError, match=r"every run failed.*not today"):
        survival(Broken, {BTC: one_way(0.1)}, starts="1d", horizon="1d", warm_up=0, **COMMON)


# -- what is shown -----------------------------------------------------------------------------------


def test_the_page_stands_alone_and_says_what_is_known(hold: Survival, tmp_path: Path) -> None:
    text = hold.report(tmp_path / "page.html").read_text("utf-8")
    for words in ("Hold: what survives 1 days", "Liquidated within 1 days", "Median return on margin",
                  "Liquidated by day, isolated", "bootstrap", "prefers-color-scheme"):  # fmt: skip
        assert words in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_a_folder_holds_every_table(hold: Survival, tmp_path: Path) -> None:
    names = {path.name for path in hold.to_dir(tmp_path / "out")}
    tables = ("runs", "frontier", "rungs", "curves")
    assert names == {f"{n}.{e}" for n in tables for e in ("csv", "parquet")} | {"survival.html"}
    assert len(pd.read_parquet(tmp_path / "out" / "runs.parquet")) == len(hold.runs)


@pytest.mark.parametrize("show", [repr, lambda found: found._repr_html_()])
def test_names_of_people_cannot_break_what_is_shown(
    hold: Survival, show: Callable[[Survival], str]
) -> None:
    assert "isolated" in show(hold)
    assert "95 %" in show(hold).replace("&nbsp;", " ")
