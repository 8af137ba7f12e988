"""Whole comparisons on the real engine and broker: small markets, both modes."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, Cycle, Hedge, Hold, flat_venue, frame

from bt_margin.errors import CashError, InputError, UnknownVenue
from bt_margin.plugin.broker import MarginBroker
from bt_margin.plugin.feeds import PerpData
from bt_margin.studies.compare import compare
from bt_margin.studies.pieces import CAUSES, Episode
from bt_margin.studies.run import run
from bt_margin.venues.policies import FullClose

#: BTC climbs while ETH climbs too: the short leg loses what the long leg earns.
UP = [100.0, 100.0, *[100.0 + 2.0 * i for i in range(1, 20)]]
CRASH = [100.0, 100.0, 100.0, 100.0, 80.0, 80.0, 90.0, 95.0, 100.0, 100.0, 100.0, 100.0]


def hedged() -> dict[str, pd.DataFrame]:
    """Two markets that move alike."""
    return {BTC: frame(UP), ETH: frame(UP)}


def perps(**frames: Any) -> Any:
    """A Cerebro over these frames, as a user assembles it."""
    cerebro = bt.Cerebro(stdstats=False)
    for name, bars in frames.items():
        cerebro.adddata(PerpData(dataname=bars, name=f"{name}/USDT:USDT"))
    return cerebro


def test_a_hedge_survives_under_cross_and_is_cut_under_isolated() -> None:
    result = compare(Hedge, hedged(), venue=flat_venue(), leverage=10, cash=1_000)
    assert list(result.runs) == ["cross", "isolated"]
    assert list(result.equity.columns) == ["cross", "isolated"]
    assert result.equity["cross"].iloc[-1] == pytest.approx(1_000.0)
    assert result.summary.loc["cross", "liquidations"] == 0
    assert result.summary.loc["isolated", "liquidations"] == 1
    episode = result.divergence.episodes[0]
    assert (episode.kind, episode.run) == ("liquidation", "isolated")
    assert f"isolated was liquidated out of its {ETH} short" in episode.sentence


def test_the_clock_is_one_utc_index_with_a_row_per_bar() -> None:
    result = compare(Hedge, hedged(), venue=flat_venue(), leverage=10, cash=1_000)
    assert str(result.equity.index.tz) == "UTC"
    assert list(result.equity.index) == list(hedged()[BTC].index)
    assert not result.equity.isna().any().any()


def test_law_pieces_sum_to_the_difference_of_final_equities() -> None:
    rules = flat_venue(taker_fee=0.0005, liquidation_fee=0.01, residual="fund")
    data = {BTC: frame(CRASH, funding={3: 0.01, 8: -0.02})}
    result = compare(Cycle, data, venue=rules, leverage=9, cash=1_000, params={"exposure": 7.0})
    final = result.equity["isolated"].iloc[-1] - result.equity["cross"].iloc[-1]
    assert sum(piece.worth for piece in result.divergence) == pytest.approx(final, abs=0.005)
    table = result.divergence.to_frame()
    assert (table[list(CAUSES)].sum(axis=1) - table["worth"]).abs().max() < 1e-6


def test_a_takeover_at_the_bankruptcy_price_is_a_liquidation_fee_beyond_the_mark() -> None:
    rules = flat_venue(policy=FullClose(settle="takeover", residual="fund"), residual=None)
    result = compare(Hold, {BTC: frame(CRASH)}, venue=rules, leverage=10, cash=1_000)
    assert result.equity["isolated"].iloc[-1] == pytest.approx(500.0)
    (fallen,) = (e for e in result.runs["isolated"].broker.events if e.kind == "liquidation")
    beyond = fallen.size * (fallen.mark - fallen.price)
    assert beyond < 0.0
    assert result.summary.loc["isolated", "liquidation_fees"] == pytest.approx(beyond)


def test_liquidation_slippage_is_a_cause_of_its_own() -> None:
    result = compare(
        Hold, {BTC: frame(CRASH)}, venue=flat_venue(), leverage=10, liquidation_slippage=0.002
    )
    row = result.summary.loc["isolated"]
    assert row["slippage"] == pytest.approx(-0.002 * row["liquidated_notional"])
    episode = result.divergence.episodes[0]
    assert episode.causes["slippage"] == pytest.approx(
        row["slippage"] - result.summary.loc["cross", "slippage"]
    )
    assert "was too, at the mark" in episode.sentence


def test_runs_that_never_part_say_so() -> None:
    result = compare(
        Hold, {BTC: frame(UP)}, venue=flat_venue(), leverage=10, params={"exposure": 1.0}
    )
    assert [type(piece).__name__ for piece in result.divergence] == ["Stretch"]
    assert "Nothing parted them" in repr(result)


def test_an_assembled_cerebro_is_run_again_and_left_as_it_was() -> None:
    cerebro = perps(BTC=frame(UP), ETH=frame(UP))
    cerebro.addstrategy(Hedge)
    cerebro.addanalyzer(bt.analyzers.TimeReturn, _name="returns")
    cerebro.broker.setcash(1_000)
    before = (cerebro.broker, list(cerebro.strats), list(cerebro.analyzers))
    result = compare(cerebro, venue=flat_venue(), leverage=10)
    assert (cerebro.broker, list(cerebro.strats), list(cerebro.analyzers)) == before
    assert result.runs["cross"].cash == 1_000.0
    assert result.summary.loc["isolated", "liquidations"] == 1
    assert len(result.runs["cross"].strategy.analyzers.returns.get_analysis()) > 0
    classes = compare(Hedge, hedged(), venue=flat_venue(), leverage=10, cash=1_000)
    pd.testing.assert_frame_equal(result.equity, classes.equity)


def test_settings_of_the_former_broker_are_taken_over() -> None:
    cerebro = perps(BTC=frame(UP))
    cerebro.addstrategy(Hold, exposure=1.0)
    cerebro.broker.setcash(1_000)
    cerebro.broker.setcommission(commission=0.01)
    result = compare(cerebro, venue=flat_venue(), leverage=10)
    assert list(result.summary["fees"]) == pytest.approx([-10.0, -10.0], rel=0.05)


def test_a_cerebro_that_has_a_margin_broker_lends_its_settings() -> None:
    cerebro = perps(BTC=frame(UP), ETH=frame(UP))
    cerebro.addstrategy(Hedge)
    cerebro.broker = MarginBroker(venue=flat_venue(), leverage=10, cash=1_000)
    result = compare(cerebro)
    assert result.settings["isolated"]["leverage"] == 10
    assert result.settings["isolated"]["margin_mode"] == "isolated"
    assert result.runs["cross"].cash == 1_000.0
    assert compare(cerebro, leverage=5).settings["cross"]["leverage"] == 5


def test_comparing_twice_gives_the_same() -> None:
    cerebro = perps(BTC=frame(CRASH))
    cerebro.addstrategy(Cycle, exposure=6.0)
    first, second = (compare(cerebro, venue=flat_venue(), leverage=10) for _ in range(2))
    pd.testing.assert_frame_equal(first.equity, second.equity)
    pd.testing.assert_frame_equal(first.events, second.events)


class Watch(bt.Strategy):
    """Writes down what it saw of every feed, and how often its timer rang."""

    def __init__(self) -> None:
        self.add_timer(when=datetime.time(5, 0))
        self.seen: list[list[float]] = []
        self.rings = 0

    def notify_timer(self, *args: Any, **kwargs: Any) -> None:
        self.rings += 1

    def next(self) -> None:
        self.seen.append([value for data in self.datas for value in (len(data), data.close[0])])
        if len(self.seen) == 2:
            self.order_target_percent(self.datas[0], target=2.0)


@pytest.mark.parametrize("kind", ["resampledata", "replaydata"])
def test_coarser_feeds_and_timers_start_afresh_in_every_scenario(kind: str) -> None:
    cerebro = bt.Cerebro()
    feed = PerpData(dataname=frame([100.0 + i % 7 for i in range(60)]), name=BTC)
    cerebro.adddata(feed)
    getattr(cerebro, kind)(feed, timeframe=bt.TimeFrame.Minutes, compression=240)
    cerebro.addstrategy(Watch)
    result = compare(cerebro, venue=flat_venue(), leverage=10)
    first, second = (one.strategy for one in result.runs.values())
    assert first.seen == second.seen
    assert first.rings == second.rings == 3
    assert list(result.equity["cross"]) == list(result.equity["isolated"])


def test_signals_run_without_a_strategy() -> None:
    cerebro = perps(BTC=frame([100.0 + i % 7 for i in range(60)]))

    class Above(bt.Indicator):
        lines = ("signal",)

        def __init__(self) -> None:
            self.lines.signal = self.data - bt.ind.SMA(self.data, period=5)

    cerebro.add_signal(bt.SIGNAL_LONGSHORT, Above)
    result = compare(cerebro, venue=flat_venue(), leverage=10)
    assert result.summary.loc["cross", "trades"] > 0
    assert cerebro.strats == []


def test_scenarios_can_be_any_named_set() -> None:
    scenarios = {
        "cross 5x": {"margin_mode": "cross", "leverage": 5},
        "hybrid": {"symbols": {ETH: {"margin_mode": "isolated", "leverage": 10}}},
        "other venue": {"venue": flat_venue(maintenance_rate=0.02)},
    }
    result = compare(
        Hedge, hedged(), venue=flat_venue(), leverage=10, cash=1_000, scenarios=scenarios
    )
    assert list(result.runs) == list(scenarios)
    assert set(result.divergence.final) == {"hybrid", "other venue"}
    assert {piece.first for piece in result.divergence} == {"cross 5x"}
    assert result.summary.loc["hybrid", "liquidations"] == 1
    assert result.settings["other venue"]["venue"] == "generic"


def test_fixed_sizes_part_again_and_again_on_their_different_bases() -> None:
    data = {BTC: frame(CRASH + CRASH[1:] + [100.0] * 12)}
    result = compare(
        Cycle, data, venue=flat_venue(), leverage=10, cash=1_000, params={"size": 60.0}
    )
    kinds = [piece.kind for piece in result.divergence if isinstance(piece, Episode)]
    assert kinds[0] == "liquidation"
    assert set(kinds[1:]) <= {"different base", "rejected order", "liquidation"}


def test_bounds_label_what_depends_on_the_path() -> None:
    bars = frame([100.0] * 8, lows={4: 80.0}, mark_lows={4: 80.0})
    result = compare(Hold, {BTC: bars}, venue=flat_venue(), leverage=10, bounds=True)
    fallen = result.events[result.events["kind"] == "liquidation"]
    assert set(fallen["certainty"]) == {"certain"}
    assert result.summary.loc["isolated", "certain_liquidations"] == 1
    assert result.summary.loc["isolated", "path_dependent_liquidations"] == 0
    assert set(result.extremes["cross"]) == {"adverse", "favourable"}


class Saved(bt.Strategy):
    """Long with a limit above: whether the limit or the low comes first decides everything."""

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(target=5.0)
        if len(self) == 3:
            self.sell(size=self.position.size, exectype=bt.Order.Limit, price=110.0)


def test_bounds_call_a_liquidation_path_dependent_when_the_good_path_avoids_it() -> None:
    bars = frame([100.0] * 8, lows={4: 80.0}, mark_lows={4: 80.0})
    for name in ("high", "mark_high"):
        bars.iloc[4, bars.columns.get_loc(name)] = 115.0
    result = compare(Saved, {BTC: bars}, venue=flat_venue(), leverage=10, bounds=True)
    row = result.summary.loc["isolated"]
    assert (row["certain_liquidations"], row["path_dependent_liquidations"]) == (0, 1)
    assert row["final_equity_favourable"] > row["final_equity_adverse"]


def test_a_last_price_spike_liquidates_only_where_marks_are_missing() -> None:
    spike = {4: 85.0}
    marked = compare(Hold, {BTC: frame([100.0] * 8, lows=spike)}, venue=flat_venue(), leverage=10)
    bare = compare(
        Hold, {BTC: frame([100.0] * 8, lows=spike, marks=False)}, venue=flat_venue(), leverage=10
    )
    assert list(marked.summary["liquidations"]) == [0, 0]
    assert list(bare.summary["liquidations"]) == [0, 1]


def test_events_carry_scenario_id_and_cause() -> None:
    result = compare(Hedge, hedged(), venue=flat_venue(), leverage=10, cash=1_000)
    events = result.events
    fallen = events[(events["kind"] == "liquidation") & (events["scenario"] == "isolated")].iloc[0]
    cause = events[(events["scenario"] == "isolated") & (events["id"] == fallen["cause"])].iloc[0]
    assert cause["kind"] == "breach"


def test_settings_in_force_are_echoed() -> None:
    result = compare(Hold, {BTC: frame(UP)}, venue=flat_venue(), leverage=7, intrabar="nearest")
    assert result.settings["cross"]["leverage"] == 7
    assert result.settings["cross"]["intrabar"] == "nearest"
    assert result.stamp["data_hash"]
    assert result.stamp["strategy"] == "Hold"


def test_settings_and_parameters_are_readable_and_whole() -> None:
    cerebro = perps(BTC=frame(UP))
    cerebro.addstrategy(Cycle, exposure=1.0)
    cerebro.broker.setcommission(commission=0.01)
    cerebro.broker.set_filler(bt.fillers.FixedSize(size=3))
    result = compare(cerebro, venue=flat_venue(), leverage=10)
    assert result.stamp["params"] == {"exposure": 1.0, "size": 0.0}
    settings = result.settings["cross"]
    assert "commission=0.01" in settings["commission"]["all"]
    assert settings["filler"] == "FixedSize(size=3)"
    plain = compare(Hold, {BTC: frame(UP)}, venue=flat_venue()).settings["cross"]
    assert plain["commission"] == "the venue's fees"
    assert " at 0x" not in repr([settings, plain])


def test_a_parameter_of_the_strategy_is_sent_where_it_belongs() -> None:
    cerebro = perps(BTC=frame(UP))
    cerebro.addstrategy(Cycle)
    with pytest.raises(InputError, match=r"cerebro.addstrategy\(Cycle, size=3\)"):
        compare(cerebro, venue=flat_venue(), size=3)


def test_progress_is_told_by_scenario() -> None:
    told: list[tuple[str, float]] = []
    long = {BTC: frame([100.0] * 600)}
    compare(Hold, long, venue=flat_venue(), progress=lambda name, share: told.append((name, share)))
    assert {name for name, _ in told} == {"cross", "isolated"}
    assert all(0.0 < share <= 1.0 for _, share in told)


def test_run_gives_one_run() -> None:
    one = run(Hold, {BTC: frame(UP)}, venue=flat_venue(), leverage=10, margin_mode="isolated")
    assert one.final > one.cash
    assert set(one.positions["symbol"]) == {BTC}
    assert one.bars["leverage"].max() == pytest.approx(5.0, rel=0.1)
    assert "Hold" in repr(one)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"leverag": 5}, InputError, "did you mean leverage"),
        ({"params": {"exposur": 1}}, InputError, "did you mean exposure"),
        ({"venue": "binanse"}, UnknownVenue, "binance"),
        ({"venue": None}, InputError, "no venue given"),
        ({"scenarios": {}}, InputError, "scenarios"),
        ({"scenarios": {"a": 1}}, InputError, "mapping of broker keywords"),
        ({"scenarios": {"a": {"margin": 1}}}, InputError, "margin"),
        ({"margin_mode": "cross"}, InputError, "scenarios="),
        ({"mode": "cross"}, InputError, "did you mean margin_mode"),
        (
            {"exposure": 2.0},
            InputError,
            r"parameter of the strategy Hold.*params=dict\(exposure=2.0\)",
        ),
        ({"cash": 0}, CashError, "cash"),
        ({"data": None}, InputError, "frames by symbol"),
        ({"data": [1, 2]}, InputError, "frames by symbol"),
    ],
)
def test_mistakes_get_a_clear_error(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    good: dict[str, Any] = {"data": {BTC: frame(UP)}, "venue": flat_venue()}
    with pytest.raises(error, match=text):
        compare(Hold, **(good | arguments))


def test_a_cerebro_brings_its_own_data_and_is_not_an_optimisation() -> None:
    cerebro = perps(BTC=frame(UP))
    with pytest.raises(InputError, match="already has its own"):
        compare(cerebro, {BTC: frame(UP)}, venue=flat_venue())
    cerebro.optstrategy(Hold, exposure=[1.0, 2.0])
    with pytest.raises(InputError, match="optstrategy"):
        compare(cerebro, venue=flat_venue())
    with pytest.raises(InputError, match="no data"):
        compare(bt.Cerebro(), venue=flat_venue())


def test_something_that_is_no_strategy_is_refused() -> None:
    with pytest.raises(InputError, match=r"subclass of backtrader\.Strategy"):
        compare("Hold", {BTC: frame(UP)}, venue=flat_venue())


class Fails(bt.Strategy):
    """Raises in the middle of a run."""

    def next(self) -> None:
        if len(self) == 3:
            raise ZeroDivisionError("mine")


def test_a_strategy_that_fails_leaves_the_cerebro_as_it_was() -> None:
    cerebro = perps(BTC=frame(UP))
    cerebro.addstrategy(Fails)
    broker = cerebro.broker
    with pytest.raises(ZeroDivisionError, match="mine"):
        compare(cerebro, venue=flat_venue())
    assert cerebro.broker is broker
    assert cerebro.analyzers == []


def test_to_dir_writes_every_table_twice_and_the_picture(tmp_path: Path) -> None:
    result = compare(Hedge, hedged(), venue=flat_venue(), leverage=10, cash=1_000)
    files = {path.name for path in result.to_dir(tmp_path)}
    tables = ("equity", "returns", "positions", "events", "summary", "divergence")
    written = {f"{t}.{kind}" for t in tables for kind in ("csv", "parquet")}
    others = {"equity.svg", "bundle.json", "bundle.npz", "result.json"}
    assert files == written | others
    assert {path.name for path in tmp_path.iterdir()} == files
    assert list(pd.read_parquet(tmp_path / "summary.parquet")["scenario"]) == ["cross", "isolated"]


class Slow(bt.Strategy):  # type: ignore[misc]
    """Wants more bars than a short market has."""

    def __init__(self) -> None:
        self.average = bt.ind.SMA(period=100)


def test_too_few_bars_for_an_indicator_are_named() -> None:
    with pytest.raises(InputError, match=r"need more bars .*BTC/USDT:USDT 21"):
        compare(Slow, hedged(), venue=flat_venue(), leverage=10, cash=1_000)
