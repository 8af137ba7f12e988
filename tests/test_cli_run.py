"""``bt-margin run``: scripts as their authors left them, however they begin and end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest
from studies.worlds import BTC, frame
from test_cli import COMMAND, UP, call, one_line
from typer.testing import Result

from bt_margin.market.files import save_market

HEAD = """
import sys
import backtrader as bt
import pandas as pd

CLOSES = [100.0, 100.0] + [100.0 + 2.0 * i for i in range(1, 20)]

def feed(name=None):
    before = [CLOSES[0], *CLOSES[:-1]]
    rows = pd.DataFrame({"open": before, "close": CLOSES, "volume": 1.0})
    rows["high"], rows["low"] = rows.max(axis=1), rows[["open", "close"]].min(axis=1)
    rows.index = pd.date_range("2025-01-01", periods=len(rows), freq="h")
    return bt.feeds.PandasData(dataname=rows, name=name or "")

class Hedge(bt.Strategy):
    params = (("exposure", 3.0),)
    def next(self):
        if len(self) == 1:
            self.order_target_percent(self.datas[0], target=self.p.exposure)
            self.order_target_percent(self.datas[1], target=-self.p.exposure)

def cerebro(*names, strategy=Hedge, **params):
    made = bt.Cerebro()
    for name in names:
        made.adddata(feed(name))
    made.addstrategy(strategy, **params)
    made.broker.setcash(1000.0)
    return made
"""
PAIR = 'run = cerebro("BTC", "ETH").run()\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def script(place: Path, body: str, *words: str) -> Result:
    """``bt-margin run`` on a script of this body."""
    (place / "mine.py").write_text(HEAD + dedent(body))
    return call("run", str(place / "mine.py"), *words)


def test_it_shows_what_compare_shows_and_the_scripts_words_once(place: Path) -> None:
    result = script(place, PAIR + "print('value', run[0].broker.getvalue())")
    assert result.exit_code == 0, result.stderr
    for part in ("Hedge", BTC, "final equity", "Where the curves part", "mine.py; what it prints"):
        assert part in result.stdout
    assert "isolated was liquidated" in " ".join(result.stdout.split())
    assert result.stdout.count("value ") == 1
    assert result.stdout.index("value ") < result.stdout.index("final equity")


def test_one_json_document_with_nothing_of_the_script_in_it(place: Path) -> None:
    body = PAIR + "print('noise'); sys.stdout.buffer.write(b'more'); print(sys.stdout.encoding)"
    document = json.loads(script(place, body, "--json").stdout)
    (run,) = document["runs"]
    assert run["summary"]["isolated"]["liquidations"] == 1
    assert run["settings"]["cross"]["cash"] == 1000.0
    assert run["settings"]["cross"]["leverage"] == 10.0
    assert run["stamp"]["script"].endswith("mine.py")
    assert (document["told"], document["error"], document["exit"]) == ("cross", None, None)


def test_quiet_prints_the_verdict_of_each_run(place: Path) -> None:
    result = script(place, PAIR + "print('noise')\n" + PAIR, "-q")
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["run 1 of 2", "run 2 of 2"]
    assert "noise" not in result.stdout


def test_modes_cash_leverage_and_who_is_told(place: Path) -> None:
    body = PAIR + "print(type(run[0].broker).__name__, run[0].broker.p.margin_mode)"
    one = script(place, body, "--margin-mode", "isolated", "--cash", "500", "--leverage", "4")
    assert "MarginBroker isolated" in one.stdout
    (own,) = json.loads(script(place, PAIR, "--cash", "500", "--json").stdout)["runs"]
    assert own["settings"]["cross"]["cash"] == 500.0
    assert "difference" not in one.stdout
    assert "MarginBroker cross" in script(place, body).stdout
    two = script(place, body, "--told", "isolated")
    assert "MarginBroker isolated" in two.stdout
    assert "its run under isolated" in two.stdout
    assert "difference" in two.stdout
    wrong = script(place, body, "--margin-mode", "crossed")
    assert wrong.exit_code == 2
    assert "allowed: both, cross, isolated" in one_line(wrong)
    assert "scenarios are cross, isolated" in one_line(script(place, body, "--told", "me"))


def test_scenarios_of_ones_own_and_bounds(place: Path) -> None:
    words = ["--scenario", "low:leverage=2", "--scenario", "high:leverage=20", "--bounds", "--json"]
    (run,) = json.loads(script(place, PAIR, *words).stdout)["runs"]
    assert list(run["summary"]) == ["low", "high"]
    assert run["summary"]["low"]["final_equity_favourable"] is not None


def test_out_holds_tables_report_and_words_by_scenario(place: Path) -> None:
    body = """
    class Loud(Hedge):
        def stop(self):
            print("in", self.broker.p.margin_mode)
    cerebro("BTC", "ETH", strategy=Loud).run()
    print("after")
    """
    result = script(place, body, "--out", "out", "-q")
    assert result.exit_code == 0, result.stderr
    names = {path.name for path in (place / "out").iterdir()}
    assert {"equity.csv", "events.parquet", "report.html", "equity.svg"} <= names
    assert (place / "out/printed_cross.txt").read_text() == "in cross\nafter\n"
    assert (place / "out/printed_isolated.txt").read_text() == "in isolated\n"


def test_several_runs_go_into_folders_of_their_own(place: Path) -> None:
    result = script(place, PAIR + PAIR, "--out", "out", "-q")
    assert result.exit_code == 0, result.stderr
    assert sorted(p.name for p in (place / "out").iterdir()) == ["run1", "run2"]
    assert (place / "out/run2/report.html").stat().st_size > 10_000


def test_arguments_imports_folder_and_main_are_as_python_has_them(place: Path) -> None:
    (place / "elsewhere").mkdir()
    (place / "elsewhere/beside.py").write_text("WORD = 'beside'\n")
    body = """
    import argparse, os, pickle
    from beside import WORD
    if __name__ == "__main__":
        parser = argparse.ArgumentParser()
        parser.add_argument("--exposure", type=float)
        given = parser.parse_args()
        run = cerebro("BTC", "ETH", exposure=given.exposure).run()
        print(WORD, os.path.basename(sys.argv[0]), sys.argv[1:], run[0].p.exposure, os.getcwd())
        print(pickle.loads(pickle.dumps(Hedge)) is Hedge, __file__ == sys.argv[0])
    """
    (place / "elsewhere/mine.py").write_text(HEAD + dedent(body))
    before = sys.argv, list(sys.path)
    result = call("run", "elsewhere/mine.py", "-q", "--out", "out", "--", "--exposure", "0.5")
    assert result.exit_code == 0, result.stderr
    said = (place / "out/printed_cross.txt").read_text()
    assert f"beside mine.py ['--exposure', '0.5'] 0.5 {place}" in said
    assert "True True" in said
    assert (sys.argv, sys.path) == before
    assert sys.modules["__main__"].__dict__.get("Hedge") is None


def test_the_data_may_bring_marks_and_funding(place: Path) -> None:
    own = frame(UP)
    own["funding_rate"] = [0.001 if i % 8 == 0 else float("nan") for i in range(len(own))]
    save_market({BTC: own}, place / "market")
    body = """
    class Long(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy(size=1)
    cerebro("BTC", strategy=Long).run()
    """
    bare = json.loads(script(place, body, "--json").stdout)["runs"][0]["summary"]["cross"]
    full = script(place, body, "--json", "--data", "market")
    rich = json.loads(full.stdout)["runs"][0]["summary"]["cross"]
    assert bare["funding"] == 0.0
    assert rich["funding"] < 0.0


def test_feeds_that_are_no_symbols_are_told_what_to_do(place: Path) -> None:
    body = 'cerebro(None, "prices.csv").run()'
    result = script(place, body)
    assert result.exit_code == 2
    line = one_line(result)
    assert "data0 (no name), data1 ('prices.csv')" in line
    assert "--symbol data0=SYMBOL --symbol data1=SYMBOL" in line
    assert "--venue generic" in line
    named = script(place, body, "--symbol", "data0=BTC/USDT:USDT", "--symbol", "prices.csv=ETH")
    assert named.exit_code == 0, named.stderr
    assert "BTC/USDT:USDT, ETH/USDT:USDT" in named.stdout
    assert "name=BTC/USDT:USDT" in one_line(script(place, body, "--symbol", "BTC"))


def test_a_venue_of_numbers_takes_any_feed(place: Path) -> None:
    rules = {"maintenance_rate": 0.01, "taker_fee": 0, "maker_fee": 0, "liquidation_fee": 0,
             "funding_interval": "8h", "residual": "trader"}  # fmt: skip
    words = [word for name, value in rules.items() for word in ("--rule", f"{name}={value}")]
    result = script(place, "cerebro(None, None).run()", "--venue", "generic", *words)
    assert result.exit_code == 0, result.stderr
    assert "data0, data1" in result.stdout


def test_a_script_that_runs_nothing(place: Path) -> None:
    never = script(place, "print('hello')")
    assert never.exit_code == 2
    assert "mine.py never called cerebro.run()" in one_line(never)
    assert "hello" in never.stdout
    empty = script(place, "print(bt.Cerebro().run())")
    assert empty.exit_code == 2
    assert "without data feeds" in one_line(empty)
    assert "no such file" in one_line(call("run", "nowhere.py"))
    assert "a folder" in one_line(call("run", str(place)))


def test_a_script_that_crashes_after_its_run_still_gets_its_comparison(place: Path) -> None:
    result = script(place, PAIR + "1 / 0")
    assert result.exit_code == 1
    assert "final equity" in result.stdout
    assert "mine.py failed: ZeroDivisionError" in one_line(result)
    before = script(place, "1 / 0\n" + PAIR)
    assert before.exit_code == 1
    assert "ZeroDivisionError: division by zero" in one_line(before)
    assert "mine.py, line" in before.stderr
    wrong = script(place, "def (:\n")
    assert wrong.exit_code == 1
    assert "SyntaxError" in one_line(wrong)


def test_a_feed_of_hours_read_as_days_is_told_what_it_lacks(place: Path) -> None:
    (place / "hours.csv").write_text(
        "".join(f"2025-01-01 0{h}:00:00,1,1,1,1,1\n" for h in range(9))
    )
    body = """
    class Buys(bt.Strategy):
        def next(self):
            self.buy()

    made = bt.Cerebro()
    made.adddata(bt.feeds.GenericCSVData(dataname="hours.csv", name="BTC", openinterest=-1))
    made.addstrategy(Buys)
    made.run()
    """
    result = script(place, body)
    assert result.exit_code == 2
    assert "timeframe=bt.TimeFrame.Minutes, compression=60" in one_line(result)


def test_a_script_surprised_by_a_liquidation_is_told_of_it(place: Path) -> None:
    body = """
    class Sure(Hedge):
        def notify_order(self, order):
            {1: "mine", 2: "mine"}[1 if order.info.get("event") is None else 3]
    cerebro("BTC", "ETH", strategy=Sure).run()
    """
    result = script(place, body)
    assert result.exit_code == 1
    line = one_line(result)
    assert "KeyError: 3" in line
    assert "a liquidation is an order the script never sent" in line


def test_a_strategy_that_crashes_is_not_hushed_up_by_its_script(place: Path) -> None:
    body = """
    class Breaks(bt.Strategy):
        def next(self):
            if self.broker.p.margin_mode == "isolated":
                {}["key"]
    try:
        cerebro("BTC", strategy=Breaks).run()
    except Exception:
        print("went on")
    """
    result = script(place, body)
    assert result.exit_code == 1
    assert "mine.py failed: KeyError: 'key'" in one_line(result)
    assert "went on" in result.stdout


@pytest.mark.parametrize(
    ("leaving", "code"),
    [
        ("sys.exit()", 0),
        ("sys.exit(0)", 0),
        ("sys.exit(3)", 1),
        ("sys.exit('bad')", 1),
        ("quit()", 0),
    ],
)
def test_sys_exit_after_the_run(place: Path, leaving: str, code: int) -> None:
    result = script(place, PAIR + leaving)
    assert result.exit_code == code
    assert "final equity" in result.stdout
    assert bool(code) == ("sys.exit(" in result.stderr)


def test_sys_exit_before_any_run(place: Path) -> None:
    result = script(place, "import argparse; argparse.ArgumentParser().parse_args()", "--", "--odd")
    assert result.exit_code == 1
    assert "unrecognized arguments: --odd" in result.stderr
    assert "sys.exit(2)" in result.stderr
    silent = script(place, "sys.exit(0)")
    assert silent.exit_code == 2
    assert "never called" in one_line(silent)


def test_the_broker_a_script_kept_tells_the_end(place: Path) -> None:
    body = """
    made = cerebro("BTC", "ETH")
    broker = made.broker
    made.run()
    print(broker.getvalue() == made.broker.getvalue() != 1000.0, broker is made.broker)
    """
    assert "True False" in script(place, body).stdout


def test_what_a_script_collects_is_collected_once(place: Path) -> None:
    """Lists, counters, class attributes, open files: the run that is not told leaves no trace."""
    body = """
    import collections, csv, random
    SEEN, COUNT, total = [], collections.Counter(), 0
    BOOK = open("book.csv", "w", newline="")
    class Collects(bt.Strategy):
        made = []
        def next(self):
            global total
            total += 1
            SEEN.append(random.random())
            COUNT["bars"] += 1
            self.made.append(len(self))
            csv.writer(BOOK).writerow([total])
    random.seed(1)
    cerebro("BTC", strategy=Collects).run()
    BOOK.close()
    print(len(SEEN), COUNT["bars"], total, len(Collects.made), len(open("book.csv").readlines()))
    random.seed(1)
    print([random.random() for _ in SEEN] == SEEN)
    """
    said = script(place, body).stdout
    assert "21 21 21 21 21" in said
    assert "True" in said


def test_filters_and_streams_begin_each_run_anew(place: Path) -> None:
    body = """
    import io
    class First:
        def __init__(self, data):
            self.seen = []
        def __call__(self, data):
            self.seen.append(len(data))
            if len(self.seen) > 15:
                data.backwards()
                return True
            return False
    class Watch(bt.Strategy):
        def stop(self):
            print(self.position.size, *(len(data) for data in self.datas))
    made = cerebro("BTC", "ETH", strategy=Watch)
    made.datas[0].addfilter(First)
    text = made.datas[1].p.dataname.to_csv()
    stream = bt.feeds.GenericCSVData(
        dataname=io.StringIO(text), name="SOL", timeframe=bt.TimeFrame.Minutes, compression=60,
        open=1, close=2, volume=3, high=4, low=5, openinterest=-1,
    )
    made.adddata(stream)
    made.add_order_history(iter([["2025-01-01T05:00:00", 1, 100.0]]))
    made.run()
    """
    result = script(place, body, "-q", "--out", "out")
    assert result.exit_code == 0, result.stderr
    for mode in ("cross", "isolated"):
        assert (place / f"out/printed_{mode}.txt").read_text() == "1 15 21 21\n"


def test_an_optimisation_ranks_its_sets_under_both_modes(place: Path) -> None:
    body = """
    made = cerebro("BTC", "ETH")
    made.strats.clear()
    made.optstrategy(Hedge, exposure=(0.5, 1.0, 3.0))
    found = made.run(maxcpus=1, optreturn=False)
    print([run[0].p.exposure for run in found], [type(run[0]).__name__ for run in found])
    """
    result = script(place, body, "--out", "out")
    assert result.exit_code == 0, result.stderr
    assert "[0.5, 1.0, 3.0] ['Hedge', 'Hedge', 'Hedge']" in result.stdout
    assert "3 parameter sets" in result.stdout
    assert "highest under isolated: exposure=" in result.stdout
    table = pd.read_csv(place / "out/parameter_sets.csv")
    assert list(table["exposure"]) == [0.5, 1.0, 3.0]
    assert table["liquidations, isolated"].iloc[2] == 1
    document = json.loads(script(place, body, "--json").stdout)
    assert len(document["runs"][0]["parameter_sets"]) == 3


def test_several_strategies_kept_keywords_and_muted_plots(place: Path) -> None:
    body = """
    made = cerebro("BTC", "ETH")
    made.addstrategy(bt.Strategy)
    both = made.run(runonce=False, stdstats=False)
    print(len(both), made.p.runonce, made.p.stdstats, made.plot(style="bar"), made.runstrats[0] is both)
    print([type(a).__name__ for s in both for a in s.analyzers], made.analyzers)
    """
    result = script(place, body)
    assert "2 False False [] True" in result.stdout
    assert "[] []" in result.stdout


def test_a_broker_that_cannot_be_meant_is_an_error(place: Path) -> None:
    body = """
    class Mine(bt.brokers.BackBroker):
        def getvalue(self, datas=None):
            return 1.0
    made = cerebro("BTC", "ETH")
    made.broker = Mine()
    made.run()
    """
    result = script(place, body)
    assert result.exit_code == 2
    assert "Mine with getvalue of its own" in one_line(result)


def test_from_the_shell_nothing_is_drawn_unless_asked(place: Path) -> None:
    """matplotlib is told to open no window; ``cerebro.plot`` is muted."""
    body = PAIR + "import os\nprint(os.environ.get('MPLBACKEND'), file=sys.stderr)\n"
    (place / "mine.py").write_text(HEAD + body)
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    words = [*COMMAND, "run", "mine.py", "-q"]
    for more, backend in (([], "Agg"), (["--plot"], "None")):
        done = subprocess.run(
            [*words, *more], capture_output=True, text=True, cwd=place, env=environment
        )
        assert done.returncode == 0, done.stderr
        assert "ended with" in done.stdout
        assert done.stderr.split() == [backend]
