"""Tiers in notional: the venue's units converted, its amounts rebuilt and compared."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from typing import Any

import pytest
from market.exchange.support import COINS, NOW, Quick
from market.loopback import HOUR, Coin, Loopback, loopback

from bt_margin.errors import ExchangeRefused
from bt_margin.market.exchange import Client, Tiers, fetch_tiers

KEY = {"apiKey": "k" * 20, "secret": "s" * 20}
INVERSE = {"quote": "USD", "settle": "BTC"}


@pytest.fixture
def quick() -> Quick:
    return Quick()


def coin(exchange: str, **more: Any) -> Coin:
    return dataclasses.replace(COINS[exchange], base_bar="1h", **more)


def tiers_of(quick: Quick, exchange: str, traded: Coin) -> tuple[Tiers, Loopback]:
    with loopback(exchange, traded, now=NOW) as server:
        client = quick.client(server, options=KEY if "binance" in exchange else {})
        return fetch_tiers(client, traded.symbol), server


CASES = {
    "binanceusdm": ({}, "quote"),
    "binance": ({}, "quote"),
    "bybit": ({}, "settle"),
    "krakenfutures": ({}, "quote"),
    "okx": ({}, "contracts"),
    "binancecoinm": ({}, "settle"),
    "binance inverse": (INVERSE, "settle"),
    "bybit inverse": (INVERSE, "settle"),
    "okx inverse": (INVERSE, "contracts"),
    "krakenfutures inverse": (INVERSE, "contracts"),
}


@pytest.mark.parametrize("case", CASES)
def test_floors_and_caps_join_and_rates_are_the_venues(quick: Quick, case: str) -> None:
    more, unit = CASES[case]
    exchange = case.split()[0]
    found, server = tiers_of(quick, exchange, coin(exchange, **more))
    held = next(iter(server.hall.coins.values())).tiers
    assert [band.rate for band in found.tiers] == [tier.rate for tier in held]
    assert [band.max_leverage for band in found.tiers] == pytest.approx(
        [tier.leverage for tier in held]
    )
    assert found.tiers[0].floor == 0.0
    assert all(below.cap == above.floor for below, above in pairwise(found.tiers))
    assert found.unit == unit
    assert found.stepped is (exchange == "okx")
    assert (found.price is not None) is (unit == "contracts")
    assert found.notes == ()
    assert json.loads(json.dumps(found.as_dict()))["tiers"][1]["rate"] == held[1].rate


@pytest.mark.parametrize("exchange", ["binanceusdm", "bybit", "krakenfutures"])
def test_quote_notionals_are_taken_as_they_are(quick: Quick, exchange: str) -> None:
    found, server = tiers_of(quick, exchange, coin(exchange))
    held = next(iter(server.hall.coins.values())).tiers
    assert [band.floor for band in found.tiers] == pytest.approx([tier.floor for tier in held])


@pytest.mark.parametrize(("exchange", "more"), [("okx", {}), ("okx", INVERSE)])
def test_contracts_become_notional_at_the_newest_closed_mark(
    quick: Quick, exchange: str, more: dict[str, Any]
) -> None:
    traded = coin(exchange, **more)
    found, server = tiers_of(quick, exchange, traded)
    mark = server.held(traded.symbol, "mark", "1h").iloc[-1]["close"]
    assert found.price == mark
    size = 100.0 if more else 0.01
    worth = size / mark if more else size * mark
    contracts = [float(row["maxSz"]) for row in found.raw if row.get("maxSz")]
    caps = [band.cap for band in found.tiers if band.cap is not None]
    assert caps == pytest.approx([count * worth for count in contracts[: len(caps)]])


def test_a_coin_margined_table_is_in_coins(quick: Quick) -> None:
    found, _ = tiers_of(quick, "binancecoinm", coin("binancecoinm"))
    assert [band.cap for band in found.tiers][:-1] == [
        float(row["qtyCap"]) for row in found.raw[:-1]
    ]


def test_amounts_are_rebuilt_and_a_venue_that_differs_is_noted(quick: Quick) -> None:
    with loopback("binanceusdm", coin("binanceusdm"), now=NOW) as server:
        client = quick.client(server, options=KEY)
        symbol = COINS["binanceusdm"].symbol
        assert [band.amount for band in fetch_tiers(client, symbol).tiers][:3] == pytest.approx(
            [0.0, 50.0, 3_050.0]
        )
        fetch = client._ccxt.fetch_leverage_tiers

        def wrong(*args: Any) -> Any:
            answer = fetch(*args)
            answer[symbol][1]["info"]["cum"] = "77"
            return answer

        client._ccxt.fetch_leverage_tiers = wrong
        found = fetch_tiers(client, symbol)
    assert found.tiers[1].amount == pytest.approx(50.0)
    assert len(found.notes) == 1
    assert "states the maintenance amount 77 for the tier from 50000" in found.notes[0]


@pytest.mark.parametrize("exchange", ["dydx", "hyperliquid"])
def test_fractions_of_the_market_list_make_one_endless_band(quick: Quick, exchange: str) -> None:
    found, server = tiers_of(quick, exchange, coin(exchange))
    held = next(iter(server.hall.coins.values())).tiers[0]
    (band,) = found.tiers
    assert (band.floor, band.cap, band.amount) == (0.0, None, 0.0)
    assert band.rate == pytest.approx(held.rate)
    assert band.max_leverage == pytest.approx(held.leverage)
    assert "market list" in found.source


def test_what_is_not_offered_says_why(quick: Quick) -> None:
    for exchange, says in (("binanceusdm", "API key"), ("kraken", "krakenfutures")):
        traded = coin(exchange)
        with loopback(exchange, traded, now=NOW) as server:
            client = quick.client(server)
            with pytest.raises(ExchangeRefused, match=says):
                fetch_tiers(client, traded.symbol)


def test_a_spot_market_has_no_tiers(quick: Quick) -> None:
    spot = coin("binance", settle=None)
    with loopback("binance", spot, now=NOW) as server:
        client = quick.client(server, options=KEY)
        with pytest.raises(ExchangeRefused, match="is a spot market"):
            fetch_tiers(client, spot.symbol)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"maintenanceMarginRate": None}, "maintenance rate None"),
        ({"maintenanceMarginRate": 1.5}, "maintenance rate 1.5"),
        ({"maxNotional": 1.0}, "do not rise"),
    ],
)
def test_tiers_that_cannot_be_right_are_refused(
    quick: Quick, change: dict[str, Any], says: str
) -> None:
    with loopback("bybit", coin("bybit"), now=NOW) as server:
        client = quick.client(server)
        symbol = COINS["bybit"].symbol
        client.market(symbol)
        fetch = client._ccxt.fetch_market_leverage_tiers

        def spoilt(*args: Any) -> Any:
            rows = fetch(*args)
            rows[2] |= change
            return rows

        client._ccxt.fetch_market_leverage_tiers = spoilt
        with pytest.raises(ExchangeRefused, match=says):
            fetch_tiers(client, symbol)


def test_every_offered_venue_has_a_case() -> None:
    offering = {name for name in COINS if name != "gate" and Client(name, KEY).offers("tiers")}
    assert offering == {case.split()[0] for case in CASES} | {"dydx", "hyperliquid"}


def test_a_venue_whose_mark_is_late_uses_the_newest_it_has(quick: Quick) -> None:
    traded = coin("okx")
    with loopback("okx", traded, now=NOW + 3 * HOUR) as server:
        client = quick.client(server)
        found = fetch_tiers(client, traded.symbol)
        assert found.price == server.held(traded.symbol, "mark", "1h").iloc[-1]["close"]
