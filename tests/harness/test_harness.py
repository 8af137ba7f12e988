"""The harness works on scripts of our own, and it can fail."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
from harness.command import main, read_list
from harness.recording import BAR, ORDER, TRADE
from harness.verdict import Told, differences, same_line

SCRIPT = """
import random, sys
import backtrader as bt

class Script(bt.Strategy):
    def notify_order(self, order):
        if order.status == order.Completed:
            print('%d %.2f' % (order.executed.size, order.executed.price))

    def next(self):
        if not self.position:
            self.buy(size=random.randrange(1, 5), {how})
        elif random.random() < 0.2:
            self.close()

cerebro = bt.Cerebro()
cerebro.addstrategy(Script)
cerebro.broker.setcommission(commission=0.001)
cerebro.adddata(bt.feeds.BacktraderCSVData(dataname='prices.csv'))
print(sys.argv[1:], len(cerebro.run()))
cerebro.plot()
{end}
"""
CHEAT = """
from harness.mirror import Mirror

class Cheat(Mirror):
    def _execute(self, order, ago=None, price=None, **rest):
        super()._execute(order, ago, price and price * 1.000001, **rest)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of scripts with the prices they read."""
    draw, rows, close = random.Random(1), ["date,open,high,low,close,volume,openinterest"], 100.0
    for day in range(60):
        start, close = close, close * (1 + draw.uniform(-0.02, 0.02))
        high, low = max(start, close) + 1, min(start, close) - 1
        date = f"2024-{day // 28 + 1:02}-{day % 28 + 1:02}"
        rows.append(f"{date},{start},{high},{low},{close},1000,0")
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "prices.csv").write_text("\n".join(rows), encoding="utf-8")
    market = SCRIPT.format(how="exectype=bt.Order.Market", end="")
    resting = "exectype=bt.Order.Limit, price=self.data.close[0] * 0.97"
    (scripts / "market.py").write_text(market, encoding="utf-8")
    (scripts / "limit.py").write_text(SCRIPT.format(how=resting, end=""), encoding="utf-8")
    (scripts / "fails.py").write_text("raise ValueError('of its own')", encoding="utf-8")
    (scripts / "dies.py").write_text("import os; os._exit(3)", encoding="utf-8")
    tests = (
        "import backtrader as bt\ndef test_one():\n    assert bt.Cerebro().broker.getcash() == 1e4"
    )
    (scripts / "test_own.py").write_text(tests, encoding="utf-8")
    (tmp_path / "cheat.py").write_text(CHEAT, encoding="utf-8")
    return scripts


def results(folder: Path, *arguments: str) -> tuple[int, dict[str, str], list[str]]:
    """Exit code, result by script, and the whole table."""
    out = folder.parent / "table.md"
    code = main([str(folder), "--out", str(out), *arguments])
    lines = out.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:-2]]
    return code, {row[0]: row[-1] for row in rows}, lines


@pytest.mark.slow
def test_scripts_of_a_folder_are_judged_each_in_its_own_process(folder: Path) -> None:
    code, found, lines = results(folder)
    assert code == 0
    assert found == {
        "dies.py": "both fail: ended with 3:",
        "fails.py": "both fail: ValueError: of its own",
        "limit.py": "same but for the meaning of cash",
        "market.py": "same",
        "test_own.py": "same",
    }
    assert lines[-1].startswith(
        "5 runs: 2 same, 1 same but for the meaning of words, 0 differ as they"
    )
    bars, orders, trades = (int(cell) for cell in lines[5].split("|")[3:6])
    assert (bars, orders > 8, trades > 4) == (60, True, True)


def test_a_broker_that_cheats_is_found_out(folder: Path) -> None:
    broker = f"{folder.parent / 'cheat.py'}:Cheat"
    code, found, lines = results(
        folder, "--scripts", "market.py", "--broker", broker, "--words", ""
    )
    assert code == 1
    assert found["market.py"].startswith("differs: order's executed price at bar 2 order 1: ")
    assert "1 differ, 0 fail" in lines[-1]


def test_a_list_says_what_to_run_and_what_must_differ(folder: Path) -> None:
    wishes = folder.parent / "list.txt"
    wishes.write_text(
        "# ours\nmarket.py --cash '1 2'\nskip limit.py: takes long\nknown: it should\nmarket.py\n",
        encoding="utf-8",
    )
    code, found, lines = results(folder, "--list", str(wishes))
    assert code == 1
    assert found == {
        "market.py": "does not differ any more, though it should",
        "limit.py": "skipped: takes long",
    }
    assert lines[2].split("|")[2].strip() == "`--cash '1 2'`"
    assert lines[2].endswith("| same |")
    assert read_list("known: why\na.py\nb.py")[1].known == ""


def told() -> Told:
    run = {
        "orders": [[1, 7, *range(len(ORDER) - 2)], [2, 8, *range(len(ORDER) - 2)]],
        "trades": [[1, 3, *range(len(TRADE) - 2)]],
        "bars": [[n, *[float(n)] * (len(BAR) - 2), [[0, 1, 9.5]]] for n in (1, 2, 3)],
    }
    return Told([run], "", "size 1\nprice 2.5\n")


def paths(thing: Any) -> list[list[Any]]:
    """The way to every leaf of lists and dictionaries."""
    if isinstance(thing, dict):
        return [[key, *rest] for key in thing for rest in paths(thing[key])]
    if isinstance(thing, list):
        return [[place, *rest] for place in range(len(thing)) for rest in paths(thing[place])]
    return [[]]


@pytest.mark.parametrize("path", paths(told().runs), ids=lambda path: ".".join(map(str, path)))
def test_every_number_of_a_record_counts(path: list[Any]) -> None:
    assert differences(told(), told()) == []
    other = told()
    inner = other.runs
    for step in path[:-1]:
        inner = inner[step]
    before, near = copy.deepcopy(inner[path[-1]]), inner[path[-1]] * (1 + 1e-12)
    inner[path[-1]] = near
    assert differences(told(), other) == []
    inner[path[-1]] = before + 1e-6
    assert len(differences(told(), other)) == 1


@pytest.mark.parametrize("kind", ["orders", "trades", "bars"])
def test_a_missing_line_of_a_record_counts(kind: str) -> None:
    other = told()
    other.runs[0][kind].pop()
    assert [one.what for one in differences(told(), other)] == [f"number of {kind[:-1]} notices"]


def test_the_end_and_the_output_count() -> None:
    one = told()
    assert [d.what for d in differences(one, Told(one.runs, "Error", one.printed))] == ["error"]
    assert [d.what for d in differences(one, Told([], "", one.printed))] == ["number of runs"]
    assert [d.what for d in differences(one, Told(one.runs, "", "size 1\nprice 2.6\n"))] == [
        "output"
    ]
    assert [d.what for d in differences(one, Told(one.runs, "", "size 1\n"))] == ["output"]


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ("size 1 at 0.3", "size 1.0 at 0.30000000000000004", True),
        ("1.5", "1.6", False),
        ("size 1", "cash 1", False),
        ("2006-01-02 5", "2006-01-03 5", False),
        ("[1, 2]", "[1, 2, 3]", False),
        ("<a.B object at 0x7f>", "<c.D object at 0x80>", True),
        ("took 0:00:01.123456", "took 0:00:02.123456", True),
        ("-1", "1", False),
        ("1e-05", "0.00001", True),
    ],
)
def test_lines_are_the_same_in_words_and_numbers(one: str, two: str, alike: bool) -> None:
    assert same_line(one, two) is alike
