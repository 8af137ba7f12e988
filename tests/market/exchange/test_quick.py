"""A plain reading takes over only where it is ccxt's, and only for rows of that shape."""

from __future__ import annotations

from typing import Any

import pytest
from market.exchange.support import COINS, NOW, Quick
from market.loopback import MINUTE, loopback

from bt_margin.market.exchange.quick import LEARNT, reader


class Theirs:
    """Reads rows as the places say; counts how often it is asked."""

    def __init__(self, *places: int) -> None:
        self.places, self.asked = places, 0

    def __call__(self, row: Any, market: Any = None) -> list[Any]:
        self.asked += 1
        return [int(row[0]), *(None if row[p] is None else float(row[p]) for p in self.places)]


def rows(count: int = 3 * LEARNT) -> list[list[Any]]:
    return [[n, "1.5", "2.5", "0.5", "1.0", str(n + 1), str(2 * n + 7), "0"] for n in range(count)]


@pytest.mark.parametrize("volume", [5, 6])
def test_the_volume_is_found_wherever_it_stands(volume: int) -> None:
    theirs = Theirs(1, 2, 3, 4, volume)
    read = reader(theirs)
    assert [read(row) for row in rows()] == [Theirs(1, 2, 3, 4, volume)(row) for row in rows()]
    assert theirs.asked == LEARNT


def test_another_order_is_left_to_ccxt() -> None:
    theirs = Theirs(1, 4, 2, 3, 5)  # open, close, high, low
    read = reader(theirs)
    assert [read(row) for row in rows()] == [Theirs(1, 4, 2, 3, 5)(row) for row in rows()]
    assert theirs.asked == 3 * LEARNT


def test_what_could_be_either_is_not_guessed() -> None:
    theirs = Theirs(1, 2, 3, 4, 7)
    read = reader(theirs)
    quiet = [[*row[:5], "0", "0", "0"] for row in rows()]
    later = rows()
    assert [read(row)[5] for row in [*quiet, *later]] == [0.0] * len([*quiet, *later])
    assert theirs.asked == 3 * LEARNT + 1  # the first row that tells the columns apart


def test_a_row_of_another_shape_is_ccxts_also_later() -> None:
    theirs = Theirs(1, 2, 3, 4, 5)
    read = reader(theirs)
    for row in rows():
        read(row)
    before = theirs.asked
    assert read([9, "1", "1", "1", "1", None, "3", "0"]) == [9, 1, 1, 1, 1, None]
    assert theirs.asked == before + 1


@pytest.mark.parametrize("exchange", list(COINS))
def test_every_venue_reads_as_the_bare_class_does(exchange: str) -> None:
    coin = COINS[exchange]
    with loopback(exchange, coin, now=NOW) as server, Quick().client(server) as client:
        bare, since = server.client(), NOW - NOW % MINUTE - 600 * MINUTE
        bare.load_markets()
        for kind in ("ohlcv", "mark"):
            if client.offers(kind):
                params = {} if kind == "ohlcv" else {"price": kind}
                for _ in range(3):
                    asked = (coin.symbol, "1m", since, 300, params)
                    assert client.call("fetch_ohlcv", *asked) == bare.fetch_ohlcv(*asked)
