"""Symbols, dates and intervals as people write them."""

from datetime import date, datetime, timedelta, timezone

import pytest

from bt_margin.errors import InputError
from bt_margin.venues.names import canonical, interval, moment, nearest

SYMBOLS = ["BTC/USDT:USDT", "BTC/USDC:USDC", "ETH/USDT:USDT", "1000PEPE/USDT:USDT"]


@pytest.mark.parametrize(
    "name",
    ["BTCUSDT", "btcusdt", "BTC/USDT", "BTC-USDT", "BTC_USDT", "BTCUSDT.P", "BTC-USDT-SWAP"],
)
def test_common_spellings_lead_to_one_symbol(name: str) -> None:
    assert canonical(name, SYMBOLS) == "BTC/USDT:USDT"


@pytest.mark.parametrize("name", ["", "BTC", "USDT", "BTC/USDT:BTC", "BTCUSD"])
def test_a_name_that_fits_none_or_several_leads_nowhere(name: str) -> None:
    assert canonical(name, SYMBOLS) is None


def test_the_nearest_names_begin_with_the_same_base() -> None:
    assert nearest("BTCUSD", SYMBOLS)[:2] == ["BTC/USDT:USDT", "BTC/USDC:USDC"]
    assert nearest("ETHUSTD", SYMBOLS)[0] == "ETH/USDT:USDT"
    assert nearest("", SYMBOLS) == []


def test_dates_are_midnight_utc_and_moments_say_their_zone() -> None:
    day = 1_738_281_600_000
    assert moment("2025-01-31") == moment(date(2025, 1, 31)) == moment(day) == day
    zone = timezone(timedelta(hours=2))
    assert moment(datetime(2025, 1, 31, 2, tzinfo=zone)) == day
    assert moment("2025-01-31T02:00:00+02:00") == day
    assert moment(None) is None


def test_a_naive_time_of_day_is_refused_with_the_remedy() -> None:
    with pytest.raises(InputError, match=r"no time zone.*\+00:00"):
        moment(datetime(2025, 1, 31, 8))


def test_intervals() -> None:
    assert interval("8h") == interval(28_800_000) == 8 * interval("1h")
    assert interval("30m") * 48 == interval("1d")


@pytest.mark.parametrize("value", ["", "8", "h", "0h", "-1h", "1.5h", "8 w", 0, -1, None, True])
def test_what_is_no_interval_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="not an interval"):
        interval(value)
