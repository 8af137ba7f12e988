"""``bt-margin stress``: what it prints, writes and refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from studies.worlds import BTC, ETH
from test_cli import HEDGE, call, one_line
from typer.testing import Result

from bt_margin.market.files import save_market
from bt_margin.market.synthetic import generate_market

RULES = [
    "--venue", "generic", "--rule", "maintenance_rate=0.005", "--rule", "taker_fee=0.0006",
    "--rule", "maker_fee=0.0002", "--rule", "liquidation_fee=0", "--rule", "funding_interval=8h",
    "--rule", "residual=trader",
]  # fmt: skip


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two symbols of the sample, 400 hours, in files."""
    folder = tmp_path_factory.mktemp("market")
    made = generate_market(seed=5, hours=400)
    save_market({symbol: made[symbol] for symbol in (BTC, ETH)}, folder)
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a strategy file."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine.py").write_text(HEDGE)
    return tmp_path


def stress(place: Path, market: Path, *words: str, strategy: str = "Hedge") -> Result:
    """``bt-margin stress`` on one worker, unless the words say otherwise."""
    where = f"{place / 'mine.py'}:{strategy}"
    usual = [] if "--workers" in words else ["--workers", "1"]
    return call("stress", where, "--data", str(market), *RULES, *usual, *words)


def test_it_shows_tables_the_verdict_and_what_holds(place: Path, market: Path) -> None:
    done = stress(place, market, "--paths", "3", "--crash", "2025-10-10", "--at", "1")
    assert done.exit_code == 0, done.output
    assert "Hedge under stress: cross and isolated  SYNTHETIC market" in done.stdout
    assert "probability of liquidation" in done.stdout
    assert "On 3 resampled paths of 17 days" in done.stdout
    assert "Of 1 crash laid over the history" in " ".join(done.stdout.split())
    assert "Paths are the history's own bars" in done.stdout


def test_json_is_one_document_with_every_table(place: Path, market: Path) -> None:
    shock = ["--shock", "gap=-0.02@2024-01-05", "--shock", "outage=6h@2024-01-06"]
    done = stress(place, market, "--paths", "2", "--crash", "none", *shock, "--json", "--seed", "4")
    found = json.loads(done.stdout)
    assert found["scenarios"] == ["cross", "isolated"]
    assert [row["kind"] for row in found["runs"]] == ["history"] * 2 + ["shocked"] * 2 + [
        "path"
    ] * 4
    assert {row["event"] for row in found["probability"]} == {
        "liquidation", "everything lost", "a loss",
    }  # fmt: skip
    assert found["shocks"] == [
        "Gap(size=-0.02, at='2024-01-05', symbols=())",
        "Outage(at='2024-01-06', hours=6.0)",
    ]
    assert found["seed"] == found["stamp"]["seed"] == 4


def test_the_page_and_the_folder_are_written(place: Path, market: Path) -> None:
    page, out = place / "page.html", place / "out"
    done = stress(
        place, market, "--paths", "2", "--crash", "ftx", "--at", "2024-01-05,2024-01-08",
        "--report", str(page), "--out", str(out), "--quiet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n") == 1
    assert "Of 2 crashes laid over the history" in done.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {"runs.csv", "stress.html", "winner.parquet"} <= {path.name for path in out.iterdir()}


def test_a_strategy_in_a_file_goes_to_other_processes(place: Path, market: Path) -> None:
    words = ("--paths", "2", "--crash", "none", "--json")
    alone = json.loads(stress(place, market, *words).stdout)
    both = json.loads(stress(place, market, *words, "--workers", "2").stdout)
    assert both["runs"] == alone["runs"]


def test_the_library_is_listed_without_a_strategy() -> None:
    done = call("stress", "--list")
    assert done.exit_code == 0
    assert "2020-03-12" in done.stdout
    assert "-54.38 %" in done.stdout
    found = json.loads(call("stress", "--list", "--json").stdout)
    assert len({row["crash"] for row in found["crashes"]}) == 7
    assert all(fact["source"] and fact["as_of"] for fact in found["facts"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--crash", "1929"], "no crash is called '1929'"),
        (["--shock", "gap=-0.3"], "kind=size@when"),
        (["--shock", "gap=-0.3@2031-01-01", "--crash", "none"], "outside the data"),
        (["--at", "2031-01-01"], "at lies outside the data"),
        (["--paths", "-1"], "paths"),
        (["--scenario", "x:margin_mod=cross"], "margin_mod"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    place: Path, market: Path, words: list[str], says: str
) -> None:
    done = stress(place, market, *words)
    assert done.exit_code == 2
    assert says in one_line(done)


def test_without_a_strategy_it_asks_for_one() -> None:
    done = call("stress")
    assert done.exit_code == 2
    assert "which strategy?" in one_line(done)


def test_a_strategy_that_fails_says_where(place: Path, market: Path) -> None:
    done = stress(place, market, "--paths", "0", "--crash", "none", strategy="Fails")
    assert "Fails failed on history, cross: ZeroDivisionError" in one_line(done)
