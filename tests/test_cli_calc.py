"""``bt-margin calc`` under every venue's rules."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from bt_margin.cli.app import app

SEED = ["--notional", "10000", "--entry", "65000", "--leverage", "10"]


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["calc", *words])


def price(*words: str) -> float:
    result = call(*words, *SEED, "--quiet")
    assert result.exit_code == 0, result.output
    return float(result.stdout)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["BTC/USDT:USDT", "--venue", "binance", "--mmr", "0.005"], 58_793.97),
        (["BTC/USDT:USDT", "--venue", "binance", "--as-of", "2026-09-30"], 58_734.94),
        (["BTC/USDT:USDT", "--venue", "bybit", "--as-of", "2025-09-01"], 58_825.00),
        (["BTC/USDT:USDT", "--venue", "bybit", "--as-of", "2025-09-03"], 58_793.97),
        (["BTC/USDT:USDT", "--venue", "okx", "--mmr", "0.005"], 58_823.53),
        (["BTC/USD:USD", "--venue", "krakenfutures", "--mmr", "0.005"], 58_793.97),
        (["BTC/USD:USD", "--venue", "krakenfutures", "--as-of", "2025-09-01"], 59_090.91),
    ],
)
def test_the_ten_fold_long_at_65_000_on_every_exchange(words: list[str], expected: float) -> None:
    """Rule books of the exchanges, evaluated by hand: bankruptcy price over one less the rate."""
    assert price(*words) == pytest.approx(expected, abs=0.005)


def test_no_venue_liquidates_it_where_the_margin_is_already_gone() -> None:
    for venue, symbol in (("hyperliquid", "BTC/USDC:USDC"), ("dydx_v4", "BTC/USDC:USDC")):
        assert price(symbol, "--venue", venue, "--mmr", "0.005") > 58_500 > 58_465


def test_the_mode_is_one_the_venue_has() -> None:
    result = call("BTC/USD", "--venue", "kraken", "--size", "0.1", "--entry", "60000", "--leverage", "2",
                  "--wallet", "4000", "--json")  # fmt: skip
    (position,) = json.loads(result.stdout)["positions"]
    assert position["margin_mode"] == "cross"
    refused = call(
        "BTC/USD", "--venue", "kraken", "--size", "1", "--entry", "1", "--mode", "isolated"
    )
    assert refused.exit_code == 2
    assert "cross" in refused.stderr


def test_options_of_the_venue() -> None:
    words = ["BTC/USDC:USDC", "--venue", "dydx_v3", "--size", "0.1", "--entry", "60000"]
    missing = call(*words)
    assert missing.exit_code == 2
    assert "taker_fee" in missing.stderr
    given = call(*words, "--option", "taker_fee=0.0005", "--option", "maker_fee=0.0002", "--json")
    assert given.exit_code == 0, given.output


def test_a_contract_settled_in_its_coin() -> None:
    words = ["BTC/USD:BTC", "--size", "100", "--entry", "20000", "--leverage", "10", "--json"]
    (position,) = json.loads(call(*words, "--venue", "binancecoinm").stdout)["positions"]
    assert position["currency"] == "BTC"
    assert position["notional"] == pytest.approx(0.5)
    assert position["balance"] == pytest.approx(0.05)


def test_money_and_sizes_have_their_units() -> None:
    """10,000 of an inverse contract are coins; without the unit they pass for dollars."""
    shown = call("BTC/USD:BTC", "--venue", "bybit", *SEED)
    assert shown.exit_code == 0, shown.output
    assert "10,000.0000 BTC" in shown.stdout
    assert "650,000,000.00 contracts" in shown.stdout


def test_a_position_that_would_not_stand_is_said_to() -> None:
    """Ten thousand coins ends above 2x, with a requirement beyond its margin."""
    dead = call("BTC/USD:BTC", "--venue", "binancecoinm", *SEED).stdout
    assert "liquidated at once" in dead
    large = call("BTC/USDT:USDT", "--venue", "binance", "--notional", "2e7", "--entry", "65000",
                 "--leverage", "50").stdout  # fmt: skip
    assert "not to be opened at 50×, the venue allows 25× of this value" in " ".join(large.split())
    assert "at once" not in call("BTC/USDT:USDT", *SEED).stdout


def test_several_positions_on_one_wallet_of_another_venue() -> None:
    words = ["--venue", "okx", "--mode", "cross", "--wallet", "5000", "--json"]
    words += [
        "--position",
        "BTC/USDT:USDT,long,50,60000",
        "--position",
        "ETH/USDT:USDT,short,50,3000",
    ]
    first, second = json.loads(call(*words).stdout)["positions"]
    assert first["equity"] == second["equity"] == pytest.approx(5_000.0)
    assert first["liquidation_price"] < 60_000
    assert second["liquidation_price"] > 3_000


def test_both_sides_of_one_symbol() -> None:
    words = ["--mode", "cross", "--wallet", "5000", "--json"]
    words += [
        "--position",
        "BTC/USDT:USDT,long,1,60000",
        "--position",
        "BTC/USDT:USDT,short,0.5,61000",
    ]
    first, second = json.loads(call(*words).stdout)["positions"]
    assert (first["side"], second["side"]) == ("long", "short")
    assert first["liquidation_price"] == second["liquidation_price"]
