"""Spot margin with a debt: the liquidation price is where the ratio is one, whatever is held and owed."""

from __future__ import annotations

from fractions import Fraction

import pytest
from core.exact import fractions, prices, quantities
from hypothesis import assume, given
from hypothesis import strategies as st

from bt_margin.core.liability import (
    Borrowing,
    borrowed_to_open,
    debt_liquidation_price,
    debt_margin_ratio,
)

rates = fractions(0, Fraction(1, 5), 200)
leverages = fractions(1, 20)


@given(st.sampled_from([1, -1]), quantities, prices, leverages, st.booleans(), rates, rates)
def test_at_the_liquidation_price_the_ratio_is_one_and_beyond_it_less(
    side: int, size: Fraction, price: Fraction, leverage: Fraction, in_base: bool,
    mmr: Fraction, fee: Fraction,
) -> None:  # fmt: skip
    held = borrowed_to_open(side * size, price, leverage, margin_in_base=in_base).held
    assume(mmr + fee > 0)
    found = debt_liquidation_price(held, mmr, fee)
    assume(found is not None)
    assert found is not None
    assert debt_margin_ratio(held, found, mmr, fee) == 1
    beyond = debt_margin_ratio(held, found * Fraction(100 - side, 100), mmr, fee)
    assert beyond is not None
    assert beyond < 1


@given(quantities, prices, leverages, rates, rates)
def test_the_three_published_forms_are_the_one_formula(
    size: Fraction, price: Fraction, leverage: Fraction, mmr: Fraction, fee: Fraction
) -> None:
    """OKX help, introduction to the isolated mode: |owed| · (1 + mmr) · (1 + fee) against the assets."""
    factor = (1 + mmr) * (1 + fee)
    in_base = borrowed_to_open(size, price, leverage, margin_in_base=True)
    assert debt_liquidation_price(in_base.held, mmr, fee) == (
        size * price * factor / (size + in_base.margin)
    )
    in_quote = borrowed_to_open(size, price, leverage, margin_in_base=False)
    owed = size * price * factor
    if owed > in_quote.margin:
        assert debt_liquidation_price(in_quote.held, mmr, fee) == (owed - in_quote.margin) / size
    short = borrowed_to_open(-size, price, leverage, margin_in_base=False)
    assert debt_liquidation_price(short.held, mmr, fee) == (
        (size * price + short.margin) / (size * factor)
    )


@given(st.sampled_from([1, -1]), quantities, prices, leverages, st.booleans())
def test_opening_leaves_the_margin_as_equity(
    side: int, size: Fraction, price: Fraction, leverage: Fraction, in_base: bool
) -> None:
    margin, held = borrowed_to_open(side * size, price, leverage, margin_in_base=in_base)
    equity = held.assets(price) - held.debt(price)
    assert equity == margin * (price if in_base else 1) == size * price / leverage


@given(quantities, prices, rates, rates, fractions(0, 5))
def test_interest_brings_the_liquidation_nearer(
    size: Fraction, price: Fraction, mmr: Fraction, fee: Fraction, interest: Fraction
) -> None:
    long = borrowed_to_open(size, price, 5, margin_in_base=True).held
    short = borrowed_to_open(-size, price, 5, margin_in_base=False).held
    before, after = (
        debt_liquidation_price(held, mmr, fee) for held in (long, long.plus(quote_owed=interest))
    )
    assert before is not None
    assert after is not None
    assert (after > before) if interest else (after == before)
    before, after = (
        debt_liquidation_price(held, mmr, fee) for held in (short, short.plus(base_owed=interest))
    )
    assert before is not None
    assert after is not None
    assert (after < before) if interest else (after == before)


def test_a_real_short_of_2023() -> None:
    """okx-margin-short: LTC-USDT, ccxt pull request 16498, 2023-01-15."""
    held = Borrowing(quote=12.00358728382, base_owed=0.113791)
    assert held.maintenance(87.81, 0.05) == pytest.approx(0.4995993855, abs=1e-9)
    assert debt_margin_ratio(held, 87.81, 0.05, 0.0015) == pytest.approx(
        3.903466055555656, abs=1e-9
    )
    assert debt_liquidation_price(held, 0.05, 0.0015) == pytest.approx(100.31430948814871, abs=1e-9)


def test_the_opening_of_the_help_page() -> None:
    """okx-margin-open: 1 coin at 10,000 with 10x and margin in base, 2024-05."""
    margin, held = borrowed_to_open(1, 10_000, 10, margin_in_base=True)
    assert (margin, held) == (0.1, Borrowing(base=1.1, quote_owed=10_000))


def test_without_a_debt_there_is_no_ratio_and_no_liquidation() -> None:
    held = Borrowing(base=1, quote=100)
    assert debt_margin_ratio(held, 100, 0.05, 0.001) is None
    assert debt_liquidation_price(held, 0.05, 0.001) is None
    assert debt_liquidation_price(Borrowing(quote=100, quote_owed=50), 0.05, 0.001) is None
