"""``bt-margin sweep`` as a person types it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_cli import COMMAND
from typer.testing import CliRunner

from bt_margin.cli.app import app
from bt_margin.cli.sweep_points import grids, sources
from bt_margin.errors import InputError

STRATEGY = """
import backtrader as bt


class Hold(bt.Strategy):
    params = (("exposure", 1.0),)

    def next(self):
        if len(self) == 1:
            self.order_target_percent(target=self.p.exposure)
"""
MARKET = [
    "--symbols",
    "BTC/USDT:USDT",
    "--since",
    "2025-10-08",
    "--until",
    "2025-10-13",
    "--workers",
    "2",
]
GRID = ["--grid", "leverage=5:45:20", "--grid", "margin_mode=cross,isolated"]


@pytest.fixture
def strategy(tmp_path: Path) -> str:
    file = tmp_path / "hold.py"
    file.write_text(STRATEGY)
    return str(file)


def said(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["sweep", *words])
    assert done.exit_code == code, done.output
    return done.output


def test_the_table_the_map_and_the_best_cells_are_shown(strategy: str, tmp_path: Path) -> None:
    text = said(strategy, *MARKET, *GRID, "--out", str(tmp_path / "out"))
    for words in ("SYNTHETIC market", "Total return", "across: leverage", "isolated", "The highest returns",
                  "Every cell is a full run" if "replay" not in text else "replay"):  # fmt: skip
        assert words in text
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"cells.csv", "cells.parquet", "stamp.json", "sweep.html"}
    table = pd.read_parquet(tmp_path / "out" / "cells.parquet")
    assert list(table["leverage"]) == [5, 5, 25, 25, 45, 45]


def test_one_json_document_has_every_cell(strategy: str) -> None:
    found = json.loads(said(strategy, *MARKET, *GRID, "--json"))
    assert found["cells"] == len(found["rows"]) == 6
    assert found["axes"] == {"leverage": [5, 25, 45], "margin_mode": ["cross", "isolated"]}
    assert found["settings"]["venue"] == "binance"
    assert {"final_equity", "liquidations", "engine", "error"} <= set(found["rows"][0])
    assert sum(found["engines"].values()) == 6


def test_draws_are_the_same_for_the_same_seed(strategy: str) -> None:
    words = [
        strategy,
        *MARKET,
        "--draw",
        "leverage=log:1:50",
        "--draws",
        "4",
        "--json",
        "--seed",
        "7",
    ]
    first, again = (json.loads(said(*words)) for _ in range(2))
    assert [row["leverage"] for row in first["rows"]] == [row["leverage"] for row in again["rows"]]
    assert len({row["leverage"] for row in first["rows"]}) == 4


def test_the_page_is_one_file_that_asks_for_nothing(strategy: str, tmp_path: Path) -> None:
    page = tmp_path / "heat.html"
    said(strategy, *MARKET, *GRID, "--report", str(page), "--quiet")
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text
    for words in (
        "Total return",
        "Deepest drawdown",
        "Liquidations",
        "SYNTHETIC market",
        "How this was made",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--grid", "leverage"], "name=values"),
        (["--grid", "leverage=9:1"], "rising"),
        (["--grid", "leverage=1", "--grid", "leverage=2"], "twice"),
        (["--grid", "leverage=1", "--leverage", "3"], "leave one out"),
        (["--grid", "venue=binance,okx", "--venue", "okx"], "leave out --venue"),
        (["--draw", "leverage=1:50"], "go together"),
        (["--grid", "lever=1,2"], "did you mean leverage"),
        (["--grid", "leverage=1", "--value", "sharp"], "did you mean sharpe"),
        ([], "nothing to vary"),
    ],
)
def test_a_slip_of_the_pen_is_told_in_one_line(strategy: str, words: list[str], told: str) -> None:
    text = said(strategy, *MARKET, *words, code=2)
    assert told in text
    assert "Traceback" not in text


def test_a_store_goes_on_and_refuses_another_sweep(strategy: str, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    first = json.loads(said(strategy, *MARKET, *GRID, "--store", kept, "--json"))
    again = json.loads(said(strategy, *MARKET, *GRID, "--store", kept, "--json"))
    assert first["rows"] == again["rows"]  # the seconds too: nothing was run again
    text = said(strategy, *MARKET, *GRID, "--store", kept, "--cash", "5000", code=2)
    assert "settings cash was 10000.0, is 5000.0" in text


def test_ranges_and_lists_of_values() -> None:
    assert grids(["a=1:3", "b=1,5:6", "c=None,0.1", "d=2025-01-01,2025-02-01"]) == {
        "a": [1, 2, 3], "b": [1, 5, 6], "c": [None, 0.1], "d": ["2025-01-01", "2025-02-01"],
    }  # fmt: skip
    assert sources(["a=whole:1:9"])["a"].whole
    with pytest.raises(InputError, match="low below high"):
        sources(["a=9:1"])


STOPS = """
import os, signal
from pathlib import Path
import backtrader as bt


class Stops(bt.Strategy):
    params = (("flag", ""),)

    def next(self):
        if len(self) == 1:
            self.order_target_percent(target=1.0)
        flag = Path(self.p.flag)
        if len(self) == 40 and self.broker.p.leverage == 9 and not flag.exists():
            flag.touch()
            os.killpg(os.getpgrp(), signal.SIGINT)  # what a terminal does on Ctrl-C
"""


def test_ctrl_c_leaves_a_store_that_the_same_command_finishes(tmp_path: Path) -> None:
    (tmp_path / "stops.py").write_text(STOPS)
    words = [
        *COMMAND, "sweep", "stops.py", *MARKET, "--grid", "leverage=1:12", "--engine", "full",
        "--set", f"flag={tmp_path / 'flag'}", "--store", "kept", "--json",
    ]  # fmt: skip

    def run() -> Any:
        return subprocess.run(
            words, cwd=tmp_path, capture_output=True, text=True, start_new_session=True, timeout=120
        )

    log = tmp_path / "kept" / "cells.jsonl"
    stopped = run()
    done = log.read_text().count("\n")
    assert stopped.returncode == 130, stopped.stderr
    assert "the same command goes on there" in stopped.stderr
    assert stopped.stderr.count("\n") == 1, stopped.stderr
    assert 2 <= done < 12
    finished = run()
    assert finished.returncode == 0, finished.stderr
    rows = json.loads(finished.stdout)["rows"]
    assert [row["cell"] for row in rows] == list(range(12))
    assert log.read_text().count("\n") == 12


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (
            ["--grid", "leverage=-1,0"],
            2,
            "none of 2 cells came to its end; 1 failed: LeverageError: leverage",
        ),
        (["--grid", "leverage=2", "--margin-mode", "both"], 2, "margin_mode"),
        (
            ["--grid", "params.exposure=many"],
            1,
            "none of 1 cells came to its end; 1 failed: TypeError",
        ),
    ],
)
def test_a_sweep_without_a_single_result_is_a_failure(
    strategy: str, words: list[str], code: int, told: str
) -> None:
    text = said(strategy, *MARKET, "--backend", "serial", *words, "--quiet", code=code)
    (line,) = [line for line in text.splitlines() if line.startswith("bt-margin: error")]
    assert told in line
