"""Linear and inverse contracts through one coordinate, the worth of a price."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import pytest
from core.exact import contracts, prices, sizes
from hypothesis import given

from bt_margin.core import Contract
from bt_margin.errors import InputError


@given(contracts(), prices)
def test_price_undoes_worth(contract: Contract, price: Fraction) -> None:
    assert contract.price(contract.worth(price)) == price


@given(contracts(), prices, prices)
def test_worth_rises_with_the_price(contract: Contract, one: Fraction, two: Fraction) -> None:
    assert (contract.worth(one) < contract.worth(two)) == (one < two)


@given(contracts(), sizes, prices, prices)
def test_long_and_short_mirror(
    contract: Contract, size: Fraction, entry: Fraction, exit: Fraction
) -> None:
    """trap 2: a short's profit is a long's loss, for both kinds of contract."""
    assert contract.pnl(size, entry, exit) == -contract.pnl(-size, entry, exit)
    assert contract.notional(size, exit) == contract.notional(-size, exit) > 0
    if size < 0 and exit < entry:
        assert contract.pnl(size, entry, exit) > 0


@given(sizes, prices, prices)
def test_inverse_profit_is_the_text_book_formula(
    size: Fraction, entry: Fraction, exit: Fraction
) -> None:
    contract = Contract("X", kind="inverse", multiplier=100)
    assert contract.pnl(size, entry, exit) == size * 100 * (1 / entry - 1 / exit)
    assert contract.notional(size, exit) == abs(size) * 100 / exit


@pytest.mark.parametrize("kind", ["linear", "inverse"])
def test_the_multiplier_counts_in_every_leg_bit_for_bit(kind: Any) -> None:
    """trap 13: quantity 0.1 of multiplier 10 equals quantity 1 of multiplier 1, bit for bit."""
    small = Contract("X", kind=kind, multiplier=10.0)
    plain = Contract("X", kind=kind, multiplier=1.0)
    for entry, exit in [(30_000.1, 29_333.3), (0.07, 0.11), (1e5, 3.3)]:
        assert small.pnl(0.1, entry, exit) == plain.pnl(1.0, entry, exit)
        assert small.notional(-0.1, exit) == plain.notional(-1.0, exit)


def test_worth_of_zero_or_more_has_no_inverse_price() -> None:
    """trap 14: an infinite price is an error of the caller, not a division by zero."""
    for worth in (0, 0.5):
        with pytest.raises(InputError, match="no price has this worth"):
            Contract("X", kind="inverse").price(worth)


@pytest.mark.parametrize(
    ("lot", "size", "expected"),
    [
        (0.001, 0.0019999, 0.001),
        (0.001, -0.0019999, -0.001),
        (0.1, 0.1 + 0.2, 0.3),
        (0.1, 0.7, 0.7),
        (1, 0.99, 0),
        (0.001, 123_456.789, 123_456.789),
        (Fraction(1, 3), Fraction(5, 6), Fraction(2, 3)),
        (None, 1.23456, 1.23456),
    ],
)
def test_sizes_round_towards_zero_and_survive_float_noise(
    lot: float | None, size: float, expected: float
) -> None:
    assert Contract("X", lot=lot).round_size(size) == expected


@pytest.mark.parametrize(
    ("tick", "price", "expected"),
    [(0.1, 9.26, 9.3), (0.1, 9.24, 9.2), (0.5, 9.26, 9.5), (None, 9.26, 9.26), (1e-7, 3e-7, 3e-7)],
)
def test_prices_round_to_the_nearest_tick(
    tick: float | None, price: float, expected: float
) -> None:
    assert Contract("X", tick=tick).round_price(price) == expected


@pytest.mark.parametrize(
    ("symbol", "kind", "settle"),
    [
        ("BTC/USDT:USDT", "linear", "USDT"),
        ("BTC/USD:BTC", "inverse", "BTC"),
        ("ETH/USD:ETH-241227", "inverse", "ETH"),
        ("BTC/USDC:USDC-241227", "linear", "USDC"),
        ("BTC/USDT", "linear", "USDT"),
        ("BTC", "linear", "USD"),
        ("", "linear", "USD"),
    ],
)
def test_unified_symbols_say_kind_and_settlement(symbol: str, kind: str, settle: str) -> None:
    contract = Contract.parse(symbol)
    assert (contract.symbol, contract.kind, contract.settle) == (symbol, kind, settle)


def test_keywords_overrule_the_name() -> None:
    contract = Contract.parse("BTC/USD:BTC", multiplier=100, tick=0.1, lot=1)
    assert contract == Contract("BTC/USD:BTC", "inverse", 100, "BTC", 0.1, 1)
    assert Contract.parse("data0", settle="EUR").settle == "EUR"


def test_unknown_options_are_named_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"multiplyer.*did you mean multiplier\?"):
        Contract.parse("BTC/USDT:USDT", multiplyer=10)


@pytest.mark.parametrize("symbol", ["BTC/USD:ETH", "BTC/", "/USDT", "BTC/USDT:"])
def test_symbols_that_cannot_be_meant_are_refused(symbol: str) -> None:
    with pytest.raises(InputError):
        Contract.parse(symbol)


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "quanto"},
        {"multiplier": 0},
        {"multiplier": float("nan")},
        {"multiplier": -1},
        {"tick": 0},
        {"lot": -0.1},
        {"min_notional": -5},
        {"multiplier": "1"},
    ],
)
def test_facts_that_cannot_be_meant_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Contract("X", **facts)


def test_contracts_are_values() -> None:
    one = Contract("X", multiplier=2.0)
    assert one == Contract("X", multiplier=2.0)
    assert pickle.loads(pickle.dumps(one)) == one
    assert len({one, Contract("X", multiplier=2.0)}) == 1
