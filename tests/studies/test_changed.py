"""Changed runs by replay: the same table as in full, and in full wherever a replay would not be the run."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from replay.stories import Scripted, Story
from studies.worlds import BTC, Hold, flat_venue, frame

import bt_margin as btm
from bt_margin.errors import InputError
from bt_margin.studies import changed
from bt_margin.studies.cells import Cell, Job, run_cell
from bt_margin.studies.changed_replay import Payment, Played
from bt_margin.studies.counterfactual import counterfactuals
from bt_margin.studies.replay.intents import Fate, Intent, Terms, inserted
from bt_margin.studies.replay.layout import CANCEL, PAY_IN, TRADE
from bt_margin.studies.result import Run
from bt_margin.studies.run import run

CLOSES = [100.0, 100.0, 100.0, 100.0, 99.0, 98.0, 97.0, 96.0, 95.0, 94.0, 96.0, 100.0] + [
    104.0
] * 190
STEPS = np.random.RandomState(1).normal(0.0, 0.02, 400)
WILD = frame([float(each) for each in 100.0 * np.exp(np.cumsum(STEPS))])
ACCOUNT: dict[str, Any] = {"venue": flat_venue(), "cash": 1_000.0, "leverage": 20}
SAME: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-7}


class Often(bt.Strategy):
    """Long for six hours in every twelve, thirty coins."""

    def next(self) -> None:
        if len(self) % 12 == 2:
            self.buy(size=30.0)
        if len(self) % 12 == 8:
            self.sell(size=30.0)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few bars there are, a replay is worth it."""
    monkeypatch.setattr(changed, "FEW_BARS", 0)


@pytest.fixture
def fell() -> Run:
    return run(
        Hold, {BTC: frame(CLOSES)}, params={"exposure": 10.0}, margin_mode="isolated", **ACCOUNT
    )


def of_story(seed: int) -> Run:
    story = Story(seed)
    job = Job(Scripted, story.frames, {"script": story.script}, story.broker)
    return run_cell(Cell(0, {}), job)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("seed", [0, 6, 11, 19, 23, 25, 33, 38, 48, 64, 66, 83])
def test_random_stories_have_the_same_table_replayed_and_in_full(seed: int) -> None:
    found = of_story(seed)
    replayed, full = counterfactuals(found), counterfactuals(found, engine="full")
    assert len(full)
    assert set(full["engine"]) == {"full"}
    pd.testing.assert_frame_equal(
        replayed.drop(columns="engine"), full.drop(columns="engine"), **SAME
    )


@pytest.mark.usefixtures("eager")
def test_the_stories_are_replayed_and_not_run() -> None:
    made = [set(counterfactuals(of_story(seed))["engine"]) for seed in (23, 25, 48, 64)]
    assert made == [{"replay"}] * 4


def test_what_was_replayed_is_said(fell: Run) -> None:
    table = counterfactuals(fell, engine="replay")
    assert list(table["engine"]) == ["replay"]
    assert "8 changed runs were replayed, 0 made in full" in table.attrs["engines"]["run"]


def test_a_handful_of_bars_is_made_in_full(fell: Run) -> None:
    table = counterfactuals(fell)
    assert list(table["engine"]) == ["full"]
    assert "so few bars" in table.attrs["engines"]["run"]


def test_engines_that_there_are(fell: Run) -> None:
    with pytest.raises(InputError, match="auto, replay, full"):
        counterfactuals(fell, engine="fast")


class Careful(bt.Strategy):
    """Buys nine tenths of its free cash, five times over."""

    def next(self) -> None:
        if len(self) == 2:
            self.buy(size=9.0 * self.broker.getcash() / self.data.close[0])


@pytest.mark.usefixtures("eager")
def test_a_script_that_reads_its_account_is_run_in_full_where_a_replay_would_be_wrong() -> None:
    found = run(Careful, {BTC: frame(CLOSES)}, margin_mode="isolated", **ACCOUNT)
    table = counterfactuals(found)
    assert list(table["engine"]) == ["full"]
    assert "reads its account" in table.attrs["engines"]["run"]
    with pytest.raises(InputError, match="reads its account"):
        counterfactuals(found, engine="replay")


@pytest.mark.usefixtures("eager")
def test_the_users_own_cerebro_is_replayed_too() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(btm.PerpData(dataname=frame(CLOSES), name=BTC))
    cerebro.addstrategy(Hold, exposure=10.0)
    cerebro.broker = btm.MarginBroker(margin_mode="isolated", **ACCOUNT)
    own = cerebro.broker
    found = run(cerebro)
    table = counterfactuals(found)
    assert list(table["engine"]) == ["replay"]
    full = counterfactuals(found, engine="full")
    pd.testing.assert_frame_equal(table.drop(columns="engine"), full.drop(columns="engine"), **SAME)
    assert cerebro.broker is own
    assert not cerebro.analyzers


def made(
    strategy: Any = Often,
    name: str | None = BTC,
    feeds: dict[str, Any] | None = None,
    **account: Any,
) -> Run:
    """A run of an assembled Cerebro with one feed."""
    cerebro = bt.Cerebro(stdstats=False, **(feeds or {}))
    data = btm.PerpData(dataname=WILD, timeframe=bt.TimeFrame.Minutes, compression=60)
    if account.pop("resampled", False):
        cerebro.resampledata(data, name=name, timeframe=bt.TimeFrame.Minutes, compression=120)
    else:
        cerebro.adddata(data, **({} if name is None else {"name": name}))
    cerebro.addstrategy(strategy)
    cerebro.broker = btm.MarginBroker(margin_mode="isolated", **(ACCOUNT | account))
    return run(cerebro)


def both_ways(found: Run) -> tuple[pd.DataFrame, str]:
    """The table, the same replayed and in full, and what is said of the replay."""
    table, full = counterfactuals(found), counterfactuals(found, engine="full")
    assert len(table)
    pd.testing.assert_frame_equal(table.drop(columns="engine"), full.drop(columns="engine"), **SAME)
    return table, table.attrs["engines"]["run"]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "settings",
    [
        {"name": None},
        {"name": "mine", "names": {"mine": BTC}},
        {"name": "BTCUSDT", "venue": "binance"},
        {"name": "mine", "names": {"mine": BTC}, "venue": "binance"},
    ],
    ids=["nameless", "by names=", "by an alias", "by names= of a venue"],
)
def test_feeds_by_any_name_are_replayed(settings: dict[str, Any]) -> None:
    table, _ = both_ways(made(**settings))
    assert "replay" in set(table["engine"])


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("settings", [{"timestamps": "close"}, {"resampled": True}])
def test_money_is_paid_in_on_bars_that_are_stamped_at_their_end(settings: dict[str, Any]) -> None:
    table, said = both_ways(made(**settings))
    assert "Please report" not in said
    assert table["extra_avoided"].eq(True).any()


@pytest.mark.usefixtures("eager")
def test_where_bars_were_dropped_nothing_can_be_paid_in() -> None:
    table, said = both_ways(made(feeds={"exactbars": 1}))
    assert set(table["engine"]) == {"full"}
    assert "exactbars" in said
    assert table["extra_avoided"].isna().all()


@pytest.mark.usefixtures("eager")
def test_money_that_cannot_be_paid_in_is_not_tried_again_in_full() -> None:
    table, said = both_ways(made())  # one falls in the bar it is bought in
    assert table["extra_avoided"].isna().any()
    assert set(table["engine"]) == {"replay"}
    assert " 0 made in full" in said


class Called(Often):
    """Closes at a margin call."""

    def notify_margin_call(self, event: Any) -> None:
        self.close()


@pytest.mark.usefixtures("eager")
def test_who_answers_margin_calls_is_seen_to_though_a_poor_account_takes_no_order() -> None:
    _, said = both_ways(made(Called))
    assert "listens to margin calls" in said


class Once(Often):
    """Trades on only while there is nothing open."""

    def next(self) -> None:
        if len(self) % 12 == 8 or not self.position:
            super().next()


@pytest.mark.usefixtures("eager")
def test_who_follows_the_account_is_replayed_until_it_answers_and_that_is_said() -> None:
    table, said = both_ways(made(Once))
    assert "full" in " ".join(table["engine"])
    assert "every bar until 2025-01-" in said


@pytest.mark.usefixtures("eager")
def test_what_is_not_in_the_kernel_is_named_in_a_line() -> None:
    _, said = both_ways(made(detail={BTC: WILD}))
    assert f"detail={{'{BTC}': '400 rows'}} is not in the kernel" in said


class Thinned:
    """A filter that counts."""

    def __init__(self, data: Any) -> None:
        self.bars = 0

    def __call__(self, data: Any) -> bool:
        self.bars += 1
        return False


def test_a_run_that_fails_leaves_the_filters_as_they_were() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    data = btm.PerpData(dataname=frame(CLOSES), name=BTC)
    data.addfilter(Thinned)
    cerebro.adddata(data)
    cerebro.addstrategy(Hold, exposure=10.0)
    cerebro.broker = btm.MarginBroker(margin_mode="isolated", **ACCOUNT)
    changes = changed.Changes(run(cerebro), "full", 1)
    before = data._filters[0][0].bars
    cerebro.strats[0].append((Broken, (), {}))
    with pytest.raises(ZeroDivisionError):
        changes.of({"leverage": 5.0})
    assert data._filters[0][0].bars == before


def test_runs_with_money_of_an_earlier_liquidation_are_not_kept(fell: Run) -> None:
    changes = changed.Changes(fell, "full", 1)
    payment = Payment(int(fell.record.times[7]), 50.0, (BTC,))
    for _ in range(2):
        assert changes.of({}, payment) is changes.of({}, payment)
        changes.of({"leverage": 5.0})
    assert len(changes.known) == 2
    changes.begin()
    assert len(changes.known) == 1


class Broken(bt.Strategy):
    """Fails at the third bar."""

    def next(self) -> None:
        if len(self) == 3:
            raise ZeroDivisionError


@pytest.mark.usefixtures("eager")
def test_commissions_of_ones_own_are_not_in_the_kernel() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(btm.PerpData(dataname=frame(CLOSES), name=BTC))
    cerebro.addstrategy(Hold, exposure=10.0)
    cerebro.broker = btm.MarginBroker(margin_mode="isolated", **ACCOUNT)
    cerebro.broker.setcommission(commission=0.001)
    table = counterfactuals(run(cerebro))
    assert list(table["engine"]) == ["full"]
    assert "commissions" in table.attrs["engines"]["run"]


def test_a_replay_that_is_not_the_run_is_thrown_away_loudly(
    fell: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = counterfactuals(fell, engine="full")
    monkeypatch.setattr(Played, "differs", lambda *_: "event 3")
    with pytest.raises(InputError, match=r"event 3\. Please report"):
        counterfactuals(fell, engine="replay")
    monkeypatch.setattr(changed, "FEW_BARS", 0)
    table = counterfactuals(fell)
    assert "event 3. Please report this." in table.attrs["engines"]["run"]
    pd.testing.assert_frame_equal(table, right)


def test_a_tape_with_a_payment_keeps_who_names_whom() -> None:
    buy = Intent(3, "A", TRADE, 1.0)
    tape = (
        buy,
        buy._replace(terms=Terms(group=0)),
        Intent(5, "A", TRADE, 2.0),
        Intent(6, "A", TRADE, -2.0, terms=Terms(group=2, family=2)),
        Intent(7, "A", CANCEL, 3.0),
        Intent(7, "A", CANCEL, 1.0),
    )
    fates = (Fate(6, 1, 0), Fate(8, 3, 1))
    found, ends = inserted(tape, fates, [Intent(3, "A", PAY_IN, 9.0), Intent(3, "A", PAY_IN, 1.0)])
    assert [one.verb for one in found] == [
        TRADE, TRADE, PAY_IN, PAY_IN, TRADE, TRADE, CANCEL, CANCEL,
    ]  # fmt: skip
    assert found[1].terms.group == 0
    assert (found[5].terms.group, found[5].terms.family) == (4, 4)
    assert [one.units for one in found[6:]] == [5.0, 1.0]
    assert ends == (Fate(6, 1, 0), Fate(8, 5, 1))
    assert [one.terms.group for one in tape][:2] == [-1, 0]
