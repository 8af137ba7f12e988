"""Positions read from ccxt's structure: signs, margins, times, and whose they are."""

from __future__ import annotations

from typing import Any

import pytest
from studies.exchanges import KRAKEN_SPOT, MARKETS, parsed

from bt_margin.errors import InputError
from bt_margin.studies.snapshot import positions_of, venue_of

ROW = {"symbol": "BTC/USDT:USDT", "side": "long", "contracts": 2.0, "entryPrice": 100.0}
OURS = {
    "binanceusdm": "binance",
    "bybit": "bybit",
    "okx": "okx",
    "krakenfutures": "krakenfutures",
    "hyperliquid": "hyperliquid",
    "dydx": "dydx",
}


@pytest.mark.parametrize("name", MARKETS)
def test_the_exchange_is_read_off_its_raw_payload(name: str) -> None:
    (found,) = positions_of([parsed(name)])
    assert found.venue == OURS[name]
    assert found.entry is not None
    assert found.contracts != 0


def test_a_payload_without_a_mark_of_its_exchange_is_of_no_certain_one() -> None:
    assert venue_of(ROW) is None
    assert venue_of({**ROW, "info": {"symbol": "BTCUSDT", "leverage": "10"}}) is None
    assert venue_of({**ROW, "info": "text"}) is None


def test_a_short_is_negative_whatever_sign_it_came_with() -> None:
    for contracts in (2.0, -2.0, "2.0"):
        (found,) = positions_of([{**ROW, "side": "short", "contracts": contracts}])
        assert (found.contracts, found.side) == (-2.0, "short")
    (found,) = positions_of([{**ROW, "side": None, "contracts": -2.0}])
    assert found.contracts == -2.0


def test_isolated_margin_is_without_the_unrealised_profit() -> None:
    (found,) = positions_of([parsed("binanceusdm")])
    assert found.margin == pytest.approx(13_200.70726908)
    old = {**parsed("binanceusdm"), "positionMargin": None}  # as ccxt wrote it before 4.5
    (found,) = positions_of([old])
    assert found.margin == pytest.approx(13_200.70726908)
    (found,) = positions_of([{**ROW, "marginMode": "cross", "collateral": 50.0}])
    assert found.margin is None


def test_what_was_paid_for_a_spot_position_is_its_entry() -> None:
    row = {"symbol": "ETH/USD", "side": "long", "contracts": 0.1, "entryPrice": None}
    (found,) = positions_of([{**row, "info": KRAKEN_SPOT}])
    assert found.entry == pytest.approx(3_000.0)
    assert found.venue == "kraken"


def test_flat_positions_are_left_out_and_zeros_say_nothing() -> None:
    rows = [
        {**ROW, "contracts": 0.0},
        {**ROW, "markPrice": 0, "leverage": 0.0, "contractSize": None},
    ]
    (found,) = positions_of(rows)
    assert (found.mark, found.leverage, found.contract_size) == (None, None, None)


def test_one_position_alone_and_a_wrapped_list_are_read() -> None:
    assert len(positions_of(ROW)) == len(positions_of({"positions": [ROW]})) == 1


def test_the_newest_stamp_of_a_position_is_its_time() -> None:
    (found,) = positions_of([{**ROW, "timestamp": 5, "lastUpdateTimestamp": 9}])
    assert found.time == 9
    (found,) = positions_of([{**ROW, "timestamp": None}])
    assert found.time is None


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (7, "no list of positions"),
        ({}, "no list of positions"),
        ([], "no open position"),
        ([{**ROW, "contracts": None}], "no open position"),
        ([7], "position 1 is no object"),
        ([{"side": "long"}], "'symbol'"),
        ([{**ROW, "side": "up"}], "'side'"),
        ([{**ROW, "entryPrice": "ten"}], "'entryPrice'"),
        ([{**ROW, "contracts": True}], "'contracts'"),
        ([{**ROW, "markPrice": "inf"}], "'markPrice'"),
        ([ROW] * 5_001, "too many"),
    ],
)
def test_what_is_no_list_of_positions_is_refused(document: Any, told: str) -> None:
    with pytest.raises(InputError) as error:
        positions_of(document, "file.json")
    assert told in str(error.value)
    assert "file.json" in str(error.value)
