"""Money is shown with the digits of its currency."""

from __future__ import annotations

import pytest

from bt_margin.studies.amounts import fixed, grain, is_cash, money, price


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.567, "USDT", "1,234.57"),
        (0.0, "USDC", "0.00"),
        (-1e-12, "USDT", "0.00"),
        (-0.00499999, "USD", "-0.005"),
        (-0.005, "USD", "-0.01"),
        (0.00012, "USDT", "0.00012"),
        (0.01234567, "BTC", "0.01234567"),
        (-0.00000001, "BTC", "-0.00000001"),
        (1e-12, "BTC", "0.00"),
        (12.3456789, "ETH", "12.345679"),
        (123456.789, "DOGE", "123,456.7890"),
    ],
)
def test_an_amount_has_the_digits_of_its_currency(value: float, unit: str, text: str) -> None:
    assert money(value, unit) == text


def test_what_rounds_to_nothing_has_no_minus() -> None:
    assert [fixed(-0.0, 2), fixed(-0.004, 2), fixed(-0.006, 2)] == ["0.00", "0.00", "-0.01"]


def test_coins_are_not_cash_and_an_unknown_amount_says_so() -> None:
    assert is_cash("USDT")
    assert not is_cash("BTC")
    assert grain("BTC") < 1e-8 < grain("USDT")
    assert (money(None), price(None)) == ("unknown", "unknown")
