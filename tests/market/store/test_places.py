"""Names cannot leave the store, symbols with one stem are told apart, periods tile time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.errors import InputError
from bt_margin.market.kinds import Grid
from bt_margin.market.store import Store
from bt_margin.market.store.places import (
    LATEST,
    cut,
    dataset_name,
    exchange_name,
    period_span,
    periods_of,
    read_dataset_name,
    symbol_name,
    unit_of,
)

NASTY = [
    "",
    ".",
    "..",
    "/",
    "\\",
    "../x",
    "a/../../b",
    "/etc/passwd",
    "C:\\x",
    "\0",
    "a\nb",
    "..BTC",
]
NAMES = st.one_of(
    st.text(max_size=20), st.text("./\\:aB1_-~ \0", max_size=12), st.sampled_from(NASTY)
)


@pytest.mark.parametrize(
    "name", [*NASTY, "_markets.json", "Binance", "nul", "con", "a" * 65, "-x", "é"]
)
def test_what_is_no_name_of_an_exchange_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="exchange"):
        exchange_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "\\", "../x", "a/../../b", "\0", "a\nb", "..BTC", "x" * 101]
)
def test_what_is_no_symbol_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="not a symbol"):
        symbol_name(name)


@given(NAMES, NAMES)
def test_no_name_leads_out_of_the_store(exchange: str, symbol: str) -> None:
    root = Path("/somewhere/store")
    try:
        folder = Store(root).dataset(exchange, symbol, "mark", "1h").folder
    except InputError:
        return
    assert folder.parts[:3] == root.parts
    assert len(folder.parts) == 6
    assert ".." not in folder.parts
    assert not any(sign in part for part in folder.parts[3:] for sign in '/\\:*?"<>|\0')
    assert all(part.isascii() and part[-1] != "." and part[0] != "." for part in folder.parts[3:])


def test_symbols_with_letters_that_files_cannot_have_get_folders_of_their_own() -> None:
    names = [
        "币安人生/USDT:USDT",
        "我踏马来/USDT:USDT",
        "A_B/USDT:USDT",
        "A/B:USDT-USDT",
        "CON",
        "NUL.x",
    ]
    folders = [symbol_name(name) for name in names]
    assert len(set(folders)) == len(names)
    assert symbol_name("CONV/USDT:USDT") == "CONV_USDT_USDT"
    assert all(folder.split(".")[0].lower() not in ("con", "nul") for folder in folders)


@pytest.mark.parametrize(
    ("kind", "timeframe", "says"),
    [
        ("tiers", "", "Store.tiers"),
        ("trades", "1h", "ohlcv, mark, index, funding"),
        ("funding", "1h", "no timeframe"),
        ("ohlcv", "", "timeframe"),
        ("ohlcv", "1M", "month"),
        ("mark", "../1h", "timeframe"),
    ],
)
def test_what_is_not_kept_as_rows_is_refused(kind: str, timeframe: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        dataset_name(kind, timeframe)


def test_the_name_of_a_folder_is_read_back() -> None:
    for kind, timeframe in [("ohlcv", "1m"), ("mark", "4h"), ("index", "1w"), ("funding", "")]:
        assert read_dataset_name(dataset_name(kind, timeframe)) == (kind, timeframe)
    for name in ("tiers", "trades_1h", "ohlcv", "ohlcv_1M", "ohlcv_01h", "funding_1h", "ohlcv_0h"):
        assert read_dataset_name(name) is None


@given(st.integers(0, LATEST - 1), st.sampled_from("MY"))
def test_every_instant_is_in_the_span_of_its_period(time: int, unit: str) -> None:
    period = str(periods_of(np.array([time]), unit)[0])
    start, stop = period_span(period)
    assert start <= time < stop
    assert str(periods_of(np.array([stop]), unit)[0]) > period


@given(st.integers(0, 10**12), st.integers(0, 10**11), st.sampled_from("MY"))
def test_a_span_cut_into_periods_is_still_all_of_it(start: int, length: int, unit: str) -> None:
    pieces = list(cut([(start, start + length)], unit))
    edges = [start, *(stop for _, (_, stop) in pieces)]
    assert [begin for _, (begin, _) in pieces] == edges[:-1]
    assert edges[-1] == start + length
    assert all(period_span(p)[0] <= a < b <= period_span(p)[1] for p, (a, b) in pieces)


def test_parts_are_months_below_an_hour_and_years_from_there_on() -> None:
    units = {
        frame: unit_of("mark", frame) for frame in ("1s", "1m", "30m", "59m", "1h", "60m", "1w")
    }
    assert units == dict.fromkeys(("1s", "1m", "30m", "59m"), "M") | dict.fromkeys(
        ("1h", "60m", "1w"), "Y"
    )
    assert Grid.of("59m").step < Grid.of("1h").step
