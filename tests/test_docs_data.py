"""docs/data.md says of the venues what the code knows of them, and of the command what it offers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from bt_margin.cli.app import app
from bt_margin.market.exchange import Client
from bt_margin.market.exchange.habits import TABLE

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in PAGE.splitlines()
    if line.startswith("| `") and len(cells := [c.strip() for c in line.strip("|").split("|")]) == 7
}


@pytest.mark.parametrize("exchange", list(TABLE))
def test_a_row_tells_what_the_client_knows(exchange: str) -> None:
    last, marks, funding, tiers, page, limits = ROWS[exchange]
    client, habits = Client(exchange), TABLE[exchange]
    offered = {kind: client.offers(kind) for kind in ("ohlcv", "mark", "index", "funding", "tiers")}
    assert last == "yes"
    assert offered["ohlcv"]
    assert {offered["mark"], offered["index"]} == {marks == "yes"}
    assert offered["funding"] is (funding == "yes")
    assert offered["tiers"] is (tiers == "yes")
    assert ("tiers" in habits.with_key) is (tiers == "with a key")
    assert page == f"{habits.page['ohlcv']:,}"
    kept = [habits.depth and f"{habits.depth:,} bars", habits.funding_kept and "90 days"]
    assert [words in limits for words in kept if words] == [True] * bool(limits)


def test_every_venue_that_was_looked_at_has_a_row() -> None:
    assert set(ROWS) == set(TABLE)


def test_the_options_named_are_those_of_the_command() -> None:
    command = get_command(app).commands["download"]  # type: ignore[attr-defined]  # a group of verbs
    options = {name for each in command.params for name in each.opts}
    named = set(re.findall(r"^\| `(--[a-z-]+)", PAGE, flags=re.MULTILINE)) | {"--until"}
    assert named <= options
    assert options - named <= {"--json", "--quiet", "-q", "--timeframe", "--help", "-h"}
