"""What would have avoided a liquidation: in words, on the page, in the files and in the shell."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies.worlds import BTC, Hold, flat_venue, frame
from typer.testing import CliRunner

import bt_margin as btm
from bt_margin.cli.app import app
from bt_margin.market.files import save_market
from bt_margin.report.avoided import avoided_rows, avoided_table, records, told
from bt_margin.report.bundle import OUTCOME, bundle_of, load
from bt_margin.report.sheets import sheets
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.counterfactual import COLUMNS, counterfactuals

CLOSES = [100.0, 100.0, 100.0, 100.0, 99.0, 98.0, 97.0, 96.0, 95.0, 94.0, 96.0, 100.0] + [
    104.0
] * 190
ROW: dict[str, Any] = {
    "leverage": 20.0, "extra_margin": 47.5, "extra_avoided": True, "extra_worth": -47.5, "extra_week": 147.0,
    "week_worth": 1_452.25, "lower_leverage": 18.0, "leverage_worth": 1_400.0, "other_mode": "cross",
    "mode_avoided": True, "mode_worth": 1_500.0,
}  # fmt: skip


@pytest.fixture
def fell() -> Comparison:
    account: dict[str, Any] = {"venue": flat_venue(), "cash": 1_000.0, "leverage": 20}
    return btm.compare(Hold, {BTC: frame(CLOSES)}, params={"exposure": 10.0}, **account)


def test_all_that_helps_is_told_with_its_worth() -> None:
    assert told(ROW, "USDT") == (
        "47.50 more margin carries it through the bar (-47.50 at the end). "
        "147.00 meets the week after (+1,452.25 at the end). At 18x it lives (+1,400.00 at the end). "
        "Under cross it lives (+1,500.00 at the end)."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"extra_avoided": False},
            "47.50 more margin would have met that bar, but it falls before.",
        ),
        ({"extra_avoided": None}, "47.50 lacked, and could not have been paid in before."),
        ({"lower_leverage": math.nan}, "No lower leverage avoids it."),
        ({"mode_avoided": False}, "Under cross it falls as well (+1,500.00 at the end)."),
        (
            {"mode_avoided": None, "mode_worth": math.nan},
            "Under cross the account refuses what the script asks.",
        ),
    ],
)
def test_what_does_not_help_is_told_as_well(changes: dict[str, Any], words: str) -> None:
    assert words in told({**ROW, **changes}, "USDT")


def test_a_venue_of_one_mode_and_a_leverage_of_one_leave_nothing_to_say() -> None:
    row = {**ROW, "extra_avoided": None, "extra_margin": math.nan, "other_mode": ""}
    assert told({**row, "lower_leverage": math.nan, "leverage": 1.0}, "USDT") == ""


def test_the_page_and_the_files_show_it_once_it_was_asked_for(
    fell: Comparison, tmp_path: Path
) -> None:
    assert "avoided" not in sheets(fell)
    assert records(fell) == []
    fell.to_dir(tmp_path / "before")
    assert not (tmp_path / "before" / "counterfactuals.csv").exists()
    table = fell.counterfactuals(engine="replay")
    sheet = sheets(fell)["avoided"]
    assert [len(row) for row in sheet["rows"]] == [len(sheet["columns"])] == [15]
    assert "7 changed runs" in sheet["note"] or "changed runs were replayed" in sheet["note"]
    (row,) = avoided_rows(fell)
    assert row[0] == "isolated"
    assert row[1] == int(table["time"].iloc[0].timestamp() * 1000)
    assert row[-1] == table["breach"].iloc[0]
    written = {path.name for path in fell.to_dir(tmp_path / "after")}
    assert {"counterfactuals.csv", "counterfactuals.parquet"} <= written
    kept = pd.read_parquet(tmp_path / "after" / "counterfactuals.parquet")
    assert list(kept) == list(COLUMNS)
    outcome = json.loads((tmp_path / "after" / OUTCOME).read_text())
    assert outcome["counterfactuals"][0]["extra_margin"] == pytest.approx(47.5)
    assert load(tmp_path / "after").meta == bundle_of(fell).meta


def test_the_terminal_gets_those_that_are_worth_most(fell: Comparison) -> None:
    fell.counterfactuals()
    head, row = avoided_table(fell, 4)
    assert head[-1] == "what would have avoided it"
    assert row[1:3] == ["isolated", BTC]
    assert row[3].startswith("47.50 more margin")
    assert avoided_table(fell, 0) == [head]


def test_only_the_costliest_are_looked_at() -> None:
    closes = [100.0, 100.0, 100.0, 94.0, 100.0, 100.0, 100.0, 90.0, 100.0, 100.0, 100.0]
    account: dict[str, Any] = {"venue": flat_venue(), "cash": 1_000.0, "leverage": 20}
    ups = [100.0, 100.0, 100.0, *closes, *[100.0] * 30]
    found = btm.run(Again, {BTC: frame(ups)}, margin_mode="isolated", **account)
    whole = counterfactuals(found)
    assert len(whole) == 2
    lost = [e.realised for e in found.broker.events if e.kind == "liquidation"]
    (worst,) = counterfactuals(found, most=1).to_dict(orient="records")
    assert worst["time"] == whole["time"].iloc[lost.index(min(lost))]
    assert len(counterfactuals(found, most=0)) == 0


class Again(Hold):
    """Buys, and buys more after it fell."""

    def next(self) -> None:
        if len(self) in (2, 9):
            self.buy(size=50.0 if len(self) == 2 else 80.0)


def test_the_shell_tells_and_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine.py").write_text(
        "import backtrader as bt\n\nclass Own(bt.Strategy):\n    def next(self):\n"
        "        if len(self) == 1:\n            self.order_target_percent(target=10.0)\n"
    )
    save_market({BTC: frame(CLOSES)}, tmp_path / "market")
    words = [
        "compare",
        str(tmp_path / "mine.py"),
        "--data",
        str(tmp_path / "market"),
        "--leverage",
        "20",
    ]
    words += ["--venue", "generic", "--rule", "maintenance_rate=0.005", "--rule", "taker_fee=0"]
    words += [
        "--rule",
        "maker_fee=0",
        "--rule",
        "liquidation_fee=0",
        "--rule",
        "funding_interval=8h",
        "--rule",
        "residual=trader",
    ]
    shown = CliRunner().invoke(app, [*words, "--counterfactuals", "2"])
    assert shown.exit_code == 0, shown.stderr
    assert "What would have avoided it (1)" in shown.stdout
    assert "more margin carries it" in " ".join(shown.stdout.split())
    told_ = json.loads(CliRunner().invoke(app, [*words, "--counterfactuals", "2", "--json"]).stdout)
    assert len(told_["counterfactuals"]) == 1
    plain = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert plain["counterfactuals"] is None
    refused = CliRunner().invoke(app, [*words, "--counterfactuals", "-1"])
    assert refused.exit_code == 2
