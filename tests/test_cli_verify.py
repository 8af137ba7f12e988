"""``bt-margin verify``: exit codes, tables that fit, JSON, and one clear line for what cannot be used."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from studies.exchanges import parsed
from typer.testing import CliRunner, Result

from bt_margin.cli import verify
from bt_margin.cli.app import app
from bt_margin.studies.conformance import read_cases, run_cases

CASES = Path(str(files("bt_margin.venues").joinpath("cases", "binance.json")))
CASE = {
    "id": "one", "venue": "binance", "mode": "isolated", "side": "long", "what": "liquidation_price",
    "inputs": {"entry_price": 8.0, "quantity": 1.0, "leverage": 5.0, "wallet_balance": 1.6,
               "mmr": 0.01, "maintenance_amount": 0.01},
    "expected": {"liquidation_price": 6.454545454545454}, "tolerance_abs": {"liquidation_price": 1e-6},
    "source": "freqtrade tests/exchange/test_exchange.py",
}  # fmt: skip


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["verify", *words])


def saved(folder: Path, document: Any) -> str:
    file = folder / "input.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(file)


def one_line(result: Result) -> str:
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("bt-margin: error: ")
    return line


def test_the_shipped_cases_come_out_right() -> None:
    result = call("--cases", str(CASES))
    assert result.exit_code == 0, result.output
    assert "bin-lin-cross-eth-of-2" in result.stdout
    assert "19 cases: 19 right, 0 wrong, 0 not answered" in result.stdout
    assert "WRONG" not in result.stdout


def test_a_wrong_case_is_exit_code_1_and_shown_with_its_difference(tmp_path: Path) -> None:
    result = call("--cases", saved(tmp_path, [CASE | {"expected": {"liquidation_price": 6.5}}]))
    assert result.exit_code == 1
    line = next(each for each in result.stdout.splitlines() if "liquidation_price" in each)
    assert line.split() == ["liquidation_price", "6.5", "6.4545455", "-0.045", "WRONG"]
    assert "1 case: 0 right, 1 wrong" in result.stdout


def test_an_unknown_kind_is_exit_code_1_and_named(tmp_path: Path) -> None:
    unknown = CASE | {"id": "two", "what": "the weather", "inputs": {}}
    result = call("--cases", saved(tmp_path, {"examples": [CASE, unknown]}))
    assert result.exit_code == 1
    assert "two" in one_line(result)
    assert "'the weather'" in one_line(result)
    assert "2 cases: 1 right, 0 wrong, 1 not answered" in result.stdout


def test_cases_as_json(tmp_path: Path) -> None:
    result = call("--cases", saved(tmp_path, [CASE]), "--json")
    document = json.loads(result.stdout)
    assert (document["cases"], document["right"], document["wrong"]) == (1, 1, 0)
    (outcome,) = document["outcomes"]
    (key,) = outcome["keys"]
    assert key["ours"] == pytest.approx(key["expected"], abs=1e-6)
    assert outcome["source"] == CASE["source"]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("{}", "no list of cases"),
        ([], "empty"),
        ([CASE, CASE], "'one' stands twice"),
        ([CASE | {"expected": {}}], "'expected' is empty"),
        ([CASE | {"inputs": {"quantity": 1e80}}], "beyond"),
        ("[" * 50_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_cases_is_exit_code_2_and_one_line(
    tmp_path: Path, document: Any, told: str
) -> None:
    result = call("--cases", saved(tmp_path, document))
    assert result.exit_code == 2
    assert told in one_line(result)


def test_cases_given_as_positions_are_pointed_at_the_option(tmp_path: Path) -> None:
    result = call(saved(tmp_path, {"examples": [CASE]}))
    assert result.exit_code == 2
    assert "--cases" in one_line(result)


@pytest.mark.parametrize("words", [[], ["--cases"]])
def test_a_missing_file_is_exit_code_2(words: list[str]) -> None:
    result = call("nowhere.json", *words)
    assert result.exit_code == 2
    assert "nowhere.json" in one_line(result)


def test_cases_take_no_other_option() -> None:
    result = call("--cases", str(CASES), "--wallet", "5")
    assert result.exit_code == 2
    assert "--cases takes no other option" in one_line(result)


def test_a_table_of_cases_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(width=80, color_system=None, force_terminal=False)
    verify._show_cases(console, run_cases(read_cases(CASES)))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 40
    assert max(map(len, lines)) <= 80


def test_positions_are_shown_beside_the_exchanges_numbers(tmp_path: Path) -> None:
    file = saved(tmp_path, [parsed("binanceusdm"), parsed("bybit")])
    result = call(file)
    assert result.exit_code == 0, result.output
    price = next(each for each in result.stdout.splitlines() if "liquidation price" in each)
    assert price.split() == ["liquidation", "price", "5930.78355", "5930.78", "0.00355"]
    assert "give --wallet" in result.stdout
    assert "rules of 1 Jan 2021" in result.stdout
    assert "2 positions: 2 judged" in result.stdout


def test_positions_as_json_with_an_explicit_tier(tmp_path: Path) -> None:
    file = saved(tmp_path, [parsed("binanceusdm")])
    words = ["--mmr", "0.005", "--maintenance-amount", "50", "--as-of", "2026-09-30", "--json"]
    (position,) = json.loads(call(file, *words).stdout)["positions"]
    price = position["compared"]["liquidation_price"]
    assert price["ours"] == pytest.approx(5930.78, abs=0.01)
    assert price["exchange"] == 5930.78
    assert price["difference"] == pytest.approx(price["ours"] - 5930.78)


def test_wallets_by_currency(tmp_path: Path) -> None:
    row = {
        "symbol": "BTC/USDT:USDT", "side": "long", "contracts": 1.0, "entryPrice": 60_000.0,
        "markPrice": 60_000.0, "leverage": 10.0, "marginMode": "cross",
    }  # fmt: skip
    file = saved(tmp_path, [row])
    for wallet in ("9000", "USDT=9000", "usdt=9000"):
        words = ["--venue", "binance", "--wallet", wallet, "--json"]
        (position,) = json.loads(call(file, *words).stdout)["positions"]
        assert position["compared"]["liquidation_price"]["ours"] == pytest.approx(51_204.82, abs=60)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--venue"),
        (["--venue", "nowhere"], "is not known"),
        (["--venue", "binance", "--mode", "hedge"], "cross, isolated"),
        (["--venue", "binance", "--wallet", "many"], "is not a number"),
        (["--venue", "binance", "--wallet", "-1"], "above 0"),
        (["--venue", "binance", "--wallet", "=1"], "CURRENCY=AMOUNT"),
        (["--venue", "binance", "--max-leverage", "5"], "--mmr"),
        (["--venue", "binance", "--as-of", "yesterday"], "not a date"),
        (["--venue", "binance", "--option", "colour=red"], "no option 'colour'"),
        (["--venue", "binance", "--option", "colour"], "name=value"),
    ],
)
def test_what_cannot_be_meant_is_exit_code_2(tmp_path: Path, words: list[str], told: str) -> None:
    row = {"symbol": "BTC/USDT:USDT", "side": "long", "contracts": 1.0, "entryPrice": 60_000.0}
    result = call(saved(tmp_path, [row]), *words)
    assert result.exit_code == 2, result.output
    assert told in one_line(result)


def test_a_position_nobody_can_judge_is_exit_code_1(tmp_path: Path) -> None:
    row = {"symbol": "NO/USDT:USDT", "side": "long", "contracts": 1.0, "entryPrice": 6.0}
    row |= {"markPrice": 6.0}
    result = call(saved(tmp_path, [row]), "--venue", "binance")
    assert result.exit_code == 1
    assert "has no table for NO/USDT:USDT" in one_line(result)
    assert call(saved(tmp_path, [row]), "--venue", "binance", "--mmr", "0.01").exit_code == 0


def test_help_shows_examples() -> None:
    result = call("--help")
    assert result.exit_code == 0
    assert result.stdout.count("Example: bt-margin verify") == 3


@pytest.mark.parametrize("words", [[], ["--cases"]])
@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file here")
def test_a_file_without_end_is_refused(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["verify", "/dev/zero", *words])
    assert done.exit_code == 2
    assert "too large" in done.output
