"""Scripts of the kinds found in public, run as they are: like stock at leverage 1, sound under margin."""

from __future__ import annotations

import io
import math
import re
import runpy
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from plugin.twin import flat_venue

import bt_margin as btm
from bt_margin.cli import run as verb
from bt_margin.cli.result import Output
from bt_margin.studies.optimisation import Optimisation
from bt_margin.studies.scenarios import reporting
from bt_margin.studies.script import Outcome, Study, run_script

HERE = Path(__file__).parent
SCRIPTS = sorted(
    path.stem
    for path in HERE.glob("*.py")
    if not path.stem.startswith(("test_", "conftest")) and path.stem != "hourly"
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
#: How often a script calls ``cerebro.run()``, where it is not once.
RUNS = {"walk_forward": 3}


class Told(bt.Analyzer):
    """Writes down what a script is told: orders, trades, and each bar's value and positions."""

    books: list[list[Any]] = []

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.books.append(self.told)
        self.first = 0

    def notify_order(self, order: Any) -> None:
        self.first = self.first or order.ref
        done = order.executed
        numbers = (done.price, done.size, done.remsize, done.comm, done.pnl)
        self.told.append((order.ref - self.first, order.status, *map(rounded, numbers)))

    def notify_trade(self, trade: Any) -> None:
        numbers = (trade.size, trade.price, trade.pnl, trade.pnlcomm, trade.barlen)
        self.told.append((trade.tradeid, trade.status, *map(rounded, numbers)))

    def next(self) -> None:
        strategy = self.strategy
        markets = [data for data in strategy.datas if not getattr(data, "_clone", False)]
        held = [strategy.getposition(data) for data in markets]  # a clone shows its market's here
        numbers = [strategy.broker.getvalue(), *(n for p in held for n in (p.size, p.price))]
        self.told.append((len(strategy), *map(rounded, numbers)))


def rounded(number: float | None) -> float:
    return round(number or 0.0, 6)


@pytest.fixture(autouse=True)
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[Any]]]:
    """Every run of a Cerebro is written down; nothing is drawn; modules of the scripts are forgotten."""
    own = bt.Cerebro.run

    def run(cerebro: Any, **keywords: Any) -> Any:
        if not any(entry[0] is Told for entry in cerebro.analyzers):
            cerebro.analyzers.append((Told, (), {}))
        return own(cerebro, **keywords)

    monkeypatch.setattr(bt.Cerebro, "run", run)
    monkeypatch.setattr(bt.Cerebro, "plot", lambda *args, **keywords: [])
    monkeypatch.setattr(Told, "books", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield Told.books
    sys.modules.pop("hourly", None)


def as_python(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a script prints when python runs it."""
    monkeypatch.setattr(sys, "argv", [str(HERE / f"{name}.py")])
    sys.path.insert(0, str(HERE))
    said, left = io.StringIO(), None
    with redirect_stdout(said):
        try:
            runpy.run_path(str(HERE / f"{name}.py"), run_name="__main__")
        except SystemExit as end:
            left = end.code
    assert not left
    return said.getvalue()


def under(name: str, **broker: Any) -> Outcome:
    """A script under both margin modes."""
    modes = {mode: {"margin_mode": mode, "debug": True, **broker} for mode in ("cross", "isolated")}
    study = Study(modes, "cross", reporting(None), shown=False)
    outcome = run_script(HERE / f"{name}.py", [], study)
    assert outcome.error is None
    assert outcome.code in (None, 0)
    assert len(outcome.runs) == RUNS.get(name, 1)
    return outcome


def printed(outcome: Outcome) -> str:
    return "".join(outcome.speech.said().get(outcome.told, ()))


def same_words(one: str, two: str) -> bool:
    """Whether two texts differ in the last digits of their numbers at most (6 is 6.0)."""
    cut = [NUMBER.split(text) for text in (one, two)]
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (one, two)]
    return cut[0] == cut[1] and numbers[0] == pytest.approx(numbers[1], rel=1e-9, abs=1e-9)


def first_difference(one: list[Any], two: list[Any]) -> list[Any]:
    for place, (a, b) in enumerate(zip(one, two, strict=False)):
        if a != b:
            return [*one[max(0, place - 2) : place], a, b]
    return [] if len(one) == len(two) else [len(one), len(two)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_at_leverage_one_a_script_is_told_what_the_stock_broker_tells_it(
    name: str, listening: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every order, trade, value and position, and what it prints to the letter."""
    luck = np.random.get_state()
    said = as_python(name, monkeypatch)
    stock, listening[:] = list(listening), []
    np.random.set_state(luck)
    outcome = under(name, venue=flat_venue())
    assert same_words(printed(outcome), said)
    assert said
    if not isinstance(outcome.runs[0], Optimisation):
        strategies = len(stock) // RUNS.get(name, 1)
        for number, story in enumerate(stock):
            # each call of run() was answered by isolated first, then by cross
            call, place = divmod(number, strategies)
            for mode in (0, 1):
                ours = listening[(2 * call + mode) * strategies + place]
                assert first_difference(story, ours) == []
    else:
        assert len(listening) == 2 * len(stock)
    assert any(len(story) > 30 for story in stock)


@pytest.mark.parametrize("name", SCRIPTS)
def test_under_margin_the_books_are_sound_and_the_comparison_is_told(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Leverage 10 on little money: refusals and liquidations, and no cent unaccounted for."""
    venue = flat_venue(maintenance_rate=0.01, taker_fee=0.0005, liquidation_fee=0.005)
    outcome = under(name, venue=venue, leverage=10, cash=400.0)
    for each in outcome.runs:
        comparison = each.comparison if isinstance(each, Optimisation) else each
        assert list(comparison.runs) == ["cross", "isolated"]
        for mode, run in comparison.runs.items():
            account = run.broker.account
            account.audit()
            assert account.ledger.totals["deposit"] == 400.0
            wallets = sum(pool.balance for pool in account.pools.values())
            assert wallets == pytest.approx(sum(entry.amount for entry in account.ledger), abs=1e-6)
            assert run.final == pytest.approx(account.equity(), abs=2e-6)
            assert run.settings["margin_mode"] == mode
            assert math.isfinite(run.final)
            assert run.final >= 0.0
    verb._print(outcome, [], Output(None, None, as_json=False, quiet=False))
    shown = " ".join(capsys.readouterr().out.split())
    assert "final equity" in shown
    assert "ended with" in shown


def test_there_are_enough_scripts_and_margin_decides_in_some_of_them() -> None:
    assert len(SCRIPTS) >= 25
    venue = flat_venue(maintenance_rate=0.01, taker_fee=0.0005)
    kinds = set()
    for name in ("averaging_down", "pairs_zscore", "rsi_reversion"):
        (each,) = under(name, venue=venue, leverage=10, cash=400.0).runs
        assert not isinstance(each, Optimisation)
        kinds |= set(each.events["kind"])
    assert {"fill", "rejected", "liquidation"} <= kinds


def test_the_command_runs_one_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    from typer.testing import CliRunner

    from bt_margin.cli.app import app

    words = ["run", str(HERE / "rsi_reversion.py"), "--venue", "binance", "--", "--period", "9"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    assert "end " in result.stdout
    assert "RsiReversion  BTC/USDT:USDT" in result.stdout
    assert "ended with" in result.stdout


def test_the_one_line_that_a_script_may_change_does_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``btm.patch`` before the run, as someone would write it in."""
    said = as_python("several_strategies", monkeypatch)
    own = bt.Cerebro.run

    def run(cerebro: Any, **keywords: Any) -> Any:
        btm.patch(cerebro, venue=flat_venue(), margin_mode="isolated")
        return own(cerebro, **keywords)

    monkeypatch.setattr(bt.Cerebro, "run", run)
    assert as_python("several_strategies", monkeypatch) == said
