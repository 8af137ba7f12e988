"""``bt-margin venues``: the list, one venue with all its facts, JSON, and what does not exist."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

import bt_margin as btm
from bt_margin.cli import venues
from bt_margin.cli.app import app
from bt_margin.errors import InputError
from bt_margin.studies import rulebook

NUMBERS = {
    "generic": "maintenance_rate=0.005 taker_fee=0.0005 maker_fee=0.0002 liquidation_fee=0 "
    "funding_interval=8h residual=trader",
    "dydx_v3": "taker_fee=0.0005 maker_fee=0.0002",
}


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["venues", *words])


def options(name: str) -> list[str]:
    return [word for each in NUMBERS.get(name, "").split() for word in ("--option", each)]


def test_the_list_names_every_venue() -> None:
    result = call()
    assert result.exit_code == 0, result.output
    for name in btm.venues():
        assert name in result.stdout
    assert call("--quiet").stdout.split() == list(btm.venues())


def test_the_list_as_json_tells_them_apart() -> None:
    rows = {row["name"]: row for row in json.loads(call("--json").stdout)["venues"]}
    assert set(rows) == set(btm.venues())
    assert rows["binance"]["modes"] == ["cross", "isolated"]
    assert rows["binance"]["funding_hours"] == 8
    assert rows["binance"]["kinds"] == {"linear": len(btm.venue("binance").schedules)}
    assert "maintenance_rate" in rows["generic"]["wants"]


@pytest.mark.parametrize("name", btm.venues())
def test_a_venue_tells_every_fact_with_its_source_and_its_fidelity(name: str) -> None:
    told = json.loads(call(name, *options(name), "--json").stdout)
    given = dict(word.split("=") for word in NUMBERS.get(name, "").split())
    numbers = {key: value if key[0] in "fr" else float(value) for key, value in given.items()}
    rules = btm.venue(name, **numbers)
    assert [(f["topic"], f["source"], f["as_of"]) for f in told["facts"]] == [
        (f.topic, f.source, f.as_of) for f in rules.facts
    ]
    assert told["exact"] == list(rules.exact)
    assert told["approximated"] == list(rules.approximations)
    assert told["absent"] == list(rules.absent)
    shown = " ".join(call(name, *options(name)).stdout.split())
    for text in (*rules.exact, *rules.approximations, *rules.absent):
        assert " ".join(text.split()) in shown


@pytest.mark.parametrize("name", ["aave_v3", "gmx_v1", "krakenspot"])
def test_a_venue_without_funding_says_so(name: str) -> None:
    told = call(name).stdout
    assert "funding: none" in told
    assert "paid at the stamp" not in told
    assert json.loads(call(name, "--json").stdout)["funding_hours"] is None


def test_what_liquidates_is_told_of_every_venue_that_wants_no_numbers() -> None:
    rows = {row["name"]: row for row in rulebook.listed() if "wants" not in row}
    assert [name for name, row in rows.items() if not row["trigger"]] == []
    assert rows["krakenspot"]["trigger"] == "margin level at about 40 %"


def test_dates_of_rules_are_named() -> None:
    told = rulebook.described("bybit")
    assert "2025-09-02" in told["dates"]
    assert told["mode_scope"] == "account"
    plain = btm.venue("binance")
    turned = replace(plain, liquidation_changes=((1_577_836_800_000, plain.liquidation),))
    assert rulebook.dates(turned) == ["2020-01-01", *rulebook.dates(plain)]


def test_tables_are_told_with_their_date_and_reach() -> None:
    told = rulebook.described("binance")["tables"]
    assert len(told) >= 8
    assert all(row["source"] and row["symbols"] for row in told)
    assert [row["since"] for row in told] == sorted(row["since"] for row in told)


def test_a_venue_that_wants_numbers_says_which_and_shows_its_options() -> None:
    result = call("generic")
    assert result.exit_code == 0
    assert "misses maintenance_rate" in " ".join(result.stdout.split())
    assert "taker_fee" in rulebook.options_of("generic")["defaults"]


def test_aliases_are_known() -> None:
    assert json.loads(call("binanceusdm", "--json").stdout)["name"] == "binance"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["binanse"], "did you mean 'binance'"),
        (["binance", "--option", "colour=red"], "no option 'colour'"),
        (["--option", "a=1"], "belongs to a venue"),
        (["generic", "--option", "taker_fee=0.1"], "misses"),
    ],
)
def test_what_does_not_exist_is_exit_code_2(words: list[str], told: str) -> None:
    result = call(*words)
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert told in line


def test_the_list_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    venues._print_list(Console(width=80, color_system=None), rulebook.listed())
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_venue_fits_80_columns_but_for_the_names_of_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = Console(width=80, color_system=None)
    monkeypatch.setattr(venues.shell, "stdout", lambda: narrow)
    venues._print_one(rulebook.described("binance"), False, False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 50
    assert [line for line in lines if len(line) > 80 and " " in line.strip()] == []


def test_an_option_a_venue_cannot_use_is_not_taken_for_a_missing_one() -> None:
    with pytest.raises(InputError, match="taker_fee"):
        rulebook.described("generic", {"taker_fee": 7})
